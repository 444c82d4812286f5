"""Notices a server that no longer answers, although its connection still looks open.

A network that drops packets, or a firewall that forgot a connection, ends nothing: the client would
wait for hours. A thread looks at every connection that has been waited for longer than ten seconds, and
asks the server over a new one whether it is still at work for it. If it is not, or cannot be asked, the
old connection is shut down, and whoever waits for it gets the driver's ordinary error. A query that
takes long is never disturbed.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from converge.codes import Code
from converge.errors import ConvergeError

SILENT_SECONDS = 10.0
"""A connection that has been waited for as long as this is asked for, again and again."""
PROBE_SECONDS = 8.0
"""A server that has not answered by then is gone."""
_SETTLE_SECONDS = 1.0
"""An answer may be on its way when the server says that it has nothing more to do."""
_FULL = frozenset({Code.S012, Code.T016})
"""No place for one more client."""


class Watched(Protocol):
    """A connection that notes since when it waits for its server."""

    waiting_since: float | None
    """`time.monotonic()`; None while nobody waits."""

    def fileno(self) -> int:
        """Its socket. Raises the driver's error when it is closed."""
        ...


class _Watch:
    """The one thread of this process that looks, and what it looks at."""

    def __init__(self) -> None:
        self._probes: weakref.WeakKeyDictionary[Watched, Callable[[], bool]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, connection: Watched, at_work: Callable[[], bool]) -> None:
        with self._lock:
            self._probes[connection] = at_work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        asked: weakref.WeakKeyDictionary[Watched, float] = weakref.WeakKeyDictionary()
        while True:
            time.sleep(1.0)
            with self._lock:
                probes = list(self._probes.items())
            now = time.monotonic()
            for connection, at_work in probes:
                since = connection.waiting_since
                if since is not None and now - max(since, asked.get(connection, 0.0)) > SILENT_SECONDS:
                    asked[connection] = now
                    threading.Thread(target=_ask, args=(connection, since, at_work), daemon=True).start()


def _ask(connection: Watched, since: float, at_work: Callable[[], bool]) -> None:
    """Shuts the connection down when its server is not at work for this very wait."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            answers.append(at_work())
        except ConvergeError as error:
            # A server that says why it will not answer lives.
            answers.append(not error.lost or error.code in _FULL)

    probe = threading.Thread(target=ask, daemon=True)
    probe.start()
    probe.join(PROBE_SECONDS)
    if answers == [True]:
        return
    time.sleep(_SETTLE_SECONDS)
    if connection.waiting_since == since:
        # Both directions end; the driver's own handle stays valid and reads the end.
        with socket.socket(fileno=os.dup(connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)


watch = _Watch().add
"""watch(connection, at_work): from now until the connection is garbage; `at_work` asks its server."""
