"""What has changed since the last run, for the plan's reports."""

from __future__ import annotations

from dataclasses import dataclass

from converge.model.rehearsal import Drift
from converge.report.parts import Grid, grid
from converge.report.units import counted, seconds


@dataclass(frozen=True, slots=True)
class DriftParts:
    facts: tuple[tuple[str, str], ...]
    """Empty when nothing is known of a last run."""
    changes: Grid
    growth: Grid


def drift_parts(drift: Drift | None) -> DriftParts:
    """All of it that people read."""
    changes = drift.changes if drift else ()
    growth = drift.growth if drift else ()
    return DriftParts(
        facts=_facts(drift) if drift else (),
        changes=grid(
            "Changed since the last run",
            (("what", "words"), ("which", "name"), ("before", "code"), ("now", "code")),
            [(one.what, one.object, one.before or "not there", one.now or "not there") for one in changes],
        ),
        growth=grid(
            "Rows since the last run",
            (("table", "name"), ("before", "number"), ("now", "number"), ("more", "number")),
            [(one.table, f"{one.before:,}", f"{one.now:,}", f"{one.now - one.before:+,}") for one in growth],
        ),
    )


def _facts(drift: Drift) -> tuple[tuple[str, str], ...]:
    more = sum(one.now - one.before for one in drift.growth)
    rows = f"{more:+,} in {counted(len(drift.growth), 'table')}" if drift.growth else "as many as then"
    facts = (
        ("last run", drift.since),
        ("changes", counted(len(drift.changes), "thing") if drift.changes else "none"),
        ("rows", rows),
        ("forecast", f"{seconds(drift.forecast.seconds)}, {drift.forecast.basis}" if drift.forecast else ""),
    )
    return tuple((name, words) for name, words in facts if words)
