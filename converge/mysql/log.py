"""Where the source's binary log stands, and up to where every commit in it can be seen by a new snapshot.
 A commit is in the log before it is visible: between both, its transaction is still in InnoDB's list (MySQL
8.0 manual, "The INFORMATION_SCHEMA INNODB_TRX Table"). So a place in the log is *settled* for a snapshot when
no transaction that was in that list after the place was noted is still in it before the snapshot begins. That
needs no GTIDs and no lock. A session that sleeps commits nothing; what XA has prepared is told by the log.
"""

from __future__ import annotations

import time
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import SourceError
from converge.model.log import LogPosition
from converge.model.quote import my_text
from converge.mysql.capabilities import capabilities
from converge.mysql.query import fetch

_DENIED = frozenset({1044, 1045, 1142, 1227})
LIST_SECONDS = 0.15
"""INNODB_TRX is a copy that is made anew when it is older than a tenth of a second."""
# A transaction that has written has a number of its own; others show the address of a structure.
_IN_FLIGHT = (
    "SELECT t.trx_id, COALESCE(p.COMMAND, '') <> 'Sleep' FROM information_schema.INNODB_TRX AS t "
    "LEFT JOIN information_schema.PROCESSLIST AS p ON p.ID = t.trx_mysql_thread_id "
    "WHERE CAST(t.trx_id AS UNSIGNED) < 281474976710656"
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


def in_flight(connection: Connection[Any], *, idle: bool = False) -> frozenset[str]:
    """Transactions that may be in the log and not yet visible; with `idle` all that have written."""
    time.sleep(LIST_SECONDS)
    rows = _allowed(connection, _IN_FLIGHT, "PROCESS")
    return frozenset(str(number) for number, active in rows if active or idle)


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
