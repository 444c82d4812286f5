"""Finished chunks under a new snapshot: compared again, and undone where the source has changed.

Every row of a chunk has the chunk's transaction as its xmin, also without a key. So one pass over a table of
the target gives the digests of all of its chunks, and the source gives its own by their key ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converge.codes import Code
from converge.errors import START_AGAIN, BlockedError
from converge.model.event import Advanced, Sink
from converge.model.plan import Phase, Plan
from converge.model.quote import pg_name
from converge.model.table_plan import TablePlan
from converge.model.work import Digest, DigestTask, Written, WrittenTask
from converge.mysql.digest import digest_query
from converge.mysql.rows import where
from converge.postgres.digest import written_query
from converge.postgres.ledger import Ledger, LedgerChunk
from converge.run.copy import by_table
from converge.run.workers import Workers

PHASE = "recheck"

Chunks = Mapping[str, Sequence[LedgerChunk]]
"""By source table."""


def moved(workers: Workers, plan: Plan, chunks: Chunks, emit: Sink) -> dict[str, list[LedgerChunk]]:
    """Those of the finished chunks whose rows are no longer what the source has now, by table."""
    source: dict[tuple[str, int], tuple[int, int]] = {}
    target: dict[tuple[str, str], tuple[int, int]] = {}
    for answer in workers.work(_tasks(plan, chunks)):
        if isinstance(answer, Digest):
            source[answer.table, answer.chunk] = answer.source_rows, answer.source_sum
            emit(Advanced(PHASE, answer.table))
        elif isinstance(answer, Written):
            target |= {(answer.table, xid): found for xid, found in answer.sums.items()}
    return by_table(
        chunk
        for table, finished in chunks.items()
        for chunk in finished
        if source[table, chunk.number] != target.get((table, str(chunk.xid)), (0, 0))
    )


def _tasks(plan: Plan, chunks: Chunks) -> Iterator[DigestTask | WrittenTask]:
    for name, finished in chunks.items():
        table = plan.table(name)
        yield WrittenTask(name, written_query(plan.schema, table))
        for chunk in finished:
            yield DigestTask(name, digest_query(table, where(table.key, chunk.part)), "", chunk.number)


def undone(plan: Plan) -> tuple[Phase, ...]:
    """Phases of statements that are to do again when chunks were undone."""
    # A load has switched the target's own triggers on again in "finish", where others have comments.
    own: tuple[Phase, ...] = ("finish", "refresh") if plan.mode == "load" else ("trigger",)
    return ("foreign key", "validate", *own, "analyze")


def undo(ledger: Ledger, plan: Plan, chunks: Mapping[str, Sequence[LedgerChunk]]) -> None:
    """Removes what these chunks, by table, have written, so that they are to do again: all at once.

    The foreign keys of the run go first and are to do again too, because a row that is away for a
    moment must neither be refused nor take others along (ON DELETE CASCADE). So do its triggers, which
    would change rows that are copied; a load switches those of the target off.
    """
    written = by_table(chunk for chunk in ledger.chunks() if chunk.done)
    with ledger.connection.transaction():
        _drop_foreign_keys(ledger, plan)
        _drop_triggers(ledger, plan)
        ledger.connection.execute(
            "DELETE FROM converge.step WHERE run_id = %s AND phase = ANY (%s)",
            (ledger.run_id, [*undone(plan)]),
        )
        # If it had finished, it no longer has (`Ledger.end`).
        ledger.connection.execute("UPDATE converge.run SET report = NULL WHERE id = %s", (ledger.run_id,))
        for table, found in chunks.items():
            _require_unmerged(ledger, plan.table(table))
            whole = not _remove(ledger, plan, plan.table(table), found, written[table])
            ledger.connection.execute(
                "WITH gone AS (DELETE FROM converge.reject WHERE run_id = %(run)s "
                "AND source_table = %(table)s AND (%(whole)s OR chunk = ANY (%(numbers)s))) "
                "UPDATE converge.chunk SET done_at = NULL, rows = NULL, xid = NULL, rejected = 0 "
                "WHERE run_id = %(run)s AND source_table = %(table)s "
                "AND (%(whole)s OR number = ANY (%(numbers)s))",
                {
                    "run": ledger.run_id,
                    "table": table,
                    "whole": whole,
                    "numbers": [chunk.number for chunk in found],
                },
            )


def _remove(
    ledger: Ledger,
    plan: Plan,
    table: TablePlan,
    chunks: Sequence[LedgerChunk],
    written: Sequence[LedgerChunk],
) -> bool:
    """Deletes the rows of these chunks; False when all rows of the table had to go.

    `written` are all finished chunks of the table. An ALTER TABLE that rewrites a table makes itself the
    writer of all of its rows, in a file of another name. Raises BlockedError when others have written to it.
    """
    quoted = pg_name(plan.schema, table.target)
    name = quoted.replace("%", "%%")
    ((rows, others, writers, rewritten),) = ledger.connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE NOT xmin = ANY (%s::xid[])), count(DISTINCT xmin::text), "
        f"(SELECT relfilenode <> oid FROM pg_class WHERE oid = %s::regclass) FROM {name}".encode(),
        ([chunk.xid for chunk in written], quoted),
    ).fetchall()
    if rewritten and rows == others == _rows(written) and writers == 1:
        ledger.connection.execute(f"DELETE FROM {name}".encode(), ())
        return False
    gone = ledger.connection.execute(
        f"DELETE FROM {name} WHERE xmin = ANY (%s::xid[])".encode(),
        ([chunk.xid for chunk in chunks],),
    ).rowcount
    # Rows of the target that a map keeps may be restored already, so other writers are no error.
    if (others and not table.rows) or gone != _rows(chunks):
        raise _changed_since(f"rows of {quoted} have been changed since the run has written them")
    return True


def _require_unmerged(ledger: Ledger, table: TablePlan) -> None:
    """Raises BlockedError where rows of the target are back beside those of the chunks: those whose keys the
    source had, and no longer has, would not come back."""
    if table.rows != "merge":
        return
    query = "SELECT 1 FROM converge.step WHERE run_id = %s AND phase = 'merge' AND object = %s"
    if ledger.connection.execute(query, (ledger.run_id, table.source)).fetchone():
        raise _changed_since(f"the target's own rows of {table.source} are merged with them already")


def _rows(chunks: Sequence[LedgerChunk]) -> int:
    return sum(chunk.done.rows for chunk in chunks if chunk.done)


def _drop_foreign_keys(ledger: Ledger, plan: Plan) -> None:
    tables = [pg_name(plan.schema, table.target) for table in plan.tables]
    keys = ledger.connection.execute(
        "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname) "
        "FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 "  # a partition's go with their parent
        "AND (conrelid = ANY (%(tables)s::regclass[]) OR confrelid = ANY (%(tables)s::regclass[]))",
        {"tables": tables},
    ).fetchall()
    made = ledger.connection.execute(
        "SELECT count(*) FROM converge.step WHERE run_id = %s AND phase = 'foreign key' AND refused IS NULL",
        (ledger.run_id,),
    ).fetchone()
    if made is None or len(keys) != made[0]:
        raise _changed_since("foreign keys have been added or removed since the run has made its own")
    for (statement,) in keys:
        ledger.connection.execute(statement.encode())


def _drop_triggers(ledger: Ledger, plan: Plan) -> None:
    """The run's own functions, with the triggers that call them; those of the target that the run has met
    are switched off. Raises BlockedError for others."""
    for one in plan.statements:
        if one.phase == "trigger" and one.makes:
            ledger.connection.execute(f"DROP {one.makes.replace(' ', ' IF EXISTS ', 1)} CASCADE".encode())
        if one.phase == "shared" and plan.mode == "load":
            ledger.connection.execute(one.sql.encode())
    tables = [pg_name(plan.schema, table.target) for table in plan.tables]
    query = (
        "SELECT quote_ident(tgname) || ' on ' || tgrelid::regclass FROM pg_trigger "
        "WHERE tgrelid = ANY (%s::regclass[]) AND NOT tgisinternal AND tgenabled <> 'D' "
        "AND tgtype & 12 <> 0"  # INSERT 4, DELETE 8 (pg_trigger.h)
    )
    if others := [name for (name,) in ledger.connection.execute(query, (tables,))]:
        raise _changed_since(
            f"triggers of others would act on rows that are loaded again: {', '.join(others)}"
        )


def _changed_since(what: str) -> BlockedError:
    return BlockedError(
        f"{what}; loading chunks again would harm what others have done",
        code=Code.T019,
        hint=f"{START_AGAIN}, or write what is missing by hand",
    )
