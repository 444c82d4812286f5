"""`converge rollback`: notes what changes in the target, and brings it back to the source.

The changes come back in one transaction of the source, and each row that was written is compared with the
target's before it is committed. What the source has then may be written again: a kill in between costs time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import pymysql
from pymysql.cursors import Cursor

from converge.codes import Code
from converge.errors import BlockedError, SourceError, first_of
from converge.model.documents import document
from converge.model.endpoint import Endpoint, same_server
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.model.quote import pg_name
from converge.model.recorded import Recorded
from converge.model.recovery import Approve, Removal
from converge.model.words import counted
from converge.mysql.connect import WatchedConnection
from converge.mysql.connect import connect as connect_source
from converge.mysql.errors import explain
from converge.mysql.privileges import read_privileges
from converge.mysql.query import fetch
from converge.postgres.ledger import upgrade
from converge.postgres.lock import lock
from converge.postgres.saved import without_idle_merges
from converge.postgres.target import ledger_tables
from converge.rollback.changes import Changed, Script
from converge.rollback.findings import (
    WRITING,
    acting_triggers,
    given_out,
    going_back,
    losses,
    obstacles,
    without_transactions,
)
from converge.rollback.parents import BEGIN_FAILING, Joining, checked_now
from converge.rollback.triggers import CHANGED, forget_changes, not_noted, note_changes
from converge.run.blockers import blocked
from converge.run.compared import Compared, Scope, compared, narrowed, require_whole, unfinished
from converge.run.options import Options
from converge.run.relation import Row, as_text, row_text

Action = Literal["prepare", "sql", "apply", "remove"]
# Values go back as they are: no number for a 0, and an error rather than another value.
_SESSION = (
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', "
    "time_zone='+00:00', foreign_key_checks=0, unique_checks=1, sql_safe_updates=0, "
    "default_tmp_storage_engine=InnoDB"
)
_MOST = 20
"""Rows that an error names."""
_CHANGE_IT = "change the row in the target so that the source's types hold it, and roll back again"
_VALUES = frozenset({1292, 1364, 1411, 1416, 1525, 1526, 1690, 3037, 3140, 3616, 3617, 3819})
"""Errors about values that the driver takes for others (MySQL 8.0 Error Reference)."""
_READ_ONLY = 1290
"""ER_OPTION_PREVENTS_STATEMENT: such as super_read_only, which the timetable of a cutover sets."""
_AT_ROW = re.compile(r" at row ([1-9]\d*)$")
"""Of the statement's rows; which is none of the table."""


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
                run = both.run.run if both.run else None
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


def write_rollback(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, write: Callable[[bytes], object]
) -> Rollback:
    """Writes what has changed as a script for the mysql client. Changes neither side."""
    result = Rollback("sql", str(source), str(target))
    with _changes(source, target, options, emit, result) as (_, _, scripts, joining):
        joining = [one for one in joining if one.columns]
        begin = (BEGIN_FAILING, *_begin(scripts, joining))
        write(f"{_SESSION};\nSET NAMES utf8mb4;\nSTART TRANSACTION;\n".encode())
        write("".join(f"{one};\n" for one in begin).encode())
        for _, script in scripts:
            for statement, *_ in script:
                write(statement)
        write("".join(f"{one.require_parents};\n" for one in joining).encode())
        write(b"COMMIT;\n")
    return result


def apply_rollback(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, approve: Approve | None
) -> Rollback:
    """Brings what has changed back to the source, in one transaction, and compares each row.

    Raises SourceError where the source refuses a row, or would have another value; nothing has changed then.
    """
    result = Rollback("apply", str(source), str(target))
    with _changes(source, target, options, emit, result) as (run, here, scripts, joining):
        if denied := dict.fromkeys(table for one in joining for table in one.denied):
            # A session without checks may have made a key whose parent is in no database that is there.
            drop = "-- or, where the table does not exist: ALTER TABLE … DROP FOREIGN KEY …;"
            own = read_privileges(here, source.database)
            raise SourceError(
                f"the user may not read {', '.join(map('.'.join, denied))}, where rows may have no parent; "
                "nothing has been changed",
                code=Code.S004,
                hint="\n".join([*(own.grant_reading(*table) for table in denied), drop]),
            )
        changes = tuple((changed.table.source, script.rows) for changed, script in scripts if script.rows)
        if approve is not None and changes:
            approve(Removal("change", str(source), changes))
        with _as_writer(here, source), here.cursor() as cursor:
            cursor.execute("SET SESSION transaction_read_only=0")
            cursor.execute(_SESSION)
            cursor.execute("START TRANSACTION")
            for begin in _begin(scripts, joining):
                cursor.execute(begin)
            for changed, script in scripts:
                if script.rows:
                    emit(Said(f"{changed.table.source}: {script}"))
                for statement, rows, keys in script:
                    with _naming(changed, keys):
                        _carry_out(cursor, changed, rows, statement)
            for changed, _ in scripts:
                _require_equal(changed)
            _require_parents(here, joining)
            cursor.execute("COMMIT")
        # Another server with such a database may be a copy, for a trial: the run's own has none of it yet.
        if run is None or same_server(source, run.source):
            for changed, _ in scripts:
                changed.forget()
    return result


