"""What a target type cannot hold, trap by trap, and what a map may say should become of it.

A trap is never sprung in silence: the scan counts its values, and without a policy they stop the run
before anything is written. A policy's expression takes the value's place on the source side of the
copy and of the comparison alike, so what it did is mirrored there and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from converge.codes import Code
from converge.model.finding import Severity
from converge.resources import toml


@dataclass(frozen=True, slots=True)
class Kind:
    """A trap as maps and documentation know it."""

    code: Code
    """Of its findings."""
    words: str
    """What such rows do, after "N rows"."""
    policies: Mapping[str, str] = field(default_factory=dict)
    """What each policy does; ``stop`` is always there."""
    other: str = ""
    """A target type that holds such values, too."""
    harm: Severity = "block"
    """What it is without a policy: ``note`` where the value arrives as it is."""


def _kinds() -> Mapping[str, Kind]:
    entries = toml("converge.types", "traps").items()
    return {name: Kind(**entry | {"code": Code(entry["code"])}) for name, entry in entries}


KINDS = _kinds()
"""By the name that maps use, in the order of `traps.toml`."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A trap of one column: the condition of its values, and the expressions that policies put there."""

    name: str
    where: str
    """MySQL condition, true for a value that the target type cannot hold."""
    remedies: Mapping[str, str] = field(default_factory=dict)
    """MySQL expression of the value by policy; ``null`` is always there."""
    replace: Callable[[str], str] | None = None
    """MySQL expression of the value for a replacement that the map names; raises ValueError."""
    harm: Severity | None = None
    """Where it differs from its kind's."""
    whole: bool = False
    """`where` only gives the column away: a policy changes all its values."""
    merged: str = ""
    """What such rows do, after "N rows", where the value arrives as another one: kept unless a map says
    otherwise, which is a loss."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def words(self) -> str:
        """What such rows do, after "N rows"."""
        return self.merged or self.kind.words

    @property
    def default(self) -> str:
        """The policy where no map says one."""
        return "keep" if self.merged else "stop"

    @property
    def stops(self) -> bool:
        """Whether such values stop the run when no policy is declared."""
        return not self.merged and (self.harm or self.kind.harm) == "block"
