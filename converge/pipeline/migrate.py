"""The main job: plan, make, copy, finish, prove; and again, where a server went away and came back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial

import psycopg

from converge.errors import START_AGAIN, BlockedError, ConvergeError, Interrupted, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.plan import Finding, Mode
from converge.model.recorded import Recorded
from converge.model.result import Result
from converge.phases.crew import Crew
from converge.phases.explain import explained
from converge.phases.retry import RUN_TRIES, pauses
from converge.pipeline.checks import check_plan, check_target
from converge.pipeline.compared import recorded_run
from converge.pipeline.prepare import Prepared, prepare
from converge.pipeline.reach import attempt
from converge.pipeline.room import require_droppable
from converge.pipeline.run import RESUME, Job, MigrateOptions, Run
from converge.pipeline.timing import phase
from converge.planner.rehearsal import fingerprint
from converge.postgres.connect import Backend, end
from converge.postgres.ledger import Ledger
from converge.postgres.recorded import record_plan
from converge.postgres.upgrade import upgrade


def migrate(source: Endpoint, target: Endpoint, options: MigrateOptions, emit: Sink, result: Result) -> None:
    """Runs the whole migration; `result` says what came of it, also when it fails.

    A server or a worker that goes away ends the attempt, not the run: the next attempt goes on as --resume
    does. Raises BlockedError before anything is written, SourceError, TargetError, and Interrupted
    when the user stopped it; the ledger then knows how to go on.
    """
    options = with_fixed_options(source, target, options)
    if options.alembic is not None:
        # Alembic takes its time to load, and most runs need none of it.
        from converge.pipeline.settle import require_revisions

        with explained(source, target):
            require_revisions(options.alembic, target)
    waits = pauses(RUN_TRIES)
    most = 0
    current = _Attempt(Job(source, target, options, emit, result))
    while True:
        try:
            current.go()
            break
        except ConvergeError as error:
            note(result, error)
            if current.run is not None and current.run.copy.done > most:
                most = current.run.copy.done
                waits = pauses(RUN_TRIES)
            pause = next(waits, None) if error.lost and current.begun else None
            if pause is None:
                if current.begun and not options.thrown_away and not isinstance(error, BlockedError):
                    _tell_how_to_go_on(error, options.common.mode)
                raise
            emit(Said(f"{error.message}; trying again in {pause:.0f} s"))
            result.begin_again(Finding("R003", "note", "run", f"went on after: {error.message}"))
        except KeyboardInterrupt:
            raise _stopped(options) if current.begun else KeyboardInterrupt from None
        current = current.next()
        try:
            time.sleep(pause)
        except KeyboardInterrupt:
            raise _stopped(options) from None
    if options.alembic is not None:
        from converge.pipeline.settle import settle

        with explained(source, target):
            settle(options.alembic, target, options.common.schema, emit, result)


def with_fixed_options(source: Endpoint, target: Endpoint, options: MigrateOptions) -> MigrateOptions:
    """The maps are read once, and a resumed run has the options that it began with."""
    common = options.common
    if options.resume:
        # What cannot be reached is said when the plan is made.
        run, _ = attempt(lambda: recorded_run(source, target, common))
        common = common.as_in(run.options) if isinstance(run, Recorded) else common
    return replace(options, common=replace(common, documents=common.map_documents))


class _Attempt:
    """From the plan to the proof, once."""

    def __init__(self, job: Job, lost: Backend | None = None) -> None:
        self._job = job
        self._lost = lost
        self.run: Run | None = None

    @property
    def begun(self) -> bool:
        """Whether the ledger knows the run, so that it can be resumed."""
        return self._job.options.resume or self.run is not None

    def next(self) -> _Attempt:
        """The one that goes on where this one ended."""
        lost = self.run.ledger.backend if self.run else self._lost
        return _Attempt(replace(self._job, options=replace(self._job.options, resume=True)), lost)

    def go(self) -> None:
        """Raises ConvergeError; the ledger knows it where its connection still lives."""
        job = self._job
        with ExitStack() as stack:
            crew = stack.enter_context(Crew(job.options.common.jobs))
            with phase(job.result, job.emit, "plan"):
                self.run = run = self._prepare(stack)
            try:
                with explained(job.source, job.target):
                    run.make_room()
                    run.all(crew)
                    run.end()
            except KeyboardInterrupt:
                self._enter("interrupted", run.ledger, [])
                raise
            except ConvergeError as error:
                self._enter("failed", run.ledger, [_finding(error)])
                raise

    def _enter(self, state: str, ledger: Ledger, why: list[Finding]) -> None:
        """The attempt's end, where the ledger's connection still lives; a dead one says it all."""
        result = self._job.result
        with suppress(psycopg.Error):
            result.rejects = ledger.rejects()
            noted = replace(result, verdict="failed", findings=[*result.findings, *why])
            ledger.set_state(state, report=noted.to_json())

    def _prepare(self, stack: ExitStack) -> Run:
        job, options = self._job, self._job.options
        prepared = stack.enter_context(planned(job))
        assert prepared.target is not None
        if self._lost is not None:
            end(prepared.target, self._lost)
        elif options.common.clears and prepared.plan.mode == "create" and not options.resume:
            require_droppable(prepared.target, prepared.plan)
        upgrade(job.target)
        with prepared.target.transaction():
            ledger = Ledger.open(
                prepared.target,
                prepared.plan,
                prepared.inputs.evidence,
                resume=options.resume,
                clears=options.common.clears,
                again=self._lost is not None,
            )
            if not options.resume:
                record_plan(prepared.target, ledger.run, options.common.recorded, prepared.plan)
        return Run(job, prepared, ledger)


@contextmanager
def planned(job: Job) -> Iterator[Prepared]:
    """The plan, which may be carried out; what it says of the source is in the job's result. Writes nothing.

    Raises BlockedError for what must be settled first.
    """
    options, result = job.options, job.result
    with prepare(
        job.source,
        job.target,
        options.common,
        job.emit,
        as_recorded=options.resume,
        known=options.known,
        resuming=options.resume,
        first=partial(
            check_target,
            clears=options.common.clears and not options.resume,
            approve=options.approve,
        ),
    ) as prepared:
        plan = prepared.plan
        result.findings += plan.findings
        result.not_migrated = list(plan.not_migrated)
        result.fingerprint = fingerprint(plan, whole=not options.resume)
        result.source_version, result.target_version = plan.source_version, plan.target_version
        check_plan(plan, expected_digest=options.expected_digest)
        yield prepared


def note(result: Result, error: ConvergeError) -> None:
    """The run's report says why it ended."""
    blocked = isinstance(error, BlockedError)
    result.verdict = "blocked" if blocked else "failed"
    # What blocks is a finding of the plan already, mostly.
    if not blocked or not any(finding.severity == "block" for finding in result.findings):
        result.findings.append(_finding(error))


def _finding(error: ConvergeError) -> Finding:
    return Finding(error.code, "block", "", error.message, error.hint or "", "; ".join(error.details))


def _tell_how_to_go_on(error: ConvergeError, mode: Mode) -> None:
    if isinstance(error, UsageError):
        return
    if error.code == "S011":
        ways = ""
    elif error.code.startswith("D"):
        ways = f"{RESUME}; after a change of the map: {START_AGAIN}"
    else:
        ways = "" if RESUME in (error.hint or "") else RESUME
    if mode == "load":
        ways = _BACK.lstrip("\n") if not ways else ways + _BACK
    if ways:
        error.hint = f"{error.hint}; then {ways}" if error.hint else ways


def _stopped(options: MigrateOptions) -> BaseException:
    return KeyboardInterrupt() if options.thrown_away else interrupted(options.common.mode)


def interrupted(mode: Mode) -> Interrupted:
    """What a run that the user stopped ends in."""
    hint = RESUME + (_BACK if mode == "load" else "")
    return Interrupted("stopped; what is copied is kept", code="R130", hint=hint)


_BACK = "\nconverge recover puts the target back as it was"
