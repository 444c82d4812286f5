"""Connections to the source: TLS, the session that every reader uses, and errors that help."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.err import OperationalError
from pymysql.protocol import FieldDescriptorPacket

from converge.codes import Code
from converge.errors import START_AGAIN, ConvergeError, SourceError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.quote import my_name, my_text
from converge.mysql import tls
from converge.mysql.capabilities import unsupported
from converge.types.results import SourceColumn
from converge.watch import watch

# The text of values, and how many rows a query gives, must not depend on the server's settings; a slow target
# must not end a read. The server itself refuses a session that is read only whatever would write.
_SESSION = (
    "SET SESSION sql_mode='', time_zone='+00:00', net_write_timeout=3600, net_read_timeout=3600, "
    "wait_timeout=28800, max_execution_time=0, information_schema_stats_expiry=0, "
    "lock_wait_timeout=60, transaction_isolation='REPEATABLE-READ', transaction_read_only=1, "
    "sql_quote_show_create=1, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_auto_is_null=0, "
    "div_precision_increment=4, default_week_format=0, lc_time_names='en_US'"
)
# A query's warnings are listed as far as the server can keep them. Later versions want a privilege for that.
_ALL_WARNINGS = "SET SESSION max_error_count=65535"
_NO_PRIVILEGE = 1227


_GREETING_SECONDS = 10
# The server shuts down, or has killed or timed out the connection; the client lost it (MySQL 8.0 Error
# Reference).
_LOST = frozenset({1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2055, 4031})


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


def fetch(connection: Connection[Any], query: str, values: Sequence[Any] | None = None) -> list[Any]:
    """All rows of a query, as tuples."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def end_queries(endpoint: Endpoint, *connections: WatchedConnection) -> None:
    """Ends what the server still does for them: nobody waits for it after a signal."""
    # A server that is gone does nothing.
    with suppress(SourceError, pymysql.err.Error), _open(endpoint) as killer, killer.cursor() as cursor:
        for connection in connections:
            cursor.execute("KILL QUERY %s", (connection.thread_id(),))  # type: ignore[no-untyped-call]


def _open(endpoint: Endpoint) -> WatchedConnection:
    options = dict(endpoint.options)
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
    except (pymysql.err.Error, OSError, RuntimeError) as error:
        raise explain(error, endpoint) from error
    return connection


def _require_version(connection: WatchedConnection) -> None:
    """Raises SourceError for a server that is no MySQL 8 or newer, which lacks settings of the session."""
    version: str = connection.get_server_info()  # type: ignore[no-untyped-call]
    if reason := unsupported(version):
        raise SourceError(
            reason, code=Code.S008, hint="converge reads MySQL 8.0 and newer; upgrade a copy of it"
        )


def _keep_alive(connection: WatchedConnection) -> None:
    """A firewall must not forget a connection that says nothing while the target builds indexes."""
    with socket.socket(fileno=os.dup(connection.fileno())) as twin:
        if twin.family != socket.AF_UNIX:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
                # Not every system has all of them.
                if hasattr(socket, name):
                    twin.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def is_lost(error: pymysql.err.Error) -> bool:
    """Whether the connection is gone, and its snapshot with it."""
    return isinstance(error, pymysql.err.InterfaceError) or _number_and_text(error)[0] in _LOST


def explain(error: Exception, endpoint: Endpoint) -> ConvergeError:
    """The driver's error in the words of the person who has to act."""
    number, text = _number_and_text(error)
    if (untrusted := tls.distrusted(error, endpoint, text)) is not None:
        return untrusted
    if number in _LOST or isinstance(error, pymysql.err.InterfaceError):
        return SourceError(
            f"MySQL at {endpoint} cannot be reached: {text or 'the connection is closed'}",
            code=Code.S001,
            hint="check host, port and firewall; is mysqld running there?",
            lost=True,
        )
    return (
        _of_login(number, text, endpoint)
        or _of_rights(number, text, endpoint)
        or SourceError(f"MySQL at {endpoint}: {text} ({number})" if number else text, code=Code.S000)
    )


