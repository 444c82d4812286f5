"""FLOAT and DOUBLE, exact to the bit.

MySQL prints a FLOAT with six digits and a DOUBLE(M,D) with D decimals, so these are read as
``column * 1e0``: a double. Both servers print the shortest text that reads back to the same double,
and they use the same notation for 0, -0 and 1e-4 <= |x| < 1e15. But MySQL gives the text of an
expression, unlike that of a column, 22 characters at most: it writes -0.00014765311789233238 as
-1.4765311789233238e-4, and drops the last digits of 1.2345678901234567e-222. So the comparison puts the
sign apart, and a double is read through JSON, whose text has no such limit. A real needs only nine
digits. Outside that range the canonical text is the sign, the 53-bit integer significand and the binary
exponent, computed alike on both servers. As numeric it is the shortest text's decimal, where that has
at most 35 digits before the point and 30 behind it, as MySQL's own decimals.
"""

from __future__ import annotations

import math
import struct
from functools import partial

from converge.model.catalog import Column
from converge.types.as_number import decimal_traps, scale_of
from converge.types.base import Family, Form, Value
from converge.types.sql import as_bytes, bare_number, base_name, only
from converge.types.traps import Trap

# Digits of a double's significand that a real does not have, and the ends of a real's full precision.
_REAL_STEP = 2**29
_LEAST_REAL, _MOST_REAL = "1.1754943508222875e-38", "3.4028234663852886e38"
_WHOLE_DIGITS, _SCALE = 35, 30
_NUMBER = "-?(?=[.]?[0-9])[0-9]*([.][0-9]*)?([eE][-+]?[0-9]+)?"


class Floating(Family):
    types = frozenset({"float", "double"})
    targets = frozenset({"real", "double precision", "numeric"})

    def adopted(self, expression: str, column: Column) -> str:
        number = f"{expression}*1e0"
        if column.type == "float":
            # Rounded to the 24 bits of a real (Veltkamp's splitting), and made smaller before: the product of
            # a greater number would be beyond a double's range, which ends the query.
            small = f"({number})/{2 * _REAL_STEP}e0"
            large = f"{small}*{_REAL_STEP + 1}e0"
            number = f"({large}-({large}-{small}))*{2 * _REAL_STEP}e0"
        return f"IF({only(expression, _NUMBER)} IS NULL,NULL,{number})"

    def form(self, value: Value) -> Form:
        exact, column = _is_exact(value), value.column
        x = value.sql if exact else f"({value.sql}*1e0)"
        if base_name(value.to) == "numeric":
            return _as_numeric(x, value)
        traps: tuple[Trap, ...] = ()
        if value.to == "real" and (column.type == "double" or value.changed):
            bits, size = _source_bits(x)[0], f"ABS({x})"
            lost = f"{bits}%{_REAL_STEP}<>0 OR {size}<{_LEAST_REAL} OR {size}>{_MOST_REAL}"
            traps = (Trap("inexact", f"{x}<>0 AND ({lost})"),)
        return Form(
            read=x if exact or value.to == "real" else as_bytes(shortest(x)),
            source_text=double_text(x, f"CONCAT({x})" if exact else ""),
            target_text=stored_text,
            traps=traps,
            default=partial(_default, column.type, value.to),
        )


def _default(type_: str, to: str, literal: str) -> str | None:
    """The literal as the column stores it: FLOAT's 0.1 is 0.10000000149011612; None where a real has less."""
    stored = _as_real(literal) if type_ == "float" else float(literal)
    if to == "real":
        return literal if stored == _as_real(literal) else None
    return literal if stored == float(literal) else repr(stored)


def _as_real(literal: str) -> float:
    try:
        (real,) = struct.unpack("f", struct.pack("f", float(literal)))
    except OverflowError:
        return math.inf
    return float(real)


def _as_numeric(x: str, value: Value) -> Form:
    decimal = f"CAST({shortest(x)} AS DECIMAL({_WHOLE_DIGITS + _SCALE},{_SCALE}))"
    # No decimal of the server is this double.
    beyond = f"ABS({x})>=1e{_WHOLE_DIGITS} OR {decimal}*1e0<>{x}"
    text, scale = bare_number(decimal), scale_of(value.to)
    if "inexact" not in value.handled:
        # MySQL's decimal would become its greatest one without a word.
        text = as_bytes(f"IF({beyond},{shortest(x)},{text})")

    def default(literal: str) -> str | None:
        digits = literal.partition("e")[0].partition(".")[2]
        return None if scale is not None and len(digits) > scale else literal

    traps = decimal_traps(decimal, _WHOLE_DIGITS, _SCALE, value.to)
    return Form(
        read=text,
        source_text=text,
        target_text="trim_scale({})".format,
        traps=(Trap("inexact", beyond), *traps),
        default=default,
    )


def double_text(x: str, text: str = "") -> str:
    """MySQL expression of a double's canonical text; `text` is its own text where that is whole."""
    text = text or f"IF({x}=0,CONCAT({x}),CONCAT(IF({x}<0,'-',''),ABS({x})))"
    significand, exponent = _source_bits(x)
    bits = f"CONCAT(IF({x}<0,'-',''),{significand},'p',{exponent})"
    return f"IF({x}=0 OR (ABS({x})>=1e-4 AND ABS({x})<1e15),{text},{bits})"


def stored_text(reference: str) -> str:
    """PostgreSQL expression of the same."""
    x = f"{reference}::float8"
    g = f"least(greatest(floor(ln(abs({x}))/ln(2::float8)),-1022),1023)"
    q = f"(abs({x})/power(2::float8,{g}))"
    low = f"{q}<1 AND {g}>-1022"
    bits = (
        f"CASE WHEN {x}<0 THEN '-' ELSE '' END||"
        f"({q}*CASE WHEN {low} THEN 2 WHEN {q}>=2 THEN 0.5 ELSE 1 END*4503599627370496::float8)::bigint||"
        f"'p'||({g}::int+CASE WHEN {low} THEN -1 WHEN {q}>=2 THEN 1 ELSE 0 END)"
    )
    return (
        f"CASE WHEN {reference} IS NULL THEN NULL WHEN {x}=0 OR (abs({x})>=1e-4 AND abs({x})<1e15) "
        f"THEN ({x})::text WHEN {x}='NaN' OR abs({x})='Infinity' "
        f"THEN ({x})::text ELSE {bits} END"
    )


def _source_bits(x: str) -> tuple[str, str]:
    """MySQL expressions of a double's 53-bit integer significand and of its binary exponent."""
    g = f"LEAST(GREATEST(FLOOR(LOG2(ABS({x}))),-1022),1023)"
    q = f"(ABS({x})/POW(2,{g}))"
    low = f"{q}<1 AND {g}>-1022"
    significand = f"CAST({q}*IF({low},2e0,IF({q}>=2,0.5e0,1e0))*4503599627370496e0 AS UNSIGNED)"
    return significand, f"CAST({g} AS SIGNED)+IF({low},-1,IF({q}>=2,1,0))"


def shortest(x: str) -> str:
    """MySQL expression of the shortest text that reads back to the same double."""
    return f"CAST(CAST({x} AS JSON) AS CHAR)"


def _is_exact(value: Value) -> bool:
    """Whether the server's text of the value is the whole double: only that of a plain column is."""
    column = value.column
    return column.type == "double" and column.scale is None and not column.zerofill and not value.changed
