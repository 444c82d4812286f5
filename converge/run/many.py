"""Several databases, one after the other: all are planned before any is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, phase
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
        return Result("migrate", str(self.source), str(self.target))


@dataclass(frozen=True, slots=True)
class _Step:
    """A move and what is known of it; without `move` there is nothing left to do."""

    named: Named
    move: Move | None = None
    place: tuple[object, ...] = ()
    """Which schema it writes into, whatever its host is called."""


def migrate_several(moves: Sequence[Move], emit: Sink) -> Results:
    """Runs all of them in their order; what came of each is in the results, and nothing is raised for it.

    When one is blocked or cannot be planned, none is written. One that fails ends the run: those before it
    are finished, those after it planned. With `resume`, finished ones are left alone, interrupted ones
    go on, and others begin.
    """
    steps = [*_apart([_plan(move, emit) for move in moves])]
    if not any(step.named.error for step in steps):
        for place, step in enumerate(steps):
            if step.move is not None:
                steps[place] = _Step(_run(step.move, step.named.result, emit))
                if steps[place].named.error:
                    break
    return Results("migrate", tuple(step.named for step in steps))


def _apart(steps: Sequence[_Step]) -> Iterator[_Step]:
    """The steps; one into another's schema, by another name of its host, is an error."""
    seen: dict[tuple[object, ...], str] = {}
    for step in steps:
        if not step.place or step.place not in seen:
            seen[step.place] = step.named.name
            yield step
            continue
        error = same_target(seen[step.place], step.named.name)
        note(step.named.result, error)
        yield _Step(Named(step.named.name, step.named.result, error))


def _plan(move: Move, emit: Sink) -> _Step:
    """How this move would go. Writes nothing."""
    emit(Said(f"database {move.name}: plan"))
    result = move.result()
    try:
        move = replace(move, options=with_fixed_options(move.source, move.target, move.options))
        digest = ""
        if move.options.resume:
            done, digest = _standing(move)
            if done is not None:
                return _Step(Named(move.name, done))
        move = replace(move, options=replace(move.options, resume=bool(digest)))
        job = Job(move.source, move.target, move.options, emit, result)
        with phase(result, emit, "plan"), planned(job) as prepared:
            assert prepared.target is not None
            place = (*server_and_database(prepared.target), move.options.common.schema)
            require_free(prepared.target)
            if digest:
                require_same(prepared.plan, digest)
            result.verdict = "ready"
            options = replace(
                move.options,
                expected_digest=prepared.plan.digest,
                known=prepared.inputs.evidence,
                approve=None,  # the answer was given just now
            )
    except ConvergeError as error:
        note(result, error)
        return _Step(Named(move.name, result, error))
    return _Step(Named(move.name, result), replace(move, options=options), place)


def _standing(move: Move) -> tuple[Result | None, str]:
    """The result of a run that is finished; else the digest that it began with, empty where none began."""
    with explained(move.source, move.target), connect(move.target) as connection:
        run = last_run(connection, (str(move.source), move.options.common.schema))
        if run is None:
            return None, ""
        report = report_of(connection, run["id"]) if run["state"] == "finished" else None
    done = Result.from_json(report) if report else None
    # Rows that were rejected are tried again.
    return (None if done is None or done.rejects else done), run["plan_digest"]


def _run(move: Move, planned: Result, emit: Sink) -> Named:
    emit(Said(f"database {move.name}"))
    result = move.result()
    result.phases = list(planned.phases)
    try:
        migrate(move.source, move.target, move.options, emit, result)
    except ConvergeError as error:
        return Named(move.name, result, error)
    except KeyboardInterrupt:
        # Before the ledger knew of it.
        stopped = interrupted(move.options.common.mode)
        note(result, stopped)
        return Named(move.name, result, stopped)
    return Named(move.name, result)
