"""The kind of a value that a map's expression makes: a column that stands in for it."""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.types.forms import MADE
from converge.types.names import base_name

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


def stand_in(column: Column, to: str) -> Column | None:
    """A column of the kind that becomes `to`: a time, or else a text that must be just what `to` prints.

    None where neither can.
    """
    kind = _TIMES.get(base_name(to))
    plain = replace(column, unsigned=False, zerofill=False, labels=(), charset=None, collation=None)
    if kind:
        return replace(plain, type=kind, fsp=_DIGITS)
    if base_name(to) in MADE:
        return replace(plain, type="longtext", length=_LONGEST, charset="utf8mb4")
    return None
