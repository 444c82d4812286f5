"""Texts as texts: varchar, text, citext and the padded character(n)."""

from __future__ import annotations

from converge.model.quote import my_text
from converge.types.base import Value
from converge.types.form import Form
from converge.types.names import base_name, sizes
from converge.types.sql import as_bytes
from converge.types.traps import Trap

TEXTS = frozenset({"text", "varchar", "citext"})
"""Base names of the types that compare by a collation and keep every character."""
PADDED = frozenset({"character", "bpchar"})
"""Those that do not tell spaces at the end from their padding; MySQL's CHAR never ends in one."""


class AsText(Form):
    targets = TEXTS | PADDED

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (*_too_long(text, value), *_trailing_space(text, value), nul(text))

    def target_text(self, reference: str, value: Value) -> str:
        # The cast leaves the padding out.
        return f"{reference}::text" if base_name(value.to) in PADDED else reference


def _too_long(text: str, value: Value) -> tuple[Trap, ...]:
    limit = 1 if value.to == "character" else next(iter(sizes(value.to)), None)
    longest = None if value.changed else value.column.length
    if limit is None or (longest is not None and longest <= limit):
        return ()
    return (Trap("too_long", f"CHAR_LENGTH({text})>{limit}", {"cut": f"LEFT({text},{limit})"}),)


def _trailing_space(text: str, value: Value) -> tuple[Trap, ...]:
    if base_name(value.to) not in PADDED or (value.column.type == "char" and not value.changed):
        return ()
    # As bytes: many collations take '' and ' ' for equal.
    last = as_bytes(f"RIGHT({text},1)")
    return (Trap("trailing_space", f"{last}=' '", {"trim": f"TRIM(TRAILING ' ' FROM {text})"}),)


def nul(text: str) -> Trap:
    """NUL inside a UTF-8 expression. As bytes, because most collations ignore a NUL."""

    def without(substitute: str) -> str:
        return f"CONVERT(REPLACE({as_bytes(text)},0x00,{as_bytes(substitute)}) USING utf8mb4)"

    return Trap(
        "nul",
        f"INSTR({as_bytes(text)},0x00)>0",
        {"strip": without("''")},
        lambda wanted: without(my_text(wanted)),
    )
