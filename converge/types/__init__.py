"""Type families: one kind of MySQL value each, on its whole way. A new type goes here."""

from __future__ import annotations

from dataclasses import replace

from converge.codes import Code
from converge.errors import UsageError
from converge.model.catalog import Column
from converge.types.base import Family, Form, Length, Value
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
    "FAMILIES", "KINDS", "NUMBERS", "TEXTS", "TEXTUAL", "Family", "Form", "Length", "Trap", "Value",
    "accepts", "adopted", "base_name", "check_target", "family_of", "form", "normal",
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


def form(value: Value) -> Form:
    """What a value of a known MySQL type becomes, and what a map's expression has lost before."""
    made = _BY_TYPE[value.column.type].form(value)
    return replace(made, traps=(*value.losses, *made.traps)) if value.losses else made


def accepts(column: Column, to: str, labels: tuple[str, ...] = ()) -> bool:
    """Whether a column of a known MySQL type can become this type.

    `labels` are those of an enum that the target has already.
    """
    family = _BY_TYPE[column.type]
    return base_name(to) in family.accepts(column) or bool(labels and to == "enum" and family.labelled)


def adopted(expression: str, column: Column) -> str:
    """A map's MySQL expression of such a column in the form that `Value.changed` has."""
    return _BY_TYPE[column.type].adopted(expression, column)


def check_target(column: Column, to: str, place: str, labels: tuple[str, ...] = ()) -> None:
    """Raises UsageError for a type that the column does not accept."""
    if not accepts(column, to, labels):
        raise UsageError(
            f"{place}: {column.name}: {column.raw_type} cannot become {to}",
            code=Code.M003,
            hint=f"to = one of: {', '.join(sorted(_BY_TYPE[column.type].accepts(column)))}",
        )
