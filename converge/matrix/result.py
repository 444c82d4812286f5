"""One source on several versions of PostgreSQL: what each step came to on each, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from converge.errors import listed
from converge.model.check import CheckResult
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.finding import Finding, count_losses
from converge.model.plan import Plan
from converge.model.result import NotCompared, Result
from converge.model.words import counted

State = Literal["green", "red", "not run"]
MatrixVerdict = Literal["verified", "differs", "failed"]

_SHOWN = 5
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
    untried: bool = False
    """Green because there was nothing of which it could have been red; the words say why."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a target table holds, by the comparison's own sums."""

    rows: int
    digest: str

    def __str__(self) -> str:
        return f"{counted(self.rows, 'row')}, {self.digest}"


def uncompared(result: Result, plan: Plan) -> list[NotCompared]:
    """What this comparison has not looked at, though the target has it."""
    return [
        *result.left_uncompared,
        *(NotCompared(one.kind, one.name, one.why) for one in result.views if one.state == "not compared"),
        *(NotCompared("view", name, "the target's is its own") for name in plan.own_views),
    ]


def uncompared_words(found: Sequence[NotCompared]) -> str:
    """``1 object not compared: view film_list``."""
    names = listed([f"{one.kind} {one.name}" for one in found], _SHOWN)
    return f"{counted(len(found), 'object')} not compared: {names}" if found else ""


@dataclass(slots=True)
class Cell:
    """One version: its server, its steps, and what was found there."""

    name: str
    """As it was asked for: ``17.5``, or an address without its password."""
    endpoint: Endpoint | None = None
    """A database of its server, from which others can be made; None before a version is started."""
    version: str = ""
    """The server's own word; empty where none was reached."""
    provider: str = "URL"
    steps: list[Step] = field(default_factory=list)
    plan: Plan | None = None
    compared: Result | None = None
    """What the last comparison came to, where all rows are equal."""
    catalog: Mapping[str, str] = field(default_factory=dict)
    """Object → definition, after the load."""
    revised: Mapping[str, Content] = field(default_factory=dict)
    """By target table, after the user's revisions; empty where they have not run."""

    @property
    def tables(self) -> dict[str, Content]:
        """By source table; empty where not all are equal to the source's."""
        tables = self.compared.tables if self.compared else ()
        return {one.source: Content(one.rows_target or 0, one.digest) for one in tables}

    @property
    def not_compared(self) -> Sequence[NotCompared]:
        """What the last comparison has not looked at."""
        return uncompared(self.compared, self.plan) if self.compared and self.plan else ()

    @property
    def checks(self) -> Sequence[CheckResult]:
        """What the maps' checks gave, by the last comparison."""
        return self.compared.checks if self.compared else ()

    @property
    def red(self) -> bool:
        return any(step.reason for step in self.steps)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def step(self, name: str) -> Step:
        """The step of this name, not run where it is none of the cell's."""
        return next((step for step in self.steps if step.name == name), Step(name, "not run"))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "provider": self.provider,
            "state": "red" if self.red else "green",
            "seconds": round(self.seconds, 3),
            "steps": [asdict(step) | {"seconds": round(step.seconds, 3)} for step in self.steps],
            "tables": [{"source": name, **asdict(one)} for name, one in self.tables.items()],
            "revised": [{"target": name, **asdict(one)} for name, one in self.revised.items()],
            "checks": [asdict(check) for check in self.checks],
            "not_compared": [asdict(one) for one in self.not_compared],
        }


@dataclass(frozen=True, slots=True)
class Varied:
    """Something that is not the same on all versions."""

    object: str
    cells: Mapping[str, str]
    """By cell what is there, in the cells' order; empty where there is no such thing."""

    @property
    def grouped(self) -> Iterator[tuple[str, str]]:
        """Each text, and the names of the cells that have it."""
        for text in dict.fromkeys(self.cells.values()):
            yield text, ", ".join(name for name, other in self.cells.items() if other == text)


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
    def table_count(self) -> int:
        return len({name for cell in self.cells for name in cell.tables})

    @property
    def revised_count(self) -> int:
        return len({name for cell in self.cells for name in cell.revised})

    @property
    def missing(self) -> tuple[int, int] | None:
        """Objects not migrated and losses of the version that lacks most; None where none was planned."""
        plans = [cell.plan for cell in self.cells if cell.plan]
        lacking = ((len(plan.not_migrated), count_losses(plan.findings)) for plan in plans)
        return max(lacking, key=sum, default=None)

    @property
    def not_compared(self) -> int:
        """Objects that were not compared on the version where they are most."""
        return max((len(cell.not_compared) for cell in self.cells), default=0)

    @property
    def red(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.red)

    @property
    def reasons(self) -> list[Finding]:
        """Why cells are red."""
        return [
            replace(step.reason, object=f"{cell.name} {step.name}")
            for cell in self.cells
            for step in cell.steps
            if step.reason
        ]

    @property
    def lacking(self) -> list[Finding]:
        """What some version's plan loses or leaves out."""
        plans = (cell.plan for cell in self.cells if cell.plan)
        lost = (one for plan in plans for one in plan.findings if one.severity == "lossy")
        return [*{(one.code, one.object, one.message): one for one in lost}.values()]

    @property
    def verdict(self) -> MatrixVerdict:
        if not self.red:
            return "verified"
        only_digests = all(step.name == DIGESTS for cell in self.red for step in cell.steps if step.reason)
        return "differs" if only_digests else "failed"

    @property
    def exit_code(self) -> int:
        return 1 if self.red else 0

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return head("matrix", self.verdict, self.exit_code) | {
            "source": {"url": self.source, "version": self.source_version},
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "cells": [cell.to_json() for cell in self.cells],
            "findings": [asdict(one) for one in (*self.reasons, *self.lacking)],
            "differences": {
                "digests": [asdict(one) for one in self.contents],
                "revised": [asdict(one) for one in self.revised],
                "plans": [asdict(one) for one in self.plans],
                "catalog": [asdict(one) for one in self.catalog],
            },
        }
