"""CHECK constraints: translated behind an allow-list, tried on the target, held against the rows."""

from __future__ import annotations

from converge.model.catalog import Check, Table
from converge.model.quote import pg_name
from converge.planner.draft import Draft
from converge.planner.expressions import TableColumns, Untranslatable, translate_condition


def plan_checks(draft: Draft, table: Table) -> None:
    """Adds a table's CHECK constraints; what cannot be one is listed with its text."""
    columns = TableColumns(table, {plan.source: plan for plan in draft.tables[table.name].columns})
    for check in table.checks:
        _check(draft, table, check, columns)


def _check(draft: Draft, table: Table, check: Check, columns: TableColumns) -> None:
    name = f"{table.name}.{check.name}"
    if not check.enforced:
        draft.left(
            "P060", "check", name, f"it is NOT ENFORCED in the source: {check.expression}", harm="note"
        )
        return
    notes: list[str] = []
    try:
        condition = translate_condition(check.expression, columns, notes=notes)
    except Untranslatable as reason:
        draft.left("P061", "check", name, f"{reason}; its text is {check.expression}")
        return
    made = draft.constraints(table).take(check.name, f"{check.name}_check", held=True)
    sql = f"ALTER TABLE {draft.qualified(table.name)} ADD CONSTRAINT {pg_name(made)} CHECK ({condition})"
    refused = draft.refusal("check", name, sql, (table.name,))
    if refused:
        draft.left("P052", "check", name, f"the target refuses it: {refused}; its text is {check.expression}")
        return
    for note in notes:
        draft.find("P062", "note", name, note)
    # The loaded rows decide: what MySQL let in by other rules is a finding, not the end of the run.
    draft.do("index", table.name, sql, "a CHECK of the source", optional=True)
    draft.called(table, "check", check.name, made)
    draft.done("check", name, made, "translated, then tried against the loaded rows")
