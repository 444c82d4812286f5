"""The audit of backfills for a terminal."""

from __future__ import annotations

from converge.model.backfill import Audit, Standing
from converge.report.parts import one_line, short
from converge.report.units import counted, table

_HEAD = ("backfill", "row", "shown", "status", "tried", "last at", "why")


def audit_text(audit: Audit) -> str:
    """Where the rows stand, then the newest of those that were asked for."""
    if not audit.success + audit.failed:
        return "This target's audit has no rows of a backfill."
    lines = [f"{counted(audit.success, 'row')} with success, {counted(audit.failed, 'row')} failed"]
    if audit.rows:
        lines += ["", *table(_HEAD, [_cells(row) for row in audit.rows], left=len(_HEAD))]
    return "\n".join(lines)


def _cells(row: Standing) -> tuple[str, ...]:
    why = f"{row.reason}: {row.error}" if row.error else ""
    cells = (row.backfill, row.key, row.shown or "", row.status, str(row.attempts), row.attempted_at, why)
    return tuple(one_line(short(cell)) for cell in cells)
