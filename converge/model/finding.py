"""What there is to know of an object: a blocker, a loss or a note, with a code of the registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from converge.codes import Code

Severity = Literal["block", "lossy", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    code: Code
    severity: Severity
    object: str
    message: str
    hint: str = ""
    """The fix, to be pasted."""
    evidence: str = ""
    """What the data shows: counts, keys."""
    not_migrated: bool = False
    """Whether an object that is not migrated is all that it is about: another one loses nothing then."""

    @property
    def level(self) -> Literal[Severity, "absent", "after"]:
        """The severity, with what is not migrated at all and what is for after the cutover apart."""
        if self.code.startswith("F"):
            return "after"
        return "absent" if self.severity == "lossy" and self.not_migrated else self.severity


OCCUPIED = Code.T005
"""The code of the finding that planned tables exist already: it is about this target, not about the plan."""


def count_losses(findings: Iterable[Finding]) -> int:
    """How many of the findings are losses of what is migrated."""
    return sum(finding.level == "lossy" for finding in findings)
