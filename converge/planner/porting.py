"""Routines, triggers and events that are left to port: a skeleton in PL/pgSQL each, and an estimate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from converge.codes import Code
from converge.model.catalog import Column, Parameter, Routine, Table
from converge.model.plan import Outcome
from converge.model.port import Port, Work
from converge.model.quote import fit, pg_name, pg_text
from converge.planner.draft import Draft
from converge.planner.target_types import common_type
from converge.resources import toml
from converge.types import family_of

_NOT_TRANSLATED = "its code is not translated"
_NOT_STATEMENTS = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|/\*.*?\*/|--(?=\s)[^\n]*|#[^\n]*""",
    re.DOTALL,
)
"""Texts, quoted names and comments."""
_DIVIDES = {"MINUTE": 60, "HOUR": 24, "DAY": 1, "WEEK": 1, "MONTH": 1}
"""By an event's unit: how many of them cron counts before it begins anew, as an event never does."""
_SURE_DAYS = 28
_OFFSETS = (timedelta(hours=-12), timedelta(hours=14))
"""Least and most by which a zone's clock is ahead of GMT."""


def plan_ports(draft: Draft) -> None:
    """An outcome, a finding and what porting takes, for each routine, trigger and event that has none yet."""
    known = {(one.kind, one.name) for one in draft.outcomes}
    for routine in draft.catalog.routines:
        if (routine.kind, routine.name) not in known:
            why = draft.untranslated.get(routine.name) if routine.kind == "trigger" else None
            why = why or _NOT_TRANSLATED
            draft.outcomes.append(Outcome(routine.kind, routine.name, "not migrated", "", why))
            draft.find(Code.P081, routine.name, why)
            draft.ports.append(_port(draft, routine, why))


def _port(draft: Draft, routine: Routine, why: str) -> Port:
    own = draft.own(draft.functions.take(routine.name))
    skeleton = _skeleton(draft, routine, own)
    refused = None
    if draft.tried and draft.loading is None:
        tables = (routine.table,) if routine.table in draft.tables else ()
        if not routine.table or tables:
            refused = draft.refusal(f"skeleton {routine.kind}", routine.name, skeleton, tables)
    return Port(
        routine.kind, routine.name, routine.signature, routine.definer, routine.characteristics, why,
        *_estimate(routine.source), routine.source, skeleton,
        _schedule(routine, own) if routine.kind == "event" else "", refused or "",
    )  # fmt: skip


# ---- the skeleton ----------------------------------------------------------------------------------------


def _skeleton(draft: Draft, routine: Routine, own: str) -> str:
    """Statements that make it with its whole signature; whoever calls it is told that it is not ported."""
    message = pg_text(f"not ported yet: {routine.kind} {routine.name}")
    body = f"\nBEGIN\n  RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = {message};\nEND\n"
    quote = next(tag for number in count() if (tag := f"$port{number or ''}$") not in body)
    code = f"\nLANGUAGE plpgsql AS {quote}{body}{quote}"
    given = [_parameter(draft, routine, one) for one in routine.parameters]
    if routine.kind == "trigger":
        function = f"CREATE FUNCTION {own}() RETURNS trigger{code}"
        table = draft.targets.get(routine.table or "", routine.table or "")
        fires = f"CREATE TRIGGER {pg_name(fit(routine.name))} {routine.when} ON {draft.own(table)}"
        return f"{function};\n\n{fires}\nFOR EACH ROW EXECUTE FUNCTION {own}()"
    if routine.kind == "function":
        # What it returns comes first (MySQL 8.0 manual, "The INFORMATION_SCHEMA PARAMETERS Table").
        returns, *taken = given or ["text"]
        return f"CREATE FUNCTION {own}({', '.join(taken)}) RETURNS {returns}{code}"
    return f"CREATE PROCEDURE {own}({', '.join(given)}){code}"


def _parameter(draft: Draft, routine: Routine, parameter: Parameter) -> str:
    column = parameter.type
    type_ = _type(draft, Table(f"{routine.kind} {routine.name}", "", ()), column)
    return f"{parameter.mode} {pg_name(fit(column.name))} {type_}" if parameter.mode else type_


def _type(draft: Draft, owner: Table, column: Column) -> str:
    """The type that a column of this type would have whatever its data."""
    return common_type(draft.decisions.safest(owner, column).to) if family_of(column) else "text"


def _schedule(routine: Routine, own: str) -> str:
    """The statement that has pg_cron call an event's procedure, or why there is none."""
    count_, _, unit = routine.every.partition(" ")
    number = int(count_) if count_.isdigit() else 0
    start = datetime.fromisoformat(routine.starts) if routine.starts else datetime(1, 1, 2)
    offset = _offset(routine.zone)
    first = start - (offset or timedelta())
    sure = number and _DIVIDES.get(unit, 0) % number == 0 and unit in _DIVIDES and not routine.ends
    # The day before the first of a month is another one each time, and so is the event's in a short month.
    times = [start, *(start - one for one in (_OFFSETS if offset is None else [offset]))]
    day_varies = max(one.day for one in times) > _SURE_DAYS or len({one.month for one in times}) > 1
    if not sure or (unit == "MONTH" and day_varies):
        return f"-- pg_cron has no schedule that is surely the same as {routine.when}"
    minute, hour = str(first.minute), str(first.hour)
    if unit == "MINUTE":
        minute, hour = f"{first.minute % number}-59/{number}", "*"
    elif unit == "HOUR":
        hour = f"{first.hour % number}-23/{number}"
    day = str(first.day) if unit == "MONTH" else "*"
    weekday = str(first.isoweekday() % 7) if unit == "WEEK" else "*"
    schedule = pg_text(f"{minute} {hour} {day} * {weekday}")
    statement = f"SELECT cron.schedule({pg_text(routine.name)}, {schedule}, {pg_text(f'CALL {own}()')})"
    if offset is None:
        what = "hours and the day" if unit in ("WEEK", "MONTH") else "hours"
        statement += f" -- the {what} are those of {routine.zone}"
    return f"-- the event {routine.idle}\n-- {statement}" if routine.idle else statement


def _offset(zone: str) -> timedelta | None:
    """By how much its clock is ahead of GMT, which pg_cron has; None where that may change in the year."""
    if found := re.fullmatch(r"([+-])(\d+):(\d+)", zone):
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return -ahead if found[1] == "-" else ahead
    return timedelta() if zone in ("UTC", "") else None


# ---- the estimate ----------------------------------------------------------------------------------------


def _estimate(text: str) -> tuple[int, tuple[Work, ...]]:
    """The lines of a CREATE statement, and the rules that count in it."""
    statements = _NOT_STATEMENTS.sub("''", text)
    lines = sum(bool(line.strip()) for line in text.splitlines())
    return lines, tuple(_counted(statements, lines))


def _counted(statements: str, lines: int) -> Iterator[Work]:
    rules = toml("converge.planner", "porting")
    size = next(one for one in rules["size"] if lines <= one["lines"])
    yield Work(size["name"], 1, tuple(size["hours"]), size["words"])
    for one in rules["construct"]:
        places = len(re.findall(one["pattern"], statements, re.IGNORECASE | re.DOTALL))
        if places:
            yield Work(one["name"], places, tuple(one["hours"]), one["words"])
