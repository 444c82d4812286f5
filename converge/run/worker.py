"""One worker process: a connection to each server, and one task at a time.

It holds its source snapshot from `begin` to its end, so that the comparison reads what the copy read.
The coordinator sends a task and gets ``("progress", table, rows, bytes)`` while it runs and then
``("done", result)`` or ``("failed", error)``. SIGINT, SIGTERM and SIGHUP, which reach whole process groups,
are ignored: the coordinator gets them too and lets the chunk end.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any

import psycopg
import pymysql
from pymysql.constants import COMMAND

from converge import signals
from converge.codes import Code
from converge.errors import ConvergeError, SourceError, TargetError
from converge.model.check import CheckResult
from converge.model.endpoint import Endpoint
from converge.model.result import Difference, Reject, ViewResult
from converge.model.words import counted
from converge.model.work import (
    CheckTask,
    Copied,
    CopyTask,
    Digest,
    DigestTask,
    Drilled,
    DrillTask,
    Fetched,
    FetchTask,
    FindTask,
    RecordsTask,
    Repaired,
    RepairTask,
    ViewTask,
    Written,
    WrittenTask,
)
from converge.mysql import connect as mysql
from converge.mysql.rows import NullRow, Read, require_uncut, stream, whole_rows
from converge.mysql.snapshot import begin
from converge.postgres import connect as postgres
from converge.postgres.copy import claim, encoder, enter, rolled_back, write
from converge.postgres.errors import refuses_row, rows_refused
from converge.run.checks import carry_out
from converge.run.choose import choose, fetch
from converge.run.connections import DRIVER_ERRORS, explain, explained
from converge.run.drill_down import Drill
from converge.run.rejects import find
from converge.run.replace import replace_rows
from converge.run.retry import CHUNK_TRIES, passes, pauses
from converge.run.suspects import records
from converge.run.unlike import Parts
from converge.run.views import ViewComparison

Task = CopyTask | DigestTask | WrittenTask
_TELL_BYTES = 1_000_000


class Worker:
    """The two connections of a worker process and what it can do with them."""

    def __init__(self, source: Endpoint, target: Endpoint, settings: dict[str, str], pipe: Pipe) -> None:
        self._source_at = source
        self._target_at = target
        self._settings = {"synchronous_commit": "off", **settings}
        self._pipe = pipe
        self._reading: Iterator[Read] = iter(())
        self._told = (0, 0)
        self.source = mysql.connect(source)
        self._connect_target()

    def begin(self, marked: str) -> None:
        """Takes the snapshot of the source: of all workers under one lock, on the server that is marked."""
        begin(self.source, marked)

    def copy(self, task: CopyTask) -> Copied:
        """One chunk, exactly once. A chunk that the ledger has already is left alone.

        When only the target fails, or somebody kills the query, the snapshot of the source lives on: the
        chunk is tried again under it.
        """
        for pause in pauses(CHUNK_TRIES):
            try:
                return self._chunk_or_part(task)
            except (psycopg.Error, pymysql.err.Error, TargetError) as error:
                if not passes(error):
                    raise
            self._take_back(task)
            time.sleep(pause)
        return self._chunk_or_part(task)

    def _chunk_or_part(self, task: CopyTask) -> Copied:
        """The chunk; without the rows that the target refuses, where the task allows it."""
        self._told, self._reading = (0, 0), iter(())
        if self.target.broken:
            # The lost one's backend, if it lives, must not keep the chunk.
            lost = self._backend
            self._connect_target()
            postgres.end(self.target, lost)
        try:
            return self._chunk(task, [])
        except psycopg.Error as error:
            if not (task.most_rejects and refuses_row(error)):
                raise
        self._take_back(task)
        self._reading = stream(self.source, task.query)
        return self._chunk(
            task, find(self.target, task, whole_rows(self._reading), encoder(marked=task.marked))
        )

    def _chunk(self, task: CopyTask, bad: Sequence[tuple[bytes, Reject]]) -> Copied:
        started = time.monotonic()
        self._rows = self._bytes = 0
        with rolled_back(self.target):
            if (done := claim(self.target, task)) is not None:
                return done
            without = Counter(row for row, _ in bad)
            written = write(self.target, task.copy, self._blocks(task, without))
            if written + len(bad) != self._rows or +without:
                raise TargetError(
                    f"{task.table}: {counted(self._rows, 'row')} read, {written} written, "
                    f"{len(bad)} rejected; the chunk is rolled back",
                    code=Code.R002,
                )
            seconds = time.monotonic() - started
            copied = Copied(task.table, task.number, written, self._bytes, seconds, len(bad))
            enter(self.target, task.run, copied, [reject for _, reject in bad])
        return copied

    def _connect_target(self) -> None:
        # A chunk and its ledger row are lost or kept together, so a late flush loses nothing that
        # the ledger claims; the coordinator's last commit is synchronous.
        self.target = postgres.connect(self._target_at, **self._settings)
        self._backend = postgres.backend(self.target)

    def _take_back(self, task: CopyTask) -> None:
        """Makes ready for a new try: reads what is still sent, because its connection holds the snapshot."""
        rows, size = self._told
        self._pipe.send(("progress", task.table, -rows, -size))
        for _ in self._reading:
            pass

    def digest(self, task: DigestTask) -> Digest:
        """Runs both sides at the same time: MySQL computes while PostgreSQL is asked."""
        driver: Any = self.source
        here: Sequence[Any] = (0, 0)
        there: Sequence[Any] = (0, 0)
        if task.source:
            driver._execute_command(COMMAND.COM_QUERY, task.source)
        if task.target:
            (there,) = self.target.execute(task.target.encode()).fetchall()
        if task.source:
            driver._read_query_result()
            (here,) = driver._result.rows
            if task.uncut and driver._result.warning_count:
                require_uncut(self.source)
        rows, total, *changes = (int(value or 0) for value in here)
        if task.counts:
            return Digest(task.table, counted=rows)
        seen, hashed = there[0], int(there[1] or 0)
        return Digest(task.table, rows, total, seen, hashed, tuple(changes), task.chunk, half=task.half)

    def drill(self, task: DrillTask) -> Drilled:
        """The differences of one table; each of them is told on the way, where the task wants that."""

        def tell(found: list[Difference]) -> None:
            self._pipe.send(("found", found))

        drill = Drill(self.source, self.target, task.schema, task.table)
        return drill.run(tell if task.every else None)

    def find(self, task: FindTask) -> Repaired:
        """Notes which rows of a table differ, and what is to be done about them."""
        parts = Parts(task.folder, task.parts) if task.folder else None
        drill = Drill(self.source, self.target, task.schema, task.table, parts)
        return choose(self.target, task, drill.differing())

    def records(self, task: RecordsTask) -> Digest:
        """Adds the digests of a range of rows to the table's files, and sums them."""
        side, blocks = records(self.source, self.target, task)
        sums = Parts(task.folder, task.parts).add(side, blocks)
        return Digest(task.table.source, *(sums if side == 0 else (0, 0, *sums)))

    def fetch(self, task: FetchTask) -> Fetched:
        """Reads the source's rows that are to come."""
        return fetch(self.source, task)

    def repair(self, task: RepairTask) -> None:
        """Replaces rows that differ, or tells the statements that would."""
        replace_rows(self.target, task, lambda block: self._pipe.send(("found", block)))

    def check(self, task: CheckTask) -> CheckResult:
        """What came of a map's check: a query that fails is a check that fails."""
        return carry_out(self.source, self.target, task)

    def view(self, task: ViewTask) -> tuple[ViewResult, list[Difference]]:
        """What came of comparing a view, or the expressions of an index."""
        return ViewComparison(self.source, self.target, task).result()

    def written(self, task: WrittenTask) -> Written:
        """What each transaction has written to a table, as it is now."""
        rows = self.target.execute(task.target.encode())
        return Written(task.table, {xid: (count, int(total or 0)) for xid, count, total in rows})

    def _blocks(self, task: CopyTask, without: Counter[bytes]) -> Iterator[bytes]:
        """COPY text in blocks of one read; tells the coordinator about each megabyte.

        Takes the rows out of `without` that it leaves out.
        """
        encoded = encoder(marked=task.marked)
        started = time.monotonic()
        self._told = (0, 0)
        self._reading = stream(self.source, task.query)
        for rows, parts in _others(self._reading, without) if without else self._reading:
            block = encoded(parts)
            self._rows += rows
            self._bytes += len(block)
            if task.rate:
                time.sleep(max(0.0, started + self._bytes / task.rate - time.monotonic()))
            if self._bytes - self._told[1] > _TELL_BYTES:
                self._tell(task)
            yield block
        self._tell(task)

    def _tell(self, task: CopyTask) -> None:
        rows, size = self._told
        self._pipe.send(("progress", task.table, self._rows - rows, self._bytes - size))
        self._told = (self._rows, self._bytes)

    def explain(self, error: Exception, task: Task | None) -> ConvergeError:
        """The error in words, with the table that it happened in."""
        if isinstance(error, ConvergeError):
            return error
        where = f"{task.table}: " if task else ""
        if isinstance(error, NullRow):
            copies = isinstance(task, CopyTask)
            return SourceError(
                f"{where}a row or a value is longer than the source's max_allowed_packet",
                code=Code.D002 if copies else Code.V003,
                hint="SET GLOBAL max_allowed_packet = 1073741824; on the source"
                + ("" if copies else ", then verify again"),
            )
        explained = explain(error, self._source_at, self._target_at)
        if isinstance(task, CopyTask) and isinstance(error, psycopg.Error) and refuses_row(error):
            if explained.code is Code.T000:
                explained = rows_refused(error)
            repair = explained.hint or "repair the rows in the source"
            explained.hint = f"{repair}, or leave out rows that the target refuses: --on-bad-row reject"
        explained.message = where + explained.message
        return explained


