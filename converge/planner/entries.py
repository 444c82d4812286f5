"""Every decision as a map's entry would say it: for `--write-map` and `explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converge.mapping.grammar import SECTIONS
from converge.mapping.rules import setting
from converge.model.catalog import Column, Table
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs, begin
from converge.types import Family, Trap, base_name, family_of


@dataclass(frozen=True, slots=True)
class ColumnEntry:
    """One column's settings, why its type was chosen, and what else there is."""

    table: Table
    column: Column
    settings: Mapping[str, Any]
    why: str
    note: str
    evidence: str
    open: tuple[tuple[Trap, int | None], ...]
    """Traps without a policy, with the rows that the scan has counted; None when it did not look."""
    others: tuple[str, ...]
    """Other types that a map may choose; none where the target has its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the maps say of a table, an index or a foreign key."""

    section: str
    match: Mapping[str, str]
    settings: Mapping[str, Any]


def column_entries(inputs: Inputs, only: str | None = None) -> Iterator[ColumnEntry]:
    """The decision for each column of a known type, in the source's order; `only` of one table."""
    draft, tables = begin(inputs)
    for table in tables:
        for column in table.columns if only in (None, table.name) else ():
            if family := family_of(column):
                yield _column_entry(draft, table, column, family)


def other_entries(inputs: Inputs) -> Iterator[Entry]:
    """Everything that the maps say of objects that are no columns, in the source's order."""
    map_ = inputs.map
    for table in inputs.catalog.tables:
        match = {"table": table.name}
        found = [("table", match, map_.for_table(table))]
        for index in table.indexes:
            found.append(("index", {**match, "index": index.name}, map_.for_index(table, index)))
        for key in table.foreign_keys:
            found.append(
                ("foreign_key", {**match, "foreign_key": key.name}, map_.for_foreign_key(table, key))
            )
        for section, names, rules in found:
            given = {key: setting(rules, key)[0] for key in SECTIONS[section].settings()}
            if settings := {key: value for key, value in given.items() if value is not None}:
                yield Entry(section, names, settings)


def _column_entry(draft: Draft, table: Table, column: Column, family: Family) -> ColumnEntry:
    made = draft.decision(table, column)
    traps = [trap for trap, _ in made.handled]
    settings = {key: made.setting(key) for key in SECTIONS["column"].settings()}
    settings["to"] = made.to
    settings["policy"] = {
        name: policy for name, policy in made.policies.items() if name in {trap.name for trap in traps}
    }
    counts = ((trap, draft.decisions.count(made, trap)) for trap in traps if trap.name not in made.policies)
    return ColumnEntry(
        table=table,
        column=column,
        settings={key: value for key, value in settings.items() if value not in (None, {})},
        why=made.rule.why,
        note=made.rule.note,
        evidence=draft.decisions.evidence(made),
        open=tuple((trap, count.rows if count else None) for trap, count in counts),
        others=() if draft.loading else tuple(sorted(family.accepts(column) - {base_name(made.to)})),
    )
