"""VIRTUAL columns over TIMESTAMP: each session sees them in its own time zone, and ours is UTC.

The application's sessions have the server's zone, so a value is read by its expression in that zone. STORED
columns keep what the writer's session has computed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pymysql.connections import Connection

from converge.model.catalog import Column
from converge.model.quote import my_name, my_text

_UTC = frozenset({"UTC", "Etc/UTC", "+00:00"})
_NAME_OR_TEXT = re.compile(r"'(?:[^'\\]|\\.|'')*'|`((?:[^`]|``)+)`", re.DOTALL)


def server_zone(connection: Connection[Any]) -> str:
    """The time zone in which sessions begin; empty for UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.time_zone, @@system_time_zone")
        zone, system = cast(tuple[str, str], cursor.fetchone())
    return "" if zone in _UTC or (zone == "SYSTEM" and system in _UTC) else zone


def with_zone(columns: Sequence[Column], zone: str) -> tuple[Column, ...]:
    """The columns, with an expression for those whose values hang on the session's zone."""
    by_name = {column.name: column for column in columns}
    return tuple(replace(column, zoned=_zoned(column, by_name, zone)) for column in columns)


def _zoned(column: Column, columns: Mapping[str, Column], zone: str) -> str:
    """The column's expression in the server's zone; empty where none is needed."""
    if not zone or not column.generated or column.generated_stored or column.type == "timestamp":
        return ""

    def there(found: re.Match[str]) -> str:
        other = columns.get((found[1] or "").replace("``", "`"))
        if other is None:
            return found[0]
        if other.type == "timestamp":
            return f"CONVERT_TZ({my_name(other.name)},'+00:00',{my_text(zone)})"
        inner = _zoned(other, columns, zone)
        return f"({inner})" if inner else found[0]

    text = _NAME_OR_TEXT.sub(there, column.generated)
    return "" if text == column.generated else text
