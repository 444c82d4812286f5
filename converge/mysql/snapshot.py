"""One instant for all readers of the source.

Every worker begins its own transaction while nobody can write. The lock is held for as long as
that takes, some milliseconds, and is never waited for longer than five seconds (facts: MySQL 8.0
manual, "FLUSH TABLES WITH READ LOCK", "Consistent Nonlocking Reads").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import pymysql
from pymysql.connections import Connection

from converge.model.quote import my_name
from converge.mysql.capabilities import capabilities

Level = Literal["locked", "quiet", "none"]
_WAIT_SECONDS = 5
_DENIED = frozenset({1044, 1045, 1142, 1227})
_TIMED_OUT = 1205


def take(connection: Connection[Any], tables: list[str], begin: Callable[[], None]) -> Level:
    """Calls `begin` until the strongest guarantee that the user may have is reached, and says which.

    locked: writers were held off while all readers began. quiet: they were not, but the server's
    own position (GTID, else binary log) did not move meanwhile. none: neither could be had; the
    readers may have begun at different instants.

    LOCK TABLES comes last, because it can end an application's transaction as a deadlock's victim.
    """
    if _locked(connection, "FLUSH TABLES WITH READ LOCK", begin):
        return "locked"
    before = position(connection)
    begin()
    if before is not None and before == position(connection):
        return "quiet"
    read = ", ".join(f"{my_name(table)} READ" for table in tables)
    return "locked" if tables and _locked(connection, f"LOCK TABLES {read}", begin) else "none"


def _locked(connection: Connection[Any], lock: str, begin: Callable[[], None]) -> bool:
    """Calls `begin` under the lock; False when the user may not take it, or it took too long."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout=%s", (_WAIT_SECONDS,))
        try:
            cursor.execute(lock)
        except pymysql.err.MySQLError as error:
            if error.args[0] in _DENIED or error.args[0] == _TIMED_OUT:
                return False
            raise
        try:
            begin()
        finally:
            cursor.execute("UNLOCK TABLES")
    return True


def position(connection: Connection[Any]) -> tuple[Any, ...] | None:
    """Where the server's history stands; None when the user may not know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION(), @@gtid_mode, @@gtid_executed")
        version, mode, executed = cast(tuple[str, str, str], cursor.fetchone())
        if mode == "ON":
            return (executed,)
        try:
            cursor.execute(capabilities(version).binary_log_status)
        except pymysql.err.MySQLError as error:
            if error.args[0] in _DENIED:
                return None
            raise
        row = cursor.fetchone()
        return tuple(row) if row else None
