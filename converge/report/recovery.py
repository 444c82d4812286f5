"""What `converge recover` came to, for a terminal."""

from __future__ import annotations

from converge.model.recovery import Recovery
from converge.model.words import said
from converge.report.words import one_line, visible


def recovery_text(recovery: Recovery) -> str:
    """What was restored, counted, and that the catalog is as it was; or that there was nothing to do."""
    if recovery.mode is None:
        lines = ["Nothing to recover: no run into this schema is unfinished.", *_elsewhere(recovery)]
        return visible("\n".join(lines))
    if recovery.mode == "create":
        return _of_create(recovery)
    counts = ", ".join(f"{part} {count:,}" for part, count in recovery.put_back.items())
    lines = [
        f"run {recovery.run} into {recovery.schema} is rolled back",
        f"restored  {counts or 'nothing was set aside'}",
        "catalog   all " + said(recovery.compared, "are as before the run", "object"),
        *(f"loss      {one_line(f'{one.object}: {one.message}')}" for one in recovery.findings),
        f"next      converge migrate --mode load, with the maps and options of run {recovery.run}",
    ]
    return visible("\n".join(lines))


def _of_create(recovery: Recovery) -> str:
    lines = [
        f"Nothing to recover: run {recovery.run} creates its tables, and has set nothing aside.",
        f"left      {', '.join(recovery.left) or 'no table'}",
        "next      converge migrate --resume goes on with it, --recreate begins again",
        *_elsewhere(recovery),
    ]
    return visible("\n".join(lines))


def _elsewhere(recovery: Recovery) -> list[str]:
    """Where there is something to recover."""
    return [f"note      {one.object}: {one.message}: {one.hint}" for one in recovery.findings]
