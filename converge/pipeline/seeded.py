"""Rows that are in the target's tables are compared with the source's before the plan is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.model.evidence import Count, Evidence, Seeded
from converge.model.existing import ROWS_LIMIT, OwnForeignKey, OwnTable
from converge.model.plan import ColumnPlan, TablePlan
from converge.mysql.keyed import distinct_values, keyed_rows
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.load.match import Loading
from converge.planner.plan import draft_plan
from converge.postgres import keyed
from converge.postgres.saved import is_whole

_BATCH = 5_000
_SHOWN = 5

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class _Both:
    """A table that has few rows on both sides, by the digests of their keys."""

    plan: TablePlan
    own: OwnTable
    keys: dict[tuple[str, ...], int]
    """Places in a row of further keys, by the target's names of their columns."""
    ours: list[Row]
    """The digests of each row, of its key, and of the further ones."""
    theirs: list[Row]

    @cached_property
    def values(self) -> dict[int, set[str | None]]:
        """The source's digests of each key, by its place."""
        return {place: {row[place] for row in self.ours} for place in (1, *self.keys.values())}

    @cached_property
    def stay(self) -> set[str | None]:
        """The keys of the target's rows that a merge puts back."""
        if self.plan.rows != "merge":
            return set()
        unique = [self.keys[index.columns] for index in self.own.indexes
                  if is_whole(index) and index.columns in self.keys]  # fmt: skip
        return {
            row[1]
            for row in self.theirs
            if not any(row[place] is not None and row[place] in self.values[place] for place in (1, *unique))
        }

    def compared(self) -> Seeded:
        ours, theirs = ({row[1]: row[0] for row in rows} for rows in (self.ours, self.theirs))
        both = ours.keys() & theirs.keys()
        alone = theirs.keys() - ours.keys()
        return Seeded(
            equal=sum(ours[key] == theirs[key] for key in both),
            differ=sum(ours[key] != theirs[key] for key in both),
            only_source=len(ours.keys() - theirs.keys()),
            only_target=len(alone),
            displaced=len(alone - self.stay) if self.plan.rows == "merge" else 0,
        )


def compared(inputs: Inputs, source: Connection[Any], target: psycopg.Connection[Any]) -> Evidence:
    """The evidence with what the plan must know of rows that are in the target, and stay or go."""
    existing = inputs.evidence.existing
    if existing is None or not (existing.foreign_keys or any(table.rows for table in existing.tables)):
        return inputs.evidence
    draft = draft_plan(inputs)
    assert draft.loading is not None
    read = (_read(draft, draft.loading, source, target, table)
            for table in (*draft.tables.values(), *draft.kept.values()))  # fmt: skip
    tables = {one.plan.source: one for one in read if one is not None}
    seeded = {
        name: replace(one.compared(), left=_left(draft, draft.loading, target, tables, one))
        for name, one in tables.items()
    }
    orphans = dict(_orphans(draft, draft.loading, source, target))
    return replace(inputs.evidence, seeded=seeded, orphans=orphans)


def _read(
    draft: Draft, loading: Loading, source: Connection[Any], target: psycopg.Connection[Any], table: TablePlan
) -> _Both | None:
    """The rows of both sides, where the target's table has some or keeps none, and neither has many."""
    own = loading.matches[table.source].own
    if own.rows >= ROWS_LIMIT or not (own.rows or table.source in draft.kept):
        return None
    columns = {column.target: column for column in table.columns}
    referred = [key.parent_columns for key in loading.existing.foreign_keys if key.parent == own.quoted]
    wanted = dict.fromkeys([*(index.columns for index in own.indexes if is_whole(index)), *referred])
    keys = [key for key in wanted if columns.keys() >= set(key)]
    by_columns = [[columns[name] for name in key] for key in keys]
    ours = keyed_rows(source, table, by_columns, ROWS_LIMIT)
    if len(ours) == ROWS_LIMIT:
        return None
    places = {key: place for place, key in enumerate(keys, start=2)}
    return _Both(table, own, places, ours, keyed.keyed_rows(target, draft.schema, table, by_columns))


def _left(
    draft: Draft,
    loading: Loading,
    target: psycopg.Connection[Any],
    tables: dict[str, _Both],
    parent: _Both,
) -> dict[str, int]:
    """Rows that stay in the target and refer to rows that go, by foreign key."""
    found = {}
    for key in loading.existing.foreign_keys:
        if key.parent != parent.own.quoted or parent.plan.source in draft.kept:
            continue
        match = loading.by_quoted.get(key.table)
        child = match.source.name if match else ""
        staying = tables.get(child)
        if (child in draft.tables and staying is None) or key.parent_columns not in parent.keys:
            continue
        merged = staying if child in draft.tables else None
        try:
            rows = keyed.referring(target, key, parent.plan, merged.plan if merged else None)
        except psycopg.errors.InsufficientPrivilege:
            continue
        values = parent.values[parent.keys[key.parent_columns]]
        found[key.name] = sum(
            identity not in parent.stay and value not in values
            for identity, value, own in rows
            if merged is None or own in merged.stay
        )
    return {name: rows for name, rows in found.items() if rows}


def _orphans(
    draft: Draft, loading: Loading, source: Connection[Any], target: psycopg.Connection[Any]
) -> Iterator[tuple[str, Count]]:
    """Rows of the source that refer to tables which are not loaded, and have no such row there."""
    for key in loading.existing.foreign_keys:
        child, parent = loading.by_quoted.get(key.table), loading.by_quoted.get(key.parent)
        if child is None or child.source.name not in draft.tables or not key.validated:
            continue
        if parent is not None and parent.source.name in draft.tables:
            continue
        plan = draft.tables[child.source.name]
        columns = {column.target: column for column in plan.columns}
        if columns.keys() >= set(key.columns):
            types = {own.name: own.type for own in child.own.columns}
            count = _without_parent(
                source, target, key, plan, [(columns[name], types[name]) for name in key.columns]
            )
            if count.rows:
                yield f"{child.source.name}.{key.name}", count


def _without_parent(
    source: Connection[Any],
    target: psycopg.Connection[Any],
    key: OwnForeignKey,
    table: TablePlan,
    columns: Sequence[tuple[ColumnPlan, str]],
) -> Count:
    values = distinct_values(source, table, [column for column, _ in columns])
    rows, shown = 0, []
    while batch := list(islice(values, _BATCH)):
        try:
            missing = keyed.without_parent(
                target, key, [type_ for _, type_ in columns], [texts for texts, _ in batch]
            )
        except (psycopg.DataError, psycopg.errors.InsufficientPrivilege):
            # A text that the type does not take stops the run as a trap; what may not be read is not known.
            continue
        rows += sum(batch[place][1] for place in missing)
        shown += ["/".join(batch[place][0]) for place in missing]
    return Count(rows, tuple(shown[:_SHOWN]))
