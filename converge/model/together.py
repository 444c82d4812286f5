"""What a command came to for several databases: one verdict and one exit code, the worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converge.errors import ConvergeError
from converge.model.result import Result

_WORST_FIRST = (
    "failed", "differs", "interrupted", "running", "blocked", "never run", "migrated", "ready",
    "recovered", "nothing to recover", "finished", "verified",
)  # fmt: skip
"""All verdicts of commands, and the states that `status` shows."""


def worst(documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document that speaks for all: the first of those with the worst verdict."""
    return min(documents, key=lambda one: _WORST_FIRST.index(one["verdict"]))


def together(command: str, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The --json document of a command over several databases; each one's own has its name."""
    speaker = worst(documents)
    return {
        "converge": 1,
        "command": command,
        "verdict": speaker["verdict"],
        "exit_code": speaker["exit_code"],
        "databases": list(documents),
    }


@dataclass(frozen=True, slots=True)
class Named:
    """One database's result; `error` ended it."""

    name: str
    result: Result
    error: ConvergeError | None = None

    @property
    def exit_code(self) -> int:
        return self.error.exit_code if self.error else self.result.exit_code

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **self.result.to_json(), "exit_code": self.exit_code}


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a run over several databases, in their order."""

    command: str
    each: tuple[Named, ...]

    @property
    def verdict(self) -> str:
        return str(self.to_json()["verdict"])

    @property
    def exit_code(self) -> int:
        return int(self.to_json()["exit_code"])

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return together(self.command, [one.to_json() for one in self.each])
