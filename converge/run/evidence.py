"""What the plan is decided by beyond the catalog: the scan of the data, and the target's answers.

The target tries translations, and its own rows are compared with the source's, while the plan is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink, phase
from converge.model.evidence import Count, Evidence, Seeded, TableFacts
from converge.model.existing import ROWS_LIMIT, OwnForeignKey
from converge.model.plan import Plan, Trial
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.digest import distinct_values, keyed_rows
from converge.mysql.scan import scan
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.load.match import Loading
from converge.planner.plan import all_questions, make_plan
from converge.postgres import keyed
from converge.postgres.connect import THEIR_PATH
from converge.postgres.keyed import Keyed, left_alone, load_ours, load_theirs
from converge.postgres.query import value
from converge.postgres.saved import is_whole
from converge.postgres.trial import Trials, may_try, printed
from converge.run.options import Options

PHASE = "scan"
_BATCH = 5_000
_SHOWN = 5


def gather(
    source: Endpoint,
    inputs: Inputs,
    options: Options,
    emit: Sink,
    position: str | None,
    only: Set[str] | None = None,
) -> Evidence:
    """Scans the source, or `only` these tables, unless the options say no or an earlier scan has seen them.

    The rows are the same where the log stands at the same `position`.
    """
    if not options.scan:
        return inputs.evidence
    todo, known = all_questions(inputs), dict[str, TableFacts]()
    if only is not None:
        todo = [one for one in todo if one.table in only]
    if options.seen is not None and options.seen.position == position:
        answers = ((one.table, options.seen.answers(one)) for one in todo)
        known = {table: facts for table, facts in answers if facts is not None}
        todo = [one for one in todo if one.table not in known]
    with phase(None, emit, PHASE, len(todo)):
        tables = scan(
            source,
            todo,
            jobs=options.jobs,
            seconds=options.scan_seconds,
            on_table=lambda table: emit(Advanced(PHASE, table)),
        )
    return replace(
        inputs.evidence, tables={**inputs.evidence.tables, **known, **tables}, seen_before=tuple(known)
    )


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
        return plan, replace(asked.evidence, printed=asked.prints)
    return plan, replace(asked.evidence, refused=asked.refused, tried=True)


class _Answers:
    """What the target says to the planner, kept as evidence."""

    def __init__(
        self, evidence: Evidence, target: psycopg.Connection[Any], source: Connection[Any] | None
    ) -> None:
        self.evidence = evidence
        self.refused: dict[str, str] = {}
        self.prints: dict[str, str] = {}
        self.trials: Trials | None = None
        self._source, self._target = source, target

    def refusal(self, draft: Draft, trial: Trial) -> str | None:
        assert self.trials is not None
        reason = self.trials.refusal(trial, draft.making, draft.in_schema)
        if reason is not None:
            self.refused[trial.object] = reason
        return reason

    def printed(self, expression: str, columns: str) -> str | None:
        found = printed(self._target, columns) if may_try(self._target) else None
        if found is not None:
            self.prints[expression] = found
        return found

    def rows(self, draft: Draft) -> Evidence:
        assert self._source is not None and draft.loading is not None
        self.evidence = _BothRows(draft, draft.loading, self._source, self._target).compared()
        return self.evidence


@dataclass(frozen=True)
class _Both:
    """A table whose rows are compared."""

    plan: TablePlan
    keyed: Keyed
    keys: dict[tuple[str, ...], int]
    """Places of further keys' digests, by the target's names of their columns."""


class _BothRows:
    """Rows that are in the target's own tables, and the source's that come to them."""

    def __init__(
        self, draft: Draft, loading: Loading, source: Connection[Any], target: psycopg.Connection[Any]
    ) -> None:
        self._draft, self._loading, self._source, self._target = draft, loading, source, target
        self._foreign_keys = loading.existing.foreign_keys

    def compared(self) -> Evidence:
        """The evidence with what the plan must know of rows that are in the target, and stay or go."""
        draft, existing = self._draft, self._loading.existing
        if not (existing.foreign_keys or any(table.rows for table in existing.tables)):
            return draft.evidence
        seeded = {}
        if may_try(self._target):
            with self._target.transaction(force_rollback=True):
                tables = dict(self._read())
                for name, one in tables.items():
                    equal, differ, ours, theirs, going = keyed.compared(self._target, one.keyed)
                    displaced = going if one.plan.rows == "merge" else 0
                    seeded[name] = Seeded(equal, differ, ours, theirs, displaced, self._left(tables, one))
        orphans, broken = dict(self._orphans()), dict(self._broken())
        return replace(draft.evidence, seeded=seeded, orphans=orphans, broken=broken)

    def _read(self) -> Iterator[tuple[str, _Both]]:
        """The rows of both sides where the target has some; of large tables where a run could fail by it."""
        draft = self._draft
        for number, table in enumerate((*draft.tables.values(), *draft.kept.values())):
            own = self._loading.matches[table.source].own
            limit = None if self._may_fail(table) else ROWS_LIMIT
            if not (own.rows or table.source in draft.kept) or own.rows == limit:
                continue
            columns = {column.target: column for column in table.columns}
            referred = [key.parent_columns for key in self._foreign_keys if key.parent == own.quoted]
            whole = [index.columns for index in own.indexes if is_whole(index)]
            names = [key for key in dict.fromkeys([*whole, *referred]) if columns.keys() >= set(key)]
            keys = [[columns[name] for name in key] for key in names]
            places = {key: place for place, key in enumerate(names, start=2)}
            both = _Both(table, Keyed(number), places)
            rows = keyed_rows(self._source, table, keys, limit)
            if load_ours(self._target, both.keyed, keys, rows) == limit:
                continue
            unique = [1, *(places[key] for key in whole if key in places)]
            load_theirs(self._target, both.keyed, draft.schema, table, keys, unique)
            yield table.source, both

    def _may_fail(self, table: TablePlan) -> bool:
        """Whether foreign keys could not be restored: rows go that others refer to, which stay."""
        if table.rows == "merge" or table.source in self._draft.kept:
            return table.rows == "merge"
        quoted = self._loading.matches[table.source].own.quoted
        plans = (self._planned(key.table) for key in self._foreign_keys if key.parent == quoted)
        return any(plan is None or plan.rows == "merge" for plan in plans)

    def _planned(self, quoted: str) -> TablePlan | None:
        """The plan of the table that is loaded into this one of the target."""
        match = self._loading.by_quoted.get(quoted)
        return self._draft.tables.get(match.source.name) if match else None

    def _broken(self) -> Iterator[tuple[str, int]]:
        """Rows that are set aside, and that a CHECK which they break would not let back."""
        for table in self._draft.tables.values():
            own = self._loading.matches[table.source].own
            for check in own.conditions if table.rows else ():
                if not check.condition:
                    continue
                with self._target.transaction():
                    self._target.execute(THEIR_PATH)
                    rows = value(self._target, f"SELECT count(*) {check.broken(own.quoted)}")
                if rows:
                    yield f"{table.source}.{check.name}", rows

    def _left(self, tables: Mapping[str, _Both], parent: _Both) -> dict[str, int]:
        """Rows that stay in the target and refer to rows that go, by foreign key."""
        found = {}
        quoted = self._loading.matches[parent.plan.source].own.quoted
        for key in self._foreign_keys:
            if key.parent != quoted or parent.plan.source in self._draft.kept:
                continue
            plan = self._planned(key.table)
            child = tables.get(plan.source) if plan else None
            if (plan and child is None) or key.parent_columns not in parent.keys:
                continue
            place = parent.keys[key.parent_columns]
            staying = (child.plan, child.keyed) if child else None
            with suppress(psycopg.errors.InsufficientPrivilege), self._target.transaction():
                rows = left_alone(self._target, key, (parent.plan, parent.keyed, place), staying)
                if rows:
                    found[key.name] = rows
        return found

    def _orphans(self) -> Iterator[tuple[str, Count]]:
        """Rows of the source that refer to tables which are not loaded, and have no such row there."""
        for key in self._foreign_keys:
            plan = self._planned(key.table)
            if plan is None or not key.validated or self._planned(key.parent) is not None:
                continue
            columns = {column.target: column for column in plan.columns}
            if columns.keys() >= set(key.columns):
                types = {own.name: own.type for own in self._loading.matches[plan.source].own.columns}
                pairs = [(columns[name], types[name]) for name in key.columns]
                count = self._without_parent(key, plan, pairs)
                if count.rows:
                    yield f"{plan.source}.{key.name}", count

    def _without_parent(
        self, key: OwnForeignKey, table: TablePlan, columns: Sequence[tuple[ColumnPlan, str]]
    ) -> Count:
        values = distinct_values(self._source, table, [column for column, _ in columns])
        types = [type_ for _, type_ in columns]
        rows, shown = 0, []
        while batch := list(islice(values, _BATCH)):
            # A text that the type does not take stops the run as a trap; what may not be read is not known.
            with suppress(psycopg.DataError, psycopg.errors.InsufficientPrivilege):
                missing = keyed.without_parent(self._target, key, types, [texts for texts, _ in batch])
                rows += sum(batch[place][1] for place in missing)
                shown += ["/".join(batch[place][0]) for place in missing]
        return Count(rows, tuple(shown[:_SHOWN]))
