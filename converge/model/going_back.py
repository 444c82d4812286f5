"""Whether the source is still what was copied: what a way back to it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stand = Literal["still", "moved", "not known"]


@dataclass(frozen=True, slots=True)
class GoingBack:
    stand: Stand
    """`still`: nothing was committed on the source's server since the snapshot, or in none of its tables."""
    how: str
    """How that is known."""
    tables: tuple[str, ...] = ()
    """The tables whose rows are no longer those of the snapshot."""
    named: bool = False
    """Whether all tables were compared with the snapshot, so that `tables` is complete."""
