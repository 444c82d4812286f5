"""Rows that both servers are asked for: of a table, of a view, or the expressions of an index.

A row is told from others by a digest of its identity, and its values by a digest of all of them. Where only
the values decide, they are fetched; numbers of floating point are compared within a tolerance.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from converge.model.quote import my_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql import digest as on_source
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.postgres import digest as on_target
from converge.types.field import Field, shown

Row = tuple[str | None, ...]
Values = tuple[Any, ...]
TOLERANCE = 1e-12
_LEAST = 1e-15
_SHOWN = 1000
"""Characters of a value that are shown."""
_BEFORE = 40
_LITERAL_BYTES = 40
"""More than an identity takes of a statement, with its quotes and its comma."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What is compared, row by row."""

    name: str
    source: str
    """What stands in FROM."""
    target: str
    fields: tuple[Field, ...]
    key: tuple[Field, ...] = ()
    """Fields by which a row is found; without any it is by all of them."""


def digests(texts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Expressions of the MD5 of these texts of a row, on both servers."""
    listed = list(texts) or [("'0'", "'0'")]
    # CONCAT_WS would leave out a text that the server cannot make: such a row has no digest.
    here = ",'|',".join(text for text, _ in listed)
    there = on_target.joined([text for _, text in listed])
    # Other collations compare hexadecimal digits more slowly, and texts may have some of their own. That of
    # MySQL 9.6, which a component has, gives ASCII.
    return f"CONVERT(MD5(CONCAT({here})) USING utf8mb4) COLLATE utf8mb4_bin", f'(md5({there}) COLLATE "C")'


def row_digests(fields: Iterable[Field]) -> tuple[str, str]:
    """The same of whole rows."""
    return digests((field.source_text, field.target_text) for field in fields)


def identity_digests(relation: Relation) -> tuple[str, str]:
    """The same of what tells a row from others: of its key, or of all fields without one."""
    return row_digests(relation.key) if relation.key else digests(one.identity() for one in relation.fields)


def identities_at_once(source: WatchedConnection, most: int) -> int:
    """How many identities, at most so many, a statement may list: they take half of the longest one."""
    ((longest,),) = fetch(source, "SELECT @@max_allowed_packet")
    return min(most, int(longest) // (2 * _LITERAL_BYTES))


def sums(digest: tuple[str, str]) -> tuple[str, str]:
    """Expressions of the sum of digests."""
    return f"SUM({on_source.number(digest[0])})", f"sum({on_target.number(digest[1])})"


def of_table(schema: str, table: TablePlan) -> Relation:
    """The rows of a table, without those that a merge has kept of the target."""
    fields = tuple(map(_field, on_target.told(table.columns)))
    key = tuple(fields[table.columns.index(column)] for column in table.keys)
    return Relation(table.source, my_name(table.source), on_target.rows_of(schema, table), fields, key)


def _field(column: ColumnPlan) -> Field:
    return Field(
        column.source, on_source.field_text(column), on_target.field_text(column), column.source_value,
        f"({column.target_value})", column.is_null or f"{my_name(column.source)} IS NULL",
        "json" if column.judge == "json" else "text", doubled=column.source_type != "json",
    )  # fmt: skip


def unequal(
    fields: Sequence[Field], source: Sequence[Row], target: Sequence[Row]
) -> tuple[list[Row], list[Row], bool]:
    """Rows without an equal one on the other side, and whether approximate numbers were taken for equal."""

    def meant(row: Row) -> tuple[Hashable, ...]:
        return tuple(field.meaning(value) for field, value in zip(fields, row, strict=True))

    # Of one meaning there may be several texts, such as 1 and 1.0 in JSON, each of a row of its own.
    mine, theirs = defaultdict[Values, list[Row]](list), defaultdict[Values, list[Row]](list)
    for rows, side in ((source, mine), (target, theirs)):
        for row in rows:
            side[meant(row)].append(row)
    left, right = (Counter({one: len(rows) for one, rows in side.items()}) for side in (mine, theirs))
    here, there = left - right, right - left
    doubles = [place for place, field in enumerate(fields) if field.judge == "double"]
    near = _near(here, there, doubles) if doubles and here and there else []
    here -= Counter(one for one, _ in near)
    there -= Counter(other for _, other in near)
    return (
        [mine[one].pop() for one in here.elements()],
        [theirs[one].pop() for one in there.elements()],
        bool(near),
    )


def _near(left: Counter[Values], right: Counter[Values], doubles: list[int]) -> list[tuple[Values, Values]]:
    """Pairs of rows that differ by no more than the tolerance of approximate numbers."""
    groups: dict[Values, tuple[list[Values], list[Values]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((left, right)):
        for row in rows.elements():
            groups[tuple(value for place, value in enumerate(row) if place not in doubles)][side].append(row)

    def numbers(row: Values) -> list[float]:
        return [-math.inf if row[place] is None else row[place] for place in doubles]

    return [
        (one, other)
        for here, there in groups.values()
        for one, other in zip(sorted(here, key=numbers), sorted(there, key=numbers), strict=False)
        if all(
            math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=_LEAST)
            for a, b in zip(numbers(one), numbers(other), strict=True)
        )
    ]


def row_text(row: Row) -> str:
    """A row as people read it."""
    return "(" + ", ".join("NULL" if value is None else shown(value)[:40] for value in row) + ")"


def as_text(value: Any) -> str | None:
    """A value as either driver gives it."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def first_difference(left: str | bytes, right: str | bytes) -> int:
    """The first place where two values are not the same."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high) // 2
        if left[low : middle + 1] == right[low : middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low


def window(left: str | None, right: str | None) -> tuple[str | None, str | None]:
    """Two values, or the place where two long ones begin to differ."""
    if left is None or right is None or max(len(left), len(right)) <= _SHOWN:
        return _begin(left), _begin(right)
    start = max(0, first_difference(left, right) - _BEFORE)
    mark = f"[character {start + 1}] "
    return mark + str(_begin(left[start:])), mark + str(_begin(right[start:]))


def _begin(value: str | None) -> str | None:
    if value is None or len(value) <= _SHOWN:
        return value
    return f"{value[:_SHOWN]}… ({len(value):,} characters)"
