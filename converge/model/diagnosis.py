"""What `doctor` has found: facts of each side that could be reached, and all findings at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converge.model.endpoint import Endpoint
from converge.model.facts import SourceFacts, TargetFacts
from converge.model.plan import Finding


@dataclass(frozen=True, slots=True)
class Diagnosis:
    source: Endpoint | None
    """None when no source is named; so the target."""
    target: Endpoint | None
    source_facts: SourceFacts | None
    """None when it could not be reached."""
    target_facts: TargetFacts | None
    findings: tuple[Finding, ...]
    unreached: int
    """The exit code of the first side that could not be reached; 0 when all could."""
    needed_bytes: int | None
    """What tables and indexes will take in the target; None without the source."""

    @property
    def blocked(self) -> bool:
        return any(finding.severity == "block" for finding in self.findings)

    @property
    def verdict(self) -> Literal["ready", "blocked", "failed"]:
        if self.unreached:
            return "failed"
        return "blocked" if self.blocked else "ready"

    @property
    def exit_code(self) -> int:
        return self.unreached or (3 if self.blocked else 0)
