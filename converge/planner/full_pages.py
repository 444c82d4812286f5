"""Rows that a page of PostgreSQL has no room for, even when all that can be stored elsewhere is.

A row must fit one page of 8 kB: 8,160 bytes with its header ("row is too big", PostgreSQL manual, "Database
Page Layout" and "TOAST"). Of a long value 18 bytes stay in the row; numbers and times stay whole, and so do
values of up to 20 bytes. MySQL packs decimals and dates closer, so a row of a thousand may be too big. What
is reckoned here leaves out padding: what is found is too big for certain.
"""

from __future__ import annotations

from collections.abc import Iterator

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.quote import my_name
from converge.planner.choice import safest
from converge.planner.draft import Draft
from converge.planner.sums import total
from converge.planner.values import example, rows_words, said
from converge.types import Value, base_name, family_of

PAGE_BYTES = 8160
_HEADER_BYTES = 24
_POINTER_BYTES = 18
_INLINE_BYTES = 20
"""The longest value that is never stored elsewhere; a byte of length comes before it."""
_FIXED = {
    "boolean": 1, "smallint": 2, "integer": 4, "bigint": 8, "real": 4, "double precision": 8, "date": 4,
    "timestamp": 8, "timestamp with time zone": 8, "timestamp without time zone": 8, "timestamptz": 8,
    "time": 8, "time without time zone": 8, "interval": 16, "uuid": 16, "enum": 4, "inet": 7, "cidr": 7,
}  # fmt: skip
_LEAST = {"jsonb": 5, "text[]": 13}
"""Of types whose stored size is not to be had from MySQL: an empty document or array."""
_WHERE = "are too wide for a page of PostgreSQL (8,160 bytes)"


def conditions(draft: Draft, table: Table) -> Iterator[str]:
    """What the scan should count."""
    if len(table.columns) * (_INLINE_BYTES + 1) + _HEADER_BYTES > PAGE_BYTES:
        yield _condition(draft, table)


def note_full_pages(draft: Draft, table: Table) -> None:
    """The rows that the scan found too wide, with their keys."""
    for where in conditions(draft, table):
        count = draft.evidence.count(table.name, where)
        if count and count.rows:
            hint = example(table, table.columns[-1], "skip = true") + "\n# or another column, until it fits"
            draft.find(
                Code.V034, "block", table.name, said(count.rows, _WHERE), hint,
                evidence=rows_words(table, count),
            )  # fmt: skip


def _condition(draft: Draft, table: Table) -> str:
    sizes = []
    nulls = ["1"]
    for column in table.columns:
        family = family_of(column)
        if family is None:
            continue
        choice = safest(draft, table, column, family)
        if choice.setting("skip"):
            continue
        sizes.append(f"IFNULL({_size(Value(column, choice.to))},0)")
        if column.nullable:
            nulls.append(f"{my_name(column.name)} IS NOT NULL")
    # A row with a NULL has a bit for each of its columns.
    with_nulls = (23 + (len(sizes) + 7) // 8 + 7) // 8 * 8
    header = f"IF(LEAST({','.join(nulls)},1),{_HEADER_BYTES},{with_nulls})"
    return f"{header}+{total(sizes)}>{PAGE_BYTES}"


def _size(value: Value) -> str:
    """MySQL expression of the bytes that a value takes in the row; NULL for NULL."""
    name = my_name(value.column.name)
    to = base_name(value.to)
    if to in _FIXED:
        return f"IF({name} IS NULL,0,{_FIXED[to]})"
    if to in _LEAST:
        return f"IF({name} IS NULL,0,{_LEAST[to]})"
    if to == "numeric":
        return _numeric(value.column, name)
    if to in ("bit", "bit varying"):
        return f"IF({name} IS NULL,0,{5 + ((value.column.precision or 1) + 7) // 8})"
    return f"IF(LENGTH({name})>{_INLINE_BYTES},{_POINTER_BYTES},1+CHAR_LENGTH({name}))"


def _numeric(column: Column, name: str) -> str:
    """Three bytes, and two for every group of four digits from the first to the last that is not zero."""
    scale = column.scale or 0
    before, after = ((digits + 3) // 4 * 4 for digits in ((column.precision or 0) - scale, scale))
    text = f"CAST(ABS({name}) AS CHAR)"
    groups = f"LPAD(SUBSTRING_INDEX({text},'.',1),{before},'0')"
    if scale:
        groups = f"CONCAT({groups},RPAD(SUBSTRING_INDEX({text},'.',-1),{after},'0'))"
    digits = f"LENGTH(TRIM(TRAILING '0000' FROM TRIM(LEADING '0000' FROM {groups})))"
    return f"LEAST({_POINTER_BYTES},3+{digits}/2)"
