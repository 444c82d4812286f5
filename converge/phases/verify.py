"""The proof: digests of every row and every column, computed inside both servers.

Sums of whole tables decide. Only a table whose sums differ is looked into, by the drill-down, and
its word is final: values that print differently and are the same do not count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Literal

import psycopg

from converge.model.event import Advanced, Sink
from converge.model.plan import Plan, TablePlan
from converge.model.quote import my_name
from converge.model.result import Changed, Difference, TableResult
from converge.model.work import Counts, Digest, DigestTask, Drilled, DrillTask, Range
from converge.mysql.digest import change_counts
from converge.mysql.digest import digest_query as source_digest
from converge.mysql.select import where
from converge.phases.workers import Workers
from converge.postgres.digest import digest_query as target_digest
from converge.postgres.digest import page_ranges, rows_of

VerifyLevel = Literal["full", "counts", "none"]

Tell = Callable[[list[Difference]], None]

PHASE = "verify"


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
