"""A worker of another machine: joins a run by its ledger, and does what the run hands to it.

Its tasks are carried out by processes as those of `run/workers` are, with addresses of this machine's own.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import psycopg

from converge import __version__
from converge.cluster.messages import (
    DOOR,
    PRESENCE,
    RETURNED,
    Door,
    Mailbox,
    decoded,
    encode,
    encode_error,
    run_channel,
    worker_channel,
)
from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, SourceError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.work import Copied
from converge.mysql.query import fetch
from converge.postgres.connect import connect
from converge.postgres.lock import ALIVE
from converge.postgres.query import exists, value
from converge.run.connections import connect_source, explained
from converge.run.workers import Workers

_LOOK_SECONDS = 2.0
_POLL_SECONDS = 0.2
Ended = Literal["left", "again"]


@dataclass(frozen=True, slots=True)
class Joining:
    """What a worker is asked to do."""

    source: Endpoint
    target: Endpoint
    run: int | None
    """The next that awaits workers, where it is None."""
    jobs: int
    seconds: float
    """The longest that it waits for the run."""
    leaving: Callable[[], bool]
    """Whether somebody wants it to leave."""
    emit: Sink
    returns: float = 60.0
    """So long it waits for a run that goes on by itself, or is resumed."""


def serve(joining: Joining) -> str:
    """Joins the run until it is finished, again where it begins another attempt or has gone on without this
    worker; says how it ended.

    Raises UsageError for a run that does not await workers,
    BlockedError and SourceError for a worker that is not of its kind, ConvergeError where the run has failed.
    """
    run, until, served = joining.run, time.monotonic() + joining.seconds, False
    while True:
        try:
            with (
                explained(joining.source, joining.target),
                closing(
                    connect(joining.target, application_name="converge worker", synchronous_commit="off")
                ) as ledger,
            ):
                found = _await(ledger, joining, run, until, served=served)
                if not isinstance(found, tuple):
                    return found
                run, door = found
                if _Guest(joining, ledger, run, door).serve() == "left":
                    return "left, as it was asked to"
        except ConvergeError as error:
            if not (error.lost and run and time.monotonic() < until + joining.returns):
                raise
            joining.emit(Said(f"{error.message}; trying again"))
            time.sleep(1)
        served, until = True, time.monotonic() + joining.returns


def _await(
    ledger: psycopg.Connection[Any], joining: Joining, run: int | None, until: float, *, served: bool
) -> tuple[int, Door] | str:
    """The run that awaits workers and how to join it; else how the run has ended.

    Where none is named, the run of another database is left to its own workers.
    """
    query = (
        f"SELECT id, state, joins, joins IS NOT NULL AND {ALIVE % {'attempt': _ATTEMPT}} "
        "FROM converge.run WHERE %(run)s::bigint IS NULL OR id = %(run)s ORDER BY id DESC LIMIT 1"
    )
    while True:
        row = None
        if exists(ledger, "converge.worker"):
            row = ledger.execute(query.encode(), {"run": run}).fetchone()
        if row is not None:
            found, state, joins, alive = row
            if state == "finished" and (served or run is not None):
                return f"run {found} is finished"
            if state == "running" and alive:
                door = DOOR.validate_python(joins)
                if run is not None or door.database == joining.source.database:
                    return found, door
        if joining.leaving():
            return "left, as it was asked to"
        if time.monotonic() > until:
            if served and row is not None:
                how = "goes on without workers" if row[1] == "running" else f"has ended: {row[1]}"
                raise ConvergeError(f"run {row[0]} {how}", code=Code.R007)
            raise UsageError(
                f"run {run} does not await workers here" if run else "no run awaits workers here",
                code=Code.U038,
                hint="converge migrate --workers join:N",
            )
        time.sleep(_POLL_SECONDS)


_ATTEMPT = "joins ->> 'attempt'"


class _Guest:
    """This worker in one attempt of the run."""

    def __init__(self, joining: Joining, ledger: psycopg.Connection[Any], run: int, door: Door) -> None:
        """Raises BlockedError and SourceError where the run cannot use this worker."""
        self._joining, self._ledger, self._run, self._door = joining, ledger, run, door
        self._require_fit()
        self.number = int(
            value(
                ledger,
                "INSERT INTO converge.worker (run_id, attempt, host, process, jobs) "
                "VALUES (%s, %s, %s, %s, %s) RETURNING id",
                (run, door.attempt, socket.gethostname(), os.getpid(), joining.jobs),
            )
        )
        # As long as this session lives, the run knows that the worker does.
        ledger.execute("SELECT pg_advisory_lock(%s, %s)", (PRESENCE, self.number))
        self._mailbox = Mailbox(ledger, worker_channel(self.number))
        self._workers = Workers(joining.jobs)
        self._tasks: deque[tuple[int, object]] = deque()
        self._last = 0
        """The number of the last task that came."""
        self._doing: dict[Connection, int] = {}
        self._undone: set[int] = set()
        """Tasks that a process has lost."""
        self._gone: ConvergeError | None = None
        self._looked = time.monotonic()

    def _require_fit(self) -> None:
        joining, door = self._joining, self._door
        ours, theirs = (__version__, value(self._ledger, "SELECT session_user")), (door.version, door.role)
        if ours != theirs:
            words = "converge {} and the role {}"
            raise BlockedError(
                f"the run has {words.format(*theirs)}, this worker has {words.format(*ours)}", code=Code.T045
            )
        with closing(connect_source(joining.source)) as source:
            ((server, database),) = fetch(source, "SELECT @@server_uuid, DATABASE()")
        if (server, database) != (door.server, door.database):
            raise SourceError(
                f"this worker's source is {database} of the server {server}, "
                f"the run's is {door.database} of {door.server}",
                code=Code.S032,
                hint="--source with the address of the same server, or CONVERGE_SOURCE_URL",
            )

    def serve(self) -> Ended:
        """Works until the attempt ends or the worker is asked to leave."""
        joining = self._joining
        why = "stopped"
        try:
            with self._workers:
                settings = self._door.settings | {"application_name": f"converge worker {self.number}"}
                self._workers.connect(joining.source, joining.target, **settings)
                self._tell("UPDATE converge.worker SET ready = true WHERE id = %s", self.number)
                late = "" if self._door.open else ", late: for the target's digests"
                joining.emit(Said(f"joined run {self._run} as worker {self.number}{late}"))
                while not self._is_over():
                    if self._gone is not None and not self._workers.free() and not self._doing:
                        raise self._gone
                    if joining.leaving() and not self._doing:
                        return "left"
                    self._go_on()
                why = "the run has ended"
                return "again"
        except ConvergeError as error:
            why = error.message
            raise
        finally:
            self._leave(why)

    def _leave(self, why: str) -> None:
        """Its tasks, done or not, are the run's again."""
        try:
            query = (
                "UPDATE converge.worker SET left_at = clock_timestamp(), reason = %s "
                "WHERE id = %s AND left_at IS NULL"
            )
            self._tell(query, why, self.number)
            self._ledger.execute("SELECT pg_advisory_unlock(%s, %s)", (PRESENCE, self.number))
        except psycopg.Error:
            # The server notices by itself.
            self._ledger.close()

    def _go_on(self) -> None:
        for pipe, kind, content in self._workers.hear(self._mailbox, _POLL_SECONDS):
            if kind in ("done", "failed", "lost"):
                self._ended(pipe, kind, content[0])
        self._mailbox.each(self._fetch)
        if not self._joining.leaving():
            self._hand_out()

    def _fetch(self) -> None:
        rows = self._ledger.execute(
            "SELECT id, task FROM converge.task WHERE worker_id = %s AND id > %s ORDER BY id",
            (self.number, self._last),
        ).fetchall()
        for self._last, task in rows:
            self._tasks.append((self._last, decoded(task)))

    def _hand_out(self) -> None:
        while self._tasks and (free := self._workers.free()):
            number, task = self._tasks[0]
            if isinstance(task, str):
                # All of them, and none does anything else meanwhile.
                if self._doing:
                    return
                for pipe in free:
                    self._doing[pipe] = number
                    self._workers.tell(pipe, task)
                self._tasks.popleft()
                return
            self._tasks.popleft()
            self._doing[free[0]] = number
            self._workers.tell(free[0], task)

    def _ended(self, pipe: Connection, kind: str, content: Any) -> None:
        number = self._doing.pop(pipe)
        if kind != "done":
            self._workers.drop(pipe)
            if not content.lost:
                self._answer(number, encode_error(content))
                return
            # Its snapshot is gone, not the others'.
            self._gone = content
            self._undone.add(number)
        if number in self._doing.values():
            return  # the last one that has begun says so for all
        if number in self._undone:
            left = len(self._workers.free()) + len(self._doing)
            self._answer(number, json.dumps([RETURNED, {RETURNED: left}]))
        else:
            self._answer(number, encode(content), content)

    def _answer(self, number: int, answer: str, result: object = None) -> None:
        copied = result if isinstance(result, Copied) else None
        self._tell(
            "UPDATE converge.task SET answer = %s WHERE id = %s), counted AS (UPDATE converge.worker "
            "SET tasks = tasks + 1, rows = rows + %s, bytes = bytes + %s WHERE id = %s",
            answer, number, copied.rows if copied else 0, copied.bytes if copied else 0, self.number,
        )  # fmt: skip

    def _tell(self, query: str, *parameters: object) -> None:
        told = f"WITH told AS ({query}) SELECT pg_notify(%s, '')"
        self._ledger.execute(told.encode(), (*parameters, run_channel(self._door.attempt)))

    def _is_over(self) -> bool:
        """Whether the run no longer has this worker: asked now and then, and when the run says so."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS and not self._mailbox.over:
            return False
        self._looked = now
        query = (
            "UPDATE converge.worker w SET seen_at = clock_timestamp() FROM converge.run r "
            "WHERE r.id = run_id AND w.id = %(number)s "
            f"RETURNING left_at IS NULL AND state = 'running' AND {ALIVE}"
        )
        has = self._ledger.execute(query.encode(), {"number": self.number, "attempt": self._door.attempt})
        return has.fetchone() != (True,)
