"""`converge cutover`: the last epoch, on a source that stands still, and the certificate.

All rows have been compared before the window, by the rolling proof of the epochs; each epoch from then on
compares what it replaces. So the window has only what does not grow with the tables: the last epoch, the next
values, and materialized views; and tables that change and are not InnoDB's, which no view holds still, with
the views and checks that read them. What grows again, the check of all rows of foreign keys that hold
already, comes `afterwards`: it blocks no reader and no writer.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from converge.codes import Code
from converge.errors import BlockedError
from converge.following.afterwards import compared_tables, cut_over, finish, finished, require_all_runs
from converge.following.epoch import TRIES, Epoch
from converge.following.follow import Open, note_unequal, opened
from converge.model.arguments import Checked
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, phase
from converge.model.finding import Finding
from converge.model.log import LogPosition
from converge.model.plan import Plan
from converge.model.quote import pg_name
from converge.model.result import Result
from converge.model.words import counted, said
from converge.mysql.definitions import counter_values, next_values
from converge.mysql.log import writers
from converge.postgres.existing import read_existing
from converge.postgres.following import note_certificate, read_following
from converge.postgres.made import changed_since, gone_sequences, set_next_values, unchecked_keys
from converge.postgres.query import value
from converge.run.computed import ask_checks, prove_views
from converge.run.options import Options
from converge.run.proof import Proof

_MOST_EPOCHS = 20
_MOST_NAMED = 20
_PROOF_SECONDS = 5.0
"""Of one epoch before the window."""
_STILL_SECONDS = 2.0
"""So long the source's log must not move."""


@dataclass(frozen=True, slots=True)
class Window(Checked):
    """What the operator wants."""

    max_seconds: float = 60.0
    """From the moment when the writers are stopped until the application may start."""
    dry_run: bool = False
    full_proof: bool = False
    """Whether all rows are compared anew."""
    stop: str = ""
    """A command of the shell that stops the writers; empty where the operator does."""
    wait: Callable[[], None] | None = None
    """Without a command: returns when the operator has stopped them; None where they are stopped already."""
    on_certificate: Callable[[dict[str, Any]], None] = lambda _: None
    """Gets the certificate as soon as the application may start."""


def cutover(
    source: Endpoint, target: Endpoint, options: Options, window: Window, emit: Sink, result: Result
) -> dict[str, Any]:
    """Makes the target the application's; returns the certificate, which the ledger keeps, or {}. Where that
    has been done, finishes what was left to be done afterwards.

    Raises BlockedError where the window would be too long or the source does not stand still: then the
    target goes on being followed.
    """
    tell = window.on_certificate
    if not window.dry_run and (certificate := finished(source, target, options, emit, result, tell)):
        return certificate
    with opened(source, target, options, emit, "cutover") as open_:
        result.findings += open_.findings
        result.not_migrated = open_.not_migrated
        require_all_runs(open_.run, options)
        _require_parents(open_)
        _require_sequences(open_)
        run = _Cutover(open_, window, emit, result)
        with phase(result, emit, "catch up"):
            run.approach()
        with phase(result, emit, "proof"):
            run.prove()
        if result.verdict == "differs":
            return {}
        with phase(result, emit, "catch up again"):
            last = run.approach()
        _require_parents(open_)
        changed = _changed(open_)
        if window.dry_run:
            result.findings += changed
            if writing := run.writing():
                words = f"at work now, and in the way of the window until it has ended: {'; '.join(writing)}"
                result.findings.append(Finding(Code.W014, "note", "source", words))
            words = f"the window would take about {last.seconds + _STILL_SECONDS:.0f} s"
            if unsettled := open_.proof.unsettled:
                words += f", and the comparison of {', '.join(unsettled)}, which no snapshot holds still"
            if names := run.names_later():
                words += f"; of {', '.join(names)}, which read such tables, too"
            result.verdict = "ready"
            result.next_command = "converge cutover --stop COMMAND"
            result.findings.append(Finding(Code.W014, "note", "target", words))
            return {}
        for one in changed:
            emit(Said(f"{one.object}: {one.message}"))
        certificate = run.window()
        with cut_over(certificate, source, target):
            tell(certificate)
            assert open_.prepared.target is not None
            finish(replace(open_.run, plan=open_.prepared.plan), open_.prepared.target, emit, result)
        return certificate


