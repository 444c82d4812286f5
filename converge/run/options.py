"""What the shared options of the command line say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.read import Documents, documents
from converge.model.arguments import Checked, Within
from converge.model.evidence import Scan
from converge.model.plan import Compression, Mode
from converge.model.quote import require_schema
from converge.model.recorded import RunOptions
from converge.planner.inputs import Selection
from converge.run.throttle import Limits

RESUME = "converge migrate --resume"


def default_jobs() -> int:
    """Worker processes: a core each, at least 2 and at most 8."""
    return max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class Awaited:
    """Workers that a run waits for before its snapshot, beside its own."""

    places: tuple[tuple[str, str], ...] = ()
    """Where they are: ``join N``, ``local N`` or ``dask host:port``."""
    seconds: float = 120.0
    arguments: tuple[str, ...] = ()
    """Of the command `converge worker` that is started elsewhere."""

    @property
    def count(self) -> int:
        """Workers whose number is known before they join."""
        return sum(int(address) for kind, address in self.places if kind != "dask")


_PLACE = re.compile(r"(?:(join|local):([1-9]\d{0,3})|(dask)://([^/@\s]+:\d+))/?")


def awaited(workers: Iterable[str], seconds: float) -> Awaited:
    """What --workers means. Raises UsageError."""
    places = []
    for text in workers:
        found = _PLACE.fullmatch(text)
        if found is None:
            hint = "--workers join:4, local:4 or dask://host:8786"
            raise UsageError(f"--workers {text} is not a kind of workers", code=Code.U038, hint=hint)
        kind, address = filter(None, found.groups())
        places.append((kind, address))
    return Awaited(tuple(places), seconds)


@dataclass(frozen=True, slots=True)
class Options(Checked):
    """What decides a plan, and how much may be done at a time."""

    maps: tuple[str, ...] = ()
    documents: Documents | None = None
    """What the maps held in an earlier run; None reads the files."""
    mode: Mode = "create"
    """Make the tables, or load into those that the application's own migrations made."""
    schema: str = "public"
    selection: Selection = field(default_factory=Selection)
    recreate: bool = False
    """In create mode: drop the tables that the plan makes, where they exist, and make them again."""
    truncate: bool = False
    """In load mode: empty the tables that are loaded, but for those that are merged."""
    strict: bool = False
    """A rule of a map that matches nothing blocks."""
    scan: bool = True
    """Look at the data; without it every type is the one that holds every value."""
    seen: Scan | None = None
    """What the plan file's scan saw; it is used where the source's log stands where it stood."""
    scan_seconds: Annotated[float, Within(0.001)] = 60.0
    """The most that the scan of one table may take."""
    compression: Compression = "lz4"
    """By what the target compresses long values, where it can; `default` leaves it to the server."""
    jobs: Annotated[int, Within(1, 64)] = field(default_factory=default_jobs)
    parallel: Annotated[int, Within(1)] = 1
    """Databases of the same servers that are migrated at a time, and share `jobs`."""
    limits: Limits = field(default_factory=Limits)
    """How much of the servers may be taken."""
    run: int | None = None
    """The earlier run that is meant; None for the last one."""
    given: frozenset[str] = frozenset()
    """Names of the options that the command line gives: only these replace what an earlier run had."""

    def __post_init__(self) -> None:
        """Raises UsageError."""
        Checked.__post_init__(self)
        require_schema(self.schema, "schema")

    @property
    def clears(self) -> bool:
        """Whether what exists is removed first. Raises UsageError for the other mode's option."""
        if self.recreate and self.mode == "load" and not self.truncate:
            raise UsageError(
                "--recreate drops tables, and in load mode they are the application's",
                code=Code.U180,
                hint="--truncate empties the tables that are loaded",
            )
        if self.truncate and self.mode == "create" and not self.recreate:
            raise UsageError(
                "--truncate empties tables in load mode; in create mode the tables are made by the run",
                code=Code.U180,
                hint="--recreate drops the planned tables and makes them again",
            )
        return self.recreate if self.mode == "create" else self.truncate

    @property
    def share(self) -> int:
        """Jobs of each of them."""
        return max(1, self.jobs // self.parallel)

    @property
    def recorded(self) -> RunOptions:
        """What the ledger keeps of them. Raises UsageError."""
        selection = self.selection
        return RunOptions(
            self.mode, self.schema, selection.include, selection.exclude, self.maps, tuple(self.map_documents)
        )

    def as_in(self, run: RunOptions) -> Options:
        """The run's options, but for those that the command line gives."""
        given, selection = self.given, self.selection
        return replace(
            self,
            mode=self.mode if "mode" in given else run.mode,
            schema=self.schema if "schema" in given else run.schema,
            maps=self.maps if "maps" in given else run.maps,
            documents=None if "maps" in given else run.documents,
            selection=Selection(
                selection.include if "include" in given else run.include,
                selection.exclude if "exclude" in given else run.exclude,
            ),
        )

    @property
    def map_documents(self) -> Documents:
        """What the maps hold. Raises UsageError."""
        if self.documents is not None:
            return self.documents
        return documents(self.maps)
