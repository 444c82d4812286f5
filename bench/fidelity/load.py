"""Makes the generated tables in MySQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, TypeVar

from pymysql.connections import Connection

from bench.fidelity.tables import Table

_ROWS = 300
_COMMIT = 100
T = TypeVar("T")


def load(connection: Connection[Any], table: Table, values: int, rows: int = 0) -> int:
    """Creates the table and fills it; returns how many values it holds that are not NULL.

    Strict: MySQL must take every literal as it is, or this raises the driver's error.
    """
    rng = Random(table.name)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO', autocommit = 0")
        cursor.execute(table.create())
        lines = table.rows(rng, rows or table.rows_for(values))
        for number, block in enumerate(_blocks(lines, _ROWS), 1):
            cursor.execute(f"INSERT INTO {table.name} VALUES {','.join(block)}")
            if number % _COMMIT == 0:
                connection.commit()
        connection.commit()
        cursor.execute(f"ANALYZE TABLE {table.name}")
        counts = "+".join(f"COUNT(c{place})" for place in range(1, len(table.columns) + 1))
        cursor.execute(f"SELECT {counts} FROM {table.name}")
        return int(cursor.fetchall()[0][0])


def _blocks(items: Iterator[T], size: int) -> Iterator[Sequence[T]]:
    while block := list(islice(items, size)):
        yield block
