"""Views: their SELECT as the server will run it, and whether it groups by all that it shows.

SHOW CREATE VIEW keeps what information_schema drops: introducers, and characters outside the BMP, which
it prints as ?.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.model.catalog import Table, View
from converge.model.quote import my_name

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
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@sql_mode")
        (mode,) = cast(tuple[str], cursor.fetchone())
    for name, security, check in rows:
        definition = _definition(connection, name)
        views.append(
            View(
                name,
                definition,
                tuple(columns.get(name, ())),
                security,
                check,
                _grouped(connection, definition, mode) if _AGGREGATES.search(definition) else None,
            )
        )
    return tuple(views)


def merge_view(connection: Connection[Any], table: Table, tables: Iterable[Table]) -> View:
    """A MERGE table as the view that it is: it has no rows of its own, but shows those of its tables."""
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {my_name(table.name)}")
        text = str(cast(tuple[Any, ...], cursor.fetchone())[1])
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
        with connection.cursor() as cursor:
            cursor.execute(f"SHOW CREATE VIEW {my_name(name)}")
            text = str(cast(tuple[Any, ...], cursor.fetchone())[1])
    except (pymysql.err.Error, UnicodeDecodeError):
        # No right to see it, tables that are gone, a text that is not UTF-8: nothing to translate.
        return ""
    head = _HEAD.match(text)
    return _CHECK.sub("", text[head.end() :]) if head else ""


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
