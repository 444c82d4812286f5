"""How the values of a column come to another type."""

from __future__ import annotations

import re

_FAMILIES = (
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    frozenset({"text", "character varying", "character", '"char"', "name"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
    frozenset({"time without time zone", "time with time zone"}),
    frozenset({"json", "jsonb"}),
    frozenset({"bit", "bit varying"}),
)
"""Types that the server casts to one another in an assignment, and refuses what does not fit."""
_TEXTS = _FAMILIES[1]


def using(column: str, old: str, new: str, type_: str) -> str:
    """The expression over a quoted column that makes values of `type_`, a domain over `new` or the same.

    Empty where the server's own cast is best: an explicit one to a shorter type cuts texts off, the server's
    own refuses them.
    """
    before, after = _bare(old), _bare(new)
    if any(before in one and after in one for one in _FAMILIES) or after in _TEXTS:
        return ""
    if before in _TEXTS:
        return f"{column}::{type_}"
    if before in _FAMILIES[0] and after == "boolean":
        return f"{column} <> 0"
    if before == "boolean" and after in _FAMILIES[0]:
        return f"{column}::integer"
    # Also for a type of the same name that is not the same type.
    return "" if before == after and "." not in after else f"{column}::text::{type_}"


def lengthens(old: str, new: str) -> bool:
    """Whether the values stay as they lie there, and have more room: the server keeps indexes over them."""
    before, after = _LENGTH.fullmatch(old), _LENGTH.fullmatch(new)
    if before is None or new == "text":
        return before is not None and before["base"] == "character varying"
    if after is None or before["base"] != after["base"] or before["scale"] != after["scale"]:
        return False
    return int(before["size"]) <= int(after["size"])


_LENGTH = re.compile(
    r"(?P<base>character varying|bit varying|numeric)\((?P<size>\d+)(?:,(?P<scale>-?\d+))?\)"
)


def _bare(type_: str) -> str:
    """Without lengths and brackets: ``timestamp(3) without time zone[]`` is a timestamp."""
    return re.sub(r"\([\d,]+\)|\[\]$", "", type_)
