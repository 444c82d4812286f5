"""The snapshot of all workers, and whether the source is still as it was then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from converge.codes import Code
from converge.errors import START_AGAIN, SourceError
from converge.model.catalog import Catalog, changed
from converge.model.event import Advanced, Sink, phase
from converge.model.plan import Finding, Plan
from converge.model.result import GoingBack, Result
from converge.model.work import Digest, Range
from converge.mysql import snapshot
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.privileges import read_rights
from converge.mysql.snapshot import Snapshot, known_by_time, read_identities
from converge.run import proof
from converge.run.proof import VerifyLevel
from converge.run.workers import Workers

PHASE = "source changes"


def take_snapshot(
    here: WatchedConnection, catalog: Catalog, plan: Plan, begin: Callable[[], None], result: Result
) -> tuple[Snapshot, Callable[[], None]]:
    """Takes the snapshot of all workers, which `begin` begins; `result` notes its level.

    The second value is to be called before the workers' snapshot ends: it raises SourceError when a planned
    table is not what was planned, or another one of its name. What a worker has read cannot be renamed, nor
    locked, before its snapshot ends.
    """
    tables = dict.fromkeys(table.source for table in plan.tables)
    before = read_identities(here, catalog.database, tables)
    if unsure := known_by_time(before):
        message = "only the second of their creation shows whether these are the same tables in the end"
        result.findings.append(Finding(Code.V100, "note", "source", message, evidence=", ".join(unsure)))
    taken = snapshot.take(here, list(tables), begin)
    result.snapshot = taken.level

    def require_schema() -> None:
        after = read_catalog(here, read_rights(here, catalog.database), tables)
        now = read_identities(here, catalog.database, tables)
        others = dict.fromkeys(changed(catalog, after, tables))
        others |= dict.fromkeys(name for name in tables if now.get(name) != before.get(name))
        if others:
            raise SourceError(
                f"{', '.join(list(others)[:20])}: changed in the source while the run went on",
                code=Code.S011,
                hint=f"keep schema changes away from the run, then {START_AGAIN}",
            )

    return taken, require_schema


def look_back(
    here: WatchedConnection,
    then: Snapshot,
    plan: Plan,
    workers: Workers,
    ranges: dict[str, list[Range]],
    totals: Iterable[Digest],
    level: VerifyLevel,
    result: Result,
    emit: Sink,
) -> None:
    """Notes in `result` whether the source has moved since the snapshot, whose digests are `totals`.

    A log that stands where it stood has the answer. Otherwise the source alone is digested again, where the
    run's comparison was a full one: InnoDB's times of changes are forgotten, and neither its counters nor
    the binary log know of rows that a foreign key's CASCADE has changed. The workers' snapshot ends.
    """
    # The redo log is InnoDB's alone.
    tells = then.logs.position is not None or not any(one.code == Code.P072 for one in plan.findings)
    if tells and then.logs.history is not None and snapshot.read_logs(here).history == then.logs.history:
        log = "redo log" if then.logs.position is None else "binary log, or its GTIDs,"
        result.going_back = GoingBack("still", f"the server's {log} has not moved since")
        return
    committed = then.logs.position is not None
    if level == "full":
        result.going_back = _compared(plan, workers, ranges, totals, result, emit)
    elif committed:
        result.going_back = GoingBack("moved", "the server has committed changes since the snapshot")
    else:
        result.going_back = GoingBack(
            "not known", "the source user may not see where the server's log stands"
        )
    if committed or result.going_back.tables:
        result.findings.append(_moved(result.going_back))


def _compared(
    plan: Plan,
    workers: Workers,
    ranges: dict[str, list[Range]],
    totals: Iterable[Digest],
    result: Result,
    emit: Sink,
) -> GoingBack:
    before = {total.table: (total.source_rows, total.source_sum) for total in totals}
    todo = list(proof.source_tasks(plan, ranges))
    with phase(result, emit, PHASE, len(todo)):
        workers.everyone("begin")
        now = {table.source: Digest(table.source) for table in plan.tables}
        for digest in _digests(workers, todo):
            now[digest.table] += digest
            emit(Advanced(PHASE, digest.table))
    moved = tuple(
        name for name, total in now.items() if (total.source_rows, total.source_sum) != before[name]
    )
    how = "all rows of the source were digested again, and compared with those of the snapshot"
    return GoingBack("moved" if moved else "still", how, moved, named=True)


def _digests(workers: Workers, todo: Iterable[object]) -> Iterator[Digest]:
    return (answer for answer in workers.work(todo) if isinstance(answer, Digest))


def _moved(back: GoingBack) -> Finding:
    message = "the server has committed changes since the snapshot was taken"
    if back.named and not back.tables:
        return Finding(Code.V004, "note", "source", f"{message}, none of them in the tables of this run")
    return Finding(
        Code.V004,
        "note",
        "source",
        f"{message}; the target does not have those of this database",
        "stop the application's writes before the last run",
        ", ".join(back.tables),
    )
