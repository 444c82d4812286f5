"""`converge.toml`: one source and target, or several databases, and what is to be provisioned for each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.read import provision
from converge.model.names import require_schema
from converge.model.plan import Mode

FILE = "converge.toml"
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a text", lambda value: isinstance(value, str)),
    "texts": ("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value))),
    "table": ("a table", lambda value: isinstance(value, dict)),
    "tables": ("written as [[database]]", lambda value: isinstance(value, list)),
    "mode": ("create or load", lambda value: value in ("create", "load")),
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOP = {"source": "text", "target": "text", "admin": "text", "database": "tables"}
_DATABASE = {
    "name": "text", "source": "text", "target": "text", "map": "texts", "mode": "mode", "schema": "text",
    "include": "texts", "exclude": "texts", "alembic": "text", "provision": "table",
}  # fmt: skip
_PROVISION = {
    "database": "text", "role": "text", "password_env": "text", "template": "text", "encoding": "text",
    "collate": "text", "ctype": "text", "extensions": "texts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provision:
    """What an entry wants of the server; an empty value leaves it to the target's address or the template."""

    database: str = ""
    role: str = ""
    password_env: str = ""
    """The variable with the role's password."""
    template: str = "template0"
    encoding: str = "UTF8"
    collate: str = ""
    ctype: str = ""
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """One ``[[database]]``: its addresses are as written, with their variables."""

    name: str
    source: str = ""
    target: str = ""
    maps: tuple[str, ...] = ()
    mode: Mode = "create"
    schema: str = "public"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    alembic: str = ""
    """The folder of the target's revisions; empty for none."""
    provision: Provision | None = None

    @property
    def runs(self) -> bool:
        """Whether there is something to move."""
        return bool(self.source and self.target)


@dataclass(frozen=True, slots=True)
class Project:
    path: str = FILE
    source: str = ""
    target: str = ""
    admin: str = ""
    databases: tuple[Database, ...] = ()


def read(path: str | None) -> Project:
    """The project of this file, of `converge.toml` without one; an empty project where that is not there.

    Raises UsageError for a file that is named and cannot be read, and for what means nothing in it.
    """
    file = Path(path or FILE)
    if path is None and not file.is_file():
        return Project()
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} is no TOML: {error}", code=Code.U003) from error
    except OSError as error:
        hint = "--config FILE, or converge.toml in the working folder"
        raise UsageError(f"{file} cannot be read: {error.strerror}", code=Code.U003, hint=hint) from error
    _check(file.name, document, _TOP)
    entries = document.get("database", [])
    databases = tuple(_database(file, number, entry) for number, entry in enumerate(entries, 1))
    _require_apart(file.name, document, databases)
    return Project(
        str(file),
        document.get("source", ""),
        document.get("target", ""),
        document.get("admin", ""),
        databases,
    )


def _database(file: Path, number: int, entry: Any) -> Database:
    place = f"{file.name} [[database]] {number}"
    _check(place, entry, _DATABASE)
    name = entry.get("name", "")
    if not name:
        raise UsageError(f"{place} has no name", code=Code.U031, hint='name = "…"')
    maps = tuple(_map(file.parent, one) for one in entry.get("map", ()))
    wanted = entry.get("provision")
    if wanted is not None:
        _check(f"{place} provision", wanted, _PROVISION)
        if not _VARIABLE.fullmatch(wanted.get("password_env", "_")):
            message = f"{place} provision: password_env must be the name of a variable"
            raise UsageError(message, code=Code.U003, hint='password_env = "ALKEMIO_PASSWORD"')
        known = {**provision(maps), **wanted}
        wanted = Provision(**{key: _frozen(value) for key, value in known.items()})
    return Database(
        name,
        entry.get("source", ""),
        entry.get("target", ""),
        maps,
        entry.get("mode", "create"),
        require_schema(entry.get("schema", "public"), f"{place} schema"),
        _frozen(entry.get("include", [])),
        _frozen(entry.get("exclude", [])),
        str(file.parent / entry["alembic"]) if entry.get("alembic") else "",
        cast("Provision | None", wanted),
    )


def _map(folder: Path, name: str) -> str:
    """A map's file is meant from where `converge.toml` is."""
    beside = folder / name
    return str(beside) if beside.is_file() else name


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check(place: str, entry: Any, kinds: Mapping[str, str]) -> None:
    """Raises UsageError for a key or kind of value that means nothing. No value is said: it may be secret."""
    if not isinstance(entry, dict):
        raise UsageError(f"{place} must be a table", code=Code.U003, hint='[[database]]\nname = "…"')
    for key, value in entry.items():
        if key not in kinds:
            message = f"{place}: {key!r} means nothing here{did_you_mean(key, kinds)}"
            raise UsageError(message, code=Code.U003, hint=f"it may have: {', '.join(kinds)}")
        words, holds = _KINDS[kinds[key]]
        if not holds(value):
            raise UsageError(f"{place}: {key} must be {words}", code=Code.U003, hint="docs/databases.md")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def same_target(first: str, second: str) -> UsageError:
    """The error of two entries that would write into one schema."""
    return UsageError(
        f"the databases {first} and {second} have the same target and schema",
        code=Code.U031,
        hint='schema = "…" puts one beside the other',
    )


def _require_apart(place: str, document: Mapping[str, Any], databases: Sequence[Database]) -> None:
    """Raises UsageError for entries that say the same twice, or only half."""
    names = [one.name for one in databases]
    for one in databases:
        if names.count(one.name) > 1:
            raise UsageError(f"{place}: two databases are called {one.name}", code=Code.U031, hint="name = …")
        if one.source and not one.target:
            raise UsageError(
                f"{place}: the database {one.name} has a source and no target",
                code=Code.U031,
                hint='target = "postgresql://user:${PASSWORD}@host:5432/database"',
            )
    if databases and (document.get("source") or document.get("target")):
        raise UsageError(
            f"{place} has [[database]] entries and a source or target beside them",
            code=Code.U031,
            hint="write each address in the entry that it belongs to",
        )