@dataclass
class _Cutover:
    open_: Open
    window_: Window
    emit: Sink
    result: Result
    seconds: dict[str, float] = field(default_factory=dict)
    """Of the window's steps."""
    written: set[str] = field(default_factory=set)
    """Tables that were written to since the cutover began to catch up."""
    later: Plan | None = None
    """With the views, indexes and checks that are compared in the window; None before that is known."""

    def approach(self) -> Epoch:
        """Epochs until one is short. Raises BlockedError where they do not become so."""
        most = self.window_.max_seconds / 4
        for _ in range(_MOST_EPOCHS):
            with self.open_.epochs.next() as epoch:
                self.written |= epoch.rows.keys()
            if epoch.seconds <= most:
                return epoch
        raise BlockedError(
            f"an epoch takes {epoch.seconds:.0f} s, for {counted(epoch.keys, 'key')}: too long for a window "
            f"of {self.window_.max_seconds:.0f} s",
            code=Code.W010,
            hint="let converge follow run until it has caught up; or more --max-seconds",
        )

    def prove(self) -> None:
        """Goes on with the rolling proof until it is complete, then compares views and asks the maps' checks.

        A few seconds go into what was compared longest ago, so that a small database is compared anew.
        """
        open_ = self.open_
        if self.window_.full_proof:
            open_.proof.forget()
        while True:
            with open_.epochs.next() as epoch:
                self.written |= epoch.rows.keys()
                found = open_.proof.step(epoch, _PROOF_SECONDS)
                if found is not None:
                    note_unequal(self.result, found)
                    return
                if open_.proof.missing <= open_.proof.moving:
                    self._prove_computed()
                    return

    def _prove_computed(self) -> None:
        open_, result = self.open_, self.result
        plan, there = open_.prepared.plan, open_.prepared.target
        assert there is not None
        result.tables = compared_tables(plan, open_.proof.tables())
        result.verdict = "verified"
        before, self.later = _by_window(plan, self._never_held())
        proof = Proof(
            before, open_.proof.workers, open_.prepared.source, there, {}, "full", result, self.emit, {}
        )  # fmt: skip
        # A view that shows what a policy has changed has other rows.
        proof.count_changes()
        proof.prove_computed()

    def _never_held(self) -> set[str]:
        """Tables that no view holds still, and that are written to."""
        proof = self.open_.proof
        return {*proof.unsettled} | (self.written & proof.unheld)

    # ---- the window ------------------------------------------------------------------------------------

    def window(self) -> dict[str, Any]:
        """From the writers' stop until the application may start."""
        if not self.window_.stop and self.window_.wait is not None:
            self.window_.wait()
        open_, started = self.open_, time.monotonic()
        self._stop()
        self._step("stop", started)
        open_.epochs.wait_for_locks(max(1.0, self.window_.max_seconds / TRIES))
        with open_.epochs.next() as epoch:
            self._step("last epoch", started)
            # Only the values tell whether rows of the last epoch are equal; or no view holds the table still.
            seconds = self.window_.max_seconds - (time.monotonic() - started)
            open_.proof.step(epoch, seconds, still=True)
            unlike = self._compare_later()
            self._step("proof", started)
        open_.epochs.look_for_new()
        if unplanned := open_.epochs.unplanned:
            raise BlockedError(
                f"{', '.join(sorted(unplanned))}: new in the source since the cutover began; the target is "
                "still followed",
                code=Code.W011,
                hint="converge cutover again makes them and brings their rows, in create mode",
            )
        self._numbers()
        self._step("next values and materialized views", started)
        if why := self._moves(epoch.log):
            raise _not_still(why)
        took = time.monotonic() - started
        missing = open_.proof.missing
        if missing:
            unlike.insert(0, f"not all rows of {', '.join(sorted(missing))} are verified")
        if took > self.window_.max_seconds or unlike:
            why = "; ".join(unlike) or "too long"
            raise BlockedError(
                f"the window was given up after {took:.0f} s: {why}; the target is still followed",
                code=Code.W010,
                hint="let the application write to the source again; more --max-seconds, or converge verify, "
                "which shows rows that differ",
            )
        return self._certify(epoch, took)

    def names_later(self) -> list[str]:
        """The views, indexes and checks that are left for the window."""
        plan = self.later
        return sorted(one.source for one in plan.computed) + [one.name for one in plan.checks] if plan else []

    def _compare_later(self) -> list[str]:
        """What was left for the still source; in words what does not agree."""
        plan, workers, result = self.later, self.open_.proof.workers, self.result
        assert plan is not None
        if plan.computed:
            prove_views(plan, workers, result, self.emit)
        ask_checks(plan, workers, result, self.emit)
        unlike = [f"the {one.kind} {one.name} differs" for one in result.views if one.state == "differs"]
        return unlike + [str(one) for one in result.checks if one.failed]

    def _stop(self) -> None:
        """Has the writers stopped, and waits until nothing moves. Raises BlockedError."""
        epochs = self.open_.epochs
        if self.window_.stop:
            how: int | str
            try:
                how = subprocess.run(
                    self.window_.stop, shell=True, timeout=self.window_.max_seconds
                ).returncode
            except subprocess.TimeoutExpired:
                # Only the shell is killed: in a group of its own it could ask nothing on the terminal.
                how = f"nothing within {self.window_.max_seconds:.0f} s, and may still be at work"
            if how:
                raise BlockedError(
                    f"the command that stops the writers ended with {how}: {self.window_.stop}; "
                    "the target is still followed",
                    code=Code.W011,
                    hint="let the writers go on; converge cutover again, with a command that ends with 0",
                )
        give_up = time.monotonic() + self.window_.max_seconds
        still, place = time.monotonic(), epochs.place()
        why = f"{self.window_.max_seconds:.0f} s do not tell"
        while time.monotonic() - still < _STILL_SECONDS:
            if time.monotonic() > give_up:
                raise _not_still(why)
            time.sleep(0.2)
            if moves := self._moves(place):
                still, place, why = time.monotonic(), epochs.place(), moves

    def _moves(self, since: LogPosition) -> str:
        """Why the source does not stand still since its log stood here; empty where it does."""
        # Before the log, which has what they write when they have ended.
        writing = self.writing()
        place = self.open_.epochs.place()
        moved = [] if place.order == since.order else [f"its log has moved from {since} to {place}"]
        return "; ".join(moved + writing)

    def writing(self) -> list[str]:
        """Who may still write to the source, the first few of them; empty where nobody does."""
        found = writers(self.open_.prepared.source)
        return ["others read INNODB_TRX all the time"] if found is None else found[:_MOST_NAMED]

    def _numbers(self) -> None:
        """Sequences go on where the source does; materialized views have the last rows."""
        here, there, plan = self.open_.prepared.source, self.open_.prepared.target, self.open_.prepared.plan
        assert there is not None
        there.execute(f"SET lock_timeout = '{self.window_.max_seconds:.0f}s'".encode())
        numbered = sorted({one.table for one in plan.identities if one.auto_increment})
        counters = counter_values(here, {one.table: one.next_value for one in plan.counters})
        set_next_values(there, plan, next_values(here, numbered), counters)
        for name, _ in read_existing(there, plan.schema).materialized:
            there.execute(f"REFRESH MATERIALIZED VIEW {name}".encode())
        there.execute("RESET lock_timeout")

    def _certify(self, epoch: Epoch, took: float) -> dict[str, Any]:
        there = self.open_.prepared.target
        assert there is not None
        certificate = {
            "converge": 1,
            "command": "cutover",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": self.result.source,
            "target": self.result.target,
            "run": self.open_.run.run,
            "tables_of_other_runs": sorted(self.open_.run.elsewhere),
            "log": asdict(epoch.log),
            "epoch": epoch.number,
            "seen_at": epoch.seen_at,
            "proof": {**self.open_.proof.summary(), "tables": self.open_.proof.tables()},
            "window_seconds": round(took, 1),
            "seconds": self.seconds,
        }
        note_certificate(there, self.open_.run.run, certificate)
        self.result.tables = compared_tables(self.open_.prepared.plan, self.open_.proof.tables())
        if not _prepared(self.open_):
            self.result.next_command = "converge rollback --prepare"
        words = (
            f"cut over at {certificate['at']}, after {took:.1f} s: the application may start on the target"
        )
        self.emit(Said(words))
        self.result.findings.append(
            Finding(Code.W014, "note", "target", words, evidence=json.dumps(self.seconds))
        )
        return certificate

    def _step(self, name: str, started: float) -> None:
        self.seconds[name] = round(time.monotonic() - started - sum(self.seconds.values()), 1)


