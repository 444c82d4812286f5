"""Rows without a parent, compared as the target will compare them, so that the scan can count them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from converge.model.catalog import ForeignKey, Table
from converge.model.evidence import Count, Search
from converge.model.quote import my_name
from converge.planner.collations import by_bytes
from converge.planner.draft import Draft
from converge.planner.target_values import TargetValue, planned, possible
from converge.types import TEXTS, TEXTUAL, base_name
from converge.types.as_text import PADDED

_Pair = tuple[TargetValue, TargetValue]
"""A column of the key and the parent's."""
_CLASSES = {
    "number": ("smallint", "integer", "bigint", "numeric"),
    "text": TEXTS | PADDED,
    "instant": ("timestamp", "timestamp with time zone", "date"),
}


def comparable(child: str, parent: str) -> bool:
    """Whether PostgreSQL has an equality between two types."""
    return _class(child) == _class(parent)


def searches(draft: Draft, table: Table) -> Iterator[Search]:
    """The questions about each foreign key, for each type that its columns may get."""
    for key in table.foreign_keys:
        parent = draft.source(key.parent)
        if parent is None or key.parent_database != draft.catalog.database:
            continue
        ways = [
            list(product(possible(draft, table, child), possible(draft, parent, other)))
            for child, other in _columns(key)
        ]
        for pairs in product(*ways):
            yield from _searches(table, key, pairs)


def orphans(draft: Draft, table: Table, key: ForeignKey) -> Count | None:
    """How many rows have no parent; None when that is not known."""
    facts, parent = draft.evidence.table(table.name), draft.source(key.parent)
    if facts is None or parent is None or key.parent not in draft.tables:
        return None
    pairs = [(planned(draft, table, child), planned(draft, parent, other)) for child, other in _columns(key)]
    asked = list(_searches(table, key, pairs))
    exact = any(by_bytes(draft, draft.column(table.name, name)) for name in key.columns)
    # Of texts that the source compares two questions are asked, the bytes' last.
    return facts.found.get(asked[-1 if exact else 0].name) if asked else None


def _columns(key: ForeignKey) -> list[tuple[str, str]]:
    return list(zip(key.columns, key.parent_columns, strict=True))


def _searches(table: Table, key: ForeignKey, pairs: Sequence[_Pair]) -> Iterator[Search]:
    if not all(comparable(child.value.to, parent.value.to) for child, parent in pairs):
        return
    if all(_as_source(child, parent) for child, parent in pairs):
        yield from _by_columns(table, key)
        return
    sides = [_sides(child, parent) for child, parent in pairs]
    made = ",".join(f"{parent} AS `part {number}`" for number, (_, parent) in enumerate(sides))
    on = " AND ".join(f"{child}=p.`part {number}`" for number, (child, _) in enumerate(sides))
    there = f"SELECT DISTINCT {made} FROM {my_name(key.parent)}"
    join = f"FROM {my_name(table.name)} AS c LEFT JOIN ({there}) AS p ON {on}"
    filled = " AND ".join(f"{child} IS NOT NULL" for child, _ in sides)
    yield Search(f"{key.name} by {made}: {on}", join, f"{filled} AND p.`part 0` IS NULL")


def _as_source(child: TargetValue, parent: TargetValue) -> bool:
    """Whether the columns themselves can be compared, which indexes of the source make quick."""
    same = child.value.column.collation == parent.value.column.collation
    return same and all(one.as_source and not one.changed for one in (child, parent))


def _sides(child: TargetValue, parent: TargetValue) -> tuple[str, str]:
    """What is equal in MySQL where the target takes both for equal: as the parent's key compares."""
    if _class(parent.value.to) == "number":
        # Types, and digits after the point, can differ.
        return f"CAST({child.text()} AS DECIMAL(65,30))", f"CAST({parent.text()} AS DECIMAL(65,30))"
    return parent.like.format(child.text()), parent.key()


def _class(type_: str) -> str:
    """Types of one class have an equality between them."""
    name = base_name(type_)
    return next((group for group, names in _CLASSES.items() if name in names), type_)


def _by_columns(table: Table, key: ForeignKey) -> Iterator[Search]:
    on = " AND ".join(f"c.{my_name(child)}=p.{my_name(other)}" for child, other in _columns(key))
    join = f"FROM {my_name(table.name)} AS c LEFT JOIN {my_name(key.parent)} AS p ON {on}"
    filled = " AND ".join(f"c.{my_name(name)} IS NOT NULL" for name in key.columns)
    missing = f"p.{my_name(key.parent_columns[0])} IS NULL"
    yield Search(key.name, join, f"{filled} AND {missing}")
    texts = [pair for pair in _columns(key) if table.column(pair[0]).type in TEXTUAL]
    if texts:
        differ = " OR ".join(f"{_utf8('c', child)}<>{_utf8('p', other)}" for child, other in texts)
        yield Search(f"{key.name}, byte for byte", join, f"{filled} AND ({missing} OR {differ})")


def _utf8(side: str, column: str) -> str:
    return f"CAST(CONVERT({side}.{my_name(column)} USING utf8mb4) AS BINARY)"
