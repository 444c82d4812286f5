"""Counts, by the judge of the tests, what a migration lost, doubled or changed."""

from __future__ import annotations

from dataclasses import dataclass

from judge import compare

_KEPT = 100_000
"""More differences than any of these tables has rows: all of them are looked at."""


@dataclass(frozen=True)
class Verdict:
    """Rows of all tables; all three are 0, and nothing is missing, when the copy is exact."""

    lost: int
    """In the source only."""
    doubled: int
    """In the target only, also the second copy of a row."""
    changed: int
    """Values that differ."""
    missing: str
    """Tables and columns that are on one side only, and the first differences."""

    @property
    def exact(self) -> bool:
        return not (self.lost or self.doubled or self.changed or self.missing)

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled, {self.changed} changed {self.missing}"


def judge(source: str, target: str) -> Verdict:
    """Compares all tables of both, row by row and value by value."""
    report = compare(source, target, cap=_KEPT)
    rows = [one for one in report.differences if one.column is None]
    doubled = sum(one.source_value is None for one in rows)
    missing = [*report.missing, *(one for table in report.tables.values() for one in table.missing)]
    shown = [*missing, *report.differences[:5]]
    changed = len(report.differences) - len(rows)
    return Verdict(len(rows) - doubled, doubled, changed, "; ".join(map(str, shown)))
