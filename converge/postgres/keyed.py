"""The rows of a small table by the digests of their keys: the same as `mysql.keyed`."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.existing import OwnForeignKey
from converge.model.plan import TablePlan
from converge.model.quote import pg_name
from converge.postgres.digest import key_digest, row_digest


def keyed_rows(connection: psycopg.Connection[Any], schema: str, table: TablePlan) -> dict[str, str]:
    """Digest of the key → digest of the row."""
    query = f"SELECT {key_digest(table)},{row_digest(table)} FROM {pg_name(schema, table.target)}"
    return dict(connection.execute(query.encode()).fetchall())


def count_children(
    connection: psycopg.Connection[Any], key: OwnForeignKey, parent: TablePlan, keys: list[str]
) -> int:
    """Rows that refer by this foreign key to parents with these digests of their keys."""
    columns, parents = (",".join(map(pg_name, names)) for names in (key.columns, key.parent_columns))
    query = (
        f"SELECT count(*) FROM {key.table} WHERE ({columns}) IN "
        f"(SELECT {parents} FROM {key.parent} WHERE {key_digest(parent)} = ANY (%s))"
    )
    # A query with parameters reads % as their beginning.
    text = query.replace("%", "%%").replace("ANY (%%s)", "ANY (%s)")
    row = connection.execute(text.encode(), (keys,)).fetchone()
    assert row is not None
    return int(row[0])
