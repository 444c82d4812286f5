"""The proof: digests of every row and every column, computed inside both servers.

Sums of whole tables decide. Only a table whose sums differ is looked into, by the drill-down, and
its word is final: values that print differently and are the same do not count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Literal

import psycopg

from converge.codes import Code
from converge.model.check import Check, CheckResult
from converge.model.event import Advanced, Sink, phase
from converge.model.plan import Finding, Plan, TablePlan
from converge.model.quote import my_name
from converge.model.result import Changed, Difference, NotCompared, Result, TableResult, ViewResult
from converge.model.work import CheckTask, Counts, Digest, DigestTask, Drilled, DrillTask, Range, ViewTask
from converge.mysql.digest import change_counts
from converge.mysql.digest import digest_query as source_digest
from converge.mysql.rows import where
from converge.postgres.digest import digest_query as target_digest
from converge.postgres.digest import page_ranges, rows_of
from converge.run.workers import Workers

PHASE = "verify"
_VIEWS = "views"
_CHECKS = "check"

VerifyLevel = Literal["full", "counts", "none"]
Tell = Callable[[list[Difference]], None]


def prove(
    plan: Plan,
    workers: Workers,
    target: psycopg.Connection[Any],
    ranges: dict[str, list[Range]],
    level: VerifyLevel,
    tables: dict[str, TableResult],
    result: Result,
    emit: Sink,
    tell: Tell | None = None,
) -> list[Digest]:
    """Compares, and gives `result` its verdict; only a full comparison can end in `verified`.

    `tell` gets every row that differs. The checks of the maps go with every level. Returns what was summed
    up, by table.
    """
    todo = tasks(plan, target, ranges, level)
    with phase(result, emit, PHASE, len(todo)):
        totals = sums(workers, plan, todo, emit)
        result.changes = changed(plan, totals)
        result.verdict = "differs" if result.rejects else "migrated"
        if level != "none":
            count(totals, tables)
        if level == "counts" and not all(total.equal for total in totals):
            result.verdict = "differs"
        if level == "full":
            result.differences = judge(plan, workers, totals, tables, tell)
            same = all(table.verified for table in tables.values())
            result.verdict = "verified" if same else "differs"
    if level == "full":
        result.not_compared += [
            NotCompared("column", f"{table.source}.{column.source}", column.uncompared)
            for table in plan.tables for column in table.columns if column.uncompared
        ]  # fmt: skip
    if level == "full" and (plan.computed or plan.mode == "load"):
        with phase(result, emit, _VIEWS, len(plan.computed)):
            compare_views(plan, workers, result, emit)
    _check(plan, workers, result, emit)
    return totals


def _check(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    if not plan.checks:
        return
    with phase(result, emit, _CHECKS, len(plan.checks)):
        result.checks = _run_checks(plan, workers, emit)
    result.findings += _check_findings(result.checks)
    if any(check.failed for check in result.checks):
        result.verdict = "differs"


def tasks(
    plan: Plan,
    target: psycopg.Connection[Any],
    ranges: dict[str, list[Range]],
    level: VerifyLevel,
) -> list[DigestTask]:
    """The queries of both sides, the largest table first. `ranges` are the source's, by table.

    Without a comparison only the rows that declared policies change are counted.
    """
    if level == "none":
        changed = (table for table in plan.tables if change_counts(table))
        return [replace(_count(plan, table), target="") for table in changed]
    if level == "counts":
        return [_count(plan, table) for table in plan.tables]
    parts = [list(_digests(plan, table, target, ranges[table.source])) for table in plan.tables]
    return [task for table in sorted(parts, key=len, reverse=True) for task in table]


def source_tasks(plan: Plan, ranges: dict[str, list[Range]]) -> Iterator[DigestTask]:
    """The source's side alone, as `tasks` asks for it at the level ``full``."""
    for table in plan.tables:
        for part in ranges[table.source]:
            yield DigestTask(table.source, source_digest(table, where(table, part)), "")


def sums(workers: Workers, plan: Plan, todo: Iterable[DigestTask], emit: Sink) -> list[Digest]:
    """Carries the queries out; returns a sum for each table."""
    totals = {table.source: Digest(table.source) for table in plan.tables}
    for digest in workers.work(todo):
        if isinstance(digest, Digest):
            totals[digest.table] += digest
            emit(Advanced(PHASE, digest.table))
    return list(totals.values())


def changed(plan: Plan, totals: Iterable[Digest]) -> list[Changed]:
    """What the declared policies did, column by column; those that did nothing are left out."""
    found = []
    for total in totals:
        table = plan.table(total.table)
        places = [(column.source, change) for column in table.columns for change in column.changes]
        for (column, change), rows in zip(places, total.changes, strict=False):
            if rows:
                found.append(Changed(table.source, column, change.trap, change.policy, rows, change.words))
    return found


def count(totals: Iterable[Digest], results: dict[str, TableResult]) -> None:
    """Notes in `results` the rows of both sides."""
    for total in totals:
        results[total.table].rows_source = total.source_rows
        results[total.table].rows_target = total.target_rows


