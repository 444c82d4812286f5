"""Variables of the environment and of `.env`, addresses that name them, and what other tools' users have.

Those are DATABASE_* in `.env`, MYSQL_*, ~/.my.cnf, and PG*.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from urllib.parse import quote, unquote

from dotenv import dotenv_values

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse

ENV_FILE = ".env"
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_LOGIN = re.compile(r"\w[\w+.-]*://([^/?#]*)@")
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


def dotenv() -> Mapping[str, str | None]:
    """The variables of `.env`; none when there is no such file."""
    return dotenv_values(ENV_FILE) if Path(ENV_FILE).is_file() else {}


def variable(name: str, place: str) -> str:
    """A variable's value. Raises UsageError when it is set nowhere, or empty."""
    if value := os.environ.get(name) or dotenv().get(name):
        return value
    raise UsageError(
        f"{place}: the variable {name} is not set",
        code=Code.U030,
        hint=f"{name}=… in the environment, or in {ENV_FILE} in the working folder",
    )


def address(text: str, place: str) -> Endpoint:
    """The address that a text with ``${VARIABLE}``s stands for.

    A variable that is the whole text is an URL. In the place of user and password it is percent-encoded, so
    that a password is written in `.env` as it is; elsewhere it is pasted. Raises UsageError.
    """
    if whole := _VARIABLE.fullmatch(text):
        return parse(variable(whole[1], place), origin=f"{whole[1]} in {place}")
    login = _LOGIN.match(text)
    start, end = login.span(1) if login else (0, 0)

    def value(found: re.Match[str]) -> str:
        plain = variable(found[1], place)
        return quote(plain, safe="") if start <= found.start() < end else plain

    return parse(_VARIABLE.sub(value, text), origin=place)


def of_kind(endpoint: Endpoint, kind: str) -> Endpoint:
    """The address itself. Raises UsageError for one of the other kind of server."""
    if endpoint.kind != kind:
        raise UsageError(
            f"{endpoint} from {endpoint.origin} is a {endpoint.kind} address where a {kind} one is needed",
            code=Code.U002,
            hint="converge reads MySQL (--source) and writes PostgreSQL (--target)",
        )
    return endpoint


def forget(text: str, endpoint: Endpoint) -> None:
    """Takes the variables that gave this address its password out of the environment."""
    for name in _VARIABLE.findall(text):
        value = unquote(os.environ.get(name, ""))
        if value and endpoint.password and (value in endpoint.password or endpoint.password in value):
            del os.environ[name]


def database_variables(side: str, variables: Mapping[str, str | None]) -> Endpoint | None:
    """What DATABASE_TYPE, DATABASE_HOST … say of this side. Raises UsageError for a bad port."""
    kind = (variables.get("DATABASE_TYPE") or "").lower()
    if _TYPES.get(kind) != side:
        return None
    port = variables.get("DATABASE_PORT") or ""
    if port and not port.isdigit():
        raise UsageError(f"DATABASE_PORT in {ENV_FILE} is not a number: {port!r}", code=Code.U003)
    return Endpoint(
        kind="mysql" if side == "source" else "postgres",
        host=variables.get("DATABASE_HOST") or "localhost",
        port=int(port) if port else None,
        user=variables.get("DATABASE_USERNAME") or "",
        password=variables.get("DATABASE_PASSWORD") or "",
        database=variables.get("DATABASE_NAME") or "",
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


def _first(name: str, client: Mapping[str, str], key: str) -> tuple[str, str]:
    """A value and where it came from: the environment goes before the file."""
    if value := os.environ.get(name):
        return value, name
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
