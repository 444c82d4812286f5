"""Install the triggers that note changes of the target, and read what they have noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from converge.codes import Code
from converge.errors import BlockedError, first_of
from converge.model.documents import document
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.model.quote import pg_name
from converge.model.recorded import Recorded
from converge.model.recovery import Approve, Removal
from converge.model.words import counted
from converge.mysql.connect import WatchedConnection
from converge.mysql.connect import connect as connect_source
from converge.postgres.following import not_noted
from converge.postgres.ledger import upgrade
from converge.postgres.lock import lock
from converge.postgres.saved import without_idle_merges
from converge.postgres.target import ledger_tables
from converge.rollback.changes import Changed
from converge.rollback.findings import (
    acting_triggers,
    given_out,
    going_back,
    losses,
    obstacles,
    without_transactions,
)
from converge.rollback.keyless import KeylessChanged
from converge.rollback.parents import Joining, checked_now
from converge.rollback.script import Script
from converge.rollback.sides import Sides
from converge.rollback.triggers import CHANGED, forget_changes, note_changes
from converge.run.blockers import blocked
from converge.run.compared import Compared, compared, narrowed, require_whole, unfinished
from converge.run.options import Options
from converge.run.scope import Scope

Action = Literal["prepare", "sql", "apply", "remove"]
MOST = 20
"""Rows that an error names."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What goes back of a table, in rows of the source."""

    source: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Rollback:
    """What a rollback came to."""

    action: Action
    source: str
    target: str
    tables: list[Returned] = field(default_factory=list)
    """Those that are prepared, or of which rows go back."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Literal["ready", "verified", "blocked"]:
        if any(finding.severity == "block" for finding in self.findings):
            return "blocked"
        return "verified" if self.action == "apply" else "ready"

    @property
    def exit_code(self) -> int:
        return 3 if self.verdict == "blocked" else 0

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return document("rollback", self)


def prepare_rollback(source: Endpoint, target: Endpoint, options: Options, emit: Sink) -> Rollback:
    """From now on, which rows of the target change is noted; the findings name what could not go back.

    Writes nothing to the source, and nothing at all where something blocks.
    """
    result = Rollback("prepare", str(source), str(target))
    with compared(source, target, options, emit) as both:
        left_out = _by_run(both, options)
        both, gone = _of_both_sides(both)
        left_out += gone
        tables = going_back(both.plan)
        result.findings += [*left_out, *Scope(both).gone]
        if result.verdict != "blocked":
            result.findings += obstacles(both, tables)
            lock(both.target, "rollback")
            upgrade(target)
            with both.target.transaction():
                both.target.execute("SET LOCAL lock_timeout = '60s'")
                run = both.run.id if both.run else None
                whole = note_changes(both.target, both.plan.schema, tables, run)
            for name in whole:
                emit(Said(f"{name}: changes may not have been noted, so all of its rows are compared"))
            result.tables += [Returned(table.source) for table in tables]
    return result


def remove_rollback(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, approve: Approve | None
) -> Rollback:
    """Changes are no longer noted, and those that were noted are forgotten; asks where there are any."""
    result = Rollback("remove", str(source), str(target))
    with compared(source, target, options, emit) as both:
        _require_prepared(both, whole=False)
        lock(both.target, "rollback")
        if approve is not None and (noted := _noted(both)):
            approve(Removal("forget changes of", str(target), noted))
        with both.target.transaction():
            names = {pg_name(both.plan.schema, one.target): one.source for one in both.plan.tables}
            gone = forget_changes(both.target, both.plan.schema)
            result.tables += [Returned(names.get(name, name)) for name in gone]
    return result


@contextmanager
def noted_changes(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, result: Rollback
) -> Iterator[tuple[Recorded | None, WatchedConnection, list[tuple[Changed, Script]], list[Joining]]]:
    """What has changed since it was noted. Nobody writes to the target's tables while it is looked at."""
    with ExitStack() as stack:
        whole = stack.enter_context(compared(source, target, options, emit))
        left_out = _by_run(whole, options)
        both, lost = _of_both_sides(whole)
        left_out += lost
        _require_prepared(both)
        if gone := Scope(both).gone:
            raise blocked(gone)
        if acting := acting_triggers(both):
            raise BlockedError(
                f"{counted(len(acting), 'trigger')} of the source would act on the rows that come back",
                code=Code.V131,
                details=first_of([words for words, _ in acting], MOST),
                hint="\n".join(statement for _, statement in acting[:MOST]),
            )
        lock(both.target, "rollback")
        here = stack.enter_context(closing(connect_source(source)))
        tables = going_back(both.plan)
        joining = checked_now(both, tables, {name for name, _ in _noted(both)})
        stack.enter_context(both.target.transaction())
        known = {table.name: table for table in both.catalog.tables}
        names = ", ".join(pg_name(both.plan.schema, table.target) for table in tables)
        both.target.execute("SET LOCAL lock_timeout = '60s'")
        if tables:
            both.target.execute(f"LOCK TABLE {names} IN SHARE MODE".encode())
        scripts = []
        for table in tables:
            own = known[table.source]
            sides = Sides(here, both.target, both.plan.schema, table, own)
            changed = (Changed if sides.key else KeylessChanged)(sides, own, joining)
            script = stack.enter_context(closing(changed.script()))
            if script.rows:
                if engine := without_transactions(own):
                    raise BlockedError(
                        f"{table.source}: {engine.message}", code=engine.code, hint=engine.hint
                    )
                result.tables.append(Returned(table.source, script.inserted, script.updated, script.deleted))
            scripts.append((changed, script))
        moved = {one.source for one in result.tables}
        lost_there = losses(both, [table for table in tables if table.source in moved])
        result.findings += [*left_out, *lost_there, *given_out(both)]
        yield both.run, here, scripts, [one for one in joining if any(map(one.joins, moved))]


