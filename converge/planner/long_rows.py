"""Rows that are too long to be moved: for the source's packets, or for a line of COPY.

MySQL joins a row's columns into one text, and makes a text beyond max_allowed_packet NULL. PostgreSQL reads
a line of COPY into one buffer of less than 1 GB (MaxAllocSize), with two hex digits for each byte of a bytea
and two characters for each backslash, tab and line end of a text. Only tables whose types allow such a row
are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.evidence import Count
from converge.planner.choice import safest
from converge.planner.draft import Draft
from converge.planner.sums import total
from converge.planner.values import decide, example, rows_words, said
from converge.types import Length, family_of

LINE_BYTES = 2**30 - 2
LARGEST_PACKET = 2**30
# Marks in COPY's text; a length, a mark and a separator in the comparison's.
_COLUMN_BYTES = 32
_SHORT_BYTES = 4096
"""A column that cannot be longer counts as this long."""


@dataclass(frozen=True, slots=True)
class _Limit:
    code: Code
    words: str
    where: str
    """MySQL condition of a row that is too long."""


def conditions(draft: Draft, table: Table) -> Iterator[str]:
    """What the scan should count."""
    return (limit.where for limit in _limits(draft, table))


def lengths(draft: Draft, table: Table) -> Iterator[tuple[str, str]]:
    """Columns that can make a row too long, and how long their values are."""
    if any(conditions(draft, table)):
        for column, length in _long(draft, table):
            yield column.name, length.bytes


def note_long_rows(draft: Draft, table: Table) -> None:
    """The rows that the scan found too long, with their keys."""
    for limit in _limits(draft, table):
        count = draft.evidence.count(table.name, limit.where)
        if count and count.rows:
            longest = _longest(draft, table)
            draft.find(
                limit.code, "block", table.name, said(count.rows, limit.words),
                _packet_hint(draft) if limit.code == Code.V035 else _line_hint(table, longest),
                evidence=_evidence(table, count, longest),
            )  # fmt: skip


def _limits(draft: Draft, table: Table) -> Iterator[_Limit]:
    long = _long(draft, table)
    families = [(column, family_of(column)) for column in table.columns]
    most = sum(max(_SHORT_BYTES, family.most(column)) for column, family in families if family)
    margin = _COLUMN_BYTES * len(table.columns)
    plain = total(length.bytes for _, length in long)
    packet = draft.catalog.max_packet
    if packet and most > packet:
        words = f"are longer than the source's max_allowed_packet ({packet:,} bytes) as COPY text"
        yield _Limit(Code.V035, words, f"{plain}>{packet - margin}")
    if 2 * most > LINE_BYTES:
        escapes = total(f"IFNULL({length.escapes},0)" for _, length in long if length.escapes)
        where = f"({plain}>{LINE_BYTES // 2 - margin} AND {plain}+{escapes}>{LINE_BYTES - margin})"
        yield _Limit(Code.V033, "are longer than a line of COPY can be (1 GB)", where)


def _long(draft: Draft, table: Table) -> list[tuple[Column, Length]]:
    found = []
    for column in table.columns:
        family = family_of(column)
        if family is None or family.most(column) <= _SHORT_BYTES:
            continue
        choice = safest(draft, table, column, family)
        if not choice.setting("skip"):
            decided = decide(column, family, choice)
            length = decided.family.length(decided.value)
            # A text that the server cannot make is longer than a packet.
            size = f"IFNULL({length.bytes},{draft.catalog.max_packet})"
            if null := decided.value.is_null:
                size = f"IF({null},0,{size})"
            found.append((column, Length(size, length.escapes)))
    return found


def _longest(draft: Draft, table: Table) -> list[tuple[Column, int]]:
    """The columns with their longest values' bytes, the longest first."""
    facts = draft.evidence.table(table.name)
    known = facts.longest if facts else {}
    found = [(column, known.get(column.name, 0)) for column, _ in _long(draft, table)]
    return sorted(found, key=lambda one: -one[1])


def _evidence(table: Table, count: Count, longest: list[tuple[Column, int]]) -> str:
    sizes = ", ".join(f"{column.name} {size:,}" for column, size in longest[:5])
    return f"{rows_words(table, count)}; bytes of COPY text of the longest values: {sizes}".lstrip("; ")


def _packet_hint(draft: Draft) -> str:
    if draft.catalog.max_packet >= LARGEST_PACKET:
        return ""
    return f"SET GLOBAL max_allowed_packet = {LARGEST_PACKET}; on the source, then plan again"


def _line_hint(table: Table, longest: list[tuple[Column, int]]) -> str:
    column, size = longest[0]
    using = f'using = "IF(LENGTH({{}})>{max(1, size // 4)},NULL,{{}})"'
    lines = [using, "# or: skip = true"] if column.nullable else ["skip = true"]
    return example(table, column, "\n".join(lines))
