"""A merge later on: what was merged beside what the shards, and the merged tables, are now."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import START_AGAIN, listed
from converge.merge import Merge
from converge.model.endpoint import parse
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.recorded import Recorded
from converge.model.result import NotCompared, Result, TableResult
from converge.model.words import counted, said
from converge.postgres.connect import connect
from converge.postgres.digest import digest_query, no_digest
from converge.postgres.history import last_run, missing_tables, record_verification, report_of
from converge.postgres.ledger import Ledger
from converge.postgres.query import value
from converge.postgres.recorded import last_recorded
from converge.run.connections import explained
from converge.run.options import RESUME

ANEW = (
    f"{START_AGAIN} makes shards and merge again; or drop the merged tables, then "
    "converge migrate --resume merges the shards as they are now, by the column that merge names now"
)
Shards = Mapping[str, tuple[str, str]]
"""Of each shard, by its name: the address of its source, and its own schema."""
Sums = tuple[int, int]
"""Rows, and the sum of their digests."""


def stale(connection: psycopg.Connection[Any], merge: Merge, shards: Shards) -> str:
    """Why a finished merge is no longer what these shards are; empty where it is, and where none is
    finished."""
    run = last_run(connection, (merge.source, merge.schema))
    if run is None or run["state"] != "finished":
        return ""
    known = json.loads(Ledger(connection, run["id"]).position() or "{}")
    now = json.loads(mark_of(connection, merge.column, shards))
    then, names = known.get("shards", {}), now["shards"]
    changed = sorted(name for name in {*then, *names} if then.get(name) != names.get(name))
    if known.get("column") != merge.column:
        return "they were merged by another column"
    words = "have changed since the merge"
    return f"{said(len(changed), words, 'shard')}: {listed(changed, 5)}" if changed else ""


def compare(merge: Merge, shards: Shards, takes: Callable[[str], bool] = bool) -> Result:
    """The merged tables that it takes, with what the merge has proven; whether the shards are still those.

    The verdict is `migrated` where there is no merge. Keys, indexes and views are not looked at. The ledger
    keeps what came of it.
    """
    result = Result("verify", merge.source, str(merge.target), verdict="migrated")
    with explained(merge.target, merge.target), connect(merge.target) as connection:
        run = last_run(connection, (merge.source, merge.schema))
        missing = missing_tables(connection, run) if run else []
        if run is None or run["state"] != "finished":
            result.not_compared = [NotCompared("schema", merge.schema, "nothing is merged into it")]
            return result
        plan, done = merged_by(connection, merge, run)
        result.source_version, result.target_version = done.source_version, done.target_version
        why = [stale(connection, merge, shards)]
        taken = [one for one in done.tables if takes(one.source)]
        for then in taken:
            if plan.table(then.source).target in missing:
                why.append(f"{then.source}: the merged table is gone")
                continue
            now, changed = rows_now(connection, plan, then)
            why.append(changed)
            if now is None:
                continue
            verified = not changed and then.verified
            result.tables.append(
                TableResult(
                    then.source, then.target, rows_source=then.rows_target, rows_target=now[0],
                    verified=verified, digest=f"{now[1]:x}",
                )
            )  # fmt: skip
        if why := [*filter(None, why)]:
            message = f"the merged schema {merge.schema} is out of date or damaged: {'; '.join(why)}"
            hint = RESUME if len(missing) == len(run["targets"]) else ANEW
            result.findings = [Finding(Code.V126, "block", merge.schema, message, hint)]
        left = [one.source for one in done.tables if one not in taken]
        words = "keys, indexes and views of what is merged"
        result.not_compared = [NotCompared("table", name, "left out of this comparison") for name in left]
        result.not_compared.append(NotCompared("schema", merge.schema, words))
        result.verdict = "differs" if why else done.verdict if taken else "migrated"
        # As of a run: what leaves tables out says nothing of them.
        level = f"full, {len(taken):,} of {counted(len(done.tables), 'table')}" if left else "full"
        record_verification(connection, run["id"], level, result.to_json(), ())
    return result


def mark_of(connection: psycopg.Connection[Any], column: str, shards: Shards) -> str:
    """The column, and what the shards are: of each its run, what that has planned, and how often its rows
    were replaced.

    It is the merge's position in its source. `sync`, `verify --repair` and `follow` replace rows.
    """
    # Of one that has no run yet, its name: what is merged is without it.
    marks = dict[str, object].fromkeys(shards)
    for name, (source, schema) in shards.items():
        run = last_recorded(connection, parse(source), schema)
        if isinstance(run, Recorded):
            query = "SELECT count(*) FROM converge.repair WHERE run_id = %s"
            marks[name] = run.id, run.plan.digest, value(connection, query, (run.id,))
    return json.dumps({"column": column, "shards": marks})


def merged_by(
    connection: psycopg.Connection[Any], merge: Merge, run: Mapping[str, Any]
) -> tuple[Plan, Result]:
    """What a finished merge has planned, and what came of it."""
    recorded = last_recorded(connection, parse(merge.source), merge.schema)
    report = report_of(connection, run["id"])
    assert isinstance(recorded, Recorded) and report is not None
    return recorded.plan, Result.from_json(report)


def rows_now(connection: psycopg.Connection[Any], plan: Plan, merged: TableResult) -> tuple[Sums | None, str]:
    """The merged rows, if they can be compared, and what is said where they are not those that the merge has
    proven."""
    table = plan.table(merged.source)
    if why := no_digest(connection, plan.schema, table):
        return None, f"{merged.source}: the merged table has changed: {why}"
    rows, digest = sums(connection, digest_query(plan.schema, table, ""))
    if (rows, f"{digest:x}") == (merged.rows_target, merged.digest):
        return (rows, digest), ""
    counts = f"{merged.rows_target:,} then, {rows:,} now" if rows != merged.rows_target else "other values"
    words = f"{merged.source}: the merged rows have changed since they were verified: {counts}"
    return (rows, digest), words


def sums(connection: psycopg.Connection[Any], query: str) -> Sums:
    ((rows, digests),) = connection.execute(query.encode()).fetchall()
    return int(rows), int(digests or 0)
