"""Runs the plan's statements: each once, entered in the ledger, several at a time where they may.

Indexes begin as soon as their table is loaded. Foreign keys are added one after the other, because two at
once could lock each other's tables, and validated side by side. What takes no time is done for many objects
in one transaction: of thousands of small tables each statement would cost round trips and a commit.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.finding import Finding
from converge.model.plan import Phase, Plan, Statement
from converge.postgres.connect import connect
from converge.postgres.errors import explain, in_its_words, is_bad_row
from converge.postgres.ledger import Ledger, Step, run_steps
from converge.postgres.lock import BUILDER
from converge.postgres.query import lock_room

_SETTINGS = {
    "maintenance_work_mem": "256MB",
    "synchronous_commit": "off",
    "application_name": BUILDER,
}

_QUICK = frozenset({"shared", "create", "view", "foreign key"})
"""Phases whose statements read no rows, in create mode; a load sets rows aside."""
_HOOKS = frozenset[Phase]({"after create", "after copy", "after finish"})
_SMALL_BYTES = 1_000_000
"""Tables with fewer bytes of data are small: their statements share transactions."""
_MOST = 64
"""Statements of one transaction."""
_LOCKS = 8
"""Locks that one statement may take: the table, its TOAST table, their indexes, the referenced table."""

Group = list[Step]
"""The statements of one object, or of one batch of them."""


def refused_finding(statement: Statement, reason: str) -> Finding:
    """The finding that the target has refused an optional statement."""
    message = f"the target refused {statement.why}: {reason}"
    return Finding(Code.P052, "lossy", statement.object, message, statement.sql)


class Builder:
    """Statements of one run on `jobs` connections. Leaving the context cancels what still runs."""

    def __init__(self, plan: Plan, ledger: Ledger, target: Endpoint, jobs: int, emit: Sink) -> None:
        self._plan = plan
        # Restore in the default tablespace: objects with a tablespace of their own are never set aside.
        self._settings = _SETTINGS | ({"default_tablespace": ""} if plan.mode == "load" else {})
        self._run = ledger.run_id
        self._target = target
        self._emit = emit
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Any]] = []
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="build")
        self._ended: SimpleQueue[Future[None]] = SimpleQueue()
        self._running: dict[Future[None], int] = {}
        """Running batches, each with its number of statements."""
        self._closing = False
        self._quick = _QUICK if plan.mode == "create" else frozenset[Phase]()
        # All batches that run together leave three quarters of the server's locks to others.
        self._most = max(1, min(_MOST, lock_room(ledger.connection) // (4 * _LOCKS * jobs)))
        self._waiting: list[Group] = []
        """Of small tables, until they are a batch."""
        self._small = {table.source for table in plan.tables if table.data_bytes < _SMALL_BYTES}
        self._begun: set[int] = set()
        self.findings: list[Finding] = []
        earlier = ledger.steps()
        self._begun.update(earlier)
        self._keep({number: refused for number, refused in earlier.items() if refused is not None})

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closing = kind is not None
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
        """How many statements have begun and not ended."""
        return sum(self._running.values()) + sum(map(len, self._waiting))

    def again(self, *phases: Phase) -> None:
        """These phases are to do again: the ledger has taken their statements back."""
        for phase in phases:
            self._begun -= {number for group in self._steps[phase].values() for number, _ in group}

    def in_order(self, *phases: Phase) -> None:
        """Runs the statements of these phases, one object after the other."""
        for phase in phases:
            for batch in self._batches(phase, self._groups(phase)):
                self._submit(batch)
                self.finish()

    def begin(self, phase: Phase, table: str) -> None:
        """Begins a table's statements of this phase in the background; of a large one each for itself."""
        for group in self._groups(phase, table):
            if table not in self._small:
                for step in group:
                    self._submit([[step]])
                continue
            self._begun.update(number for number, _ in group)
            self._waiting += ([step] for step in group)
            if len(self._waiting) >= self._most:
                self._submit_waiting()

    def side_by_side(self, *phases: Phase) -> None:
        """Runs each phase's objects at the same time, the statements of one object in their order."""
        for phase in phases:
            for batch in self._batches(phase, self._groups(phase)):
                self._submit(batch)
            self.finish()

    def look(self) -> None:
        """Takes what has ended. Raises the first error."""
        while not self._ended.empty():
            self._take(self._ended.get())
        if not self._running:
            self._submit_waiting()

    def finish(self) -> None:
        """Waits for all that was begun. Raises the first error."""
        self._submit_waiting()
        while self._running:
            # A bounded wait lets Ctrl-C through.
            with suppress(Empty):
                self._take(self._ended.get(timeout=0.5))

    def _batches(self, phase: Phase, groups: Iterable[Group]) -> Iterator[list[Group]]:
        """Groups whose objects one transaction may have together, in their order."""
        batch: list[Group] = []
        for group in groups:
            alone = phase not in self._quick and group[0][1].object not in self._small
            if batch and (alone or sum(map(len, batch)) + len(group) > self._most):
                yield batch
                batch = []
            if alone:
                yield [group]
            else:
                batch.append(group)
        if batch:
            yield batch

    def _groups(self, phase: Phase, table: str | None = None) -> list[Group]:
        """The statements of a phase that are left, by object."""
        objects = self._steps[phase]
        groups = objects.values() if table is None else [objects.get(table, [])]
        left = ([step for step in group if step[0] not in self._begun] for group in groups)
        return [group for group in left if group]

    @cached_property
    def _steps(self) -> dict[Phase, dict[str, Group]]:
        steps: dict[Phase, dict[str, Group]] = defaultdict(lambda: defaultdict(list))
        for number, statement in enumerate(self._plan.statements):
            steps[statement.phase][statement.object].append((number, statement))
        return steps

    def _submit(self, batch: list[Group]) -> None:
        self._begun.update(number for group in batch for number, _ in group)
        future = self._pool.submit(self._run_batch, batch)
        self._running[future] = sum(map(len, batch))
        future.add_done_callback(self._ended.put)

    def _submit_waiting(self) -> None:
        if self._waiting:
            self._submit(self._waiting)
            self._waiting = []

    def _take(self, done: Future[None]) -> None:
        del self._running[done]
        done.result()

    def _keep(self, refusals: dict[int, str]) -> None:
        for number, reason in refusals.items():
            self.findings.append(refused_finding(self._plan.statements[number], reason))

    def _run_batch(self, batch: list[Group]) -> None:
        """In one transaction; where that fails, each object in its own, so that the error has its name."""
        if len(batch) > 1:
            try:
                self._run_group([step for group in batch for step in group])
                return
            except ConvergeError as error:
                if error.lost or self._closing or isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                    raise
        for group in batch:
            if self._closing:
                return
            self._run_group(group)

    def _run_group(self, group: Group) -> None:
        _, first = group[0]
        hook = first.phase in _HOOKS
        connection = self._connection()
        try:
            refusals = run_steps(connection, self._run, group)
        except psycopg.Error as error:
            # A value that a hook's statement refuses may be its own.
            words = in_its_words if hook and is_bad_row(error) else explain
            explained = words(error, self._target)
            explained.message = f"{first.object}, {first.phase}: {explained.message}"
            # A hook's own statements, without the path that is set around them.
            own = (one.sql.partition("\n")[2].rpartition("\n;\n")[0] if hook else one.sql for _, one in group)
            explained.details = (*own, *explained.details)
            raise explained from error
        finally:
            if hook:
                # What it has SET must not reach other statements.
                del self._local.connection
                connection.close()
        for _, statement in group:
            self._emit(Advanced(statement.phase, statement.object))
        self._keep(refusals)

    def _connection(self) -> psycopg.Connection[Any]:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(self._target, **self._settings)
            if self._plan.mode == "load":
                self._local.connection.execute("RESET search_path")  # as THEIR_PATH
            self._connections.append(self._local.connection)
        connection: psycopg.Connection[Any] = self._local.connection
        return connection
