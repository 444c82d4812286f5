"""A chunk into a table: COPY and its ledger row in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import pg_name
from converge.model.work import CopyTask


def copy_statement(schema: str, table: TablePlan) -> str:
    """COPY with an explicit column list, where there is a column to fill: an empty list is no SQL."""
    columns = ",".join(pg_name(column.target) for column in table.copied)
    listed = f" ({columns})" if columns else ""
    return f"COPY {pg_name(schema, table.target)}{listed} FROM STDIN"


def claim(connection: psycopg.Connection[Any], task: CopyTask) -> bool:
    """Marks the chunk done inside the open transaction; False when it was done before.

    The ledger decides, never the client's memory: after a lost COMMIT answer this says what happened.
    """
    cursor = connection.execute(
        "UPDATE converge.chunk SET done_at = clock_timestamp() "
        "WHERE run_id = %s AND source_table = %s AND number = %s AND done_at IS NULL",
        (task.run, task.table, task.number),
    )
    return cursor.rowcount == 1


def enter(connection: psycopg.Connection[Any], task: CopyTask, rows: int, size: int, seconds: float) -> None:
    """Completes the ledger row of a chunk that was claimed in the same transaction."""
    connection.execute(
        "UPDATE converge.chunk SET rows = %s, bytes = %s, seconds = %s "
        "WHERE run_id = %s AND source_table = %s AND number = %s",
        (rows, size, seconds, task.run, task.table, task.number),
    )


def write(connection: psycopg.Connection[Any], statement: str, blocks: Iterable[bytes]) -> int:
    """Streams the blocks into COPY; returns the rows that the server has written."""
    with connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount
