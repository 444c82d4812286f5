"""Runs the plan's statements: each once, entered in the ledger, several at a time where they may.

Indexes begin as soon as their table is loaded. Foreign keys are added one by one, because two at
once could lock each other's tables, and validated side by side.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cached_property
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.plan import Finding, Phase, Plan, Statement
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.postgres.ledger import BUILDER, Ledger, run_steps

_SETTINGS = {
    "maintenance_work_mem": "256MB",
    "synchronous_commit": "off",
    "application_name": BUILDER,
}

Step = tuple[int, Statement]


class Builder:
    """Statements of one run on `jobs` connections. Leaving the context cancels what still runs."""

    def __init__(self, plan: Plan, ledger: Ledger, target: Endpoint, jobs: int, emit: Sink) -> None:
        self._plan = plan
        # What is put back lies where it lay: what has a tablespace of its own is never taken away.
        self._settings = _SETTINGS | ({"default_tablespace": ""} if plan.mode == "load" else {})
        self._run = ledger.run
        self._target = target
        self._emit = emit
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Any]] = []
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="build")
        self._futures: set[Future[dict[int, str]]] = set()
        self._begun: set[int] = set()
        self.findings: list[Finding] = []
        earlier = ledger.steps()
        self._begun.update(earlier)
        self._keep({number: refused for number, refused in earlier.items() if refused is not None})

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            for connection in self._connections:
                # One that is gone has nothing to cancel, and its error must not hide the first one.
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=2)
        self._pool.shutdown(wait=True)
        for connection in self._connections:
            connection.close()

    def count(self, *phases: Phase) -> int:
        """How many statements these phases have left."""
        return sum(len(group) for phase in phases for group in self._groups(phase))

    def pending(self) -> int:
        """How many background jobs have begun and not ended."""
        return len(self._futures)

    def again(self, *phases: Phase) -> None:
        """These phases are to do again: the ledger has taken their statements back."""
        for phase in phases:
            self._begun -= {number for group in self._steps[phase].values() for number, _ in group}

    def in_order(self, *phases: Phase) -> None:
        """Runs the statements of these phases, one object after the other."""
        for phase in phases:
            for group in self._groups(phase):
                self._submit(group)
                self.finish()

    def begin(self, phase: Phase, table: str) -> None:
        """Begins a table's statements of this phase in the background, each for itself."""
        for group in self._groups(phase, table):
            for step in group:
                self._submit([step])

    def side_by_side(self, *phases: Phase) -> None:
        """Runs each phase's objects at the same time, the statements of one object in their order."""
        for phase in phases:
            for group in self._groups(phase):
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

    def _groups(self, phase: Phase, table: str | None = None) -> list[list[Step]]:
        """The statements of a phase that are left, by object."""
        objects = self._steps[phase]
        groups = objects.values() if table is None else [objects.get(table, [])]
        left = ([step for step in group if step[0] not in self._begun] for group in groups)
        return [group for group in left if group]

    @cached_property
    def _steps(self) -> dict[Phase, dict[str, list[Step]]]:
        steps: dict[Phase, dict[str, list[Step]]] = defaultdict(lambda: defaultdict(list))
        for number, statement in enumerate(self._plan.statements):
            steps[statement.phase][statement.object].append((number, statement))
        return steps

    def _submit(self, group: list[Step]) -> None:
        self._begun.update(number for number, _ in group)
        self._futures.add(self._pool.submit(self._run_group, group))

    def _take(self, done: set[Future[dict[int, str]]]) -> None:
        self._futures -= done
        for future in done:
            self._keep(future.result())

    def _keep(self, refusals: dict[int, str]) -> None:
        for number, reason in refusals.items():
            statement = self._plan.statements[number]
            message = f"the target refused {statement.why}: {reason}"
            self.findings.append(Finding(Code.P052, "lossy", statement.object, message, statement.sql))

    def _run_group(self, group: list[Step]) -> dict[int, str]:
        try:
            refusals = run_steps(self._connection(), self._run, group)
        except psycopg.Error as error:
            explained = explain(error, self._target)
            _, first = group[0]
            explained.message = f"{first.object}, {first.phase}: {explained.message}"
            explained.details = (*(statement.sql for _, statement in group), *explained.details)
            raise explained from error
        for _, statement in group:
            self._emit(Advanced(statement.phase, statement.object))
        return refusals

    def _connection(self) -> psycopg.Connection[Any]:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(self._target, **self._settings)
            self._connections.append(self._local.connection)
        connection: psycopg.Connection[Any] = self._local.connection
        return connection
