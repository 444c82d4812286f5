"""Tables with their columns, comments, and ON UPDATE CURRENT_TIMESTAMP as triggers.

Like MySQL's clause (8.0 manual, "Automatic Initialization and Updating for TIMESTAMP and DATETIME") the
triggers act only when the row really changed, the statement did not set the column, and no foreign key's
cascade did it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from converge.codes import Code
from converge.model.catalog import Table
from converge.model.quote import fit, pg_name, pg_text
from converge.model.table_plan import ColumnPlan, Rows, TablePlan
from converge.model.words import counted, said
from converge.planner.columns import complete, constraints, definition, plan_column
from converge.planner.decision import column_entry
from converge.planner.draft import Draft
from converge.planner.generated import over_changed
from converge.planner.notes import SNAPSHOTS
from converge.planner.sizes import sized
from converge.types import base_name
from converge.types.temporal import MOMENTS, current_time, is_local

_ELSEWHERE = {
    "BLACKHOLE": "the source keeps no rows of it; the target keeps those that are inserted",
    "FEDERATED": "its rows are another server's; the target gets a copy of them",
}
_COLUMNS_LIMIT = 1600
_ASSIGNED = "'-infinity'"
"""What stands in the column between the two triggers where the statement assigns the value that it has."""
UNLESS_CASCADED = """\
  -- A foreign key's cascade does not count as an update in MySQL.
  IF pg_trigger_depth() > 1 THEN
    GET DIAGNOSTICS calls = PG_CONTEXT;
    IF split_part(calls, E'\\n', 2) ~ 'UPDATE ONLY .* OPERATOR\\(' THEN
      RETURN NEW;
    END IF;
  END IF;"""
"""Part of a trigger's body, with `calls` declared: ends it where a foreign key has changed the row."""
_BODY = """
DECLARE calls text;
BEGIN
{computed}  -- *<> compares the stored bytes of whole rows, so it works for types without an equality.
  IF NOT (OLD *<> NEW) THEN
    RETURN NEW;
  ELSIF TG_NARGS > 0 THEN
    NEW.{column} := {assigned};
    RETURN NEW;
  ELSIF NEW.{column} = {assigned} THEN
    NEW.{column} := OLD.{column};
    RETURN NEW;
  END IF;
{cascaded}
  NEW.{column} := {time};
  RETURN NEW;
END
"""


def plan_table(draft: Draft, table: Table) -> None:
    target = draft.targets[table.name]
    columns = (plan_column(draft, table, column) for column in table.columns)
    plans = {plan.source: plan for plan in columns if plan is not None}
    decisions = {name: draft.decision(table, name) for name in plans}
    plans = {name: complete(draft, decided, plans) for name, decided in decisions.items()}
    if len(plans) > _COLUMNS_LIMIT:
        why = f"{counted(len(plans), 'column')}; PostgreSQL's limit is {_COLUMNS_LIMIT}"
        draft.block(Code.P003, "table", table.name, why)
        return
    note_namesakes(draft, table, plans.values())
    if not plans:
        draft.block(Code.P004, "table", table.name, "none of its columns can be migrated")
        return
    draft.tables[table.name] = table_plan(draft, table, target, tuple(plans.values()))
    lines = ",\n  ".join(map(definition, plans.values()))
    name = draft.own(target)
    sql = f"CREATE TABLE {name} (\n  {lines}\n)"
    draft.do("create", table.name, sql, "a table of the source", makes=f"TABLE {name}")
    for source, plan in plans.items():
        constraints(draft, decisions[source], plan)
    if target != draft.named(table, table.name):
        draft.find(Code.P070, table.name, f"is called {target} in the target")
    if table.partitions:
        message = said(len(table.partitions), "become one plain table", "partition")
        way = (
            f"CREATE TABLE … (LIKE {draft.own(target)} INCLUDING ALL) PARTITION BY …; -- after the migration"
        )
        draft.find(Code.P071, table.name, f"its {message}", way)
    if table.engine in _ELSEWHERE:
        draft.find(Code.P152, table.name, f"{table.engine}: {_ELSEWHERE[table.engine]}")
    if table.engine not in SNAPSHOTS:
        draft.noted.add(table.name)
    draft.done("table", table.name, target, "with all its columns")


