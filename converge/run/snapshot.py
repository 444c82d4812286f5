"""The snapshot of the source that all workers read, and what it does not hold still."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from converge.codes import Code
from converge.errors import START_AGAIN, SourceError, listed
from converge.model.catalog import Catalog, changed
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.result import Result
from converge.mysql import snapshot
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.privileges import read_privileges
from converge.mysql.snapshot import Snapshot, known_by_time, object_names, read_identities


def take_snapshot(
    here: WatchedConnection, catalog: Catalog, plan: Plan, begin: Callable[[str], None], result: Result
) -> tuple[Snapshot, Callable[[], None]]:
    """Takes the snapshot of all workers, which `begin` begins on the server that has this `mark`; `result`
    notes its level.

    The second value is to be called before the workers' snapshot ends: it raises SourceError when a planned
    table is not what was planned, or another one of its name. What a worker has read cannot be renamed, nor
    locked, before its snapshot ends.
    """
    tables = dict.fromkeys(table.source for table in plan.tables)
    before = read_identities(here, catalog.database, tables)
    if unsure := known_by_time(before):
        message = "only the second of their creation shows whether these are the same tables in the end"
        result.findings.append(Finding(Code.V100, "note", "source", message, evidence=", ".join(unsure)))
    marked = snapshot.mark(here)
    taken = snapshot.take(here, list(tables), lambda: begin(marked))
    result.snapshot = taken.level

    def require_schema() -> None:
        after = read_catalog(here, read_privileges(here, catalog.database), tables)
        now = read_identities(here, catalog.database, tables)
        others = dict.fromkeys(changed(catalog, after, tables))
        others |= dict.fromkeys(name for name in tables if now.get(name) != before.get(name))
        if others:
            raise SourceError(
                f"{listed([*others], 20)}: changed in the source while the run went on",
                code=Code.S011,
                hint=f"keep schema changes away from the run, then {START_AGAIN}",
            )

    return taken, require_schema


def created(here: WatchedConnection, catalog: Catalog, takes: Callable[[str], bool]) -> Iterator[Finding]:
    """What was created between the reading of the catalog and the snapshot, which has just been taken: it is
    in the snapshot, and in no plan. Of tables, and of their triggers, only those that the plan `takes`.
    """
    known = set(catalog.objects())
    for kind, name, table in object_names(here, catalog.database):
        if (kind, name) in known or (kind in ("table", "trigger") and not takes(table)):
            continue
        words = f"this {kind} was created in the source after its catalog was read, and is not in the target"
        if kind == "table":
            hint = "converge sync makes and fills it, unless it is of a load"
            yield Finding(Code.V124, "block", name, words, hint)
        else:
            # As any other object that is not migrated: of rows nothing is missing.
            yield Finding(Code.V124, "lossy", name, words)


def held_still(catalog: Catalog, level: str | None) -> frozenset[str]:
    """The source's tables of which a worker sees the same rows each time; all workers do by a snapshot of
    this level.
    """
    names = (table.name for table in catalog.tables if table.engine == "InnoDB")
    return frozenset(names if level != "none" else ())
