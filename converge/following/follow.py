"""`converge follow`: epochs until it is told to stop, each from where the ledger says that the last one
ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, Interrupted, SourceError, UsageError
from converge.following.epoch import Epoch, Epochs
from converge.following.events import Log
from converge.following.rolling import RollingProof
from converge.following.tables import Followed, followed
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.model.plan import Outcome
from converge.model.recorded import Recorded
from converge.model.result import Result, TableResult
from converge.model.words import counted, said
from converge.mysql.connect import WatchedConnection, connect
from converge.mysql.log import in_flight, log_position
from converge.mysql.query import fetch
from converge.postgres.existing import read_existing
from converge.postgres.following import read_following, require_not_cut_over
from converge.postgres.history import last_verification, record_verification, report_of
from converge.postgres.ledger import upgrade
from converge.postgres.lock import LEAVING_SECONDS, lock
from converge.postgres.made import note_validated
from converge.postgres.saved import without_idle_merges
from converge.report.words import proof_age
from converge.run.attempt import MigrateOptions
from converge.run.blockers import check_source
from converge.run.compared import lost, not_migrated_here, others_of, recorded_run
from converge.run.connections import explained
from converge.run.extend import extend
from converge.run.migrate import require_plan_of, with_fixed_options
from converge.run.options import RESUME, Options
from converge.run.prepare import Prepared, prepare
from converge.run.retry import RUN_TRIES, pauses
from converge.run.throttle import Throttle

GO_ON = "converge follow"
_BEFORE = {"recovering": "converge recover", "recovered": "converge migrate --follow"}
"""What comes before following a run that is neither finished nor to be resumed."""
_TELL_SECONDS = 10.0
_LOST_SECONDS = 40.0
"""Longer than the server keeps a session whose client is gone (`postgres.connect`: 25 s)."""


@dataclass(frozen=True)
class Open:
    """A run that can be followed, on open connections."""

    run: Recorded
    """With what was made of new tables."""
    prepared: Prepared
    epochs: Epochs
    proof: RollingProof
    throttle: Throttle
    findings: tuple[Finding, ...]
    """What is lost by the plan, and what else is left out here."""
    not_migrated: list[Outcome]


@contextmanager
def opened(
    source: Endpoint,
    target: Endpoint,
    options: Options,
    emit: Sink,
    command: str = "follow",
    *,
    patience: float = LEAVING_SECONDS,
) -> Iterator[Open]:
    """Connects, and finds where to go on. Raises UsageError, BlockedError or SourceError where that cannot
    be; `patience`: seconds that another command is waited for."""
    run = recorded_run(source, target, options)
    if not isinstance(run, Recorded) or run.state != "finished":
        why = f"run {run.id} is {run.state}" if isinstance(run, Recorded) else run.reason
        state = run.state if isinstance(run, Recorded) else "recovered"
        raise UsageError(
            f"nothing to follow: {why}", code=Code.T010, hint=_BEFORE.get(state, f"{RESUME} --follow")
        )
    options = with_fixed_options(source, target, MigrateOptions(common=options, resume=True)).common
    with ExitStack() as stack:
        prepared = stack.enter_context(
            prepare(source, target, options, emit, as_recorded=True, resuming=True, first=check_source)
        )
        here, there = prepared.source, prepared.target
        assert there is not None
        lock(there, command, seconds=patience)
        upgrade(target)
        require_not_cut_over(there, run.plan.schema, run.plan.targets.values())
        whole = prepared.plan
        plan = extend(run, prepared, source, target, options, emit)
        if prepared.plan.targets.keys() - plan.targets.keys() - run.elsewhere.keys():
            # What is new, and could not be made here, is not to be missing after a cutover.
            require_plan_of(run, prepared.plan)
        prepared = replace(prepared, plan=without_idle_merges(there, plan))
        following = read_following(there, run.id)
        if following is None:
            raise BlockedError(
                f"run {run.id} does not know where the source's binary log stood in its snapshot",
                code=Code.W001,
                hint="converge sync notes it, with a user who may see the log; then converge follow",
            )
        _require_log(here)
        existing = read_existing(there, prepared.plan.schema)
        note_validated(there, run.id, existing.foreign_keys)
        view = stack.enter_context(closing(connect(source)))
        tables = followed(here, prepared.inputs.catalog, prepared.plan, existing)
        epochs = Epochs(prepared, source, view, existing, tables, run=run.id, following=following)
        proof = RollingProof(view, there, prepared.plan, tables, run.id, _compared(there, run.id, source))
        others = others_of(run, run.own - plan.targets.keys())
        findings = (*lost(whole, run.elsewhere), *others, *_whole(tables))
        recorded = recorded_run(source, target, options)
        assert isinstance(recorded, Recorded)
        throttle = Throttle(options.limits, here, emit)
        not_migrated = not_migrated_here(whole, run.elsewhere)
        yield Open(recorded, prepared, epochs, proof, throttle, findings, not_migrated)


def _compared(target: psycopg.Connection[Any], run: int, source: Endpoint) -> dict[str, int]:
    """Rows of the tables that the run, or a later comparison of its own plan with this source, has found to
    be equal."""
    later = last_verification(target, run)
    report = (later["report"] if later else report_of(target, run)) or {}
    own = not later or (report.get("of_run") and report["source"]["url"] == str(source))
    tables = report.get("tables", ()) if own and report.get("verdict") == "verified" else ()
    return {one["source"]: one["rows_target"] for one in tables if one["verified"]}


def _whole(tables: Sequence[Followed]) -> Iterator[Finding]:
    if whole := [table.plan.source for table in tables if not table.literals]:
        message = said(len(whole), "have no key that can be followed: a change replaces all rows", "table")
        yield Finding(Code.W008, "note", "source", message, evidence=", ".join(whole))


def require_followable(source: Endpoint) -> None:
    """Raises SourceError for a source that could not be followed: its log, or what its user may not do."""
    with explained(source, None), closing(connect(source)) as here:
        _require_log(here)
        place = log_position(here)
        in_flight(here)
        if place is not None:
            next(iter(Log(source, place)), None)


def _require_log(source: WatchedConnection) -> None:
    """Raises SourceError for a log that has no rows of all that is committed."""
    query = "SELECT @@log_bin, @@GLOBAL.binlog_format"
    ((written, form),) = fetch(source, query)
    updates = fetch(source, r"SHOW GLOBAL VARIABLES LIKE 'log\_%\_updates'")
    if not written:
        raise SourceError(
            "the source writes no binary log", code=Code.W002, hint="log_bin, and a restart of it"
        )
    if form != "ROW":
        hint = "SET GLOBAL binlog_format = ROW; and new connections of the application; then converge sync"
        raise SourceError(f"the source's binary log has the format {form}", code=Code.W002, hint=hint)
    if any(value != "ON" for _, value in updates):
        name = updates[0][0]
        message = "the source's binary log leaves out what it applies as a replica"
        raise SourceError(message, code=Code.W002, hint=f"{name} = ON, and a restart; or follow its source")


def follow(
    source: Endpoint,
    target: Endpoint,
    options: Options,
    emit: Sink,
    *,
    once: bool,
    interval: float,
    prove_share: float,
    result: Result,
    stopped: Callable[[], bool],
) -> None:
    """Makes the target equal to the source again and again; with `once` one time. `result` has what came of
    it, and rows that the rolling proof finds to differ, which ends it.

    A server that goes away is met by new connections. Raises Interrupted when the user stops it, or
    `stopped` says so: an interrupt can be lost.
    """
    waits, patience = pauses(RUN_TRIES), LEAVING_SECONDS
    told = _Told(emit)
    while True:
        try:
            with opened(source, target, options, emit, patience=patience) as open_:
                for epoch, unequal in _epochs(open_, once=once, interval=interval, prove_share=prove_share):
                    if stopped():
                        raise KeyboardInterrupt
                    waits = pauses(RUN_TRIES)
                    told.add(epoch, open_)
                    _note(result, epoch, open_)
                    if unequal is not None:
                        note_unequal(result, unequal)
                        record(open_, result, unequal)
                        return
            return
        except ConvergeError as error:
            pause = next(waits, None) if error.lost else None
            if pause is None and not stopped():
                raise
            if stopped() or pause is None:
                raise _interrupted() from None
            # The session that was lost may have the lock until the server notices.
            patience = _LOST_SECONDS
            emit(Said(f"{error.message}; trying again in {pause:.0f} s"))
            time.sleep(pause)
        except KeyboardInterrupt:
            raise _interrupted() from None


def _interrupted() -> Interrupted:
    return Interrupted("stopped; the target stays as it is", code=Code.R130, hint=f"{GO_ON} goes on")


def _epochs(
    open_: Open, *, once: bool, interval: float, prove_share: float
) -> Iterator[tuple[Epoch, Result | None]]:
    """Each epoch, with the rows that the rolling proof has found to differ in it."""
    while True:
        started = time.monotonic()
        while not open_.throttle():
            time.sleep(0.2)
        with open_.epochs.next() as epoch:
            unequal = open_.proof.step(epoch, prove_share * max(interval, epoch.seconds))
        yield epoch, unequal
        if once:
            return
        time.sleep(max(0.0, started + interval - time.monotonic()))


def note_unequal(result: Result, unequal: Result) -> None:
    """The result is of a table whose rows differ."""
    (table,) = unequal.tables
    result.tables = [table if one.source == table.source else one for one in result.tables]
    if table not in result.tables:
        result.tables.append(table)
    result.verdict, result.differences = "differs", unequal.differences


def record(open_: Open, result: Result, unequal: Result | None = None) -> None:
    """Enters in the ledger what all rows, or those of an unequal table, have come to."""
    there, tables = open_.prepared.target, len(open_.prepared.plan.tables)
    assert there is not None
    names = [one.source for one in unequal.tables] if unequal else []
    partly = f", {len(names)} of {counted(tables, 'table')}" if 0 < len(names) < tables else ""
    # It is of the run's own plan and source, as no other is followed.
    record_verification(there, open_.run.id, f"full{partly}", result.to_json() | {"of_run": True}, names)


class _Told:
    """Tells of epochs now and then."""

    def __init__(self, emit: Sink) -> None:
        self._emit, self._next, self._rows = emit, 0.0, 0

    def add(self, epoch: Epoch, open_: Open) -> None:
        self._rows += sum(epoch.rows.values())
        if time.monotonic() < self._next:
            return
        rows = counted(self._rows, "row")
        unplanned = sorted(open_.epochs.unplanned)
        new = f"; not followed, as they are new: {', '.join(unplanned)}" if unplanned else ""
        proof = proof_age(open_.proof.summary())
        words = f"{rows} replaced, in {epoch.seconds:.1f} s; as of {epoch.seen_at}; {proof}{new}"
        self._emit(Said(f"epoch {epoch.number}: {words}"))
        self._next, self._rows = time.monotonic() + _TELL_SECONDS, 0


def _note(result: Result, epoch: Epoch, open_: Open) -> None:
    """The result is of the last epoch, with the rows of all."""
    tables = {one.source: one for one in result.tables}
    for name, rows in epoch.rows.items():
        one = tables.get(name) or TableResult(name, name)
        if name not in tables:
            result.tables.append(one)
        one.rows_written = (one.rows_written or 0) + rows
    total = sum(one.rows_written or 0 for one in result.tables)
    whole = f"; as a whole: {', '.join(epoch.whole)}" if epoch.whole else ""
    message = (
        f"epoch {epoch.number}: the target is the source as of {epoch.seen_at}; "
        f"{counted(total, 'row')} replaced, each compared by its digest{whole}"
    )
    result.verdict = "migrated"
    result.findings = [*open_.findings, Finding(Code.W013, "note", "target", message)]
    result.not_migrated = open_.not_migrated
