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
    draft = draft_plan(inputs)
    found = {}
    for table in (*draft.tables.values(), *draft.kept.values()):
        own = draft.loading.matches[table.source].own if draft.loading else None
        if own is not None and 0 < own.rows < ROWS_LIMIT:
            theirs = keyed.keyed_rows(target, draft.schema, table)
            ours = keyed_rows(source, table, ROWS_LIMIT)
            if len(ours) < ROWS_LIMIT:
                found[table.source] = _compare(draft, source, table, ours, theirs)
    return replace(inputs.evidence, seeded=found)


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