def _by_window(plan: Plan, tables: set[str]) -> tuple[Plan, Plan]:
    """The plan with the views, indexes and checks that do not read these tables, and with those that do."""
    late = tuple(one for one in plan.computed if tables & {*one.reads})
    names = {*tables, *(one.source for one in late if one.kind == "view")}
    # A check is text: one that has such a name in another meaning only waits.
    named = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
    checks = tuple(one for one in plan.checks if names and named.search(one.source))
    before = replace(
        plan,
        computed=tuple(one for one in plan.computed if one not in late),
        checks=tuple(one for one in plan.checks if one not in checks),
    )
    return before, replace(plan, computed=late, checks=checks)


def _not_still(why: str) -> BlockedError:
    return BlockedError(
        f"the source does not stand still: {why}; the target is still followed",
        code=Code.W011,
        hint="stop every writer, jobs too: SET GLOBAL super_read_only = ON; ends their commits",
    )


def _require_parents(open_: Open) -> None:
    """Raises BlockedError for rows without a parent: the key could not be made valid after the cutover."""
    there = open_.prepared.target
    assert there is not None
    for key in unchecked_keys(there, open_.run.plan, open_.run.made):
        if orphans := value(there, key.orphans):
            raise BlockedError(
                f"{key.table}: {said(orphans, 'have no parent', 'row')} by the foreign key {key.name}",
                code=Code.W010,
                hint="repair them in the source, where foreign_key_checks was off",
            )


