"""+ and - with INTERVAL, EXTRACT, TIMESTAMPDIFF, UNIX_TIMESTAMP and DATE_FORMAT."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import functions
from converge.translate.arithmetic import calculated
from converge.translate.context import Untranslatable, refuse_if, unlisted
from converge.translate.parse import called
from converge.translate.term import INTEGERS, TEMPORAL, TIMES, Term, refuse_volatile
from converge.translate.translator import Translator, function, node

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


@node(exp.Add, exp.Sub)
def _sum(t: Translator, node: exp.Expr) -> Term:
    """a + b, where one can be an INTERVAL."""
    sign = "+" if isinstance(node, exp.Add) else "-"
    if isinstance(node.expression, exp.Interval):
        return _shifted(t, node.this, node.expression, sign)
    if isinstance(node.this, exp.Interval) and sign == "+":
        return _shifted(t, node.expression, node.this, sign)
    return calculated(t, t.value(node.this), t.value(node.expression), sign)


def _shifted(t: Translator, date: exp.Expr, interval: exp.Interval, sign: str) -> Term:
    """date + INTERVAL n unit, or minus; NULL where the calendar ends, or the number is beyond it.

    day + INTERVAL 1 MONTH becomes (day + INTERVAL '1 months')::date, where that is before the year 10000;
    at + INTERVAL i HOUR becomes at + i * INTERVAL '1 hours', where that is in the years 1 to 9999.
    """
    unit = interval.unit.name.upper() if interval.unit is not None else ""
    value = t.value(date)
    start = value.temporal()
    if unit not in _MOST:
        raise unlisted(f"INTERVAL {unit}")
    amount = _amount(t, interval.this)
    size, word = (3, "months") if unit == "QUARTER" else (1, f"{unit.lower()}s")
    if amount.literal is not None:
        refuse_if(amount.bound > _MOST[unit], f"INTERVAL {amount.literal} {unit} is beyond the calendar")
        step = f"INTERVAL '{int(amount.literal) * size} {word}'"
    else:
        step = f"{amount.sql} * INTERVAL '{size} {word}'"
    whole_days = start.kind == "date" and unit in _DAYS
    first = start.sql if whole_days else start.moment(t.context)
    sql = f"({first} {sign} {step}){'::date' if whole_days else ''}"
    result = Term(sql, "date" if whole_days else "datetime", scale=start.scale, uneven=value.kind == "text")
    if amount.literal is not None and called(date) in _NOW:
        return result
    # 9999-12-31 often means "for ever", and 0001-01-01 "never"; past it MySQL gives NULL, or a year 0.
    inside = [f"{sql} < DATE '10000-01-01'", f"{sql} >= DATE '0001-01-01'"]
    if amount.literal is not None:
        forward = (sign == "+") == amount.literal.isdigit()
        inside = inside[:1] if forward else inside[1:]
    sql = f"CASE WHEN {' AND '.join(inside)} THEN {sql} END"
    a_year = -(-_MOST[unit] // 10_000)
    if amount.literal is None and amount.bound > 4700 * a_year:
        # PostgreSQL's own calendar ends 4,713 years before the year 1, long after MySQL's.
        back = f"{a_year} * extract(year FROM {first})"
        limits = (f"-({back})", _MOST[unit]) if sign == "+" else (-_MOST[unit], back)
        sql = f"CASE WHEN {amount.sql} BETWEEN {limits[0]} AND {limits[1]} THEN {sql} END"
    return replace(result, sql=sql)


def _amount(t: Translator, node: exp.Expr) -> Term:
    # sqlglot makes the number of an INTERVAL a string.
    if isinstance(node, exp.Literal):
        refuse_if(not node.name.isdigit(), f"INTERVAL {node.name!r} has parts")
        return Term(node.name, "int", literal=node.name, most=int(node.name) or 1)
    value = t.value(node)
    if value.kind not in INTEGERS or value.wide:
        raise Untranslatable(f"the number of an INTERVAL is {'too large' if value.wide else value.kind}")
    if value.bound >= 2**63 and not isinstance(node, exp.Column):
        raise Untranslatable("the number of an INTERVAL may be out of range, for which MySQL gives NULL")
    return replace(value, sql=value.number())


@node(exp.Extract)
def _extract(t: Translator, node: exp.Expr) -> Term:
    """EXTRACT(unit FROM date) as the function of the unit's name; of a time it has the time's sign."""
    unit = node.name.lower()
    value = t.value(node.expression)
    if value.kind in TIMES and unit in ("hour", "minute", "second"):
        return Term(f"trunc(extract({unit} FROM {value.time()}))::int", "int")
    return t.call(unit, [node.expression])


@function("unix_timestamp", 0, 1)
def _unix_timestamp(t: Translator, value: Term | None = None) -> Term:
    """UNIX_TIMESTAMP([instant]), with the fraction of its seconds."""
    if value is None:
        return functions.call("unix_timestamp", [], t.context)
    if value.kind != "instant":
        raise Untranslatable(f"unix_timestamp of a {value.kind}, which is in the time zone of the session")
    epoch = f"extract(epoch FROM {value.temporal().sql})"
    if not value.scale:
        return Term(f"{epoch}::bigint", "int", most=2**36)
    return Term(f"{epoch}::numeric", "decimal", scale=value.scale, digits=value.scale, most=2**36)


@function("timestampdiff", 3, trees=True)
def _difference(t: Translator, unit: exp.Expr, start: exp.Expr, end: exp.Expr) -> Term:
    """TIMESTAMPDIFF(unit, a, b): whole units from a to b, towards zero."""
    name, first, second = unit.name.upper(), t.value(start), t.value(end)
    refuse_volatile(first, second)
    a, b = first.moment(t.context), second.moment(t.context)
    if name in _SECONDS:
        return Term(f"trunc(extract(epoch FROM ({b} - {a})) / {_SECONDS[name]})::bigint", "int")
    if name not in _MONTHS:
        raise unlisted(f"timestampdiff({name})")
    sql = f"CASE WHEN {b} >= {a} THEN {_months(a, b, '<')} ELSE {_months(a, b, '>')} END"
    return Term(f"(({sql}) / {_MONTHS[name]})", "int")


def _months(a: str, b: str, sign: str) -> str:
    """Months from a to b by the calendar, less the last when its day and time are not reached."""
    count = (
        f"(extract(year FROM {b})::bigint - extract(year FROM {a})::bigint) * 12 "
        f"+ (extract(month FROM {b})::bigint - extract(month FROM {a})::bigint)"
    )
    part = f"({b} - date_trunc('month', {b})) {sign} ({a} - date_trunc('month', {a}))"
    return f"{count} {'-' if sign == '<' else '+'} CASE WHEN {part} THEN 1 ELSE 0 END"


@function("date_format", 2)
def _date_format(t: Translator, value: Term, form: Term) -> Term:
    """DATE_FORMAT with a literal format of parts that are the same.

    '%d.%m.%Y' becomes to_char(at, 'DD"."MM"."YYYY'), a literal part in double quotes; where the result must
    be immutable, lpad(extract(day FROM at)::text, 2, '0') || '.' || ….
    """
    if form.literal is None:
        raise Untranslatable("the format of date_format is not a literal")
    refuse_volatile(value)
    value = value.temporal()
    refuse_if(value.kind not in TEMPORAL, "date_format of something else than a date")
    moment = value.moment(t.context)
    parts = [_format_part(found[1], found[2]) for found in _PART.finditer(form.literal)]
    refuse_if(not parts, "the format of date_format is empty")
    if t.context.immutable or not all(pattern for pattern, _ in parts):
        sql = f"({' || '.join(immutable.format(moment) for _, immutable in parts)})"
    else:
        sql = f"to_char({moment}, {pg_text(''.join(pattern for pattern, _ in parts))})"
    return Term(sql, "text", one_spelling=True)


def _format_part(code: str | None, text: str | None) -> tuple[str, str]:
    if text is not None:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"', pg_text(text).replace("{", "{{").replace("}", "}}")
    if code not in functions.date_formats():
        raise Untranslatable(f"%{code} in date_format is not on the list of what is surely the same")
    return functions.date_formats()[code]
