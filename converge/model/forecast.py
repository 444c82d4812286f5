"""What a run will need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will need, with how that was reckoned."""

    seconds: float
    """Of the whole run with its full comparison."""
    target_bytes: int
    """Tables and indexes in the target."""
    basis: str
