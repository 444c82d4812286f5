"""BIT(n): a string of n bits, the number that they make, its bytes, or a boolean."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.as_number import INTEGERS, at_scale, ends
from converge.types.base import Family, Value
from converge.types.integer import not_boolean
from converge.types.sql import base_name, sizes
from converge.types.traps import Trap

_NUMBERS = frozenset({*INTEGERS, "numeric"})


class Bit(Family):
    types = frozenset({"bit"})
    targets = frozenset({"bit", "bit varying", "boolean", "bytea"}) | _NUMBERS

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if value.to == "boolean":
            return (not_boolean(value.sql),) if value.column.precision != 1 else ()
        if value.to == "bytea":
            return ()
        most = ends(value.to)[1] if base_name(value.to) in _NUMBERS else 2 ** _width(value) - 1
        own = 2 ** (value.column.precision or 1) - 1
        return (Trap("out_of_range", f"{value.sql}+0>{most}"),) if own > most else ()

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS UNSIGNED)"

    def read(self, value: Value) -> str:
        number = f"({value.sql}+0)"
        if value.to == "bytea":
            digits = (_bits(value) + 7) // 8 * 2
            return f"CONCAT('\\\\x',LPAD(HEX({number}),{digits},'0'))"
        if value.to == "boolean" or base_name(value.to) in _NUMBERS:
            return number
        # Bits that there is no room for are not cut: the target refuses them.
        bits = f"BIN({number})"
        return f"LPAD({bits},GREATEST({_width(value)},LENGTH({bits})),'0')"

    def special(self, value: Value) -> bool:
        return value.to == "bytea"

    def source_text(self, value: Value) -> str:
        if value.to == "bytea":
            return f"MD5(UNHEX({self._hex(value)}))"
        if base_name(value.to) in _NUMBERS:
            return at_scale(self.read(value), 0, value.to)
        return self.read(value)

    def source_value(self, value: Value) -> str:
        return f"LOWER({self._hex(value)})" if value.to == "bytea" else self.source_text(value)

    def _hex(self, value: Value) -> str:
        return f"SUBSTRING({self.read(value)},3)"

    def target_text(self, reference: str, value: Value) -> str:
        return f"{reference}::int" if value.to == "boolean" else super().target_text(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        # information_schema prints b'101'.
        bits = literal.removeprefix("b'").removesuffix("'")
        if value.to == "boolean":
            return {"0": "false", "1": "true"}.get(bits)
        if base_name(value.to) in _NUMBERS:
            return str(int(bits, 2))
        if value.to == "bytea":
            return f"'\\x{int(bits, 2):0{(_bits(value) + 7) // 8 * 2}x}'::bytea"
        return f"B'{bits.rjust(_width(value), '0')}'"


def _bits(value: Value) -> int:
    return value.column.precision or 1


def _width(value: Value) -> int:
    """Bits of the text: a bit(n) has all n, a bit varying as many as the source has declared."""
    declared = sizes(value.to) or ((1,) if value.to == "bit" else (_bits(value),))
    return declared[0] if base_name(value.to) == "bit" else min(declared[0], _bits(value))
