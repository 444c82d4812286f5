"""Where the source's binary log stands, and up to where a new snapshot shows every commit in it.

A commit is in the log before it is visible: between both, its transaction is still in InnoDB's list (MySQL
8.0 manual, "The INFORMATION_SCHEMA INNODB_TRX Table"). So a snapshot shows all up to a place in the log when
no transaction that was in that list after the place was noted is still in it before the snapshot begins. That
needs no GTIDs and no lock. A session that sleeps commits nothing; what XA has prepared is told by the log.

A statement that has yet to write is in that list without a number, or not at all: `INSERT INTO t SELECT …`,
before its first row. MySQL carries it out to its end also where its client is gone.
"""

from __future__ import annotations

import re
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
_TRANSACTIONS = (
    "SELECT '{token}', t.trx_id, t.trx_mysql_thread_id, COALESCE(p.COMMAND, '') <> 'Sleep', "
    "LOCATE('{token}', t.trx_query), CAST(t.trx_id AS UNSIGNED) < 281474976710656 "
    "FROM information_schema.INNODB_TRX AS t "
    "LEFT JOIN information_schema.PROCESSLIST AS p ON p.ID = t.trx_mysql_thread_id"
)
# A session that waits for its client has no INFO, or one without a statement (`_PLUGIN`). The threads of a
# replica may rest with one.
_AT_WORK = (
    "SELECT ID, USER, INFO FROM information_schema.PROCESSLIST "
    "WHERE INFO IS NOT NULL AND ID <> CONNECTION_ID() AND USER <> 'system user'"
)
_PLUGIN = re.compile("PLUGIN(?:: |$)")
"""What MySQL puts before a statement of the X protocol."""
_NO_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|/\*(?!!).*?\*/|(?:--(?=\s)|\#)[^\n]*", re.DOTALL)
"""Literals, names in quotes, and comments but those that MySQL carries out."""
_BEFORE = re.compile(r"(?:[\s(]|/\*(?!!).*?\*/|(?:--(?=\s)|\#)[^\n]*)*+", re.DOTALL)
"""What may stand before a statement's first word, where no literal is open yet."""
_READS = re.compile(
    r"(?:SELECT|SHOW|WITH|TABLE|VALUES|CHECKSUM|EXPLAIN|DESC|DESCRIBE|HELP|USE)\b"
    r"(?!.*\b(?:INTO|UPDATE|DELETE)\b)",
    re.DOTALL | re.IGNORECASE,
)
"""A statement that reads, and nothing comes after it: a procedure or an event, whose statements are listed as
if they were the client's, goes on after `SELECT … INTO`."""


def log_position(connection: Connection[Any]) -> LogPosition | None:
    """Where the log stands now; None where the server writes none, or leaves out databases.

    Raises SourceError for a user who may not see it.
    """
    version, server, now = fetch(connection, "SELECT VERSION(), @@server_uuid, UNIX_TIMESTAMP()")[0]
    rows = _allowed(connection, capabilities(version).binary_log_status, "REPLICATION CLIENT")
    if not rows or rows[0][2] or rows[0][3]:
        return None
    return LogPosition(server, rows[0][0], int(rows[0][1]), int(now))


def in_flight(connection: Connection[Any]) -> frozenset[str] | None:
    """Transactions that may be in the log and not yet visible.

    None where others read the list so often that it is not made anew. Ends the connection's transaction.
    """
    found = _written(connection)
    return None if found is None else frozenset(number for number, _, active in found if active)


def writers(connection: Connection[Any]) -> list[str] | None:
    """What the log may still get, in words: transactions that have written, and statements of any engine that
    are at work and may write when they have read.

    None as of `in_flight`.
    """
    found = _written(connection)
    if found is None:
        return None
    at_work = [
        f"session {session} of {user} is at work on a statement that may write"
        for session, user, statement in fetch(connection, _AT_WORK) if may_write(statement)
    ]  # fmt: skip
    return [
        *(f"session {session} has written in a transaction that is open" for _, session, _ in found),
        *at_work,
    ]


def may_write(listed: str) -> bool:
    """Whether a statement may write now or when it has read, as the list of sessions has it."""
    statement = _PLUGIN.sub("", listed, count=1)
    # Where a literal with a backslash ends depends on the session's sql_mode, which nobody else sees.
    words = _BEFORE.sub("", statement if "\\" in statement else _NO_WORDS.sub(" ", statement), count=1)
    return bool(words) and not _READS.match(words)


def _written(connection: Connection[Any]) -> list[tuple[str, int, bool]] | None:
    """Of each transaction that has written its number, its session, and whether that is at work."""
    for _ in range(_LIST_TRIES):
        time.sleep(_LIST_SECONDS)
        fetch(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            rows = _allowed(connection, _TRANSACTIONS.format(token=uuid4()), "PROCESS")
        finally:
            connection.rollback()
        if any(ours for *_, ours, _ in rows):
            return [
                (str(number), session, bool(active))
                for _, number, session, active, _, written in rows if written
            ]  # fmt: skip
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
