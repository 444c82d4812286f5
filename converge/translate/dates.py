"""INTERVAL arithmetic, EXTRACT, TIMESTAMPDIFF and DATE_FORMAT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import convert
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.functions import date_formats
from converge.translate.parse import called
from converge.translate.values import TEMPORAL, TIMES, Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_DAYS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
_MOST = {
    "DAY": 3652500, "WEEK": 521786, "MONTH": 120000, "QUARTER": 40000, "YEAR": 10000, "HOUR": 87660000,
    "MINUTE": 5259600000, "SECOND": 315576000000,
}  # fmt: skip
"""From one end of MySQL's calendar to the other."""
_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_NOW = frozenset({"now", "curdate", "utc_timestamp", "utc_date", "current_timestamp"})
_PART = re.compile(r"%(.)|([^%]+)", re.DOTALL)


def shifted(t: Translator, date: exp.Expr, interval: exp.Interval, sign: str) -> Value:
    """date + INTERVAL n unit, or minus; NULL where the calendar ends, or the number is beyond it."""
    unit = interval.unit.name.upper() if interval.unit is not None else ""
    value = t.value(date)
    start = convert.temporal(value)
    if unit not in _MOST:
        raise unlisted(f"INTERVAL {unit}")
    amount = _amount(t, interval.this)
    size, word = (3, "months") if unit == "QUARTER" else (1, f"{unit.lower()}s")
    if amount.literal is not None and amount.bound > _MOST[unit]:
        raise Untranslatable(f"INTERVAL {amount.literal} {unit} is beyond the calendar")
    if amount.literal is not None:
        step = f"INTERVAL '{int(amount.literal) * size} {word}'"
    else:
        step = f"{amount.sql} * INTERVAL '{size} {word}'"
    if start.kind == "date" and unit in _DAYS:
        first = start.sql
        sql = f"({first} {sign} {step})::date"
        result = Value(sql, "date", uneven=value.kind == "text")
    else:
        first = convert.moment(start, t.terms)
        sql = f"({first} {sign} {step})"
        result = Value(sql, "datetime", scale=start.scale, uneven=value.kind == "text")
    near = amount.literal is not None and called(date) in _NOW
    if near or (sign == "-" and (amount.literal or "").isdigit()):
        return result
    # 9999-12-31 often means "for ever"; past it MySQL gives NULL.
    inside = f"{sql} < DATE '10000-01-01'"
    if amount.literal is None:
        inside += f" AND {sql} >= DATE '0001-01-01'"
    sql = f"CASE WHEN {inside} THEN {sql} END"
    a_year = -(-_MOST[unit] // 10_000)
    if amount.literal is None and amount.bound > 4700 * a_year:
        # PostgreSQL's own calendar ends 4,713 years before the year 1, long after MySQL's.
        back = f"{a_year} * extract(year FROM {first})"
        limits = (f"-({back})", _MOST[unit]) if sign == "+" else (-_MOST[unit], back)
        sql = f"CASE WHEN {amount.sql} BETWEEN {limits[0]} AND {limits[1]} THEN {sql} END"
    return replace(result, sql=sql)


def _amount(t: Translator, node: exp.Expr) -> Value:
    # sqlglot makes the number of an INTERVAL a string.
    if isinstance(node, exp.Literal):
        if not node.name.isdigit():
            raise Untranslatable(f"INTERVAL {node.name!r} has parts")
        return Value(node.name, "int", literal=node.name, most=int(node.name) or 1)
    value = t.value(node)
    if value.kind not in ("int", "bool") or value.wide:
        raise Untranslatable(f"the number of an INTERVAL is {'too large' if value.wide else value.kind}")
    if value.bound >= 2**63 and not isinstance(node, exp.Column):
        raise Untranslatable("the number of an INTERVAL may be out of range, for which MySQL gives NULL")
    return replace(value, sql=convert.number(value))


def extract(t: Translator, node: exp.Expr) -> Value:
    """EXTRACT(unit FROM date) as the function of the unit's name; of a time it has the time's sign."""
    unit = node.name.lower()
    value = t.value(node.expression)
    if value.kind in TIMES and unit in ("hour", "minute", "second"):
        return Value(f"trunc(extract({unit} FROM {convert.time(value)}))::int", "int")
    return t.call(unit, [node.expression])


def unix_timestamp(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """UNIX_TIMESTAMP([instant]), with the fraction of its seconds."""
    if not args:
        return t.listed("unix_timestamp", args)
    value = t.value(args[0])
    if value.kind != "instant":
        raise Untranslatable(f"unix_timestamp of a {value.kind}, which is in the time zone of the session")
    convert.temporal(value)
    epoch = f"extract(epoch FROM {value.sql})"
    if not value.scale:
        return Value(f"{epoch}::bigint", "int", most=2**36)
    return Value(f"{epoch}::numeric", "decimal", scale=value.scale, digits=value.scale, most=2**36)


def difference(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """TIMESTAMPDIFF(unit, a, b): whole units from a to b, towards zero."""
    unit = args[0].name.upper()
    first, second = (t.value(arg) for arg in args[1:])
    if first.volatile or second.volatile:
        raise Untranslatable("a value that changes would be evaluated more than once")
    a, b = convert.moment(first, t.terms), convert.moment(second, t.terms)
    if unit in _SECONDS:
        return Value(f"trunc(extract(epoch FROM ({b} - {a})) / {_SECONDS[unit]})::bigint", "int")
    if unit not in _MONTHS:
        raise unlisted(f"timestampdiff({unit.lower()})")
    months = _months(a, b, "<"), _months(a, b, ">")
    sql = f"CASE WHEN {b} >= {a} THEN {months[0]} ELSE {months[1]} END"
    return Value(f"(({sql}) / {_MONTHS[unit]})", "int")


def _months(a: str, b: str, sign: str) -> str:
    """Months from a to b by the calendar, less the last when its day and time are not reached."""
    count = (
        f"(extract(year FROM {b})::bigint - extract(year FROM {a})::bigint) * 12 "
        f"+ (extract(month FROM {b})::bigint - extract(month FROM {a})::bigint)"
    )
    part = f"({b} - date_trunc('month', {b})) {sign} ({a} - date_trunc('month', {a}))"
    return f"{count} {'-' if sign == '<' else '+'} CASE WHEN {part} THEN 1 ELSE 0 END"


def date_format(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """DATE_FORMAT with a literal format of parts that are the same."""
    value, form = t.value(args[0]), t.value(args[1])
    if form.literal is None or value.volatile:
        raise Untranslatable("the format of date_format is not a literal")
    value = convert.temporal(value)
    if value.kind not in TEMPORAL:
        raise Untranslatable("date_format of something else than a date")
    moment = convert.moment(value, t.terms)
    parts = [_format_part(found[1], found[2]) for found in _PART.finditer(form.literal)]
    if not parts:
        raise Untranslatable("the format of date_format is empty")
    if t.terms.immutable or not all(part[0] for part in parts):
        sql = " || ".join(part[1].format(moment) for part in parts)
        return Value(f"({sql})", "text", one_spelling=True)
    # A literal part stands in double quotes in a pattern of to_char.
    pattern = pg_text("".join(part[0] for part in parts))
    return Value(f"to_char({moment}, {pattern})", "text", one_spelling=True)


def _format_part(code: str | None, plain: str | None) -> tuple[str, str]:
    if plain is not None:
        escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"', pg_text(plain).replace("{", "{{").replace("}", "}}")
    if code not in date_formats():
        raise Untranslatable(f"%{code} in date_format is not on the list of what is surely the same")
    return date_formats()[code]


CALLS = {
    "timestampdiff": (difference, range(3, 4)),
    "date_format": (date_format, range(2, 3)),
    "unix_timestamp": (unix_timestamp, range(2)),
}
