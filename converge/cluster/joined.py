"""The run's side of workers on other machines: who has joined, what each has to do, who has gone."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pymysql.connections import Connection

from converge import __version__
from converge.cluster.messages import (
    OVER,
    PRESENCE,
    RETURNED,
    Door,
    Mailbox,
    decoded,
    encode,
    run_channel,
    worker_channel,
)
from converge.cluster.start import Started, dask, local
from converge.codes import Code
from converge.model.event import Progress, Said, Sink, WorkerAnswered
from converge.model.finding import Finding
from converge.model.words import counted
from converge.model.work import Copied, CopyTask, DigestTask, WrittenTask
from converge.mysql.query import fetch
from converge.postgres.connect import as_login, connect
from converge.postgres.ledger import Ledger
from converge.postgres.lock import attempt_of
from converge.postgres.query import value
from converge.run.attempt import Job

_BEGIN_SECONDS = 1.0
"""Who has not begun by then is not waited for: it is the time that writers of the source are held off."""
_LOOK_SECONDS = 1.0
_SILENT_SECONDS = 20.0
"""A worker says every two seconds that it lives: its session may outlive it behind a proxy."""


@dataclass
class _Member:
    """A worker that has joined, with its tasks by their numbers."""

    id: int
    host: str
    jobs: int
    late: bool = False
    """It came after the snapshot, and reads nothing of the source."""
    tasks: dict[int, object] = field(default_factory=dict)

    @property
    def room(self) -> int:
        """One task more than it can work on, so that it need not wait for the next."""
        return self.jobs + 1 - len(self.tasks)


class Guests:
    """The workers that have joined a run: one place for tasks beside the pipes of `run/workers`."""

    def __init__(self, mailbox: Mailbox, run: int, door: Door, emit: Sink) -> None:
        self._mailbox, self._run, self._door, self._emit = mailbox, run, door, emit
        self._connection = mailbox.connection
        self._members: dict[int, _Member] = {}
        self._looked = time.monotonic()
        self._until: float | None = None
        """While all begin: when those that have not answered are left out."""
        self.returned: deque[object] = deque()
        """Tasks of workers that have left, to be given to others."""
        self.findings: list[Finding] = []
        """What the run's report says of them."""
        self.others = 0
        """Workers that somebody else starts."""
        self.started: list[Started] = []
        self._show_door()

    @property
    def jobs(self) -> int:
        """Worker processes of all that have the snapshot."""
        return sum(member.jobs for member in self._on_time())

    def _on_time(self) -> list[_Member]:
        return [member for member in self._members.values() if not member.late]

    # ---- joining ---------------------------------------------------------------------------------------

    def gather(self, seconds: float) -> None:
        """Waits until all are ready, at most for this time; then nobody else may join."""
        awaited = self.others + sum(one.count for one in self.started)
        self._emit(Said(f"waiting for {counted(awaited, 'worker')} to join run {self._run}"))
        until = time.monotonic() + seconds
        query = f"SELECT count(*) FROM converge.worker w WHERE {_READY}"
        failed: list[str] = []
        while time.monotonic() < until and value(self._connection, query, self._names) < awaited - len(
            failed
        ):
            time.sleep(0.1)
            failed = [said for one in self.started for said in one.failed()]
        with self._connection.transaction():
            rows = self._take_ready()
            self._door = replace(self._door, open=False)
            self._show_door()
        self._members = {number: _Member(number, host, jobs) for number, host, jobs in rows}
        hosts = ", ".join(f"{member.host} ({member.jobs})" for member in self._members.values()) or "none"
        self._emit(Said(f"joined: {hosts}"))
        if len(rows) < awaited:
            message = f"{len(rows)} of {counted(awaited, 'worker')} joined within {seconds:g} s"
            why = "; ".join(dict.fromkeys(failed))
            self._emit(Said(f"{message}: {why}" if why else message))
            self.findings.append(Finding(Code.R006, "note", "workers", message, evidence=why))

    def _take_ready(self) -> list[tuple[int, str, int]]:
        query = f"UPDATE converge.worker w SET taken = true WHERE {_READY} RETURNING id, host, jobs"
        return sorted(self._connection.execute(query, self._names).fetchall())

    @property
    def _names(self) -> dict[str, Any]:
        return {"run": self._run, "attempt": self._door.attempt, "presence": PRESENCE}

    def _show_door(self) -> None:
        self._connection.execute(
            "UPDATE converge.run SET joins = %s::jsonb WHERE id = %s",
            (json.dumps(asdict(self._door)), self._run),
        )

    # ---- tasks -----------------------------------------------------------------------------------------

    @property
    def busy(self) -> int:
        """Tasks that they have."""
        return sum(len(member.tasks) for member in self._members.values())

    @property
    def room(self) -> bool:
        """Whether they take one more."""
        return any(member.room > 0 for member in self._on_time())

    @property
    def heard(self) -> bool:
        """Whether somebody has said something that is read already."""
        return self._mailbox.heard

    def fileno(self) -> int:
        """Can be read when somebody has said something."""
        return self._mailbox.fileno()

    def give(self, task: object) -> None:
        """To the one that has most to spare."""
        if isinstance(task, CopyTask):
            task = replace(task, attempt=self._door.attempt)
        self._send(max(self._on_time(), key=lambda member: member.room), task)

    def give_late(self, tasks: Iterator[object]) -> None:
        """Those that came late get the target's half of digests; the source's half is `returned`."""
        for member in [member for member in self._members.values() if member.late]:
            while member.room > 0 and (task := self._of_target(tasks, 2 * member.jobs)):
                self._send(member, task)

    def _of_target(self, tasks: Iterator[object], most: int) -> object:
        """A task that needs no snapshot, of `returned` or of the next `tasks`; `most` may be put off."""
        number = 0
        while True:
            if number == len(self.returned):
                if number >= most or (task := next(tasks, None)) is None:
                    return None
                self.returned.append(task)
            task = self.returned[number]
            if isinstance(task, DigestTask) and task.source and task.target:
                self.returned[number] = replace(task, target="")
                return replace(task, source="", uncut=False, half=True)
            if isinstance(task, WrittenTask) or (isinstance(task, DigestTask) and task.target):
                del self.returned[number]
                return task
            number += 1

    def everyone(self, task: object) -> None:
        """Gives all of them the same task."""
        for member in self._on_time():
            self._send(member, task)
        self._until = time.monotonic() + _BEGIN_SECONDS

    def _send(self, member: _Member, task: object) -> None:
        query = (
            "WITH sent AS (INSERT INTO converge.task (worker_id, task) VALUES (%s, %s) RETURNING id) "
            "SELECT id FROM sent, pg_notify(%s, '')"
        )
        number = value(self._connection, query, (member.id, encode(task), worker_channel(member.id)))
        member.tasks[number] = task

    def take(self) -> list[Any]:
        """What they have said; also notes who has gone, whose tasks are then `returned`.

        Raises the error of a task that failed.
        """
        results: list[Any] = []
        self._mailbox.each(lambda: results.extend(self._answers()))
        now = time.monotonic()
        if self._until is not None and now > self._until:
            self._until = None
            for member in [member for member in self._members.values() if member.tasks]:
                self._part(member, "it has not begun in time")
        if not self.busy:
            self._until = None
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._look_for_gone()
            if not self._door.open:
                self._look_for_late()
        return results

    def _answers(self) -> Iterator[Any]:
        rows = self._connection.execute(
            "DELETE FROM converge.task WHERE answer IS NOT NULL AND worker_id = ANY (%s) "
            "RETURNING worker_id, id, answer",
            (list(self._members),),
        ).fetchall()
        for worker, number, answer in rows:
            member = self._members[worker]
            task, result = member.tasks.pop(number), decoded(answer)
            if isinstance(result, dict) and RETURNED in result:
                member.jobs = result[RETURNED]
                self._return(task)
            else:
                copied = (result.rows, result.bytes) if isinstance(result, Copied) else (0, 0)
                self._emit(WorkerAnswered(member.id, member.host, *copied))
                if isinstance(result, Copied):
                    yield Progress(result.table, *copied)
                yield result

    def _look_for_gone(self) -> None:
        there = self._connection.execute(
            f"SELECT w.id FROM converge.worker w JOIN pg_locks l ON {_PRESENT} AND l.granted "
            "WHERE w.id = ANY (%(members)s) AND left_at IS NULL "
            "AND seen_at > clock_timestamp() - %(silent)s * interval '1 s'",
            {"presence": PRESENCE, "members": list(self._members), "silent": _SILENT_SECONDS},
        ).fetchall()
        for number in self._members.keys() - {number for (number,) in there}:
            self._part(self._members[number], "it no longer answers")

    def _look_for_late(self) -> None:
        for number, host, jobs in self._take_ready():
            self._members[number] = _Member(number, host, jobs, late=True)
            self._emit(Said(f"joined late: {host} ({jobs}), for the target's digests"))

    def _part(self, member: _Member, why: str) -> None:
        """Without this worker; whatever it still does in the target is rolled back."""
        del self._members[member.id]
        self._return(*member.tasks.values())
        row = self._connection.execute(
            "UPDATE converge.worker SET left_at = clock_timestamp(), reason = %s "
            "WHERE id = %s AND left_at IS NULL RETURNING id",
            (why, member.id),
        ).fetchone()
        self._connection.execute("DELETE FROM converge.task WHERE worker_id = %s", (member.id,))
        with as_login(self._connection):
            self._connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND usename = session_user AND application_name = %s",
                (f"converge worker {member.id}",),
            )
        words = f"worker {member.id} on {member.host} has left" + (f": {why}" if row else "")
        self._emit(Said(f"{words}; others do its {counted(len(member.tasks), 'task')}"))
        self.findings.append(Finding(Code.R005, "note", "workers", words))

    def _return(self, *tasks: object) -> None:
        # What all were to do is nobody else's.
        self.returned += [task for task in tasks if not isinstance(task, str)]

    def close(self) -> None:
        """Tells all that there is nothing more to do, which the run's row says."""
        for member in self._members.values():
            self._connection.execute("SELECT pg_notify(%s, %s)", (worker_channel(member.id), OVER))


