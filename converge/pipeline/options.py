"""What the shared options of the command line say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from converge.errors import UsageError
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
    recreate: bool = False
    """In create mode: drop the tables that the plan makes, where they exist, and make them again."""
    truncate: bool = False
    """In load mode: empty the tables that are loaded."""
    strict: bool = False
    """A rule of a map that matches nothing blocks."""
    scan: bool = True
    """Look at the data; without it every type is the one that holds every value."""
    scan_seconds: float = 60.0
    """The most that the scan of one table may take."""
    jobs: int = field(default_factory=default_jobs)

    @property
    def clears(self) -> bool:
        """Whether what exists is removed first. Raises UsageError for the other mode's option."""
        if self.recreate and self.mode == "load" and not self.truncate:
            raise UsageError(
                "--recreate drops tables, and in load mode they are the application's",
                code="U180",
                hint="--truncate empties the tables that are loaded",
            )
        if self.truncate and self.mode == "create" and not self.recreate:
            raise UsageError(
                "--truncate empties tables in load mode; in create mode the tables are made by the run",
                code="U180",
                hint="--recreate drops the planned tables and makes them again",
            )
        return self.recreate if self.mode == "create" else self.truncate
