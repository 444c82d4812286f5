"""Rows that the target would refuse: without a parent, or equal to others by its comparison.

The scan counts them before anything is written. So it is asked about columns' values as the target will hold
and compare them, in expressions of the source, once for each type that the data may decide for.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TypeVar

from converge.codes import Code
from converge.mapping.rules import setting
from converge.model.catalog import ForeignKey, Index, IndexPart, Table
from converge.model.evidence import Count, Search
from converge.model.quote import my_name
from converge.planner.decision import Decision, column_entry, index_entry
from converge.planner.draft import Draft
from converge.planner.target_types import by_bytes, locale
from converge.types import TEXTS, TEXTUAL, Value, base_name, family_of, form
from converge.types.collations import compared_like, ignores_case
from converge.types.forms import PADDED
from converge.types.sql import as_bytes
from converge.types.text import SEVERAL_CODES

BYTES = as_bytes("{}")
_CLASSES = {
    "number": ("smallint", "integer", "bigint", "numeric"),
    "text": TEXTS | PADDED,
    "instant": ("timestamp", "timestamp with time zone", "date"),
}


@dataclass(frozen=True, slots=True)
class TargetValue:
    """A column's value as the target will hold and compare it."""

    value: Value
    """As the maps' expressions and policies leave it."""
    like: str = BYTES
    """MySQL expression that is equal for those texts ``{}`` that the target takes for equal."""
    as_source: bool = True
    """Whether the source's own comparison of the column, or that of its bytes, is the target's."""
    way_out: str = ""
    """The map's line that keeps apart what the source keeps apart; empty where nothing makes it equal."""

    @property
    def changed(self) -> bool:
        """Whether a map may make another value."""
        return bool(self.value.changed)

    def text(self, prefix: int | None = None) -> str:
        """MySQL expression that prints the value, or its first characters."""
        if prefix:
            return f"LEFT({form(self.value).whole or self.value.sql},{prefix})"
        return form(self.value).source_text

    def key(self, prefix: int | None = None) -> str:
        """MySQL expression that is equal for values that the target takes for equal."""
        return self.like.format(self.text(prefix))


Pair = tuple[TargetValue, TargetValue]
"""A column of a foreign key and the parent's."""
Join = tuple[bool, str, str]
"""How such a pair is compared: whether `_as_source`, and its `_sides`."""
Part = tuple[str, str]
"""A column of a unique key: its `TargetValue.key` and `way_out`."""
_T = TypeVar("_T", bound=Hashable)
_COMBINATIONS = 256


def possible(draft: Draft, table: Table, name: str) -> list[TargetValue]:
    """The column's value in each type that the data may decide for; none where its type is not known."""
    return [_compared(draft, one) for one in draft.decisions.candidates(table, table.column(name))]


def combinations(columns: Iterable[Iterable[_T]]) -> Iterator[tuple[_T, ...]]:
    """What to ask about several columns, each given by what a question takes from its possible values.

    Equal ones count once: ``CAST(`b` AS BINARY)`` of a TINYINT(1) that becomes boolean or smallint. The rest
    has a limit, because two values of each of 28 columns would be 268 million questions; those beyond it are
    not asked and have no count.
    """
    return islice(product(*map(dict.fromkeys, columns)), _COMBINATIONS)


def planned(draft: Draft, table: Table, name: str) -> TargetValue:
    """A column's value in the type that was chosen. Its MySQL type is known."""
    return _compared(draft, draft.decision(table, name))


def _compared(draft: Draft, decided: Decision) -> TargetValue:
    value, to, collation = decided.value, decided.to, decided.column.collation
    # No map gives a collation to a padded type, but the target's own may have it.
    collated = TEXTS | PADDED if draft.loading else TEXTS
    like, same, way_out = BYTES, True, ""
    if base_name(to) == "citext":
        like, same, way_out = citext(draft), False, "" if ignores_case(collation) else 'to = "text"'
    elif base_name(to) in collated and (wanted := locale(draft, decided)):
        like = compared_like(wanted)
        same = like == f"{{}} COLLATE {collation}"
        # Only a text in utf8mb4 takes such a collation.
        like, way_out = like.format("CONVERT({} USING utf8mb4)"), "" if same else 'collation = "default"'
    elif to == "uuid" and collation:
        same, way_out = ignores_case(collation), 'to = "text"'
    if any(trap.merged for trap in form(value).traps):
        same, way_out = False, "skip = true"
    if value.changed or decided.column.charset in SEVERAL_CODES:
        way_out = way_out or "skip = true"
    return TargetValue(value, like, same, way_out)


