"""Where the two servers are: from the command line, the environment, files, or the drivers' own rules.

The first that names an address wins, each side for itself: --source/--target, then
CONVERGE_SOURCE_URL / CONVERGE_TARGET_URL, then `converge.toml`, then `.env` (the same names, or
DATABASE_TYPE, _HOST, _PORT, _USERNAME, _PASSWORD, _NAME), then what the drivers' users have:
MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD and ~/.my.cnf; libpq reads PG* and .pgpass itself.
A dump (--source-dump) stands in the place of a source's address.
A `converge.toml` with [[database]] entries means all of them, unless --source or --target is given.
Further databases that a map names are found by their entries' targets, or by their URLs in the same places.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.model.endpoint import Endpoint, parse
from converge.settings.file import Database, Project, read, same_target
from converge.settings.variables import (
    ENV_FILE,
    address,
    database_variables,
    dotenv,
    forget,
    mysql_defaults,
    of_kind,
    postgres_defaults,
)


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of the databases."""

    source: str | None = None
    target: str | None = None
    config: str | None = None
    """A file in place of `converge.toml`."""
    names: tuple[str, ...] = ()
    """Of [[database]] entries; all when there is none."""
    dump: Callable[[], Endpoint] | None = None
    """Loads the dump that is the source; the address is that of a temporary server."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A database that a command is about: a [[database]], or the addresses that are named elsewhere."""

    known: tuple[Endpoint | None, Endpoint | None]
    """The source and the target, as far as they are named."""
    entry: Database | None = None

    @property
    def name(self) -> str:
        """Of the entry; empty without one."""
        return self.entry.name if self.entry else ""

    @property
    def schema(self) -> str | None:
        """Of the entry, in the target."""
        return self.entry.target_schema if self.entry else None

    @property
    def move(self) -> tuple[str, str] | None:
        """Which of the target's runs an entry's are, by source and schema; None means the last one."""
        return (str(self.source), self.entry.target_schema) if self.entry else None

    @property
    def source(self) -> Endpoint:
        """Raises UsageError when it is named nowhere."""
        if self.known[0] is None:
            raise _missing("source")
        return self.known[0]

    @property
    def target(self) -> Endpoint:
        """Raises UsageError when it is named nowhere."""
        if self.known[1] is None:
            raise _missing("target")
        return self.known[1]


Want = Literal["needed", "known", "unused"]
"""What a command does with a side's address: fails without it, takes it where it is named, ignores it."""


# Variables that may hold a password. No child process gets them: workers hear addresses through a pipe.
_SECRET = ("MYSQL_PWD", "PGPASSWORD")
_ADDRESS = re.compile("CONVERGE_[A-Z0-9_]+_URL")


def databases(where: Where, *, source: Want = "needed", target: Want = "needed") -> tuple[Chosen, ...]:
    """The entries that have both sides, or those that are picked; else the one that is named elsewhere.

    Takes the passwords out of the environment. Raises UsageError, also when a needed side is named nowhere.
    """
    if chosen := _entries(where):
        return chosen
    dump = where.dump if source != "unused" else None
    here = None if dump or source == "unused" else _side("source", where)
    there = None if target == "unused" else _side("target", where)
    if source == "needed" and not (here or dump):
        raise _missing("source")
    if target == "needed" and there is None:
        raise _missing("target")
    if not (here or dump or there):
        raise _missing("source", "neither a source nor a target is named")
    if there is not None:
        there = _with_password(there)
    _forget()
    return (Chosen((dump() if dump else here, there)),)


def _entries(where: Where) -> tuple[Chosen, ...]:
    entries = picked(read(where.config), where)
    if not any(entry.runs for entry in entries) and not where.names:
        return ()
    if where.names and (lacking := [one.name for one in entries if not one.runs]):
        raise UsageError(
            f"the database {lacking[0]} has no source and target to run over",
            code=Code.U032,
            hint="give its entry both, or leave out --database " + lacking[0],
        )
    chosen = []
    for entry in (one for one in entries if one.runs):
        place = f"the database {entry.name}"
        here = of_kind(address(entry.source, place), "mysql")
        there = of_kind(address(entry.target, place), "postgres")
        chosen.append(Chosen((_complete(here), _with_password(_complete(there))), entry))
    _require_own_targets(chosen)
    for one, entry in zip(chosen, (one for one in entries if one.runs), strict=True):
        forget(entry.source, one.source)
        forget(entry.target, one.target)
    _forget()
    return tuple(chosen)


def picked(project: Project, where: Where) -> tuple[Database, ...]:
    """The entries that --database names, or all; none when the command line names an address.

    Raises UsageError for a name that no entry has.
    """
    if where.source or where.target or where.dump:
        if where.names:
            given = "--source-dump" if where.dump else "--source and --target"
            message = f"--database picks entries of converge.toml, {given} are for one database"
            raise UsageError(message, code=Code.U032, hint="leave out one of them")
        return ()
    known = {one.name: one for one in project.databases}
    for name in where.names:
        if name not in known:
            raise UsageError(
                f"--database {name}: {project.path} has no such entry{did_you_mean(name, known)}",
                code=Code.U032,
                hint=f"one of: {', '.join(known)}" if known else '[[database]]\nname = "…"',
            )
    return tuple(one for one in project.databases if not where.names or one.name in where.names)


