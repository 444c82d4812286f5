"""The audit of backfills: where each row stands, and rows that are old enough to be archived."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError
from converge.model.backfill import Audit, Keep, Standing
from converge.model.quote import pg_name, pg_text

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


def has_audit(connection: psycopg.Connection[Any], *rights: str) -> bool:
    """Whether there is an audit. Raises BlockedError when the role lacks one of the rights on it."""
    row = connection.execute(
        "SELECT current_user::text, has_schema_privilege(n.oid, 'USAGE'), "
        "ARRAY(SELECT r FROM unnest(%s::text[]) r WHERE NOT has_table_privilege(c.oid, r)) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'converge' AND c.relname = 'audit'",
        (list(rights),),
    ).fetchone()
    if row is None:
        return False
    role, usable, lacking = pg_name(row[0]), row[1], row[2]
    grants = [] if usable else [f"GRANT USAGE ON SCHEMA converge TO {role};"]
    grants += [f"GRANT {', '.join(lacking)} ON converge.audit TO {role};"] if lacking else []
    if grants:
        message = f"the role {row[0]} lacks rights on the audit"
        raise BlockedError(message, code=Code.T004, hint="\n".join(grants))
    return True


def standing(
    connection: psycopg.Connection[Any], *, status: str | None, backfill: str | None, limit: int
) -> Audit:
    """How many rows stand well and badly, and the newest that have this status."""
    wanted = "(%(backfill)s::text IS NULL OR backfill = %(backfill)s)"
    asked = {"backfill": backfill, "status": status, "limit": limit}
    counts = dict(
        connection.execute(
            f"SELECT resolution_status, count(*) FROM ({_LAST}) AS l WHERE {wanted} GROUP BY 1".encode(),
            asked,
        ).fetchall()
    )
    rows = connection.execute(
        f"""
        SELECT id, backfill, target_table || '.' || target_column, row_key, shown, resolution_status, reason,
               error, old_value, new_value, attempts, attempt::text, attempted_at::text
          FROM ({_LAST}) AS l
         WHERE {wanted} AND (%(status)s::text IS NULL OR resolution_status = %(status)s)
         ORDER BY id DESC LIMIT %(limit)s
        """.encode(),
        asked,
    )
    return Audit(
        counts.get("success", 0), counts.get("failed", 0), tuple(Standing(*row) for row in rows.fetchall())
    )


def open_backfills(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Backfills with rows whose last attempt has failed, each with its table."""
    rows = connection.execute(
        f"SELECT DISTINCT backfill, target_table FROM ({_LAST}) AS l WHERE resolution_status = 'failed' "
        "ORDER BY 1, 2".encode()
    )
    return [(backfill, table) for backfill, table in rows]


def archive(
    connection: psycopg.Connection[Any],
    days: int,
    keep: Keep,
) -> int:
    """Hands rows older than `days` over as CSV, and removes them when `keep` has counted as many in its file.

    All in one transaction over one snapshot, so that no other row can be meant. Returns their number.
    Raises ConvergeError when a count differs; nothing is removed then.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = connection.execute(
            "SELECT (clock_timestamp() - %s * interval '1 day')::text", (days,)
        ).fetchone()
        assert row is not None
        old = f"converge.audit WHERE attempted_at < {pg_text(row[0])}::timestamptz"
        there = connection.execute(f"SELECT EXISTS (SELECT FROM {old})".encode()).fetchone()
        if there is None or not there[0]:
            return 0
        with connection.cursor() as cursor:
            with cursor.copy(
                f"COPY (SELECT {_COLUMNS} FROM {old} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)".encode()
            ) as copy:
                kept = keep(copy)
            sent = cursor.rowcount
        removed = connection.execute(f"DELETE FROM {old}".encode()).rowcount
        if not sent == kept == removed:
            raise ConvergeError(
                f"{sent} rows were sent, {kept} are in the file and {removed} would be removed; none was",
                code=Code.B009,
                hint="the same command with another FILE",
            )
    return removed