def citext(draft: Draft) -> str:
    """MySQL expression that is equal for those texts ``{}`` that citext takes for equal, which folds by the
    LC_CTYPE of the database, whatever collation a column has."""
    facts = draft.inputs.facts
    return folded_ascii("LOWER", "{}") if facts and facts.only_ascii else as_bytes("LOWER({})")


def folded_ascii(function: str, text: str) -> str:
    """MySQL expression of a text's UTF-8, in which LOWER or UPPER has changed letters of ASCII alone.

    TIS-620 has one byte a character, and beyond ASCII no letter with case.
    """
    utf8 = as_bytes(f"CONVERT({text} USING utf8mb4)")
    return as_bytes(f"{function}(CONVERT({utf8} USING tis620))")


# ---- foreign keys: rows without a parent ---------------------------------------------------------------


EXACTLY = ", byte for byte"
"""Ends the name of the second question about a key of texts."""


def comparable(child: str, parent: str) -> bool:
    """Whether PostgreSQL has an equality between two types."""
    return _class(child) == _class(parent)


def orphan_searches(draft: Draft, table: Table) -> Iterator[Search]:
    """The questions about each foreign key, for each type that its columns may get."""
    for key in table.foreign_keys:
        parent = draft.source(key.parent)
        if parent is None or key.parent_database != draft.catalog.database:
            continue
        columns = (_joins(_pairs(draft, (table, one), (parent, other))) for one, other in key.pairs)
        for joins in combinations(columns):
            yield from _searches(table, key, joins)


def _pairs(draft: Draft, *sides: tuple[Table, str]) -> Iterator[Pair]:
    """The values of two columns that a foreign key joins. A type that depends on the data is that of both."""
    candidates = (draft.decisions.candidates(table, table.column(name)) for table, name in sides)
    for child, parent in product(*candidates):
        if child.rule == parent.rule or not (child.rule.fits or parent.rule.fits):
            yield _compared(draft, child), _compared(draft, parent)


def _joins(pairs: Iterable[Pair]) -> list[Join]:
    """How the pairs are compared that the target can compare."""
    return [
        (_as_source(child, parent), *_sides(child, parent))
        for child, parent in pairs
        if comparable(child.value.to, parent.value.to)
    ]


def orphans(draft: Draft, table: Table, key: ForeignKey) -> tuple[Count | None, int]:
    """Rows without a parent, None when that is not known; and how many of them the source has one for.

    Those have another spelling of the parent's text, which the source's collation takes for equal.
    """
    parent = draft.source(key.parent)
    if parent is None or key.parent not in draft.tables or table.name not in draft.evidence.tables:
        return None, 0
    pairs = ((planned(draft, table, child), planned(draft, parent, other)) for child, other in key.pairs)
    joins = _joins(pairs)
    if len(joins) < len(key.pairs):
        return None, 0
    found = [draft.evidence.found(table.name, one) for one in _searches(table, key, joins)]
    # Of texts that the source compares two questions are asked, the bytes' last.
    if not any(by_bytes(draft, draft.column(table.name, name)) for name in key.columns):
        found = found[:1]
    if not found:
        return None, 0
    alike, exact = found[0], found[-1]
    return exact, exact.rows - alike.rows if alike and exact else 0


