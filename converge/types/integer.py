"""Integers and YEAR. Display widths say nothing about the value (MySQL 8.0 manual, "Integer Types")."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name, pg_text
from converge.types.base import Family


class Integer(Family):
    types = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
    targets = frozenset({"smallint", "integer", "bigint", "numeric", "boolean"})

    def read(self, column: Column, to: str) -> str:
        # ZEROFILL pads the text, and a YEAR of zero prints as 0000: arithmetic gives the number.
        name = my_name(column.name)
        return f"({name}+0)" if column.zerofill or column.type == "year" else name

    def source_text(self, column: Column, to: str) -> str:
        return self.read(column, to)

    def target_text(self, reference: str, column: Column, to: str) -> str:
        return f"{reference}::int" if to == "boolean" else reference

    def default(self, value: str, column: Column, to: str) -> str | None:
        if to == "boolean":
            return {"0": "false", "1": "true"}.get(value)
        return str(int(value)) if value.lstrip("-").isdigit() else pg_text(value)
