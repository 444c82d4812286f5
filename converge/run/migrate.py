"""The main job: plan, create, copy, finish, prove; and again, where a server went away and came back."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal

import psycopg

from converge.codes import Code
from converge.errors import (
    START_AGAIN,
    BlockedError,
    ConvergeError,
    Interrupted,
    UsageError,
    after,
    first_of,
    listed,
    verdict_of,
)
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, phase
from converge.model.finding import Finding
from converge.model.plan import Mode, Plan
from converge.model.recorded import Recorded
from converge.model.result import Result
from converge.planner.inputs import Inputs
from converge.planner.rehearsal import changes, fingerprint
from converge.postgres.connect import connect, end
from converge.postgres.history import last_run, require_ledger, result_of, stopped_before
from converge.postgres.ledger import Ledger, require_run, require_same, upgrade
from converge.postgres.lock import lock
from converge.postgres.recorded import last_recorded, record_plan
from converge.postgres.saved import saved_table
from converge.postgres.target import Target
from converge.run.attempt import Job, MigrateOptions, Run
from converge.run.blockers import MOST_CHANGES, check_plan, check_target
from converge.run.compared import other_options, recorded_run
from converge.run.connections import explained, result_or_error
from converge.run.options import RESUME, Options
from converge.run.prepare import Prepared, prepare
from converge.run.recover import require_rolled_back
from converge.run.retry import RUN_TRIES, pauses
from converge.run.workers import Workers


def migrate(source: Endpoint, target: Endpoint, options: MigrateOptions, emit: Sink, result: Result) -> None:
    """Runs the whole migration; `result` says what came of it, also when it fails.

    A server or a worker that goes away ends the attempt, not the run: the next attempt goes on as --resume
    does. Raises BlockedError before anything is written, SourceError, TargetError, and Interrupted
    when the user stopped it; the ledger then knows how to go on.
    """
    options = with_fixed_options(source, target, with_stopped_run(source, target, options))
    job = Job(source, target, options, emit, result)
    if options.alembic is None:
        _run(job)
        return
    # Alembic takes its time to load, and most runs need none of it.
    from converge.revisions.after_run import require_revisions, settle

    with explained(source, target):
        require_revisions(options.alembic, target)
    done = _finished(job) if options.resume else None
    if done is not None and done.revisions_pending:
        # Of the rows nothing is left to do, and the source may have changed since.
        vars(result).update(vars(done))
    else:
        _run(job)
    try:
        with explained(source, target):
            settle(options.alembic, target, options.common.schema, emit, result)
    except KeyboardInterrupt:
        stopped = Interrupted("stopped before all revisions were run", code=Code.R130, hint=RESUME)
        note(result, stopped)
        raise stopped from None


def _finished(job: Job) -> Result | None:
    """The result of the last run, where that is finished."""
    move = str(job.source), job.options.common.schema
    with explained(job.source, job.target), connect(job.target) as connection:
        run = last_run(connection, move)
        return None if run is None else finished_result(connection, run)


def finished_result(connection: psycopg.Connection[Any], run: Mapping[str, Any]) -> Result | None:
    """The result of a run, as `last_run` gives it; None where it is not finished."""
    return result_of(connection, run["id"]) if run["state"] == "finished" else None


def _run(job: Job) -> None:
    """All attempts, until one has come to its end."""
    options = job.options
    waits = pauses(RUN_TRIES)
    most, pause = 0, 0.0
    current = _Attempt(job)
    while True:
        try:
            time.sleep(pause)
            current.go()
            return
        except ConvergeError as error:
            error.details = (*error.details, *_foreseen(error, job.result.findings))
            note(job.result, error)
            if current.run is not None and current.run.copy.done > most:
                most = current.run.copy.done
                waits = pauses(RUN_TRIES)
            again = next(waits, None) if error.lost and current.begun else None
            if again is None:
                current.end("failed")
                if current.begun and not options.thrown_away and not isinstance(error, BlockedError):
                    _tell_how_to_go_on(error, options.common.mode)
                raise
            pause = again
            job.emit(Said(f"{error.message}; trying again in {pause:.0f} s"))
            job.result.begin_again(Finding(Code.R003, "note", "run", f"went on after: {error.message}"))
        except KeyboardInterrupt:
            raise _stopped(current, options) from None
        current = _Attempt(job, current.ledger)


def with_stopped_run(source: Endpoint, target: Endpoint, options: MigrateOptions) -> MigrateOptions:
    """With the run that --resume means, where another one has finished since it was stopped."""
    common = options.common
    # Revisions are run after the last run, and its report has them.
    if not options.resume or options.alembic is not None or common.run is not None:
        return options

    def stopped() -> int | None:
        last = recorded_run(source, target, common)
        if not isinstance(last, Recorded):
            return None
        with explained(source, target), connect(target) as connection:
            return stopped_before(connection, (str(source), last.options.schema))

    # What cannot be reached is said when the plan is made.
    number, _ = result_or_error(stopped)
    return replace(options, common=replace(common, run=number))


def with_fixed_options(source: Endpoint, target: Endpoint, options: MigrateOptions) -> MigrateOptions:
    """The maps are read once, and a resumed run has the options that it began with.

    Raises UsageError for others.
    """
    common = options.common
    if options.resume:
        # What cannot be reached is said when the plan is made.
        run, _ = result_or_error(lambda: recorded_run(source, target, common))
        if isinstance(run, Recorded):
            _require_options(run, common, ("mode", "maps", "include", "exclude"))
            common = common.as_in(run.options)
        elif "schema" in common.given:
            # Only a run into another schema can be meant.
            run, _ = result_or_error(lambda: recorded_run(source, target, replace(common, given=frozenset())))
            if isinstance(run, Recorded) and run.state != "finished":
                _require_options(run, common, ("schema",))
    return replace(options, common=replace(common, documents=common.map_documents))


def _require_options(run: Recorded, options: Options, names: Iterable[str]) -> None:
    if others := other_options(run, options, names):
        words = ", ".join(f"{was}, now {given}" for was, given in others)
        # An entry of converge.toml always names a schema.
        go_on = f"{RESUME} --schema {shlex.quote(run.options.schema)}" if "schema" in names else RESUME
        raise UsageError(
            f"run {run.id} was begun with {words}",
            code=Code.T010,
            hint=f"{go_on} has the run's options without naming them; with others: {START_AGAIN}",
        )


class _Attempt:
    """From the plan to the proof, once."""

    def __init__(self, job: Job, earlier: Ledger | None = None) -> None:
        self.job = job
        self.ledger = earlier
        """Of this attempt, or of the one before while this one has none."""
        self._again: int | None = None
        """The run of the attempt before, which goes on."""
        self.run: Run | None = None

    @property
    def begun(self) -> bool:
        """Whether the ledger knows the run, so that it can be resumed."""
        return self.job.options.resume or self.ledger is not None

    def go(self) -> None:
        """Raises ConvergeError."""
        if self.ledger is not None:
            self._go_on(self.ledger)
        job = self.job
        with ExitStack() as stack:
            module = "converge.cluster.start" if job.options.awaited.places else "converge.run.workers"
            workers = stack.enter_context(Workers(job.options.common.jobs, job.emit, module))
            with phase(job.result, job.emit, "plan"):
                self.run = run = self._prepare(stack)
            if run.ledger.state() == "finished":
                # By the attempt before, which did not hear the answer to its last COMMIT.
                vars(job.result).update(vars(result_of(run.postgres, run.ledger.run_id)))
                return
            with explained(job.source, job.target):
                if job.options.awaited.places:
                    from converge.cluster.joined import opened

                    workers.joined = stack.enter_context(
                        opened(run.ledger, run.prepared.source, job, run.settings)
                    )
                run.require_tables()
                run.make_room()
                run.all(workers)
                run.end()

    def _go_on(self, earlier: Ledger) -> None:
        """Resumes the run of the attempt before. One that was lost with its first transaction is not in the
        ledger: then this attempt begins as that one did, because the last run there is an earlier command's.
        """
        job = self.job
        with explained(job.source, job.target), connect(job.target) as connection:
            end(connection, earlier.backend)
            there = require_ledger(connection) and Ledger(connection, earlier.run_id).state()
        if there:
            self._again = earlier.run_id
            self.job = replace(job, options=replace(job.options, resume=True))

    def end(self, state: Literal["failed", "interrupted"]) -> None:
        """Enters how the run ended, with its report, where the target can be reached.

        On a new connection: a signal may have left the run's own in the middle of a statement. Does nothing
        when the run has finished after all, or another one is at work.
        """
        job, ledger = self.job, self.ledger
        if ledger is None:
            return
        with suppress(ConvergeError, psycopg.Error), connect(job.target) as connection:
            end(connection, ledger.backend)
            lock(connection)
            last = Ledger(connection, ledger.run_id)
            if last.state() == "running":
                job.result.rejects = last.rejects()
                last.end(state, job.result.to_json())
                if self.run is not None:
                    self.run.keep(last)

    def _prepare(self, stack: ExitStack) -> Run:
        job, options = self.job, self.job.options
        prepared = stack.enter_context(planned(job))
        assert prepared.target is not None
        upgrade(job.target)
        with prepared.target.transaction():
            lock(prepared.target, "migrate")
            if not options.resume and prepared.plan.mode == "load":
                # Under the lock: another load may have set rows aside since this one has looked.
                require_rolled_back(prepared.target, prepared.plan.schema)
            self.ledger = ledger = Ledger.open(
                prepared.target,
                prepared.plan,
                prepared.inputs.evidence,
                resume=options.resume,
                clears=options.common.clears,
                again=self._again,
                number=options.common.run,
            )
            if not options.resume:
                _require_unmade(prepared)
                if prepared.plan.mode == "load":
                    # Rows that an earlier load had set aside, which ends here: it can no longer be resumed.
                    names = [saved_table(prepared.plan.schema, one.target) for one in prepared.plan.tables]
                    drops = ";\n".join(f"DROP TABLE IF EXISTS {name}" for name in names)
                    prepared.target.execute(drops.encode())
                record_plan(prepared.target, ledger.run_id, options.common.recorded, prepared.plan)
        return Run(job, prepared, ledger)


def _require_unmade(prepared: Prepared) -> None:
    """Raises BlockedError where another run has made planned tables since the target was looked at."""
    facts, plan = prepared.inputs.facts, prepared.plan
    assert facts is not None and prepared.target is not None
    # An index or a sequence of a table that is dropped first may have the name of a new table.
    names = sorted({*plan.targets.values()} - {name for name, _, _ in facts.relations})
    query = (
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) "
        "AND relname = ANY (%s)"
    )
    if made := [name for (name,) in prepared.target.execute(query, (plan.schema, names))]:
        raise BlockedError(
            f"another converge run has made {listed(sorted(made), MOST_CHANGES)} since this one has looked",
            code=Code.T009,
            hint="converge status",
        )


@contextmanager
def planned(job: Job) -> Iterator[Prepared]:
    """The plan, which may be carried out; what it says of the source is in the job's result. Writes nothing.

    Raises BlockedError for what must be settled first.
    """
    options, result = job.options, job.result
    # The scan has the connections that the workers of other machines will have.
    common = replace(options.common, jobs=options.common.jobs + options.awaited.count)

    def first(target: psycopg.Connection[Any], facts: Target, inputs: Inputs) -> None:
        run = last_recorded(target, job.source, inputs.schema, common.run) if options.resume else None
        check_target(
            target, facts, inputs,
            clears=options.common.clears and not options.resume,
            resumed=run.id if isinstance(run, Recorded) else None,
            approve=options.approve,
        )  # fmt: skip
        if options.resume:
            require_run(target, inputs.source, inputs.schema, common.run)

    with prepare(
        job.source,
        job.target,
        common,
        job.emit,
        as_recorded=options.resume,
        known=options.known,
        resuming=options.resume,
        first=first,
    ) as prepared:
        plan = prepared.plan
        result.findings += plan.findings
        result.not_migrated = list(plan.not_migrated)
        result.fingerprint = fingerprint(plan, whole=not options.resume)
        result.source_version, result.target_version = plan.source_version, plan.target_version
        check_plan(plan, expected=options.expected)
        if options.resume and prepared.target is not None:
            run = last_recorded(prepared.target, job.source, plan.schema, common.run)
            if isinstance(run, Recorded):
                require_plan_of(run, plan)
        yield prepared


def require_plan_of(run: Recorded, plan: Plan) -> None:
    """Raises BlockedError, with what has changed, where the plan is not the one that the run began with."""
    require_same(plan, run.plan.digest, first_of(changes(run.plan, plan), MOST_CHANGES))


def note(result: Result, error: ConvergeError) -> None:
    """The run's report says why it ended."""
    blocked = isinstance(error, BlockedError)
    result.verdict = verdict_of(error)
    # What blocks is a finding of the plan already, mostly.
    if not blocked or not any(finding.severity == "block" for finding in result.findings):
        details = "; ".join(error.details)
        result.findings.append(Finding(error.code, "block", "", error.message, error.hint or "", details))


