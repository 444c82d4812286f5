"""Runs the plan's statements: each once, entered in the ledger, several at a time where they may.

Indexes begin as soon as their table is loaded. Foreign keys are added one by one, because two at
once could lock each other's tables, and validated side by side.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import psycopg

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.plan import Finding, Phase, Plan, Statement
from converge.postgres.connect import connect, explain
from converge.postgres.ledger import Ledger, run_step

_SETTINGS = {"maintenance_work_mem": "256MB", "synchronous_commit": "off"}


class Builder:
    """Statements of one run on `jobs` connections. Leaving the context cancels what still runs."""

    def __init__(self, plan: Plan, ledger: Ledger, target: Endpoint, jobs: int, emit: Sink) -> None:
        self._plan = plan
        self._run = ledger.run
        self._done = ledger.steps()
        self._target = target
        self._emit = emit
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Any]] = []
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="build")
        self._futures: set[Future[list[Finding | None]]] = set()
        self.findings: list[Finding] = []

    def __enter__(self) -> Builder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            for connection in self._connections:
                connection.cancel_safe(timeout=2)
        self._pool.shutdown(wait=True)
        for connection in self._connections:
            connection.close()

    def count(self, *phases: Phase) -> int:
        """How many statements these phases have left."""
        return sum(1 for _ in self._left(phases))

    def pending(self) -> int:
        """How many statements have begun and not ended."""
        return len(self._futures)

    def in_order(self, *phases: Phase) -> None:
        """Runs the statements of these phases one after the other, here and now."""
        for phase in phases:
            for number, statement in self._left([phase]):
                self._keep(self._run_one(number, statement))

    def begin(self, phase: Phase, table: str) -> None:
        """Begins a table's statements of this phase in the background, each for itself."""
        for number, statement in self._left([phase]):
            if statement.object == table:
                self._submit([(number, statement)])

    def side_by_side(self, *phases: Phase) -> None:
        """Runs each phase's objects at the same time, the statements of one object in their order."""
        for phase in phases:
            groups: dict[str, list[tuple[int, Statement]]] = defaultdict(list)
            for number, statement in self._left([phase]):
                groups[statement.object].append((number, statement))
            for group in groups.values():
                self._submit(group)
            self.finish()

    def look(self) -> None:
        """Takes what has ended. Raises the first error."""
        self._take({future for future in self._futures if future.done()})

    def finish(self) -> None:
        """Waits for all that was begun. Raises the first error."""
        while self._futures:
            # A bounded wait lets Ctrl-C through.
            done, _ = wait(self._futures, timeout=0.5, return_when=FIRST_COMPLETED)
            self._take(done)

    def _left(self, phases: Iterable[Phase]) -> list[tuple[int, Statement]]:
        wanted = set(phases)
        return [
            (number, statement)
            for number, statement in enumerate(self._plan.statements)
            if statement.phase in wanted and number not in self._done
        ]

    def _submit(self, group: list[tuple[int, Statement]]) -> None:
        self._done.update(number for number, _ in group)
        self._futures.add(self._pool.submit(lambda: [self._run_one(*item) for item in group]))

    def _take(self, done: set[Future[list[Finding | None]]]) -> None:
        self._futures -= done
        for future in done:
            self._keep(*future.result())

    def _keep(self, *findings: Finding | None) -> None:
        self.findings += [finding for finding in findings if finding]

    def _run_one(self, number: int, statement: Statement) -> Finding | None:
        try:
            refused = run_step(self._connection(), self._run, number, statement)
        except psycopg.Error as error:
            explained = explain(error, self._target)
            explained.message = f"{statement.object}: {explained.message}"
            explained.details = (statement.sql, *explained.details)
            raise explained from error
        self._done.add(number)
        self._emit(Advanced(statement.phase, statement.object))
        if refused is None:
            return None
        return Finding(
            "P052", "lossy", statement.object, f"the target refused {statement.why}: {refused}", statement.sql
        )

    def _connection(self) -> psycopg.Connection[Any]:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(self._target, **_SETTINGS)
            self._connections.append(self._local.connection)
        connection: psycopg.Connection[Any] = self._local.connection
        return connection
