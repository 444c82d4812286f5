"""How large a table is, and the ranges of its primary key that it is cut into."""

from __future__ import annotations

from dataclasses import dataclass

Bound = tuple[str, ...]
"""MySQL literals of a key, one a column."""


@dataclass(frozen=True, slots=True)
class Range:
    """Rows with low < key <= high; None leaves that side open."""

    low: Bound | None = None
    high: Bound | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """What a table is cut by."""

    table: str
    key: tuple[tuple[str, str], ...]
    """The primary key's columns in its order, with their MySQL types; empty when there is none."""
    rows: int
    """The server's estimate, as the next one."""
    bytes: int
