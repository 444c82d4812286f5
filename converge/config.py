"""Where the two servers are: from the command line, the environment, files, or the drivers' own rules.

The first that names an address wins, each side for itself: --source/--target, then
CONVERGE_SOURCE_URL / CONVERGE_TARGET_URL, then `converge.toml`, then `.env` (the same names, or
DATABASE_TYPE, _HOST, _PORT, _USERNAME, _PASSWORD, _NAME), then what the drivers' users have:
MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD and ~/.my.cnf; libpq reads PG* and .pgpass itself.
Further databases that a map names are found by their URLs in the same places.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, replace
from pathlib import Path

from dotenv import dotenv_values

from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse

_ENV_FILE = ".env"
_TYPES = {"mysql": "source", "postgres": "target", "postgresql": "target"}
_MYSQL = (
    ("host", "MYSQL_HOST", "host"),
    ("port", "MYSQL_TCP_PORT", "port"),
    ("user", "MYSQL_USER", "user"),
    ("password", "MYSQL_PWD", "password"),
    ("database", "MYSQL_DATABASE", "database"),
)
"""An endpoint's value, its environment variable, and its key in ~/.my.cnf."""


@dataclass(frozen=True, slots=True)
class Addresses:
    source: Endpoint
    target: Endpoint | None


_POSTGRES = (("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("database", "PGDATABASE"))
# Variables that may hold a password. No child process gets them: workers hear addresses through a pipe.
_SECRET = ("MYSQL_PWD", "PGPASSWORD")
_ADDRESS = re.compile("CONVERGE_[A-Z0-9_]+_URL")


def resolve(source: str | None, target: str | None, *, need_target: bool = True) -> Addresses:
    """Both addresses; takes the passwords out of the environment.

    Raises UsageError when the source, or a needed target, is named nowhere.
    """
    found_source = _checked(_find("source", source) or _mysql_defaults(), "mysql")
    if found_source is None:
        raise UsageError(
            "no source is named", code="U001", hint="--source mysql://user:password@host:3306/database"
        )
    found_target = _checked(_find("target", target) or _postgres_defaults(), "postgres")
    if found_target is None and need_target:
        raise _no_target()
    found_target = found_target and _with_password(found_target)
    _forget()
    return Addresses(found_source, found_target)


def resolve_known(source: str | None, target: str | None) -> tuple[Endpoint | None, Endpoint | None]:
    """The addresses that are named. Raises UsageError when neither is."""
    found = (
        _checked(_find("source", source) or _mysql_defaults(), "mysql"),
        _checked(_find("target", target) or _postgres_defaults(), "postgres"),
    )
    if found == (None, None):
        raise UsageError(
            "neither a source nor a target is named",
            code="U001",
            hint="--source mysql://user:password@host:3306/database",
        )
    return found


def resolve_target(target: str | None) -> Endpoint:
    """The target's address alone, as `resolve` finds it. Raises UsageError when it is named nowhere."""
    found = _checked(_find("target", target) or _postgres_defaults(), "postgres")
    if found is None:
        raise _no_target()
    found = _with_password(found)
    _forget()
    return found


def resolve_named(
    target: str | None, names: Iterable[str], given: Mapping[str, str]
) -> tuple[Endpoint, dict[str, Endpoint]]:
    """The target's address, and those of other databases as far as they are named.

    Each is --from NAME=URL, else CONVERGE_NAME_URL, or `name` in converge.toml. Raises UsageError.
    """
    found = {name: _checked(_find(name, given.get(name), option="--from"), "postgres") for name in names}
    others = {name: _with_password(endpoint) for name, endpoint in found.items() if endpoint is not None}
    return resolve_target(target), others


def require_named(name: str, found: Mapping[str, Endpoint]) -> Endpoint:
    """The address of another database. Raises UsageError when it is named nowhere."""
    if name not in found:
        hint = f"--from {name}=postgresql://user:password@host:5432/database, or CONVERGE_{name.upper()}_URL"
        raise UsageError(f"no address of the database {name!r} is named", code="B003", hint=hint)
    return found[name]


def _with_password(target: Endpoint) -> Endpoint:
    """libpq's own variable counts where the address has no password."""
    return target if target.password else replace(target, password=os.environ.get("PGPASSWORD", ""))


def _forget() -> None:
    for name in list(os.environ):
        if name in _SECRET or _ADDRESS.fullmatch(name):
            del os.environ[name]


def _no_target() -> UsageError:
    hint = "--target postgresql://user:password@host:5432/database"
    return UsageError("no target is named", code="U001", hint=hint)


def _checked(endpoint: Endpoint | None, kind: str) -> Endpoint | None:
    if endpoint is not None and endpoint.kind != kind:
        raise UsageError(
            f"{endpoint} from {endpoint.origin} is a {endpoint.kind} address where a {kind} one is needed",
            code="U002",
            hint="converge reads MySQL (--source) and writes PostgreSQL (--target, --from)",
        )
    return endpoint


def _find(side: str, given: str | None, *, option: str = "") -> Endpoint | None:
    name = f"CONVERGE_{side.upper()}_URL"
    file = _read_toml().get(side)
    dotenv = dotenv_values(_ENV_FILE) if Path(_ENV_FILE).is_file() else {}
    for url, origin in (
        (given, option or f"--{side}"),
        (os.environ.get(name), name),
        (file, "converge.toml"),
        (dotenv.get(name), _ENV_FILE),
    ):
        if url:
            return parse(url, origin=origin)
    return _database_variables(side, dotenv)


def _read_toml() -> Mapping[str, str]:
    path = Path("converge.toml")
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"converge.toml is no TOML: {error}", code="U003") from error


def _database_variables(side: str, dotenv: Mapping[str, str | None]) -> Endpoint | None:
    kind = (dotenv.get("DATABASE_TYPE") or "").lower()
    if _TYPES.get(kind) != side:
        return None
    port = dotenv.get("DATABASE_PORT") or ""
    if port and not port.isdigit():
        raise UsageError(f"DATABASE_PORT in {_ENV_FILE} is no number: {port!r}", code="U003")
    return Endpoint(
        kind="mysql" if side == "source" else "postgres",
        host=dotenv.get("DATABASE_HOST") or "localhost",
        port=int(port) if port else None,
        user=dotenv.get("DATABASE_USERNAME") or "",
        password=dotenv.get("DATABASE_PASSWORD") or "",
        database=dotenv.get("DATABASE_NAME") or "",
        origin=f"DATABASE_* in {_ENV_FILE}",
    )


def _mysql_defaults() -> Endpoint | None:
    client: Mapping[str, str] = {}
    path = Path("~/.my.cnf").expanduser()
    if path.is_file():
        parser = ConfigParser(allow_no_value=True, interpolation=None, strict=False)
        try:
            parser.read(path)
        except Error as error:
            # The parser's own words quote the line, which may be the password's.
            raise UsageError(f"~/.my.cnf cannot be read: {type(error).__name__}", code="U003") from None
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


def _postgres_defaults() -> Endpoint | None:
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
