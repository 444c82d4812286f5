"""Cuts a table into ranges of its primary key, of any key type.

A key that begins with a dense integer is cut by arithmetic. Any other key is walked along its index: MySQL
names the last key of every chunk, in its own collation's order, and quotes it for us.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from pymysql.connections import Connection

from converge.model.extent import Bound, Extent, Range
from converge.model.quote import my_name
from converge.mysql.rows import where

CHUNK_BYTES = 16 * 1024 * 1024
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time"})
# A key with more holes than this is walked, or its chunks would have very different sizes.
_SPARSE = 3
# A walk ends after so many times the ranges that there should be: statistics may know 3 of a million rows.
_MOST_TIMES = 8
# A composite key whose first column has fewer values than this a chunk is walked, too.
_COARSE = 16


def cut(connection: Connection[Any], extent: Extent, size: int | None = None) -> Iterator[Range]:
    """Ranges of about `size` bytes (16 MB) that hold every row exactly once, whatever is written meanwhile.

    The first range has no lower and the last no upper bound. A table without a primary key is one
    range: one transaction.
    """
    chunks = extent.bytes // (size or CHUNK_BYTES)
    if not extent.key or chunks < 2 or extent.rows == 0:
        yield Range()
        return
    rows = max(1, extent.rows // chunks)
    bounds = _arithmetic(connection, extent, chunks) if extent.key[0][1] in _INTEGERS else None
    low: Bound | None = None
    for bound in islice(_walk(connection, extent, rows), _MOST_TIMES * chunks) if bounds is None else bounds:
        yield Range(low, bound)
        low = bound
    yield Range(low, None)


def _arithmetic(connection: Connection[Any], extent: Extent, chunks: int) -> list[Bound] | None:
    """Bounds of the key's first column; None when its values are too sparse or too few for even chunks."""
    key = my_name(extent.key[0][0])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN({key}), MAX({key}) FROM {my_name(extent.table)}")
        first, last = cast(tuple[int | None, int | None], cursor.fetchone())
    if first is None or last is None:
        return []
    span = last - first + 1
    if span > _SPARSE * extent.rows or span < _COARSE * chunks:
        return None
    return [(str(first + span * number // chunks - 1),) for number in range(1, chunks)]


def _walk(connection: Connection[Any], extent: Extent, rows: int) -> Iterator[Bound]:
    names = [name for name, _ in extent.key]
    columns = ",".join(literal(my_name(name), type_) for name, type_ in extent.key)
    order = ",".join(map(my_name, names))
    low: Bound | None = None
    while True:
        query = (
            f"SELECT {columns} FROM {my_name(extent.table)}{where(names, Range(low))} "
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


def literal(reference: str, type_: str) -> str:
    """MySQL expression that prints a key value as a literal which compares like the value itself."""
    if type_ in _BINARY:
        return f"CONCAT('x\\'',HEX({reference}),'\\'')"
    if type_ in _TEXT:
        return f"CONCAT('_utf8mb4 x\\'',HEX(CONVERT({reference} USING utf8mb4)),'\\'')"
    if type_ in _TIMES:
        return f"CONCAT('\\'',{reference},'\\'')"
    # The index orders an ENUM by its number, but a comparison with a string would go by its label.
    return f"CAST({reference}*1e0 AS CHAR)" if type_ == "float" else f"CAST({reference}+0 AS CHAR)"