def _foreseen(error: ConvergeError, findings: Iterable[Finding]) -> Iterator[str]:
    """The plan's notes of constraints that only the target can test, and that the error names."""
    named = re.findall('"([^"]+)"', error.message) if error.code == Code.D001 else ()
    for one in findings:
        # Tables may have CHECKs of one name; of a unique index it is the schema's.
        of = error.message.startswith((f"{one.object}:", f"{one.object},"))
        tests = one.code == Code.L013 and of and any(f" {name}: " in one.message for name in named)
        if tests or (one.code == Code.L012 and one.object.endswith(tuple(f".{name}" for name in named))):
            yield f"foreseen by {one.code} {one.object}: {one.message}"


def _tell_how_to_go_on(error: ConvergeError, mode: Mode) -> None:
    if isinstance(error, UsageError) or error.code == Code.T012:
        return
    if error.code == Code.S011:
        ways = ""
    elif error.code.startswith("D"):
        anew = START_AGAIN if mode == "create" else "converge migrate --truncate --mode load"
        ways = f"{RESUME}; after a change of the map, or with --exclude TABLE: {anew}"
    else:
        ways = "" if RESUME in (error.hint or "") else RESUME
    if mode == "load":
        ways = _BACK.lstrip("\n") if not ways else ways + _BACK
    if ways:
        error.hint = after(error.hint, ways)


def _stopped(current: _Attempt, options: MigrateOptions) -> BaseException:
    if not current.begun or options.thrown_away:
        current.job.result.verdict = "interrupted"
        return KeyboardInterrupt()
    stopped = interrupted(options.common.mode)
    note(current.job.result, stopped)
    current.end("interrupted")
    return stopped


def interrupted(mode: Mode) -> Interrupted:
    """What a run that the user stopped ends in."""
    hint = RESUME + (_BACK if mode == "load" else "")
    return Interrupted("stopped; what is copied is kept", code=Code.R130, hint=hint)


_BACK = "\nconverge recover puts the target back as it was"
