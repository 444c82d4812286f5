"""What a run leaves for the next one's plan: enough to say what has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from converge.codes import Code


@dataclass(frozen=True, slots=True)
class TableMark:
    rows: int
    """Rows as the plan knew them: counted by the scan, or the server's estimate."""
    bytes: int
    columns: Mapping[str, tuple[str, str]]
    """The source's type, and what becomes of it in words, by column."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    source_version: str
    target_version: str
    digest: str
    """The plan's."""
    whole: bool
    """Whether the run did all by itself: the seconds of one that was resumed are only the rest's."""
    tables: Mapping[str, TableMark]
    objects: Mapping[str, str]
    """What becomes of indexes, keys, views and the like, by kind and name."""
    findings: tuple[tuple[Code, str], ...]
    """Code and object."""


What = Literal["server", "table", "column", "decision", "finding"]


@dataclass(frozen=True, slots=True)
class Drifted:
    """One thing that is not what it was."""

    what: What
    object: str
    before: str
    """Empty for what is new."""
    now: str
    """Empty for what is gone."""


@dataclass(frozen=True, slots=True)
class Growth:
    table: str
    before: int
    now: int
    """Rows."""


@dataclass(frozen=True, slots=True)
class Drift:
    since: str
    """The run, in words."""
    changes: tuple[Drifted, ...]
    growth: tuple[Growth, ...]
    """Tables whose rows are not as many as they were."""
    forecast: Forecast | None
    """From what that run has measured; None where it was resumed, or did not come to its end."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will need, with how that was reckoned."""

    seconds: float
    """Seconds of the whole run with its full comparison."""
    target_bytes: int
    """Tables and indexes in the target."""
    basis: str
