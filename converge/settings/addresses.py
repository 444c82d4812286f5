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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote, unquote_plus

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.model.endpoint import Endpoint, parse
from converge.model.quote import require_schema
from converge.settings.file import Database, Project, read, same_target
from converge.settings.patterns import Pattern
from converge.settings.variables import DOTENV_PARTS, ENV_FILE, VARIABLE, address, dotenv, of_kind, parts_of


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
    say: Callable[[str], object] = str
    """Tells which databases of a pattern may be left out."""
    schema: str | None = None
    """Target schema in place of the entries' own."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A database that a command is about: a [[database]], or the addresses that are named elsewhere."""

    known: tuple[Endpoint | None, Endpoint | None]
    """The source and the target, as far as they are named."""
    entry: Database | None = None
    maps: tuple[str, ...] = ()
    """Of `converge.toml` without entries."""
    merged: Chosen | None = None
    """What this one and the others of its pattern are merged into, when all of them are meant."""
    stated_schema: str | None = None
    """Of the command line, without an entry."""

    @property
    def name(self) -> str:
        """Of the entry; empty without one."""
        return self.entry.name if self.entry else ""

    @property
    def is_merge(self) -> bool:
        """Whether it is what the databases of its pattern are merged into."""
        return self.known[0] is not None and "*" in self.known[0].database

    @property
    def schema(self) -> str | None:
        """In the target; None for that of the last run."""
        return self.entry.target_schema if self.entry else self.stated_schema

    @property
    def move(self) -> tuple[str, str] | None:
        """Which of the target's runs are meant, by source and schema; None means the last one. Without an
        entry the source is empty, for any."""
        return (str(self.source) if self.entry else "", self.schema) if self.schema else None

    def meets(self, other: Chosen) -> bool:
        """Whether both have a server in common; a database has with itself."""
        pairs = zip(self.known, other.known, strict=True)
        return other is self or any(a and b and (a.host, a.port) == (b.host, b.port) for a, b in pairs)

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


def with_merged(chosen: Iterable[Chosen]) -> tuple[Chosen, ...]:
    """These, and after them what they are merged into."""
    chosen = tuple(chosen)
    return (*chosen, *dict.fromkeys(one.merged for one in chosen if one.merged is not None))


Side = Literal["source", "target"]
Want = Literal["needed", "known", "unused"]
"""What a command does with a side's address: fails without it, takes it where it is named, ignores it."""

_KINDS = {"source": "mysql", "target": "postgres"}
# Variables that may hold a password. No child process gets them: workers hear addresses through a pipe.
_SECRET = ("MYSQL_PWD", "PGPASSWORD")
_ADDRESS = re.compile("CONVERGE_[A-Z0-9_]+_URL")


def databases(where: Where, *, source: Want = "needed", target: Want = "needed") -> tuple[Chosen, ...]:
    """The entries that have both sides, or those that are picked; else the one that is named elsewhere.

    Takes the passwords out of the environment. Raises UsageError, also when a needed side is named nowhere.
    """
    finder = _Finder(where)
    if chosen := _entries(finder, where):
        finder.forget()
        return chosen
    dump = where.dump if source != "unused" else None
    here = None if dump or source == "unused" else finder.side("source")
    there = None if target == "unused" else finder.side("target")
    if source == "needed" and not (here or dump):
        raise _missing("source")
    if target == "needed" and there is None:
        raise _missing("target")
    if not (here or dump or there):
        raise _missing("source", "neither a source nor a target is named")
    finder.forget()
    known = (dump() if dump else here, there)
    return (Chosen(known, maps=finder.project.maps, stated_schema=where.schema),)


def _entries(finder: _Finder, where: Where) -> tuple[Chosen, ...]:
    entries = picked(finder.project, where)
    running = [entry for entry in entries if entry.runs]
    if where.names and len(running) < len(entries):
        lacking = next(one.name for one in entries if not one.runs)
        raise UsageError(
            f"the database {lacking} has no source and target to run over",
            code=Code.U032,
            hint=f"give its entry both, or leave out --database {lacking}",
        )
    chosen = [one for entry in running for one in _matching(finder, entry, where)]
    _require_apart(with_merged(chosen))
    known = {one.name for one in chosen} | {entry.name for entry in running}
    if unknown := [name for name in where.names if name not in known]:
        raise _unknown(finder.project, unknown[0], known)
    return tuple(chosen)


