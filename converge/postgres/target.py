"""What the target is and has: version, encoding, rights, relations."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.model.plan import OCCUPIED, Finding
from converge.model.quote import pg_name
from converge.postgres.capabilities import FUNCTIONS
from converge.resources import folder, sql

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


@dataclass(frozen=True, slots=True)
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
    tablespace: str
    """`default_tablespace` where the role may not create in it; empty when all is well."""
    stripped: tuple[str, ...]
    """Kinds of object, as ALTER DEFAULT PRIVILEGES names them, on which the role would lack rights of its
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

    @property
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
    (version, database, role, encoding, exists, in_schema, schemas, temporary, standby, tablespace, ledger,
     usable) = query(connection, "target", schema)[0]  # fmt: skip
    return Target(
        version=version.split()[0],
        database=database,
        role=role,
        schema=schema,
        schema_exists=exists,
        encoding=encoding,
        may_create_in_schema=in_schema,
        may_create_schemas=schemas,
        may_make_temporary=temporary,
        standby=standby,
        tablespace=tablespace,
        stripped=tuple(kind for (kind,) in query(connection, "stripped", schema)),
        not_owned=tuple((kind, name, table) for kind, name, table in query(connection, "not_owned", schema)),
        ledger=_ledger(connection, schema, usable=usable) if ledger else None,
        relations=tuple(query(connection, "relations", schema)),
        zero_argument_functions=tuple(query(connection, "functions", schema)),
        left_over=_left_over(connection, schema, usable=usable) if ledger else (),
        collations=_collations(connection, schema),
        extensions=dict(query(connection, "known_extensions", schema)),
        functions=_functions(connection),
    )


def _functions(connection: psycopg.Connection[Any]) -> frozenset[str]:
    rows = connection.execute(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE proname = ANY(%s)", (list(FUNCTIONS),)
    )
    return frozenset(name for (name,) in rows)


def _collations(connection: psycopg.Connection[Any], schema: str) -> Mapping[str, str]:
    """Each under its whole name, and by itself where the search path finds it."""
    found = {}
    for owner, name, visible, locale in query(connection, "collations", schema):
        found[pg_name(owner, name)] = locale
        if visible:
            found[pg_name(name)] = locale
    return found


def _left_over(
    connection: psycopg.Connection[Any], schema: str, *, usable: bool
) -> tuple[tuple[str, str, str], ...]:
    """Empty where the ledger has no steps, or may not be read."""
    open_ = {name for name, _, writable in query(connection, "ledger_tables", schema) if writable}
    if not usable or "step" not in open_:
        return ()
    return tuple(query(connection, "left_over", schema))


def _ledger(connection: psycopg.Connection[Any], schema: str, *, usable: bool) -> LedgerSchema:
    tables = query(connection, "ledger_tables", schema)
    foreign = tuple(name for name, owned, _ in tables if not owned)
    closed = tuple(name for name, _, writable in tables if not writable)
    readable = usable and "alembic_version" not in closed
    # Where we cannot look, the ledger is as new as any; the rights to look come first.
    outdated = bool(foreign) and readable and _revision(connection) != newest_revision()
    return LedgerSchema(usable, foreign, closed, outdated)


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute("SELECT version_num FROM converge.alembic_version").fetchone()
    return row[0] if row else None


def newest_revision() -> str | None:
    """The revision of the ledger that this version of converge works with."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(folder("migrations"))).get_current_head()


def query(connection: psycopg.Connection[Any], name: str, schema: str) -> list[tuple[Any, ...]]:
    """The rows of one of our queries; those about a schema mean this one."""
    return connection.execute(sql("converge.postgres", name).encode(), {"schema": schema}).fetchall()


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
        f"{len(existing)} of {len(tables)} tables and views exist in the target already, "
        "and converge does not write into them",
        "--recreate drops the planned tables and makes them again (never CASCADE); "
        "--schema NAME loads beside them",
        ", ".join(seen + ([f"and {more} more"] if (more := len(existing) - len(seen)) else [])),
    )


def _content(connection: psycopg.Connection[Any], target: Target, name: str, kind: str) -> str:
    if kind != "TABLE":
        return f"is the name of {'an' if kind[0] in 'AEIOU' else 'a'} {kind.lower()}"
    table = pg_name(target.schema, name)
    try:
        row = connection.execute(f"SELECT EXISTS (SELECT FROM {table})".encode()).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return "may not be read"
    return "has rows" if row and row[0] else "is empty"