def resolve_target(where: Where) -> Endpoint:
    """The target's address alone, as `databases` finds it, or the one [[database]]'s that --database picks.

    Raises UsageError when it is named nowhere.
    """
    entries = picked(read(where.config), where) if where.names else ()
    if len(entries) == 1 and entries[0].target:
        stated = _stated(entries[0].target, f"the database {entries[0].name}")
        found: Endpoint | None = _complete(of_kind(stated, "postgres"))
    else:
        found = _side("target", where)
    if found is None:
        raise _missing("target")
    found = _with_password(found)
    _forget()
    return found


def resolve_named(
    where: Where, names: Iterable[str], given: Mapping[str, str]
) -> tuple[Endpoint, dict[str, Endpoint]]:
    """The target's address, and those of other databases as far as they are named.

    Each is --from NAME=URL, else CONVERGE_NAME_URL, else the target of the [[database]] NAME. Raises
    UsageError.
    """
    found = {name: _named(name, given.get(name), where) for name in names}
    others = {
        name: _with_password(of_kind(endpoint, "postgres"))
        for name, endpoint in found.items()
        if endpoint is not None
    }
    return resolve_target(where), others


def require_named(name: str, found: Mapping[str, Endpoint]) -> Endpoint:
    """The address of another database. Raises UsageError when it is named nowhere."""
    if name not in found:
        hint = f"--from {name}=postgresql://user:password@host:5432/database, or CONVERGE_{name.upper()}_URL"
        raise UsageError(f"no address of the database {name!r} is named", code=Code.B003, hint=hint)
    return found[name]


def _named(name: str, given: str | None, where: Where) -> Endpoint | None:
    variable = f"CONVERGE_{name.upper()}_URL"
    project = read(where.config)
    for url, origin in ((given, "--from"), (os.environ.get(variable), variable)):
        if url:
            return parse(url, origin=origin)
    entry = next((one for one in project.databases if one.name == name and one.target), None)
    if entry is not None:
        return _stated(entry.target, f"the database {name}")
    url = dotenv().get(variable)
    return parse(url, origin=ENV_FILE) if url else None


def resolve_admin(given: str | None, project: Project) -> Endpoint:
    """The address by which databases and roles are made. Raises UsageError when it is named nowhere."""
    if given:
        return _with_password(of_kind(parse(given, origin="--admin"), "postgres"))
    if project.admin:
        return _with_password(of_kind(address(project.admin, f"admin in {project.path}"), "postgres"))
    hint = "--admin postgresql://postgres:password@host:5432/postgres"
    raise UsageError("no administrator's address is named", code=Code.U001, hint=hint)


def _complete(endpoint: Endpoint) -> Endpoint:
    """The address itself. Raises UsageError for one that names no database."""
    if not endpoint.database and not {"dbname", "service"} & dict(endpoint.options).keys():
        raise UsageError(
            f"the URL from {endpoint.origin} names no database: {endpoint}",
            code=Code.U183,
            hint=f"{endpoint}DATABASE",
        )
    return endpoint


def _require_own_targets(found: Sequence[Chosen]) -> None:
    """Raises UsageError for two entries that would write into the same schema."""
    seen: dict[tuple[object, ...], str] = {}
    for one in found:
        place = (one.target.host, one.target.port, one.target.database, one.schema)
        if place in seen:
            raise same_target(seen[place], one.name)
        seen[place] = one.name


def _stated(text: str, place: str) -> Endpoint:
    """The address that a file states; what gave it its password leaves the environment."""
    found = address(text, place)
    forget(text, found)
    return found


def _with_password(target: Endpoint) -> Endpoint:
    """libpq's own variable counts where the address has no password."""
    return target if target.password else replace(target, password=os.environ.get("PGPASSWORD", ""))


def _forget() -> None:
    for name in list(os.environ):
        if name in _SECRET or _ADDRESS.fullmatch(name):
            del os.environ[name]


def _missing(side: Literal["source", "target"], message: str = "") -> UsageError:
    scheme, port = ("mysql", 3306) if side == "source" else ("postgresql", 5432)
    return UsageError(
        message or f"no {side} is named",
        code=Code.U001,
        hint=f"--{side} {scheme}://user:password@host:{port}/database",
    )


def _side(side: Literal["source", "target"], where: Where) -> Endpoint | None:
    """The side's address in the first place that names one; None where none does."""
    found = _find(side, where)
    if found is None:
        return mysql_defaults() if side == "source" else postgres_defaults()
    return _complete(of_kind(found, "mysql" if side == "source" else "postgres"))


def _find(side: Literal["source", "target"], where: Where) -> Endpoint | None:
    name = f"CONVERGE_{side.upper()}_URL"
    given = where.source if side == "source" else where.target
    project, variables = read(where.config), dotenv()
    for url, origin in ((given, f"--{side}"), (os.environ.get(name), name)):
        if url:
            return parse(url, origin=origin)
    if text := getattr(project, side):
        return _stated(text, project.path)
    if url := variables.get(name):
        return parse(url, origin=ENV_FILE)
    return database_variables(side, variables)
