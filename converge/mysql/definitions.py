"""What information_schema does not show as it is: texts of views, defaults, labels, AUTO_INCREMENT values.

- Views: SHOW CREATE VIEW keeps introducers, and characters outside the BMP, which information_schema drops or
  prints as ?. Whether a view groups by all that it shows, the server says when it prepares its SELECT.
- Triggers, routines, events: SHOW CREATE; information_schema takes quotes and backslashes out of texts.
- Defaults: information_schema shows a TIMESTAMP in the time zone of the session that declared it, ? for
  characters outside the BMP, bytes only up to the first zero, and six digits of a FLOAT. 8.0.15 hides
  expressions of TEXT and BLOB columns. DEFAULT(column) and SHOW CREATE TABLE have them (tried on 8.0.15 and
  8.0.33).
- Labels of ENUM and SET with such characters nothing shows but the values; the next AUTO_INCREMENT value only
  an opened table knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.model.catalog import Column, Routine, Table, View
from converge.model.quote import my_name, my_text
from converge.mysql.query import fetch

_HEAD = re.compile(r"CREATE .*?VIEW `(?:[^`]|``)+`(?: \((?:`(?:[^`]|``)+`,?)+\))? AS ", re.DOTALL)
_UNION = re.compile(r" UNION=\(((?:`(?:[^`]|``)+`[.,]?)+)\)")
_PART = re.compile(r"(`(?:[^`]|``)+`\.|)`((?:[^`]|``)+)`(?:,|$)")
_CHECK = re.compile(r" WITH (?:CASCADED|LOCAL) CHECK OPTION$")
_AGGREGATES = re.compile(
    r"\bgroup by\b|\b(?:count|sum|avg|min|max|group_concat|bit_or|bit_and|any_value|std|json_\w+agg)\(",
    re.IGNORECASE,
)


def read_views(
    connection: Connection[Any], rows: Iterable[tuple[Any, ...]], columns: Mapping[str, Sequence[str]]
) -> tuple[View, ...]:
    """The views of the connection's database; `columns` are the names of each view's columns."""
    views = []
    ((mode,),) = fetch(connection, "SELECT @@sql_mode")
    for name, security, check, updatable in rows:
        definition = _definition(connection, name)
        views.append(
            View(
                name,
                definition,
                tuple(columns.get(name, ())),
                security,
                check,
                _grouped(connection, definition, mode) if _AGGREGATES.search(definition) else None,
                bool(updatable),
            )
        )
    return tuple(views)


def merge_view(connection: Connection[Any], table: Table, tables: Iterable[Table]) -> View:
    """A MERGE table as the view that it is: it has no rows of its own, but shows those of its tables."""
    text = str(fetch(connection, f"SHOW CREATE TABLE {my_name(table.name)}")[0][1])
    union = _UNION.search(text)
    parts = _PART.findall(union[1]) if union else []
    columns = {one.name: one.columns for one in tables}
    own = tuple(column.name for column in table.columns)
    selects = []
    for database, name in parts:
        there = columns.get(name.replace("``", "`"), ()) if not database else ()
        names = [column.name for column in there] or own
        listed = ", ".join(
            f"{my_name(theirs)} AS {my_name(ours)}" for theirs, ours in zip(names, own, strict=False)
        )
        selects.append(f"select {listed} from {database}`{name}`")
    return View(table.name, " union all ".join(selects), own, "INVOKER", "NONE", merge=True)


def _definition(connection: Connection[Any], name: str) -> str:
    try:
        text = str(fetch(connection, f"SHOW CREATE VIEW {my_name(name)}")[0][1])
    except (pymysql.err.Error, UnicodeDecodeError):
        # No privilege to see it, tables that are gone, a text that is not UTF-8: nothing to translate.
        return ""
    head = _HEAD.match(text)
    return _CHECK.sub("", text[head.end() :]) if head else ""


def with_sources(connection: Connection[Any], routines: Iterable[Routine]) -> tuple[Routine, ...]:
    """The triggers, procedures, functions and events with their whole CREATE statements."""
    return tuple(replace(one, source=_source(connection, one) or one.source) for one in routines)


def _source(connection: Connection[Any], routine: Routine) -> str:
    try:
        query = f"SHOW CREATE {routine.kind.upper()} {my_name(routine.name)}"
        # Of an event, its time zone comes before the statement.
        return str(fetch(connection, query)[0][3 if routine.kind == "event" else 2] or "")
    except (pymysql.err.Error, UnicodeDecodeError):
        # As of a view: no privilege to see it, or a text that is not UTF-8.
        return ""


def _grouped(connection: Connection[Any], definition: str, mode: str) -> bool | None:
    """Whether the server prepares the SELECT under ONLY_FULL_GROUP_BY; nothing is executed."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode='ONLY_FULL_GROUP_BY'")
        try:
            cursor.execute("SET @converge_view = %s", (definition,))
            cursor.execute("PREPARE converge_view FROM @converge_view")
            cursor.execute("DEALLOCATE PREPARE converge_view")
        except pymysql.err.Error:
            return False
        finally:
            cursor.execute("SET @converge_view = NULL")
            cursor.execute("SET SESSION sql_mode=%s", (mode,))
    return True


