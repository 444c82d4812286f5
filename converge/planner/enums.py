"""ENUMs as native types: one for a column, or one for all columns that foreign keys join."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import policies
from converge.model.catalog import Column, Table
from converge.model.plan import ColumnPlan
from converge.model.quote import pg_name, pg_text
from converge.planner.choice import rules_for
from converge.planner.draft import Draft
from converge.planner.values import example
from converge.types import TEXTS, base_name
from converge.types.as_text import PADDED
from converge.types.members import fits_enum

Labels = tuple[str, ...]


def enum_type(draft: Draft, table: Table, column: Column, target: str, why: str) -> tuple[str, str]:
    """The SQL type and why; `target` is the table's name in the target. The type is created here."""
    labels = labels_of(draft, table, column)
    place = f"{table.name}.{column.name}"
    if len(set(labels)) < len(labels):
        # The server prints characters outside the BMP as ? in a column's type.
        message = "two labels look the same: the source server prints some of their characters as ?"
        draft.find(Code.P028, "block", place, message, example(table, column, 'to = "text"'))
    joined = draft.components.of(table.name, column.name)
    shared = _shared(draft, table, column)
    if not fits_enum(shared):
        return "text", "a label is longer than 63 bytes, which a native enum cannot hold: text with a CHECK"
    key = (joined, shared)
    if key not in draft.enums:
        name = pg_name(draft.schema, draft.names.take(f"{target}_{column.name}"))
        sql = f"CREATE TYPE {name} AS ENUM ({', '.join(map(pg_text, shared))})"
        draft.do("shared" if len(joined) > 1 else "create", table.name, sql, why, makes=f"TYPE {name}")
        draft.enums[key] = name
    return draft.enums[key], why


def labels_check(draft: Draft, table: Table, column: Column, plan: ColumnPlan) -> str | None:
    """The condition that keeps a column to its own labels, where its type holds others too."""
    labels = labels_of(draft, table, column)
    if plan.target_type in draft.enums.values():
        wider = _shared(draft, table, column) != labels
    else:
        wider = base_name(plan.target_type) in TEXTS | PADDED
    if not wider:
        return None
    return f"{pg_name(plan.target)} IN ({', '.join(map(pg_text, labels))})"


def labels_of(draft: Draft, table: Table, column: Column) -> Labels:
    """The declared labels of an ENUM, after the error value '' (number 0) where a map keeps that."""
    return _with_error(column.labels, kept=_keeps_error(draft, table, column))


def _with_error(labels: Labels, *, kept: bool) -> Labels:
    return ("",) * (kept and "" not in labels) + labels


def _keeps_error(draft: Draft, table: Table, column: Column) -> bool:
    return policies(rules_for(draft, table, column)).get("empty_label") == "keep"


def _shared(draft: Draft, table: Table, column: Column) -> Labels:
    """The labels of the type: foreign keys compare their numbers, so one list may begin another one."""
    own, kept = column.labels, _keeps_error(draft, table, column)
    lists = {own}
    for other, name in draft.components.of(table.name, column.name):
        their_table = draft.source(other)
        if their_table is not None and (theirs := their_table.column(name)).type == "enum":
            lists.add(theirs.labels)
            kept = kept or _keeps_error(draft, their_table, theirs)
    longest = max(
        (labels for labels in lists if labels[: len(own)] == own), key=lambda labels: (len(labels), labels)
    )
    return _with_error(longest, kept=kept)
