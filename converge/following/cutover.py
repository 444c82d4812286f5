"""`converge cutover`: the last epoch, on a source that stands still, and the certificate.

All rows have been compared before the window, by the rolling proof of the epochs; each epoch from then on
compares what it replaces. So the window has only what does not grow with the tables: the last epoch, the next
values, and materialized views; and tables that change and are not InnoDB's, which no view holds still, with
the views and checks that read them. What grows again, the check of all rows of foreign keys that hold
already, comes `afterwards`: it blocks no reader and no writer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from converge.codes import Code
from converge.errors import BlockedError
from converge.following.afterwards import compared_tables, cut_over, finish, finished, require_all_runs
from converge.following.epoch import Epoch
from converge.following.follow import Open, note_unequal, opened, record
from converge.following.window import (
    MOST_NAMED,
    PREPARE,
    STILL_SECONDS,
    Closing,
    Window,
    rollback_prepared,
    still_writing,
)
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, phase
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.result import Result
from converge.model.words import counted, said
from converge.postgres.following import read_following
from converge.postgres.made import changed_since, unchecked_keys
from converge.postgres.next_values import gone_sequences
from converge.postgres.query import value
from converge.run.options import Options
from converge.run.proof import Proof

_MOST_EPOCHS = 20
_PROOF_SECONDS = 5.0
"""Of one epoch before the window."""


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
            if writing := still_writing(open_.prepared.source):
                words = f"at work now, and in the way of the window until it has ended: {'; '.join(writing)}"
                result.findings.append(Finding(Code.W014, "note", "source", words))
            words = f"the window would take about {last.seconds + STILL_SECONDS:.0f} s"
            if unsettled := open_.proof.unsettled:
                words += f", and the comparison of {', '.join(unsettled)}, which no snapshot holds still"
            if names := run.names_later():
                words += f"; of {', '.join(names)}, which read such tables, too"
            result.verdict = "ready"
            result.next_command = "converge cutover --stop COMMAND" if rollback_prepared(open_) else PREPARE
            result.findings.append(Finding(Code.W014, "note", "target", words))
            return {}
        for one in changed:
            emit(Said(f"{one.object}: {one.message}"))
        assert run.later is not None
        certificate = Closing(open_, window, emit, result, run.later).close()
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
                    record(open_, self.result, found)
                    return
                if open_.proof.missing <= open_.proof.moving:
                    self._prove_computed()
                    if self.result.verdict == "differs":
                        record(open_, self.result)
                    return

    def _prove_computed(self) -> None:
        open_, result = self.open_, self.result
        plan, there = open_.prepared.plan, open_.prepared.target
        assert there is not None
        result.tables = compared_tables(plan, open_.proof.tables())
        result.verdict = "verified"
        before, self.later = _by_window(plan, self._never_held())
        proof = Proof(
            plan=before,
            workers=open_.proof.workers,
            source=open_.prepared.source,
            target=there,
            ranges={},
            level="full",
            result=result,
            emit=self.emit,
        )
        # A view that shows what a policy has changed has other rows.
        proof.count_changes()
        proof.prove_computed()

    def _never_held(self) -> set[str]:
        """Tables that no view holds still, and that are written to."""
        proof = self.open_.proof
        return {*proof.unsettled} | (self.written & proof.unheld)

    def names_later(self) -> list[str]:
        """The views, indexes and checks that are left for the window."""
        plan = self.later
        return sorted(one.source for one in plan.computed) + [one.name for one in plan.checks] if plan else []


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


def _require_parents(open_: Open) -> None:
    """Raises BlockedError for rows without a parent: the key could not be made valid after the cutover."""
    there = open_.prepared.target
    assert there is not None
    for key in unchecked_keys(there, open_.run.plan, open_.run.made):
        if orphans := value(there, key.orphans):
            raise BlockedError(
                f"{key.table}: {said(orphans, 'have no parent', 'row')} by the foreign key {key.name}",
                code=Code.W010,
                hint="repair them in the source, where foreign_key_checks was off; or, where it has no such "
                "rows: converge sync",
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
            details=[f"{one.of}: {one.name}" for one in gone[:MOST_NAMED]],
            hint="make them again, as ALTER TABLE … ADD GENERATED BY DEFAULT AS IDENTITY does; or run the "
            "change as a revision by converge migrations run, which records it",
        )


def _changed(open_: Open) -> list[Finding]:
    """What is no longer as the run has made it, and will not be after the cutover."""
    run, there = open_.run, open_.prepared.target
    assert there is not None
    found = changed_since(there, run.plan, run.made, read_following(there, run.id)) if run.made else []
    return [one for one in found if one.severity == "block"]