def table_plan(
    draft: Draft, table: Table, target: str, columns: tuple[ColumnPlan, ...], rows: Rows = ""
) -> TablePlan:
    """The table with its columns and the key by which its rows are read."""
    measured = sized(table, draft.evidence.table(table.name))
    key = table.primary_key
    names = key.columns if key else ()
    types = [type_ for _, type_ in table.indexed_whole]
    return TablePlan(
        source=table.name,
        target=target,
        columns=tuple(over_changed(draft, table, columns)),
        key=names,
        key_types=(*types, *[""] * (len(names) - len(types))),
        rows_estimate=measured.rows_estimate,
        data_bytes=measured.data_bytes,
        rows=rows,
    )


def note_namesakes(draft: Draft, table: Table, columns: Iterable[ColumnPlan]) -> None:
    """Columns that a map, or PostgreSQL's own names, would give one and the same name."""
    namesakes: defaultdict[str, list[str]] = defaultdict(list)
    for column in columns:
        namesakes[column.target].append(column.source)
    for name, (*others, last) in namesakes.items():
        if others:
            hint = column_entry(table, table.column(last), 'rename = "another_name"')
            message = f"{counted(len(others) + 1, 'column')} would be called {name}"
            draft.find(Code.P007, f"{table.name}.{last}", message, hint)


def plan_comments(draft: Draft, table: Table) -> None:
    """Adds COMMENT ON for the table and its columns."""
    target = draft.qualified(table.name)
    if table.comment:
        draft.comment(table.name, "TABLE", target, table.comment)
    for plan in draft.tables[table.name].columns:
        if comment := table.column(plan.source).comment:
            draft.comment(table.name, "COLUMN", f"{target}.{pg_name(plan.target)}", comment)


def plan_triggers(draft: Draft, table: Table) -> None:
    """Adds a function and two triggers for each such column; made after the load.

    Only a trigger of the column itself (UPDATE OF) knows that a statement assigns it; by its name it is fired
    before the one of all updates, and none of the application's between them.
    """
    # What the target computes for the new row afterwards must not look changed.
    plans = draft.tables[table.name].columns
    computed = (pg_name(plan.target) for plan in plans if plan.generated is not None)
    assigns = "".join(f"  NEW.{name} := OLD.{name};\n" for name in computed)
    for plan in plans:
        column = table.column(plan.source)
        if not column.on_update_now:
            continue
        if base_name(plan.target_type) not in MOMENTS | {"date"}:
            message = f"ON UPDATE CURRENT_TIMESTAMP is lost: {plan.target_type} holds no time"
            draft.find(Code.P140, f"{table.name}.{column.name}", message)
            continue
        reference = pg_name(plan.target)
        name = draft.functions.take(f"{draft.tables[table.name].target}_{plan.target}_on_update")
        function = draft.own(name)
        time = current_time(plan.target_type, column, column.fsp)
        body = pg_text(
            _BODY.format(
                column=reference, time=time, assigned=_ASSIGNED, computed=assigns, cascaded=UNLESS_CASCADED
            )
        )
        draft.local_times += [f"{table.name}.{column.name}"] * is_local(plan.target_type, column)
        why = f"{column.name} has ON UPDATE CURRENT_TIMESTAMP"
        sql = f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}"
        draft.do("finish", table.name, sql, why, makes=f"FUNCTION {function}()")
        kept = f"OLD.{reference} IS NOT DISTINCT FROM NEW.{reference}"
        for name, of, condition, argument in (
            ("on_update$", f" OF {reference}", kept, "'assigned'"),
            ("on_update_", "", f"({kept} OR NEW.{reference} = {_ASSIGNED})", ""),
        ):
            sql = (
                f"CREATE TRIGGER {pg_name(fit(f'{name}{plan.target}'))} BEFORE UPDATE{of} "
                f"ON {draft.qualified(table.name)} FOR EACH ROW WHEN ({condition}) "
                f"EXECUTE FUNCTION {function}({argument})"
            )
            draft.do("finish", table.name, sql, why)
