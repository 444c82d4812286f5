"""Units of work that the coordinator gives to its workers, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from converge.model.plan import TablePlan

Bound = tuple[str, ...]
"""MySQL literals of a key, one a column."""


@dataclass(frozen=True, slots=True)
class Range:
    """Rows with low < key <= high; None is no bound on that side."""

    low: Bound | None = None
    high: Bound | None = None


@dataclass(frozen=True, slots=True)
class CopyTask:
    """One chunk of one table: copied and entered in the ledger in one transaction."""

    run: int
    table: str
    number: int
    query: str
    copy: str
    marked: bool
    """The rows carry marks and must be escaped by the client."""


@dataclass(frozen=True, slots=True)
class Copied:
    table: str
    number: int
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DigestTask:
    """One digest query for each side; either may be empty."""

    table: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Rows and the sum of their 60-bit digests, both sides."""

    table: str
    source_rows: int = 0
    source_sum: int = 0
    target_rows: int = 0
    target_sum: int = 0
    changes: tuple[int, ...] = ()
    """Rows that each declared policy changes, in the order of the plan's columns."""

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            self.table,
            self.source_rows + other.source_rows,
            self.source_sum + other.source_sum,
            self.target_rows + other.target_rows,
            self.target_sum + other.target_sum,
            tuple(map(sum, zip_longest(self.changes, other.changes, fillvalue=0))),
        )

    @property
    def equal(self) -> bool:
        return (self.source_rows, self.source_sum) == (self.target_rows, self.target_sum)


@dataclass(frozen=True, slots=True)
class DrillTask:
    """A table whose digests differ: find the rows and the values."""

    schema: str
    table: TablePlan
