"""Several databases, one after the other: all are planned before any is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.model.event import DatabaseStarted, Sink, phase
from converge.model.result import Named, Result, Results
from converge.postgres.connect import connect
from converge.postgres.history import last_run, report_of, server_and_database
from converge.postgres.ledger import require_free, require_same
from converge.run.attempt import Job, MigrateOptions
from converge.run.connections import explained
from converge.run.migrate import interrupted, migrate, note, planned, with_fixed_options
from converge.settings.file import same_target


@dataclass(frozen=True, slots=True)
class Move:
    """One database of a run over several."""

    name: str
    source: Endpoint
    target: Endpoint
    options: MigrateOptions

    def result(self) -> Result:
        """What is known before it begins."""
        return Result("migrate", str(self.source), str(self.target))


def migrate_several(moves: Sequence[Move], emit: Sink) -> Results:
    """Runs all of them in their order; what came of each is in the results, and nothing is raised for it.

    When one is blocked or cannot be planned, none is written. One that fails ends the run: those before it
    are finished, those after it planned. With `resume`, finished ones are left alone, interrupted ones
    go on, and others begin.
    """
    steps = [_Step(move, emit) for move in moves]
    seen: dict[tuple[object, ...], str] = {}
    for step in steps:
        step.attempt(partial(step.plan, seen))
    if not any(step.error for step in steps):
        for step in steps:
            if step.to_do:
                step.attempt(step.run)
            if step.error:
                break
    return Results("migrate", tuple(Named(step.move.name, step.result, step.error) for step in steps))


class _Step:
    """One database, and what has come of it so far."""

    def __init__(self, move: Move, emit: Sink) -> None:
        self.move, self._emit = move, emit
        self.result = move.result()
        self.error: ConvergeError | None = None
        self.to_do = True

    def attempt(self, action: Callable[[], None]) -> None:
        """Does it; an error is kept."""
        try:
            action()
        except ConvergeError as error:
            self.error = error

    def plan(self, seen: dict[tuple[object, ...], str]) -> None:
        """How this move would go; `seen` has the places of the others. Writes nothing."""
        move = self.move
        self._emit(DatabaseStarted(move.name, "plan"))
        try:
            options = with_fixed_options(move.source, move.target, move.options)
            digest = ""
            if options.resume:
                done, digest = _standing(move, options)
                if done is not None:
                    self.result, self.to_do = done, False
                    return
            options = replace(options, resume=bool(digest))
            job = Job(move.source, move.target, options, self._emit, self.result)
            with phase(self.result, self._emit, "plan"), planned(job) as prepared:
                assert prepared.target is not None
                # Which schema it writes into, whatever its host is called.
                place = (*server_and_database(prepared.target), options.common.schema)
                require_free(prepared.target)
                if digest:
                    require_same(prepared.plan, digest)
            if (other := seen.setdefault(place, move.name)) != move.name:
                raise same_target(other, move.name)
        except ConvergeError as error:
            note(self.result, error)
            raise
        self.result.verdict = "ready"
        # Who approves was asked just now.
        plan, known = prepared.plan, prepared.inputs.evidence
        options = replace(options, expected_digest=plan.digest, known=known, approve=None)
        self.move = replace(move, options=options)

    def run(self) -> None:
        """Carries the plan out."""
        move, self.result = self.move, replace(self.move.result(), phases=self.result.phases)
        self._emit(DatabaseStarted(move.name))
        try:
            migrate(move.source, move.target, move.options, self._emit, self.result)
        except KeyboardInterrupt:
            # Before the ledger knew of it.
            stopped = interrupted(move.options.common.mode)
            note(self.result, stopped)
            raise stopped from None


def _standing(move: Move, options: MigrateOptions) -> tuple[Result | None, str]:
    """The result of a run that is finished; else the digest that it began with, empty where none began."""
    with explained(move.source, move.target), connect(move.target) as connection:
        run = last_run(connection, (str(move.source), options.common.schema))
        if run is None:
            return None, ""
        report = report_of(connection, run["id"]) if run["state"] == "finished" else None
    done = Result.from_json(report) if report else None
    # Rows that were rejected are tried again.
    return (None if done is None or done.rejects else done), run["plan_digest"]