def _require_sequences(open_: Open) -> None:
    """Raises BlockedError where others have dropped a sequence, and no revision has."""
    run, there = open_.run, open_.prepared.target
    assert there is not None
    known = run.made.objects if run.made else {}
    every = gone_sequences(there, run.plan).values()
    gone = [one for one in every if one.name in known and not one.instead]
    if gone:
        raise BlockedError(
            f"{said(len(gone), 'are gone from the target', 'sequence')}: rows would get no next value",
            code=Code.W010,
            details=[f"{one.of}: {one.name}" for one in gone[:_MOST_NAMED]],
            hint="make them again, as ALTER TABLE … ADD GENERATED BY DEFAULT AS IDENTITY does; or run the "
            "change as a revision by converge migrations run, which records it",
        )


def _changed(open_: Open) -> list[Finding]:
    """What is no longer as the run has made it, and will not be after the cutover."""
    run, there = open_.run, open_.prepared.target
    assert there is not None
    found = changed_since(there, run.plan, run.made, read_following(there, run.run)) if run.made else []
    return [one for one in found if one.severity == "block"]


def _prepared(open_: Open) -> bool:
    """Whether `rollback --prepare` has been: changes of all tables that can go back are noted."""
    plan, there = open_.prepared.plan, open_.prepared.target
    assert there is not None
    names = [pg_name(plan.schema, one.target) for one in plan.tables if not one.rows]
    query = "SELECT count(*) FROM converge.prepared WHERE target_table = ANY (%s) AND run_id = %s"
    return bool(value(there, query, (names, open_.run.run)) == len(names))
