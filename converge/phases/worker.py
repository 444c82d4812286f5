"""A worker process: one connection to each server, one task at a time.

The coordinator sends a task and gets ``("progress", table, rows, bytes)`` while it runs and then
``("done", result)`` or ``("failed", error)``. The worker holds its source snapshot from `begin` to
its end, so that the comparison reads what the copy read. It ignores SIGINT, SIGTERM and SIGHUP, which reach
whole process groups: the coordinator gets them too and lets the chunk settle.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from typing import Any

import psycopg
from pymysql.connections import Connection
from pymysql.constants import COMMAND

from converge.errors import ConvergeError, SourceError, TargetError
from converge.model.endpoint import Endpoint
from converge.model.result import Difference
from converge.model.work import Copied, CopyTask, Digest, DigestTask, DrillTask
from converge.mysql import connect as mysql
from converge.mysql.packets import NullRow, stream
from converge.phases.drill import Drill
from converge.phases.explain import DRIVER_ERRORS, explain
from converge.postgres import connect as postgres
from converge.postgres.copy import claim, enter, write
from converge.postgres.text import encode

_TELL_BYTES = 1_000_000
BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


class Worker:
    """The two connections of a worker process and what it can do with them."""

    def __init__(self, source: Endpoint, target: Endpoint, pipe: Pipe) -> None:
        self._source_at = source
        self._target_at = target
        self._pipe = pipe
        self.source: Connection[Any] = mysql.connect(source)
        # A chunk and its ledger row are lost or kept together, so a late flush loses nothing that
        # the ledger claims; the coordinator's last commit is synchronous.
        self.target: psycopg.Connection[Any] = postgres.connect(target, synchronous_commit="off")

    def begin(self) -> None:
        with self.source.cursor() as cursor:
            cursor.execute(BEGIN)

    def copy(self, task: CopyTask) -> Copied:
        """One chunk, exactly once. A chunk that the ledger has already is left alone."""
        started = time.monotonic()
        self._rows = self._bytes = 0
        with self.target.transaction():
            if not claim(self.target, task):
                return Copied(task.table, task.number, 0, 0, 0.0)
            written = write(self.target, task.copy, self._blocks(task))
            if written != self._rows:
                raise TargetError(
                    f"{task.table}: {self._rows} rows were read, {written} written; the chunk is rolled back",
                    code="R002",
                )
            seconds = time.monotonic() - started
            enter(self.target, task, self._rows, self._bytes, seconds)
        return Copied(task.table, task.number, self._rows, self._bytes, seconds)

    def digest(self, task: DigestTask) -> Digest:
        """Runs both sides at the same time: MySQL computes while PostgreSQL is asked."""
        result = Digest(task.table)
        driver: Any = self.source
        if task.source:
            driver._execute_command(COMMAND.COM_QUERY, task.source)
        if task.target:
            row = self.target.execute(task.target.encode()).fetchone()
            assert row is not None
            result += Digest(task.table, target_rows=row[0], target_sum=int(row[1] or 0))
        if task.source:
            driver._read_query_result()
            ((rows, total, *changes),) = driver._result.rows
            result += Digest(
                task.table, source_rows=rows, source_sum=int(total or 0), changes=tuple(map(int, changes))
            )
        return result

    def drill(self, task: DrillTask) -> tuple[str, list[Difference]]:
        """The differences of one table."""
        return task.table.source, Drill(self.source, self.target, task.schema, task.table).differences()

    def _blocks(self, task: CopyTask) -> Iterator[bytes]:
        """COPY text in blocks of one read; tells the coordinator about each megabyte."""
        told_rows = told_bytes = 0
        for rows in stream(self.source, task.query):
            block = encode(rows) if task.marked else b"".join(rows)
            self._rows += len(rows)
            self._bytes += len(block)
            if self._bytes - told_bytes > _TELL_BYTES:
                self._pipe.send(("progress", task.table, self._rows - told_rows, self._bytes - told_bytes))
                told_rows, told_bytes = self._rows, self._bytes
            yield block
        self._pipe.send(("progress", task.table, self._rows - told_rows, self._bytes - told_bytes))

    def explain(self, error: Exception, task: CopyTask | DigestTask | None) -> ConvergeError:
        """The error in words, with the table that it happened in."""
        if isinstance(error, ConvergeError):
            return error
        where = f"{task.table}: " if task else ""
        if isinstance(error, NullRow):
            return SourceError(
                f"{where}a row is longer than the source's max_allowed_packet",
                code="D002",
                hint="SET GLOBAL max_allowed_packet = 1073741824; on the source, then migrate again",
            )
        explained = explain(error, self._source_at, self._target_at)
        explained.message = where + explained.message
        return explained


def main(pipe: Pipe) -> None:
    """The process: waits for its addresses, then serves until the coordinator says stop or is gone."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    try:
        addresses = pipe.recv()
        if addresses is None:
            return
        source, target = addresses
        worker = Worker(source, target, pipe)
        pipe.send(("done", None))
        _serve(worker, pipe)
    except ConvergeError as error:
        pipe.send(("failed", error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The coordinator is gone; both servers roll back what was open.
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - a bug of ours: the coordinator says so
        traceback.print_exc()
        pipe.send(("failed", error))


def _serve(worker: Worker, pipe: Pipe) -> None:
    while True:
        task = pipe.recv()
        try:
            match task:
                case None:
                    return
                case "begin":
                    worker.begin()
                    pipe.send(("done", None))
                case CopyTask():
                    pipe.send(("done", worker.copy(task)))
                case DigestTask():
                    pipe.send(("done", worker.digest(task)))
                case DrillTask():
                    pipe.send(("done", worker.drill(task)))
        except (ConvergeError, NullRow, *DRIVER_ERRORS) as error:
            if isinstance(error, BrokenPipeError):
                raise
            known = task if isinstance(task, CopyTask | DigestTask) else None
            raise worker.explain(error, known) from error
