"""Columns: types, defaults, identities, generated values, and what of it the target refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from converge.codes import Code
from converge.mapping.sql import default
from converge.model.catalog import Column, Table
from converge.model.quote import SYSTEM_COLUMNS, fit, pg_array, pg_name, pg_text
from converge.model.table_plan import ColumnPlan, Identity
from converge.planner.decision import Decision
from converge.planner.draft import Draft
from converge.planner.generated import plan_generated, trial_name
from converge.planner.target_types import collation, labels_check, sql_type
from converge.planner.values import note_values
from converge.translate import Columns, Untranslatable, translate_stored
from converge.types import TEXTS, base_name, family_of
from converge.types.base import seen_or
from converge.types.forms import PADDED
from converge.types.sql import refused, unequalled
from converge.types.temporal import STATEMENT_TIME, current_time, is_local
from converge.types.text import repaired

_IDENTITY_TYPES = frozenset({"smallint", "integer", "bigint"})
_NUMBERED_TYPES = _IDENTITY_TYPES | {"numeric", "real", "double precision"} | TEXTS
"""Types that a sequence's numbers can be stored in."""
_SEQUENCE_END = 2**63
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1}
"""The last numbers of sequences that are smaller than a bigint's."""


def plan_column(draft: Draft, table: Table, column: Column) -> ColumnPlan | None:
    """Plans one column; None when a map leaves it out, or when its type is unknown, which blocks the run."""
    if family_of(column) is None:
        why = f"converge does not know the type {column.raw_type}"
        draft.block(Code.P001, "column", f"{table.name}.{column.name}", why)
        return None
    decided = draft.decision(table, column)
    if decided.setting("skip"):
        left_out(draft, decided.name)
        return None
    note_values(draft, decided)
    target = decided.setting("rename") or draft.named(table, column.name)
    target = fit(f"{target}_" if target in SYSTEM_COLUMNS else target)
    type_, why = sql_type(draft, decided)
    base = base_name(decided.to)
    is_numbered = (
        column.auto_increment
        and base in _NUMBERED_TYPES
        and not decided.value.made
        and (table.next_value or 0) < _SEQUENCE_END
    )
    sequence = ""
    if is_numbered:
        draft.identities.append(Identity(table.name, column.name, table.next_value or 1))
        note_end(
            draft, table, decided.name, _LARGEST.get(base, _SEQUENCE_END), decided.entry('to = "bigint"')
        )
        sequence = draft.own(draft.names.take(f"{draft.targets[table.name]}_{target}_seq"))
    plan = ColumnPlan(
        **decided_fields(decided, target),
        target_type=type_,
        nullable=column.nullable,
        why=why,
        default=_default(draft, decided),
        identity=is_numbered and base in _IDENTITY_TYPES,
        sequence=sequence,
        collation=collation(draft, decided),
    )
    _notes(draft, decided, plan)
    return plan


def decided_fields(decided: Decision, target: str) -> dict[str, Any]:
    """What the decision says of the column's plan, whoever makes the column: the value on its way."""
    reference, value, written = pg_name(target), decided.value, decided.form
    return {
        "source": decided.column.name,
        "target": target,
        "source_type": decided.column.raw_type,
        "rule": decided.rule.place,
        "evidence": decided.evidence,
        "changes": decided.changes,
        "is_null": value.is_null,
        "read": seen_or(refused, written.read, value),
        "special": written.special,
        "source_text": seen_or(unequalled, written.source_text, value),
        "target_text": written.target_text(reference),
        "source_value": seen_or(unequalled, written.source_value or written.source_text, value),
        "target_value": (written.target_value or written.target_text)(reference),
        "delimited": written.delimited,
        "judge": written.judge,
    }


def note_end(draft: Draft, table: Table, name: str, largest: int, hint: str) -> None:
    """A next value that the target's sequence never reaches. The source's own type has room for it."""
    if table.next_value is not None and table.next_value > largest:
        message = f"the next value is {table.next_value:,}, and the target's sequence ends at {largest:,}"
        draft.find(Code.P158, name, f"{message}: the next INSERT without a value fails", hint)


