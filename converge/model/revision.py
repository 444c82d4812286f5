"""Alembic revisions of the user's own folder, as values: where they stand in a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]
State = Literal["applied", "pending", "unknown"]
Restores = Literal["all", "catalog", "nothing"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One file of the folder."""

    id: str
    name: str
    """The first line of its docstring."""
    down: tuple[str, ...]
    """What it follows; empty for the first."""
    path: str
    text: str
    baseline: str = ""
    """The digest of the definitions that it was made from, when those of a database; else empty."""
    restores: Restores = "all"
    """What its downgrade promises to bring back: rows and catalog, the catalog alone, or nothing."""
    schema: str = ""
    """That the baseline describes; empty where it is none."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a database says of the folder's revisions, as env.py looks at it."""

    heads: tuple[str, ...]
    """The version table's rows."""
    table: tuple[str, str]
    """Schema and name of the version table."""
    path: tuple[str, ...]
    """The schemas in which env.py's connection looks for names, in their order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A revision with its state in one database."""

    id: str
    name: str
    state: State
    head: bool = False
    """Nothing of the folder follows it."""
    validated: tuple[Direction, ...] = ()
    """The directions in which exactly this text was validated."""


@dataclass(frozen=True, slots=True)
class Danger:
    """A statement of a revision that can lose rows, or of which that cannot be said."""

    revision: str
    direction: Direction
    statement: str
    table: str
    """With its schema; empty where any table may be meant."""
    rows: int
    """That are at stake; of very many rows no more than `MOST`."""
    reason: str
    tables: tuple[str, ...]
    """Those whose rows a validation must have seen."""


MOST = 1_000_000
"""Rows are counted up to here."""