def _by_run(both: Compared, options: Options) -> list[Finding]:
    """What is to be said of the run by whose plan rows go back. Raises BlockedError where it is not all."""
    if both.run is not None:
        hint = f"--run {both.run.id}, and the same command for each of the other runs"
        require_whole(both.run, options, Code.V133, hint)
    return [*(one for one in both.findings if one.code == Code.V114), *unfinished(both.run, "note")]


def _of_both_sides(both: Compared) -> tuple[Compared, list[Finding]]:
    """Without the tables that only one side still has, and what is to be said of them and of those that do
    not go back.

    Raises BlockedError where changes of such a table are noted, which could not come back.
    """
    here = {table.name for table in both.catalog.tables}
    noted = dict(_noted(both))
    findings, lost = [], []
    for table in both.plan.tables:
        if table.source in here and table.target in both.facts.names:
            continue
        side, what = "source", "no change of it goes back"
        if table.source in here:
            side, what = "target", "the source keeps its rows as they are"
        words = f"the {side} no longer has the table"
        findings.append(Finding(Code.V130, "lossy", table.source, f"{words}: {what}"))
        if rows := noted.get(pg_name(both.plan.schema, table.target)):
            words = f"{words}, and {counted(rows, 'changed row')} of it is noted"
            hint = "make the table again; or converge rollback --remove forgets all that is noted"
            lost.append(Finding(Code.V115, "block", table.source, words, hint))
    if lost:
        raise blocked(lost)
    kept = {table.source for table in both.plan.tables} - {one.object for one in findings}
    counters = tuple(one for one in both.plan.counters if one.table in here)
    plan = replace(narrowed(both.plan, kept), counters=counters)
    plan = without_idle_merges(both.target, plan)
    words = "the target has kept rows of its own: none goes back"
    keeping = [Finding(Code.V130, "lossy", table.source, words) for table in plan.tables if table.rows]
    return replace(both, plan=plan), [*findings, *keeping]


def _require_prepared(both: Compared, *, whole: bool = True) -> None:
    """Raises BlockedError where changes are not noted, or, if `whole`, not those of all tables."""
    names = [pg_name(both.plan.schema, table.target) for table in going_back(both.plan)]
    if "prepared" not in ledger_tables(both.target):
        unnoted = names
    else:
        unnoted = not_noted(both.target, names) if whole else []
    if unnoted:
        raise BlockedError(
            "which rows have changed in the target was not noted, or not of all tables",
            code=Code.V133,
            details=first_of(unnoted, MOST),
            hint="converge rollback --prepare, before the application writes there; converge verify finds "
            "what has changed before",
        )


def _noted(both: Compared) -> tuple[tuple[str, int], ...]:
    """Tables with the number of their rows that are noted."""
    if "changed" not in ledger_tables(both.target):
        return ()
    query = f"SELECT target_table, count(DISTINCT key) FROM {CHANGED} GROUP BY 1 ORDER BY 1"
    return tuple(both.target.execute(query.encode()).fetchall())