_BYTES = frozenset({"binary", "varbinary"})
_HIDDEN = re.compile(r"[^\x00-\uffff]")
_LABELS_MS = 5000
_OPENED = 100
"""Tables that are opened by one query."""
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|.", re.DOTALL)


def with_defaults(connection: Connection[Any], table: str, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The table's columns with the defaults and the labels that information_schema does not show."""
    stored = _stored(connection, table, {one.name: _value(one) for one in columns if _is_doubtful(one)})
    text = ""
    if any(column.default is None and column.default_is_expression for column in columns):
        # In UTF-8: sent as bytes, because the server takes 4-byte characters for none.
        fetch(connection, "SET character_set_results=binary")
        text = fetch(connection, f"SHOW CREATE TABLE {my_name(table)}")[0][1].decode(errors="replace")
        fetch(connection, "SET character_set_results=utf8mb4")
    known = []
    for column in columns:
        if column.name in stored:
            column = replace(column, default=stored[column.name])
        elif column.default is None and column.default_is_expression:
            column = replace(column, default=_expression(text, column.name))
        known.append(_with_labels(connection, table, column))
    return tuple(known)


def _is_doubtful(column: Column) -> bool:
    literal = column.default
    if literal is None or column.default_is_expression or literal.upper().startswith("CURRENT_TIMESTAMP"):
        return False
    return (
        column.type in _BYTES | {"timestamp", "float"}
        or "?" in literal
        or (column.type in ("enum", "set") and column.charset in (None, "binary"))
    )


def _value(column: Column) -> str:
    """MySQL expression of the default as text: of bytes ``0x…``, of a TIMESTAMP in our session's UTC."""
    default = f"DEFAULT({my_name(column.name)})"
    if column.type in _BYTES:
        return f"CONCAT('0x',HEX({default}))"
    if column.type == "float":
        return f"CONCAT({default}*1e0)"
    return f"CONVERT({default} USING utf8mb4)"


def _stored(connection: Connection[Any], table: str, values: dict[str, str]) -> dict[str, str]:
    """The values of some columns' defaults."""
    if not values:
        return {}
    wanted, from_ = ",".join(values.values()), my_name(table)
    # Without a row there is still the one that an aggregate gives, and DEFAULT reads no row.
    rows = fetch(connection, f"SELECT {wanted} FROM {from_} LIMIT 1") or fetch(
        connection, f"SELECT {wanted},COUNT(*) FROM {from_}"
    )
    found = zip(values, rows[0], strict=False)
    return {name: text for name, text in found if text is not None}


def _with_labels(connection: Connection[Any], table: str, column: Column) -> Column:
    """The column with those labels that its values and its default have."""
    if not any("?" in label for label in column.labels):
        return column
    name = my_name(column.name)
    hint = f"/*+ MAX_EXECUTION_TIME({_LABELS_MS}) */"
    texts = [] if column.default is None or column.default_is_expression else [column.default]
    # A label that is not seen in time keeps its ?, and the plan says so.
    with suppress(pymysql.err.OperationalError):
        query = f"SELECT {hint} DISTINCT CONVERT({name} USING utf8mb4) FROM {my_name(table)}"
        texts += [text for (text,) in fetch(connection, query) if text]
    members = [part for text in texts for part in (text.split(",") if column.type == "set" else [text])]
    shown = {_HIDDEN.sub("?", member): member for member in members}
    return replace(column, labels=tuple(shown.get(label, label) for label in column.labels))


def _expression(create_table: str, column: str) -> str | None:
    """The text between the brackets of ``DEFAULT (…)`` in the column's line."""
    line = re.search(rf"^  {re.escape(my_name(column))} [^'(]*? DEFAULT \(", create_table, re.MULTILINE)
    if line is None:
        return None
    depth, end = 1, line.end()
    while depth:
        token = _TOKEN.match(create_table, end)
        if token is None:
            return None
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        end = token.end()
    return create_table[line.end() : end - 1]


def next_values(connection: Connection[Any], tables: Sequence[str]) -> dict[str, int]:
    """The number that the next row of each table gets; those that have given none yet are not in it.

    Only an opened table knows its counter: after a restart, or when the server has closed the table,
    information_schema shows NULL or the last number.
    """
    for start in range(0, len(tables), _OPENED):
        batch = tables[start : start + _OPENED]
        fetch(connection, " UNION ALL ".join(f"(SELECT 1 FROM {my_name(table)} LIMIT 0)" for table in batch))
    counters = (
        "SELECT TABLE_NAME, `AUTO_INCREMENT` FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = DATABASE() AND `AUTO_INCREMENT` IS NOT NULL"
    )
    return dict(fetch(connection, counters))


def counter_values(connection: Connection[Any], counters: Mapping[str, str]) -> dict[str, int]:
    """What the rows of tables that are counters give, by expressions; empty tables are not in it."""
    found = {}
    for table, expression in counters.items():
        ((number,),) = fetch(connection, f"SELECT max({expression}) FROM {my_name(table)}")
        if number is not None:
            found[table] = int(number)
    return found


_UTC = frozenset({"UTC", "Etc/UTC", "+00:00"})
_ZONED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`((?:[^`]|``)+)`|\w*\(|.", re.DOTALL)


def server_zone(connection: Connection[Any]) -> str:
    """The time zone in which sessions begin; empty for UTC."""
    ((zone, system),) = fetch(connection, "SELECT @@GLOBAL.time_zone, @@system_time_zone")
    return "" if zone in _UTC or (zone == "SYSTEM" and system in _UTC) else str(zone)


def utc_offsets(connection: Connection[Any], zone: str) -> tuple[int, ...]:
    """Minutes by which the zone's clock is ahead of UTC in January and in July of this year."""
    days = [f"CONCAT(YEAR(UTC_DATE()), '-{month}-01')" for month in ("01", "07")]
    shown = [f"TIMESTAMPDIFF(MINUTE, {day}, CONVERT_TZ({day}, '+00:00', %s))" for day in days]
    return tuple(fetch(connection, f"SELECT {', '.join(shown)}", [zone or "+00:00"] * len(days))[0])


def with_zone(columns: Sequence[Column], zone: str) -> tuple[Column, ...]:
    """The columns, with an expression for those whose values depend on the session's zone."""
    if not zone:
        return tuple(columns)
    # An expression names them in the case in which they were typed.
    by_name = {column.name.lower(): column for column in columns}
    return tuple(replace(column, zoned=_zoned(column, by_name, zone)) for column in columns)


def _zoned(column: Column, columns: Mapping[str, Column], zone: str) -> str:
    """The column's expression in the server's zone; empty where none is needed."""
    if not column.generated or column.generated_stored:
        return ""
    alone = _ZONED.fullmatch(column.generated)
    copied = alone and columns.get(_name(alone[1]))
    if copied and column.type == copied.type == "timestamp":
        return _zoned(copied, columns, zone)
    # The calls that are open, each with its arguments so far; the first one stands for the expression.
    calls = [["", ""]]
    for token in _ZONED.finditer(column.generated):
        if token[0].endswith("("):
            calls.append([token[0], ""])
        elif token[0] == "," and len(calls) > 1:
            calls[-1].append("")
        elif token[0] == ")":
            name, *arguments = calls.pop()
            calls[-1][-1] += _local_call(name, arguments, zone)
        else:
            other = columns.get(_name(token[1]))
            calls[-1][-1] += _local_value(other, columns, zone) if other else token[0]
    text = calls[0][1]
    if column.type == "timestamp":
        return _converted(f"({text})", zone, "+00:00")
    return "" if text == column.generated else text


def _name(quoted: str | None) -> str:
    return (quoted or "").replace("``", "`").lower()


