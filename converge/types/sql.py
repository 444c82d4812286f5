"""Names of target types, and MySQL expressions that several families and forms build on."""

from __future__ import annotations

import re

from converge.model.quote import my_text

# ---- names: one for each type, whatever PostgreSQL or a map calls it ------------------------------------

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


# ---- expressions ---------------------------------------------------------------------------------------


def as_bytes(text: str) -> str:
    """The bytes of a UTF-8 expression, so that joining it with marks that are no UTF-8 is exact."""
    return f"CAST({text} AS BINARY)"


def escapes(text: str) -> str:
    """How many bytes of a text COPY wants escaped."""
    bare = as_bytes(text)
    for char in "\\", "\n", "\r", "\t":
        bare = f"REPLACE({bare},{my_text(char)},'')"
    return f"(LENGTH({text})-LENGTH({bare}))"


def is_utf8(value: str) -> str:
    """Condition: the bytes are UTF-8. What is none is cut or becomes NULL, depending on sql_mode."""
    return f"IFNULL({as_bytes(f'CONVERT({as_bytes(value)} USING utf8mb4)')}={as_bytes(value)},0)"


def one_of(text: str, texts: tuple[str, ...]) -> str:
    """Condition: a UTF-8 expression is one of these texts, byte for byte; `texts` is not empty."""
    return f"{as_bytes(text)} IN ({','.join(as_bytes(my_text(one)) for one in texts)})"


def only(expression: str, pattern: str, end: str = "") -> str:
    """The text of an expression where it is like the pattern, without its end; else NULL.

    For casts, which take anything that begins like a value.
    """
    text = f"CONVERT(CONCAT({expression}) USING utf8mb4)"
    # As an operand of a cast to a number the bare function gives an integer (8.0.15, 8.0.33).
    return f"CONCAT(REGEXP_SUBSTR({text},{my_text(f'^({pattern})(?={end}{chr(92)}z)')}))"


def bare_number(text: str) -> str:
    """The text of a number with a point, without zeros at its end."""
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))"


# The server makes NULL of a text that is longer than max_allowed_packet, and nobody reads more than this.
_SHOWN_BYTES = 64 * 1024
_REFUSED = b"\xc0"
_OWN = re.compile(_REFUSED + rb"((?:[0-9A-F]{2})*)")


def refused(value: str) -> str:
    """A COPY text that every target refuses: a byte that is no UTF-8, then the value's own in hex."""
    return f"CONCAT(0x{_REFUSED.hex()},{_digits(value)})"


def own_bytes(text: bytes) -> bytes:
    """The beginning of the value that `refused` was made of; any other text as it is."""
    found = _OWN.fullmatch(text)
    return bytes.fromhex(found[1].decode()) if found else text


def unequalled(value: str) -> str:
    """A canonical text that no target has: a NUL, then the value's bytes in hex."""
    return f"CONCAT(CHAR(0 USING utf8mb4),{_digits(value)})"


def _digits(value: str) -> str:
    return f"HEX(LEFT({as_bytes(value)},{_SHOWN_BYTES}))"
