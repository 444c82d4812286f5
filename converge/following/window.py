"""The window of a cutover: from the moment when the writers stop until the application may start."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import BlockedError
from converge.following.afterwards import compared_tables
from converge.following.epoch import TRIES, Epoch
from converge.following.follow import Open, record
from converge.model.arguments import Checked
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.model.log import LogPosition
from converge.model.plan import Plan
from converge.model.quote import pg_name
from converge.model.result import Result
from converge.model.words import utc_now
from converge.mysql.definitions import counter_values, next_values
from converge.mysql.log import writers
from converge.postgres.existing import read_existing
from converge.postgres.following import not_noted, note_certificate
from converge.postgres.next_values import set_next_values
from converge.postgres.query import value
from converge.run.computed import ask_checks, prove_views

MOST_NAMED = 20
"""Of what stands in the way."""
PREPARE = "converge rollback --prepare"
STILL_SECONDS = 2.0
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


@dataclass
class Closing:
    """The steps of the window, each with its seconds."""

    open_: Open
    window_: Window
    emit: Sink
    result: Result
    later: Plan
    """With the views, indexes and checks that are compared in the window."""
    seconds: dict[str, float] = field(default_factory=dict)

    def close(self) -> dict[str, Any]:
        """Returns the certificate. Raises BlockedError where the window is given up."""
        if not self.window_.stop and self.window_.wait is not None:
            self.window_.wait()
        open_, started = self.open_, time.monotonic()
        still = self._stop()
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
        # Not since the epoch: a commit that came before it may be in the log, and not yet in its view.
        if why := self._moves(still):
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

    def _compare_later(self) -> list[str]:
        """What was left for the still source; in words what does not agree."""
        plan, workers, result = self.later, self.open_.proof.workers, self.result
        if plan.computed:
            prove_views(plan, workers, result, self.emit)
        ask_checks(plan, workers, result, self.emit)
        unlike = [f"the {one.kind} {one.name} differs" for one in result.views if one.state == "differs"]
        return unlike + [str(one) for one in result.checks if one.failed]

    def _stop(self) -> LogPosition:
        """Has the writers stopped, and waits until nothing moves; where the log stands then. Raises
        BlockedError."""
        epochs = self.open_.epochs
        if self.window_.stop:
            how: int | str
            try:
                # What it says goes to stderr: stdout has the result.
                how = subprocess.run(
                    self.window_.stop, shell=True, stdout=2, timeout=self.window_.max_seconds
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
        while time.monotonic() - still < STILL_SECONDS:
            if time.monotonic() > give_up:
                raise _not_still(why)
            time.sleep(0.2)
            if moves := self._moves(place):
                still, place, why = time.monotonic(), epochs.place(), moves
        return place

    def _moves(self, since: LogPosition) -> str:
        """Why the source does not stand still since its log stood here; empty where it does."""
        # Before the log, which has what they write when they have ended.
        writing = still_writing(self.open_.prepared.source)
        place = self.open_.epochs.place()
        moved = [] if place.order == since.order else [f"its log has moved from {since} to {place}"]
        return "; ".join(moved + writing)

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
            "at": utc_now(),
            "source": self.result.source,
            "target": self.result.target,
            "run": self.open_.run.id,
            "tables_of_other_runs": sorted(self.open_.run.elsewhere),
            "log": asdict(epoch.log),
            "epoch": epoch.number,
            "seen_at": epoch.seen_at,
            "proof": {**self.open_.proof.summary(), "tables": self.open_.proof.tables()},
            "window_seconds": round(took, 1),
            "seconds": self.seconds,
        }
        self.result.tables = compared_tables(self.open_.prepared.plan, self.open_.proof.tables())
        with there.transaction():
            note_certificate(there, self.open_.run.id, certificate)
            record(self.open_, replace(self.result, cut_over=str(certificate["at"])))
        self.result.cut_over = str(certificate["at"])
        if not rollback_prepared(self.open_):
            self.result.next_command = PREPARE
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


def still_writing(source: Connection) -> list[str]:
    """Who may still write to the source, the first few of them; empty where nobody does."""
    found = writers(source)
    return ["others read INNODB_TRX all the time"] if found is None else found[:MOST_NAMED]


def _not_still(why: str) -> BlockedError:
    return BlockedError(
        f"the source does not stand still: {why}; the target is still followed",
        code=Code.W011,
        hint="stop every writer, jobs too: SET GLOBAL super_read_only = ON; ends their commits",
    )


def rollback_prepared(open_: Open) -> bool:
    """Whether `rollback --prepare` has been, and changes of all tables that go back are noted."""
    plan, there = open_.prepared.plan, open_.prepared.target
    assert there is not None
    names = [pg_name(plan.schema, one.target) for one in plan.tables if not one.rows]
    query = "SELECT count(*) FROM converge.prepared WHERE target_table = ANY (%s) AND run_id = %s"
    return value(there, query, (names, open_.run.id)) == len(names) and not not_noted(there, names)
