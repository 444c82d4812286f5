"""BEFORE triggers that only set columns: translated, tried on the target, and made when its rows are there.

Of a statement that MySQL accepts, the target's trigger stores the same row. So nothing is translated whose
value the servers may see or convert in different ways:

- A trigger's own sql_mode counts. Without strict mode a value that does not fit is cut, and PostgreSQL
  refuses it (MySQL 8.0 manual, "Server SQL Modes").
- NEW has no number of AUTO_INCREMENT before an INSERT in MySQL, and generated columns are computed for it;
  in PostgreSQL it is the other way round. 8.0.15 computes the expression of a default twice.
- A foreign key's cascade fires no trigger in MySQL ("Triggers on InnoDB tables …", and tried).
- All triggers of one time and event go together, in their order: PostgreSQL's is that of their names.
- 8.0.15 sets columns with ON UPDATE CURRENT_TIMESTAMP after the triggers, 8.0.33 before them, as the
  target's triggers do, whose names come first (tried).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from sqlglot import exp

from converge.codes import Code
from converge.model.catalog import Column, Routine, Table
from converge.model.quote import fit, pg_name, pg_text
from converge.model.table_plan import ColumnPlan
from converge.mysql.capabilities import capabilities
from converge.planner.draft import Draft
from converge.planner.generated import changes
from converge.planner.tables import UNLESS_CASCADED
from converge.translate import TableColumns, Term, Untranslatable, column_term, translate_stored
from converge.translate.assignments import Assignment, Statements, parse_assignments
from converge.translate.context import refuse_if
from converge.translate.functions import functions
from converge.translate.parse import parse_expression
from converge.translate.translator import Translator
from converge.types.temporal import STATEMENT_TIME

_TIMES = ("BEFORE INSERT", "BEFORE UPDATE")
_STRICT = frozenset({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"})
_HARMLESS = _STRICT | {
    "ONLY_FULL_GROUP_BY", "NO_ZERO_IN_DATE", "NO_ZERO_DATE", "ERROR_FOR_DIVISION_BY_ZERO", "TRADITIONAL",
    "NO_ENGINE_SUBSTITUTION", "NO_AUTO_VALUE_ON_ZERO",
}  # fmt: skip
"""Modes under which expressions mean what the translator takes them for."""
_UNKEPT = frozenset({"binary", "set"})
"""Types whose values MySQL fills up or sorts when it stores them, and the target does not."""
_CASCADES = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
_AFTER_ON_UPDATE = b"on_update_\xff"
"""No name of a trigger for ON UPDATE CURRENT_TIMESTAMP comes after it."""


def plan_row_triggers(draft: Draft, table: Table, triggers: Sequence[Routine]) -> None:
    """Adds a function and a trigger for each that is translated; says of the others why they are not."""
    for when in _TIMES:
        together = sorted((one for one in triggers if one.when == when), key=lambda one: one.order)
        refused = dict(_plan_together(draft, table, together)) if together else {}
        first = next(iter(refused), "")
        for one in together if refused else ():
            also = f"the trigger {first}, which is fired by the same rows, is not translated"
            draft.untranslated[one.name] = f"its code is not translated: {refused.get(one.name, also)}"


def _plan_together(draft: Draft, table: Table, triggers: Sequence[Routine]) -> Iterator[tuple[str, str]]:
    """Plans all of them, or gives the names of those that cannot be, with the reasons."""
    made = []
    for one in triggers:
        body = _Body(draft, table, one)
        try:
            body.translate()
        except Untranslatable as reason:
            yield one.name, str(reason)
        made.append(body)
    if any(body.lines is None for body in made):
        return
    for body, name in zip(made, _names(table, triggers), strict=True):
        body.name(name)
        if refused := draft.refusal("trigger", body.trigger.name, body.trial(), (table.name,)):
            yield body.trigger.name, f"the target refuses it: {refused}"
            return
    for body in made:
        body.plan()


def _names(table: Table, triggers: Sequence[Routine]) -> list[str]:
    """Names in the target that sort as the triggers are fired: their own, or numbered ones."""
    own = [fit(one.name) for one in triggers]
    stamped = triggers[0].when == "BEFORE UPDATE" and any(one.on_update_now for one in table.columns)
    keys = [_AFTER_ON_UPDATE] * stamped + [name.encode() for name in own]
    if all(before < after for before, after in pairwise(keys)):
        return own
    return [fit(f"trigger_{number:02}_{one.name}") for number, one in enumerate(triggers, 1)]


class _Body:
    """One trigger, from its text to the statements that make it."""

    def __init__(self, draft: Draft, table: Table, trigger: Routine) -> None:
        self._draft, self._table, self.trigger = draft, table, trigger
        self._columns = _RowColumns(draft, table, trigger)
        self._context = draft.context(exact=True)
        self._values: list[str] = []
        """All expressions, to be tried also where no row reaches them."""
        self.lines: list[str] | None = None
        """Of the function; None where the trigger is not translated."""

    def translate(self) -> None:
        """Raises Untranslatable where the target might store another row."""
        _require_same_rules(self._draft, self._table, self.trigger)
        lines = list(self._statements(parse_assignments(self.trigger.source), "  "))
        known = _notes_of_functions()
        for note in self._context.notes:
            refuse_if(note not in known and note not in self._context.rare, note)
        self.lines = lines

    def _statements(self, statements: Statements, indent: str) -> Iterator[str]:
        for one in statements:
            if isinstance(one, Assignment):
                yield f"{indent}{self._assigned(one)}"
                continue
            word = "IF"
            for condition, branch in one.branches:
                sql = self._kept(Translator(self._columns, self._context).truth(parse_expression(condition)))
                yield f"{indent}{word} {sql} THEN"
                yield from self._statements(branch, f"{indent}  ")
                word = "ELSIF"
            if one.otherwise:
                yield f"{indent}ELSE"
                yield from self._statements(one.otherwise, f"{indent}  ")
            yield f"{indent}END IF;"

    def _assigned(self, one: Assignment) -> str:
        column, plan = self._columns.settable(one.column)
        sql = translate_stored(one.value, plan.target_type, column, self._columns, self._context)
        return f"NEW.{pg_name(plan.target)} := {self._kept(sql)};"

    def _kept(self, sql: str) -> str:
        self._values.append(sql.replace("statement_timestamp()", STATEMENT_TIME))
        return self._values[-1]

    def name(self, name: str) -> None:
        """Gives it its name in the target."""
        self._name = name
        self._function = self._draft.own(self._draft.functions.take(self.trigger.name))

    def _making(self, table: str) -> tuple[str, str]:
        """The statements that make it on this table."""
        cascades = self.trigger.when == "BEFORE UPDATE" and any(
            {key.on_delete, key.on_update} & _CASCADES for key in self._table.foreign_keys
        )
        declared, guard = ("DECLARE calls text;\n", UNLESS_CASCADED) if cascades else ("", "")
        body = "\n".join(
            [
                "",
                f"{declared}BEGIN",
                *([guard] if guard else []),
                *(self.lines or []),
                "  RETURN NEW;",
                "END",
                "",
            ]
        )
        return (
            f"CREATE FUNCTION {self._function}() RETURNS trigger LANGUAGE plpgsql AS {pg_text(body)}",
            f"CREATE TRIGGER {pg_name(self._name)} {self.trigger.when} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {self._function}()",
        )

    def trial(self) -> str:
        """Fires it on a row of NULLs, and computes also what such a row does not reach."""
        table = self._draft.own(fit(f"{self._table.name}_{self.trigger.name}_trial"))
        column = pg_name(self._draft.tables[self._table.name].columns[0].target)
        statements = [
            f"CREATE TABLE {table} AS SELECT * FROM {self._draft.qualified(self._table.name)}",
            f"INSERT INTO {table} DEFAULT VALUES",
            *self._making(table),
            f"INSERT INTO {table} DEFAULT VALUES",
            f"UPDATE {table} SET {column} = {column}",
            *[f"SELECT {', '.join(self._values)} FROM {table} AS NEW, {table} AS OLD"] * bool(self._values),
        ]
        return ";\n".join(statements)

    def plan(self) -> None:
        """Adds it to the plan."""
        draft, name = self._draft, self.trigger.name
        why = f"the trigger {name}"
        function, trigger = self._making(draft.qualified(self._table.name))
        draft.do("trigger", name, function, why, makes=f"FUNCTION {self._function}()")
        draft.do("trigger", name, trigger, why)
        draft.local_times += [f"trigger {name}"] * self._context.local_time
        words = " ".join(line.strip() for line in self.lines or ["it does nothing"])
        draft.find(Code.P084, name, f"is translated: {words}", evidence="; ".join(self._context.notes))
        for note in self._context.rare:
            draft.find(Code.P161, name, note)
        draft.done(
            "trigger",
            name,
            self._name,
            "it only sets columns of its row: translated, and tried on the target",
        )


def _require_same_rules(draft: Draft, table: Table, trigger: Routine) -> None:
    """Raises Untranslatable where the server reads or converts values by rules that the target has not."""
    modes = set(trigger.sql_mode.split(","))
    refuse_if(table.engine != "InnoDB", f"{table.engine} is not transactional, so strict mode may not count")
    refuse_if(not modes & _STRICT, "without strict mode MySQL cuts values that do not fit")
    if others := sorted(modes - _HARMLESS):
        raise Untranslatable(f"its sql_mode has {', '.join(others)}")
    stamped = trigger.when == "BEFORE UPDATE" and any(column.on_update_now for column in table.columns)
    if stamped and not capabilities(draft.catalog.version).stamps_before_triggers:
        raise Untranslatable("this version may set columns with ON UPDATE CURRENT_TIMESTAMP after it")


@cache
def _notes_of_functions() -> frozenset[str]:
    """What is said of functions by which a row is as good as MySQL's; other notes tell of others."""
    return frozenset(one.note for one in functions() if one.letters or one.volatile)