def _local_value(column: Column, columns: Mapping[str, Column], zone: str) -> str:
    """What a session in the server's zone reads of a column."""
    inner = _zoned(column, columns, zone)
    value = f"({inner})" if inner else my_name(column.name)
    return _converted(value, "+00:00", zone) if column.type == "timestamp" else value


def _local_call(name: str, arguments: Sequence[str], zone: str) -> str:
    """A call as a session in the server's zone computes it."""
    if name.lower() != "from_unixtime(":
        return f"{name}{','.join(arguments)})"
    time = f"from_unixtime({arguments[0]})"
    # CONVERT_TZ takes the first second of 1970 for none (8.0.15, 8.0.33).
    first = f"{_moved(f'({time} + INTERVAL 1 SECOND)', '+00:00', zone)} - INTERVAL 1 SECOND"
    local = f"IF({time}<'1970-01-01 00:00:01',{first},{_moved(time, '+00:00', zone)})"
    return f"DATE_FORMAT({local},{arguments[1]})" if arguments[1:] else local


def _converted(time: str, zone: str, other: str) -> str:
    """A time of one zone in another: a zero one is that in every zone, and CONVERT_TZ makes NULL of it."""
    return f"IF({time}=0,{time},{_moved(time, zone, other)})"


def _moved(time: str, zone: str, other: str) -> str:
    return f"CONVERT_TZ({time},{my_text(zone)},{my_text(other)})"
