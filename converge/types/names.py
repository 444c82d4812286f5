"""The names of target types: one for each, whatever PostgreSQL or a map calls it."""

from __future__ import annotations

import re

_BASES = {
    "character varying": "varchar",
    "char": "character",
    "char varying": "varchar",
    "timestamptz": "timestamp with time zone",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "decimal": "numeric",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "varbit": "bit varying",
}
_ZONE = " with time zone"
# Types of extensions, which PostgreSQL prints with their schema where that is not in reach.
_EXTENSION = re.compile(r'(?:\w+|"[^"]+")\.(?=(?:citext|geometry)\b)')


def normal(name: str) -> str:
    """The name that the families use: ``timestamp(3) without time zone`` → ``timestamp(3)``."""
    name = _EXTENSION.sub("", name)
    bare = name.removesuffix("[]")
    inner = bare.partition("(")[2].partition(")")[0]
    known = _BASES.get(base_name(bare), base_name(bare))
    if inner:
        # A zone comes behind the size of a time.
        word, zone, _ = known.partition(_ZONE)
        known = f"{word}({inner}){zone}"
    return known + name[len(bare) :]


def base_name(to: str) -> str:
    """``numeric(10,2)`` → ``numeric``, ``timestamp(6) with time zone`` → the same without (6)."""
    head, _, rest = to.partition("(")
    return (head + rest.partition(")")[2]).strip() if rest else to


def sizes(to: str) -> tuple[int, ...]:
    """``numeric(10,2)`` → (10, 2); empty for a type without."""
    inner = to.partition("(")[2].partition(")")[0]
    return tuple(int(part) for part in inner.split(",")) if inner else ()


def digits_of(to: str) -> int:
    """Fractional-second digits of a time type: six where none are said."""
    return (*sizes(to), 6)[0]
