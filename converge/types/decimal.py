"""DECIMAL: exact on both sides, with the same scale, or with another where every value fits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as Exact

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.as_number import INTEGERS, at_scale, decimal_traps, scale_of
from converge.types.base import Family, Form, Value
from converge.types.floating import double_text, shortest, stored_text
from converge.types.forms import ANY_TEXT, as_digits
from converge.types.sql import bare_number, base_name, only
from converge.types.traps import Trap

# A double holds every decimal of so many digits, and prints it again (DBL_DIG).
_DOUBLE_DIGITS = 15
_EXPONENT = "-?[0-9]+([.][0-9]+)?[eE][-+]?[0-9]+"


class Decimal(Family):
    types = frozenset({"decimal"})
    targets = frozenset({*INTEGERS, "numeric", "double precision"}) | ANY_TEXT

    def adopted(self, expression: str, column: Column) -> str:
        precision, scale = _sizes(column)
        whole = f"0*[0-9]{{0,{precision - scale}}}"
        digits = only(expression, f"-?(?=[.]?[0-9]){whole}([.][0-9]{{0,{scale}}}0*)?")
        number = f"CAST({digits} AS DECIMAL({precision},{scale}))"
        # A double's text has an exponent from 1e15 on and below 1e-4, and then not all of its digits.
        exact = f"CAST({expression} AS DECIMAL({precision},{scale}))"
        # The cast gives 99 for 100, and of twenty digits both are the same double.
        fits = f"ABS({expression})<1e{precision - scale} AND {exact}*1e0={expression}*1e0"
        whole = f"{only(expression, _EXPONENT)} IS NOT NULL AND {fits}"
        return f"IFNULL({number},IF({whole},{exact},NULL))"

    def form(self, value: Value) -> Form:
        precision, scale = _sizes(value.column)
        text = f"({value.sql}+0)" if value.column.zerofill else value.sql
        form = Form(read=text, source_text=at_scale(text, scale, value.to))
        if base_name(value.to) in ANY_TEXT:
            return replace(as_digits(form, value), default=pg_text)
        form = replace(form, default=lambda literal: _default(literal, scale_of(value.to)))
        if value.to == "double precision":
            return _as_double(form, value, precision, scale)
        if value.to in INTEGERS and scale:
            # An integer's input takes no point.
            form = replace(form, read=bare_number(text), source_text=bare_number(text))
        return replace(form, traps=decimal_traps(value.sql, precision - scale, scale, value.to))


def _as_double(form: Form, value: Value, precision: int, scale: int) -> Form:
    text = double_text(f"({value.sql}*1e0)")
    form = replace(form, source_text=text, target_text=stored_text, default=_default_as_double)
    if precision <= _DOUBLE_DIGITS:
        return form
    # The nearest double prints as another number.
    rounded = f"{value.sql}<>CAST({shortest(f'{value.sql}*1e0')} AS DECIMAL(65,{scale}))"
    form = replace(form, traps=(Trap("inexact", rounded),))
    if "inexact" in value.handled:
        return form
    # A value that the copy rounds without a word must not be compared as a rounded one.
    return replace(form, source_text=f"IF({rounded},CONCAT('exactly ',{value.sql}),{text})")


def _sizes(column: Column) -> tuple[int, int]:
    return column.precision or 10, column.scale or 0


def _default_as_double(literal: str) -> str | None:
    return literal if Exact(repr(float(literal))) == Exact(literal) else None


def _default(literal: str, scale: int | None) -> str | None:
    lost = literal.partition(".")[2][scale:] if scale is not None else ""
    return None if lost.strip("0") else literal
