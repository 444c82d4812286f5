"""A temporary server: its name, how it is to run, and what its user can do with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql

from converge.codes import Code
from converge.sandbox.errors import BadName

Kind = Literal["mysql", "postgres"]
Progress = Callable[[str], None]

_NAME = re.compile(r"(?P<kind>mysql|postgres):(?P<version>\d+(\.\d+){0,2})", re.ASCII)


@dataclass(frozen=True)
class Spec:
    """One requested server. A short version stands for every release that begins with it."""

    kind: Kind
    version: str

    @classmethod
    def parse(cls, name: str) -> Spec:
        """Raises BadName unless the name is like mysql:8.0.15 or postgres:17.5."""
        match = _NAME.fullmatch(name)
        if match is None:
            hint = "write it like mysql:8.0.15 or postgres:17.5"
            raise BadName(f"{name!r} names no server", code=Code.X001, hint=hint)
        return cls(cast(Kind, match["kind"]), match["version"])

    def __str__(self) -> str:
        return f"{self.kind}:{self.version}"

    @property
    def variable(self) -> str:
        """The environment variable that may hold this server's URL: CONVERGE_SANDBOX_MYSQL_8_0_15."""
        return "CONVERGE_SANDBOX_" + re.sub(r"\W", "_", str(self)).upper()

    def fits(self, release: str) -> bool:
        """Whether a release is what was asked for: 8.0 fits 8.0.33, while 8.0.15 and 17.5 are exact."""
        asked = self.version.split(".")
        return release.split(".")[: len(asked)] == asked


@dataclass(frozen=True)
class Options:
    """How a server is to run.

    `settings` are server settings (mysqld options, postgresql.conf names) that win over ours.
    `durable` leaves the server's own care for its disk; otherwise it is traded for speed.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = False


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare releases with: (8, 0, 33) of "8.0.33-0ubuntu0.20.04.2"."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def with_database(url: str, database: str) -> str:
    """The same URL with another database in its path."""
    return urlsplit(url)._replace(path="/" + quote(database, safe="")).geturl()


def connect_mysql(url: str) -> pymysql.Connection:
    """An autocommitting MySQL connection in utf8mb4. Raises pymysql.MySQLError."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")) or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
    )


def connect_postgres(url: str) -> psycopg.Connection:
    """An autocommitting PostgreSQL connection. Raises psycopg.Error."""
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


class Running(Protocol):
    """What a provider gives: a server that was told to start."""

    def wait(self) -> None:
        """Returns when the server answers; raises a SandboxError when it doesn't."""

    @property
    def url(self) -> str: ...
    @property
    def files(self) -> Path: ...
    def obey(self, command: Literal["stop", "crash", "restart"]) -> None: ...
    def close(self) -> None:
        """Ends the server and removes all of it. May be called at any time, and twice."""


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
        return with_database(self.url, name)

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
        self._running.obey("stop")

    def crash(self) -> None:
        """Ends the server at once (SIGKILL for MySQL, immediate shutdown for PostgreSQL)."""
        self._running.obey("crash")

    def restart(self) -> None:
        """Starts the server again, on its port and with its data; it is stopped first if it runs.

        Raises StartFailed with the end of its log.
        """
        self._running.obey("restart")

    def _quoted(self, name: str) -> str:
        quote = "`" if self.kind == "mysql" else '"'
        return quote + name.replace(quote, quote * 2) + quote

    def _execute(self, statement: str) -> None:
        if self.kind == "mysql":
            with connect_mysql(self.url) as my, my.cursor() as cursor:
                cursor.execute(statement)
        else:
            with connect_postgres(self.database_url("postgres")) as pg:
                pg.execute(statement.encode())
