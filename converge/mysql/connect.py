"""Connections to the source: TLS, and the session that every reader uses."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pymysql
from pymysql.connections import Connection
from pymysql.err import OperationalError

from converge.codes import Code
from converge.errors import SourceError, UsageError
from converge.model.endpoint import Endpoint
from converge.mysql import tls
from converge.mysql.capabilities import unsupported
from converge.mysql.errors import explain
from converge.providers import recognize
from converge.watch import watch

# The text of values, and how many rows a query gives, must not depend on the server's settings; a slow target
# must not end a read, nor a long pause a session with its snapshot: a year is the most that MySQL allows. The
# server itself refuses a session that is read only whatever would write. The driver asks for autocommit only
# where the greeting says that it is off, and a global 0 comes after the greeting.
_SESSION = (
    "SET SESSION /*!80030 show_gipk_in_create_table_and_information_schema=1, */ "
    "sql_mode='', time_zone='+00:00', net_write_timeout=3600, net_read_timeout=3600, "
    "wait_timeout=31536000, max_execution_time=0, information_schema_stats_expiry=0, "
    "lock_wait_timeout=60, transaction_isolation='REPEATABLE-READ', transaction_read_only=1, "
    "sql_quote_show_create=1, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_auto_is_null=0, "
    "div_precision_increment=4, default_week_format=0, lc_time_names='en_US', completion_type='NO_CHAIN', "
    "autocommit=1"
)
# A query's warnings are listed as far as the server can keep them. Later versions want a privilege for that.
_ALL_WARNINGS = "SET SESSION max_error_count=65535"
_NO_PRIVILEGE = 1227


_GREETING_SECONDS = 10


def connect(endpoint: Endpoint) -> WatchedConnection:
    """A connection in UTC and utf8mb4 with autocommit.

    It is watched: a server that no longer answers ends it within 30 seconds. Raises SourceError or
    UsageError.
    """
    connection = _open(endpoint)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ALL_WARNINGS)
    except pymysql.err.Error as error:
        if error.args[0] != _NO_PRIVILEGE:
            raise explain(error, endpoint) from error
    thread: int = connection.thread_id()  # type: ignore[no-untyped-call]
    watch(connection, lambda: at_work(_open(endpoint), thread))
    connection.on_stop = lambda: end_queries(endpoint, connection)
    return connection


def end_queries(endpoint: Endpoint, *connections: WatchedConnection) -> None:
    """Ends what the server still does for them: nobody waits for it after a signal."""
    # A server that is gone does nothing.
    with suppress(SourceError, pymysql.err.Error), _open(endpoint) as killer, killer.cursor() as cursor:
        for connection in connections:
            cursor.execute("KILL QUERY %s", (connection.thread_id(),))  # type: ignore[no-untyped-call]


def _open(endpoint: Endpoint) -> WatchedConnection:
    options = dict(endpoint.options)
    # SQLAlchemy's users write it; texts are read in a character set of our own.
    options.pop("charset", None)
    arguments: dict[str, Any] = {
        "host": endpoint.host or None,
        "port": endpoint.port or 0,
        "user": endpoint.user or None,
        # The driver would encode text as Latin-1, the server expects UTF-8.
        "password": endpoint.password.encode(),
        "database": endpoint.database or None,
        "unix_socket": options.pop("unix_socket", None),
        **tls.arguments(endpoint, options),
    }
    if options:
        raise UsageError(f"the source URL has an unknown option {sorted(options)[0]!r}", code=Code.U002)
    try:
        connection = WatchedConnection(
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_GREETING_SECONDS,
            read_timeout=_GREETING_SECONDS,
            local_infile=False,
            **arguments,
        )
        _require_version(connection)
        _keep_alive(connection)
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
        # From here on `watch` tells a long query from a dead server.
        connection.let_wait()
    except (pymysql.err.Error, OSError, RuntimeError, UnicodeError) as error:
        raise explain(error, endpoint) from error
    return connection


def _require_version(connection: WatchedConnection) -> None:
    """Raises SourceError for a server that is no MySQL 8 or newer, which lacks settings of the session."""
    version: str = connection.get_server_info()  # type: ignore[no-untyped-call]
    if refused := recognize("source", [f"version={version}"], support="refused"):
        raise SourceError(f"the source is {refused.name}: {refused.why}", code=Code.S031, hint=refused.hint)
    if reason := unsupported(version):
        hint = "converge reads MySQL 8.0 and newer: make a dump, and give it by --source-dump FILE"
        raise SourceError(reason, code=Code.S008, hint=hint)


def _keep_alive(connection: WatchedConnection) -> None:
    """A firewall must not forget a connection that says nothing while the target builds indexes."""
    with socket.socket(fileno=os.dup(connection.fileno())) as twin:
        if twin.family != socket.AF_UNIX:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
                # Not every system has all of them.
                if hasattr(socket, name):
                    twin.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- waiting --------------------------------------------------------------------------------------------

if TYPE_CHECKING:
    _Base = Connection[Any]
else:
    # Only the type stubs know that it is generic.
    _Base = Connection


class WatchedConnection(_Base):
    """A pymysql connection with the two names that `converge.watch` asks for."""

    waiting_since: float | None = None
    on_stop: Callable[[], None] | None = None
    """Called when a signal ends the wait for an answer."""

    def fileno(self) -> int:
        """The socket's. Raises OSError when the connection is closed."""
        driver: Any = self
        if driver._sock is None:
            raise OSError("the connection is closed")
        return int(driver._sock.fileno())

    def let_wait(self) -> None:
        """Ends the time limit of reads that the login had."""
        driver: Any = self
        driver._read_timeout = None
        driver._sock.settimeout(None)
        driver._current_timeout = None

    def waited(self, read: Callable[[int], bytes], count: int) -> bytes:
        """`read(count)`, noted as a wait."""
        self.waiting_since = time.monotonic()
        try:
            return read(count)
        finally:
            self.waiting_since = None

    def _process_auth(self, plugin_name: bytes, *how: Any) -> Any:
        """Refuses to send the password as it is, which any server may ask for, where all can read it."""
        driver: Any = self
        if plugin_name in (b"mysql_clear_password", b"dialog") and not driver._secure:
            raise OperationalError(2059, f"{plugin_name.decode()} without TLS would show the password")
        return cast(Any, super())._process_auth(plugin_name, *how)

    def _read_bytes(self, num_bytes: int) -> bytes:
        driver: Any = super()
        try:
            return self.waited(driver._read_bytes, num_bytes)
        except Exception:
            raise
        except BaseException:
            if self.on_stop is not None:
                self.on_stop()
            raise


def at_work(asker: Connection[Any], thread: int) -> bool:
    """Whether the server still computes for a thread, and does not wait for its client to read.

    Everyone sees the own threads (MySQL 8.0 manual, "The INFORMATION_SCHEMA PROCESSLIST Table").
    """
    with asker, asker.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s AND COMMAND IN ('Query', 'Execute') "
            "AND NOT STATE <=> 'Sending to client'",
            (thread,),
        )
        return cursor.fetchone() is not None
