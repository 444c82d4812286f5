"""Rows that the target's migrations have seeded are compared with the source's before the plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.model.evidence import Evidence, Seeded
from converge.model.existing import ROWS_LIMIT
from converge.model.plan import TablePlan
from converge.mysql.keyed import count_children, keyed_rows
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.plan import draft_plan
from converge.postgres import keyed


def compared(inputs: Inputs, source: Connection[Any], target: psycopg.Connection[Any]) -> Evidence:
    """The evidence with a comparison of each small table that has rows on the target."""
    existing = inputs.evidence.existing
    if existing is None or not any(table.rows for table in existing.tables):
        return inputs.evidence
    draft = draft_plan(inputs)
    found = {}
    for table in (*draft.tables.values(), *draft.kept.values()):
        own = draft.loading.matches[table.source].own if draft.loading else None
        if own is not None and 0 < own.rows < ROWS_LIMIT:
            theirs = keyed.keyed_rows(target, draft.schema, table)
            ours = keyed_rows(source, table, ROWS_LIMIT)
            if len(ours) < ROWS_LIMIT:
                seeded = _compare(draft, source, table, ours, theirs)
                gone = sorted(theirs.keys() - ours.keys()) if table.rows == "source" else []
                found[table.source] = replace(seeded, left=_left(draft, target, table, gone))
    return replace(inputs.evidence, seeded=found)


def _left(draft: Draft, target: psycopg.Connection[Any], table: TablePlan, gone: list[str]) -> dict[str, int]:
    """Rows that stay in the target and refer to rows that go, by foreign key."""
    if draft.loading is None or not gone:
        return {}
    matches = draft.loading.matches
    loaded = {matches[one.source].own.quoted for one in draft.tables.values() if one.rows != "merge"}
    parent = matches[table.source].own.quoted
    counts = {
        key.name: keyed.count_children(target, key, table, gone)
        for key in draft.loading.existing.foreign_keys
        if key.parent == parent and key.table not in loaded
    }
    return {name: rows for name, rows in counts.items() if rows}


def _compare(
    draft: Draft,
    source: Connection[Any],
    table: TablePlan,
    ours: Mapping[str, str],
    theirs: Mapping[str, str],
) -> Seeded:
    both = ours.keys() & theirs.keys()
    missing = sorted(ours.keys() - theirs.keys())
    children = {}
    for other in draft.catalog.tables if missing else ():
        for key in other.foreign_keys:
            if key.parent == table.source and other.name in draft.tables:
                children[f"{other.name}.{key.name}"] = count_children(source, other, key, table, missing)
    return Seeded(
        equal=sum(ours[key] == theirs[key] for key in both),
        differ=sum(ours[key] != theirs[key] for key in both),
        only_source=len(missing),
        only_target=len(theirs.keys() - ours.keys()),
        children={name: rows for name, rows in children.items() if rows},
    )
