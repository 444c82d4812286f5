"""Where the source's binary log stands, and up to where a new snapshot shows every commit in it.

A commit is in the log before it is visible: between both, its transaction is still in InnoDB's list (MySQL
8.0 manual, "The INFORMATION_SCHEMA INNODB_TRX Table"). So a snapshot shows all up to a place in the log when
no transaction that was in that list after the place was noted is still in it before the snapshot begins. That
needs no GTIDs and no lock. A session that sleeps commits nothing; what XA has prepared is told by the log.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import SourceError
from converge.model.log import LogPosition
from converge.model.quote import my_text
from converge.mysql.capabilities import capabilities
from converge.mysql.query import fetch

_DENIED = frozenset({1044, 1045, 1142, 1227})
_LIST_SECONDS = 0.15
"""INNODB_TRX is a copy that is made anew when nobody has read it for a tenth of a second: beside a monitor
that reads it all the time it never is."""
_LIST_TRIES = 6
# A transaction that has written has a number of its own; others show the address of a structure. Ours is
# listed with this very query where the copy was made for it.
_IN_FLIGHT = (
    "SELECT '{token}', t.trx_id, COALESCE(p.COMMAND, '') <> 'Sleep', LOCATE('{token}', t.trx_query), "
    "CAST(t.trx_id AS UNSIGNED) < 281474976710656 FROM information_schema.INNODB_TRX AS t "
    "LEFT JOIN information_schema.PROCESSLIST AS p ON p.ID = t.trx_mysql_thread_id"
)


def log_position(connection: Connection[Any]) -> LogPosition | None:
    """Where the log stands now; None where the server writes none, or leaves out databases.

    Raises SourceError for a user who may not see it.
    """
    version, server, now = fetch(connection, "SELECT VERSION(), @@server_uuid, UNIX_TIMESTAMP()")[0]
    rows = _allowed(connection, capabilities(version).binary_log_status, "REPLICATION CLIENT")
    if not rows or rows[0][2] or rows[0][3]:
        return None
    return LogPosition(server, rows[0][0], int(rows[0][1]), int(now))


def in_flight(connection: Connection[Any], *, idle: bool = False) -> frozenset[str] | None:
    """Transactions that may be in the log and not yet visible; with `idle` all that have written.

    None where others read the list so often that it is not made anew. Ends the connection's transaction.
    """
    for _ in range(_LIST_TRIES):
        time.sleep(_LIST_SECONDS)
        fetch(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            rows = _allowed(connection, _IN_FLIGHT.format(token=uuid4()), "PROCESS")
        finally:
            connection.rollback()
        if any(ours for _, _, _, ours, _ in rows):
            return frozenset(
                str(number) for _, number, active, _, written in rows if written and (active or idle)
            )
    return None


def _allowed(connection: Connection[Any], query: str, privilege: str) -> list[Any]:
    try:
        return fetch(connection, query)
    except pymysql.err.MySQLError as error:
        if error.args[0] not in _DENIED:
            raise
        raise SourceError(
            f"the source user lacks the privilege {privilege}",
            code=Code.W004,
            hint=grants(fetch(connection, "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)")[0][0]),
        ) from error


def grants(user: str) -> str:
    """The GRANT of all that following needs."""
    return f"GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO {my_text(user)}@'%';"
