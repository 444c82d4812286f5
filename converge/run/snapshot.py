"""The snapshot of all workers, and whether the tables are still what they were then."""

from __future__ import annotations

from collections.abc import Callable

from converge.codes import Code
from converge.errors import START_AGAIN, SourceError
from converge.model.catalog import Catalog, changed
from converge.model.plan import Finding, Plan
from converge.model.result import Result
from converge.mysql import snapshot
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.privileges import read_privileges
from converge.mysql.snapshot import Snapshot, known_by_time, read_identities


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
        after = read_catalog(here, read_privileges(here, catalog.database), tables)
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
