"""Every decision about a column as a map's entry would say it: for `--write-map` and `explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converge.mapping.grammar import SECTIONS
from converge.mapping.rules import setting
from converge.model.catalog import Column, Table
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs, begin
from converge.types import Trap, base_name, family_of


@dataclass(frozen=True, slots=True)
class Decision:
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


def decisions(inputs: Inputs, only: str | None = None) -> Iterator[Decision]:
    """A decision for each column of a known type, in the source's order; `only` of one table."""
    draft, tables = begin(inputs)
    for table in tables:
        for column in table.columns if only in (None, table.name) else ():
            if family_of(column) is not None:
                yield _decide(draft, table, column)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the maps say of a table, an index or a foreign key."""

    section: str
    match: Mapping[str, str]
    settings: Mapping[str, Any]


def wishes(inputs: Inputs) -> Iterator[Wish]:
    """Everything that the maps say of objects that are no columns, in the source's order."""
    map_ = inputs.map
    for table in inputs.catalog.tables:
        name = {"table": table.name}
        found = [("table", name, map_.for_table(table))]
        found += [
            ("index", {**name, "index": index.name}, map_.for_index(table, index)) for index in table.indexes
        ]
        found += [
            ("foreign_key", {**name, "foreign_key": key.name}, map_.for_foreign_key(table, key))
            for key in table.foreign_keys
        ]
        for section, match, rules in found:
            settings = {key: setting(rules, key)[0] for key in SECTIONS[section].settings}
            if settings := {key: value for key, value in settings.items() if value is not None}:
                yield Wish(section, match, settings)


def _decide(draft: Draft, table: Table, column: Column) -> Decision:
    made = draft.decision(table, column)
    settings = {key: made.setting(key) for key in SECTIONS["column"].settings}
    traps = [trap for trap, _ in made.handled]
    names = {trap.name for trap in traps}
    policies = {name: policy for name, policy in made.policies.items() if name in names}
    settings |= {"to": made.to, "policy": policies}
    counts = ((trap, draft.decisions.count(made, trap)) for trap in traps)
    family = family_of(column)
    return Decision(
        table,
        column,
        {key: value for key, value in settings.items() if value not in (None, {})},
        made.rule.why,
        made.rule.note,
        draft.decisions.evidence(made),
        tuple(
            (trap, count.rows if count else None) for trap, count in counts if trap.name not in made.policies
        ),
        () if draft.loading or not family else tuple(sorted(family.accepts(column) - {base_name(made.to)})),
    )
