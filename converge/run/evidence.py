"""What the plan is decided by beyond the catalog: the scan of the data, and the target's answers.

The target tries translations, and its own rows are compared with the source's, while the plan is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink, phase
from converge.model.evidence import Count, Evidence, Seeded
from converge.model.existing import ROWS_LIMIT, OwnForeignKey
from converge.model.plan import ColumnPlan, Plan, TablePlan, Trial
from converge.mysql.digest import distinct_values, keyed_rows
from converge.mysql.scan import scan
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.load.match import Loading
from converge.planner.plan import all_questions, make_plan
from converge.postgres import keyed
from converge.postgres.keyed import Keyed, left_alone, load_ours, load_theirs
from converge.postgres.saved import is_whole
from converge.postgres.trial import Trials, may_try
from converge.run.options import Options

PHASE = "scan"
_BATCH = 5_000
_SHOWN = 5


def gather(source: Endpoint, inputs: Inputs, options: Options, emit: Sink) -> Evidence:
    """Scans the source unless the options say no."""
    if not options.scan:
        return inputs.evidence
    todo = all_questions(inputs)
    with phase(None, emit, PHASE, len(todo)):
        tables = scan(
            source,
            todo,
            jobs=options.jobs,
            seconds=options.scan_seconds,
            on_table=lambda table: emit(Advanced(PHASE, table)),
        )
    return replace(inputs.evidence, tables=tables)


def ask_target(
    inputs: Inputs, target: psycopg.Connection[Any], source: Connection[Any] | None = None
) -> tuple[Plan, Evidence]:
    """The plan by what the target says of it now, and the evidence with these answers.

    Where translations cannot be tried, `tried` stays False. In load mode rows of the `source` are asked, too.
    """
    with ExitStack() as stack:
        asked = _Answers(inputs.evidence, target, source)
        if inputs.evidence.existing is None:
            if not may_try(target):
                return make_plan(inputs), inputs.evidence
            asked.trials = stack.enter_context(Trials(target, inputs.schema))
        plan = make_plan(inputs, asked)
    if asked.trials is None:
        return plan, asked.evidence
    return plan, replace(asked.evidence, refused=asked.refused, tried=True)


class _Answers:
    """What the target says to the planner, kept as evidence."""

    def __init__(
        self, evidence: Evidence, target: psycopg.Connection[Any], source: Connection[Any] | None
    ) -> None:
        self.evidence = evidence
        self.refused: dict[str, str] = {}
        self.trials: Trials | None = None
        self._source, self._target = source, target

    def refusal(self, draft: Draft, trial: Trial) -> str | None:
        assert self.trials is not None
        reason = self.trials.refusal(trial, draft.making, draft.in_schema)
        if reason is not None:
            self.refused[trial.object] = reason
        return reason

    def rows(self, draft: Draft) -> Evidence:
        assert self._source is not None
        self.evidence = _compared(draft, self._source, self._target)
        return self.evidence


# ---- rows that are in the target's own tables -----------------------------------------------------------


@dataclass(frozen=True)
class _Both:
    """A table whose rows are compared."""

    plan: TablePlan
    keyed: Keyed
    keys: dict[tuple[str, ...], int]
    """Places of further keys' digests, by the target's names of their columns."""


def _compared(draft: Draft, source: Connection[Any], target: psycopg.Connection[Any]) -> Evidence:
    """The evidence with what the plan must know of rows that are in the target, and stay or go."""
    assert draft.loading is not None
    existing = draft.loading.existing
    if not (existing.foreign_keys or any(table.rows for table in existing.tables)):
        return draft.evidence
    seeded = {}
    if may_try(target):
        with target.transaction(force_rollback=True):
            tables = dict(_read(draft, draft.loading, source, target))
            for name, one in tables.items():
                equal, differ, ours, theirs, going = keyed.compared(target, one.keyed)
                displaced = going if one.plan.rows == "merge" else 0
                left = _left(draft, draft.loading, target, tables, one)
                seeded[name] = Seeded(equal, differ, ours, theirs, displaced, left)
    orphans = dict(_orphans(draft, draft.loading, source, target))
    return replace(draft.evidence, seeded=seeded, orphans=orphans)


def _read(
    draft: Draft, loading: Loading, source: Connection[Any], target: psycopg.Connection[Any]
) -> Iterator[tuple[str, _Both]]:
    """The rows of both sides where the target has some; of large tables where a run could fail by them."""
    for number, table in enumerate((*draft.tables.values(), *draft.kept.values())):
        own = loading.matches[table.source].own
        limit = None if _may_fail(draft, loading, table) else ROWS_LIMIT
        if not (own.rows or table.source in draft.kept) or own.rows == limit:
            continue
        columns = {column.target: column for column in table.columns}
        referred = [key.parent_columns for key in loading.existing.foreign_keys if key.parent == own.quoted]
        whole = [index.columns for index in own.indexes if is_whole(index)]
        names = [key for key in dict.fromkeys([*whole, *referred]) if columns.keys() >= set(key)]
        keys = [[columns[name] for name in key] for key in names]
        places = {key: place for place, key in enumerate(names, start=2)}
        both = _Both(table, Keyed(number), places)
        if load_ours(target, both.keyed, keys, keyed_rows(source, table, keys, limit)) == limit:
            continue
        unique = [1, *(places[key] for key in whole if key in places)]
        load_theirs(target, both.keyed, draft.schema, table, keys, unique)
        yield table.source, both


def _may_fail(draft: Draft, loading: Loading, table: TablePlan) -> bool:
    """Whether foreign keys could not be restored: rows go that others refer to, which stay."""
    if table.rows == "merge" or table.source in draft.kept:
        return table.rows == "merge"
    quoted = loading.matches[table.source].own.quoted
    children = [
        loading.by_quoted.get(key.table) for key in loading.existing.foreign_keys if key.parent == quoted
    ]
    plans = [draft.tables.get(match.source.name) if match else None for match in children]
    return any(plan is None or plan.rows == "merge" for plan in plans)


def _left(
    draft: Draft,
    loading: Loading,
    target: psycopg.Connection[Any],
    tables: Mapping[str, _Both],
    parent: _Both,
) -> dict[str, int]:
    """Rows that stay in the target and refer to rows that go, by foreign key."""
    found = {}
    for key in loading.existing.foreign_keys:
        own = loading.matches[parent.plan.source].own
        if key.parent != own.quoted or parent.plan.source in draft.kept:
            continue
        match = loading.by_quoted.get(key.table)
        name = match.source.name if match else ""
        child = tables.get(name) if name in draft.tables else None
        if (name in draft.tables and child is None) or key.parent_columns not in parent.keys:
            continue
        place = parent.keys[key.parent_columns]
        with suppress(psycopg.errors.InsufficientPrivilege), target.transaction():
            found[key.name] = left_alone(
                target, key, (parent.plan, parent.keyed, place), (child.plan, child.keyed) if child else None
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
