"""A server under a keeper process, seen from its caller."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import converge
from converge.codes import Code
from converge.sandbox import process
from converge.sandbox.engines import ENGINES, Job
from converge.sandbox.errors import StartFailed

_END_SECONDS = 60.0


class Kept:
    """A server under a keeper of its own. Its methods may be called from several threads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reply: dict[str, Any] = {}
        self._lock = threading.Lock()
        package = str(Path(converge.__file__).parents[1])
        path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "converge.sandbox.keeper"],
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C in the caller's terminal must not end servers that the caller still needs.
            start_new_session=True,
        )
        self._send(job.to_line())

    def wait(self) -> None:
        with self._lock:
            self._receive()

    @property
    def url(self) -> str:
        return f"{ENGINES[self._job.kind].login}@127.0.0.1:{self._answered('port')}"

    @property
    def files(self) -> Path:
        return Path(self._answered("folder"), "files")

    def obey(self, command: str) -> None:
        with self._lock:
            self._send(command)
            self._receive()

    def close(self) -> None:
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._keeper.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._reply:  # nothing is left of it, unless the keeper was killed
            process.remove(Path(self._reply["folder"]))

    def _answered(self, key: str) -> Any:
        if not self._reply:
            raise StartFailed("the server hasn't started yet", code=Code.X004)
        return self._reply[key]

    def _send(self, line: str) -> None:
        assert self._keeper.stdin is not None
        # A keeper that is gone has no answer either, which _receive reports.
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(line + "\n")
            self._keeper.stdin.flush()

    def _receive(self) -> None:
        """Takes the keeper's answer. Raises StartFailed."""
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            what = f"the process that keeps {self._job.kind} {self._job.release} was ended"
            raise StartFailed(what, code=Code.X004)
        reply = json.loads(line)
        if "error" in reply:
            raise StartFailed(reply["error"], code=Code.X004, hint=reply["hint"], details=reply["details"])
        self._reply = reply
