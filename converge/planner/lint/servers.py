"""What differs between the two servers as a whole: order of rows, types of documents, connections."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from sqlglot import exp

from converge.codes import Code
from converge.mapping.rules import setting
from converge.model.catalog import Column, Table
from converge.model.quote import my_name, pg_name, pg_text
from converge.planner.decision import column_entry
from converge.planner.difference.statements import WHOLE
from converge.planner.draft import Draft
from converge.planner.lint.retype import retype
from converge.planner.using import round_line
from converge.translate import Untranslatable, parse_query
from converge.types import TEXTS, Value, base_name, form
from converge.types.as_number import FLOATS
from converge.types.floating import Floating

_NUMBERS = frozenset({*WHOLE, "numeric", "real", "double precision"})

_CALCULATED = "# Then views, CHECKs and generated columns that calculate with it are not translated."


def note_servers(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding a subject."""
    equality = "json has no equality, so no DISTINCT, GROUP BY, UNION or GIN index, as jsonb has"
    _note_types(draft, tables, Code.F005, {"json"}, equality, "jsonb")
    padded = "char(n) is padded with spaces, which MySQL removes when it reads"
    _note_types(draft, tables, Code.F007, {"character", "char", "bpchar"}, padded, "text")
    _note_limits(draft, tables)
    _note_digits(draft, tables)
    _note_order(draft, tables)
    _note_division(draft)
    _note_connections(draft)
    _note_time_zone(draft)


def _note_types(
    draft: Draft, tables: Sequence[Table], code: Code, types: Container[str], what: str, better: str
) -> None:
    """One finding for the target's columns of these types."""
    found = [
        (table, column.source)
        for table in tables
        for column in draft.tables[table.name].columns
        if base_name(column.target_type) in types
    ]
    if found:
        names = ", ".join(f"{table.name}.{column}" for table, column in found)
        sql = "\n".join(
            retype(draft, table, column, better)
            for table, column in found
            if draft.evidence.never(table.name, _refused(table.column(column), better))
        )
        draft.find(code, draft.schema, f"{what}: {names}", sql)


def _note_limits(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding for columns that take what MySQL refuses, with a CHECK for each; one for DOUBLE(M,D).

    A DECIMAL UNSIGNED has a CHECK, a generated column looks at its length itself, and a target table may have
    CHECKs of its own.
    """
    negative, longer, rounded = dict[str, str](), dict[str, str](), dict[str, str]()
    for table in tables if draft.loading is None else ():
        given = {name for key in table.foreign_keys for name in key.columns}
        check = f"ALTER TABLE {draft.qualified(table.name)} ADD CHECK"
        for plan in draft.tables[table.name].columns:
            column, base, name = table.column(plan.source), base_name(plan.target_type), pg_name(plan.target)
            unsigned = column.unsigned and column.type != "decimal" and base in _NUMBERS
            if unsigned and not column.auto_increment and column.name not in given:
                negative[f"{table.name}.{column.name}"] = f"{check} ({name} >= 0);"
            elif column.type in ("binary", "varbinary") and base == "bytea" and not plan.generated:
                check_length = f"{check} (octet_length({name}) <= {column.length});"
                longer[f"{table.name}.{column.name}"] = check_length
            digits = column.type in Floating.types and column.scale is not None
            if digits and base in FLOATS and not plan.generated:
                # What is stored has more digits than MySQL shows: 2.4699999999999998 is 2.47 there.
                lines = [f'to = "numeric({column.precision},{column.scale})"', round_line(column.scale or 0)]
                # It is calculated with as a double there, and not translated where it is not one here.
                lines += [_CALCULATED] * any(
                    my_name(column.name) in text for text in _expressions(draft, table)
                )
                rounded[f"{table.name}.{column.name}"] = column_entry(table, column, *lines)
    words = [f"negative numbers in {', '.join(negative)}"] * bool(negative)
    words += [f"more bytes than declared in {', '.join(longer)}"] * bool(longer)
    if words:
        message = f"the target takes what MySQL refuses: {'; '.join(words)}"
        draft.find(Code.F013, draft.schema, message, "\n".join((negative | longer).values()))
    if rounded:
        message = f"the target does not round to the digits of {', '.join(rounded)}"
        draft.find(Code.F013, draft.schema, message, "\n".join(rounded.values()))


def _note_digits(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding for FLOAT columns whose type shows more than a float's digits.

    A value is the same, 19.989999771118164, which MySQL and `real` show as 19.99.
    """
    names, entries, statements = list[str](), list[str](), list[str]()
    for table in tables:
        for plan in draft.tables[table.name].columns:
            column = table.column(plan.source)
            if column.type != "float" or plan.target_type not in ("double precision", "numeric"):
                continue
            if plan.generated or setting(draft.decisions.rules(table, column), "using")[0]:
                continue
            names.append(f"{table.name}.{column.name}")
            if column.scale is not None:
                entries.append(column_entry(table, column, round_line(column.scale)))
            elif draft.loading is None:
                entries.append(column_entry(table, column, 'to = "real"'))
            else:
                statement = retype(draft, table, column.name, "real")
                statements.append(f"# a migration of the application instead: {statement}")
    if names:
        shown = "the target shows digits of FLOAT that MySQL does not, 1.1 as 1.100000023841858"
        message = f"{shown}: {', '.join(names)}"
        draft.find(Code.F013, draft.schema, message, "\n".join([*entries, *statements]))


def _expressions(draft: Draft, table: Table) -> Iterator[str]:
    """What may calculate with the table's columns."""
    yield from (view.definition for view in draft.catalog.views)
    yield from (check.expression for check in table.checks)
    yield from (column.generated or "" for column in table.columns)


def conditions(draft: Draft, table: Table) -> Iterator[str]:
    """Rows that the scan should count: documents of json that jsonb refuses."""
    for column in table.columns:
        if any(one.to == "json" for one in draft.decisions.candidates(table, column)):
            yield from _refused(column, "jsonb")


def _refused(column: Column, to: str) -> list[str]:
    """Conditions: the target's type refuses the source's value."""
    return [trap.where for trap in form(Value(column, to)).traps] if to == "jsonb" else []


def _note_order(draft: Draft, tables: Sequence[Table]) -> None:
    """Order is the database's collation and, by default, NULLs last (PostgreSQL manual, "Sorting Rows")."""
    texts = {
        column.collation
        for table in tables
        for column in table.columns
        if column.collation and draft.has(table.name, column.name)
        and base_name(draft.column(table.name, column.name).target_type) in TEXTS
    }  # fmt: skip
    if texts and draft.inputs.facts:
        message = (
            f"ORDER BY sorts texts by {draft.inputs.facts.collation} instead of {', '.join(sorted(texts))}, "
            "and NULLs last instead of first"
        )
        draft.find(Code.F006, "target", message, 'ORDER BY name COLLATE "und-x-icu" NULLS FIRST')


def _note_division(draft: Draft) -> None:
    """Views to be written by hand: 1 / 2 is 0.5 in MySQL and 0 in PostgreSQL."""
    lost = {one.name for one in draft.outcomes if one.kind == "view" and one.state == "not migrated"}
    found = [view.name for view in draft.catalog.views if view.name in lost and _divides(view.definition)]
    if found:
        message = f"1 / 2 is 0 between integers in PostgreSQL, and these views divide: {', '.join(found)}"
        draft.find(Code.F008, draft.schema, message, "a::numeric / b")


def _divides(sql: str) -> bool:
    try:
        return parse_query(sql).find(exp.Div) is not None
    except Untranslatable:
        return "/" in sql


def _note_connections(draft: Draft) -> None:
    used, facts = draft.inputs.catalog.used_connections, draft.inputs.facts
    if facts and used > facts.max_connections:
        message = (
            f"the source has served {used:,} connections at a time since it started, and the target takes "
            f"{facts.max_connections:,}"
        )
        wanted = used + used // 5
        sql = f"ALTER SYSTEM SET max_connections = {wanted}; -- and restart it; or a pool, such as PgBouncer"
        draft.find(Code.F009, "target", message, sql)


def _note_time_zone(draft: Draft) -> None:
    """What gives another time of day in sessions that set no time zone."""
    catalog, facts = draft.inputs.catalog, draft.inputs.facts
    if facts and draft.local_times and catalog.utc_offsets != facts.utc_offsets:
        zone = catalog.time_zone or "UTC"
        message = (
            f"sessions that set no time zone have {_clock(zone, catalog.utc_offsets)} in the source and "
            f"{_clock(facts.time_zone, facts.utc_offsets)} in the target, which changes the time of day of "
            f"{', '.join(dict.fromkeys(draft.local_times))}"
        )
        name = _named(zone, catalog.utc_offsets)
        sql = f"ALTER DATABASE {pg_name(facts.database)} SET timezone = {pg_text(name or '…')};"
        if not name:
            sql = f"-- {sql} by the name of the zone of the source's machine"
        draft.find(Code.P163, "target", message, f"{sql}\n-- or in the application's sessions: SET timezone")


def _clock(zone: str, offsets: Sequence[int]) -> str:
    """``SYSTEM (+01:00, in July +02:00)``."""
    shown = ", in July ".join(map(_hours, dict.fromkeys(offsets)))
    return zone if zone in ("UTC", shown) else f"{zone} ({shown})"


def _named(zone: str, offsets: Sequence[int]) -> str:
    """A zone of MySQL's as PostgreSQL names it; empty where only the source's machine knows its name."""
    if zone != "SYSTEM" and zone[0] not in "+-":
        return zone
    # POSIX counts to the west.
    return f"<{_hours(offsets[0])}>{_hours(-offsets[0])}" if len(set(offsets)) == 1 else ""


def _hours(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
