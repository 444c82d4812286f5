"""Checks that a map declares, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Asked = bool | int | float | str
State = Literal["ok", "differs", "error", "skipped"]
FAILED: tuple[State, ...] = ("differs", "error")


@dataclass(frozen=True, slots=True)
class Hook:
    """Statements of a map, which a run executes in the target."""

    place: str
    """Where it stands: ``shop [[hook]] #2``."""
    phase: Literal["after create", "after copy", "after finish"]
    sql: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A named expectation: queries that only read, and what they should give."""

    name: str
    target: str
    """PostgreSQL's query; unqualified names are of the target schema."""
    source: str = ""
    """MySQL's query; empty when the target alone is asked."""
    equals: Asked | None = None
    """What the queries must give, as one value; None: the target's rows must equal the source's."""
    at_least: float | None = None
    """What the queries must give at least, as one number."""
    where_source_has: tuple[str, ...] = ()
    """Tables of the source without which there is nothing to check."""
    seconds: int = 300
    """The most that each query may take."""
    why: str = ""
    place: str = ""
    """Where it stands, e.g. ``kratos [[check]] #3``."""

    @property
    def wants(self) -> str:
        """What is expected, in words."""
        if self.equals is not None:
            return f"= {self.equals}"
        return "as in the source" if self.at_least is None else f"at least {self.at_least:g}"


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    state: State
    wants: str
    source: str | None = None
    """What the source gave, as text; None when it was not asked."""
    target: str | None = None
    message: str = ""
    """Why it failed or was skipped."""
    why: str = ""
    place: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return self.state in FAILED

    def __str__(self) -> str:
        given = [f"{side} {value}" for side, value in (("source", self.source), ("target", self.target))
                 if value is not None]  # fmt: skip
        said = "; ".join(filter(None, (", ".join(given), self.message)))
        return f"{self.name} ({self.wants}): {said}"


@dataclass(frozen=True, slots=True)
class Application:
    """What an application's own migrations leave in the target, as its map says."""

    name: str
    tables: tuple[str, ...]
    migrate: str
    """The command that makes them; empty when the map names none."""
