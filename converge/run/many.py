"""Several databases, one after the other or some at a time: all are planned before any is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from converge.codes import Code
from converge.errors import START_AGAIN, ConvergeError, TargetError, listed
from converge.model.arguments import Checked
from converge.model.endpoint import Endpoint
from converge.model.event import DatabaseStarted, Sink, phase
from converge.model.recovery import Approve, Removal
from converge.model.result import Named, Result, Results
from converge.model.words import said
from converge.postgres.connect import connect
from converge.postgres.history import last_run, missing_tables, server_and_database
from converge.postgres.ledger import require_same
from converge.postgres.lock import require_free
from converge.run.attempt import Job, MigrateOptions
from converge.run.connections import explained
from converge.run.migrate import (
    finished_result,
    interrupted,
    migrate,
    note,
    planned,
    with_fixed_options,
    with_stopped_run,
)
from converge.run.movers import Ask, Movers
from converge.settings.file import same_target

_SHOWN = 5
"""Names of a message."""


@dataclass(frozen=True, slots=True)
class Move(Checked):
    """One database of a run over several."""

    name: str
    source: Endpoint
    target: Endpoint
    options: MigrateOptions

    def result(self) -> Result:
        """What is known before it begins."""
        return Result("migrate", str(self.source), str(self.target))


class Then(Protocol):
    """What follows several moves, when all of them have come to a good end. It keeps its errors."""

    name: str
    shards: tuple[str, ...]
    """Names of the moves that it is about."""
    result: Result
    error: ConvergeError | None
    stands: bool
    """Whether it was done before, so that the moves' own tables may be gone. Known after `plan`."""

    def plan(self, moves: Mapping[str, Move], emit: Sink, ask: Approve) -> None:
        """Before anything is written."""

    def run(self, results: Mapping[str, Result], emit: Sink) -> None: ...


def migrate_several(
    moves: Sequence[Move], emit: Sink, parallel: int = 1, then: Sequence[Then] = ()
) -> Results:
    """Runs all of them, `parallel` at a time; what came of each is in the results, nothing is raised for it.

    When one is blocked or cannot be planned, none is written. After one that fails none begins: those that
    have begun come to their end, and the others stay planned. With `resume`, finished ones are left alone,
    interrupted ones go on, and others begin. `then` follows.
    """
    asks = {move.name: move.options.approve for move in moves}

    def ask(name: str, removal: Removal) -> None:
        if approve := asks[name]:
            approve(removal)

    size = min(parallel, len(moves))
    steps = [Step(move, size) for move in moves]
    with Movers(size, emit, ask) if size > 1 else nullcontext() as movers:
        each = movers.each if movers else partial(_in_turn, emit=emit, ask=ask)
        steps = each(steps, goes_on=True)
        _require_apart(steps)
        if not any(step.error for step in steps):
            for one in then:
                planned = {step.name: step.move for step in steps if step.name in one.shards}
                one.plan(planned, emit, partial(ask, one.shards[0]))
        _require_there(steps, then)
        if not any(step.error for step in _all(steps, then)):
            ready = [step for step in steps if step.to_do]
            for step in ready:
                step.parallel = min(size, len(ready))
            ended = {step.name: step for step in each(ready, goes_on=False)}
            steps = [ended.get(step.name, step) for step in steps]
            if not any(step.error for step in steps):
                for one in then:
                    one.run({step.name: step.result for step in steps if step.name in one.shards}, emit)
    return Results("migrate", tuple(Named(step.name, step.result, step.error) for step in _all(steps, then)))


