"""The verdict: what was compared and what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """One differing value; `column` is None where a whole row is on one side only (the other value is None).

    `key` is the typed primary key, or the whole row in a table that is compared without one.
    """

    table: str
    key: Key
    column: str | None
    source_value: Any
    target_value: Any

    def __str__(self) -> str:
        where = f"{self.table}{_short(self.key)}"
        if self.column is None:
            side = "target" if self.target_value is None else "source"
            return f"{where}: row is missing in the {side}"
        return (
            f"{where}.{self.column}: source {_short(self.source_value)}, target {_short(self.target_value)}"
        )


@dataclass(frozen=True)
class Missing:
    """A table (`column` is None) or a column that only one side has."""

    table: str
    column: str | None
    found_on: Literal["source", "target"]

    def __str__(self) -> str:
        name = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{name}: on the {self.found_on} only"


@dataclass
class TableResult:
    """One pair of tables; `differences` holds the first ones, `difference_count` counts all of them."""

    name: str
    cap: int
    rows_source: int = 0
    rows_target: int = 0
    difference_count: int = 0
    differences: list[Difference] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.difference_count == 0 and not self.missing and self.rows_source == self.rows_target

    def add(self, difference: Difference) -> None:
        self.difference_count += 1
        if len(self.differences) < self.cap:
            self.differences.append(difference)

    def __str__(self) -> str:
        head = "equal" if self.equal else f"{self.difference_count} differences"
        lines = [
            f"{self.name}: {head} ({self.rows_source} rows in the source, {self.rows_target} in the target)"
        ]
        lines += [f"  {item}" for item in (*self.missing, *self.differences)]
        if self.difference_count > len(self.differences):
            lines.append(f"  … and {self.difference_count - len(self.differences)} more")
        return "\n".join(lines)


@dataclass
class Report:
    """All tables by their source name, and those that only one side has."""

    tables: dict[str, TableResult] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.missing and all(table.equal for table in self.tables.values())

    @property
    def differences(self) -> list[Difference]:
        return [difference for table in self.tables.values() for difference in table.differences]

    def __str__(self) -> str:
        lines = ["EQUAL" if self.equal else "NOT EQUAL"]
        return "\n".join([*lines, *map(str, self.missing), *map(str, self.tables.values())])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:160]}… ({len(text)} characters)"
