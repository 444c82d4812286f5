"""Variables of the environment and of `.env`, addresses that name them, and what other tools' users have.

Those are DATABASE_* in `.env`, MYSQL_*, ~/.my.cnf, and PG*.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from dotenv import dotenv_values

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse, split_login

ENV_FILE = ".env"
DOTENV_PARTS = f"DATABASE_* in {ENV_FILE}"
"""The origin of an address that its parts name."""
VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_LOGIN = re.compile(r"\w[\w+.-]*://([^/?#]*)@")
_TYPES = {"mysql": "source", "postgres": "target", "postgresql": "target"}
_MY_CNF = "~/.my.cnf"
_SSL = ("ssl-ca", "ssl-cert", "ssl-key", "ssl-mode")
# A # that no quote encloses begins it; escapes count within quotes.
_COMMENT = re.compile(r"""("(?:\\.|[^"])*"?|'(?:\\.|[^'])*'?)|#.*""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " "}
# The parts of an address, and the variables that name them.
_PROJECT = {
    "host": "DATABASE_HOST", "port": "DATABASE_PORT", "user": "DATABASE_USERNAME",
    "password": "DATABASE_PASSWORD", "database": "DATABASE_NAME",
}  # fmt: skip
_MYSQL = {
    "host": "MYSQL_HOST", "port": "MYSQL_TCP_PORT", "user": "MYSQL_USER", "password": "MYSQL_PWD",
    "database": "MYSQL_DATABASE", "socket": "MYSQL_UNIX_PORT",
}  # fmt: skip
_POSTGRES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "database": "PGDATABASE"}


def dotenv() -> Mapping[str, str | None]:
    """The variables of `.env`; none when there is no such file. Raises UsageError."""
    return dotenv_values(stream=io.StringIO(dotenv_text()))


def dotenv_text() -> str:
    """`.env` with its own line ends; empty when there is no such file. Raises UsageError."""
    if not Path(ENV_FILE).is_file():
        return ""
    try:
        return Path(ENV_FILE).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        hint = "save it in UTF-8, readable by you"
        raise UsageError(f"{ENV_FILE} cannot be read: {error}", code=Code.U003, hint=hint) from None


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
    if whole := VARIABLE.fullmatch(text):
        return parse(variable(whole[1], place), origin=f"{whole[1]} in {place}")
    login = _LOGIN.match(text)
    start, end = login.span(1) if login else (0, 0)

    def value(found: re.Match[str]) -> str:
        plain = variable(found[1], place)
        return quote(plain, safe="") if start <= found.start() < end else plain

    return parse(VARIABLE.sub(value, text), origin=place)


def named_database(text: str) -> str:
    """The database of such an address, also where variables of its login are not set; empty without one."""

    def value(found: re.Match[str]) -> str:
        return os.environ.get(found[1]) or dotenv().get(found[1]) or ""

    # What begins with a variable, as ${MYSQL}/tenant_*, has its login in there, if it is set.
    known = VARIABLE.sub(value, text)
    parts = split_login(text) or split_login(known)
    after_login = VARIABLE.sub(value, parts[3]) if parts else known
    return unquote(after_login.partition("?")[0].partition("/")[2])


def of_kind(endpoint: Endpoint, kind: str) -> Endpoint:
    """The address itself. Raises UsageError for one of the other kind of server."""
    if endpoint.kind != kind:
        raise UsageError(
            f"{endpoint} from {endpoint.origin} is a {endpoint.kind} address where a {kind} one is needed",
            code=Code.U002,
            hint="converge reads MySQL (--source) and writes PostgreSQL (--target)",
        )
    return endpoint


def parts_of(side: Literal["source", "target"], variables: Mapping[str, str | None]) -> Endpoint | None:
    """A side that is named by its parts: DATABASE_* of `.env`, MYSQL_* and ~/.my.cnf, or PG*.

    libpq reads the rest of its variables, and .pgpass, by itself. None where they name nothing. Raises
    UsageError for a bad port.
    """
    kind = "mysql" if side == "source" else "postgres"
    if _TYPES.get((variables.get("DATABASE_TYPE") or "").lower()) == side:
        found = {part: (variables.get(key) or "", f"{key} in {ENV_FILE}") for part, key in _PROJECT.items()}
        return _endpoint(kind, DOTENV_PARTS, found)
    if side == "target":
        if not any(name in os.environ for name in ("PGHOST", "PGSERVICE", "PGDATABASE")):
            return None
        found = {part: (os.environ.get(name, ""), name) for part, name in _POSTGRES.items()}
        if not found["port"][0].isdigit():
            del found["port"]  # it may be a list, which libpq reads by itself
        return _endpoint(kind, "PG* variables", found)
    client = _my_cnf()
    # The environment goes before the file.
    found = {
        part: (os.environ[name], name) if os.environ.get(name) else (client.get(part, ""), _MY_CNF)
        for part, name in _MYSQL.items()
    }
    if not any(found[part][0] for part in ("host", "user", "socket")):
        return None
    at = _endpoint(kind, f"MYSQL_* or {_MY_CNF}", found)
    options = tuple((name, client[name]) for name in _SSL if client.get(name))
    return replace(at, options=at.options + options)


def _endpoint(kind: str, origin: str, parts: Mapping[str, tuple[str, str]]) -> Endpoint:
    """The address of these parts, each with where it stands."""
    named = {part: value for part, (value, _) in parts.items() if value}
    port = named.get("port", "")
    if port and not port.isdigit():
        raise UsageError(f"the port from {parts['port'][1]} is not a number: {port!r}", code=Code.U003)
    local = "localhost" if origin != "PG* variables" else ""
    host = named.get("host", local)
    # As mysql itself does: the socket is for localhost where no port is named.
    socket = named.get("socket", "") if host == "localhost" and not port else ""
    return Endpoint(
        kind=kind,
        host="" if socket else host,
        port=int(port) if port else None,
        user=named.get("user", ""),
        password=named.get("password", ""),
        database=named.get("database", ""),
        options=(("unix_socket", socket),) if socket else (),
        origin=origin,
        origins=tuple((part, place) for part, (_, place) in parts.items() if part in named),
    )


def _my_cnf() -> Mapping[str, str]:
    """The section [client] of ~/.my.cnf, as MySQL reads it (its manual, "Using Option Files")."""
    path = Path(_MY_CNF).expanduser()
    if not path.is_file():
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{_MY_CNF} cannot be read: {type(error).__name__}", code=Code.U003) from None
    found, group = dict[str, str](), None
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line[0] in "#;!":
            continue
        if heading := re.match(r"\[(.*?)\]", line):
            group = heading[1].strip()
        elif line[0] == "[" or group is None:
            # The line may be the password's.
            raise UsageError(f"{_MY_CNF} line {number}: no group of options", code=Code.U003)
        elif group == "client":
            name, _, value = _COMMENT.sub(r"\1", line).partition("=")
            found[name.strip().replace("_", "-")] = _my_cnf_value(value.strip())
    return found


def _my_cnf_value(text: str) -> str:
    """The value without quotes around it, and with what its escapes stand for."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return re.sub(r"\\([ntrbs\\'\"])", lambda found: _ESCAPES.get(found[1], found[1]), text)
