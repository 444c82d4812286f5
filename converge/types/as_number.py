"""Numbers in target types of another size: what does not fit, and what would be rounded."""

from __future__ import annotations

from converge.types.sql import bare_number, base_name, sizes
from converge.types.traps import Trap

INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
"""Bits of the target's integer types."""
FLOATS = {"real": 24, "double precision": 53}
"""Bits of the target's floating-point types up to which they hold every integer."""
_MOST_DIGITS = 1000


def ends(to: str) -> tuple[int, int]:
    """The least and the greatest integer of a target type, between which it holds them all."""
    base = base_name(to)
    if base in FLOATS:
        return -(2 ** FLOATS[base]), 2 ** FLOATS[base]
    if base in INTEGERS:
        return -(2 ** (INTEGERS[base] - 1)), 2 ** (INTEGERS[base] - 1) - 1
    precision, scale = (*sizes(to), 0)[:2] if sizes(to) else (_MOST_DIGITS, 0)
    most = 10 ** (precision - scale) - 1
    return -most, most


def scale_of(to: str) -> int | None:
    """Digits after the point that a target type has; None for a numeric without a size."""
    if base_name(to) in INTEGERS:
        return 0
    return (*sizes(to), 0)[1] if sizes(to) else None


def decimal_traps(number: str, whole: int, scale: int, to: str) -> tuple[Trap, ...]:
    """Of an exact number with at most `whole` digits before the point and `scale` after it."""
    found = []
    wanted = scale_of(to)
    if wanted is not None and wanted < scale:
        kept = f"CAST(TRUNCATE({number},{wanted}) AS DECIMAL(65,{scale}))"
        found.append(Trap("fraction", f"{number}<>{kept}", {"cut": kept}))
    least, most = ends(to)
    if 10**whole - 1 > most:
        over = f"TRUNCATE({number},0)"
        found.append(Trap("out_of_range", f"{over}<{least} OR {over}>{most}"))
    return tuple(found)


def at_scale(text: str, scale: int, to: str) -> str:
    """MySQL expression of an exact number's text with the digits that the target type prints.

    Digits that it has no room for stay: its own text is another one then.
    """
    wanted = scale_of(to)
    if wanted is None or wanted == scale:
        return text
    if wanted > scale:
        return f"CONCAT({text},'{'.' * (scale == 0)}{'0' * (wanted - scale)}')"
    shorter = f"LEFT({text},CHAR_LENGTH({text})-{scale - wanted + (wanted == 0)})"
    return f"IF({bare_number(text)}={bare_number(shorter) if wanted else shorter},{shorter},{text})"