def _share(options: MigrateOptions, parallel: int) -> MigrateOptions:
    """What one move may take of what all of them may take together."""
    common = replace(options.common, parallel=parallel)
    limits = replace(common.limits, rate=common.limits.rate // parallel)
    return replace(options, common=replace(common, jobs=common.share, limits=limits))


def _all(steps: Iterable[Step], then: Iterable[Then]) -> list[Step | Then]:
    return [*steps, *then]


def _require_apart(steps: Iterable[Step]) -> None:
    seen: dict[tuple[object, ...], str] = {}
    for step in steps:
        if step.place and (other := seen.setdefault(step.place, step.name)) != step.name:
            step.lost(same_target(other, step.name))


def _require_there(steps: Iterable[Step], then: Iterable[Then]) -> None:
    """What was finished before does not count where its tables are gone, unless nothing needs them."""
    standing = {name for one in then if one.stands for name in one.shards}
    for step in steps:
        if step.gone is not None and step.name not in standing:
            step.result = step.move.result()
            step.lost(step.gone)


def _in_turn(steps: Sequence[Step], emit: Sink, ask: Ask, *, goes_on: bool) -> list[Step]:
    """As `Movers.each`, in this process: one after the other."""
    for step in steps:
        step.go(emit, partial(ask, step.name))
        if step.error is not None and not goes_on:
            break
    return [*steps]


class Step:
    """One database, and what has come of it so far: `go` plans it, then carries the plan out.

    It is sent to a process, and comes back.
    """

    def __init__(self, move: Move, parallel: int) -> None:
        self._asks = move.options.approve is not None
        # What asks a user stays in the process that has one.
        self.move, self.result = replace(move, options=replace(move.options, approve=None)), move.result()
        self.parallel = parallel
        self.error: ConvergeError | None = None
        self.to_do = True
        self.gone: ConvergeError | None = None
        """Of a finished one that its tables are no longer there."""
        self.place: tuple[object, ...] = ()
        """Which schema it writes into, whatever its host is called; empty before it is planned."""

    @property
    def name(self) -> str:
        return self.move.name

    @property
    def alone(self) -> tuple[object, ...] | None:
        """Steps of which this is equal are not carried out at the same time; None is equal to none."""
        # The ledger of a database has one run at a time.
        return self.place[:-1] or None

    def go(self, emit: Sink, ask: Approve) -> None:
        """Does what is next. Errors are kept."""
        try:
            if self.place:
                self._run(emit)
            else:
                self._plan(emit, ask)
        except ConvergeError as error:
            self.error = error

    def lost(self, error: ConvergeError) -> None:
        """Its process is gone, or it cannot begin."""
        note(self.result, error)
        self.error = error

    def _plan(self, emit: Sink, ask: Approve) -> None:
        """How this move would go. Writes nothing."""
        move = self.move
        emit(DatabaseStarted(move.name, "plan"))
        try:
            options = with_stopped_run(move.source, move.target, move.options)
            options = with_fixed_options(move.source, move.target, options)
            digest = ""
            if options.resume:
                done, digest, self.gone, place = _standing(move, options)
                if done is not None:
                    self.result, self.place, self.move = done, place, replace(move, options=options)
                    self.to_do = options.alembic is not None and done.revisions_pending
                    return
            options = replace(options, resume=bool(digest), approve=ask if self._asks else None)
            job = Job(move.source, move.target, _share(options, self.parallel), emit, self.result)
            with phase(self.result, emit, "plan"), planned(job) as prepared:
                assert prepared.target is not None
                place = (*server_and_database(prepared.target), options.common.schema)
                require_free(prepared.target)
                if digest:
                    require_same(prepared.plan, digest)
        except ConvergeError as error:
            note(self.result, error)
            raise
        self.result.verdict, self.place = "ready", place
        # Who approves was asked just now.
        plan, known = prepared.plan, prepared.inputs.evidence
        options = replace(options, expected=plan, known=known, approve=None)
        self.move = replace(move, options=options)

    def _run(self, emit: Sink) -> None:
        """Carries the plan out."""
        move, self.result = self.move, replace(self.move.result(), phases=self.result.phases)
        emit(DatabaseStarted(move.name))
        try:
            options = _share(move.options, self.parallel)
            migrate(move.source, move.target, options, emit, self.result)
        except KeyboardInterrupt:
            # Before the ledger knew of it.
            stopped = interrupted(move.options.common.mode)
            note(self.result, stopped)
            raise stopped from None


def _standing(
    move: Move, options: MigrateOptions
) -> tuple[Result | None, str, ConvergeError | None, tuple[object, ...]]:
    """The result of a run that is finished; else the digest that it began with, empty where none began.

    With the error of a finished one whose tables are no longer there, and where the run goes.
    """
    with explained(move.source, move.target), connect(move.target) as connection:
        place = (*server_and_database(connection), options.common.schema)
        run = last_run(connection, (str(move.source), options.common.schema), options.common.run)
        if run is None or run["state"] == "recovered":
            return None, "", None, place
        done, gone = finished_result(connection, run), None
        missing = missing_tables(connection, run) if done else []
    if missing:
        words = said(len(missing), "are no longer in the target", "table", of=str(len(run["targets"])))
        message = f"{words}, though run {run['id']} is finished: {listed(missing, _SHOWN)}"
        gone = TargetError(message, code=Code.T012, hint=f"{START_AGAIN} --database {move.name}")
    # Rows that were rejected are tried again.
    return (None if done is None or done.rejects else done), run["plan_digest"], gone, place
