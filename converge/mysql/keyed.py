"""The rows of a small table by the digests of their keys, to compare them with what the target has."""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from converge.model.catalog import ForeignKey, Table
from converge.model.plan import TablePlan
from converge.model.quote import my_name, my_text
from converge.mysql.digest import key_digest, row_digest


def keyed_rows(connection: Connection[Any], table: TablePlan, limit: int) -> dict[str, str]:
    """Digest of the key → digest of the row, of at most `limit` rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key_digest(table)},{row_digest(table)} FROM {my_name(table.source)} LIMIT {limit}"
        )
        return {str(key): str(row) for key, row in cursor.fetchall()}


def count_children(
    connection: Connection[Any], child: Table, key: ForeignKey, parent: TablePlan, keys: list[str]
) -> int:
    """Rows of a child that refer to parents with these digests of their keys."""
    columns = ",".join(map(my_name, key.columns))
    parents = ",".join(map(my_name, key.parent_columns))
    wanted = ",".join(map(my_text, keys))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM {my_name(child.name)} WHERE ({columns}) IN "
            f"(SELECT {parents} FROM {my_name(parent.source)} WHERE {key_digest(parent)} IN ({wanted}))"
        )
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])