def note_parsed(draft: Draft, name: str, column: Column, base: str) -> None:
    """What jsonb does not keep of a text."""
    if column.type != "json" and base == "jsonb":
        message = "is parsed: spaces, doubled keys, their order and the spelling of numbers are not kept"
        draft.find(Code.L027, name, message)


def left_out(draft: Draft, name: str) -> None:
    """A column that a map skips."""
    draft.left(Code.P027, "column", name, "a map leaves it out")


def complete(draft: Draft, decided: Decision, plans: Mapping[str, ColumnPlan]) -> ColumnPlan:
    """The column with what the target computes for it: a generated value, or the default of an expression.

    Both are tried on the target. A generated column that it cannot compute becomes a plain one with the
    source's values; a default that it cannot is dropped; either is said.
    """
    column, plan = decided.column, plans[decided.column.name]
    if column.generated:
        plan = replace(plan, generated=plan_generated(draft, decided, plans))
    elif plan.default is not None:
        # Only a map makes a default of another type, or one of its own.
        if draft.decisions.mapped(decided.table, column):
            plan = _with_tried_default(draft, decided, plan)
    elif column.default_is_expression and not plan.identity and decided.setting("default") is None:
        plan = _with_tried_default(draft, decided, plan)
    draft.done("column", decided.name, f"{plan.target} {plan.target_type}", plan.why)
    return plan


def _with_tried_default(draft: Draft, decided: Decision, plan: ColumnPlan) -> ColumnPlan:
    """With the plan's default, or the column's expression translated; without one that the target refuses."""
    table, column, name, sql = decided.table, decided.column, decided.name, plan.default
    context = draft.context()
    if sql is None and column.default is None:
        return plan
    try:
        if sql is None:
            text = column.default or ""
            sql = f"({translate_stored(text, plan.target_type, column, Columns(), context)})"
            sql = sql.replace("statement_timestamp()", STATEMENT_TIME)
        # It has to be a value of the type when a row is inserted.
        trial = trial_name(draft, table, plan)
        line = f"{pg_name(plan.target)} {plan.target_type} DEFAULT {sql}"
        tried = f"CREATE TABLE {trial} ({line}); INSERT INTO {trial} DEFAULT VALUES"
        refused = draft.refusal("default", name, tried, (table.name,))
    except Untranslatable as error:
        refused = str(error)
    if refused and decided.setting("default"):
        # It stays in the plan, which says so where only a newer server has it.
        draft.find(Code.P155, name, f"the target refuses the map's default {sql}: {refused}")
    elif refused:
        is_expression = column.default_is_expression
        shown = f"({column.default})" if is_expression else repr(column.initial)
        draft.find(
            Code.P010 if is_expression else Code.P011, name, f"the default {shown} is dropped: {refused}",
            decided.entry("default = \"'…'\""),
        )  # fmt: skip
        sql = None
    else:
        draft.local_times += [name] * context.local_time
        for note in context.notes:
            draft.find(Code.P029, name, note)
    return replace(plan, default=sql)


