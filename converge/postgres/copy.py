"""COPY: rows as its text format, and a chunk with its ledger row in one transaction.

The format is in PostgreSQL's manual, "COPY", Text Format. A marked row of `mysql.rows` ends each field with
one byte that no UTF-8 text can hold: 0xFF after a value and 0xFE for a NULL, 0xFD and 0xFC at the row's end.
So the backslash, tab and line-end escapes can run over the whole block at C speed before the marks become
tabs and line ends. All of them are single bytes, so a block may end anywhere, also inside a row.

A stray mark in the data, which would be invalid UTF-8, cannot go by in silence: every mark adds a
field or a row, and COPY refuses a row with the wrong number of fields; the number of rows is
compared after each chunk. As examples (`·` is a tab, `¶` a line end):

    1 FF a·b FD      becomes    1·a\\tb¶
    2 FF FC          becomes    2·\\N¶
    3 FF a FF b FD   becomes    3·a·b¶, which has a field too many: COPY refuses it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import pg_name
from converge.model.result import Reject
from converge.model.work import Copied, CopyTask

_THIS_CHUNK = "WHERE run_id = %s AND source_table = %s AND number = %s"
_STEPS = (
    (b"\\", b"\\\\"),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
    (b"\t", b"\\t"),
    (b"\xff", b"\t"),
    (b"\xfe", b"\\N\t"),
    (b"\xfd", b"\n"),
    (b"\xfc", b"\\N\n"),
)


def encode(parts: Iterable[bytes]) -> bytes:
    """COPY text of marked rows or pieces of rows. A step whose byte is not in the block costs no copy."""
    block = b"".join(parts)
    for byte, text in _STEPS:
        block = block.replace(byte, text)
    return block


_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def fields(row: bytes) -> list[bytes | None]:
    """The values of one line of COPY text; None is NULL."""
    texts = row.removesuffix(b"\n").split(b"\t")
    return [None if text == b"\\N" else _ESCAPE.sub(_unescaped, text) for text in texts]


def _unescaped(match: re.Match[bytes]) -> bytes:
    return _MEANT.get(match[1], match[1])


def copy_statement(schema: str, table: TablePlan) -> str:
    """COPY with an explicit column list, where there is a column to fill: an empty list is no SQL."""
    columns = ",".join(pg_name(column.target) for column in table.copied)
    listed = f" ({columns})" if columns else ""
    return f"COPY {pg_name(schema, table.target)}{listed} FROM STDIN"


def claim(connection: psycopg.Connection[Any], task: CopyTask) -> Copied | None:
    """Marks the chunk done inside the open transaction; when it was done before, what it came to.

    The ledger decides, never the client's memory: after a lost COMMIT answer this says what happened. Where
    the lost connection's backend still lives, this waits for its end.
    """
    cursor = connection.execute(
        f"UPDATE converge.chunk SET done_at = clock_timestamp() {_THIS_CHUNK} AND done_at IS NULL".encode(),
        (task.run, task.table, task.number),
    )
    if cursor.rowcount == 1:
        return None
    row = connection.execute(
        f"SELECT rows, bytes, seconds, rejected FROM converge.chunk {_THIS_CHUNK}".encode(),
        (task.run, task.table, task.number),
    ).fetchone()
    assert row is not None, f"{task.table} has no chunk {task.number}"
    return Copied(task.table, task.number, *row)


def enter(
    connection: psycopg.Connection[Any], run: int, copied: Copied, rejects: Sequence[Reject] = ()
) -> None:
    """Completes the ledger row of a chunk that was claimed in the same transaction.

    The transaction's id is what its rows have as xmin, so that they can be found again.
    """
    chunk = (run, copied.table, copied.number)
    connection.execute(
        "UPDATE converge.chunk SET rows = %s, bytes = %s, seconds = %s, rejected = %s, "
        f"xid = pg_current_xact_id()::xid {_THIS_CHUNK}".encode(),
        (copied.rows, copied.bytes, copied.seconds, copied.rejected, *chunk),
    )
    for one in rejects:
        connection.execute(
            "INSERT INTO converge.reject (run_id, source_table, chunk, key, column_name, value, value_bytes, "
            "sqlstate, message) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *chunk,
                one.key,
                one.column,
                bytes.fromhex(one.value),
                one.value_bytes,
                one.sqlstate,
                one.message,
            ),
        )


def write(connection: psycopg.Connection[Any], statement: str, blocks: Iterable[bytes]) -> int:
    """Streams the blocks into COPY; returns the rows that the server has written."""
    with connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount
