"""DATE, DATETIME, TIMESTAMP and TIME.

Both sessions run in UTC. MySQL prints all fractional digits that a column declares, PostgreSQL
drops trailing zeros: the source's text is brought to the target's, which is cheap and exact.
"""

from __future__ import annotations

import re
from datetime import datetime

from converge.model.catalog import Column
from converge.model.quote import my_text, pg_text
from converge.types.base import Family, Value, base_name
from converge.types.traps import Trap

_NOW = re.compile(r"(?:CURRENT_TIMESTAMP|NOW|LOCALTIME|LOCALTIMESTAMP)(?:\((\d?)\))?", re.IGNORECASE)


class Date(Family):
    types = frozenset({"date"})
    targets = frozenset({"date"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return (_zero_date(value, "DATE"),)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS DATE)"

    def default(self, literal: str, value: Value) -> str | None:
        return None if _is_zero(literal) else pg_text(literal)


class Datetime(Family):
    types = frozenset({"datetime", "timestamp"})
    targets = frozenset(
        {"timestamp", "timestamp with time zone", "timestamp without time zone", "timestamptz"}
    )

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return (_zero_date(value, f"DATETIME({value.column.fsp})"),)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS DATETIME({column.fsp}))"

    def read(self, value: Value) -> str:
        # The offset makes the value the same instant whatever the target session's zone is.
        return f"CONCAT({value.sql},'+00')" if _zoned(value) else value.sql

    def source_text(self, value: Value) -> str:
        text = _trimmed(value)
        return f"CONCAT({text},'+00')" if _zoned(value) else text

    def default(self, literal: str, value: Value) -> str | None:
        if now := _NOW.fullmatch(literal):
            return f"CURRENT_TIMESTAMP({now[1]})" if now[1] else "CURRENT_TIMESTAMP(0)"
        if _is_zero(literal):
            return None
        return pg_text(literal + "+00" if _zoned(value) else literal)


class Time(Family):
    types = frozenset({"time"})
    targets = frozenset({"interval", "time", "time without time zone"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if base_name(value.to) == "interval":
            return ()
        return (Trap("outside_day", f"{value.sql}<0 OR {value.sql}>='24:00:00'"),)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS TIME({column.fsp}))"

    def source_text(self, value: Value) -> str:
        return _trimmed(value)


def _zero_date(value: Value, type_: str) -> Trap:
    # MONTH and DAYOFMONTH are 0 for all zero dates but one kind: '0000-05-05' has only its year.
    where = f"MONTH({value.sql})=0 OR DAYOFMONTH({value.sql})=0 OR YEAR({value.sql})=0"

    def replace(text: str) -> str:
        datetime.fromisoformat(text)
        return f"CAST({my_text(text)} AS {type_})"

    return Trap("zero_date", where, replace=replace)


def _zoned(value: Value) -> bool:
    return base_name(value.to) in ("timestamp with time zone", "timestamptz")


def _trimmed(value: Value) -> str:
    if not value.column.fsp:
        return value.sql
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {value.sql}))"


def _is_zero(literal: str) -> bool:
    """Whether year, month or day is zero, which PostgreSQL has no date for."""
    year, *month_and_day = literal[:10].split("-")
    return year == "0000" or "00" in month_and_day
