"""Integers and YEAR. Display widths say nothing about the value (MySQL 8.0 manual, "Integer Types")."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.base import Family, Value, base_name, sizes
from converge.types.traps import Trap

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TARGET_BITS = {"smallint": 16, "integer": 32, "bigint": 64}


class Integer(Family):
    types = frozenset({*_BITS, "year"})
    targets = frozenset({"smallint", "integer", "bigint", "numeric", "boolean"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if base_name(value.to) == "boolean":
            return (not_boolean(value),)
        found = []
        low, high = _source_range(value.column)
        least, most = _target_range(value.to)
        if low < least or high > most:
            # Only the ends that the type has: MySQL compares an unsigned column with its own kind.
            sides = [f"{value.sql}<{least}"] * (low < least) + [f"{value.sql}>{most}"] * (high > most)
            found.append(Trap("out_of_range", " OR ".join(sides)))
        if value.column.type == "year":
            found.append(Trap("zero_year", f"{value.sql}=0"))
        return tuple(found)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS {'UNSIGNED' if column.unsigned else 'SIGNED'})"

    def read(self, value: Value) -> str:
        # ZEROFILL pads the text, and a YEAR of zero prints as 0000: arithmetic gives the number.
        odd = value.column.zerofill or value.column.type == "year"
        return f"({value.sql}+0)" if odd else value.sql

    def source_text(self, value: Value) -> str:
        return self.read(value)

    def target_text(self, reference: str, value: Value) -> str:
        return f"{reference}::int" if value.to == "boolean" else reference

    def default(self, literal: str, value: Value) -> str | None:
        if value.to == "boolean":
            return {"0": "false", "1": "true"}.get(literal)
        return str(int(literal)) if literal.lstrip("-").isdigit() else pg_text(literal)


def not_boolean(value: Value) -> Trap:
    """Numbers that a boolean cannot hold."""
    return Trap("not_boolean", f"{value.sql} NOT IN (0,1)", {"true": f"({value.sql}<>0)"})


def _source_range(column: Column) -> tuple[int, int]:
    if column.type == "year":
        return 0, 2155
    bits = _BITS[column.type]
    return (0, 2**bits - 1) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _target_range(to: str) -> tuple[int, int]:
    bits = _TARGET_BITS.get(to)
    if bits is not None:
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    precision, scale = (*sizes(to), 0)[:2] if sizes(to) else (1000, 0)
    most = 10 ** (precision - scale) - 1
    return -most, most
