"""Connections to the target: sessions whose text output is the same everywhere, and errors that help."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, TargetError
from converge.model.check import Check
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.postgres import tls
from converge.types.results import TargetColumn
from converge.watch import watch

# How values print must not depend on the role, the database or the server's configuration.
_SESSION = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A backend whose client is gone must let go of its chunk soon: nobody else can claim it.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
}
_SINCE_17 = {"transaction_timeout": "0"}
_DISK_FULL = "53100"
_NO_MEMORY = "53200"
_NO_PLACE = "53300"
_NO_PLACE_WORDS = ("too many clients", "too many connections", "remaining connection slots")
# Connections that end, servers that shut down, crash or start, and no place for one more client
# (PostgreSQL manual, "PostgreSQL Error Codes").
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", _NO_PLACE})
# Data exceptions, and limits of the server: a row too big for its page, JSON too big for jsonb.
_VALUE = ("22", "54")


def connect(endpoint: Endpoint, **settings: str) -> psycopg.Connection[Any]:
    """A connection with autocommit; `settings` are session settings beside converge's own.

    It is watched: a server that no longer answers ends it within 30 seconds. Raises TargetError.
    """
    connection, process = _open(endpoint, **settings)
    if process != connection.info.backend_pid:
        # The process that the login named is none of the server's: a pool stands between.
        try:
            with _open(endpoint)[0] as other:
                require_session(connection, other, endpoint)
        except BaseException:
            connection.close()
            raise
    watch(connection, lambda: at_work(_open(endpoint)[0], process))
    return connection


def _open(endpoint: Endpoint, **settings: str) -> tuple[WatchedConnection, int]:
    """A connection, and the server's process behind it."""
    arguments: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password,
        "dbname": endpoint.database,
        "connect_timeout": "10",
        "application_name": "converge",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "25000",
    }
    arguments |= dict(endpoint.options) | tls.arguments(endpoint)
    try:
        connection = WatchedConnection.connect(autocommit=True, **{k: v for k, v in arguments.items() if v})
        since_17 = _SINCE_17 if connection.info.server_version >= 170000 else {}
        session = _SESSION | since_17 | settings
        if connection.info.server_version < 140000:
            raise TargetError(
                f"the target runs PostgreSQL {connection.info.parameter_status('server_version')}",
                code=Code.T006,
                hint="converge loads PostgreSQL 14 and newer",
            )
        row = connection.execute(
            "SELECT pg_backend_pid(), " + ", ".join("set_config(%s, %s, false)" for _ in session),
            [item for setting in session.items() for item in setting],
        ).fetchone()
        assert row is not None
    except psycopg.Error as error:
        raise explain(error, endpoint, connecting=True) from error
    return connection, row[0]


Backend = tuple[int, Any]
"""A backend's process id and its start: another one may have the same id later."""


