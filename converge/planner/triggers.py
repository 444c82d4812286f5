"""ON UPDATE CURRENT_TIMESTAMP as a trigger.

Like MySQL's clause (8.0 manual, "Automatic Initialization and Updating for TIMESTAMP and
DATETIME") it acts only when the row really changed and the statement did not set the column.
"""

from __future__ import annotations

from converge.model.catalog import Table
from converge.model.names import fit
from converge.model.quote import pg_name, pg_text
from converge.planner.draft import Draft


def plan_triggers(draft: Draft, table: Table) -> None:
    """Adds a function and a trigger for each such column; made after the load."""
    for column in table.columns:
        if not column.on_update_now:
            continue
        plan = draft.column(table.name, column.name)
        reference = pg_name(plan.target)
        name = fit(f"{draft.tables[table.name].target}_{plan.target}_on_update")
        function = pg_name(draft.schema, name)
        # *<> compares the stored bytes of whole rows, so it works for types without an equality.
        body = pg_text(f"BEGIN NEW.{reference} := CURRENT_TIMESTAMP({column.fsp}); RETURN NEW; END")
        draft.do(
            "finish",
            table.name,
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}",
            f"{column.name} has ON UPDATE CURRENT_TIMESTAMP",
            makes=f"FUNCTION {function}()",
        )
        draft.do(
            "finish",
            table.name,
            f"CREATE TRIGGER {pg_name(name)} BEFORE UPDATE ON {draft.qualified(table.name)} FOR EACH ROW "
            f"WHEN ({_row(draft, table, 'OLD')} *<> {_row(draft, table, 'NEW')} "
            f"AND OLD.{reference} IS NOT DISTINCT FROM NEW.{reference}) EXECUTE FUNCTION {function}()",
            f"{column.name} has ON UPDATE CURRENT_TIMESTAMP",
        )


def _row(draft: Draft, table: Table, which: str) -> str:
    """The whole row; a condition may not read what the target has still to compute."""
    plan = draft.tables[table.name]
    if plan.copied == plan.columns:
        return which
    # As a record: two ROWs would be compared column by column, and *<> is for records only.
    return f"ROW({', '.join(f'{which}.{pg_name(column.target)}' for column in plan.copied)})::record"
