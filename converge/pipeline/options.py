"""What the shared options of the command line say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from converge.model.plan import Mode
from converge.planner.inputs import Selection


def default_jobs() -> int:
    """Worker processes: a core each, at least 2 and at most 8."""
    return max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a plan, and how much may be done at a time."""

    maps: tuple[str, ...] = ()
    mode: Mode = "create"
    """Make the tables, or load into those that the application's own migrations made."""
    schema: str = "public"
    selection: Selection = field(default_factory=Selection)
    scan: bool = True
    """Look at the data; without it every type is the one that holds every value."""
    scan_seconds: float = 60.0
    """The most that the scan of one table may take."""
    jobs: int = field(default_factory=default_jobs)
