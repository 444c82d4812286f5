"""Type families: one kind of MySQL value each, on its whole way. A new type goes here."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import UsageError
from converge.model.catalog import Column
from converge.types.base import Family, Length, Value
from converge.types.binary import Binary
from converge.types.bit import Bit
from converge.types.decimal import Decimal
from converge.types.floating import Floating
from converge.types.forms import TEXTS
from converge.types.integer import Integer
from converge.types.json_ import Json
from converge.types.members import Enum, Set
from converge.types.spatial import Spatial
from converge.types.sql import base_name, normal
from converge.types.temporal import Date, Datetime, Time
from converge.types.text import Text
from converge.types.traps import KINDS, Trap

__all__ = [
    "FAMILIES", "KINDS", "NUMBERS", "TEXTS", "TEXTUAL", "Family", "Length", "Trap", "Value", "base_name",
    "check_target", "family_of", "normal",
]  # fmt: skip

FAMILIES: tuple[Family, ...] = (
    Integer(), Decimal(), Floating(), Bit(), Date(), Datetime(), Time(), Text(), Enum(), Set(), Json(),
    Binary(), Spatial(),
)  # fmt: skip

NUMBERS = Integer.types | Decimal.types | Floating.types
"""MySQL types of numbers."""
TEXTUAL = Text.types | Enum.types | Set.types
"""MySQL types that compare by a collation."""
_BY_TYPE = {name: family for family in FAMILIES for name in family.types}


def family_of(column: Column) -> Family | None:
    """The family of a column's MySQL type; None for a type that converge does not know."""
    return _BY_TYPE.get(column.type)


def check_target(family: Family, column: Column, to: str, place: str, labels: tuple[str, ...] = ()) -> None:
    """Raises UsageError for a type that the family cannot make exactly.

    `labels` are those of an enum that the target has already.
    """
    accepted = family.accepts(column)
    if base_name(to) not in accepted and not (labels and to == "enum" and family.labelled):
        raise UsageError(
            f"{place}: {column.raw_type} cannot become {to}",
            code=Code.M003,
            hint=f"to = one of: {', '.join(sorted(accepted))}",
        )
