"""Names of PostgreSQL's types: as the server prints them, and as the families know them."""

from __future__ import annotations

import re

_LONG = {
    "character varying": "varchar",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}


def normal(printed: str) -> str:
    """A type as format_type() prints it, in the families' words: ``timestamp(3) without time zone`` is
    ``timestamp(3)``."""
    sizes = re.search(r"\([^)]*\)", printed)
    bare = re.sub(r"\([^)]*\)", "", printed)
    name = _LONG.get(bare, bare)
    if sizes is None or name == printed:
        return name
    head, _, rest = name.partition(" ") if name.startswith(("timestamp ", "time ")) else (name, "", "")
    return f"{head}{sizes[0]}{' ' + rest if rest else ''}"