def _searches(table: Table, key: ForeignKey, joins: Sequence[Join]) -> Iterator[Search]:
    if all(as_source for as_source, _, _ in joins):
        yield from _by_columns(table, key)
        return
    parts = ",".join(f"{parent} AS `part {number}`" for number, (_, _, parent) in enumerate(joins))
    on = " AND ".join(f"{child}=p.`part {number}`" for number, (_, child, _) in enumerate(joins))
    there = f"SELECT DISTINCT {parts} FROM {my_name(key.parent)}"
    join = f"FROM {my_name(table.name)} AS c LEFT JOIN ({there}) AS p ON {on}"
    filled = " AND ".join(f"{child} IS NOT NULL" for _, child, _ in joins)
    yield Search(f"{key.name} by {parts}: {on}", join, f"{filled} AND p.`part 0` IS NULL")


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
    on = " AND ".join(f"c.{my_name(child)}=p.{my_name(other)}" for child, other in key.pairs)
    join = f"FROM {my_name(table.name)} AS c LEFT JOIN {my_name(key.parent)} AS p ON {on}"
    filled = " AND ".join(f"c.{my_name(name)} IS NOT NULL" for name in key.columns)
    missing = f"p.{my_name(key.parent_columns[0])} IS NULL"
    yield Search(key.name, join, f"{filled} AND {missing}")
    texts = [pair for pair in key.pairs if table.column(pair[0]).type in TEXTUAL]
    if texts:
        utf8 = "CAST(CONVERT({}.{} USING utf8mb4) AS BINARY)".format
        differ = " OR ".join(
            f"{utf8('c', my_name(child))}<>{utf8('p', my_name(other))}" for child, other in texts
        )
        yield Search(f"{key.name}{EXACTLY}", join, f"{filled} AND ({missing} OR {differ})")


# ---- unique keys: rows that are equal to others --------------------------------------------------------


def duplicate_searches(draft: Draft, table: Table) -> Iterator[Search]:
    """A question for each unique key whose values may become equal, for each type of its columns."""
    for index in unique_keys(draft, table) if draft.loading is None else ():
        columns = (
            [_part(part, one) for one in possible(draft, table, name)]
            for name, part in zip(index.columns, index.parts, strict=True)
        )
        for parts in combinations(columns):
            if any(way_out for _, way_out in parts):
                yield duplicates(table, parts)


def note_duplicates(draft: Draft, tables: Sequence[Table]) -> None:
    """A finding for each unique key that the target would refuse."""
    words = "become equal to others in the target, and the key is unique"
    for table in tables if draft.loading is None else ():
        for index in unique_keys(draft, table) if table.name in draft.evidence.tables else ():
            if draft.has(table.name, *index.columns):
                parts = parts_of(draft, table, index)
                count = draft.evidence.found(table.name, duplicates(table, parts))
                hint = _kept_apart(table, index, parts) if count and count.rows else ""
                draft.find_rows(Code.V032, f"{table.name}.{index.name}", table, count, words, hint)


def unique_keys(draft: Draft, table: Table) -> Iterator[Index]:
    """The unique keys of nothing but known columns that are to arrive."""
    for index in table.indexes:
        wanted = index.unique and not setting(draft.map.for_index(table, index), "skip")[0]
        if wanted and all(part.column and family_of(table.column(part.column)) for part in index.parts):
            yield index


def parts_of(draft: Draft, table: Table, index: Index) -> list[Part]:
    """The key's columns by the types that were chosen, and as the maps' policies leave them."""
    pairs = zip(index.columns, index.parts, strict=True)
    return [_part(part, planned(draft, table, name)) for name, part in pairs]


def _part(part: IndexPart, value: TargetValue) -> Part:
    return value.key(part.prefix), value.way_out


def duplicates(
    table: Table, parts: Sequence[Part], *, nulls_distinct: bool = True, only: str = "TRUE"
) -> Search:
    """Rows whose key at least two rows have, by the target's comparison, among those where `only` is true."""
    sign, name = "=" if nulls_distinct else "<=>", my_name(table.name)
    listed = ",".join(f"{sql} AS `part {number}`" for number, (sql, _) in enumerate(parts))
    numbers = ",".join(str(number + 1) for number in range(len(parts)))
    equal = " AND ".join(f"{sql}{sign}d.`part {number}`" for number, (sql, _) in enumerate(parts))
    if only != "TRUE":
        equal = f"{equal} AND {only}"
    twice = f"SELECT {listed} FROM {name} WHERE {only} GROUP BY {numbers} HAVING COUNT(*)>1"
    return Search(f"equal by {equal}", f"FROM {name} AS c JOIN ({twice}) AS d", equal)


def _kept_apart(table: Table, index: Index, parts: Sequence[Part]) -> str:
    """A map's entry for each column that is compared more loosely, or one that leaves the key out."""
    lines = {name: way_out for name, (_, way_out) in zip(index.columns, parts, strict=True) if way_out}
    if "skip = true" in lines.values():
        return index_entry(table, index, "skip = true")
    return "\n\n".join(column_entry(table, table.column(name), line) for name, line in lines.items())
