"""A run as the target alone shows it: what the ledger has of it, and what each session does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from converge.postgres.lock import BUILDER
from converge.postgres.query import exists
from converge.resources import sql

_NAMES = ["converge", BUILDER]


def sessions(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """The sessions of converge in this database, those that they wait for, and those that wait for them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        query = sql("converge.postgres", "activity").encode()
        return cursor.execute(query, {"names": _NAMES}).fetchall()


def joined(connection: psycopg.Connection[Any], run: int) -> list[dict[str, Any]]:
    """The workers of other machines that the run has, or had in its last attempt."""
    if not exists(connection, "converge.worker"):
        return []  # an older ledger
    query = (
        "SELECT w.id, host, jobs, tasks, rows, bytes, left_at::text, reason FROM converge.worker w "
        "JOIN converge.run r ON r.id = run_id AND attempt = joins ->> 'attempt' "
        "WHERE run_id = %s AND taken ORDER BY w.id"
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, (run,)).fetchall()


@dataclass
class Course:
    """How far a run is. Its plan is read once."""

    connection: psycopg.Connection[Any]
    run: int
    _sizes: dict[str, int] = field(default_factory=dict)
    """Estimated bytes of each table."""
    _phases: list[str] = field(default_factory=list)
    """Of the plan's statements."""

    def now(self) -> dict[str, Any]:
        """The phase, statements and bytes; bytes that are copied now are not among the done ones."""
        if not self._phases:
            plan = "SELECT {} FROM converge.plan, json_array_elements(plan -> '{}') t WHERE run_id = %s"
            columns = "t ->> 'source', (t ->> 'data_bytes')::bigint"
            self._sizes = dict(self._rows(plan.format(columns, "tables")))
            self._phases = [phase for (phase,) in self._rows(plan.format("t ->> 'phase'", "statements"))]
        tables = self._rows(
            "SELECT source_table, count(*) > count(done_at), coalesce(sum(bytes), 0)::bigint "
            "FROM converge.chunk WHERE run_id = %s GROUP BY source_table"
        )
        done = {number for (number,) in self._rows("SELECT number FROM converge.step WHERE run_id = %s")}
        left = [phase for number, phase in enumerate(self._phases) if number not in done]
        total = sum(
            max(self._sizes.get(table, 0), copied) if more else copied for table, more, copied in tables
        )
        copying = any(more for _, more, _ in tables)
        phase = "create" if not tables else "copy" if copying else left[0] if left else "verify"
        return {
            "phase": phase,
            "bytes": sum(copied for _, _, copied in tables),
            "bytes_estimated": total,
            "statements": len(self._phases),
            "statements_done": len(done),
        }

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), (self.run,)).fetchall()
