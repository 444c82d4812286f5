"""What statements do to rows, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converge.revisions.gate.words import Word

Event = Literal["insert", "update", "delete", "truncate"]


@dataclass(frozen=True, slots=True)
class Loses:
    """Rows of a relation may be lost, or the values of a column."""

    relation: tuple[str, ...]
    reason: str
    column: str = ""
    becomes: tuple[Word, ...] = ()
    """A column's new type: harmless where it holds all that the old one does."""


@dataclass(frozen=True, slots=True)
class Empties:
    """All that is in a schema goes."""

    schema: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """It may do anything to any table."""

    reason: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A relation has another name, or is in another schema, from here on."""

    relation: tuple[str, ...]
    name: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Fires:
    """The server runs what hangs on a relation: triggers, rules, functions of its defaults and checks."""

    relation: tuple[str, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Arms:
    """From here on more may be run than the database knows of yet."""

    relation: tuple[str, ...] = ()
    """A view, by which other relations are written to; empty for what may hang on any relation."""


Effect = Loses | Empties | Unjudged | Renamed | Fires | Arms