def backend(connection: psycopg.Connection[Any]) -> Backend:
    """The server process of a connection."""
    row = connection.execute(
        "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def end(connection: psycopg.Connection[Any], lost: Backend) -> None:
    """Ends the backend of a connection that the client has lost and the server perhaps not."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s",
        lost,
    )


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or could not be had now: another one may be had later."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state in _LOST or state.startswith("08")


def explain(
    error: psycopg.Error, endpoint: Endpoint | None = None, *, connecting: bool = False
) -> ConvergeError:
    """The server's error in the words of the person who has to act."""
    text, state = _text(error), error.sqlstate
    if (known := _of_login(text, state, endpoint) or _of_room(text, state, endpoint)) is not None:
        return known
    if connecting and state is None and (untrusted := tls.distrusted(text, endpoint)) is not None:
        return untrusted
    if isinstance(error, psycopg.OperationalError) and state is None:
        if "FATAL:" in text:
            return _refused(text.rpartition("FATAL:")[2].strip(), endpoint)
        return TargetError(
            f"{_where(endpoint)} cannot be reached: {text.splitlines()[0]}",
            code=Code.T001,
            hint="check host, port and firewall; is PostgreSQL running there?",
            lost=True,
        )
    if is_of_value(error):
        return TargetError(
            f"PostgreSQL cannot hold a value of the source: {text}",
            code=Code.D001,
            details=_details(error),
            hint="repair the value in the source, or --exclude its table",
        )
    return in_its_words(error, endpoint)


def in_its_words(error: psycopg.Error, endpoint: Endpoint | None) -> TargetError:
    """What the server says of a statement that is not ours."""
    return TargetError(
        f"{_where(endpoint)}: {_text(error)}", code=Code.T000, details=_details(error), lost=is_lost(error)
    )


def is_of_value(error: psycopg.Error) -> bool:
    """Whether a value is refused, or a row for its size."""
    return error.sqlstate is not None and error.sqlstate.startswith(_VALUE)


def _of_login(text: str, state: str | None, endpoint: Endpoint | None) -> ConvergeError | None:
    """Why the server does not let the role in or do what it wants. Errors of the login have no SQLSTATE."""
    where = _where(endpoint)
    if state == "28P01" or "password authentication failed" in text or "no password supplied" in text:
        return TargetError(
            f"{where} refused the user: wrong user name or password",
            code=Code.T002,
            hint="the password of a URL must be percent-encoded; it came from "
            + (endpoint.origin if endpoint else "the target URL")
            + tls.wanted(endpoint),
        )
    name, user = (endpoint.database, endpoint.user) if endpoint else ("", "")
    if state == "3D000" or ('database "' in text and "does not exist" in text):
        return TargetError(
            f"{where} has no database {name!r}",
            code=Code.T003,
            hint=f"CREATE DATABASE {pg_name(name)} TEMPLATE template0 ENCODING 'UTF8';",
        )
    if state is None and "permission denied for database" in text:
        return BlockedError(
            f"{where}: the role {user} may not connect to the database {name}",
            code=Code.T004,
            hint=f"GRANT CONNECT ON DATABASE {pg_name(name)} TO {pg_name(user)};",
        )
    if state == "42501":
        return TargetError(f"{where} denies the role a privilege: {text}", code=Code.T004)
    return None


def _refused(text: str, endpoint: Endpoint | None) -> TargetError:
    """The server answered, and does not take the connection: errors of the login have no SQLSTATE."""
    user = pg_name(endpoint.user) if endpoint else "NAME"
    origin = f" -- the user name came from {endpoint.origin}" if endpoint else ""
    hint = "look into the server's log for the reason"
    if text.startswith("role ") and "does not exist" in text:
        hint = f"CREATE ROLE {user} LOGIN PASSWORD '…';{origin}"
    elif "is not permitted to log in" in text:
        hint = f"ALTER ROLE {user} LOGIN;{origin}"
    starts_or_ends = text.startswith("the database system is")
    return TargetError(
        f"{_where(endpoint)} refuses the connection: {text}", code=Code.T180, hint=hint, lost=starts_or_ends
    )


def _of_room(text: str, state: str | None, endpoint: Endpoint | None) -> TargetError | None:
    """What the server has no more of: places for clients, disk, locks."""
    where = _where(endpoint)
    if state == _NO_PLACE or (state is None and any(words in text for words in _NO_PLACE_WORDS)):
        return TargetError(
            f"{where} has too many connections: {text}",
            code=Code.T016,
            hint="fewer --jobs, or a larger max_connections (of the server, the database or the role)",
            lost=True,
        )
    if state == _DISK_FULL:
        return TargetError(f"{where} has no room left: {text}", code=Code.T007, hint="free some disk space")
    if state == _NO_MEMORY and "shared memory" in text:
        return TargetError(
            f"{where} has no room for more locks: {text}",
            code=Code.T042,
            hint="a larger max_locks_per_transaction in postgresql.conf, and a restart",
        )
    return None


def _where(endpoint: Endpoint | None) -> str:
    return f"PostgreSQL at {endpoint}" if endpoint else "PostgreSQL"


def _text(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip()


def _details(error: psycopg.Error) -> list[str]:
    return [line for line in (error.diag.message_detail, error.diag.context) if line]


class WatchedConnection(psycopg.Connection[Any]):
    """A psycopg connection with the name that `converge.watch` asks for; everything waits in `wait`."""

    waiting_since: float | None = None

    def wait(self, *arguments: Any, **options: Any) -> Any:
        self.waiting_since = time.monotonic()
        try:
            return super().wait(*arguments, **options)
        finally:
            self.waiting_since = None


def at_work(asker: psycopg.Connection[Any], backend: int) -> bool:
    """Whether the server still computes for a backend, and does not wait for its client (PostgreSQL
    manual, "The Cumulative Statistics System": a role sees its own backends)."""
    with asker:
        row = asker.execute(
            "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' "
            "FROM pg_stat_activity WHERE pid = %s",
            (backend,),
        ).fetchone()
    return row is not None and bool(row[0])


_ROUNDS = 3


def require_session(
    connection: psycopg.Connection[Any], other: psycopg.Connection[Any], endpoint: Endpoint
) -> None:
    """Raises BlockedError unless two sessions of the client are two sessions of the server.

    A pool gives the next transaction the process that became free last, or each process in turn: so `other`
    gets that of `connection`, or `connection` gets another one from one transaction to the next.
    """
    first = _process(connection)
    for _ in range(_ROUNDS):
        if _process(other) == first or {_process(connection), _process(connection)} != {first}:
            raise BlockedError(
                f"{endpoint} is a connection pool in transaction mode: sessions share the server's processes",
                code=Code.T170,
                hint="name the host and port of PostgreSQL itself, or a pool in session mode\n"
                "PgBouncer: pool_mode = session for this database; RDS Proxy: the endpoint of the instance",
            )


def _process(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


_SECONDS = 10
"""The most that a query may take to be understood: somebody may hold a lock."""
_OF_GRAMMAR = ("42601",)
_OF_NAMES = ("42703", "42704", "42883")
"""Columns, types and functions that are not there."""


def ask(
    connection: psycopg.Connection[Any], query: str, schema: str, *, seconds: int, most: int
) -> list[tuple[Any, ...]]:
    """At most `most` rows of the query, whose unqualified names are of this schema.

    As a subquery it can be nothing but a query, and a prepared statement holds only one. Raises the
    driver's errors.
    """
    with read_only(connection, schema, seconds):
        asked = f"SELECT * FROM (\n{query}\n) AS asked LIMIT {most}"
        return connection.execute(asked.encode(), prepare=True).fetchall()


def describe(connection: psycopg.Connection[Any], relation: str, schema: str) -> list[TargetColumn]:
    """The columns of what stands in FROM, as the server describes a result. Raises the driver's errors."""
    with read_only(connection, schema, _SECONDS):
        cursor = connection.execute(f"SELECT * FROM {relation} LIMIT 0".encode())
        return [TargetColumn(one.name, pg_name(one.name), one.type_code) for one in cursor.description or ()]


def refused(
    connection: psycopg.Connection[Any], checks: Iterable[Check], schema: str, *, made: bool
) -> dict[str, str]:
    """Why this server cannot understand the queries of checks, by their places. Runs none of them.

    Before the tables are `made` only their grammar counts.
    """
    codes = _OF_GRAMMAR + _OF_NAMES if made else _OF_GRAMMAR
    found = {}
    for check in checks:
        try:
            with read_only(connection, schema, _SECONDS):
                asked = f"EXPLAIN SELECT * FROM (\n{check.target}\n) AS asked"
                connection.execute(asked.encode(), prepare=True)
        except psycopg.Error as error:
            if error.sqlstate is None or connection.closed:
                raise
            if error.sqlstate in codes:
                found[check.place] = (error.diag.message_primary or str(error)).splitlines()[0]
    return found


@contextmanager
def read_only(connection: psycopg.Connection[Any], schema: str, seconds: int) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute(
            "SELECT set_config('search_path', %s, true), set_config('statement_timeout', %s, true)",
            (pg_name(schema), str(seconds * 1000)),
        )
        yield
