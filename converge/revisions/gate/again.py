"""A second look, where nobody can write any more: what had no rows for the gate may have got some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.quote import pg_name
from converge.postgres.held import Relation, counted

_NOW = (
    "SELECT n.nspname::text, c.relname::text, c.relkind::text FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = "
)


def require_empty(connection: Connection, revision: str, relations: Iterable[Relation]) -> None:
    """Locks these relations until the revision's transaction ends. Raises BlockedError for rows in them.

    The connection is that of the user's env.py, and may have another driver than ours.
    """
    # Outside of a transaction a lock would end with its own statement.
    locks = connection.get_isolation_level() != "AUTOCOMMIT"
    for oid in sorted({one.oid for one in relations}):
        # By then it may have another name, or be gone.
        for schema, name, kind in _asked(connection, f"{_NOW}{oid}"):
            if kind in "rp" and locks:
                lock = f"LOCK TABLE {pg_name(schema, name)} IN ACCESS EXCLUSIVE MODE"
                connection.exec_driver_sql(_driven(lock))
            rows = _asked(connection, counted(Relation(oid, schema, name, kind)))[0][0]
            if rows:
                raise BlockedError(
                    f"{schema}.{name} had no rows when the gate looked, and has {rows:,} now; "
                    f"{revision} was rolled back",
                    code=Code.A009,
                    hint="run the same command again: it says what would become of these rows",
                )


def _asked(connection: Connection, query: str) -> list[Any]:
    return list(connection.exec_driver_sql(_driven(query)).all())


def _driven(statement: str) -> str:
    """Drivers take a % for a parameter."""
    return statement.replace("%", "%%")