class _RowColumns(TableColumns):
    """The columns of NEW and OLD."""

    def __init__(self, draft: Draft, table: Table, trigger: Routine) -> None:
        super().__init__(table, {plan.source: plan for plan in draft.tables[table.name].columns})
        self._draft, self._inserted = draft, trigger.when == "BEFORE INSERT"

    def find(self, node: exp.Column) -> Term:
        row = node.table.upper()
        refuse_if(
            row not in ("NEW", "OLD") or node.args.get("db"),
            f"it reads {node.name}, which is not a column of a row",
        )
        column, plan = self._known(node.name)
        refuse_if(
            column.type in _UNKEPT, f"{plan.source}: the target keeps a {column.type} as it is inserted"
        )
        if column.type in ("float", "double"):
            refuse_if(column.scale is not None, f"{plan.source}: {column.raw_type} rounds what is inserted")
        if self._inserted:
            default = column.default is not None and plan.default is None
            refuse_if(
                column.default_is_expression or default,
                f"it reads {plan.source}, whose default the target has not",
            )
            # Of a column NOT NULL without a declared default MySQL's trigger sees NULL, also of an ENUM.
            implied = column.default is None and plan.default is not None
            refuse_if(implied, f"{plan.source} gets its default before the trigger in the target")
        value = column_term(column, plan, f"{row}.{pg_name(plan.target)}")
        if column.type == "char" and value.kind == "text":
            return replace(value, sql=f"rtrim({value.sql}, ' ')")
        return value

    def settable(self, name: str) -> tuple[Column, ColumnPlan]:
        """A column that the trigger sets. Raises Untranslatable."""
        column, plan = self._known(name)
        refuse_if(column.type == "set", f"it sets {plan.source}, a SET")
        return column, plan

    def _known(self, name: str) -> tuple[Column, ColumnPlan]:
        plan = self.plan(name)
        column = self.table.column(plan.source)
        refuse_if(column.generated, f"{plan.source} is a generated column")
        if column.auto_increment and self._inserted:
            raise Untranslatable(f"{plan.source} gets its number before the trigger in the target")
        refuse_if(changes(self._draft, self.table, plan), f"a map changes the values of {plan.source}")
        return column, plan
