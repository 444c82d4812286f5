"""DECIMAL: exact on both sides, with the same scale."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Family, Value, sizes
from converge.types.traps import Trap


class Decimal(Family):
    types = frozenset({"decimal"})
    targets = frozenset({"numeric"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        wanted = sizes(value.to)
        if not wanted:
            return ()
        precision, scale = (*wanted, 0)[:2]
        whole = (value.column.precision or 10) - (value.column.scale or 0)
        lost = []
        if scale < (value.column.scale or 0):
            lost.append(f"{value.sql}<>TRUNCATE({value.sql},{scale})")
        if precision - scale < whole:
            lost.append(f"ABS({value.sql})>=1{'0' * (precision - scale)}")
        return (Trap("out_of_range", " OR ".join(lost)),) if lost else ()

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS DECIMAL({column.precision},{column.scale}))"

    def read(self, value: Value) -> str:
        return f"({value.sql}+0)" if value.column.zerofill else value.sql

    def source_text(self, value: Value) -> str:
        # A map may choose another scale, in which the target prints its values.
        scale = (*sizes(value.to), 0)[1] if sizes(value.to) else value.column.scale
        text = self.read(value)
        return text if scale == value.column.scale else f"CAST({text} AS DECIMAL(65,{scale}))"

    def default(self, literal: str, value: Value) -> str | None:
        return literal
