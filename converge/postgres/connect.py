"""Connections to the target: sessions whose text output is the same everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, TargetError
from converge.model.endpoint import Endpoint
from converge.postgres import tls
from converge.postgres.errors import explain
from converge.postgres.query import value
from converge.providers import recognize
from converge.watch import watch

PRINTING = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "quote_all_identifiers": "off",
}
"""How values and names print must not depend on the role, the database or the server's configuration."""
THEIR_PATH = "SET LOCAL search_path TO DEFAULT"
"""Where rows go into a target's own tables: functions of its columns and CHECKs find what they call by the
path that the role, the database or the address has, as they do for the application."""
_SESSION = {
    **PRINTING,
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
    # Where a policy would hide rows, the server refuses the query (PostgreSQL manual, "row_security").
    "row_security": "off",
}
_SINCE_17 = {"transaction_timeout": "0"}


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
    watch(connection, lambda: at_work(_open(endpoint, role="none")[0], process))
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
        _require_postgres(connection)
        since_17 = _SINCE_17 if connection.info.server_version >= 170000 else {}
        session = _SESSION | since_17 | settings
        calls = ", ".join("set_config(%s, %s, false)" for _ in session)
        (process, *_) = connection.execute(
            f"SELECT pg_backend_pid(), {calls}".encode(), [item for pair in session.items() for item in pair]
        ).fetchall()[0]
    except psycopg.Error as error:
        raise explain(error, endpoint, connecting=True) from error
    except UnicodeError as error:  # psycopg looks the host up itself; Python's encoding refuses its name
        raise explain(psycopg.OperationalError(str(error)), endpoint, connecting=True) from error
    return connection, process


def _require_postgres(connection: WatchedConnection) -> None:
    """Raises TargetError for another server that speaks PostgreSQL's protocol, and for an old PostgreSQL.

    What the server says at the login names it: to queries, CockroachDB is a PostgreSQL of some version.
    """
    said = {name: connection.info.parameter_status(name) for name in ("crdb_version", "server_version")}
    lines = [f"{name}={value}" for name, value in said.items() if value]
    if refused := recognize("target", lines, support="refused"):
        raise TargetError(f"the target is {refused.name}: {refused.why}", code=Code.T036, hint=refused.hint)
    if connection.info.server_version < 140000:
        raise TargetError(
            f"the target runs PostgreSQL {said['server_version']}",
            code=Code.T006,
            hint="converge loads PostgreSQL 14 and newer",
        )


Backend = tuple[int, Any]
"""A backend's process id and its start: another one may have the same id later."""


@contextmanager
def as_login(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Lets the session look at those of its login, and end them. Nothing else is to be done inside.

    The server asks for privileges of the current role on the login's, which a session that begins as another
    role (`ALTER ROLE login SET role = owner`) does not have.
    """
    # Rolled back, so that also a transaction around it goes on as the role that it was.
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE NONE")
        yield


def backend(connection: psycopg.Connection[Any]) -> Backend:
    """The server process of a connection."""
    query = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    with as_login(connection):
        ((process, start),) = connection.execute(query).fetchall()
    return process, start


def end(connection: psycopg.Connection[Any], lost: Backend) -> None:
    """Ends the backend of a connection that the client has lost and the server perhaps not."""
    query = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
    )
    with as_login(connection):
        connection.execute(query, lost)


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
    manual, "The Cumulative Statistics System": a role sees its own backends).

    Without track_activities, what it waits for is all that is known.
    """
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s "
        "AND coalesce(state, 'disabled') IN ('active', 'disabled') "
        "AND wait_event_type IS DISTINCT FROM 'Client')"
    )
    with asker:
        return bool(value(asker, query, (backend,)))


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
    return int(value(connection, "SELECT pg_backend_pid()"))
