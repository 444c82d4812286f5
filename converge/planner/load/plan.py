"""The plan for a schema that is there: its tables take the rows, and nothing of it changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from converge.codes import Code
from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.catalog import Table
from converge.model.quote import pg_name
from converge.planner.draft import Alike, Draft
from converge.planner.load.checks import note_checks
from converge.planner.load.columns import note_kinds, plan_own_column
from converge.planner.load.keys import plan_own_keys
from converge.planner.load.match import Loading, Match
from converge.planner.load.one_sided import (
    note_counters,
    note_tables,
    note_target_columns,
    require_application,
    without_table,
)
from converge.planner.load.outcomes import note_objects
from converge.planner.load.rows import note_full, settle_rows
from converge.planner.load.unique import note_duplicates
from converge.planner.tables import note_namesakes, table_plan


def plan_load(draft: Draft, loading: Loading, tables: list[Table], *, may_hold_rows: bool) -> None:
    """Adds each table with its statements; what hangs on them comes last, when all are known."""
    if not loading.existing.tables:
        require_application(draft)
    taken: dict[str, str] = {}
    for table in tables:
        match = loading.matches.get(table.name)
        other = taken.setdefault(match.own.quoted, table.name) if match else table.name
        if match is None:
            without_table(draft, loading, table)
        elif setting(draft.map.for_table(table), "rows")[0] == "target":
            _keep(draft, match, table)
        elif other != table.name:
            draft.block(
                Code.L160, "table", table.name, f"goes into the target's {match.own.name}, as {other} does",
                entry("table", literally(table=table.name), 'rename = "another_table"', "# or: skip = true"),
            )  # fmt: skip
        elif _may_load(draft, match):
            _table(draft, match, table, may_hold_rows=may_hold_rows)
    for name in draft.tables:
        source = draft.source(name)
        assert source is not None
        note_duplicates(draft, loading.matches[name], source)
    note_full(draft)
    plan_own_keys(draft, loading)
    for name in draft.tables:
        draft.do("analyze", name, f"ANALYZE {draft.qualified(name)}", "statistics for the planner")
    note_tables(draft, loading)
    note_counters(draft, loading)
    note_objects(draft, loading)
    draft.note_alike()


def _may_load(draft: Draft, match: Match) -> bool:
    """Blocks for a table that is none that rows could be copied into, or is not ours to change."""
    name, own = match.source.name, match.own
    if own.obstacle:
        draft.block(Code.L008, "table", name, f"the target's table cannot be loaded: {own.obstacle}")
    elif not own.owned:
        draft.block(
            Code.L009, "table", name,
            f"the target's table belongs to {own.owner}: its keys can only be taken away by its owner",
            f"GRANT {pg_name(own.owner)} TO CURRENT_USER; as a member that may grant it",
        )  # fmt: skip
    return not own.obstacle and own.owned


def _keep(draft: Draft, match: Match, table: Table) -> None:
    """Its columns only serve to compare the rows: what is wrong with them does not matter."""
    alike: Alike = defaultdict(list)
    quiet = replace(draft, findings=[], outcomes=[], identities=[], trials=[], noted=set(), alike=alike)
    columns = [plan_own_column(quiet, match, table, column) for column in table.columns]
    if known := tuple(column for column in columns if column is not None):
        draft.kept[table.name] = table_plan(quiet, table, match.own.name, known, "target")
    settle_rows(draft, match, may_hold_rows=False)


def _table(draft: Draft, match: Match, table: Table, *, may_hold_rows: bool) -> None:
    columns = [plan_own_column(draft, match, table, column) for column in table.columns]
    known = tuple(column for column in columns if column is not None)
    if not known:
        draft.block(Code.P004, "table", table.name, "none of its columns can be migrated")
        return
    note_namesakes(draft, table, known)
    note_target_columns(draft, match)
    note_checks(draft, match, table)
    rows = settle_rows(draft, match, may_hold_rows=may_hold_rows)
    draft.tables[table.name] = table_plan(draft, table, match.own.name, known, rows)
    note_kinds(draft, match, table)
    draft.done("table", table.name, match.own.name, "into the target's own table")
