"""The proof at the level that was asked for."""

from __future__ import annotations

from typing import Any, Literal

import psycopg

from converge.model.event import Sink
from converge.model.plan import Plan, TablePlan
from converge.model.result import Result, TableResult
from converge.model.work import Range
from converge.phases import verify
from converge.phases.crew import Crew

VerifyLevel = Literal["full", "counts", "none"]


def prove(
    plan: Plan,
    crew: Crew,
    target: psycopg.Connection[Any],
    ranges: dict[str, list[Range]],
    level: VerifyLevel,
    result: Result,
    tables: dict[str, TableResult],
    emit: Sink,
) -> Literal["verified", "migrated", "differs"]:
    """Compares at the level asked for; only a full comparison can end in `verified`."""
    if level == "counts":
        return "migrated" if verify.count(plan, crew, tables, emit) else "differs"

    def parts(table: TablePlan) -> list[Range]:
        return ranges[table.source]

    result.differences = verify.compare(plan, crew, target, parts, tables, emit)
    return "verified" if all(table.verified for table in tables.values()) else "differs"
