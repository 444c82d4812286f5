"""BIT(n): a string of n bits, or a boolean."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Family, Value
from converge.types.integer import not_boolean
from converge.types.traps import Trap


class Bit(Family):
    types = frozenset({"bit"})
    targets = frozenset({"bit", "boolean"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return (not_boolean(value),) if value.to == "boolean" and value.column.precision != 1 else ()

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS UNSIGNED)"

    def read(self, value: Value) -> str:
        if value.to == "boolean":
            return f"({value.sql}+0)"
        return f"LPAD(BIN({value.sql}+0),{value.column.precision},'0')"

    def source_text(self, value: Value) -> str:
        return self.read(value)

    def target_text(self, reference: str, value: Value) -> str:
        return f"{reference}::int" if value.to == "boolean" else reference

    def default(self, literal: str, value: Value) -> str | None:
        # information_schema prints b'101'.
        bits = literal.removeprefix("b'").removesuffix("'")
        if value.to == "boolean":
            return {"0": "false", "1": "true"}.get(bits)
        return f"B'{bits.rjust(value.column.precision or 1, '0')}'"
