"""Integers and YEAR. Display widths say nothing about the value (MySQL 8.0 manual, "Integer Types")."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.as_number import FLOATS, INTEGERS, at_scale, ends
from converge.types.base import Family, Value
from converge.types.forms import AsText
from converge.types.sql import base_name, only
from converge.types.traps import Trap

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TEXT = AsText()


class Integer(Family):
    types = frozenset({*_BITS, "year"})
    targets = frozenset({*INTEGERS, *FLOATS, "numeric", "boolean"}) | AsText.targets

    def traps(self, value: Value) -> tuple[Trap, ...]:
        base = base_name(value.to)
        if base == "boolean":
            return (not_boolean(value.sql),)
        if base in AsText.targets:
            return _TEXT.traps(_digits(value), value)
        found = []
        low, high = _source_range(value.column)
        least, most = ends(value.to)
        if low < least or high > most:
            # Only the ends that the type has: MySQL compares an unsigned column with its own kind.
            sides = [f"{value.sql}<{least}"] * (low < least) + [f"{value.sql}>{most}"] * (high > most)
            found.append(Trap("inexact" if base in FLOATS else "out_of_range", " OR ".join(sides)))
        if value.column.type == "year":
            found.append(Trap("zero_year", f"{value.sql}=0"))
        return tuple(found)

    def adopted(self, expression: str, column: Column) -> str:
        digits = only(expression, "-?(0|[1-9][0-9]*)", "([.]0*)?")
        number = f"CAST({digits} AS {'UNSIGNED' if column.unsigned else 'SIGNED'})"
        # The cast gives the greatest number for one that is greater.
        return f"IF({digits}=CAST({number} AS CHAR),{number},NULL)"

    def read(self, value: Value) -> str:
        # ZEROFILL pads the text, and a YEAR of zero prints as 0000: arithmetic gives the number.
        odd = value.column.zerofill or value.column.type == "year"
        return f"({value.sql}+0)" if odd else value.sql

    def delimited(self, value: Value) -> bool:
        return base_name(value.to) in AsText.targets

    def source_text(self, value: Value) -> str:
        if base_name(value.to) in AsText.targets:
            return _digits(value)
        return at_scale(self.read(value), 0, value.to)

    def target_text(self, reference: str, value: Value) -> str:
        base = base_name(value.to)
        if base in AsText.targets:
            return _TEXT.target_text(reference, value)
        if base in FLOATS:
            return _integral(reference, value.to)
        return f"{reference}::int" if base == "boolean" else reference

    def default(self, literal: str, value: Value) -> str | None:
        if value.to == "boolean":
            return {"0": "false", "1": "true"}.get(literal)
        return str(int(literal)) if literal.lstrip("-").isdigit() else pg_text(literal)


def not_boolean(number: str) -> Trap:
    """Numbers that a boolean cannot hold."""
    return Trap("not_boolean", f"{number} NOT IN (0,1)", {"true": f"({number}<>0)"})


def _digits(value: Value) -> str:
    return f"CAST({Integer().read(value)} AS CHAR)"


def _integral(reference: str, to: str) -> str:
    """PostgreSQL expression of a float that is an integer as its digits, which its own text may round."""
    least, most = ends(to)
    whole = f"{reference} BETWEEN {least} AND {most} AND {reference}=trunc({reference})"
    return f"CASE WHEN {whole} THEN {reference}::bigint::text ELSE {reference}::text END"


def _source_range(column: Column) -> tuple[int, int]:
    if column.type == "year":
        return 0, 2155
    bits = _BITS[column.type]
    return (0, 2**bits - 1) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
