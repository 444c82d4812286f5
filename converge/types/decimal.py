"""DECIMAL: exact on both sides, with the same scale."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family


class Decimal(Family):
    types = frozenset({"decimal"})
    targets = frozenset({"numeric"})

    def read(self, column: Column, to: str) -> str:
        name = my_name(column.name)
        return f"({name}+0)" if column.zerofill else name

    def source_text(self, column: Column, to: str) -> str:
        return self.read(column, to)

    def default(self, value: str, column: Column, to: str) -> str | None:
        return value
