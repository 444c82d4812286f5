"""The checks of the maps, for plans and runs."""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.check import Check, CheckResult, State
from converge.report.parts import Grid, Mark, Tone, grid
from converge.report.units import counted

TONES: dict[State, Tone] = {"ok": "good", "differs": "bad", "error": "bad", "passed over": "warn"}


def planned_checks(checks: Sequence[Check]) -> Grid:
    """What will be asked when the rows are there."""
    return grid(
        "Checks",
        (("check", "words"), ("wants", "words"), ("source", "code"), ("target", "code"), ("why", "words"),
         ("where it stands", "words")),
        [(one.name, one.wants, one.source, one.target, one.why, one.place) for one in checks],
    )  # fmt: skip


def check_results(results: Sequence[CheckResult]) -> Grid:
    """What was asked, and what came of it."""
    return grid(
        "Checks",
        (("check", "words"), ("result", "words"), ("wants", "words"), ("source", "code"), ("target", "code"),
         ("what is wrong", "words"), ("why", "words")),
        [
            (one.name, Mark(one.state, TONES[one.state]), one.wants, one.source or "", one.target or "",
             one.message, one.why)
            for one in results
        ],
    )  # fmt: skip


def checks_words(results: Sequence[CheckResult]) -> str:
    """How many hold; empty without checks."""
    if not results:
        return ""
    failed = sum(one.failed for one in results)
    over = sum(one.state == "passed over" for one in results)
    held = len(results) - failed - over
    words = [f"{held:,} of {counted(len(results), 'check')} hold" + ("s" if held == 1 else "")]
    if failed:
        words.append(f"{failed:,} failed")
    if over:
        words.append(f"{over:,} passed over")
    return ", ".join(words)
