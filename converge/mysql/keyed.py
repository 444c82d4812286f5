"""Rows of a table by the digests of their keys, and the values of foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import SSCursor

from converge.model.plan import ColumnPlan, TablePlan
from converge.model.quote import my_name
from converge.mysql.digest import field_text, key_digest, row_digest

Keys = Sequence[Sequence[ColumnPlan]]
"""Keys of one table, each by its columns."""


def keyed_rows(
    connection: Connection[Any], table: TablePlan, keys: Keys, limit: int | None
) -> Iterator[tuple[str | None, ...]]:
    """The digests of each row, of its key, and of the further `keys`, of at most `limit` rows.

    A further key with NULL has none.
    """
    digests = ",".join([row_digest(table), key_digest(table), *map(_digest, keys)])
    most = f" LIMIT {limit}" if limit is not None else ""
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {digests} FROM {my_name(table.source)}{most}")
        yield from cursor


def _digest(key: Sequence[ColumnPlan]) -> str:
    texts = ",".join(map(field_text, key))
    filled = " AND ".join(f"({column.source_text}) IS NOT NULL" for column in key)
    return f"IF({filled},MD5(CONCAT_WS('|',{texts})),NULL)"


def distinct_values(
    connection: Connection[Any], table: TablePlan, columns: Sequence[ColumnPlan]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The values as the target will read them, with their rows; those without NULL."""
    texts = ",".join(f"CAST({column.read} AS BINARY)" for column in columns)
    places = ",".join(str(number + 1) for number in range(len(columns)))
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {texts},COUNT(*) FROM {my_name(table.source)} GROUP BY {places}")
        for *values, rows in cursor:
            if all(value is not None and b"\0" not in value for value in values):
                # What is no UTF-8 stops the run as a trap.
                yield tuple(value.decode("utf-8", "replace") for value in values), rows
