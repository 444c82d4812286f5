"""What came of trying a revision on a copy of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from converge.model.documents import document
from converge.model.words import utc_now

MOST_DEVIATIONS = 100
"""A table's deviations beyond this are counted and not listed."""

Restored = Literal["", "restored", "catalog", "differs", "no promise"]
"""What the downgrade was seen to restore; `catalog` for one that promises no more. Empty before it ran."""
Verdict = Literal["validated", "unreviewed", "differs", "failed"]
EXIT_CODES: dict[Verdict, int] = {"validated": 0, "unreviewed": 1, "differs": 1, "failed": 1}


@dataclass(frozen=True, slots=True)
class Affected:
    """The rows of one table that are not as they were before the revision."""

    table: str
    """Its name afterwards; a dropped table's former name."""
    was: str
    """Its name before; empty for a table that the revision made."""
    key: tuple[str, ...]
    """The primary key's columns; empty where rows can only be told by all their values."""
    changed: int
    added: int
    removed: int
    columns: Mapping[str, int]
    """Rows in which this column differs, for those in which it does in any."""
    file: str = ""
    """The CSV that holds them, in the folder of the artifacts."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """What is not as the reference has it."""

    table: str
    key: str
    """``id=17``; the whole row where the table has no key."""
    column: str | None
    """None when the whole row is on one side only."""
    reference: str | None
    found: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One table's affected rows beside the reference's."""

    table: str
    rows: int
    """Rows of the reference."""
    missing: int
    """Rows that only the reference has."""
    extra: int
    """Rows that the reference lacks."""
    columns: Mapping[str, int]
    """Rows in which this column is not as in the reference."""
    deviations: tuple[Deviation, ...]
    """The first of them."""
    not_compared: tuple[str, ...] = ()
    """Columns that the reference does not have."""

    @property
    def equal(self) -> bool:
        return not (self.missing or self.extra or self.columns)


@dataclass
class Validation:
    revision: str
    name: str
    target: str
    """The database that was copied, without its password."""
    copied: str = ""
    """How, in words."""
    server_version: str = ""
    started: str = field(default_factory=utc_now)
    verdict: Verdict = "failed"
    failure: str = ""
    """Why it did not come to its end."""
    tables: dict[str, int] = field(default_factory=dict)
    """Rows of each table before, also by the names that it had before other pending revisions."""
    affected: list[Affected] = field(default_factory=list)
    reference: str = ""
    """The folder that was compared with, or written."""
    accepted: bool = False
    """Whether the reference was written by this very validation."""
    compared: list[Compared] = field(default_factory=list)
    downgrade: Restored = ""
    not_restored: list[str] = field(default_factory=list)
    """What is not as it was after the downgrade, by object or table, promised or not."""
    untested_values: list[str] = field(default_factory=list)
    """Tables that had rows, which may have other values since: a column, a type or a label is new, or a
    constraint is gone. The downgrade has seen none of these values."""
    schema: str = ""
    """Whose catalog was compared."""
    artifacts: str = ""
    phases: list[tuple[str, float]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        target = {"url": self.target, "version": self.server_version}
        return document("migrations validate", self, target=target)
