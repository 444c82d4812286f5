"""The kind of a value that a map's expression makes: a column that stands in for its own."""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.types.as_number import INTEGERS
from converge.types.as_text import AsText
from converge.types.forms import MADE
from converge.types.names import base_name, sizes

_TIMES = {
    "timestamp": "datetime",
    "timestamp with time zone": "datetime",
    # What has a time of day, too, must not lose it unseen.
    "date": "datetime",
    "time": "time",
    "interval": "time",
}
_DIGITS = 6
_LONGEST = 2**32 - 1
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal"})
_FLOATS = frozenset({"float", "double"})
_INTEGER_DIGITS, _MOST_DIGITS, _MOST_SCALE = 20, 65, 30


def stand_in(column: Column, to: str) -> Column | None:
    """A column of the kind that becomes `to`: a time, or else a text that must be just what `to` prints.

    None where neither can.
    """
    kind = _TIMES.get(base_name(to))
    plain = replace(column, unsigned=False, zerofill=False, labels=(), charset=None, collation=None)
    if kind:
        return replace(plain, type=kind, fsp=_DIGITS)
    return _text(plain) if base_name(to) in MADE else None


def widened(column: Column, to: str) -> Column:
    """A column for what an expression makes of a number: any number or text that `to` can hold.

    The column itself where its type says nothing about the values: of all but numbers.
    """
    base = base_name(to)
    if column.type in _NUMBERS | _FLOATS and (base in AsText.targets or to == "numeric"):
        return _text(column)
    if column.type not in _NUMBERS or base not in {*INTEGERS, "numeric", "double precision"}:
        return column
    scale = (*sizes(to), 0)[1] if sizes(to) else _MOST_SCALE * (base == "double precision")
    scale = min(_MOST_SCALE, max(scale, column.scale or 0))
    whole = max(_INTEGER_DIGITS, (column.precision or 0) - (column.scale or 0), (*sizes(to), 0)[0] - scale)
    precision = min(_MOST_DIGITS, whole + scale)
    return replace(column, type="decimal", precision=precision, scale=scale, unsigned=False)


def _text(column: Column) -> Column:
    return replace(column, type="longtext", length=_LONGEST, charset="utf8mb4")
