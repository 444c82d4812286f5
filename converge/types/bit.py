"""BIT(n): a string of n bits, the number that they make, its bytes, or a boolean."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.as_number import INTEGERS, at_scale, ends
from converge.types.base import BYTEA, Family, Form, Value
from converge.types.integer import as_boolean, whole
from converge.types.sql import base_name, sizes
from converge.types.traps import Trap

_NUMBERS = frozenset({*INTEGERS, "numeric"})


class Bit(Family):
    types = frozenset({"bit"})
    targets = frozenset({"bit", "bit varying", "boolean", "bytea"}) | _NUMBERS

    def adopted(self, expression: str, column: Column) -> str:
        return whole(expression, "UNSIGNED")

    def form(self, value: Value) -> Form:
        base, own, number = base_name(value.to), value.column.precision or 1, f"({value.sql}+0)"
        if value.to == "boolean":
            return as_boolean(number, value.sql, sure=value.column.precision == 1, digits=_digits)
        if value.to == "bytea":
            size = (own + 7) // 8 * 2
            text = f"CONCAT('\\\\x',LPAD(HEX({number}),{size},'0'))"
            digits = f"SUBSTRING({text},3)"
            return Form(
                read=text,
                source_text=f"MD5(UNHEX({digits}))",
                source_value=f"LOWER({digits})",
                default=lambda literal: f"'\\x{int(_digits(literal), 2):0{size}x}'::bytea",
                **BYTEA,
            )
        if base in _NUMBERS:
            return Form(
                read=number,
                source_text=at_scale(number, 0, value.to),
                traps=_too_large(value, own, ends(value.to)[1]),
                default=lambda literal: str(int(_digits(literal), 2)),
            )
        # A bit(n) has all n bits, a bit varying as many as the source has declared.
        declared = (*sizes(value.to), 1 if value.to == "bit" else own)[0]
        width = declared if base == "bit" else min(declared, own)
        # Bits that there is no room for are not cut: the target refuses them.
        bits = f"LPAD(BIN({number}),GREATEST({width},LENGTH(BIN({number}))),'0')"
        return Form(
            read=bits,
            source_text=bits,
            traps=_too_large(value, own, 2**width - 1),
            default=lambda literal: f"B'{_digits(literal).rjust(width, '0')}'",
        )


def _too_large(value: Value, own: int, most: int) -> tuple[Trap, ...]:
    return (Trap("out_of_range", f"{value.sql}+0>{most}"),) if 2**own - 1 > most else ()


def _digits(literal: str) -> str:
    """information_schema prints b'101'."""
    return literal.removeprefix("b'").removesuffix("'")
