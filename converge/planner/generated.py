"""Generated columns: computed by the target, too, where their expression surely means the same there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.evidence import Count
from converge.model.quote import fit, my_name, pg_name
from converge.model.table_plan import ColumnPlan
from converge.model.words import said
from converge.planner.decision import Decision, column_entry
from converge.planner.draft import Draft, rows_words
from converge.translate import TableColumns, Term, Untranslatable, column_term, translate_stored
from converge.types.binary import Binary
from converge.types.decimal import Decimal
from converge.types.integer import Integer
from converge.types.text import Text

_LARGEST_FLOAT = 2**128 - 2**104


def plan_generated(draft: Draft, decided: Decision, plans: Mapping[str, ColumnPlan]) -> str | None:
    """The expression by which the target computes the column; None where it cannot, which is said."""
    table, column, name = decided.table, decided.column, decided.name
    columns = StoredColumns(draft, table, plans)
    try:
        if changes(draft, table, plans[column.name]):
            raise Untranslatable("a map changes its values")
        if count := _cut_rows(draft, table, column):
            number = column.type not in Text.types | Binary.types
            words = "another number than it gives, which is out of the type's range"
            rows = said(count.rows, f"hold {words if number else 'a shorter value than it gives'}")
            raise Untranslatable(f"{rows} ({rows_words(table, count)})")
        sql = columns.stored(column)
        trial = f"CREATE TABLE {trial_name(draft, table, plans[column.name])} ({columns.around(column, sql)})"
        refused = draft.refusal("generated column", name, trial, (table.name,))
    except Untranslatable as error:
        refused = str(error)
    if refused:
        later = "new rows get NULL" if plans[column.name].nullable else "an INSERT has to give it"
        why = f"migrated as a plain column with its values; {later}: {refused}"
        hint = f"{_sketch(draft, decided, plans[column.name])}\n{decided.entry('skip = true')}"
        draft.find(Code.P024, name, f"{why}; it was computed as {column.generated}", hint)
        return None
    for note in columns.context.notes:
        draft.find(Code.P029, name, note)
    if not column.generated_stored:
        draft.find(Code.P029, name, "is VIRTUAL in the source and STORED in the target")
    return sql


def _sketch(draft: Draft, decided: Decision, plan: ColumnPlan) -> str:
    """A trigger that fills the column, but for its expression: the values are copied before it is there."""
    table, target = decided.table, pg_name(draft.schema, draft.targets[decided.table.name])
    # Triggers fire in the order of their names: this one after those that set what it reads, which columns
    # before it do, too. A long name loses its end.
    place = [one.name for one in table.columns].index(decided.column.name)
    trigger = fit(f"zz_{place:04}_{table.name}_{plan.source}_computed")
    function, expression = pg_name(draft.schema, trigger), decided.column.generated or ""
    plain = {one.object for one in draft.findings if one.code == Code.P024}
    # A column that is generated reads only such as come before it, of which it is known by now.
    unset = (
        " ".join(one.name.split())
        for one in table.columns[:place]
        if one.generated and my_name(one.name) in expression and f"{table.name}.{one.name}" not in plain
    )
    return "\n".join([
        f"-- After the run, with the expression in PostgreSQL in place of … (NEW.a for a column): "
        f"{' '.join(expression.split())}",
        *(f"-- {one} has no value yet in a trigger: its own expression in place of NEW.{one}"
          for one in unset),
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS",
        f"$computed$ BEGIN NEW.{pg_name(plan.target)} := …; RETURN NEW; END $computed$;",
        f"CREATE TRIGGER {pg_name(trigger)} BEFORE INSERT OR UPDATE ON {target}",
        f"  FOR EACH ROW EXECUTE FUNCTION {function}();",
        "-- Or leave the column out, with the views that read it:",
    ])  # fmt: skip


def trial_name(draft: Draft, table: Table, plan: ColumnPlan) -> str:
    """The name of a table in which something about the column is tried."""
    return draft.own(fit(f"{table.name}_{plan.source}_trial"))


def cut(column: Column) -> str | None:
    """MySQL condition: the generated value is another one than its expression gives.

    Without strict mode MySQL stores the nearest number that the type holds, or the beginning of a text, where
    PostgreSQL raises an error. Both servers cut spaces that are too many.
    """
    expression, name = column.generated, my_name(column.name)
    if expression and column.type == "float":
        return f"ABS({expression}) > {_LARGEST_FLOAT}"
    if expression and column.type in Integer.types | Decimal.types:
        return f"ABS(CAST(({expression}) AS DECIMAL(65,30)) - {name}) >= 1e-{column.scale or 0}"
    if expression and column.type in Text.types:
        return f"CHAR_LENGTH(RTRIM({expression})) > CHAR_LENGTH({name})"
    if expression and column.type in Binary.types:
        return f"LENGTH({expression}) > LENGTH({name})"
    return None


def _cut_rows(draft: Draft, table: Table, column: Column) -> Count | None:
    """The rows that `cut` counts; None where there are none. The column is a plain one in the target then."""
    condition = cut(column)
    count = draft.evidence.count(table.name, condition) if condition else None
    return count if count is not None and count.rows else None


class StoredColumns(TableColumns):
    """A table's columns, of which generated ones stand for their expression.

    PostgreSQL lets no generated column read another one; MySQL only earlier ones, so that no circle arises.
    """

    def __init__(self, draft: Draft, table: Table, plans: Mapping[str, ColumnPlan]) -> None:
        """`plans` has the plans of the table's columns by their source names."""
        super().__init__(table, plans)
        self.context = draft.context(immutable=True, exact=True)
        self._plain = {
            plan.source: plan
            for plan in plans.values()
            if not (column := table.column(plan.source)).generated or _cut_rows(draft, table, column)
        }
        """The columns that the target does not compute."""

    def stored(self, column: Column) -> str:
        """The PostgreSQL expression for GENERATED ALWAYS AS (…) STORED. Raises Untranslatable."""
        to = self.plan(column.name).target_type
        return translate_stored(column.generated or "", to, column, self, self.context)

    def around(self, column: Column, expression: str) -> str:
        """The columns of a table that shows whether the target takes the expression."""
        plan = self.plan(column.name)
        lines = [
            f"{pg_name(one.target)} {one.target_type}{f' COLLATE {one.collation}' if one.collation else ''}"
            for one in self._plain.values()
            if one is not plan
        ]
        lines.append(f"{pg_name(plan.target)} {plan.target_type} GENERATED ALWAYS AS ({expression}) STORED")
        return ", ".join(lines)

    def find(self, node: exp.Column) -> Term:
        value = super().find(node)
        plan = self.plan(node.name)
        if plan.source in self._plain:
            return value
        column = self.table.column(plan.source)
        # Cut as the column is: what it would refuse, no row has.
        return replace(column_term(column, plan, f"({self.stored(column)})::{plan.target_type}"), source="")


