"""Unique keys over values that a map makes equal: rows that the target would refuse are counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from converge.codes import Code
from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.catalog import Index, Table
from converge.model.evidence import Search
from converge.model.quote import my_name
from converge.planner.draft import Draft
from converge.planner.target_values import planned, possible
from converge.planner.values import example, rows_words, said
from converge.types import family_of


class Part(NamedTuple):
    """A column of a unique key."""

    sql: str
    """MySQL expression that is equal for values that the target holds to be equal."""
    way_out: str
    """The map's line that keeps the source's values apart; empty where nothing makes them equal."""


def searches(draft: Draft, table: Table) -> Iterator[Search]:
    """A question for each unique key, and for each type that its columns may get."""
    for index in unique_keys(draft, table) if draft.loading is None else ():
        ways = [
            [Part(one.key(part.prefix), one.way_out) for one in possible(draft, table, part.column or "")]
            for part in index.parts
        ]
        for parts in product(*ways):
            if any(part.way_out for part in parts):
                yield search(table, parts)


def note_duplicates(draft: Draft, tables: Sequence[Table]) -> None:
    """A finding for each unique key that the target would refuse."""
    for table in tables if draft.loading is None else ():
        facts = draft.evidence.table(table.name)
        if facts is None:
            continue
        for index in unique_keys(draft, table):
            if not draft.has(table.name, *index.columns):
                continue
            parts = parts_of(draft, table, index)
            count = facts.found.get(search(table, parts).name)
            if count and count.rows:
                draft.find(
                    Code.V032, "block", f"{table.name}.{index.name}",
                    said(count.rows, "are equal to others by the map's type, collation, expression or policy")
                    + ", and the key is unique",
                    _hint(table, index, parts), evidence=rows_words(table, count),
                )  # fmt: skip


def unique_keys(draft: Draft, table: Table) -> Iterator[Index]:
    """The unique keys of nothing but known columns that are to arrive."""
    for index in table.indexes:
        wanted = index.unique and not setting(draft.map.for_index(table, index), "skip")[0]
        if wanted and all(part.column and family_of(table.column(part.column)) for part in index.parts):
            yield index


def parts_of(draft: Draft, table: Table, index: Index) -> list[Part]:
    """The key's columns by the types that were chosen, and as the maps' policies leave them."""
    values = [planned(draft, table, part.column or "") for part in index.parts]
    return [Part(one.key(part.prefix), one.way_out) for one, part in zip(values, index.parts, strict=True)]


def search(table: Table, parts: Sequence[Part], *, nulls_distinct: bool = True, only: str = "TRUE") -> Search:
    """Rows whose key at least two rows have, by the target's comparison, among those where `only` is true."""
    sign = "=" if nulls_distinct else "<=>"
    name = my_name(table.name)
    made = ",".join(f"{part.sql} AS `part {number}`" for number, part in enumerate(parts))
    places = ",".join(str(number + 1) for number in range(len(parts)))
    equal = " AND ".join(f"{part.sql}{sign}d.`part {number}`" for number, part in enumerate(parts))
    if only != "TRUE":
        equal = f"{equal} AND {only}"
    twice = f"SELECT {made} FROM {name} WHERE {only} GROUP BY {places} HAVING COUNT(*)>1"
    return Search(f"equal by {equal}", f"FROM {name} AS c JOIN ({twice}) AS d", equal)


def _hint(table: Table, index: Index, parts: Sequence[Part]) -> str:
    """A map's entry for each column that is compared more loosely, or one that leaves the key out."""
    lines = {name: part.way_out for name, part in zip(index.columns, parts, strict=True) if part.way_out}
    if "skip = true" in lines.values():
        return entry("index", literally(table=table.name, index=index.name), "skip = true")
    return "\n\n".join(example(table, table.column(name), line) for name, line in lines.items())