def _require_apart(chosen: Iterable[Chosen]) -> None:
    """Raises UsageError for two of one name, or into one schema."""
    names, schemas = set[str](), dict[tuple[object, ...], str]()
    for one in chosen:
        there, name = one.target, one.name
        if name in names:
            raise UsageError(f"two databases are called {name}", code=Code.U031, hint="name = …")
        names.add(name)
        schema = (there.host, there.port, there.database, one.schema)
        if (other := schemas.setdefault(schema, name)) != name:
            raise same_target(other, name)


def _matching(finder: _Finder, entry: Database, where: Where) -> Iterator[Chosen]:
    """The entry; for a pattern each database of the source that it matches, as far as it is picked."""
    here, there = finder.of_entry(entry, "source"), finder.of_entry(entry, "target")
    if where.schema:
        entry = entry.model_copy(update={"target_schema": where.schema})
    if "*" not in here.database:
        yield Chosen((here, there), entry)
        return
    names, pattern = where.names, Pattern(here, there, entry.target_schema)
    found = pattern.databases(where.say)
    if not found:
        raise UsageError(f"the database {entry.name}: none in {here} has such a name", code=Code.U031)
    merged = None
    if entry.merge is not None and (not names or entry.name in names):
        update = {
            "target_schema": require_schema(entry.merge.target_schema, f"the database {entry.name} merge")
        }
        merged = Chosen((here, there), entry.model_copy(update=update))
    for name in found:
        if not names or name in names or entry.name in names:
            schema = require_schema(entry.target_schema.replace("*", name), f"the database {name} schema")
            own = entry.model_copy(update={"name": name, "target_schema": schema})
            yield Chosen((replace(here, database=name), pattern.target_of(name)), own, merged=merged)


def picked(project: Project, where: Where) -> tuple[Database, ...]:
    """The entries that --database names, or all; none when the command line names an address.

    A pattern is among them where a name is perhaps that of a database that it matches. Raises UsageError for
    a name that no entry has.
    """
    if where.source or where.target or where.dump:
        if where.names:
            given = "--source-dump" if where.dump else "--source and --target"
            message = f"--database picks entries of converge.toml, {given} are for one database"
            raise UsageError(message, code=Code.U032, hint="leave out one of them")
        return ()
    known = {one.name: one for one in project.databases}
    others = [name for name in where.names if name not in known]
    if others and not any(one.is_pattern for one in project.databases):
        raise _unknown(project, others[0], known)
    return tuple(
        one
        for one in project.databases
        if not where.names or one.name in where.names or (others and one.is_pattern)
    )


def _unknown(project: Project, name: str, known: Collection[str]) -> UsageError:
    return UsageError(
        f"--database {name}: {project.path} has no such entry{did_you_mean(name, known)}",
        code=Code.U032,
        hint=f"one of: {', '.join(known)}" if known else '[[database]]\nname = "…"',
    )


def stated(side: Side, url: str | None) -> Endpoint:
    """The address that an option gives. Raises UsageError for one that is missing, or that cannot be used."""
    if not url:
        raise _missing(side)
    return _complete(of_kind(parse(url, origin=f"--{side}"), _KINDS[side]))


def resolve_target(where: Where) -> Endpoint:
    """The target's address alone, as `databases` finds it, or the one [[database]]'s that --database picks.

    Raises UsageError when it is named nowhere.
    """
    return resolve_named(where, (), {})[0]


def resolve_named(
    where: Where, names: Iterable[str], given: Mapping[str, str]
) -> tuple[Endpoint, dict[str, Endpoint]]:
    """The target's address, and those of other databases as far as they are named.

    Each is --from NAME=URL, else CONVERGE_NAME_URL, else the target of the [[database]] NAME. Raises
    UsageError.
    """
    finder = _Finder(where)
    entries = {one.name: one for one in finder.project.databases if one.target}
    others = {}
    for name in names:
        stated = entries[name].target if name in entries else ""
        found = finder.find(name, "postgres", (given.get(name), "--from"), (stated, f"the database {name}"))
        if found is not None:
            others[name] = found
    chosen = picked(finder.project, where) if where.names else ()
    if len(chosen) > 1:
        raise UsageError(
            f"this command is about one database, and --database names {len(chosen)}",
            code=Code.U033,
            hint=f"--database {chosen[0].name}",
        )
    if chosen and chosen[0].target:
        target: Endpoint | None = finder.of_entry(chosen[0], "target")
    else:
        target = finder.side("target")
    if target is None:
        raise _missing("target")
    finder.forget()
    return target, others


