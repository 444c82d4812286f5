"""Phases of a run: timed in its result, told to its sink."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from converge.model.event import PhaseEnded, PhaseStarted, Sink


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
