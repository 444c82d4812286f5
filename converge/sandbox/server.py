"""A temporary server as its user sees it."""

from __future__ import annotations

from pathlib import Path

from converge.sandbox import connect
from converge.sandbox.running import Running
from converge.sandbox.spec import Kind, Spec


class Server:
    """A MySQL or PostgreSQL server that `sandbox.start` gave.

    `version` is the version that was asked for, `provider` where the server comes from: "url",
    "docker", "installed" or "package".
    """

    def __init__(self, spec: Spec, provider: str, running: Running) -> None:
        self.kind: Kind = spec.kind
        self.version = spec.version
        self.provider = provider
        self._running = running

    def __repr__(self) -> str:
        return f"<Server {self.kind}:{self.version} from {self.provider}>"

    @property
    def url(self) -> str:
        """The server's URL: mysql://root@127.0.0.1:PORT or postgresql://postgres@127.0.0.1:PORT."""
        return self._running.url

    @property
    def files(self) -> Path:
        """A folder that the server and its caller share: MySQL writes there with INTO OUTFILE, and any
        PostgreSQL of this run reads it. Raises NotOurs for a server that was given by URL or by Docker.
        """
        return self._running.files

    def database_url(self, name: str) -> str:
        """The URL of one of the server's databases, whether it exists or not."""
        return connect.with_database(self.url, name)

    def create_database(self, name: str) -> str:
        """Makes an empty database in utf8mb4 or UTF8 and returns its URL. Raises the driver's error."""
        encoding = "CHARACTER SET utf8mb4" if self.kind == "mysql" else "ENCODING 'UTF8' TEMPLATE template0"
        self._execute(f"CREATE DATABASE {self._quoted(name)} {encoding}")
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database if it exists, also while clients use it. Raises the driver's error."""
        force = "" if self.kind == "mysql" else " WITH (FORCE)"
        self._execute(f"DROP DATABASE IF EXISTS {self._quoted(name)}{force}")

    def stop(self) -> None:
        """Shuts the server down in order; its data stays for `restart`."""
        self._running.stop()

    def crash(self) -> None:
        """Ends the server at once (SIGKILL for MySQL, immediate shutdown for PostgreSQL)."""
        self._running.crash()

    def restart(self) -> None:
        """Starts the server again, on its port and with its data; it is stopped first if it runs.

        Raises StartFailed with the end of its log.
        """
        self._running.restart()

    def _quoted(self, name: str) -> str:
        quote = "`" if self.kind == "mysql" else '"'
        return quote + name.replace(quote, quote * 2) + quote

    def _execute(self, statement: str) -> None:
        if self.kind == "mysql":
            with connect.mysql(self.url) as my, my.cursor() as cursor:
                cursor.execute(statement)
        else:
            with connect.postgres(self.database_url("postgres")) as pg:
                pg.execute(statement.encode())
