"""What two values mean, for the drill-down's last word, and how a difference is shown."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from converge.model.plan import ColumnPlan

_SHOWN = 1000
"""Characters of a value that are shown."""
_NUMERALS = "0123456789.eE+-"


class Judged(Protocol):
    """A column whose values are compared."""

    @property
    def judge(self) -> str: ...


def meaning(column: Judged, value: str | None) -> Hashable:
    """The value in a form in which equal things are equal."""
    if value is None or column.judge != "json":
        return value
    return _frozen(json.loads(value, parse_float=_Number, parse_int=_Number))


def without_numerals(column: ColumnPlan) -> ColumnPlan:
    """The column with texts that are the same for the same JSON, however its numbers are written.

    A row without a key is found by the digest of these, or 1e300 would have other neighbours on each side.
    """
    if column.judge != "json":
        return column
    # A text that became JSON may have other spaces and another order.
    source = f"CAST(CAST({column.source_value} AS JSON) AS CHAR)"
    for char in _NUMERALS:
        source = f"REPLACE({source},'{char}','')"
    target = f"translate(({column.target_value})::text,'{_NUMERALS}','')"
    return replace(column, source_text=f"MD5({source})", target_text=f"md5({target})")


class _Number(str):
    """A JSON number's text: a class of its own, so that it is no JSON string."""


def _frozen(value: Any) -> Hashable:
    """A parsed JSON value, hashable; 1e300 and its 301 digits are one number, and 1 is not true."""
    if isinstance(value, _Number):
        return ("number", Decimal(value))
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_frozen(inner) for inner in value))
    return (type(value).__name__, value)


def window(left: str | None, right: str | None) -> tuple[str | None, str | None]:
    """Two values, or the place where two long ones begin to differ."""
    if left is None or right is None or max(len(left), len(right)) <= _SHOWN:
        return _begin(left), _begin(right)
    place = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    start = max(0, place - 40)
    mark = f"[character {start + 1}] "
    return mark + str(_begin(left[start:])), mark + str(_begin(right[start:]))


def _begin(value: str | None) -> str | None:
    if value is None or len(value) <= _SHOWN:
        return value
    return f"{value[:_SHOWN]}… ({len(value):,} characters)"
