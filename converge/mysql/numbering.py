"""The next AUTO_INCREMENT value of each table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pymysql.connections import Connection

from converge.model.quote import my_name

_BATCH = 100
"""Tables that are opened by one query."""


def next_values(connection: Connection[Any], tables: Sequence[str]) -> dict[str, int]:
    """The number that the next row of each table gets; those that have given none yet are not in it.

    Only an opened table knows its counter: after a restart, or when the server has closed the table,
    information_schema shows NULL or the last number.
    """
    with connection.cursor() as cursor:
        for start in range(0, len(tables), _BATCH):
            batch = tables[start : start + _BATCH]
            cursor.execute(" UNION ALL ".join(f"(SELECT 1 FROM {my_name(table)} LIMIT 0)" for table in batch))
        cursor.execute(
            "SELECT TABLE_NAME, `AUTO_INCREMENT` FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = DATABASE() AND `AUTO_INCREMENT` IS NOT NULL"
        )
        return dict(cast(Sequence[tuple[str, int]], cursor.fetchall()))
