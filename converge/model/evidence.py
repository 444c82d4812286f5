"""What the planner knows beyond the catalog: counts from the data, and what the target refused to make.

It is kept in the ledger with its run, so that a resumed run and a later comparison decide as the run did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from converge.model.existing import Existing
from converge.model.extent import Extent


@dataclass(frozen=True, slots=True)
class Count:
    """Rows for which a condition holds, and the keys of the first of them, or the values of an `example`."""

    rows: int
    keys: tuple[str, ...] = ()
    of: int = 0
    """How many rows were looked at, where the first ones have decided a guess; else all were."""


@dataclass(frozen=True, slots=True)
class Search:
    """A question for rows that only a join finds: those without a parent, those that are equal to others."""

    name: str
    join: str
    """MySQL: ``FROM child AS c LEFT JOIN parent AS p ON …``."""
    where: str
    """MySQL condition, true for a row of ``c`` that is searched."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A condition that holds for no row while the longest values together are within a bound."""

    condition: str
    lengths: tuple[str, ...]
    """Lengths of the columns' values."""
    bound: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What the scan should find out about one table, as SQL of the source."""

    table: str
    extent: Extent
    conditions: tuple[str, ...]
    guesses: tuple[str, ...]
    """Those of the conditions that only decide by whether any row fulfills them; a few rows may tell."""
    lengths: tuple[tuple[str, str], ...]
    """Columns, and expressions of their lengths in bytes."""
    oversize: tuple[Oversize, ...]
    """Further conditions, asked only where the longest of these lengths do not tell."""
    searches: tuple[Search, ...]
    key: str
    """Expression that prints the primary key of a row of ``c``; empty when there is none."""
    examples: tuple[tuple[str, str], ...] = ()
    """Guesses that are told of when they fall, each with the expression that prints an example."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the scan saw in one table."""

    rows: int
    seconds: float = 0.0
    counts: Mapping[str, Count] = field(default_factory=dict)
    """What was counted, by SQL condition."""
    longest: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the longest value, by column: indexed ones, and those that can make a row too long."""
    found: Mapping[str, Count] = field(default_factory=dict)
    """What was found, by the search's name."""
    unseen: str = ""
    """Why the scan was not finished; then only what is here is known."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan saw of the source's rows, which are the same as long as the log does not move."""

    position: str
    """Where the source's log stood before: its GTIDs, or a place of its binary log."""
    tables: Mapping[str, TableFacts]

    def answers(self, questions: Questions) -> TableFacts | None:
        """What it saw of the table, where that answers all of these questions."""
        facts = self.tables.get(questions.table)
        if facts is None or facts.unseen:
            return None
        conditions = {*questions.conditions, *(one.condition for one in questions.oversize)}
        known = (
            conditions <= facts.counts.keys()
            and {column for column, _ in questions.lengths} <= facts.longest.keys()
            and {search.name for search in questions.searches} <= facts.found.keys()
        )
        return facts if known else None


@dataclass(frozen=True, slots=True)
class Seeded:
    """Rows of a table that the target has already, compared with the source's by key."""

    equal: int
    differ: int
    only_source: int
    only_target: int
    displaced: int = 0
    """Rows that only the target has, and that a merge does not keep for another unique key."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Rows that stay in the target and refer to those that go, by foreign key."""


@dataclass(frozen=True, slots=True)
class Evidence:
    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    """What was seen, by source table; a table without an entry was not scanned."""
    seen_before: tuple[str, ...] = ()
    """Those of these tables that the plan file's scan has seen and this one has not."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why the target refused a translation when it was tried, by ``kind name`` of the object."""
    tried: bool = False
    """Whether translations were tried on the target at all."""
    printed: Mapping[str, str] = field(default_factory=dict)
    """How the target prints translations of generated columns, by ``table.column AS expression``."""
    existing: Existing | None = None
    """The target's own tables before a run in load mode."""
    seeded: Mapping[str, Seeded] = field(default_factory=dict)
    """Small tables whose table in the target has rows, by source table."""
    orphans: Mapping[str, Count] = field(default_factory=dict)
    """Rows without a parent in a table that is not loaded, with values, by ``table.foreign key``."""
    broken: Mapping[str, int] = field(default_factory=dict)
    """Rows of the target that are set aside and that its CHECKs would not let back, by ``table.CHECK``."""

    def table(self, name: str) -> TableFacts | None:
        """What is known of a table; None when it was not scanned."""
        return self.tables.get(name)

    def count(self, table: str, condition: str) -> Count | None:
        """How many rows of the table a condition holds for; None when that is not known."""
        facts = self.tables.get(table)
        return facts.counts.get(condition) if facts else None

    def never(self, table: str, conditions: Iterable[str]) -> bool:
        """Whether the scan has looked for rows under each condition and found none."""
        counts = (self.count(table, condition) for condition in conditions)
        return all(count is not None and not count.rows for count in counts)

    def found(self, table: str, search: Search) -> Count | None:
        """The rows that a search has found in the table; None when that is not known."""
        facts = self.tables.get(table)
        return facts.found.get(search.name) if facts else None


NOTHING_KNOWN = Evidence()