def require_named(name: str, found: Mapping[str, Endpoint]) -> Endpoint:
    """The address of another database. Raises UsageError when it is named nowhere."""
    if name not in found:
        hint = f"--from {name}=postgresql://user:password@host:5432/database, or CONVERGE_{name.upper()}_URL"
        raise UsageError(f"no address of the database {name!r} is named", code=Code.B003, hint=hint)
    return found[name]


def resolve_admin(given: str | None, project: Project) -> Endpoint:
    """The address by which databases and roles are made. Raises UsageError when it is named nowhere."""
    if given:
        return _ready(parse(given, origin="--admin"), "postgres")
    if project.admin:
        return _ready(address(project.admin, f"admin in {project.path}"), "postgres")
    hint = "--admin postgresql://postgres:password@host:5432/postgres"
    raise UsageError("no administrator's address is named", code=Code.U001, hint=hint)


class _Finder:
    """Looks for addresses; `forget` then takes what gave them their passwords out of the environment."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.project = read(where.config)
        self._dotenv = dotenv()
        self._variables: list[tuple[str, Endpoint]] = []
        """The variables of files' addresses, with the address that each was for."""

    def side(self, side: Side) -> Endpoint | None:
        """The side's address in the first place that names one; None where none does."""
        given = self.where.source if side == "source" else self.where.target
        stated = getattr(self.project, side), self.project.path
        found = self.find(side, _KINDS[side], (given, f"--{side}"), stated)
        if found is not None:
            return _complete(found)
        found = parts_of(side, self._dotenv)
        if found is None:
            return None
        ready = _ready(found, _KINDS[side])
        # The drivers' own variables may leave the database to the driver; .env means an application's.
        return _complete(ready) if ready.origin == DOTENV_PARTS else ready

    def of_entry(self, entry: Database, side: Side) -> Endpoint:
        """A side of a [[database]]."""
        return _complete(self._stated(getattr(entry, side), f"the database {entry.name}", _KINDS[side]))

    def find(
        self, name: str, kind: str, given: tuple[str | None, str], stated: tuple[str, str]
    ) -> Endpoint | None:
        """The address with this name: of an option, of its variable, of converge.toml, of .env."""
        variable = f"CONVERGE_{name.upper()}_URL"
        for url, origin in (given, (os.environ.get(variable), variable)):
            if url:
                return _ready(parse(url, origin=origin), kind)
        if stated[0]:
            return self._stated(*stated, kind)
        url = self._dotenv.get(variable)
        return _ready(parse(url, origin=ENV_FILE), kind) if url else None

    def _stated(self, text: str, place: str, kind: str) -> Endpoint:
        found = _ready(address(text, place), kind)
        self._variables += [(name, found) for name in VARIABLE.findall(text)]
        return found

    def forget(self) -> None:
        """All at once: several addresses may name the same variable."""
        for name, endpoint in self._variables:
            value = os.environ.get(name, "")
            # Pasted into a URL it was decoded, in the place of a login it was not.
            texts = [text for text in (value, unquote(value), unquote_plus(value)) if text]
            if any(text in secret or secret in text for text in texts for secret in endpoint.secrets):
                os.environ.pop(name, None)
        for name in list(os.environ):
            if name in _SECRET or _ADDRESS.fullmatch(name):
                del os.environ[name]


def _ready(endpoint: Endpoint, kind: str) -> Endpoint:
    """The address, with libpq's own variable where it has no password. Raises UsageError for another kind."""
    if kind == "mysql" or endpoint.password:
        return of_kind(endpoint, kind)
    return replace(of_kind(endpoint, kind), password=os.environ.get("PGPASSWORD", ""))


def _complete(endpoint: Endpoint) -> Endpoint:
    """The address itself. Raises UsageError for one that names no database."""
    if not endpoint.database and "service" not in dict(endpoint.options):
        raise UsageError(
            f"the URL from {endpoint.origin} names no database: {endpoint}",
            code=Code.U183,
            hint=f"{endpoint}DATABASE",
        )
    return endpoint


def _missing(side: Side, message: str = "") -> UsageError:
    scheme, port = ("mysql", 3306) if side == "source" else ("postgresql", 5432)
    return UsageError(
        message or f"no {side} is named",
        code=Code.U001,
        hint=f"converge init asks for both addresses; or --{side} {scheme}://user:password@host:{port}/database",
    )
