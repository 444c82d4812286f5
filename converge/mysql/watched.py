"""The connection class of the source: it notes since when it waits, so that `watch` can look."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from pymysql.connections import Connection
from pymysql.err import OperationalError

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
