"""Whether a column's new type holds every value of the old one, unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence

from converge.revisions.gate.words import Word

_TYPE = re.compile(r"(?P<base>[^(\[]+?)\s*(?:\((?P<sizes>[\d, ]+)\))?(?P<rest>[^(\[]*)(?P<array>(?:\[\])*)")
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_MOST = 10**9


def split(new: Sequence[Word], column: str) -> str | None:
    """The type that is written after TYPE; None where a USING or COLLATE may change the values."""
    texts = [word.text for word in new]
    cut = texts.index("using") if "using" in texts else len(texts)
    written, using = list(new[:cut]), [word.text for word in new[cut + 1 :]]
    if any(word.kind == "string" or word.text in ("collate", ";") for word in written):
        return None
    plain = [word.text for word in written]
    if using and using not in ([column], [column, "::", *plain], ["cast", "(", column, "as", *plain, ")"]):
        return None
    return " ".join('"' + word.text.replace('"', '""') + '"' if word.kind == "name" else word.text
                    for word in written).replace(" . ", ".")  # fmt: skip


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