def _others(reads: Iterable[Read], without: Counter[bytes]) -> Iterator[Read]:
    """The reads without these rows, which count as read."""
    for rows in whole_rows(reads):
        kept = []
        for row in rows:
            if without[row] > 0:
                without[row] -= 1
            else:
                kept.append(row)
        yield len(rows), kept


def main(pipe: Pipe) -> None:
    """The process: waits for its addresses, then serves until the coordinator says stop or is gone."""
    signals.ignore()
    # The driver's warnings say in other words what is raised.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        _answer(pipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The coordinator is gone; both servers roll back what was open.
        os._exit(1)


def _answer(pipe: Pipe) -> None:
    try:
        addresses = pipe.recv()
        if addresses is None:
            return
        source, target, settings = addresses
        with explained(source, target):
            worker = Worker(source, target, settings, pipe)
        pipe.send(("done", None))
        _serve(worker, pipe)
    except ConvergeError as error:
        pipe.send(("failed", error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours: the coordinator says so, if it is there
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        pipe.send(("failed", error))


METHODS: dict[type, Callable[[Worker, Any], object]] = {
    str: Worker.begin,
    CopyTask: Worker.copy,
    DigestTask: Worker.digest,
    WrittenTask: Worker.written,
    DrillTask: Worker.drill,
    RecordsTask: Worker.records,
    FindTask: Worker.find,
    FetchTask: Worker.fetch,
    RepairTask: Worker.repair,
    CheckTask: Worker.check,
    ViewTask: Worker.view,
}


def _serve(worker: Worker, pipe: Pipe) -> None:
    while True:
        task = pipe.recv()
        try:
            if task is None:
                return
            pipe.send(("done", METHODS[type(task)](worker, task)))
        except (ConvergeError, NullRow, *DRIVER_ERRORS) as error:
            if isinstance(error, BrokenPipeError):
                raise
            known = task if isinstance(task, Task) else None
            raise worker.explain(error, known) from error
