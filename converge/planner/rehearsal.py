"""A run's fingerprint, and what a new plan finds changed since: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from converge.model.forecast import Forecast
from converge.model.plan import OCCUPIED, ColumnPlan, Plan
from converge.model.rehearsal import Drift, Drifted, Fingerprint, Growth, TableMark
from converge.model.result import Result

_OF_COLUMNS = frozenset({"table", "column"})
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
        changes=(
            *_versions(before, now),
            *_tables(before, now),
            *_decisions(before, now),
            *_findings(before, now, plan),
        ),
        growth=tuple(_growth(last, before, now)),
        forecast=_forecast(last, before, now, plan.forecast),
    )


def with_drift(plan: Plan, drift: Drift | None) -> Plan:
    """The plan that tells of it, with the forecast that was measured instead of the one by sizes."""
    if drift is None:
        return plan
    return replace(plan, since=drift, forecast=drift.forecast or plan.forecast)


def _becomes(column: ColumnPlan) -> str:
    """All that is decided of a column, in words."""
    words = [column.target_type]
    if column.target != column.source:
        words.append(f"called {column.target}")
    if not column.nullable:
        words.append("not null")
    if column.identity:
        words.append("identity")
    if column.default is not None:
        words.append(f"default {column.default}")
    if column.generated is not None:
        words.append(f"generated as {column.generated}")
    if column.collation is not None:
        words.append(f"collation {column.collation}")
    return ", ".join(words + [f"{change.trap}: {change.policy}" for change in column.changes])


def _versions(before: Fingerprint, now: Fingerprint) -> Iterator[Drifted]:
    for name, was, is_ in (
        ("MySQL", before.source_version, now.source_version),
        ("PostgreSQL", before.target_version, now.target_version),
    ):
        if was != is_:
            yield Drifted("server", name, was, is_)


def _tables(before: Fingerprint, now: Fingerprint) -> Iterator[Drifted]:
    """Tables and columns of the source: added, gone, of another type."""
    for name in _names(before.tables, now.tables):
        was, is_ = before.tables.get(name), now.tables.get(name)
        if was is None or is_ is None:
            yield Drifted("table", name, _width(was), _width(is_))
            continue
        for column in _names(was.columns, is_.columns):
            types = [mark.columns[column][0] if column in mark.columns else "" for mark in (was, is_)]
            if types[0] != types[1]:
                yield Drifted("column", f"{name}.{column}", *types)


def _width(mark: TableMark | None) -> str:
    if mark is None:
        return ""
    count = len(mark.columns)
    return f"{count} column" + ("" if count == 1 else "s")


def _decisions(before: Fingerprint, now: Fingerprint) -> Iterator[Drifted]:
    """What becomes of columns that both have, and of all other objects."""
    for table in sorted(before.tables.keys() & now.tables.keys()):
        was, is_ = before.tables[table].columns, now.tables[table].columns
        for column in (name for name in was if name in is_):
            if was[column][1] != is_[column][1]:
                yield Drifted("decision", f"{table}.{column}", was[column][1], is_[column][1])
    for name in _names(before.objects, now.objects):
        was_then, is_now = before.objects.get(name, ""), now.objects.get(name, "")
        if was_then != is_now:
            yield Drifted("decision", name, was_then, is_now)


def _findings(before: Fingerprint, now: Fingerprint, plan: Plan) -> Iterator[Drifted]:
    said = {(one.code, one.object): one.message for one in plan.findings}
    for code, name in sorted({*now.findings} - {*before.findings}):
        yield Drifted("finding", f"{code} {name}", "", said[code, name])
    for code, name in sorted({*before.findings} - {*now.findings}):
        yield Drifted("finding", f"{code} {name}", "was found", "")


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
    basis = (
        f"measured in the last run: {took:.1f} s{unproved}; the source is at {growth:.0%} of its size then"
    )
    return replace(by_size, seconds=seconds, basis=basis)


def _names(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return sorted(before.keys() | now.keys())
