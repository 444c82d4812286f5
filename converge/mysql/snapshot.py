"""One instant for all readers of the source.

Every worker begins its own transaction while nobody can write. The lock is held for as long as
that takes, some milliseconds. While it is waited for, writers wait behind it, so it is only tried when no
statement runs for long, for a second at a time and five seconds in all (facts: MySQL 8.0 manual,
"FLUSH TABLES WITH READ LOCK", "Consistent Nonlocking Reads").
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import SourceError
from converge.model.log import LogPosition
from converge.model.quote import my_name
from converge.mysql.log import in_flight, log_position
from converge.mysql.query import fetch, rows
from converge.providers import source_provider

Level = Literal["locked", "quiet", "none"]
_TRIES = 20
_STILL_SECONDS = 0.05
_WAIT_SECONDS = 1
_WAIT_SECONDS_IN_ALL = 4
_PATIENCE_SECONDS = 60
"""For a table that somebody alters while its definition is read."""
_DENIED = frozenset({1044, 1045, 1142, 1227})
_TIMED_OUT = 1205

Taken = Literal["taken", "denied", "busy"]


@dataclass(frozen=True, slots=True)
class Logs:
    """Where the server's logs stand, as far as the user may know."""

    position: str | None = None
    """GTIDs or binary log."""
    writes: str | None = None
    """How often the redo log was written to."""
    log: LogPosition | None = field(default=None, compare=False)
    """The place in the binary log, whatever is known of its GTIDs."""

    @property
    def history(self) -> str | None:
        """Something that every commit moves."""
        return self.writes if self.position is None else self.position


@dataclass(frozen=True, slots=True)
class Snapshot:
    level: Level
    logs: Logs
    """As they stood."""
    log: LogPosition | None = None
    """All commits before this place of the binary log are in it, and none after; None where there is none."""


def take(connection: Connection[Any], tables: list[str], begin: Callable[[], None]) -> Snapshot:
    """Calls `begin` until the strongest guarantee that the user may have is reached, and says which.

    locked: writers were held off while all readers began. quiet: they were not, but nothing became visible
    meanwhile, as the server's own logs show. none: neither could be had; the readers may have begun at
    different instants.

    LOCK TABLES comes last, because it can end an application's transaction as a deadlock's victim.
    """
    _wait_at_most(connection, _WAIT_SECONDS)
    logs = Logs()

    def begin_here() -> None:
        nonlocal logs
        begin()
        logs = read_logs(connection)

    def level() -> Level:
        # FLUSH waits for whatever reads, too.
        if _under_lock(connection, "FLUSH TABLES WITH READ LOCK", begin_here, hindered=_runs_long):
            return "locked"
        for _ in range(_TRIES):
            before = read_logs(connection)
            # What was counted before is visible by now.
            time.sleep(_STILL_SECONDS)
            begin_here()
            if logs.writes is not None and logs == before:
                return "quiet"
        read = ", ".join(f"{my_name(table)} READ" for table in tables)
        return "locked" if tables and _under_lock(connection, f"LOCK TABLES {read}", begin_here) else "none"

    if (provider := source_provider(connection)) and provider.locks_nothing:
        begin_here()
        return Snapshot("none", Logs())
    reached = level()
    _wait_at_most(connection, _PATIENCE_SECONDS)
    if reached == "none":
        return Snapshot("none", Logs())
    exact = reached == "locked" or _nothing_in_flight(connection, logs)
    return Snapshot(reached, logs, logs.log if exact else None)


def _nothing_in_flight(connection: Connection[Any], logs: Logs) -> bool:
    """Whether no commit that is in the binary log was still to become visible, as far as the user may see."""
    try:
        return in_flight(connection) == frozenset() and read_logs(connection) == logs
    except SourceError:
        return False


def mark(connection: Connection[Any]) -> str:
    """Marks the server for as long as the session lives: `begin` of another session knows it by this.

    Clones have the same server_uuid, and behind a load balancer each connection may reach another server. So
    it is a lock that nobody else holds (MySQL 8.0 manual, "Locking Functions").
    """
    name = f"converge {secrets.token_hex(16)}"
    try:
        fetch(connection, "SELECT GET_LOCK(%s, 0)", (name,))
    except pymysql.err.MySQLError:
        # A strict Percona XtraDB Cluster has no such locks.
        ((name,),) = fetch(connection, "SELECT @@server_uuid")
    return name


