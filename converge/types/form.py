"""What a text becomes in PostgreSQL, whichever MySQL type it was read from.

Families that can give their values as text share these: a form knows what the target type takes of it and
how both servers tell it. `text` is everywhere a MySQL expression in UTF-8; COPY gets it as it stands, so the
target's own input decides, and what it would read as something else is a trap before that.
"""

from __future__ import annotations

from typing import ClassVar

from converge.model.quote import pg_text
from converge.types.base import Value
from converge.types.sql import as_bytes
from converge.types.traps import Trap


class Form:
    targets: ClassVar[frozenset[str]]
    """Base names of the types that are written like this."""
    judge: ClassVar[str] = "text"
    delimited: ClassVar[bool] = True
    special: ClassVar[bool] = True
    """Whether a text can hold what COPY needs escaped; also one that no scan has looked at."""

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        """What `value.to` cannot hold of the text."""
        return ()

    def read(self, text: str) -> str:
        """MySQL expression of the COPY text."""
        return as_bytes(text)

    def source_text(self, text: str) -> str:
        """MySQL expression of the canonical text."""
        return text

    def target_text(self, reference: str, value: Value) -> str:
        """PostgreSQL expression that prints as the same."""
        return reference

    def source_value(self, text: str) -> str:
        """MySQL expression of the value for the drill-down."""
        return self.source_text(text)

    def target_value(self, reference: str, value: Value) -> str:
        """PostgreSQL expression of the same."""
        return self.target_text(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        """The literal default as PostgreSQL SQL; None when there is no faithful one."""
        return pg_text(literal)
