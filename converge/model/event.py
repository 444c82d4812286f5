"""What a run says while it goes on. Phases emit events; bars, logs and reports are sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from converge.model.result import TableResult


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    name: str
    units: int = 0
    """How many `Advanced` it will have; 0 when it has none."""


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table of the copy: how much it has, and how much of it is done already."""

    name: str
    bytes: int
    """Estimated, unless all of it is done."""
    rows_done: int = 0
    bytes_done: int = 0


@dataclass(frozen=True, slots=True)
class CopyStarted:
    tables: tuple[TableSize, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows and bytes that were sent since the last event of this table."""

    table: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TableCopied:
    table: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """One unit of the current phase is done."""

    phase: str
    what: str


@dataclass(frozen=True, slots=True)
class WorkersBusy:
    """How many worker processes carry out a task now."""

    count: int


@dataclass(frozen=True, slots=True)
class WorkerAnswered:
    """A worker of another machine has done a task."""

    worker: int
    """Its number in the ledger."""
    host: str
    rows: int = 0
    """That it has copied."""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a user should read now."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class DatabaseStarted:
    """What follows is about this one of several databases."""

    name: str
    doing: str = ""
    """What is done with it; empty for all that the command does."""

    def __str__(self) -> str:
        return f"database {self.name}" + (f": {self.doing}" if self.doing else "")


@dataclass(frozen=True, slots=True)
class DatabaseEnded:
    """What came of one database: its tables as the report has them. Only the command line tells it."""

    name: str
    """Empty where it is the only one."""
    verdict: str
    exit_code: int
    tables: tuple[TableResult, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the command, its last event. A function of the API returns or raises instead."""

    verdict: str
    exit_code: int


Plain = (
    PhaseStarted | PhaseEnded | CopyStarted | Progress | TableCopied | Advanced | WorkersBusy
    | WorkerAnswered | Said | DatabaseStarted | DatabaseEnded | Ended
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OfDatabase:
    """An event of one of several databases that are migrated at the same time."""

    database: str
    event: Plain


Event = Plain | OfDatabase
Sink = Callable[[Event], None]


def silent(event: Event) -> None:
    """The sink of those who do not listen."""


class Timed(Protocol):
    """A result that keeps how long its phases took."""

    phases: list[tuple[str, float]]


@contextmanager
def phase(result: Timed | None, emit: Sink, name: str, units: int = 0) -> Iterator[None]:
    """Times a phase in the result, where there is one, and tells the sink."""
    emit(PhaseStarted(name, units))
    started = time.monotonic()
    yield
    # As the ledger keeps it, so that a report from there says the same.
    seconds = round(time.monotonic() - started, 3)
    if result is not None:
        result.phases.append((name, seconds))
    emit(PhaseEnded(name, seconds))