# pg_locks has those of all databases, whose workers have the same numbers.
_PRESENT = (
    "l.locktype = 'advisory' AND (l.classid, l.objid, l.objsubid) = (%(presence)s::oid, w.id::oid, 2) "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_READY = (
    "w.run_id = %(run)s AND w.attempt = %(attempt)s AND w.ready AND NOT w.taken AND w.left_at IS NULL "
    f"AND EXISTS (SELECT FROM pg_locks l WHERE {_PRESENT})"
)


@contextmanager
def opened(ledger: Ledger, source: Connection[Any], job: Job, settings: dict[str, str]) -> Iterator[Guests]:
    """Lets workers join the run, from now until `Guests.gather` has them."""
    ((server, database),) = fetch(source, "SELECT @@server_uuid, DATABASE()")
    attempt = attempt_of(ledger.connection)
    role = value(ledger.connection, "SELECT session_user")
    door = Door(attempt, __version__, server, database, role, settings)
    named = {"application_name": "converge workers"}
    with closing(connect(job.target, **named, synchronous_commit="off")) as connection:
        guests = Guests(Mailbox(connection, run_channel(attempt)), ledger.run_id, door, job.emit)
        awaited = job.options.awaited
        with ExitStack() as stack:
            for place in awaited.places:
                kind, address = place
                if kind == "join":
                    guests.others += int(address)
                elif kind == "local":
                    how = local(int(address), job.source, job.target, ledger.run_id)
                    guests.started.append(stack.enter_context(how))
                else:
                    how = dask(address, ledger.run_id, awaited.arguments, awaited.seconds)
                    guests.started.append(stack.enter_context(how))
            stack.callback(guests.close)
            yield guests
