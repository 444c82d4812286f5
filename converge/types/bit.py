"""BIT(n): a string of n bits, or a boolean."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family


class Bit(Family):
    types = frozenset({"bit"})
    targets = frozenset({"bit", "boolean"})

    def read(self, column: Column, to: str) -> str:
        name = my_name(column.name)
        return f"({name}+0)" if to == "boolean" else f"LPAD(BIN({name}+0),{column.precision},'0')"

    def source_text(self, column: Column, to: str) -> str:
        return self.read(column, to)

    def target_text(self, reference: str, column: Column, to: str) -> str:
        return f"{reference}::int" if to == "boolean" else reference

    def default(self, value: str, column: Column, to: str) -> str | None:
        # information_schema prints b'101'.
        bits = value.removeprefix("b'").removesuffix("'")
        if to == "boolean":
            return {"0": "false", "1": "true"}.get(bits)
        return f"B'{bits.rjust(column.precision or 1, '0')}'"