def _of_login(number: int, text: str, endpoint: Endpoint) -> SourceError | None:
    """Why the server did not let the user in."""
    user = _account(endpoint, text)
    match number:
        case 1045:
            return SourceError(
                f"MySQL at {endpoint} refused {user}: wrong user name or password",
                code=Code.S002,
                hint=f"the password of a URL must be percent-encoded; it came from {endpoint.origin}\n"
                + tls.wanted(endpoint),
            )
        case 1049:
            return SourceError(
                f"MySQL at {endpoint.host} has no database {endpoint.database!r}",
                code=Code.S003,
                hint="the database is the last part of the URL: mysql://user@host:port/DATABASE",
            )
        case 3159:
            return SourceError(
                f"MySQL at {endpoint} takes only encrypted connections",
                code=Code.S006,
                hint="add ?ssl-mode=REQUIRED to the source URL, or VERIFY_CA with &ssl-ca=FILE",
            )
        # 1698: an account without a password, such as auth_socket's, which only a socket lets in.
        case 1698 | 2059 | 1251 | 1524:
            return SourceError(
                f"MySQL at {endpoint} asks for a login that is not available: {text}",
                code=Code.S005,
                hint=("encrypt the connection: ?ssl-mode=VERIFY_CA&ssl-ca=FILE; or " if "TLS" in text else "")
                + f"ALTER USER {user} IDENTIFIED WITH caching_sha2_password BY '…';\n"
                f"SELECT user, host, plugin FROM mysql.user WHERE user = {my_text(endpoint.user)}; shows the "
                "account's own host",
            )
    return None


def _of_rights(number: int, text: str, endpoint: Endpoint) -> SourceError | None:
    """What the server does not give the user, or no longer has as it was."""
    match number:
        case 1044 | 1142 | 1143:
            return SourceError(
                f"MySQL at {endpoint} gives {_account(endpoint, text)} no privilege for this: {text}",
                code=Code.S004,
                hint=grant(endpoint, "SELECT, SHOW VIEW, TRIGGER"),
            )
        case 1040 | 1203 | 1226:
            return SourceError(
                f"MySQL at {endpoint} has too many connections: {text}",
                code=Code.S012,
                hint="fewer --jobs, or a larger max_connections or max_user_connections",
                lost=True,
            )
        case 1205:
            # A new attempt lets go of all locks first: the one that we wait for may wait for one of ours.
            return SourceError(
                f"MySQL at {endpoint}: another session holds a table for more than a minute: {text}",
                code=Code.S180,
                hint="end its LOCK TABLES or ALTER; performance_schema.metadata_locks shows which it is",
                lost=True,
            )
        case 1146 | 1412:
            return SourceError(
                f"MySQL at {endpoint}: a table was changed while it was read: {text}",
                code=Code.S011,
                hint=f"keep schema changes away from the run, then {START_AGAIN}",
            )
    return None


def grant(endpoint: Endpoint, rights: str) -> str:
    """The statement that gives these rights on the source database."""
    return f"GRANT {rights} ON {my_name(endpoint.database)}.* TO {my_text(endpoint.user)}@'%';"


def _account(endpoint: Endpoint, text: str) -> str:
    """``'user'@'host'`` with the host that the server sees us at, where it says so; else with any."""
    seen = re.search(r"'@'([^']*)'", text)
    return f"{my_text(endpoint.user)}@{my_text(seen[1] if seen else '%')}"


def _number_and_text(error: Exception) -> tuple[int, str]:
    if isinstance(error, pymysql.err.Error) and len(error.args) > 1:
        return int(error.args[0]), str(error.args[1])
    if isinstance(error, OSError):
        return 2003, str(error)
    return 0, str(error)


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


def ask(connection: Connection[Any], query: str, *, seconds: int, most: int) -> list[tuple[Any, ...]]:
    """At most `most` rows of the query.

    As a subquery it can be nothing but a query, and the transaction around it is READ ONLY. Raises the
    driver's errors; the transaction lives on after those of the query.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION max_execution_time = %s", (seconds * 1000,))
        try:
            cursor.execute(f"SELECT * FROM (\n{query}\n) AS asked LIMIT {most}")
            return list(cursor.fetchall())
        finally:
            # A connection that is gone says so by the query's own error.
            if connection.open:
                cursor.execute("SET SESSION max_execution_time = 0")


def describe(connection: Connection[Any], relation: str) -> list[SourceColumn]:
    """The columns of what stands in FROM, as the server describes a result. Raises the driver's errors.

    The query is only prepared: LIMIT 0 would not keep the server from counting a whole view.
    """
    driver: Any = connection
    driver._execute_command(COMMAND.COM_STMT_PREPARE, f"SELECT * FROM {relation}")
    statement, columns = struct.unpack_from("<IH", driver._read_packet().get_all_data(), 1)
    found = [driver._read_packet(FieldDescriptorPacket) for _ in range(columns)]
    driver._read_packet()  # the end of the columns
    driver._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", statement))
    return [
        SourceColumn(one.name, my_name(one.name), one.type_code, one.charsetnr, one.scale, one.flags)
        for one in found
    ]
