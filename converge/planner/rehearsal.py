"""A run's fingerprint, and what a new plan finds changed since: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import get_args

from converge.codes import Code
from converge.model.finding import OCCUPIED
from converge.model.plan import Plan
from converge.model.rehearsal import Drift, Drifted, Fingerprint, Forecast, Growth, TableMark, What
from converge.model.result import Result
from converge.model.table_plan import ColumnPlan

_OF_COLUMNS = frozenset({"table", "column"})
_ORDER = get_args(What)
_FIXED = frozenset({"create", "snapshot"})
"""Phases whose time does not grow with the rows."""


def fingerprint(plan: Plan, *, whole: bool) -> Fingerprint:
    """Of a run with this plan; `whole` when it does all of it by itself."""
    return Fingerprint(
        source_version=plan.source_version,
        target_version=plan.target_version,
        digest=plan.digest,
        whole=whole,
        tables={
            table.source: TableMark(
                table.rows_estimate,
                table.data_bytes,
                {one.source: (one.source_type, _becomes(one)) for one in table.columns},
            )
            for table in plan.tables
        },
        objects={
            f"{one.kind} {one.name}": f"{one.state}: {one.becomes}" if one.becomes else one.state
            for one in plan.outcomes
            if one.kind not in _OF_COLUMNS
        },
        findings=tuple(sorted({(one.code, one.object) for one in plan.findings if one.code != OCCUPIED})),
    )


def since(last: Result, plan: Plan) -> Drift | None:
    """What is not as it was when the last run was planned; None when its report does not say."""
    before = last.fingerprint
    if before is None:
        return None
    now = fingerprint(plan, whole=True)
    return Drift(
        since=f"{last.started.replace('T', ' ').replace('+00:00', ' UTC')}, {last.source}: {last.verdict}",
        changes=tuple(_changes(before, now, plan)),
        growth=tuple(_growth(last, before, now)),
        forecast=_forecast(last, before, now, plan.forecast),
    )


def changes(before: Plan, plan: Plan) -> list[str]:
    """What a plan decides otherwise than an earlier one, each in a line."""
    was, now = (_deciding(fingerprint(one, whole=True)) for one in (before, plan))
    found = [f"{one.what} {one.object}: {_from_to(one.before, one.now)}" for one in _changes(was, now, plan)]
    return found or [*_other_statements(before, plan)]


def _deciding(mark: Fingerprint) -> Fingerprint:
    """Without notes, which decide nothing."""
    noted = "translated with a note"
    objects = {name: words.replace(noted, "translated", 1) for name, words in mark.objects.items()}
    return replace(mark, findings=(), objects=objects)


def _other_statements(before: Plan, plan: Plan) -> Iterator[str]:
    """What no column and no name tells: the action of a foreign key, a CHECK constraint, a comment."""
    was, now = (
        {(one.phase, one.object, one.sql): None for one in each.statements} for each in (before, plan)
    )
    gone, new = (
        {(phase, object_): sql for phase, object_, sql in each if (phase, object_, sql) not in other}
        for each, other in ((was, now), (now, was))
    )
    for phase, object_ in gone | new:
        words = _from_to(gone.get((phase, object_), ""), new.get((phase, object_), ""))
        yield f"{phase} of {object_}: {words}"


def _from_to(before: str, now: str) -> str:
    return f"{before or 'not there'} → {now or 'not there'}"


def _becomes(column: ColumnPlan) -> str:
    """All that is decided of a column, in words."""
    words = {
        f"called {column.target}": column.target != column.source,
        "not null": not column.nullable,
        "identity": column.identity,
        f"default {column.default}": column.default is not None,
        f"generated as {column.generated}": column.generated is not None,
        f"collation {column.collation}": column.collation is not None,
    } | {f"{change.trap}: {change.policy}": True for change in column.changes}
    return ", ".join([column.target_type, *(word for word, applies in words.items() if applies)])


def _changes(before: Fingerprint, now: Fingerprint, plan: Plan) -> Iterator[Drifted]:
    """Servers first, then tables and columns, what becomes of both sides' objects, and findings."""
    said = {(one.code, one.object): one.message for one in plan.findings}
    was, is_ = _facts(before, now, said), _facts(now, before, said)
    for key in sorted(was.keys() | is_.keys(), key=lambda key: (_ORDER.index(key[0]), key[1])):
        if was.get(key, "") != is_.get(key, ""):
            yield Drifted(*key, was.get(key, ""), is_.get(key, ""))


def _facts(
    mark: Fingerprint, other: Fingerprint, said: Mapping[tuple[Code, str], str]
) -> dict[tuple[What, str], str]:
    """All that a fingerprint knows, in words; of columns where the `other` one has the table, too."""
    facts: dict[tuple[What, str], str] = {
        ("server", "MySQL"): mark.source_version,
        ("server", "PostgreSQL"): mark.target_version,
    }
    for name, table in mark.tables.items():
        there, count = other.tables.get(name), len(table.columns)
        if there is None:
            facts["table", name] = f"{count} column" + ("" if count == 1 else "s")
            continue
        for column, (type_, becomes) in table.columns.items():
            facts["column", f"{name}.{column}"] = type_
            if column in there.columns:
                facts["decision", f"{name}.{column}"] = becomes
    facts |= {("decision", name): becomes for name, becomes in mark.objects.items()}
    return facts | {
        ("finding", f"{code} {name}"): said.get((code, name), "was found") for code, name in mark.findings
    }


def _growth(last: Result, before: Fingerprint, now: Fingerprint) -> Iterator[Growth]:
    """The largest change first. What the run has counted goes before what its plan had estimated."""
    counted = {
        one.source: one.rows_source if one.rows_source is not None else one.rows_read for one in last.tables
    }
    found = []
    for name in before.tables.keys() & now.tables.keys():
        rows = counted.get(name)
        was, is_ = before.tables[name].rows if rows is None else rows, now.tables[name].rows
        if was != is_:
            found.append(Growth(name, was, is_))
    yield from sorted(found, key=lambda one: (-abs(one.now - one.before), one.table))


def _forecast(
    last: Result, before: Fingerprint, now: Fingerprint, by_size: Forecast | None
) -> Forecast | None:
    then, today = (sum(mark.bytes for mark in one.tables.values()) for one in (before, now))
    unfinished = last.verdict in ("failed", "interrupted", "blocked")
    if by_size is None or not before.whole or unfinished or not then:
        return None
    growth = today / then
    seconds = sum(took * (1 if name in _FIXED else growth) for name, took in last.phases)
    took = sum(took for _, took in last.phases)
    unproved = ", without a full comparison" if last.verdict == "migrated" else ""
    size = f"the source is at {growth:.0%} of its size at the last run"
    basis = f"measured in the last run: {took:.1f} s{unproved}; {size}"
    return replace(by_size, seconds=seconds, basis=basis)