_IS_MARKED = "IS_USED_LOCK(%s) IS NOT NULL OR @@server_uuid = %s"


def require_marked(connection: Connection[Any], marked: str) -> None:
    """Raises SourceError on a server that does not have the `mark`."""
    ((same,),) = fetch(connection, f"SELECT {_IS_MARKED}", (marked, marked))
    if not same:
        raise _other_server()


def _other_server() -> SourceError:
    return SourceError(
        "a reader of the source is not on the server of the run's own session",
        code=Code.S032,
        hint="the address of one server: behind a load balancer each connection may reach another",
        lost=True,
    )


def begin(connection: Connection[Any], marked: str | None = None) -> None:
    """Begins a transaction whose queries all see one instant.

    Raises SourceError where they do not: a reader of Aurora ignores SET TRANSACTION, a proxy may, and below
    REPEATABLE READ the server warns that it has taken no snapshot (MySQL 8.0 manual, "START TRANSACTION").
    So it does on a server that does not have the `mark`.
    """
    name = marked or "no mark"
    with connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        warnings = cursor.warning_count
        cursor.execute(f"SELECT @@transaction_isolation, {_IS_MARKED}", (name, name))
        isolation, same = cast(tuple[str, int], cursor.fetchone())
    if warnings or isolation != "REPEATABLE-READ":
        raise SourceError(
            f"the source ignores SET TRANSACTION and reads with {isolation}: each query would see other rows",
            code=Code.S030,
            hint="Aurora: the writer's address, or aurora_read_replica_read_committed = OFF\n"
            "ProxySQL and the like: the address of MySQL itself",
        )
    if marked is not None and not same:
        raise _other_server()


def require_snapshots(connection: Connection[Any]) -> None:
    """Raises SourceError for a server that begins no snapshot; nothing stays open."""
    begin(connection)
    connection.rollback()


def hold_schema(connection: Connection[Any]) -> None:
    """Holds changes of the schema off until the connection ends, where the user may do that.

    Not under another lock, and none must be waited for under this one: a session that alters what it has
    locked would be the victim of a deadlock. So it is if it waits behind us for somebody who waits for it:
    where the user may look, nobody is waited for.
    """
    _wait_at_most(connection, _WAIT_SECONDS)
    for _ in range(_TRIES):
        if not _schema_changes(connection):
            _lock(connection, "LOCK INSTANCE FOR BACKUP")
            break
        time.sleep(_STILL_SECONDS)
    _wait_at_most(connection, _PATIENCE_SECONDS)


def _wait_at_most(connection: Connection[Any], seconds: int) -> None:
    fetch(connection, "SET SESSION lock_wait_timeout=%s", (seconds,))


def read_logs(connection: Connection[Any]) -> Logs:
    """Where the logs stand now."""
    ((has_gtids, executed),) = fetch(connection, "SELECT @@log_bin AND @@gtid_mode = 'ON', @@gtid_executed")
    position: str | None = None
    try:
        log = log_position(connection)
    except SourceError:
        log, position = None, executed if has_gtids else None
    if log is not None:
        if has_gtids:
            position = executed
        elif _logs_what_it_applies(connection):
            # A place of this very server: another one at the same address may have the same.
            position = f"{log.server}:{log}"
    return Logs(position, _redo_writes(connection), log)


def _logs_what_it_applies(connection: Connection[Any]) -> bool:
    """Whether a replica's log has the commits of its source, too (MySQL 8.0 manual, "Replica Server Options
    and Variables": log_replica_updates, before 8.0.26 log_slave_updates)."""
    found = fetch(connection, r"SHOW GLOBAL VARIABLES LIKE 'log\_%\_updates'")
    return all(value == "ON" for _, value in found)


