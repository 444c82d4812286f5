"""Defaults as an INSERT stores them, labels as they are stored, and the next AUTO_INCREMENT values.

information_schema shows a TIMESTAMP in the time zone of the session that declared it, ? for characters
outside the BMP, bytes only up to the first zero, and six digits of a FLOAT. 8.0.15 hides expressions of TEXT
and BLOB columns. DEFAULT(column) and SHOW CREATE TABLE have them (tried on 8.0.15 and 8.0.33). Labels with
such characters nothing shows but the values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.model.catalog import Column
from converge.model.quote import my_name

_BYTES = frozenset({"binary", "varbinary"})
_HIDDEN = re.compile(r"[^\x00-\uffff]")
_LABELS_MS = 5000
_OPENED = 100
"""Tables that are opened by one query."""
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|.", re.DOTALL)


def with_defaults(connection: Connection[Any], table: str, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The table's columns with the defaults and the labels that information_schema does not show."""
    doubtful = {column.name: _value(column) for column in columns if _is_doubtful(column)}
    stored = _stored(connection, table, doubtful)
    hidden = any(column.default is None and column.default_is_expression for column in columns)
    text = _create_table(connection, table) if hidden else ""
    known = tuple(_with_default(column, stored, text) for column in columns)
    return tuple(_with_labels(connection, table, column) for column in known)


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
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {wanted} FROM {from_} LIMIT 1")
        row = cursor.fetchone()
        if row is None:
            # Without a row there is still the one that an aggregate gives, and DEFAULT reads no row.
            cursor.execute(f"SELECT {wanted},COUNT(*) FROM {from_}")
            row = cursor.fetchone()
    found = zip(values, cast(tuple[str | None, ...], row), strict=False)
    return {name: text for name, text in found if text is not None}


def _with_labels(connection: Connection[Any], table: str, column: Column) -> Column:
    """The column with those labels that its values and its default have."""
    if not any("?" in label for label in column.labels):
        return column
    name = my_name(column.name)
    hint = f"/*+ MAX_EXECUTION_TIME({_LABELS_MS}) */"
    texts = [] if column.default is None or column.default_is_expression else [column.default]
    # A label that is not seen in time keeps its ?, and the plan says so.
    with connection.cursor() as cursor, suppress(pymysql.err.OperationalError):
        cursor.execute(f"SELECT {hint} DISTINCT CONVERT({name} USING utf8mb4) FROM {my_name(table)}")
        texts += [text for (text,) in cast(Sequence[tuple[str | None]], cursor.fetchall()) if text]
    members = [part for text in texts for part in (text.split(",") if column.type == "set" else [text])]
    shown = {_HIDDEN.sub("?", member): member for member in members}
    return replace(column, labels=tuple(shown.get(label, label) for label in column.labels))


def _create_table(connection: Connection[Any], table: str) -> str:
    """CREATE TABLE in UTF-8: sent as bytes, because the server takes 4-byte characters for none."""
    with connection.cursor() as cursor:
        cursor.execute("SET character_set_results=binary")
        cursor.execute(f"SHOW CREATE TABLE {my_name(table)}")
        text = cast(tuple[bytes, bytes], cursor.fetchone())[1]
        cursor.execute("SET character_set_results=utf8mb4")
    return text.decode(errors="replace")


def _with_default(column: Column, stored: dict[str, str], create_table: str) -> Column:
    if column.name in stored:
        return replace(column, default=stored[column.name])
    if column.default is None and column.default_is_expression:
        return replace(column, default=_expression(create_table, column.name))
    return column


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
    with connection.cursor() as cursor:
        for start in range(0, len(tables), _OPENED):
            batch = tables[start : start + _OPENED]
            cursor.execute(" UNION ALL ".join(f"(SELECT 1 FROM {my_name(table)} LIMIT 0)" for table in batch))
        cursor.execute(
            "SELECT TABLE_NAME, `AUTO_INCREMENT` FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = DATABASE() AND `AUTO_INCREMENT` IS NOT NULL"
        )
        return dict(cast(Sequence[tuple[str, int]], cursor.fetchall()))
