"""`converge audit`: what backfills have tried, those that failed tried again, and what is old archived."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import UsageError
from converge.model.backfill import Audit, Keep
from converge.model.endpoint import Endpoint
from converge.postgres import audit
from converge.postgres.connect import connect
from converge.run.connections import explained

KEPT_DAYS = 90
"""An audit is kept at least so long."""


def show(target: Endpoint, *, status: str | None, backfill: str | None, limit: int) -> Audit:
    """Where the rows stand. Raises BlockedError when the role may not see it."""
    with explained(target, target), connect(target) as connection:
        if not audit.has_audit(connection, "SELECT"):
            return Audit(0, 0, ())
        return audit.standing(connection, status=status, backfill=backfill, limit=limit)


def open_backfills(target: Endpoint) -> list[tuple[str, str]]:
    """Backfills with rows that failed, each with its table. Raises BlockedError."""
    with explained(target, target), connect(target) as connection:
        return audit.open_backfills(connection) if audit.has_audit(connection, "SELECT") else []


def archive(target: Endpoint, days: int, keep: Keep) -> int:
    """Removes the audit's rows that are older than `days`, once `keep` has them; returns their number.

    Raises UsageError for an age below `KEPT_DAYS`, BlockedError, and TargetError.
    """
    if days < KEPT_DAYS:
        raise UsageError(
            f"rows of the last {KEPT_DAYS} days stay in the audit; {days} days are fewer",
            code=Code.B007,
            hint=f"--older-than {KEPT_DAYS}d",
        )
    with explained(target, target), connect(target, synchronous_commit="on") as connection:
        if not audit.has_audit(connection, "SELECT", "DELETE"):
            return 0
        return audit.archive(connection, days, keep)