def _redo_writes(connection: Connection[Any]) -> str | None:
    """What everyone may see; None where that says nothing.

    A commit adds to it right before it becomes visible. It moves the binary log earlier, before a flush that
    may take its time, and the GTIDs later (MySQL 8.0 manual, "Server Status Variables", "Binary Logging
    Options and Variables": binlog_group_commit_sync_delay).
    """
    names = "'Innodb_redo_log_enabled', 'Innodb_log_write_requests'"
    status: dict[str, str] = dict(fetch(connection, f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
    writes = status.get("Innodb_log_write_requests")
    # A server whose storage keeps no such log counts nothing.
    return None if status.get("Innodb_redo_log_enabled") == "OFF" or writes == "0" else writes


def _under_lock(
    connection: Connection[Any],
    lock: str,
    begin: Callable[[], None],
    *,
    hindered: Callable[[Connection[Any]], bool] = lambda _: False,
) -> bool:
    """Calls `begin` under the lock; False when the user may not take it, or it could not be had in time.

    It is not tried while it is `hindered`.
    """
    deadline = time.monotonic() + _WAIT_SECONDS_IN_ALL
    while time.monotonic() < deadline:
        taken = "busy" if hindered(connection) else _lock(connection, lock)
        if taken == "denied":
            return False
        if taken == "busy":
            # Those who waited behind us go first.
            time.sleep(_WAIT_SECONDS / 4)
            continue
        try:
            begin()
        finally:
            fetch(connection, "UNLOCK TABLES")
        return True
    return False


def _lock(connection: Connection[Any], statement: str) -> Taken:
    try:
        fetch(connection, statement)
    except pymysql.err.MySQLError as error:
        if error.args[0] in _DENIED:
            return "denied"
        if error.args[0] == _TIMED_OUT:
            return "busy"
        raise
    return "taken"


def _schema_changes(connection: Connection[Any]) -> bool:
    """Whether somebody is changing a schema, as far as the user may see it."""
    query = (
        "SELECT 1 FROM performance_schema.metadata_locks "
        "WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_TYPE = 'INTENTION_EXCLUSIVE' LIMIT 1"
    )
    try:
        return bool(fetch(connection, query))
    except pymysql.err.MySQLError as error:
        if error.args[0] in _DENIED:
            return False
        raise


def _runs_long(connection: Connection[Any]) -> bool:
    """Whether a statement runs for a second or more that a lock would have to wait for, as far as the user
    may see (PROCESS)."""
    query = (
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') "
        "AND TIME >= 1 AND ID <> CONNECTION_ID() AND USER <> 'system user' LIMIT 1"
    )
    return bool(fetch(connection, query))


Identity = tuple[str, ...]
"""The time of creation, then the numbers of the table and of its partitions, where they are to be had."""


_HIDDEN = 1227


def read_identities(connection: Connection[Any], database: str, tables: Iterable[str]) -> dict[str, Identity]:
    """What these tables are now, by their names; one that is gone is left out."""
    created = dict(rows(connection, "created", database))
    numbers = _numbers(_seen(connection, "tablespaces", database), database)
    wanted = [name for name in tables if name in created]
    if any(name.casefold() not in numbers for name in wanted):
        numbers = _shared(connection, database) | numbers
    return {name: (str(created[name]), *sorted(numbers.get(name.casefold(), ()))) for name in wanted}


def table_names(connection: Connection[Any], database: str) -> list[str]:
    """All tables that the user sees now, whatever is planned of them."""
    return sorted(name for name, _ in rows(connection, "created", database))


def object_names(connection: Connection[Any], database: str) -> list[tuple[str, str, str]]:
    """Tables, views, triggers, routines and events that are there now: kind, name, and a trigger's table."""
    return [(kind, name, table) for kind, name, table in rows(connection, "objects", database)]


def known_by_time(identities: dict[str, Identity]) -> list[str]:
    """The tables that only their time of creation tells from others."""
    return [name for name, identity in identities.items() if len(identity) == 1]


def _seen(connection: Connection[Any], name: str, database: str = "") -> list[tuple[Any, ...]]:
    """The rows of a query, as far as the user may look: some want PROCESS, in MySQL 9.7 all of them."""
    try:
        return rows(connection, name, database)
    except pymysql.err.MySQLError as error:
        if error.args[0] != _HIDDEN:
            raise
        return []


def _shared(connection: Connection[Any], database: str) -> dict[str, list[str]]:
    """Of tables that share a tablespace; InnoDB writes other characters as numbers here ("Mapping of
    Identifiers to File Names")."""
    found = _seen(connection, "shared_tablespaces")
    decoded = ((re.sub("@([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), name), it) for name, it in found)
    return _numbers(decoded, database)


def _numbers(rows: Iterable[tuple[Any, ...]], database: str) -> dict[str, list[str]]:
    """By table: ``partition number``, from names like ``shop/film#p#p0``."""
    found: dict[str, list[str]] = {}
    for name, number in rows:
        owner, _, rest = name.partition("/")
        table, _, partition = rest.casefold().partition("#p#")
        if owner.casefold() == database.casefold():
            found.setdefault(table, []).append(f"{partition} {number}")
    return found
