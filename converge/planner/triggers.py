"""ON UPDATE CURRENT_TIMESTAMP as triggers.

Like MySQL's clause (8.0 manual, "Automatic Initialization and Updating for TIMESTAMP and DATETIME") they act
only when the row really changed, the statement did not set the column, and no foreign key's cascade did it.
"""

from __future__ import annotations

from converge.codes import Code
from converge.model.catalog import Table
from converge.model.names import fit
from converge.model.quote import pg_name, pg_text
from converge.planner.draft import Draft
from converge.types import base_name
from converge.types.temporal import MOMENTS, current_time

_ASSIGNED = "'-infinity'"
"""What stands in the column between the two triggers where the statement assigns the value that it has."""
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
  ELSIF pg_trigger_depth() > 1 THEN
    -- A foreign key's cascade does not count as an update in MySQL.
    GET DIAGNOSTICS calls = PG_CONTEXT;
    IF split_part(calls, E'\\n', 2) ~ 'UPDATE ONLY .* OPERATOR\\(' THEN
      RETURN NEW;
    END IF;
  END IF;
  NEW.{column} := {time};
  RETURN NEW;
END
"""


def plan_triggers(draft: Draft, table: Table) -> None:
    """Adds a function and two triggers for each such column; made after the load.

    Only a trigger of the column itself (UPDATE OF) knows that a statement assigns it; by its name it is fired
    before the one of all updates, and none of the application's between them.
    """
    # What the target computes for the new row afterwards must not look changed.
    computed = [pg_name(one.target) for one in draft.tables[table.name].columns if one.generated is not None]
    assigns = "".join(f"  NEW.{name} := OLD.{name};\n" for name in computed)
    for column in table.columns:
        if not column.on_update_now or not draft.has(table.name, column.name):
            continue
        plan = draft.column(table.name, column.name)
        if base_name(plan.target_type) not in MOMENTS | {"date"}:
            message = f"ON UPDATE CURRENT_TIMESTAMP is lost: {plan.target_type} holds no time"
            draft.find(Code.P140, "lossy", f"{table.name}.{column.name}", message)
            continue
        reference = pg_name(plan.target)
        name = draft.functions.take(f"{draft.tables[table.name].target}_{plan.target}_on_update")
        function = pg_name(draft.schema, name)
        time = current_time(plan.target_type, column, column.fsp)
        body = pg_text(_BODY.format(column=reference, time=time, assigned=_ASSIGNED, computed=assigns))
        why = f"{column.name} has ON UPDATE CURRENT_TIMESTAMP"
        draft.do(
            "finish",
            table.name,
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}",
            why,
            makes=f"FUNCTION {function}()",
        )
        kept = f"OLD.{reference} IS NOT DISTINCT FROM NEW.{reference}"
        for name, of, condition, argument in (
            ("on_update$", f" OF {reference}", kept, "'assigned'"),
            ("on_update_", "", f"({kept} OR NEW.{reference} = {_ASSIGNED})", ""),
        ):
            draft.do(
                "finish",
                table.name,
                f"CREATE TRIGGER {pg_name(fit(f'{name}{plan.target}'))} BEFORE UPDATE{of} "
                f"ON {draft.qualified(table.name)} FOR EACH ROW WHEN ({condition}) "
                f"EXECUTE FUNCTION {function}({argument})",
                why,
            )
