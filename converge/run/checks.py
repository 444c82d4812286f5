"""One check of a map: both sides are asked, and what they give is judged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pymysql
from pymysql.connections import Connection

from converge.model.check import Check, CheckResult, State
from converge.model.words import counted
from converge.model.work import CheckTask
from converge.mysql.query import ask as ask_source
from converge.postgres.query import ask as ask_target
from converge.run.retry import is_gone

Row = tuple[str | None, ...]
MOST_ROWS = 1000
"""Rows that a check may compare; more should be counted by its queries."""
_SHOWN_ROWS = 5


class _Failed(Exception):
    """Why a side has not answered."""


def carry_out(source: Connection[Any], target: psycopg.Connection[Any], task: CheckTask) -> CheckResult:
    """What came of the check. Raises the drivers' errors when a connection is lost."""
    check, started = task.check, time.monotonic()
    limits = {"seconds": check.seconds, "most": MOST_ROWS + 1}
    here = there = None
    state: State
    message = ""
    try:
        if check.source:
            here = _answer("source", lambda: ask_source(source, check.source, **limits))
        there = _answer("target", lambda: ask_target(target, check.target, task.schema, **limits))
        state = "ok" if _holds(check, here, there) else "differs"
    except _Failed as failed:
        message, state = str(failed), "error"
    return CheckResult(
        name=check.name,
        state=state,
        wants=check.wants,
        source=None if here is None else shown(here),
        target=None if there is None else shown(there),
        message=message,
        why=check.why,
        place=check.place,
        seconds=round(time.monotonic() - started, 3),
    )


def _answer(side: str, ask: Callable[[], list[tuple[Any, ...]]]) -> list[Row]:
    try:
        rows = [tuple(map(_text, row)) for row in ask()]
    except (psycopg.Error, pymysql.err.Error) as error:
        if is_gone(error):
            raise
        said = error.args[1] if isinstance(error, pymysql.err.Error) and len(error.args) > 1 else error
        raise _Failed(f"the {side}'s query failed: {str(said).strip().splitlines()[0]}") from error
    if len(rows) > MOST_ROWS:
        raise _Failed(f"the {side}'s query gives more than {MOST_ROWS:,} rows; let it count them")
    return rows


def _holds(check: Check, source: Sequence[Row] | None, target: Sequence[Row]) -> bool:
    if check.equals is None and check.at_least is None:
        return source == target
    values = [_only("target", target), *([] if source is None else [_only("source", source)])]
    if check.at_least is None:
        return all(value == _text(check.equals) for value in values)
    least = Decimal(str(check.at_least))
    try:
        return all(value is not None and Decimal(value) >= least for value in values)
    except ArithmeticError as error:
        raise _Failed(f"{', '.join(map(str, values))} is not a number") from error


def _only(side: str, rows: Sequence[Row]) -> str | None:
    """The one value of a query."""
    if len(rows) != 1 or len(rows[0]) != 1:
        what = counted(len(rows), "row") + (f" of {counted(len(rows[0]), 'column')}" if rows else "")
        raise _Failed(f"the {side}'s query must give one row with one value, and gives {what}")
    return rows[0][0]


def shown(rows: Sequence[Row]) -> str:
    """The rows as people read them: one value as itself, of many rows the first."""
    lines = [", ".join("NULL" if value is None else value for value in row) for row in rows[:_SHOWN_ROWS]]
    more = f"; … {counted(len(rows), 'row')}" if len(rows) > _SHOWN_ROWS else ""
    return ("; ".join(lines) + more)[:1000] if rows else "no row"


def _text(value: Any) -> str | None:
    """A value in words that are the same for both drivers."""
    match value:
        case None:
            return None
        case bool():
            return str(int(value))
        case int() | Decimal() | float():
            return _number(value)
        case datetime() if value.tzinfo is not None:
            return str(value.astimezone(UTC).replace(tzinfo=None))
        case bytes():
            return value.hex()
        case dict() | list():
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value)


def _number(value: Decimal | float) -> str:
    exact = Decimal(str(value))
    if not exact.is_finite():
        return str(value)
    # All digits: arithmetic would round to 28 of them.
    text = format(exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
