"""One source on several versions of PostgreSQL: what each step came to on each, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from converge.model.check import CheckResult
from converge.model.plan import Finding

State = Literal["green", "red", "not run"]
MatrixVerdict = Literal["verified", "differs", "failed"]

DIGESTS = "digests"
"""The step that compares a cell with the others."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step on one version."""

    name: str
    state: State
    seconds: float = 0.0
    words: str = ""
    """What came of it."""
    reason: Finding | None = None
    """Why it is red."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a target table holds, by the comparison's own sums."""

    rows: int
    digest: str

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.digest}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One version: its server, its steps, and what was found there."""

    name: str
    """As it was asked for: ``17.5``, or an address without its password."""
    version: str
    """The server's own word; empty where none was reached."""
    provider: str
    steps: tuple[Step, ...]
    tables: Mapping[str, Content]
    """By source table; empty where not all are equal to the source's."""
    checks: tuple[CheckResult, ...]
    """What the maps' checks gave, by the last comparison."""
    revised: Mapping[str, Content]
    """By target table, after the user's revisions; empty where they have not run."""
    catalog: Mapping[str, str]
    """Object → definition, after the load."""
    decisions: Mapping[str, str]
    """Object of the source → what the plan makes of it."""

    @property
    def red(self) -> bool:
        return any(step.state == "red" for step in self.steps)

    @property
    def reasons(self) -> tuple[Finding, ...]:
        return tuple(step.reason for step in self.steps if step.reason is not None)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def step(self, name: str) -> Step:
        """The step of this name, not run where it is none of the cell's."""
        return next((step for step in self.steps if step.name == name), Step(name, "not run"))

    def with_step(self, step: Step) -> Cell:
        return replace(self, steps=(*self.steps, step))


@dataclass(frozen=True, slots=True)
class Varied:
    """Something that is not the same on all versions."""

    object: str
    texts: tuple[tuple[str, str], ...]
    """Cell and what is there, in the cells' order; empty where there is no such thing."""

    @property
    def grouped(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each text with the cells that have it."""
        for text in dict.fromkeys(text for _, text in self.texts):
            yield text, tuple(name for name, other in self.texts if other == text)


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells, and what differs between them. Only what is red decides the verdict."""

    source: str
    source_version: str
    started: str
    """ISO 8601 in UTC."""
    seconds: float
    cells: tuple[Cell, ...]
    contents: tuple[Varied, ...] = ()
    """Tables without the same rows and digest everywhere."""
    revised: tuple[Varied, ...] = ()
    """The same of the target's tables, after the user's revisions."""
    plans: tuple[Varied, ...] = ()
    catalog: tuple[Varied, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of all steps, in their order."""
        return tuple(dict.fromkeys(step.name for cell in self.cells for step in cell.steps))

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.tables))

    @property
    def revised_tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.revised))

    @property
    def red(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.red)

    @property
    def verdict(self) -> MatrixVerdict:
        if not self.red:
            return "verified"
        only_digests = all(
            step.name == DIGESTS for cell in self.red for step in cell.steps if step.state == "red"
        )
        return "differs" if only_digests else "failed"

    @property
    def exit_code(self) -> int:
        return 1 if self.red else 0

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return {
            "converge": 1,
            "command": "matrix",
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "source": {"url": self.source, "version": self.source_version},
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "cells": [_cell(cell) for cell in self.cells],
            "findings": [
                asdict(reason) | {"object": f"{cell.name} {reason.object}"}
                for cell in self.cells
                for reason in cell.reasons
            ],
            "differences": {
                "digests": [_varied(one) for one in self.contents],
                "revised": [_varied(one) for one in self.revised],
                "plans": [_varied(one) for one in self.plans],
                "catalog": [_varied(one) for one in self.catalog],
            },
        }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "name": cell.name,
        "version": cell.version,
        "provider": cell.provider,
        "state": "red" if cell.red else "green",
        "seconds": round(cell.seconds, 3),
        "steps": [asdict(step) | {"seconds": round(step.seconds, 3)} for step in cell.steps],
        "tables": [{"source": name, **asdict(one)} for name, one in cell.tables.items()],
        "revised": [{"target": name, **asdict(one)} for name, one in cell.revised.items()],
        "checks": [asdict(check) for check in cell.checks],
    }


def _varied(one: Varied) -> dict[str, Any]:
    return {"object": one.object, "cells": dict(one.texts)}
