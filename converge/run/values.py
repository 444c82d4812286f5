"""The drill-down's values: what two of them mean, how a difference is shown, and long ones in parts."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol, cast

import psycopg

from converge.model.plan import ColumnPlan
from converge.model.quote import my_name, my_text, pg_name, pg_text
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import Read, stream
from converge.postgres.copy import encode, write

_SHOWN = 1000
"""Characters of a value that are shown."""
_NUMERALS = "0123456789.eE+-"


class Judged(Protocol):
    """A column whose values are compared."""

    @property
    def judge(self) -> str: ...


def meaning(column: Judged, value: str | None) -> Hashable:
    """The value in a form in which equal things are equal."""
    if value is None or column.judge != "json":
        return value
    return _frozen(json.loads(value, parse_float=_Number, parse_int=_Number))


def without_numerals(column: ColumnPlan) -> ColumnPlan:
    """The column with texts that are the same for the same JSON, however its numbers are written.

    A row without a key is found by the digest of these, or 1e300 would have other neighbours on each side.
    """
    if column.judge != "json":
        return column
    # A text that became JSON may have other spaces and another order.
    source = f"CAST(CAST({column.source_value} AS JSON) AS CHAR)"
    for char in _NUMERALS:
        source = f"REPLACE({source},'{char}','')"
    target = f"translate(({column.target_value})::text,'{_NUMERALS}','')"
    return replace(column, source_text=f"MD5({source})", target_text=f"md5({target})")


class _Number(str):
    """A JSON number's text: a class of its own, so that it is no JSON string."""


def _frozen(value: Any) -> Hashable:
    """A parsed JSON value, hashable; 1e300 and its 301 digits are one number, and 1 is not true."""
    if isinstance(value, _Number):
        return ("number", Decimal(value))
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_frozen(inner) for inner in value))
    return (type(value).__name__, value)


def window(left: str | None, right: str | None) -> tuple[str | None, str | None]:
    """Two values, or the place where two long ones begin to differ."""
    if left is None or right is None or max(len(left), len(right)) <= _SHOWN:
        return _begin(left), _begin(right)
    place = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    start = max(0, place - 40)
    mark = f"[character {start + 1}] "
    return mark + str(_begin(left[start:])), mark + str(_begin(right[start:]))


def _begin(value: str | None) -> str | None:
    if value is None or len(value) <= _SHOWN:
        return value
    return f"{value[:_SHOWN]}… ({len(value):,} characters)"


# Begins what stands for a long value. A value that begins like this is only shown in another way.
_MARK = "\U0010fffe long value "
_CUT = "\U0010fffe longer than the source's max_allowed_packet"
"""Stands for a value that the source cannot give, and is equal to none."""
_PARTS = 32
"""Pieces of a value whose digests are compared at once; each time both servers read the table."""
_WINDOW_BYTES = 1000
_BEFORE_BYTES = 40


def source_text(column: ColumnPlan, most: int) -> str:
    """MySQL expression of a value, or of what stands for one of more than `most` bytes."""
    value = column.source_value
    parts = (my_text(_MARK), f"MD5({value})", "' '", f"LENGTH({value})", "' '", f"LEFT({value},40)")
    # As bytes: MySQL 8.0.15 finds no collation for some of these side by side.
    stand_in = ",".join(f"CAST({part} AS BINARY)" for part in parts)
    text = f"IF(LENGTH({value})>{most},CONCAT({stand_in}),CAST(CONCAT({value}) AS BINARY))"
    null = column.is_null or f"{my_name(column.source)} IS NULL"
    return f"IF({null},NULL,IFNULL({text},{my_text(_CUT)}))"


def target_text(column: ColumnPlan, most: int) -> str:
    """PostgreSQL expression of the same."""
    value = f"({column.target_value})::text"
    size = f"octet_length({value})"
    stand_in = f"{pg_text(_MARK)}||md5({value})||' '||{size}||' '||\"left\"({value},40)"
    return f"CASE WHEN {size}>{most} THEN {stand_in} ELSE {value} END"


def is_long(value: str | None) -> bool:
    """Whether this stands for a long value; two such are equal where their values are."""
    return value is not None and value.startswith(_MARK)


def is_cut(value: str | None) -> bool:
    """Whether this stands for a value that the source cannot give."""
    return value == _CUT


def shown(value: str) -> str:
    """A value, or of a long one its size and its beginning."""
    if is_cut(value):
        return f"({value[2:]})"
    if not is_long(value):
        return value
    size, _, beginning = value.removeprefix(_MARK).partition(" ")[2].partition(" ")
    return f"{beginning}… ({int(size):,} bytes)"


