"""Whether work may be handed out now: a run that leaves the servers room for others.

Asked once a second at most. A chunk that has begun is finished, so that the answer acts within the time of
one chunk, about 16 MB. The readers' snapshot lives on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.model.arguments import Checked, Within
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.mysql.query import fetch

_SECONDS = 1.0
_WAITING_SECONDS = 5.0
_MOST_SHOWN = 120
# The states of sessions that wait for a lock of ours (MySQL 8.0 Reference Manual, "General Thread States").
# Without the privilege PROCESS a user sees its own sessions only.
_WAITING = (
    "SELECT id, user, time, COALESCE(info, '') FROM information_schema.processlist WHERE state IN "
    "('Waiting for table metadata lock', 'Waiting for global read lock', 'Waiting for table flush') "
    "ORDER BY time DESC"
)


@dataclass(frozen=True, slots=True)
class Limits(Checked):
    """How much of the servers a run may take."""

    rate: Annotated[int, Within(0)] = 0
    """Bytes a second that all workers together copy; 0 is without limit."""
    load: tuple[tuple[str, int], ...] = ()
    """Status variables of the source, each with the largest value at which work is handed out."""


class Throttle:
    """Lets work be handed out while no limit is exceeded, and nobody has paused the run."""

    def __init__(
        self,
        limits: Limits,
        source: Connection[Any],
        emit: Sink,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """Raises UsageError for a status variable that the source does not have, or that is not a number."""
        self._limits, self._source, self._emit, self._paused = limits, source, emit, paused
        self._next = self._next_waiting = 0.0
        self._why = ""
        self.waiting: dict[int, str] = {}
        """Sessions of the source that have waited for locks, perhaps the run's: user, seconds, statement."""
        known = dict[str, str](fetch(source, "SHOW GLOBAL STATUS")) if limits.load else {}
        for name, _ in limits.load:
            if not known.get(name, "").isdecimal():
                raise UsageError(
                    f"--max-load {name}: the source has no number of this name{did_you_mean(name, known)}",
                    code=Code.U035,
                    hint="SHOW GLOBAL STATUS lists them, such as Threads_running",
                )

    def __call__(self) -> bool:
        """Whether a task may be handed out."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SECONDS
            why = "paused; converge continue goes on" if self._paused() else self._overload()
            if bool(why) != bool(self._why):
                self._emit(Said(why or "going on"))
            self._why = why
            if now >= self._next_waiting:
                self._next_waiting = now + _WAITING_SECONDS
                self._look_for_waiting()
        return not self._why

    def findings(self) -> list[Finding]:
        """Who has waited."""
        return [
            Finding(Code.V005, "note", "source", f"session {number} waited for a lock: {words}")
            for number, words in self.waiting.items()
        ]

    def _overload(self) -> str:
        if not self._limits.load:
            return ""
        names = ",".join(f"'{name}'" for name, _ in self._limits.load)
        query = f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"
        now = {name: int(text) for name, text in fetch(self._source, query)}
        over = [
            f"{name} is {now[name]:,}, more than {most:,}"
            for name, most in self._limits.load
            if now[name] > most
        ]
        return f"waiting: {', '.join(over)}" if over else ""

    def _look_for_waiting(self) -> None:
        for number, user, seconds, statement in fetch(self._source, _WAITING):
            words = f"{user}, {seconds} s: {statement[:_MOST_SHOWN]}"
            if number not in self.waiting:
                self._emit(Said(f"session {number} of the source waits for a lock: {words}"))
            self.waiting[number] = words