def _begin(scripts: Sequence[tuple[Changed, Script]], joining: Sequence[Joining]) -> Iterator[str]:
    """The statements before those of all tables."""
    yield from (one.begin for one in joining)
    for changed, script in scripts:
        if script.rows:
            yield from changed.gather_orphans()


@contextmanager
def _changes(
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
                details=first_of([words for words, _ in acting], _MOST),
                hint="\n".join(statement for _, statement in acting[:_MOST]),
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
            changed = Changed(here, both.target, both.plan.schema, table, known[table.source], joining)
            script = stack.enter_context(closing(changed.script()))
            if script.rows:
                if engine := without_transactions(known[table.source]):
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
        hint = f"--run {both.run.run}, and the same command for each of the other runs"
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


@contextmanager
def _as_writer(here: WatchedConnection, source: Endpoint) -> Iterator[None]:
    """Raises SourceError with what lets a user write, for one who may not, or a server that is read only."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        refused = explain(error, source)
        if refused.code == Code.S004:
            own = read_privileges(here, source.database)
            grant = own.grant(", ".join(one for one in WRITING if not own.may(one)))
            refused.hint = (
                f"{grant}\nor a user who may write: --source mysql://USER@…; nothing has been changed"
            )
        elif error.args[0] == _READ_ONLY:
            refused.hint = "SET GLOBAL super_read_only = OFF, read_only = OFF; while every writer is stopped"
        else:
            raise
        raise refused from error


@contextmanager
def _naming(changed: Changed, keys: Sequence[Row]) -> Iterator[None]:
    """Raises SourceError with the row, or the rows of which it is one, where MySQL refuses a value."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        number, words = error.args if len(error.args) == 2 else (0, "")
        if not (number in _VALUES or isinstance(error, (pymysql.DataError, pymysql.IntegrityError))):
            raise
        place = _AT_ROW.search(words)
        refused = keys[int(place[1]) - 1 : int(place[1])] if place else keys
        raise SourceError(
            f"{changed.table.source}: MySQL refuses a row: {words[: place and place.start()]}; "
            "nothing has been changed",
            code=Code.V132,
            details=first_of([f"{changed.table.source} {row_text(key)}" for key in refused], _MOST),
            hint=_CHANGE_IT,
        ) from error


def _carry_out(cursor: Cursor, changed: Changed, rows: int | None, statement: bytes) -> None:
    """Raises SourceError where the statement changes more rows than are meant, or removes or brings fewer."""
    done = cursor.execute(statement.decode())
    # An UPDATE that changes nothing counts no row.
    if rows is not None and (done > rows or (done < rows and not statement.startswith(b"UPDATE"))):
        raise SourceError(
            f"{changed.table.source}: {counted(done, 'row')} would change, and {rows:,} should; "
            "nothing has been changed",
            code=Code.V132,
            details=[statement[:200].decode("utf-8", "replace")],
        )


def _require_equal(changed: Changed) -> None:
    """Raises SourceError where a row that has come back is not the target's."""
    if differ := [*islice(changed.differing(), _MOST)]:
        raise SourceError(
            "a row does not come back as it is; nothing has been changed",
            code=Code.V132,
            details=differ,
            hint=f"{_CHANGE_IT}; a number in JSON may have 65 digits there, 30 of them decimals",
        )


def _require_parents(here: WatchedConnection, joining: Sequence[Joining]) -> None:
    """Raises SourceError where rows of the source would have no parent."""
    lost = [(one, values, rows) for one in joining for *values, rows in fetch(here, one.orphans)]
    if lost:
        count = counted(sum(rows for *_, rows in lost), "row")
        listed = (
            f"{one} {row_text(tuple(map(as_text, values)))}: {counted(rows, 'row')}"
            for one, values, rows in lost
        )
        raise SourceError(
            f"{count} of the source would have no parent; nothing has been changed",
            code=Code.V132,
            details=first_of([*listed], _MOST),
            hint="bring back the parents in the target, or change these rows, and roll back again",
        )


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
            details=first_of(unnoted, _MOST),
            hint="converge rollback --prepare, before the application writes there; converge verify finds "
            "what has changed before",
        )


def _noted(both: Compared) -> tuple[tuple[str, int], ...]:
    """Tables with the number of their rows that are noted."""
    if "changed" not in ledger_tables(both.target):
        return ()
    query = f"SELECT target_table, count(DISTINCT key) FROM {CHANGED} GROUP BY 1 ORDER BY 1"
    return tuple(both.target.execute(query.encode()).fetchall())
