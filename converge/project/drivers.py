"""Where the users of other tools keep their addresses: DATABASE_* in `.env`, MYSQL_*, ~/.my.cnf, PG*."""

from __future__ import annotations

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.project.variables import ENV_FILE

_TYPES = {"mysql": "source", "postgres": "target", "postgresql": "target"}
_MYSQL = (
    ("host", "MYSQL_HOST", "host"),
    ("port", "MYSQL_TCP_PORT", "port"),
    ("user", "MYSQL_USER", "user"),
    ("password", "MYSQL_PWD", "password"),
    ("database", "MYSQL_DATABASE", "database"),
)
"""An endpoint's value, its environment variable, and its key in ~/.my.cnf."""
_POSTGRES = (("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("database", "PGDATABASE"))


def database_variables(side: str, dotenv: Mapping[str, str | None]) -> Endpoint | None:
    """What DATABASE_TYPE, DATABASE_HOST … say of this side. Raises UsageError for a bad port."""
    kind = (dotenv.get("DATABASE_TYPE") or "").lower()
    if _TYPES.get(kind) != side:
        return None
    port = dotenv.get("DATABASE_PORT") or ""
    if port and not port.isdigit():
        raise UsageError(f"DATABASE_PORT in {ENV_FILE} is no number: {port!r}", code=Code.U003)
    return Endpoint(
        kind="mysql" if side == "source" else "postgres",
        host=dotenv.get("DATABASE_HOST") or "localhost",
        port=int(port) if port else None,
        user=dotenv.get("DATABASE_USERNAME") or "",
        password=dotenv.get("DATABASE_PASSWORD") or "",
        database=dotenv.get("DATABASE_NAME") or "",
        origin=f"DATABASE_* in {ENV_FILE}",
    )


def mysql_defaults() -> Endpoint | None:
    """MYSQL_* and the section [client] of ~/.my.cnf; None when they name nothing. Raises UsageError."""
    client: Mapping[str, str] = {}
    path = Path("~/.my.cnf").expanduser()
    if path.is_file():
        parser = ConfigParser(allow_no_value=True, interpolation=None, strict=False)
        try:
            parser.read(path)
        except Error as error:
            # The parser's own words quote the line, which may be the password's.
            raise UsageError(f"~/.my.cnf cannot be read: {type(error).__name__}", code=Code.U003) from None
        if parser.has_section("client"):
            client = {key: (value or "").strip("'\"") for key, value in parser.items("client")}
    found = {name: _first(variable, client, key) for name, variable, key in _MYSQL}
    if not found["host"][0] and not found["user"][0]:
        return None
    port = found["port"][0]
    return Endpoint(
        kind="mysql",
        host=found["host"][0] or "localhost",
        port=int(port) if port.isdigit() else None,
        user=found["user"][0],
        password=found["password"][0],
        database=found["database"][0],
        origin="MYSQL_* or ~/.my.cnf",
        origins=tuple((name, origin) for name, (value, origin) in found.items() if value),
    )


def _first(variable: str, client: Mapping[str, str], key: str) -> tuple[str, str]:
    """A value and where it came from: the environment goes before the file."""
    if value := os.environ.get(variable):
        return value, variable
    return client.get(key, ""), "~/.my.cnf"


def postgres_defaults() -> Endpoint | None:
    """What libpq's own variables say; it reads the rest of them, and .pgpass, by itself."""
    environment = os.environ
    if not any(name in environment for name in ("PGHOST", "PGSERVICE", "PGDATABASE")):
        return None
    port = environment.get("PGPORT") or ""
    return Endpoint(
        kind="postgres",
        host=environment.get("PGHOST", ""),
        port=int(port) if port.isdigit() else None,
        user=environment.get("PGUSER", ""),
        database=environment.get("PGDATABASE", ""),
        origin="PG* variables",
        origins=tuple((name, variable) for name, variable in _POSTGRES if environment.get(variable)),
    )
