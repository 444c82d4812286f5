"""What the target is and has: version, encoding, rights, relations."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg

from converge.errors import BlockedError, TargetError
from converge.model.quote import pg_name

_EXTENSIONS = """
    SELECT coalesce(e.extname, a.name)::text, coalesce(n.nspname::text, '')
    FROM pg_available_extensions a FULL JOIN pg_extension e ON e.extname = a.name
    LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
"""


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
    may_create_schema: bool
    owns_ledger: bool
    relations: tuple[tuple[str, str], ...]
    """Tables, views, indexes, sequences and types of the schema, each with the table it belongs to."""

    collations: Mapping[str, str]
    """ICU locales of the collations that are not deterministic, by their quoted names."""

    extensions: Mapping[str, str]
    """Extensions with their schemas; empty for one that is not made but could be."""

    @property
    def names(self) -> frozenset[str]:
        """Tables, views and types that stand for themselves."""
        return frozenset(name for name, owner in self.relations if name == owner)

    def foreign_names(self, own: Container[str]) -> frozenset[str]:
        """Names in use by what does not belong to the tables and views in `own`."""
        return frozenset(name for name, owner in self.relations if owner not in own)


def read_target(connection: psycopg.Connection[Any], schema: str) -> Target:
    """Reads the target's facts; writes nothing."""
    row = connection.execute(
        """
        SELECT current_setting('server_version'), current_database()::text, current_user::text,
               current_setting('server_encoding'), to_regnamespace(quote_ident(%(schema)s)) IS NOT NULL,
               coalesce(has_schema_privilege(to_regnamespace(quote_ident(%(schema)s))::oid, 'CREATE')
                    AND has_schema_privilege(to_regnamespace(quote_ident(%(schema)s))::oid, 'USAGE'), false),
               has_database_privilege(current_database(), 'CREATE'),
               coalesce(has_schema_privilege(to_regnamespace('converge')::oid, 'CREATE'), false)
        """,
        {"schema": schema},
    ).fetchone()
    assert row is not None
    version, database, role, encoding, exists, in_schema, schemas, ledger = row
    query = files("converge.postgres").joinpath("queries", "relations.sql").read_bytes()
    relations = connection.execute(query, {"schema": schema}).fetchall()
    return Target(
        version=version.split()[0],
        database=database,
        role=role,
        schema=schema,
        schema_exists=exists,
        encoding=encoding,
        may_create_in_schema=in_schema or (not exists and schemas),
        may_create_schema=schemas,
        owns_ledger=ledger,
        relations=tuple((name, owner) for name, owner in relations),
        collations=_collations(connection),
        extensions=dict(connection.execute(_EXTENSIONS).fetchall()),
    )


def _collations(connection: psycopg.Connection[Any]) -> Mapping[str, str]:
    """Each under its whole name, and by itself where the search path finds it."""
    query = files("converge.postgres").joinpath("queries", "collations.sql").read_bytes()
    found = {}
    for schema, name, visible, locale in connection.execute(query):
        found[pg_name(schema, name)] = locale
        if visible:
            found[pg_name(name)] = locale
    return found


def missing_rights(target: Target) -> list[str]:
    """The GRANT for every right that a run needs and the role does not have."""
    missing = []
    role = pg_name(target.role)
    if not (target.owns_ledger or target.may_create_schema):
        missing.append(f"GRANT CREATE ON DATABASE {pg_name(target.database)} TO {role};")
    if not target.may_create_in_schema:
        missing.append(f"GRANT USAGE, CREATE ON SCHEMA {pg_name(target.schema)} TO {role};")
    return missing


def temporary_grant(target: Target) -> str:
    """The GRANT that lets the role try translations in tables of its own session."""
    return f"GRANT TEMPORARY ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};"


def require_rights(target: Target) -> None:
    """Raises TargetError with every missing right, all at once, or for an encoding that cannot hold all."""
    if missing := missing_rights(target):
        raise TargetError(
            f"the role {target.role} may not create what the migration needs in {target.database}",
            code="T004",
            hint=" ".join(missing),
        )
    if target.encoding != "UTF8":
        raise TargetError(
            f"the target database is encoded in {target.encoding}",
            code="T008",
            hint=f"CREATE DATABASE {pg_name(target.database)} TEMPLATE template0 ENCODING 'UTF8';",
        )


def require_empty(connection: psycopg.Connection[Any], target: Target, tables: list[str]) -> None:
    """Raises BlockedError when a planned table is there already, with its size."""
    there = target.names
    found = [table for table in tables if table in there]
    if not found:
        return
    details = []
    for table in found[:20]:
        name = pg_name(target.schema, table)
        row = connection.execute(f"SELECT EXISTS (SELECT FROM {name})".encode()).fetchone()
        details.append(f"{target.schema}.{table}: " + ("has rows" if row and row[0] else "is empty"))
    raise BlockedError(
        f"{len(found)} of {len(tables)} tables are in the target already; converge does not write into them",
        code="T005",
        details=details,
        hint="--truncate drops and makes them anew (never CASCADE), --schema NAME loads beside them",
    )
