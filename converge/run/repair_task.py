"""The statements around the rows that a repair replaces.

Foreign keys, and the tables' own triggers, are away until the end of the transaction: a parent that is away
for a moment must neither be refused nor take its children along (ON DELETE CASCADE). So the values of unique
keys may be swapped, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.existing import Existing, OwnForeignKey, OwnTable
from converge.model.plan import Plan
from converge.model.quote import pg_name, pg_text
from converge.model.table_plan import TablePlan
from converge.model.work import Repaired, RepairTable, RepairTask
from converge.mysql.definitions import counter_values, next_values
from converge.mysql.query import fetch
from converge.postgres.connect import THEIR_PATH
from converge.postgres.existing import read_existing
from converge.postgres.following import read_following
from converge.postgres.next_values import next_value_statements
from converge.postgres.target import ledger_tables
from converge.run.compared import Compared

_RAISE = """
#variable_conflict use_column
BEGIN
    IF ({query}) > (SELECT count FROM pg_temp.converge_orphans_{number}) THEN
        RAISE foreign_key_violation USING MESSAGE = {message};
    END IF;
END
"""
_NO_IDENTITY = """
SELECT format('%%I.%%I', nspname, relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE c.oid = ANY (%s::regclass[]) AND relreplident <> 'f'
   AND NOT EXISTS (SELECT FROM pg_index i WHERE indrelid = c.oid
                      AND CASE relreplident WHEN 'd' THEN indisprimary ELSE indisreplident END)
   AND EXISTS (SELECT FROM pg_publication_tables t JOIN pg_publication USING (pubname)
                WHERE pubdelete AND (schemaname, tablename) = (nspname, relname))
 ORDER BY 1
"""


def repair_task(
    both: Compared,
    plan: Plan,
    found: Sequence[Repaired],
    places: Mapping[str, Path],
    files: Mapping[str, Sequence[str]],
    *,
    as_script: bool,
) -> RepairTask:
    """All statements but those of single rows; of each table, its folder and the files of the source's rows.

    Raises BlockedError for tables that cannot be repaired.
    """
    existing = read_existing(both.target, plan.schema)
    differ = [one for one in found if one.gone or one.come]
    own = {one.table: _own(existing, plan.table(one.table)) for one in differ}
    tables = tuple(
        RepairTable(
            plan.table(one.table), f"{places[one.table]}/keys", one.gone,
            tuple(files[one.table]),
            tuple(_others(plan.table(one.table), own[one.table])),
        )
        for one in differ
    )  # fmt: skip
    _require_identity(both.target, [own[one.table].quoted for one in differ if one.gone])
    before, after = _around(both, plan, existing, list(own.values()))
    if both.run is not None and tables:
        after += _notes(both, both.run.id, list(own))
    return RepairTask(plan.schema, tables, tuple(before), tuple(after), as_script)


def _notes(both: Compared, run: int, tables: Sequence[str]) -> Iterator[str]:
    """The statements that tell the ledger of it."""
    following = read_following(both.target, run)
    ((server,),) = fetch(both.source, "SELECT @@server_uuid")
    if following is not None and server != following.log.server:
        # Its rows may be older than the place from which following would go on.
        for name in ("proven", "follow"):
            yield f"DELETE FROM converge.{name} WHERE run_id = {run}"
    if "repair" in ledger_tables(both.target):
        names = ", ".join(f"({run}, {pg_text(name)})" for name in tables)
        yield (
            "INSERT INTO converge.repair (run_id, source_table, xid) "
            f"SELECT *, pg_current_xact_id()::xid FROM (VALUES {names}) AS t"
        )


def _around(
    both: Compared, plan: Plan, existing: Existing, own: Sequence[OwnTable]
) -> tuple[list[str], list[str]]:
    """The statements before and after those of these tables' rows."""
    quoted = [one.quoted for one in own]
    keys = existing.keys_of(quoted)
    if off := [key for key in keys if key.off]:
        raise BlockedError(
            f"the foreign key {off[0].name} on {off[0].table} is switched off, and could not be restored so",
            code=Code.V123,
            hint=off[0].switch_on,
        )
    others, remove, restore = existing.set_aside(own)
    # At once, or others could hold what is asked for next.
    locked = dict.fromkeys([*quoted, *others])
    unchecked = [key for key in keys if not key.validated]
    before = [
        "SET LOCAL synchronous_commit = on",
        THEIR_PATH,
        "SET LOCAL lock_timeout = '60s'",
        *([f"LOCK TABLE {', '.join(locked)} IN ACCESS EXCLUSIVE MODE"] if locked else []),
        *(_orphans_before(number, key) for number, key in enumerate(unchecked)),
        *remove,
    ]
    after = [
        *restore,
        *(key.validate for key in keys if key.validate),
        *(_orphans_after(number, key) for number, key in enumerate(unchecked)),
        *(
            f"REFRESH MATERIALIZED VIEW {name}"
            for name, reads in existing.materialized
            if {*reads} & {one.name for one in own}
        ),
        # No rollback takes these back.
        *_next_values(both, plan),
    ]
    return before, after


def _orphans_before(number: int, key: OwnForeignKey) -> str:
    """Of a key whose rows were never checked: it is still not to get more rows without a parent."""
    return f"CREATE TEMPORARY TABLE converge_orphans_{number} ON COMMIT DROP AS {key.orphans}"


def _orphans_after(number: int, key: OwnForeignKey) -> str:
    message = f'rows of {key.table} would lose their parent by the foreign key "{key.name}"'
    return f"DO {pg_text(_RAISE.format(query=key.orphans, number=number, message=pg_text(message)))}"


def _own(existing: Existing, table: TablePlan) -> OwnTable:
    """The target's table. Raises BlockedError where single rows of it cannot be replaced."""
    own = existing.by_name[table.target]
    others = list(_others(table, own))
    why = own.obstacle
    computed = any(column.generated is not None for column in table.keys)
    if not why and others and (computed or not table.keys):
        has = "its key is computed" if computed else "it has no key"
        why = f"{has}, and the target's own columns {', '.join(others)} would lose their values"
    if why:
        raise BlockedError(
            f"{table.source} cannot be repaired: {why}",
            code=Code.V123,
            hint=f"--exclude {table.source} leaves it out",
        )
    return own


def _require_identity(target: psycopg.Connection[Any], quoted: Sequence[str]) -> None:
    """Raises BlockedError for tables that a publication has with their DELETEs, and no row of which it
    knows: the server refuses these (CheckCmdReplicaIdentity in its source)."""
    found = target.execute(_NO_IDENTITY, (list(quoted),)).fetchall()
    if names := [name for (name,) in found]:
        raise BlockedError(
            f"published without a replica identity, so that no row may be deleted: {', '.join(names)}",
            code=Code.V123,
            hint="\n".join(f"ALTER TABLE {name} REPLICA IDENTITY FULL;" for name in names),
        )


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
    return next_value_statements(both.target, replace(plan, identities=identities), numbers, counters)
