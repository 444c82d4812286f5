"""Multi-row INSERTs with literals rendered here: the driver's own escaping would cost more than that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain

from pymysql.connections import Connection
from pymysql.cursors import Cursor

#: What a row may hold. Dates, times and decimals travel as text; binary as bytes; BIT as an integer.
Value = None | int | float | str | bytes
Row = tuple[Value, ...]

#: Characters of one statement; far below the smallest max_allowed_packet in use (4 MiB), even as utf8mb4.
STATEMENT_SIZE = 512 * 1024


def literal(value: Value) -> str:
    """`value` as MySQL reads it, given that NO_BACKSLASH_ESCAPES is off."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return repr(value)


def document(value: object) -> str:
    """`value` as text for a JSON column."""
    return json.dumps(value, ensure_ascii=False)


def insert(connection: Connection[Cursor], table: str, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Insert `rows` in one transaction; returns how many there were."""
    head = f"INSERT INTO `{table}` ({', '.join(f'`{name}`' for name in columns)}) VALUES\n"
    count = size = 0
    batch: list[str] = []
    connection.begin()
    with connection.cursor() as cursor:
        for row in chain(rows, (None,)):
            if batch and (row is None or size > STATEMENT_SIZE):
                cursor.execute(head + ",\n".join(batch))
                count += len(batch)
                batch, size = [], 0
            if row is not None:
                batch.append("(" + ",".join(map(literal, row)) + ")")
                size += len(batch[-1])
    connection.commit()
    return count
