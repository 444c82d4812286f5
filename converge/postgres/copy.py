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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError
from converge.model.quote import pg_name, pg_text
from converge.model.result import Reject
from converge.model.table_plan import TablePlan
from converge.model.work import Copied, CopyTask
from converge.postgres.connect import THEIR_PATH
from converge.postgres.lock import ALIVE

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


Encode = Callable[[Iterable[bytes]], bytes]
"""What makes COPY text of rows, or of pieces of rows, as the source gives them."""


def encoder(*, marked: bool) -> Encode:
    """For rows that are marked; the others are COPY text already."""
    return encode if marked else b"".join


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


@contextmanager
def rolled_back(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Rolls the transaction back that an error leaves open."""
    try:
        yield
    except BaseException:
        # On a connection that is lost the server does it, and the first error is the one to tell.
        with suppress(psycopg.Error):
            connection.rollback()
        raise


def claim(connection: psycopg.Connection[Any], task: CopyTask) -> Copied | None:
    """Begins a transaction that marks the chunk done; when it was done before, tells what it came to.

    The ledger decides, never the client's memory: after a lost COMMIT answer this says what happened. Where
    the lost connection's backend still lives, this waits for its end. One round trip, as `enter` is: at 20 ms
    away each of them is a twentieth of a chunk's time.

    Raises TargetError where the task is of an attempt that has ended: the next one has another snapshot. It
    takes the lock and then ends all who have claimed before.
    """
    chunk = _this_chunk(task.run, task.table, task.number)
    alive = f" AND {ALIVE % {'attempt': pg_text(task.attempt)}}" if task.attempt else ""
    cursor = connection.execute(
        "BEGIN; UPDATE converge.chunk SET done_at = clock_timestamp() "
        f"{chunk} AND done_at IS NULL{alive}; {THEIR_PATH}".encode()
    )
    cursor.nextset()
    if cursor.rowcount == 1:
        return None
    row = connection.execute(
        f"SELECT rows, bytes, seconds, rejected, done_at FROM converge.chunk {chunk}".encode()
    ).fetchone()
    connection.rollback()
    if row is None:
        # A standby that took over may lack what the ledger had confirmed.
        message = (
            f"{task.table}: the target has lost chunk {task.number}, which the ledger had: has it crashed?"
        )
        raise TargetError(message, code=Code.R004, hint="look into its log", lost=True)
    if row[4] is None:
        raise TargetError(f"{task.table}: the run that has sent this chunk has ended", code=Code.R007)
    return Copied(task.table, task.number, *row[:4])


def enter(connection: psycopg.Connection[Any], run: int, copied: Copied, rejects: Sequence[Reject]) -> None:
    """Completes the ledger row of a chunk that `claim` has marked, and commits.

    The transaction's id is what its rows have as xmin, so that they can be found again.
    """
    chunk = (run, copied.table, copied.number)
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
    done = f"rows = {copied.rows}, bytes = {copied.bytes}, seconds = {copied.seconds}"
    writer = f"rejected = {copied.rejected}, xid = pg_current_xact_id()::xid"
    query = f"UPDATE converge.chunk SET {done}, {writer} {_this_chunk(*chunk)}; COMMIT"
    connection.execute(query.encode())


def _this_chunk(run: int, table: str, number: int) -> str:
    return f"WHERE run_id = {run} AND source_table = {pg_text(table)} AND number = {number}"


def write(connection: psycopg.Connection[Any], statement: str, blocks: Iterable[bytes]) -> int:
    """Streams the blocks into COPY; returns the rows that the server has written."""
    with connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount
