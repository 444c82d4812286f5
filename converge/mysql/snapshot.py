"""One instant for all readers of the source.

Every worker begins its own transaction while nobody can write. The lock is held for as long as
that takes, some milliseconds, and is never waited for longer than five seconds (facts: MySQL 8.0
manual, "FLUSH TABLES WITH READ LOCK", "Consistent Nonlocking Reads").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pymysql
from pymysql.connections import Connection

from converge.model.quote import my_name

Level = Literal["locked", "quiet", "none"]
_WAIT_SECONDS = 5
_DENIED = frozenset({1044, 1045, 1142, 1227})
_TIMED_OUT = 1205


def take(connection: Connection[Any], tables: list[str], begin: Callable[[], None]) -> Level:
    """Calls `begin` under the strongest guarantee that the user may have, and says which.

    locked: writers were held off while all readers began. quiet: they were not, but the server's
    own position (GTID, else binary log) did not move meanwhile. none: neither could be had; the
    readers may have begun at different instants.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout=%s", (_WAIT_SECONDS,))
        for statement in _locks(tables):
            try:
                cursor.execute(statement)
            except pymysql.err.MySQLError as error:
                if error.args[0] in _DENIED or error.args[0] == _TIMED_OUT:
                    continue
                raise
            try:
                begin()
            finally:
                cursor.execute("UNLOCK TABLES")
            return "locked"
    before = position(connection)
    begin()
    return "quiet" if before is not None and before == position(connection) else "none"


def position(connection: Connection[Any]) -> tuple[Any, ...] | None:
    """Where the server's history stands; None when the user may not know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@gtid_mode, @@gtid_executed")
        row = cursor.fetchone()
        if row is not None and row[0] == "ON":
            return tuple(row)
        try:
            cursor.execute("SHOW MASTER STATUS")
        except pymysql.err.MySQLError as error:
            if error.args[0] in _DENIED:
                return None
            raise
        row = cursor.fetchone()
        return tuple(row) if row else None


def _locks(tables: list[str]) -> list[str]:
    """Lock statements to try, the cheapest for the application first."""
    read = ", ".join(f"{my_name(table)} READ" for table in tables)
    return ["FLUSH TABLES WITH READ LOCK", *([f"LOCK TABLES {read}"] if tables else [])]
