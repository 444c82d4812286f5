"""`verify --repair`: the target's rows that differ are replaced by the source's, all in one transaction.

What differs is told by the drill-down, row by row. The target's rows go, and the source's come by the
copy's own SELECT and COPY, under the snapshot that was compared. Foreign keys, and the tables' own triggers,
are away until the end of the transaction: a parent that is away for a moment must neither be refused nor take
its children along (ON DELETE CASCADE). So the values of unique keys may be swapped, too.

A row that only the target has goes where the run or an earlier repair has written it, which its xmin shows;
else its writer may be the application, and its table has to be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink, phase
from converge.model.existing import OFF, Existing, OwnTable
from converge.model.plan import Finding, Plan, TablePlan
from converge.model.quote import pg_name, pg_text
from converge.model.recovery import Approve, Removal
from converge.model.result import Result
from converge.model.words import counted, said
from converge.model.work import FindTask, Found, Repaired, RepairTable, RepairTask
from converge.mysql.definitions import counter_values, next_values
from converge.planner.inputs import Selection, require_match
from converge.postgres.existing import read_existing
from converge.postgres.ledger import lock, upgrade, writers
from converge.postgres.made import next_value_statements
from converge.postgres.target import ledger_tables
from converge.run.compared import Compared
from converge.run.options import RESUME
from converge.run.replace import OnSql
from converge.run.workers import Workers


@dataclass(frozen=True, slots=True)
class Repair:
    """What `verify` may do about rows that differ."""

    delete_extra: tuple[str, ...] = ()
    """Patterns of source tables: rows that only the target has go there, whoever has written them."""
    approve: Approve | None = None
    """Is asked before rows are replaced, and may raise."""
    on_sql: OnSql | None = None
    """Gets the statements as a script for psql, in pieces; then nothing is carried out."""
    catches_up: bool = False
    """The source is expected to have moved: next values follow also where no row differs, and the source is
    looked at once more in the end."""


def require_repairable(both: Compared, repair: Repair) -> None:
    """Raises UsageError for a pattern that no table matches, BlockedError where no finished run is there."""
    names = [table.source for table in both.plan.tables]
    require_match("delete-extra", repair.delete_extra, names)
    if both.run is not None and both.run.state != "finished":
        raise BlockedError(
            f"run {both.run.run} is {both.run.state}, and only a finished run's rows are repaired",
            code=Code.V123,
            hint=RESUME,
        )


def carry_out(
    both: Compared,
    plan: Plan,
    target: Endpoint,
    workers: Workers,
    suspects: Mapping[str, int],
    repair: Repair,
    emit: Sink,
    result: Result,
) -> list[Finding]:
    """Repairs what differs of these source tables, each with the number of rows that are known to.

    Returns what came of it. Raises BlockedError for tables that cannot be repaired; then nothing is.
    """
    if not repair.on_sql:
        lock(both.target)
        if repair.approve is not None:
            repair.approve(Removal("repair", str(target), tuple(suspects.items())))
        if both.run is not None:
            upgrade(target)
    done: list[Repaired] = []
    with TemporaryDirectory(prefix="converge-") as folder:
        files = {name: f"{folder}/{number}" for number, name in enumerate(suspects)}
        with phase(result, emit, "compare", len(files)):
            todo = [FindTask(plan.schema, plan.table(name), file) for name, file in files.items()]
            todo.sort(key=lambda task: task.table.data_bytes, reverse=True)
            differ = set()
            for found in workers.work(todo):
                if isinstance(found, Found):
                    emit(Advanced("compare", found.table))
                    differ |= {found.table} if found.differs else set()
        with phase(result, emit, "repair"):
            files = {name: file for name, file in files.items() if name in differ}
            for answer in workers.work([_task(both, plan, files, repair)]):
                if isinstance(answer, bytes) and repair.on_sql:
                    repair.on_sql(answer)
                elif isinstance(answer, list):
                    done += answer
    return list(_findings(done, repair))


def _findings(done: Sequence[Repaired], repair: Repair) -> Iterator[Finding]:
    word = "to be repaired" if repair.on_sql else "repaired"
    changed = [one for one in done if one.inserted or one.replaced or one.deleted]
    if changed:
        yield _changed(changed, word)
    if kept := [one for one in done if one.kept]:
        rows = sum(one.kept for one in kept)
        yield Finding(
            Code.V119, "note", "target",
            said(rows, "are only in the target, not known as the run's: kept")
            + "; converge verify --repair --delete-extra TABLE deletes such rows",
            " ".join(f"--delete-extra {one.table}" for one in kept),
            evidence="; ".join(f"{one.table}: {one.kept:,}" for one in kept),
        )  # fmt: skip


def _changed(changed: Sequence[Repaired], word: str) -> Finding:
    verbs = ("inserted", "replaced", "deleted")
    listed = ", ".join(f"{sum(getattr(one, verb) for one in changed):,} {verb}" for verb in verbs)
    return Finding(
        Code.V118, "note", "target", f"{word}: {counted(len(changed), 'table')}; rows: {listed}",
        evidence="; ".join(map(str, changed)),
    )  # fmt: skip


def _task(both: Compared, plan: Plan, files: Mapping[str, str], repair: Repair) -> RepairTask:
    """All statements but those of single rows."""
    existing = read_existing(both.target, plan.schema)
    own = {name: _own(existing, plan.table(name)) for name in files}
    named = Selection(repair.delete_extra)
    ours = writers(both.target, both.run.run) if both.run else {}
    tables = tuple(
        RepairTable(
            plan.table(name), file, tuple(_others(plan.table(name), own[name])), tuple(ours.get(name, ())),
            bool(repair.delete_extra) and named.takes(name),
        )
        for name, file in files.items()
    )  # fmt: skip
    quoted = [one.quoted for one in own.values()]
    keys = existing.keys_of(quoted)
    switched = [
        (one.quoted, trigger) for one in own.values() for trigger in one.triggers if trigger.enabled != OFF
    ]
    before = [
        "SET LOCAL synchronous_commit = on",
        "SET LOCAL lock_timeout = '60s'",
        *(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE" for name in quoted),
        *(key.remove for key in keys),
        *(trigger.switch(name, OFF) for name, trigger in switched),
    ]
    after = [
        "SET CONSTRAINTS ALL IMMEDIATE",
        *_next_values(both, plan),
        *(trigger.switch(name, trigger.enabled) for name, trigger in switched),
        *(statement for key in keys for statement in key.restore),
        *(key.validate for key in keys if key.validate),
        *(
            f"REFRESH MATERIALIZED VIEW {name}"
            for name, reads in existing.materialized
            if {*reads} & {one.name for one in own.values()}
        ),
    ]
    if both.run is not None and tables and "repair" in ledger_tables(both.target):
        names = ", ".join(f"({both.run.run}, {pg_text(name)})" for name in files)
        after.append(
            "INSERT INTO converge.repair (run_id, source_table, xid) "
            f"SELECT *, pg_current_xact_id()::xid FROM (VALUES {names}) AS t"
        )
    return RepairTask(plan.schema, tables, tuple(before), tuple(after), repair.on_sql is not None)


def _own(existing: Existing, table: TablePlan) -> OwnTable:
    """The target's table. Raises BlockedError where single rows of it cannot be replaced."""
    own = existing.by_name[table.target]
    others = list(_others(table, own))
    why = own.obstacle
    if not why and others and not table.keys:
        why = f"it has no key, and the target's own columns {', '.join(others)} would lose their values"
    if why:
        raise BlockedError(
            f"{table.source} cannot be repaired: {why}",
            code=Code.V123,
            hint=f"--exclude {table.source} leaves it out",
        )
    return own


def _others(table: TablePlan, own: OwnTable) -> Iterator[str]:
    ours = {column.target for column in table.columns}
    for column in own.columns:
        if column.name not in ours and not column.generated:
            yield pg_name(column.name)


def _next_values(both: Compared, plan: Plan) -> list[str]:
    """Of all tables: numbers may be given out without a row."""
    names = {table.source for table in plan.tables}
    identities = tuple(one for one in plan.identities if one.table in names)
    numbers = next_values(both.source, sorted(one.table for one in identities if one.auto_increment))
    counters = counter_values(both.source, {one.table: one.next_value for one in plan.counters})
    return next_value_statements(replace(plan, identities=identities), numbers, counters)
