"""What the ledger knows of the last run: for those who look and do not write."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.evidence import Evidence

Move = tuple[str, str]
"""The source's address, without its password, and the target schema: what a run is about."""


def last_run(connection: psycopg.Connection[Any], move: Move | None = None) -> dict[str, Any] | None:
    """The last run, or the last of this move, as JSON values; None where there was none."""
    there = connection.execute("SELECT to_regclass('converge.run') IS NOT NULL").fetchone()
    if there is None or not there[0]:
        return None
    row = connection.execute(
        "SELECT to_jsonb(r) || (SELECT jsonb_build_object('chunks', count(*), 'chunks_done', count(done_at), "
        "'rows', coalesce(sum(rows), 0)) FROM converge.chunk c WHERE c.run_id = r.id) "
        "FROM (SELECT id, source, target_schema, plan_digest, state, snapshot, started_at, finished_at "
        "FROM converge.run WHERE %(source)s::text IS NULL "
        "OR (source, target_schema) = (%(source)s, %(schema)s) "
        "ORDER BY id DESC LIMIT 1) r",
        {"source": move and move[0], "schema": move and move[1]},
    ).fetchone()
    return None if row is None else dict(row[0])


def report_of(connection: psycopg.Connection[Any], run: int) -> dict[str, Any] | None:
    """A run's report, as `Result.to_json` wrote it; None before that run has ended."""
    # A resumed run still has the report of the attempt before.
    row = connection.execute(
        "SELECT report FROM converge.run WHERE state <> 'running' AND id = %s", (run,)
    ).fetchone()
    return None if row is None else row[0]


def last_evidence(connection: psycopg.Connection[Any], source: str, schema: str) -> Evidence | None:
    """What the last run of this source into this schema was decided by; None where that is not to be seen."""
    there = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relname = 'run' AND c.relnamespace = to_regnamespace('converge') AND a.attname = 'evidence' "
        "AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))"
    ).fetchone()
    if there is None or not there[0]:
        return None
    row = connection.execute(
        "SELECT evidence FROM converge.run WHERE source = %s AND target_schema = %s ORDER BY id DESC LIMIT 1",
        (source, schema),
    ).fetchone()
    return Evidence.from_json(row[0]) if row and row[0] else None