def _size(value: str | None) -> int:
    if value is None:
        return 0
    return int(value.removeprefix(_MARK).split(" ", 2)[1]) if is_long(value) else len(value.encode())


class LongValues:
    """The values of one table's rows, which are found by their identities."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        of_source: tuple[str, str],
        of_target: tuple[str, str],
    ) -> None:
        """`of_source` and `of_target` are each the table and the expression of a row's identity."""
        self._source = source
        self._target = target
        self._from_source, self._source_id = of_source
        self._from_target, self._target_id = of_target

    def same_json(self, column: ColumnPlan, identities: Sequence[str]) -> set[str]:
        """Of these rows those whose JSON means the same on both sides, as PostgreSQL's jsonb compares it.

        None of them where the role may make no temporary tables, or where jsonb cannot hold the values.
        """
        if not identities:
            return set()
        chosen = ",".join(f"'{identity}'" for identity in identities)
        query = (
            f"SELECT CONCAT({self._source_id},0xFF,{column.read},0xFD) "
            f"FROM {self._from_source} WHERE {self._source_id} IN ({chosen})"
        )
        reading: Iterator[Read] = iter(())
        try:
            with self._target.transaction(force_rollback=True):
                self._target.execute("CREATE TEMPORARY TABLE converge_json (identity text, value jsonb)")
                reading = stream(self._source, query)
                blocks = (encode(parts) for _, parts in reading)
                write(self._target, "COPY pg_temp.converge_json FROM STDIN", blocks)
                there = f"SELECT {self._target_id}, {pg_name(column.target)}::jsonb FROM {self._from_target}"
                rows = self._target.execute(
                    f"SELECT identity FROM pg_temp.converge_json JOIN ({there}) AS t (there, its_value) "
                    "ON identity = there WHERE value = its_value".encode()
                ).fetchall()
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ProgramLimitExceeded):
            # The connection holds the snapshot: what is still sent must be read.
            for _ in reading:
                pass
            return set()
        return {identity for (identity,) in rows}

    def window(
        self, column: ColumnPlan, identity: str, left: str | None, right: str | None
    ) -> tuple[str | None, str | None]:
        """The place where two values begin to differ, of each about a thousand bytes."""
        if left is None or right is None:
            return left and shown(left), right and shown(right)
        low, width = 0, max(_size(left), _size(right))
        while width > _WINDOW_BYTES:
            step = -(-width // _PARTS)
            parts = [(low + number * step, step) for number in range(_PARTS)]
            digests = zip(*(self._digests(side, column, identity, parts) for side in (0, 1)), strict=True)
            low = next((part for part, (a, b) in zip(parts, digests, strict=True) if a != b), parts[-1])[0]
            width = step
        start = max(0, low - _BEFORE_BYTES)
        a, b = (self._bytes(side, column, identity, start, width + _WINDOW_BYTES) for side in (0, 1))
        place = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        mark = f"[byte {start + place + 1:,}] "
        cut = slice(max(0, place - _BEFORE_BYTES), place + _WINDOW_BYTES)
        return mark + a[cut].decode("utf-8", "replace"), mark + b[cut].decode("utf-8", "replace")

    def _digests(
        self, side: int, column: ColumnPlan, identity: str, parts: Iterable[tuple[int, int]]
    ) -> list[str]:
        pieces = ",".join(f"MD5(SUBSTR(v,{start + 1},{size}))" for start, size in parts)
        return cast(list[str], list(self._ask(side, column, identity, pieces)))

    def _bytes(self, side: int, column: ColumnPlan, identity: str, start: int, size: int) -> bytes:
        (piece,) = self._ask(side, column, identity, f"SUBSTR(v,{start + 1},{size})")
        return cast(bytes, piece)

    def _ask(self, side: int, column: ColumnPlan, identity: str, select: str) -> Sequence[Any]:
        """Expressions of `v`, the bytes of one row's value."""
        if side:
            value = f"convert_to(({column.target_value})::text,'UTF8')"
            where = f"FROM {self._from_target} WHERE {self._target_id}='{identity}' LIMIT 1"
            # Without the OFFSET the value would be made anew for every expression.
            query = f"SELECT {select} FROM (SELECT {value} AS v {where} OFFSET 0) AS one"
            row = self._target.execute(query.encode()).fetchone()
        else:
            value = f"CAST({column.source_value} AS BINARY)"
            where = f"FROM {self._from_source} WHERE {self._source_id}='{identity}' LIMIT 1"
            with self._source.cursor() as cursor:
                cursor.execute(f"SELECT {select} FROM (SELECT {value} AS v {where}) AS one")
                row = cursor.fetchone()
        return cast(Sequence[Any], row)
