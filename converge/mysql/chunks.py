"""Cuts a table into ranges of its primary key, of any key type.

A key that begins with a dense integer is cut by arithmetic. Any other key is walked along its index: MySQL
names the last key of every chunk, in its own collation's order, and quotes it for us.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pymysql.connections import Connection

from converge.model.plan import TablePlan
from converge.model.quote import my_name
from converge.model.work import Bound, Range
from converge.mysql.rows import where

CHUNK_BYTES = 16 * 1024 * 1024
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time"})
# A key with more holes than this is walked, or its chunks would have very different sizes.
_SPARSE = 3
# A composite key whose first column has fewer values than this a chunk is walked, too.
_COARSE = 16


def cut(connection: Connection[Any], table: TablePlan) -> Iterator[Range]:
    """Ranges of about 16 MB that hold every row exactly once, whatever is written meanwhile.

    The first range has no lower and the last no upper bound. A table without a primary key is one
    range: one transaction.
    """
    chunks = table.data_bytes // CHUNK_BYTES
    if not table.key or chunks < 2 or table.rows_estimate == 0:
        yield Range()
        return
    rows = max(1, table.rows_estimate // chunks)
    bounds = _arithmetic(connection, table, chunks) if table.integer_key else None
    low: Bound | None = None
    for bound in bounds if bounds is not None else _walk(connection, table, rows):
        yield Range(low, bound)
        low = bound
    yield Range(low, None)


def _arithmetic(connection: Connection[Any], table: TablePlan, chunks: int) -> list[Bound] | None:
    """Bounds of the key's first column; None when its values are too sparse or too few for even chunks."""
    key = my_name(table.key[0])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN({key}), MAX({key}) FROM {my_name(table.source)}")
        first, last = cast(tuple[int | None, int | None], cursor.fetchone())
    if first is None or last is None:
        return []
    span = last - first + 1
    if span > _SPARSE * table.rows_estimate or span < _COARSE * chunks:
        return None
    return [(str(first + span * number // chunks - 1),) for number in range(1, chunks)]


def _walk(connection: Connection[Any], table: TablePlan, rows: int) -> Iterator[Bound]:
    columns = ",".join(_literal(table, name) for name in table.key)
    order = ",".join(my_name(name) for name in table.key)
    low: Bound | None = None
    while True:
        query = (
            f"SELECT {columns} FROM {my_name(table.source)}{where(table, Range(low))} "
            f"ORDER BY {order} LIMIT {rows - 1}, 1"
        )
        with connection.cursor() as cursor:
            cursor.execute(query)
            found = cursor.fetchone()
        bound = cast(Bound | None, found and tuple(found))
        if bound is None or bound == low:
            # A literal that sorts before its own key (cp932 has two codes for some characters) ends the walk.
            return
        low = bound
        yield low


def _literal(table: TablePlan, name: str) -> str:
    """MySQL expression that prints a key value as a literal which compares like the value itself."""
    column = next(column for column in table.columns if column.source == name)
    reference = my_name(name)
    kind = column.source_type.partition("(")[0].split()[0]
    if kind in _BINARY:
        return f"CONCAT('x\\'',HEX({reference}),'\\'')"
    if kind in _TEXT:
        return f"CONCAT('_utf8mb4 x\\'',HEX(CONVERT({reference} USING utf8mb4)),'\\'')"
    if kind in _TIMES:
        return f"CONCAT('\\'',{reference},'\\'')"
    # The index orders an ENUM by its number, but a comparison with a string would go by its label.
    return f"CAST({reference}*1e0 AS CHAR)" if kind == "float" else f"CAST({reference}+0 AS CHAR)"
