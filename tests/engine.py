"""A Docker engine as its clients see it, for the one container that a test asks for.

Its API is real HTTP (Docker Engine API v1.44), its container a port that leads to a server that runs already.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ID = "c0ffee" * 10


@dataclass
class Engine:
    """`images` are those that it has; `behind` is the port to which its container's leads."""

    images: tuple[str, ...]
    behind: int
    url: str = ""
    created: dict[str, Any] = field(default_factory=dict)
    """What it was asked to create."""
    asked: list[str] = field(default_factory=list)
    """What became of the container since: start, DELETE."""
    status: str = "created"
    _listener: socket.socket | None = None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and document of one request."""
        path = re.sub(r"^/v[\d.]+", "", path)
        if path == "/_ping":
            return 200, "OK"
        if path == "/version":
            return 200, {"ApiVersion": "1.44"}
        if image := re.fullmatch(r"/images/(.+)/json", path):
            if image[1] not in self.images:
                return 404, {"message": f"No such image: {image[1]}"}
            return 200, {"Id": "sha256:1", "RepoTags": [image[1]]}
        if path.startswith("/images/create"):
            return 404, {"message": "pull access denied"}
        if path.startswith("/containers/create"):
            self.created = json.loads(body)
            return 201, {"Id": _ID, "Warnings": []}
        if path == f"/containers/{_ID}/json":
            return 200, {
                "Id": _ID,
                "Image": "sha256:1",
                "State": {"Status": self.status},
                "Config": {"Tty": True},
            }
        if path == f"/containers/{_ID}/logs":
            return 200, "its last words"
        if method == "DELETE":
            return self._do("DELETE")
        if action := re.match(rf"/containers/{_ID}/(start|stop)", path):
            return self._do(action[1])
        return 404, {"message": f"unknown: {method} {path}"}

    def _do(self, action: str) -> tuple[int, Any]:
        self.asked.append(action)
        self.status = "running" if action == "start" else "exited"
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        if self.status == "running":
            ((binding,),) = self.created["HostConfig"]["PortBindings"].values()
            self._listener = socket.create_server((binding["HostIp"] or "0.0.0.0", int(binding["HostPort"])))
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return 204, None

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.behind))
                except OSError:
                    client.close()
                    raise
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError), closing(other):
        while data := one.recv(65536):
            other.sendall(data)


@contextmanager
def engine(behind: int, *images: str) -> Iterator[Engine]:
    """Serves on a port of its own until the end."""
    made = Engine(images, behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = made.answer(self.command, self.path.partition("?")[0], body)
            text = document if isinstance(document, str) else json.dumps(document)
            data = b"" if document is None else text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            """No word of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.url = f"tcp://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            http.shutdown()
            thread.join()
