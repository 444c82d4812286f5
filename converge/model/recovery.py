"""A run in load mode as it is rolled back, and what came of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from converge.model.documents import document
from converge.model.existing import Existing, OwnForeignKey, OwnTable
from converge.model.finding import Finding

Part = Literal["rows removed", "rows restored", "sequences", "indexes", "foreign keys", "triggers"]


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What the ledger knows of a run in load mode."""

    id: int
    source: str
    state: str
    truncates: bool
    targets: Mapping[str, str]
    """Source tables with the target's tables that take their rows."""
    existing: Existing
    """The target's schema before the run."""
    next_values: Mapping[str, int]
    """What the run was about to set, by the quoted name of a sequence."""

    @property
    def unfinished(self) -> bool:
        """Whether it has, or may have, set aside what is not restored yet."""
        return self.state not in ("finished", "recovered")

    @property
    def tables(self) -> tuple[OwnTable, ...]:
        """The loaded tables as they were."""
        loaded = set(self.targets.values())
        return tuple(table for table in self.existing.tables if table.name in loaded)

    @property
    def foreign_keys(self) -> tuple[OwnForeignKey, ...]:
        """The foreign keys on or to the loaded tables."""
        return self.existing.keys_of({table.quoted for table in self.tables})


@dataclass(frozen=True, slots=True)
class Removal:
    """What is about to be removed from a target, or replaced."""

    verb: Literal["change", "drop", "empty", "forget changes of", "remove rows from", "repair"]
    target: str
    """Its address, without the password."""
    tables: tuple[tuple[str, int], ...]
    """Each table with the number of rows that will be gone or be others."""
    cut_over_at: str = ""
    """When a cutover made them the application's; empty where none did."""

    @property
    def title(self) -> str:
        count = len(self.tables)
        rows = sum(rows for _, rows in self.tables)
        since = f", the application's since the cutover at {self.cut_over_at}" if self.cut_over_at else ""
        return (
            f"{self.verb} {count:,} table{'s' * (count != 1)} with {rows:,} row{'s' * (rows != 1)} "
            f"in {self.target}{since}"
        )

    @property
    def lines(self) -> list[str]:
        """A line for each table."""
        return [f"{name}: {rows:,} row{'s' * (rows != 1)}" for name, rows in self.tables]


Approve = Callable[[Removal], None]
"""Asks whether something may be removed; raises where it may not."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `converge recover` came to."""

    target: str
    schema: str
    run: int | None
    """None where no run is unfinished."""
    mode: Literal["load", "create"] | None
    put_back: Mapping[Part, int]
    compared: int
    """Objects of the catalog that are as they were."""
    left: tuple[str, ...]
    """Tables that an unfinished run in create mode has made."""
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        return "recovered" if self.mode == "load" else "nothing to recover"

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return document("recover", self, identical=self.mode == "load")
