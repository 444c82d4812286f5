"""DECIMAL: exact on both sides, with the same scale, or with another where every value fits."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.as_number import INTEGERS, at_scale, decimal_traps, scale_of
from converge.types.base import Family, Value
from converge.types.floating import double_text, shortest, stored_text
from converge.types.forms import AsText
from converge.types.sql import bare_number, base_name, only
from converge.types.traps import Trap

# A double holds every decimal of so many digits, and prints it again (DBL_DIG).
_DOUBLE_DIGITS = 15
_TEXT = AsText()


class Decimal(Family):
    types = frozenset({"decimal"})
    targets = frozenset({*INTEGERS, "numeric", "double precision"}) | AsText.targets

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if base_name(value.to) in AsText.targets:
            return _TEXT.traps(_digits(value), value)
        precision, scale = value.column.precision or 10, value.column.scale or 0
        if value.to == "double precision":
            return (Trap("inexact", _rounded(value)),) if precision > _DOUBLE_DIGITS else ()
        return decimal_traps(value.sql, precision - scale, scale, value.to)

    def adopted(self, expression: str, column: Column) -> str:
        precision, scale = column.precision or 10, column.scale or 0
        whole = f"0*[0-9]{{0,{precision - scale}}}"
        digits = only(expression, f"-?(?=[.]?[0-9]){whole}([.][0-9]{{0,{scale}}}0*)?")
        return f"CAST({digits} AS DECIMAL({precision},{scale}))"

    def read(self, value: Value) -> str:
        text = f"({value.sql}+0)" if value.column.zerofill else value.sql
        # An integer's input takes no point.
        return bare_number(text) if value.to in INTEGERS and value.column.scale else text

    def delimited(self, value: Value) -> bool:
        return base_name(value.to) in AsText.targets

    def source_text(self, value: Value) -> str:
        if value.to == "double precision":
            text = double_text(f"({value.sql}*1e0)")
            inexact = self.traps(value) and "inexact" not in value.handled
            # A value that the copy rounds without a word must not be compared as a rounded one.
            return f"IF({_rounded(value)},CONCAT('exactly ',{value.sql}),{text})" if inexact else text
        if base_name(value.to) in AsText.targets:
            return _digits(value)
        if value.to in INTEGERS:
            return self.read(value)
        return at_scale(self.read(value), value.column.scale or 0, value.to)

    def target_text(self, reference: str, value: Value) -> str:
        if value.to == "double precision":
            return stored_text(reference)
        return _TEXT.target_text(reference, value) if base_name(value.to) in AsText.targets else reference

    def default(self, literal: str, value: Value) -> str | None:
        if base_name(value.to) in AsText.targets:
            return pg_text(literal)
        scale = scale_of(value.to)
        lost = literal.partition(".")[2][scale:] if scale is not None else ""
        return None if lost.strip("0") else literal


def _rounded(value: Value) -> str:
    """MySQL condition: the nearest double prints as another number."""
    again = f"CAST({shortest(f'{value.sql}*1e0')} AS DECIMAL(65,{value.column.scale or 0}))"
    return f"{value.sql}<>{again}"


def _digits(value: Value) -> str:
    return f"CAST({Decimal().read(value)} AS CHAR)"