_NAME_OR_TEXT = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)"|(\w+)""")


def over_changed(draft: Draft, table: Table, plans: Sequence[ColumnPlan]) -> Iterator[ColumnPlan]:
    """The columns; one that the target computes of changed values cannot equal the source's."""
    changed = {plan.target: plan for plan in plans if changes(draft, table, plan)}
    for plan in plans:
        found = _NAME_OR_TEXT.findall(plan.generated or "")
        read = {quoted.replace('""', '"') or word for quoted, word in found} | {plan.target}
        names = [one.source for name, one in changed.items() if name in read]
        if plan.generated is None or not names:
            yield plan
            continue
        why = f"the target computes it from {', '.join(names)}, whose values the map changes"
        key = table.primary_key is not None and plan.source in table.primary_key.columns
        draft.find(
            Code.V170, f"{table.name}.{plan.source}", f"is not compared: {why}",
            column_entry(table, table.column(plan.source), "skip = true") if key else "",
            severity="block" if key else "lossy",
        )  # fmt: skip
        # What both sides say of it is the same.
        plan = replace(plan, uncompared=why, is_null="FALSE", delimited=False, judge="text")
        yield replace(plan, source_text="''", target_text="''", source_value="''", target_value="''")


def changes(draft: Draft, table: Table, plan: ColumnPlan) -> bool:
    """Whether a map changes values of the column: a policy for rows that the scan has not found does not."""
    for change in plan.changes:
        count = draft.evidence.count(table.name, change.where)
        if change.policy != "keep" and (change.trap == "using" or count is None or count.rows):
            return True
    return False
