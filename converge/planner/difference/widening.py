"""Whether a column's new type holds every value of the old one, unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TYPE = re.compile(r"(?P<base>[^(\[]+?)\s*(?:\((?P<sizes>[\d, ]+)\))?(?P<rest>[^(\[]*)(?P<array>(?:\[\])*)")
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_MOST = 10**9


def widens(old: str, new: str) -> bool:
    """Whether `new` holds all that `old` does; both as the server writes them."""
    before, after = _TYPE.fullmatch(old), _TYPE.fullmatch(new)
    if before is None or after is None or before["array"] != after["array"]:
        return False
    if old == new:
        return True
    kind, becomes = before["base"] + before["rest"], after["base"] + after["rest"]
    sizes, room = _sizes(before["sizes"]), _sizes(after["sizes"])
    if kind in _DIGITS:
        if becomes == "numeric":
            return not room or room[0] - _scale(room) >= _DIGITS[kind]
        return _DIGITS.get(becomes, 0) >= _DIGITS[kind]
    if kind == "numeric" and becomes == "numeric":
        whole = [
            (limit[0] - _scale(limit), _scale(limit)) if limit else (_MOST, _MOST) for limit in (sizes, room)
        ]
        return whole[1][0] >= whole[0][0] and whole[1][1] >= whole[0][1]
    if kind in ("character varying", "text") and becomes in ("character varying", "text"):
        return (room or [_MOST])[0] >= (sizes or [_MOST])[0]
    if kind == becomes and kind in _SIZED:
        return (room or [_MOST])[0] >= (sizes or [_MOST])[0]
    return (kind, becomes) == ("real", "double precision")


_SIZED = frozenset({
    "bit varying", "interval",
    "time without time zone", "time with time zone",
    "timestamp without time zone", "timestamp with time zone",
})  # fmt: skip


def _sizes(written: str | None) -> list[int]:
    return [int(size) for size in written.split(",")] if written else []


def _scale(sizes: Sequence[int]) -> int:
    return sizes[1] if len(sizes) > 1 else 0
