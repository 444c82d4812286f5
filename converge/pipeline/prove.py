"""The proof at the level that was asked for."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.event import Sink
from converge.model.plan import Plan
from converge.model.result import Result, TableResult
from converge.model.work import Range
from converge.phases import verify
from converge.phases.crew import Crew
from converge.phases.verify import VerifyLevel
from converge.pipeline.timing import phase


def prove(
    plan: Plan,
    crew: Crew,
    target: psycopg.Connection[Any],
    ranges: dict[str, list[Range]],
    level: VerifyLevel,
    tables: dict[str, TableResult],
    result: Result,
    emit: Sink,
) -> None:
    """Compares, and gives `result` its verdict; only a full comparison can end in `verified`."""
    todo = verify.tasks(plan, target, ranges, level)
    with phase(result, emit, verify.PHASE, len(todo)):
        totals = verify.sums(crew, plan, todo, emit)
        result.changes = verify.changed(plan, totals)
        result.verdict = "differs" if result.rejects else "migrated"
        if level == "none":
            return
        verify.count(totals, tables)
        if level == "counts":
            if not all(total.equal for total in totals):
                result.verdict = "differs"
            return
        result.differences = verify.judge(plan, crew, totals, tables)
        result.verdict = "verified" if all(table.verified for table in tables.values()) else "differs"
