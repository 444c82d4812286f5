"""The proof: digests of every row and every column, computed inside both servers.

Sums of whole tables decide. Only a table whose sums differ is looked into, by the drill-down, and
its word is final: values that print differently and are the same do not count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import psycopg

from converge.model.event import Advanced, Sink
from converge.model.plan import Plan, TablePlan
from converge.model.quote import my_name, pg_name
from converge.model.result import Difference, TableResult
from converge.model.work import Digest, DigestTask, DrillTask, Range
from converge.mysql.digest import digest_query as source_digest
from converge.mysql.select import where
from converge.phases.crew import Crew
from converge.postgres.digest import digest_query as target_digest
from converge.postgres.digest import page_ranges

PHASE = "verify"


def compare(
    plan: Plan,
    crew: Crew,
    target: psycopg.Connection[Any],
    ranges: Callable[[TablePlan], list[Range]],
    results: dict[str, TableResult],
    emit: Sink,
) -> list[Difference]:
    """Compares all tables and notes in `results` what was counted and which are equal.

    `ranges` gives the source ranges of a table. Returns the differences, a bounded number a table.
    """
    tasks = {table.source: list(_tasks(plan, table, target, ranges(table))) for table in plan.tables}
    left = {table: len(parts) for table, parts in tasks.items()}
    sums = {table: Digest(table) for table in tasks}
    ordered = sorted(tasks.values(), key=len, reverse=True)
    for digest in crew.work(task for parts in ordered for task in parts):
        if isinstance(digest, Digest):
            sums[digest.table] += digest
            left[digest.table] -= 1
            if left[digest.table] == 0:
                _note(results[digest.table], sums[digest.table])
                emit(Advanced(PHASE, digest.table))
    suspects = [plan.table(name) for name, total in sums.items() if not total.equal]
    differences: list[Difference] = []
    for found in crew.work(DrillTask(plan.schema, table) for table in suspects):
        if isinstance(found, tuple):
            table, rows = found
            results[table].verified = not rows
            differences += rows
    return differences


def count(plan: Plan, crew: Crew, results: dict[str, TableResult], emit: Sink) -> bool:
    """Compares row counts only; says whether all are equal. No table becomes verified by it."""
    for digest in crew.work(_counts(plan)):
        if isinstance(digest, Digest):
            result = results[digest.table]
            result.rows_source, result.rows_target = digest.source_rows, digest.target_rows
            emit(Advanced(PHASE, digest.table))
    return all(result.rows_source == result.rows_target for result in results.values())


def _counts(plan: Plan) -> Iterator[DigestTask]:
    for table in plan.tables:
        yield DigestTask(
            table.source,
            f"SELECT COUNT(*),0 FROM {my_name(table.source)}",
            f"SELECT count(*),0 FROM {pg_name(plan.schema, table.target)}",
        )


def _tasks(
    plan: Plan, table: TablePlan, target: psycopg.Connection[Any], ranges: list[Range]
) -> Iterator[DigestTask]:
    pages = page_ranges(target, plan.schema, table)
    for part, page in zip_longest(ranges, pages):
        yield DigestTask(
            table.source,
            "" if part is None else source_digest(table, where(table, part)),
            "" if page is None else target_digest(plan.schema, table, page),
        )


def _note(result: TableResult, total: Digest) -> None:
    result.rows_source, result.rows_target = total.source_rows, total.target_rows
    result.verified = total.equal
