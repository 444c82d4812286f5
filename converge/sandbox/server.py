"""A temporary server: its name, what its user can do with it, and what can go wrong with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote, urlsplit

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.endpoint import parse
from converge.model.quote import my_name, pg_name

if TYPE_CHECKING:
    import psycopg
    import pymysql

Kind = Literal["mysql", "postgres"]
Progress = Callable[[str], None]

_NAME = re.compile(r"(?P<kind>mysql|postgres):(?P<version>\d+(\.\d+){0,2})", re.ASCII)


class SandboxError(ConvergeError):
    """A temporary server could not be found, fetched, started or used."""

    exit_code = 1


class BadName(SandboxError):
    """The name isn't like mysql:8.0 or postgres:17.5, which is a word of the command line."""

    exit_code = 2


class DumpError(SandboxError):
    """The dump that was to be the source cannot be loaded."""

    exit_code = 4


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


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare releases with: (8, 0, 33) of "8.0.33-0ubuntu0.20.04.2"."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def with_database(url: str, database: str) -> str:
    """The same URL with another database in its path."""
    return urlsplit(url)._replace(path="/" + quote(database, safe="")).geturl()


def connect_mysql(url: str, **options: Any) -> pymysql.Connection[Any]:
    """An autocommitting MySQL connection in utf8mb4; `options` are pymysql's. Raises pymysql.MySQLError.

    On this machine it is not encrypted: to set TLS up takes 20 ms of a connection's 22.
    """
    import pymysql  # here, because every keeper imports this module, and a driver takes 0.1 s

    at = parse(url)
    usual: dict[str, Any] = {"charset": "utf8mb4", "autocommit": True, "connect_timeout": 10}
    return pymysql.connect(
        host=at.host,
        port=at.port or 3306,
        user=at.user,
        password=at.password,
        database=at.database or None,
        ssl_disabled=at.local,
        **usual | options,
    )


def connect_postgres(url: str) -> psycopg.Connection:
    """An autocommitting PostgreSQL connection. Raises psycopg.Error."""
    import psycopg

    return psycopg.connect(url, autocommit=True, connect_timeout=10)


@dataclass(frozen=True)
class Server:
    """A MySQL or PostgreSQL server that `sandbox.start` gave."""

    kind: Kind
    version: str
    """What was asked for."""
    provider: str
    """Where it comes from: "url", "docker", "installed" or "package"."""
    url: str = field(repr=False)
    """mysql://root@127.0.0.1:PORT or postgresql://postgres@127.0.0.1:PORT."""

    def database_url(self, name: str) -> str:
        """The URL of one of the server's databases, whether it exists or not."""
        return with_database(self.url, name)

    def create_database(self, name: str) -> str:
        """Makes an empty database in utf8mb4 or UTF8 and returns its URL. Raises the driver's error."""
        if self.kind == "mysql":
            self._execute(f"CREATE DATABASE {my_name(name)} CHARACTER SET utf8mb4")
        else:
            # By copying files, as before 15: by the log it costs twice the CPU, for a database of no rows.
            files = " STRATEGY file_copy" if numbers(self.version) >= (15,) else ""
            self._execute(f"CREATE DATABASE {pg_name(name)} ENCODING 'UTF8' TEMPLATE template0{files}")
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database if it exists, also while clients use it. Raises the driver's error."""
        if self.kind == "mysql":
            self._execute(f"DROP DATABASE IF EXISTS {my_name(name)}")
        else:
            self._execute(f"DROP DATABASE IF EXISTS {pg_name(name)} WITH (FORCE)")

    @contextmanager
    def new_database(self, name: str) -> Iterator[str]:
        """The URL of an empty database that is dropped in the end. Raises the driver's error.

        On a server of somebody else it has a longer name, because there may be one of this name.
        """
        unique = f"{name}_{secrets.token_hex(4)}" if self.provider == "url" else name
        try:
            yield self.create_database(unique)
        finally:
            self.drop_database(unique)

    def _execute(self, statement: str) -> None:
        if self.kind == "mysql":
            with connect_mysql(self.url) as my:
                my.query(statement.encode())
        else:
            with connect_postgres(self.database_url("postgres")) as pg:
                pg.execute(statement.encode())
