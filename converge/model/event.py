"""What a run says while it goes on. Phases emit events; bars, logs and reports are sinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
class CopyStarted:
    """The tables to copy with their estimated rows and bytes."""

    tables: tuple[tuple[str, int, int], ...]


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
class Said:
    """Something that a user should read now."""

    text: str


Event = PhaseStarted | PhaseEnded | CopyStarted | Progress | TableCopied | Advanced | Said
Sink = Callable[[Event], None]


def silent(event: Event) -> None:
    """The sink of those who do not listen."""
