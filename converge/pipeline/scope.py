"""What a comparison is about: what both sides still have of the plan, and what it leaves out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.catalog import Catalog
from converge.model.plan import Finding, Plan, TablePlan
from converge.model.recorded import Made
from converge.model.result import NotCompared
from converge.postgres.target import query

Columns = Mapping[str, Mapping[str, tuple[str, str]]]
"""The target's tables: each column's type, and its name in the shape."""


def target_columns(connection: psycopg.Connection[Any], schema: str) -> Columns:
    found: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for table, column, *rest in query(connection, "table_columns", schema):
        found[table][column] = (rest[0], rest[1])
    return found


def comparable(plan: Plan, catalog: Catalog, there: Columns, made: Made | None) -> tuple[Plan, list[Finding]]:
    """The plan of the tables that both sides still have as planned, and why the others are not in it."""
    here = {table.name: {column.name for column in table.columns} for table in catalog.tables}
    reasons = {
        table.source: reason
        for table in plan.tables
        if (reason := _reason(table, here.get(table.source), there.get(table.target), made))
    }
    findings = [
        Finding(Code.V115, "block", name, f"cannot be compared: {reason}") for name, reason in reasons.items()
    ]
    return narrowed(plan, {table.source for table in plan.tables} - reasons.keys()), findings


def narrowed(plan: Plan, names: Set[str]) -> Plan:
    """The plan of these source tables, and of the views and indexes that read no others."""
    return replace(
        plan,
        tables=tuple(table for table in plan.tables if table.source in names),
        computed=tuple(one for one in plan.computed if {*one.reads, one.table} - {""} <= names),
    )


def _reason(
    table: TablePlan,
    here: set[str] | None,
    there: Mapping[str, tuple[str, str]] | None,
    made: Made | None,
) -> str:
    if here is None:
        return "the source no longer has the table"
    if there is None:
        has = "no longer has" if made else "does not have"
        return f"the target {has} the table {table.target}"
    for column in table.columns:
        if column.source not in here:
            return f"the source no longer has the column {column.source}"
        if column.target not in there:
            return f"the target no longer has the column {column.target}"
        kind, name = there[column.target]
        was = json.loads(made.objects.get(name, "{}")).get("type", kind) if made else kind
        if was != kind:
            return f"{column.target} of the target was {was} and is {kind}"
    return ""


def not_compared(whole: Plan, plan: Plan, catalog: Catalog, there: Columns) -> Iterator[NotCompared]:
    """Tables and columns of both sides that `plan`, a part of the `whole` one, does not compare."""
    known = {(one.kind, one.name): one.why for one in whole.outcomes}
    compared = {table.source: table for table in plan.tables}
    planned = {table.source for table in whole.tables}
    free = {name.lower() for name in there} - {table.target.lower() for table in whole.tables}
    for table in catalog.tables:
        if table.name in compared:
            yield from _columns(compared[table.name], {c.name for c in table.columns}, there, known)
        elif table.name in planned:
            yield NotCompared("table", table.name, "left out of this comparison")
        else:
            why = known.get(("table", table.name), "the plan does not have it: new since then")
            both = "; the target has a table of this name, too" if table.name.lower() in free else ""
            yield NotCompared("table", table.name, why + both)
    for one in whole.computed:
        if one not in plan.computed:
            yield NotCompared(one.kind, one.source, "it reads a table that is not compared")


def _columns(
    table: TablePlan, here: set[str], there: Columns, known: Mapping[tuple[str, str], str]
) -> Iterator[NotCompared]:
    for name in sorted(here - {column.source for column in table.columns}):
        full = f"{table.source}.{name}"
        why = known.get(("column", full), "the plan does not have it: new since then")
        yield NotCompared("column", full, why)
    for name in sorted(there[table.target].keys() - {column.target for column in table.columns}):
        yield NotCompared("column", f"{table.source}.{name}", "only the target has it")
