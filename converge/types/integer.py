"""Integers and YEAR. Display widths say nothing about the value (MySQL 8.0 manual, "Integer Types")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.as_number import FLOATS, INTEGERS, at_scale, ends
from converge.types.base import Family, Form, Value
from converge.types.forms import ANY_TEXT, as_digits
from converge.types.sql import base_name, digits_of, only
from converge.types.traps import Trap

_MICROSECOND_DIGITS = 6
_DAY = 24 * 60 * 60 * 10**_MICROSECOND_DIGITS
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


class Integer(Family):
    types = frozenset({*_BITS, "year"})
    targets = frozenset({*INTEGERS, *FLOATS, "numeric", "boolean", "interval"}) | ANY_TEXT

    def accepts(self, column: Column) -> frozenset[str]:
        return self.targets if column.type == "bigint" else self.targets - {"interval"}

    def adopted(self, expression: str, column: Column) -> str:
        return whole(expression, "UNSIGNED" if column.unsigned else "SIGNED")

    def form(self, value: Value) -> Form:
        base, column = base_name(value.to), value.column
        if base == "interval":
            return _as_interval(value)
        # ZEROFILL pads the text, and a YEAR of zero prints as 0000: arithmetic gives the number.
        number = f"({value.sql}+0)" if column.zerofill or column.type == "year" else value.sql
        if base == "boolean":
            return as_boolean(number, value.sql)
        form = Form(read=number, source_text=at_scale(number, 0, value.to), default=_default)
        if base in ANY_TEXT:
            return as_digits(form, value)
        least, most = ends(value.to)
        form = replace(
            form,
            traps=_outside(value, "inexact" if base in FLOATS else "out_of_range"),
            default=lambda literal: str(int(literal)) if least <= int(literal) <= most else None,
        )
        return replace(form, target_text=partial(_integral, value.to)) if base in FLOATS else form


def whole(expression: str, kind: str) -> str:
    """MySQL expression of an integer, SIGNED or UNSIGNED; NULL where an expression gives none."""
    digits = only(expression, "-?(0|[1-9][0-9]*)", "([.]0*)?")
    number = f"CAST({digits} AS {kind})"
    # The cast gives the greatest number for one that is greater.
    return f"IF({digits}=CAST({number} AS CHAR),{number},NULL)"


def _as_interval(value: Value) -> Form:
    """So many microseconds: how Django keeps a DurationField in MySQL.

    In days and a time of day, because PostgreSQL 14 reads no number of more than 32 bits in an interval.
    """
    number, step = f"({value.sql}+0)", 10 ** (_MICROSECOND_DIGITS - digits_of(value.to))
    days, time = f"{number} DIV {_DAY}", f"SEC_TO_TIME({number}%{_DAY}*0.000001)"
    cut = Trap("fraction", f"{number}%{step}<>0", {"cut": f"({number}-{number}%{step})"})
    return Form(
        read=f"CONCAT({days},' days ',{time})",
        source_text=number,
        target_text="round(extract(epoch from {})*1000000)".format,
        traps=(cut,) if step > 1 else (),
        default=lambda literal: None,
    )


def as_boolean(number: str, sql: str, *, sure: bool = False, digits: Callable[[str], str] = str) -> Form:
    """The form of a number in boolean; `sure`: it is 0 or 1, `digits`: those of a literal."""
    other = Trap("not_boolean", f"{sql} NOT IN (0,1)", {"true": f"({sql}<>0)"})
    return Form(
        read=number,
        source_text=number,
        target_text="{}::int".format,
        traps=() if sure else (other,),
        default=lambda literal: {"0": "false", "1": "true"}.get(digits(literal)),
    )


def _outside(value: Value, trap: str) -> tuple[Trap, ...]:
    """Numbers beyond the ends of the target type, and a YEAR of zero."""
    (low, high), (least, most) = _source_range(value.column), ends(value.to)
    # Only the ends that the type has: MySQL compares an unsigned column with its own kind.
    sides = [f"{value.sql}<{least}"] * (low < least) + [f"{value.sql}>{most}"] * (high > most)
    zero = (Trap("zero_year", f"{value.sql}=0"),) if value.column.type == "year" else ()
    return (Trap(trap, " OR ".join(sides)), *zero) if sides else zero


def _default(literal: str) -> str:
    return str(int(literal)) if literal.lstrip("-").isdigit() else pg_text(literal)


def _integral(to: str, reference: str) -> str:
    """PostgreSQL expression of a float that is an integer as its digits, which its own text may round."""
    least, most = ends(to)
    whole = f"{reference} BETWEEN {least} AND {most} AND {reference}=trunc({reference})"
    return f"CASE WHEN {whole} THEN {reference}::bigint::text ELSE {reference}::text END"


def _source_range(column: Column) -> tuple[int, int]:
    if column.type == "year":
        return 0, 2155
    bits = _BITS[column.type]
    return (0, 2**bits - 1) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
