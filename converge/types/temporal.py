"""DATE, DATETIME, TIMESTAMP and TIME.

Both sessions run in UTC. MySQL prints all fractional digits that a column declares, PostgreSQL
drops trailing zeros: the source's text is brought to the target's, which is cheap and exact.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial

from converge.model.catalog import Column
from converge.model.quote import my_text, pg_text
from converge.types.base import Family, Form, Value
from converge.types.sql import bare_number, base_name, digits_of, only
from converge.types.traps import Trap

_NOW = re.compile(r"(?:CURRENT_TIMESTAMP|NOW|LOCALTIME|LOCALTIMESTAMP)(?:\((\d?)\))?", re.IGNORECASE)
MOMENTS = frozenset({"timestamp", "timestamp with time zone"})
_MIDNIGHT = " 00:00:00"
_MOST_DIGITS = 6
_HOURS = 24
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "[0-9]{2}:[0-5][0-9]:[0-5][0-9]"
# The cast and the functions that make a TIME give 838:59:59 for all that are longer.
_SPAN = f"(?!-?838:59:59)-?([0-7]?|8(?=[0-2]|3[0-8])){_CLOCK}"

STATEMENT_TIME = "greatest(statement_timestamp(), clock_timestamp() - interval '1 second')"
"""When the statement began, as MySQL's NOW(6). PostgreSQL only knows that of the client's message, and the
message can have several statements: what it tells is at most a second old."""


def current_time(to: str, column: Column, fsp: int) -> str:
    """CURRENT_TIMESTAMP(fsp) as a value of the target type; a cast would round what MySQL cuts off.

    A TIMESTAMP's values are in UTC where the target type has no time zone, a DATETIME's in the session's.
    """
    digits = min(fsp, digits_of(to))
    step = {0: "second", 3: "milliseconds"}.get(digits)
    time = STATEMENT_TIME
    if step:
        time = f"date_trunc('{step}', {time})"
    elif digits < _MOST_DIGITS:
        time = f"date_bin('{10 ** (_MOST_DIGITS - digits)} microseconds', {time}, to_timestamp(0))"
    if base_name(to).endswith("zone"):
        return time
    if not is_local(to, column):
        time = f"({time} AT TIME ZONE 'UTC')"
    return f"{time}::{base_name(to)}"


def is_local(to: str, column: Column) -> bool:
    """Whether CURRENT_TIMESTAMP is the time of day in the session's time zone."""
    return column.type != "timestamp" and not base_name(to).endswith("zone")


class Date(Family):
    types = frozenset({"date"})
    targets = MOMENTS | {"date"}

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({only(expression, f'{_DAY}( 00:00:00([.]0+)?)?')} AS DATE)"

    def form(self, value: Value) -> Form:
        text, midnight = value.sql, ""
        if value.to != "date":
            midnight = _MIDNIGHT + _zone(value)
            text = f"CONCAT({text},{my_text(midnight)})"
        default = partial(_default, midnight if _zone(value) else "")
        return Form(read=text, source_text=text, traps=(_zero_date(value, "DATE"),), default=default)


class Datetime(Family):
    types = frozenset({"datetime", "timestamp"})
    targets = MOMENTS | {"date"}

    def adopted(self, expression: str, column: Column) -> str:
        # By its text: STR_TO_DATE makes a 30th of February, which only the reading of a text refuses.
        text = only(expression, f"{_DAY}( {_CLOCK}{_digits(column)})?")
        return f"CAST({text} AS DATETIME({column.fsp}))"

    def form(self, value: Value) -> Form:
        type_, text, read = f"DATETIME({value.column.fsp})", _trimmed(value), value.sql
        traps = _fraction(value, type_)
        if value.to == "date":
            text = f"TRIM(TRAILING '{_MIDNIGHT}' FROM {text})"
            day = f"CAST(DATE({value.sql}) AS {type_})"
            traps = (Trap("time_of_day", f"TIME({value.sql})<>0", {"cut": day}),)
        elif zone := _zone(value):
            # The offset makes the value the same instant whatever the target session's zone is.
            text, read = (f"CONCAT({one},'{zone}')" for one in (text, read))

        def default(literal: str) -> str | None:
            if now := _NOW.fullmatch(literal):
                return current_time(value.to, value.column, int(now[1] or 0))
            lost = literal[10:].strip(" 0:.") if value.to == "date" else _beyond(literal, value.to)
            return None if lost else _default(_zone(value), literal)

        return Form(read=read, source_text=text, traps=(_zero_date(value, type_), *traps), default=default)


class Time(Family):
    types = frozenset({"time"})
    targets = frozenset({"interval", "time"})

    def adopted(self, expression: str, column: Column) -> str:
        text = only(expression, f"{_SPAN}{_digits(column)}")
        return f"CAST({text} AS TIME({column.fsp}))"

    def form(self, value: Value) -> Form:
        of_day = base_name(value.to) == "time"
        other_day = Trap("outside_day", f"{value.sql}<0 OR {value.sql}>='24:00:00'")

        def default(literal: str) -> str | None:
            outside = literal.startswith("-") or int(literal.partition(":")[0]) >= _HOURS
            return None if (of_day and outside) or _beyond(literal, value.to) else pg_text(literal)

        traps = (*(other_day,) * of_day, *_fraction(value, f"TIME({value.column.fsp})"))
        return Form(read=value.sql, source_text=_trimmed(value), traps=traps, default=default)


def _default(end: str, literal: str) -> str | None:
    """A literal date with what makes it a moment; None where year, month or day is zero."""
    year, *month_and_day = literal[:10].split("-")
    return None if year == "0000" or "00" in month_and_day else pg_text(literal + end)


def _beyond(literal: str, to: str) -> str:
    """The fractional digits of a literal that the target type would round."""
    return literal.partition(".")[2][digits_of(to) :].strip("0")


def _digits(column: Column) -> str:
    """Pattern of the fractional digits that a column has room for."""
    return f"([.][0-9]{{0,{column.fsp}}}0*)?"


def _zero_date(value: Value, type_: str) -> Trap:
    # MONTH and DAYOFMONTH are 0 for all zero dates but one kind: '0000-05-05' has only its year.
    where = f"NOT (MONTH({value.sql}) AND DAYOFMONTH({value.sql}) AND YEAR({value.sql}))"

    def replace(text: str) -> str:
        datetime.fromisoformat(text)
        return f"CAST({my_text(text)} AS {type_})"

    return Trap("zero_date", where, replace=replace)


def _fraction(value: Value, type_: str) -> tuple[Trap, ...]:
    """Fractional digits beyond those of the target type."""
    most, has = digits_of(value.to), value.column.fsp
    if most >= has:
        return ()
    # The text without these digits, and without the point when none is left.
    cut = f"LEFT({value.sql},CHAR_LENGTH({value.sql})-{has - most + (most == 0)})"
    where = f"MICROSECOND({value.sql})%{10 ** (_MOST_DIGITS - most)}<>0"
    return (Trap("fraction", where, {"cut": f"CAST({cut} AS {type_})"}),)


def _zone(value: Value) -> str:
    return "+00" if base_name(value.to) == "timestamp with time zone" else ""


def _trimmed(value: Value) -> str:
    return bare_number(value.sql) if value.column.fsp else value.sql