def judge(
    plan: Plan,
    workers: Workers,
    totals: Iterable[Digest],
    results: dict[str, TableResult],
    tell: Tell | None = None,
) -> list[Difference]:
    """Notes digests, equality and counts in `results`; returns the first differences of each table.

    `tell` gets all of them.
    """
    equal, off = dict[str, bool](), dict[str, int]()
    for total in totals:
        off[total.table] = total.source_rows - total.target_rows
        equal[total.table] = results[total.table].verified = total.equal
        results[total.table].digest = f"{total.target_sum:x}"
    suspects = [table for table in plan.tables if not equal[table.source]]
    # Workers answer in any order; what is told of them has the plan's.
    differences: dict[str, tuple[Difference, ...]] = {}
    for found in workers.work(DrillTask(plan.schema, table, tell is not None) for table in suspects):
        if isinstance(found, Drilled):
            one, counts = results[found.table], found.counts
            if counts == Counts() and (missing := off[found.table]):
                # Other numbers of rows are never equal, whatever was found of them.
                counts = Counts(missing=max(missing, 0), extra=max(-missing, 0))
            one.verified = counts == Counts()
            one.rows_missing, one.rows_extra = counts.missing, counts.extra
            one.rows_different = counts.different
            differences[found.table] = found.first
        elif isinstance(found, list) and tell is not None:
            tell(found)
    return [one for table in suspects for one in differences.get(table.source, ())]


def _count(plan: Plan, table: TablePlan) -> DigestTask:
    changes = "".join(f",{count}" for count in change_counts(table))
    return DigestTask(
        table.source,
        f"SELECT COUNT(*),0{changes} FROM {my_name(table.source)}",
        f"SELECT count(*),0 FROM {rows_of(plan.schema, table)}",
    )


def _digests(
    plan: Plan, table: TablePlan, target: psycopg.Connection[Any], ranges: list[Range]
) -> Iterator[DigestTask]:
    pages = page_ranges(target, plan.schema, table)
    has_using = any(change.trap == "using" for column in table.columns for change in column.changes)
    for part, page in zip_longest(ranges, pages):
        yield DigestTask(
            table.source,
            "" if part is None else source_digest(table, where(table, part)),
            "" if page is None else target_digest(plan.schema, table, page),
            uncut=has_using,
        )


def compare_views(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    """Notes in `result` what came of each view and index; one that differs changes the verdict."""
    refused = {one.object for one in result.findings if one.code == Code.P052}
    tables = {table.source: table for table in plan.tables}
    todo = {one.source: ViewTask(plan.schema, one, tables.get(one.table))
            for one in plan.computed if one.source not in refused}  # fmt: skip
    other = _other_rows(result)
    done: dict[str, tuple[ViewResult, list[Difference]]] = {}
    for answer in workers.work(todo.values()):
        if isinstance(answer, tuple):
            done[answer[0].name] = answer
            emit(Advanced(_VIEWS, answer[0].name))
    for name, task in todo.items():
        one, differences = done[name]
        reads = [other[table] for table in task.computed.reads if table in other]
        if differences and reads:
            one = replace(one, state="not compared", why=f"its rows differ, and it reads {reads[0]}")
            differences = []
        result.views.append(one)
        result.differences += differences
    result.findings += _findings(plan, result.views)
    if any(one.state == "differs" for one in result.views):
        result.verdict = "differs"


def _other_rows(result: Result) -> Mapping[str, str]:
    """Tables that do not have the source's rows in the target, as is said already, in words."""
    differing = {one.table: f"{one.table}, whose rows differ" for one in result.differences}
    changed = {one.table: f"{one.table}, of which the map changes values" for one in result.changes}
    rejected = {one.table: f"{one.table}, of which rows were rejected" for one in result.rejects}
    return differing | changed | rejected


def _findings(plan: Plan, views: Iterable[ViewResult]) -> Iterator[Finding]:
    for one in views:
        if one.state == "not compared":
            yield Finding(
                Code.V120, "note", one.name, f"the {one.kind} {one.name} was not compared: {one.why}"
            )
        elif one.why:
            yield Finding(Code.V121, "note", one.name, f"the {one.kind} {one.name}: {one.why}")
    own = [one.name for one in plan.outcomes if one.kind == "view" and one.becomes]
    if plan.mode == "load" and own:
        said = "view that both sides have was not compared: the target's is its own"
        if len(own) > 1:
            said = "views that both sides have were not compared: the target's are its own"
        message = f"{len(own):,} {said}"
        yield Finding(Code.V122, "note", "views", message, evidence=", ".join(own))


def _run_checks(plan: Plan, workers: Workers, emit: Sink) -> list[CheckResult]:
    """What came of each check, in the plan's order."""
    done: dict[str, CheckResult] = {}
    todo = []
    there = {outcome.name for outcome in plan.outcomes if outcome.kind == "table"}
    for check in plan.checks:
        if lacking := [name for name in check.where_source_has if name not in there]:
            done[check.place] = _passed_over(check, lacking)
        else:
            todo.append(CheckTask(check, plan.schema, bool(check.source)))
    for result in workers.work(todo):
        if isinstance(result, CheckResult):
            done[result.place] = result
            emit(Advanced(_CHECKS, result.name))
    return [done[check.place] for check in plan.checks]


def _check_findings(results: Iterable[CheckResult]) -> Iterator[Finding]:
    """C001 for each that does not hold, C002 for each whose query failed."""
    for one in results:
        if one.failed:
            code = Code.C001 if one.state == "differs" else Code.C002
            yield Finding(code, "block", one.place, str(one), evidence=one.why)


def _passed_over(check: Check, lacking: list[str]) -> CheckResult:
    message = f"the source has no table {', '.join(lacking)}"
    return CheckResult(
        check.name, "passed over", check.wants, message=message, why=check.why, place=check.place
    )
