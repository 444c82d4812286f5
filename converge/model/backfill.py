"""A backfill as a map declares it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Existing = Literal["keep", "check", "overwrite"]

Keep = Callable[[Iterable[bytes | bytearray | memoryview]], int]
"""Puts the blocks of a CSV where they are safe, and says how many rows are there."""
REASONS = {
    "nothing to match by": "the row's own column of the match is NULL or empty",
    "no match": "the query has no row for it",
    "ambiguous": "the query has rows with different values for it",
    "no value": "the query's row has a value that is NULL or empty",
    "not of the type": "the column's type refuses the value, or would change it",
    "other value": "the row has another value already, and the map does not overwrite",
    "shared": "two rows would get the same value",
    "taken": "another row has the value already",
    "changed": "the row was changed while the backfill ran, or a trigger kept the value out",
    "refused": "the server refused the update: a constraint or a trigger",
}
"""Why a row fails; nothing is ever guessed."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which row of the query belongs to which row of the table: two columns with the same text."""

    target: str
    source: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Backfill:
    """One ``[[backfill]]`` of a map."""

    name: str
    table: str
    column: str
    key: str
    """The column that identifies a row in the audit: NOT NULL and unique."""
    database: str
    """The name of the database that is asked."""
    query: str
    value: str
    """The query's column with the values."""
    match: Match
    show: str
    """The table's column by which people know a row."""
    existing: Existing = "keep"
    """What becomes of rows that have a value: not looked at, compared, or written anew."""
    shared: bool = False
    """Whether several rows may have the same value."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""
        return tuple(dict.fromkeys((self.key, self.column, self.match.target, self.show)))


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that failed, for people."""

    key: str
    shown: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The rows that failed for one of `REASONS`; `samples` are the first of them."""

    reason: str
    rows: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of a backfill, or would come of it."""

    backfill: str
    target: str
    """schema.table.column"""
    database: str
    """The address that was asked, without its password."""
    attempt: str | None
    """As the audit names it; None when nothing was written."""
    found: int
    """Rows of the query."""
    kept: int
    """Rows that were left alone: they have a value that is right, or that the map does not question."""
    filled: int
    failures: tuple[Failure, ...]

    @property
    def failed(self) -> int:
        return sum(failure.rows for failure in self.failures)

    @property
    def exit_code(self) -> int:
        return 1 if self.failures else 0


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
