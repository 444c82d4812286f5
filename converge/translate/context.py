"""What a translation must be, what it leaves to be said, and the one way in which it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field


class Untranslatable(Exception):
    """Why an expression has no translation that is surely the same."""


def refuse_if(condition: object, reason: str) -> None:
    """Raises Untranslatable with this reason where the condition holds."""
    if condition:
        raise Untranslatable(reason)


def unlisted(name: str) -> Untranslatable:
    """The error for what is not on the allow-list."""
    return Untranslatable(f"{name.lower()} is not on the list of what is surely the same")


@dataclass(slots=True)
class Context:
    """The circumstances of one translation, shared by all its parts."""

    immutable: bool = False
    """Generated columns and indexes must not depend on the session."""
    exact: bool = False
    """No sum of integers may overflow: MySQL leaves the right side of a comparison alone where the left one
    is NULL, and PostgreSQL would refuse the row."""
    notes: list[str] = field(default_factory=list)
    """What a careful reader should know, each said once."""
    rare: list[str] = field(default_factory=list)
    """Those of them that are about characters that hardly occur."""
    only_ascii: bool = False
    """Whether LOWER and UPPER of the target leave letters outside ASCII alone."""
    last_second: int = 2**31 - 1
    """The last one since 1970 that FROM_UNIXTIME takes."""
    local_time: bool = False
    """Whether the time of day is taken or shown by the clock of the session's time zone."""
    volatile_calls: int = 0
    """How many calls were translated that give another value each time, as UUID()."""

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def note_rare(self, text: str) -> None:
        """A note about characters that hardly occur."""
        self.note(text)
        if text not in self.rare:
            self.rare.append(text)

    def depends(self, what: str, *, local_time: bool = False) -> None:
        """Says that the translation depends on the session. Raises Untranslatable where it must not."""
        self.local_time |= local_time
        refuse_if(self.immutable, f"{what}, which PostgreSQL does not take for immutable")
