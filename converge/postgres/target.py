"""What the target is and has: version, encoding, privileges, relations."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import psycopg

from converge.model.finding import OCCUPIED, Finding
from converge.model.quote import pg_name
from converge.model.words import said
from converge.postgres.capabilities import FUNCTIONS
from converge.postgres.query import record, rows, value
from converge.resources import folder

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LedgerSchema:
    """The schema `converge` as the role meets it."""

    usable: bool
    """CREATE and USAGE on it."""
    foreign: tuple[str, ...]
    """Tables that belong to a role that ours is no member of."""
    closed: tuple[str, ...]
    """Tables that the role may not read and write."""
    outdated: bool
    """Only the tables' owner can bring them to this version's shape."""


@dataclass(frozen=True)
class Target:
    """The target as planning needs it."""

    version: str
    database: str
    role: str
    schema: str
    schema_exists: bool
    encoding: str
    may_create_in_schema: bool
    """CREATE and USAGE on the schema, where it exists."""
    may_create_schemas: bool
    may_make_temporary: bool
    standby: bool
    """A server in recovery, which only reads."""
    collation: str
    """By which the database sorts texts."""
    only_ascii: bool
    """Whether its LOWER and UPPER change letters of ASCII alone, by LC_CTYPE C."""
    ascii_collations: frozenset[str]
    """Quoted names of the collations by which they do so."""
    time_zone: str
    """Of sessions that set none."""
    utc_offsets: tuple[int, ...]
    """Minutes by which its clock is ahead of UTC in January and in July of this year."""
    max_connections: int
    """But those that are reserved."""
    tablespace: str
    """`default_tablespace` where the role may not create in it; empty when all is well."""
    lz4: bool
    """Whether the server was built with lz4, by which it can compress long values."""
    reserved: frozenset[str]
    """Words that are no name of a table or a column without quotes."""
    stripped: tuple[str, ...]
    """Kinds of object, as ALTER DEFAULT PRIVILEGES names them, on which the role would lack privileges of its
    own when it makes one."""
    not_owned: tuple[tuple[str, str, str], ...]
    """What the role can neither change nor drop in the schema: kind, quoted name, and the table or view that
    it is or serves."""
    ledger: LedgerSchema | None
    """None while there is no schema `converge`."""
    relations: tuple[tuple[str, str, str], ...]
    """Tables, views, indexes, sequences and types of the schema: name, the table it belongs to, kind."""
    zero_argument_functions: tuple[tuple[str, str], ...]
    """Functions of the schema, each with a table whose trigger calls it, or ''."""
    left_over: tuple[tuple[str, str, str], ...]
    """What an earlier run has made, as it has made it, and nothing uses: kind, quoted name, bare name."""

    collations: Mapping[str, str]
    """ICU locales of the collations that are not deterministic, by their quoted names."""

    extensions: Mapping[str, str]
    """Extensions with their schemas; empty for one that is not made but could be."""

    functions: frozenset[str]
    """Functions of newer versions, from an extension or of the user's own."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Tables, views and types that stand for themselves."""
        return frozenset(name for name, owner, _ in self.relations if name == owner)

    def foreign_names(self, own: Container[str]) -> frozenset[str]:
        """Names of relations and types that do not belong to the tables and views in `own`."""
        unused = {name for kind, _, name in self.left_over if kind == "TYPE"}
        return frozenset(name for name, owner, _ in self.relations if owner not in own and name not in unused)

    def foreign_functions(self, own: Container[str]) -> frozenset[str]:
        """Names of functions without arguments that no trigger of the tables in `own` calls."""
        unused = {name for kind, _, name in self.left_over if kind == "FUNCTION"}
        functions = self.zero_argument_functions
        return frozenset(name for name, table in functions if table not in own and name not in unused)


def read_target(connection: psycopg.Connection[Any], schema: str) -> Target:
    """Reads the target's facts; writes nothing."""

    def found(name: str) -> list[tuple[Any, ...]]:
        return rows(connection, name, schema=schema)

    facts = record(connection, "target", schema=schema, functions=list(FUNCTIONS))
    exists, usable = facts.pop("ledger_exists"), facts.pop("ledger_usable")
    tables = ledger_tables(connection)
    closed = tuple(name for name, table in tables.items() if not table.writable)
    foreign = tuple(name for name, table in tables.items() if not table.owned)
    # Where we cannot look, the ledger is as new as any; the privileges to look come first.
    outdated = bool(foreign) and usable and "alembic_version" not in closed and is_old(connection)
    steps = usable and "step" in tables and "step" not in closed
    facts |= {name: frozenset(facts[name]) for name in ("functions", "reserved", "ascii_collations")}
    facts |= {name: tuple(facts[name]) for name in ("stripped", "utc_offsets")}
    return Target(
        **facts,
        schema=schema,
        not_owned=tuple(found("not_owned")),
        ledger=LedgerSchema(usable, foreign, closed, outdated) if exists else None,
        relations=tuple(found("relations")),
        zero_argument_functions=tuple(found("functions")),
        left_over=tuple(found("left_over")) if steps else (),
        collations=dict(found("collations")),
        extensions=dict(found("known_extensions")),
    )


class LedgerTable(NamedTuple):
    """A table of the ledger, and what the role may do with it."""

    owned: bool
    readable: bool
    writable: bool
    columns: list[str]
    """An earlier version's has fewer."""


def ledger_tables(connection: psycopg.Connection[Any]) -> dict[str, LedgerTable]:
    """The tables of the ledger that is there, by their names."""
    return {name: LedgerTable(*facts) for name, *facts in rows(connection, "ledger_tables")}


def is_old(connection: psycopg.Connection[Any]) -> bool:
    """Whether the ledger that is there is not what this version of converge works with."""
    return ledger_version(connection) != ledger_versions()[-1]


def ledger_version(connection: psycopg.Connection[Any]) -> str | None:
    """None where Alembic was stopped before its first revision."""
    found: str | None = value(connection, "SELECT version_num FROM converge.alembic_version")
    return found


def ledger_versions() -> list[str]:
    """Those that this version of converge knows, the newest last; Alembic takes its time to load."""
    paths = (folder("migrations") / "versions").glob("[0-9]*.py")
    return sorted(path.stem.partition("_")[0] for path in paths)


def occupied(connection: psycopg.Connection[Any], target: Target, tables: Collection[str]) -> Finding | None:
    """The finding that names of planned tables and views are in use in the target, with what has them."""
    unused = {name for _, _, name in target.left_over}
    existing = [(name, kind) for name, _, kind in target.relations if name in tables and name not in unused]
    if not existing:
        return None
    seen = [
        f"{target.schema}.{name} {_content(connection, target, name, kind)}"
        for name, kind in existing[:_SHOWN]
    ]
    return Finding(
        OCCUPIED,
        "block",
        "target",
        said(
            len(existing),
            "exist in the target already, and converge does not write into them",
            "table or view",
            "tables and views",
            of=f"{len(tables):,}",
        ),
        "--recreate drops the planned tables and makes them again (never CASCADE); "
        "--schema NAME loads beside them",
        ", ".join(seen + ([f"and {more} more"] if (more := len(existing) - len(seen)) else [])),
    )


def _content(connection: psycopg.Connection[Any], target: Target, name: str, kind: str) -> str:
    if kind != "TABLE":
        return f"is the name of {'an' if kind[0] in 'AEIOU' else 'a'} {kind.lower()}"
    try:
        filled = value(connection, f"SELECT EXISTS (SELECT FROM {pg_name(target.schema, name)})")
    except psycopg.errors.InsufficientPrivilege:
        return "may not be read"
    return "has rows" if filled else "is empty"
