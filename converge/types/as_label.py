"""Texts as labels of an ENUM type that the target has already."""

from __future__ import annotations

from converge.model.quote import pg_text
from converge.types.base import Value
from converge.types.form import Form
from converge.types.sql import one_of
from converge.types.traps import Trap


class AsLabel(Form):
    targets = frozenset({"enum"})

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (Trap("no_label", f"{text} IS NOT NULL AND NOT {one_of(text, value.labels)}"),)

    def default(self, literal: str, value: Value) -> str | None:
        return pg_text(literal) if literal in value.labels else None
