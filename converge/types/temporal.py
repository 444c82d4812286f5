"""DATE, DATETIME, TIMESTAMP and TIME.

Both sessions run in UTC. MySQL prints all fractional digits that a column declares, PostgreSQL
drops trailing zeros: the source's text is brought to the target's, which is cheap and exact.
"""

from __future__ import annotations

import re

from converge.model.catalog import Column
from converge.model.quote import my_name, pg_text
from converge.types.base import Family

_NOW = re.compile(r"(?:CURRENT_TIMESTAMP|NOW|LOCALTIME|LOCALTIMESTAMP)(?:\((\d?)\))?", re.IGNORECASE)


class Date(Family):
    types = frozenset({"date"})
    targets = frozenset({"date"})

    def default(self, value: str, column: Column, to: str) -> str | None:
        return None if _is_zero(value) else pg_text(value)


class Datetime(Family):
    types = frozenset({"datetime", "timestamp"})
    targets = frozenset({"timestamp", "timestamp with time zone", "timestamp without time zone"})

    def read(self, column: Column, to: str) -> str:
        # The offset makes the value the same instant whatever the target session's zone is.
        name = my_name(column.name)
        return f"CONCAT({name},'+00')" if "with time zone" in to else name

    def source_text(self, column: Column, to: str) -> str:
        text = _trimmed(column)
        return f"CONCAT({text},'+00')" if "with time zone" in to else text

    def default(self, value: str, column: Column, to: str) -> str | None:
        if now := _NOW.fullmatch(value):
            return f"CURRENT_TIMESTAMP({now[1]})" if now[1] else "CURRENT_TIMESTAMP(0)"
        if _is_zero(value):
            return None
        return pg_text(value + "+00" if "with time zone" in to else value)


class Time(Family):
    types = frozenset({"time"})
    targets = frozenset({"interval", "time", "time without time zone"})

    def source_text(self, column: Column, to: str) -> str:
        return _trimmed(column)


def _trimmed(column: Column) -> str:
    name = my_name(column.name)
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {name}))" if column.fsp else name


def _is_zero(value: str) -> bool:
    """Whether year, month or day is zero, which PostgreSQL has no date for."""
    year, *month_and_day = value[:10].split("-")
    return year == "0000" or "00" in month_and_day
