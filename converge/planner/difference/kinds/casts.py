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


def using(column: str, old: str, new: str) -> str:
    """The expression over a quoted column; empty where the server's own cast is best.

    An explicit cast to a shorter type would cut texts off, the server's own refuses them.
    """
    before, after = _bare(old), _bare(new)
    if before == after or after in _TEXTS or any(before in one and after in one for one in _FAMILIES):
        return ""
    if before in _TEXTS:
        return f"{column}::{new}"
    if before in _FAMILIES[0] and after == "boolean":
        return f"{column} <> 0"
    if before == "boolean" and after in _FAMILIES[0]:
        return f"{column}::integer"
    return f"{column}::text::{new}"


def _bare(type_: str) -> str:
    """Without lengths: ``timestamp(3) without time zone`` is a timestamp."""
    return re.sub(r"\([\d,]+\)", "", type_)
