"""A chunk into a table: COPY and its ledger row in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import pg_name
from converge.model.result import Reject
from converge.model.work import Copied, CopyTask

_THIS_CHUNK = "WHERE run_id = %s AND source_table = %s AND number = %s"


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