def definition(column: ColumnPlan) -> str:
    """The column's line in CREATE TABLE."""
    parts = [pg_name(column.target), column.target_type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.identity:
        parts.append(f"GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME {column.sequence})")
    elif column.generated:
        parts.append(f"GENERATED ALWAYS AS ({column.generated}) STORED")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if not column.nullable:
        parts.append("NOT NULL")
    return " ".join(parts)


def constraints(draft: Draft, decided: Decision, plan: ColumnPlan) -> None:
    """What the MySQL type itself promised: CHECKs, and numbers of a column that cannot be an identity."""
    table, column, reference = decided.table, decided.column, pg_name(plan.target)
    name = draft.qualified(table.name)
    if plan.sequence and not plan.identity:
        why = f"AUTO_INCREMENT; {plan.target_type} cannot be an identity"
        sequence = f"CREATE SEQUENCE {plan.sequence} OWNED BY {name}.{reference}"
        draft.do("create", table.name, sequence, why)
        given = f"nextval({pg_text(plan.sequence)}::regclass)"
        draft.do("create", table.name, f"ALTER TABLE {name} ALTER {reference} SET DEFAULT {given}", why)
    condition = None
    if column.type == "set" and plan.target_type == "text[]":
        condition, why = f"{reference} <@ {pg_array(column.labels)}", "only the declared members of the SET"
    elif column.type == "decimal" and column.unsigned and base_name(plan.target_type) not in TEXTS | PADDED:
        condition, why = f"{reference} >= 0", "UNSIGNED"
    elif column.type == "enum":
        condition, why = labels_check(draft, table, column, plan), "only the declared labels of the ENUM"
    if condition and any(one.trap == "using" or one.policy == "cut" for one in plan.changes):
        message = f"a map changes the values, so the CHECK of its type is left out: {why}"
        draft.find(Code.P168, decided.name, message)
    elif condition:
        constraint = pg_name(draft.constraints(table).take(f"{plan.target}_check"))
        sql = f"ALTER TABLE {name} ADD CONSTRAINT {constraint} CHECK ({condition})"
        draft.do("index", table.name, sql, why)


def _default(draft: Draft, decided: Decision) -> str | None:
    value, name, column = decided.value, decided.name, decided.value.column
    initial = column.initial
    wanted = decided.setting("default")
    if wanted is not None:
        return default(wanted) if wanted else None
    # Nothing says what a map's expression makes of a default; one that the map's author has seen is kept.
    unseen = bool(decided.setting("using")) and (value.made or column.default is None)
    if decided.setting("using") and initial is not None and not unseen:
        message = f"the default {initial!r} is kept as it is: using changes values only"
        draft.find(Code.P159, name, message, decided.entry("default = \"'…'\""))
    if column.default is None and column.default_is_expression:
        draft.find(Code.P012, name, "gets no default: the server does not show the text of its expression")
    if initial is None or column.generated or column.auto_increment or column.default_is_expression:
        return None
    if any((change.trap, change.policy) == ("latin1_utf8", "repair") for change in decided.changes):
        initial = repaired(initial)
    literal = None if unseen or "\0" in initial else decided.form.default(initial)
    is_now = literal == current_time(decided.to, column, column.fsp)
    draft.local_times += [name] * (is_now and is_local(decided.to, column))
    if literal is None:
        policy = decided.policies.get("zero_date")
        if isinstance(policy, dict):
            return pg_text(str(policy["replace"]))
        message = f"the default {initial!r} has no counterpart and is dropped"
        draft.find(Code.P011, name, message, decided.entry("default = \"'…'\""))
    return literal


def _notes(draft: Draft, decided: Decision, plan: ColumnPlan) -> None:
    """Findings about what a careful reader should know."""
    table, column, name = decided.table, decided.column, decided.name
    note_parsed(draft, name, column, base_name(plan.target_type))
    groups = _numbered_by(table, column) if plan.sequence else ""
    if decided.rule.note:
        draft.find(Code.P020, name, decided.rule.note)
    if plan.target != draft.named(table, column.name):
        draft.find(Code.P021, name, f"is called {plan.target} in the target")
    if column.auto_increment and not plan.sequence:
        draft.find(Code.P022, name, f"AUTO_INCREMENT is lost: {plan.target_type} takes no sequence")
    if column.zoned:
        message = "is VIRTUAL and depends on the time zone: its values are those of the server's"
        draft.find(Code.P141, name, message)
    if column.zerofill:
        draft.find(Code.P023, name, "ZEROFILL is display only and is not kept")
    labels = "".join(column.labels)
    if "\0" in labels:
        message = "a label holds a NUL character, which no text of PostgreSQL can"
        draft.find(Code.P156, name, message, f"--exclude {table.name}")
    if "?" in labels:
        draft.find(Code.P026, name, "a label has a ?, which may stand for a character the server hides")
    if column.invisible:
        draft.find(Code.P025, name, "is invisible in the source and visible in the target")
    if groups:
        message = f"restarts its numbers for each {groups}; the target has one sequence for all rows"
        draft.find(Code.P153, name, message)


def _numbered_by(table: Table, column: Column) -> str:
    """The columns whose groups MyISAM numbers each for itself; empty where one counter serves all rows."""
    keys = [index.columns for index in table.indexes if column.name in index.columns]
    before = [columns[: columns.index(column.name)] for columns in keys]
    return ", ".join(before[0]) if before and all(before) else ""
