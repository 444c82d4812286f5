"""The proof at the level that was asked for, and the checks of the maps."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.event import Sink
from converge.model.plan import Plan
from converge.model.result import NotCompared, Result, TableResult
from converge.model.work import Digest, Range
from converge.phases import checks, verify, views
from converge.phases.verify import Tell, VerifyLevel
from converge.phases.workers import Workers
from converge.pipeline.timing import phase


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
    todo = verify.tasks(plan, target, ranges, level)
    with phase(result, emit, verify.PHASE, len(todo)):
        totals = verify.sums(workers, plan, todo, emit)
        result.changes = verify.changed(plan, totals)
        result.verdict = "differs" if result.rejects else "migrated"
        if level != "none":
            verify.count(totals, tables)
        if level == "counts" and not all(total.equal for total in totals):
            result.verdict = "differs"
        if level == "full":
            result.differences = verify.judge(plan, workers, totals, tables, tell)
            same = all(table.verified for table in tables.values())
            result.verdict = "verified" if same else "differs"
    if level == "full":
        result.not_compared += [
            NotCompared("column", f"{table.source}.{column.source}", column.uncompared)
            for table in plan.tables for column in table.columns if column.uncompared
        ]  # fmt: skip
    if level == "full" and (plan.computed or plan.mode == "load"):
        with phase(result, emit, views.PHASE, len(plan.computed)):
            views.compare_views(plan, workers, result, emit)
    _check(plan, workers, result, emit)
    return totals


def _check(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    if not plan.checks:
        return
    with phase(result, emit, checks.PHASE, len(plan.checks)):
        result.checks = checks.run_checks(plan, workers, emit)
    result.findings += checks.findings(result.checks)
    if any(check.failed for check in result.checks):
        result.verdict = "differs"
