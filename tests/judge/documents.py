"""JSON by value: numbers are exact, the order of the keys is of no interest, null is not SQL's NULL."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def document(text: str) -> Any:
    """Every kind has its own Python type or tag, so that true, 1 and "1" are three values."""
    try:
        parsed = json.loads(
            text,
            parse_int=Decimal,
            parse_float=Decimal,
            parse_constant=_refuse,
            object_pairs_hook=_Object,
        )
    except ValueError:
        return ("not JSON", text)
    return _freeze(parsed)


class _Object(list[tuple[str, Any]]):
    """The pairs as they stand: a repeated key must not vanish."""


def _freeze(value: Any) -> Any:
    if isinstance(value, _Object):
        pairs = sorted(value, key=lambda pair: pair[0])
        return ("object", tuple((name, _freeze(item)) for name, item in pairs))
    if isinstance(value, list):
        return ("array", tuple(map(_freeze, value)))
    if value is None or isinstance(value, bool):
        return ("null",) if value is None else ("boolean", value)
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
