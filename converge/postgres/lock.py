"""Who is at work on a target: one command of converge at a time, by a lock that its session holds."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.postgres.connect import as_login
from converge.postgres.query import value

# Any constant does; it is the word CONVERGE.
_LOCK = 0x434F4E56
LEAVING_SECONDS = 2.0
"""A session ends on the server a moment after its client has, which two commands in a row would meet."""
ALIVE = (
    "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
    f"AND l.objid = {_LOCK} AND l.granted AND concat(a.pid, ' ', a.backend_start) = %(attempt)s)"
)
"""Whether an attempt is still at work: its session holds the lock."""
STATE = f"""CASE WHEN state <> 'running' OR EXISTS (
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
      JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.objid = {_LOCK}
       AND starts_with(a.application_name, 'converge migrate ')) THEN state ELSE 'interrupted' END"""
"""A run's state. One that nobody is at work for was killed, and could not enter that it was interrupted:
another command that has the lock, as `follow`, is not at work for it."""
BUILDER = "converge build"
"""application_name of the connections that carry out a run's statements."""


def lock(connection: psycopg.Connection[Any], command: str = "", *, seconds: float = LEAVING_SECONDS) -> None:
    """Makes the session the only one of converge that writes here, and names it so that others see which
    command it is. Raises BlockedError after `seconds`."""
    until = time.monotonic() + seconds
    while not value(connection, "SELECT pg_try_advisory_lock(%s)", (_LOCK,)):
        if time.monotonic() >= until:
            raise BlockedError(
                "another converge run is at work on this target",
                code=Code.T009,
                details=[who(holder)] if (holder := at_work(connection)) else [],
                hint="wait for it, or stop it",
            )
        time.sleep(0.1)
    if command:
        name = f"converge {command} {os.getpid()} {socket.gethostname()}"
        connection.execute("SELECT set_config('application_name', %s, false)", (name,))


def at_work(connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
    """Who has the lock, as JSON values, None for those that this role may not see; None where nobody has."""
    query = (
        "SELECT jsonb_build_object('session', pid, 'name', application_name, 'role', usename, "
        "'client', client_addr, 'since', backend_start) FROM pg_locks l JOIN pg_stat_activity USING (pid) "
        "JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() "
        f"WHERE l.locktype = 'advisory' AND l.objid = {_LOCK} AND l.granted AND pid <> pg_backend_pid()"
    )
    holder: dict[str, Any] | None = value(connection, query)
    if holder is not None:
        named = re.fullmatch(r"converge (\S+) (\d+) (.+)", holder.pop("name") or "")
        command, process, host = named.groups() if named else (None, None, None)
        holder |= {"command": command, "process": process and int(process), "host": host}
    return holder


def who(holder: Mapping[str, Any]) -> str:
    """``converge follow, process 4711 on db-7, since 2026-03-01 10:20:30 UTC``."""
    words = f"converge {holder['command']}, process {holder['process']} on {holder['host']}"
    if not holder["command"]:
        words = f"session {holder['session']} of {holder['role']}"
        words += f" from {holder['client']}" if holder["client"] else ""
    return words + (f", since {holder['since'][:19].replace('T', ' ')} UTC" if holder["since"] else "")


def require_free(connection: psycopg.Connection[Any]) -> None:
    """Raise BlockedError if another run is at work on this target. The lock is released at once."""
    lock(connection)
    connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def attempt_of(connection: psycopg.Connection[Any]) -> str:
    """What `ALIVE` asks for: the session's process, and when it began."""
    query = "SELECT concat(pid, ' ', backend_start) FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    return str(value(connection, query))


def end_leftovers(connection: psycopg.Connection[Any]) -> None:
    """Ends what an earlier run has left at work: nobody else writes the ledger while we hold its lock."""
    # The login need not be allowed to look up the ledger's tables by name.
    relations = "SELECT 'converge.chunk'::regclass::oid, 'converge.step'::regclass::oid"
    chunk, step = connection.execute(relations).fetchall()[0]
    with as_login(connection):
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = session_user AND pid <> pg_backend_pid() AND (application_name = %s OR pid IN "
            "(SELECT pid FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation IN (%s, %s)))",
            (BUILDER, chunk, step),
        )
