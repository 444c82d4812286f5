"""The audit of backfills: what was tried, where each row stands, and rows that are old enough to archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted
from converge.postgres.connect import connect
from converge.report.document import grid
from converge.report.text import table
from converge.report.words import short
from converge.run.connections import explained

_COLUMNS = (
    "id, attempt, backfill, target_table, target_column, row_key, shown, resolution_status, reason, error, "
    "old_value, new_value, attempted_at"
)
_LAST = """
    SELECT DISTINCT ON (backfill, target_table, row_key) *,
           count(*) OVER (PARTITION BY backfill, target_table, row_key) AS attempts
      FROM converge.audit ORDER BY backfill, target_table, row_key, id DESC
"""
"""Each row's last attempt, which is where it stands."""
_HEAD = ("backfill", "row", "shown", "status", "tried", "last at", "why")
KEPT_DAYS = 90
"""An audit is kept at least so long."""

Keep = Callable[[Iterable[bytes | bytearray | memoryview]], int]
"""Puts the blocks of a CSV where they are safe, and says how many rows are there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A row of the audit that is the last of its table's row."""

    id: int
    backfill: str
    target: str
    key: str
    shown: str | None
    status: Literal["success", "failed"]
    reason: str | None
    error: str | None
    old_value: str | None
    new_value: str | None
    attempts: int
    """How often the row was tried, as far as the audit goes back."""
    attempt: str
    attempted_at: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Where all rows that a backfill has tried stand now; `rows` are the newest of them."""

    success: int
    failed: int
    rows: tuple[Standing, ...]


def show(target: Endpoint, *, status: str | None, backfill: str | None, limit: int) -> Audit:
    """How many rows stand well and badly, and the newest that have this status. Raises BlockedError."""
    asked = {"backfill": backfill, "status": status, "limit": limit}
    of = f"FROM ({_LAST}) AS l WHERE (%(backfill)s::text IS NULL OR backfill = %(backfill)s)"
    rows = f"""
        SELECT id, backfill, target_table || '.' || target_column AS target, row_key AS key, shown,
               resolution_status AS status, reason, error, old_value, new_value, attempts,
               attempt::text, attempted_at::text
          {of} AND (%(status)s::text IS NULL OR resolution_status = %(status)s)
         ORDER BY id DESC LIMIT %(limit)s
    """
    counts = f"SELECT resolution_status, count(*) {of} GROUP BY 1"
    with _audit(target, "SELECT") as connection:
        if connection is None:
            return Audit(0, 0, ())
        by_status = dict(connection.execute(counts.encode(), asked).fetchall())
        with connection.cursor(row_factory=class_row(Standing)) as cursor:
            standing = tuple(cursor.execute(rows.encode(), asked))
    return Audit(by_status.get("success", 0), by_status.get("failed", 0), standing)


def open_backfills(target: Endpoint) -> list[tuple[str, str]]:
    """Backfills with rows whose last attempt has failed, each with its table. Raises BlockedError."""
    query = (
        f"SELECT DISTINCT backfill, target_table FROM ({_LAST}) AS l WHERE resolution_status = 'failed' "
        "ORDER BY 1, 2"
    )
    with _audit(target, "SELECT") as connection:
        return [] if connection is None else connection.execute(query.encode()).fetchall()


def archive(target: Endpoint, days: int, keep: Keep) -> int:
    """Removes rows older than `days`, once `keep` has them as CSV and has counted as many; their number.

    A failed attempt that is its row's last one stays: nothing else says that the row is still to be filled.
    All in one transaction over one snapshot, so that no other row can be meant. Raises ConvergeError when a
    count differs, and nothing is removed then; UsageError for an age below `KEPT_DAYS`, and BlockedError.
    """
    if days < KEPT_DAYS:
        raise UsageError(
            f"the audit keeps rows for at least {KEPT_DAYS} days, not {counted(days, 'day')}",
            code=Code.B007,
            hint=f"--older-than {KEPT_DAYS}d",
        )
    with _audit(target, "SELECT", "DELETE", synchronous_commit="on") as connection:
        if connection is None:
            return 0
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            limit = cursor.execute("SELECT (clock_timestamp() - %s * interval '1 day')::text", (days,))
            old = (
                f"converge.audit WHERE attempted_at < {pg_text(limit.fetchall()[0][0])}::timestamptz "
                f"AND id NOT IN (SELECT id FROM ({_LAST}) AS l WHERE resolution_status = 'failed')"
            )
            if cursor.execute(f"SELECT FROM {old} LIMIT 1".encode()).fetchone() is None:
                return 0
            rows = f"COPY (SELECT {_COLUMNS} FROM {old} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"
            with cursor.copy(rows.encode()) as copy:
                kept = keep(copy)
            sent = cursor.rowcount
            removed = cursor.execute(f"DELETE FROM {old}".encode()).rowcount
            if not sent == kept == removed:
                raise ConvergeError(
                    f"{sent} rows were sent, {kept} are in the file and {removed} would be removed; none was",
                    code=Code.B009,
                    hint="the same command with another FILE",
                )
    return removed


@contextmanager
def _audit(target: Endpoint, *privileges: str, **settings: str) -> Iterator[psycopg.Connection[Any] | None]:
    """A connection to the target, if there is an audit. Raises BlockedError and TargetError."""
    with explained(target, target), connect(target, **settings) as connection:
        yield connection if has_audit(connection, *privileges) else None


def has_audit(connection: psycopg.Connection[Any], *privileges: str) -> bool:
    """Whether there is an audit. Raises BlockedError when the role lacks one of the privileges on it."""
    row = connection.execute(
        "SELECT current_user::text, has_schema_privilege(n.oid, 'USAGE'), "
        "ARRAY(SELECT r FROM unnest(%s::text[]) r WHERE NOT has_table_privilege(c.oid, r)) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'converge' AND c.relname = 'audit'",
        (list(privileges),),
    ).fetchone()
    if row is None:
        return False
    role, usable, lacking = pg_name(row[0]), row[1], row[2]
    grants = [] if usable else [f"GRANT USAGE ON SCHEMA converge TO {role};"]
    grants += [f"GRANT {', '.join(lacking)} ON converge.audit TO {role};"] if lacking else []
    if grants:
        message = f"the role {row[0]} lacks privileges on the audit"
        raise BlockedError(message, code=Code.T004, hint="\n".join(grants))
    return True


def audit_text(audit: Audit) -> str:
    """Where the rows stand, then the newest of those that were asked for."""
    if not audit.success + audit.failed:
        return "This target's audit has no rows of a backfill."
    lines = [f"{counted(audit.success, 'row')} with success, {counted(audit.failed, 'row')} failed"]
    if audit.rows:
        lines += ["", *table(grid("", [(name, "words") for name in _HEAD], map(_cells, audit.rows)))]
    return "\n".join(lines)


def _cells(row: Standing) -> tuple[str, ...]:
    why = f"{row.reason}: {row.error}" if row.error else ""
    cells = (row.backfill, row.key, row.shown or "", row.status, str(row.attempts), row.attempted_at, why)
    return tuple(short(cell) for cell in cells)
