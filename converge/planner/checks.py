"""CHECK constraints: translated behind an allow-list, tried on the target, held against the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from converge.codes import Code
from converge.model.catalog import Check, Table
from converge.model.quote import pg_name
from converge.model.words import said
from converge.planner.draft import Draft, rows_words
from converge.planner.rows import TargetValue, combinations, planned, possible
from converge.translate import TableColumns, Untranslatable, translate_condition

_TEXT_OR_NAME = re.compile(r"'(?:[^'\\]|\\.|'')*'|`((?:[^`]|``)*)`", re.DOTALL)
_CERTAIN = re.compile(
    r"(?:[\s()<>=!,.\d]|-\(\d+(?:\.\d+)?\)|\b(?:and|or|not|in|is|null|between|like|true|false|xor|char_length|length|"
    r"lower|upper|trim|ifnull|coalesce|if|nullif|year|month|_utf8mb4|_utf8mb3|_utf8|_latin1|_ascii)\b)*",
    re.IGNORECASE,
)
"""The rest of a condition that no value makes an error of: a calculation could leave its type's range."""


def conditions(draft: Draft, table: Table) -> Iterator[str]:
    """What the scan should count: rows that break a CHECK as the maps change them."""
    for check in table.checks if draft.loading is None else ():
        names = list(_columns(table, check))
        columns = ([_replacement(one) for one in possible(draft, table, name)] for name in names)
        for values in combinations(columns):
            if broken := _broken(check, dict(zip(names, values, strict=True))):
                yield broken


def plan_checks(draft: Draft, table: Table) -> None:
    """Adds a table's CHECK constraints; what cannot be one is listed with its text."""
    columns = TableColumns(table, {plan.source: plan for plan in draft.tables[table.name].columns})
    for check in table.checks:
        _check(draft, table, check, columns)


def _check(draft: Draft, table: Table, check: Check, columns: TableColumns) -> None:
    name, its_text = f"{table.name}.{check.name}", f"its text is {check.expression}"
    if not check.enforced:
        draft.left(Code.P060, "check", name, f"it is NOT ENFORCED in the source: {check.expression}")
        return
    context = draft.context(exact=True)
    try:
        condition = translate_condition(check.expression, columns, context)
    except Untranslatable as reason:
        draft.left(Code.P061, "check", name, f"{reason}; {its_text}")
        return
    if broken := _broken_rows(draft, table, check):
        draft.left(Code.V175, "check", name, f"{broken}; {its_text}")
        return
    own = draft.named(table, check.name)
    target = draft.constraints(table).take(own, f"{own}_check", held=True)
    sql = f"ALTER TABLE {draft.qualified(table.name)} ADD CONSTRAINT {pg_name(target)} CHECK ({condition})"
    if refused := draft.refusal("check", name, sql, (table.name,)):
        draft.left(Code.P052, "check", name, f"the target refuses it: {refused}; {its_text}")
        return
    draft.local_times += [f"CHECK {name}"] * context.local_time
    for note in context.notes:
        draft.find(Code.P062, name, note)
    # The loaded rows decide: what MySQL let in by other rules is a finding, not the end of the run.
    draft.do("index", table.name, sql, "a CHECK of the source", optional=True)
    draft.called(table, "check", check.name, target)
    draft.done("check", name, target, "translated, then tried against the loaded rows")


def _broken_rows(draft: Draft, table: Table, check: Check) -> str:
    """The rows that break the CHECK as the maps change them; says of one that nobody could ask about it."""
    values = {name: planned(draft, table, name) for name in _columns(table, check)}
    changed = ", ".join(name for name, one in values.items() if one.changed)
    broken = _broken(check, {name: _replacement(one) for name, one in values.items()})
    count = draft.evidence.count(table.name, broken) if broken else None
    if changed and count is None:
        message = f"is only tried against the loaded rows, because a map changes {changed}"
        draft.find(Code.V176, f"{table.name}.{check.name}", message)
    if not (count and count.rows):
        return ""
    return f"{said(count.rows, f'break it as a map changes {changed}')} ({rows_words(table, count)})"


def _columns(table: Table, check: Check) -> Iterator[str]:
    """The columns that a condition reads."""
    read = {name.replace("``", "`").lower() for name in _TEXT_OR_NAME.findall(check.expression) if name}
    return (column.name for column in table.columns if column.name.lower() in read)


def _broken(check: Check, replacements: Mapping[str, str | None]) -> str | None:
    """MySQL condition: a row breaks the CHECK as the maps change it; None where it cannot be asked."""
    changed = {name.lower(): one for name, one in replacements.items() if one != ""}
    certain = _CERTAIN.fullmatch(_TEXT_OR_NAME.sub("", check.expression))
    if not changed or not certain or None in changed.values():
        return None

    def value(found: re.Match[str]) -> str:
        return changed.get((found[1] or "").replace("``", "`").lower()) or found[0]

    return f"NOT ({_TEXT_OR_NAME.sub(value, check.expression)})"


def _replacement(one: TargetValue) -> str | None:
    """MySQL expression of a changed value, compared as the source's column: its translation does the same.

    Empty for a value that no map changes, None for one of another kind.
    """
    column = one.value.column
    if not one.changed or one.value.made:
        return None if one.changed else ""
    if column.collation is None:
        return f"({one.value.sql})"
    return f"(CONVERT({one.value.sql} USING {column.charset}) COLLATE {column.collation})"
