"""The terms of one translation: what it must be, and what it leaves to be said."""

from __future__ import annotations

from dataclasses import dataclass, field

from converge.translate.errors import Untranslatable


@dataclass(slots=True)
class Terms:
    immutable: bool = False
    """Generated columns and indexes must not depend on the session."""
    exact: bool = False
    """No sum of integers may overflow: MySQL leaves the right side of a comparison alone where the left one
    is NULL, and PostgreSQL would refuse the row."""
    notes: list[str] = field(default_factory=list)
    """What a careful reader should know, each said once."""

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def depends(self, what: str) -> None:
        """Says that the translation depends on the session. Raises Untranslatable where it must not."""
        if self.immutable:
            raise Untranslatable(f"{what}, which PostgreSQL does not take for immutable")
