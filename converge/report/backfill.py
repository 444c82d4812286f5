"""What came of backfills, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from converge.model.backfill import REASONS, Failure, Filled
from converge.model.endpoint import Endpoint
from converge.report.parts import one_line, visible
from converge.report.units import counted


def filled_text(results: Sequence[Filled]) -> str:
    """Each backfill with its counts, and its failures by reason."""
    return visible("\n".join(line for one in results for line in _lines(one)))


def filled_json(results: Sequence[Filled], command: str, target: Endpoint, exit_code: int) -> dict[str, Any]:
    """The --json document of `backfill` and `audit retry`."""
    return {
        "converge": 1,
        "command": command,
        "verdict": "failed" if exit_code else "resolved",
        "exit_code": exit_code,
        "target": {"url": str(target)},
        "backfills": [
            asdict(one) | {"failed": one.failed, "dry_run": one.attempt is None} for one in results
        ],
        "findings": [],
    }


def _lines(one: Filled) -> list[str]:
    tried = one.attempt is not None
    lines = [
        f"backfill  {one_line(one.backfill)}: {one_line(one.target)} from {one.database}"
        + ("" if tried else " (dry run: nothing was written)"),
        f"  found   {counted(one.found, 'row')} there",
        f"  kept    {counted(one.kept, 'row')} with a value already",
        f"  {'filled ' if tried else 'to fill'} {counted(one.filled, 'row')}",
        f"  {'failed ' if tried else 'to fail'} {counted(one.failed, 'row')}",
    ]
    for failure in one.failures:
        lines += _failure(failure)
    if one.failures and tried:
        lines.append(f"next: converge audit show --status failed --backfill {one_line(one.backfill)}")
    return lines


def _failure(failure: Failure) -> list[str]:
    lines = [f"    {failure.reason}: {counted(failure.rows, 'row')} ({REASONS[failure.reason]})"]
    for sample in failure.samples:
        shown = f" {sample.shown}" if sample.shown is not None else ""
        lines.append(one_line(f"      row {sample.key}{shown}: {sample.error}"))
    if failure.rows > len(failure.samples):
        lines.append(f"      … {failure.rows - len(failure.samples):,} more")
    return lines
