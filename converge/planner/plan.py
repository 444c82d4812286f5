"""Plan = catalog, maps and target together: pure, so that the same inputs always give the same plan.

The plan is drafted once. Where it hangs on what the target says (whether it takes a translation, which of
its rows are the source's), the draft asks: a live target while a plan is made, and else the evidence of an
earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from converge.codes import Code
from converge.mapping.rules import setting
from converge.model.catalog import Column, Table
from converge.model.evidence import Questions, Search
from converge.model.plan import Finding, Plan, digest
from converge.model.quote import my_name
from converge.planner import checks, generated, rows, sizes
from converge.planner.draft import Answers, Draft
from converge.planner.inputs import Inputs, begin
from converge.planner.keys import plan_foreign_keys, plan_indexes
from converge.planner.load.constraints import load_conditions, load_searches
from converge.planner.load.plan import plan_load
from converge.planner.made_types import note_collations
from converge.planner.notes import (
    lacking_features,
    note_left_out,
    note_left_over,
    note_settings,
    note_unmatched,
    refused_checks,
)
from converge.planner.tables import note_engines, plan_comments, plan_table, plan_triggers
from converge.planner.using import made_equal
from converge.planner.values import note_suggestions, note_unseen
from converge.planner.views import plan_views
from converge.types import TEXTUAL, Value, family_of, form

_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})


def make_plan(inputs: Inputs, answers: Answers | None = None) -> Plan:
    """Plans the whole database, by the `answers` of the target where it can be asked."""
    draft = draft_plan(inputs, answers)
    facts = inputs.evidence.tables
    sources = [
        sizes.sized(one, facts.get(one.name)) for one in inputs.catalog.tables if one.name in draft.tables
    ]
    plan = Plan(
        source=inputs.source,
        source_version=inputs.catalog.version,
        target=inputs.target,
        target_version=inputs.target_version,
        schema=inputs.schema,
        schema_exists=inputs.schema_exists,
        mode="create" if inputs.evidence.existing is None else "load",
        tables=tuple(draft.tables.values()),
        statements=tuple(draft.statements),
        identities=tuple(draft.identities),
        findings=(*draft.findings, *_newer(inputs, draft)),
        outcomes=tuple(draft.outcomes),
        computed=tuple(draft.computed),
        snapshot=inputs.snapshot,
        scan=f"{len(facts)} tables, {sum(one.rows for one in facts.values()):,} rows" if facts else "",
        forecast=sizes.forecast(sources),
        checks=inputs.map.checks,
    )
    return replace(plan, digest=digest(plan))


def _newer(inputs: Inputs, draft: Draft) -> Iterator[Finding]:
    """What is planned, and what the checks ask for, that only a newer target has."""
    there = {table.name for table in inputs.catalog.tables}
    checks = [check for check in inputs.map.checks if there.issuperset(check.where_source_has)]
    yield from lacking_features(
        inputs.target_version, inputs.functions, draft.tables.values(), draft.statements
    )
    yield from refused_checks(inputs.target_version, inputs.functions, checks, inputs.refused_checks)


def draft_plan(inputs: Inputs, answers: Answers | None = None) -> Draft:
    """The plan in the making, with the translations that the target should try."""
    draft, tables = begin(inputs)
    draft.answers = answers
    if draft.loading is not None:
        plan_load(draft, draft.loading, tables, may_hold_rows=inputs.may_hold_rows)
    else:
        _create(draft, tables)
        note_left_over(draft, inputs.left_over)
    planned = [table for table in tables if table.name in draft.tables]
    for table in planned:
        sizes.note_sizes(draft, table)
    draft.findings += inputs.lacking
    if not inputs.catalog.tables:
        draft.find(Code.P083, "source", "the database has no tables: is it the right one?")
    note_settings(draft)
    note_engines(draft, planned)
    note_unseen(draft, planned)
    note_unmatched(draft, inputs.catalog.tables, strict=inputs.strict)
    if draft.trials and not draft.tried:
        why = "the role may not make temporary tables" if inputs.target else "no target is named"
        message = f"{len(draft.trials)} translated expressions were not tried: {why}"
        draft.find(Code.P054, "target", message, inputs.temporary)
    if draft.loading is None:
        note_collations(draft, planned)
    rows.note_duplicates(draft, planned)
    note_suggestions(draft)
    note_left_out(draft, {table.name for table in tables})
    return draft


def _create(draft: Draft, tables: Sequence[Table]) -> None:
    """Everything that the target gets: its tables, and then what hangs on them."""
    for table in tables:
        plan_table(draft, table, draft.targets[table.name])
    for table in tables:
        if table.name in draft.tables:
            plan_indexes(draft, table)
    for table in tables:
        if table.name in draft.tables:
            checks.plan_checks(draft, table)
            plan_foreign_keys(draft, table)
            draft.note_renamed(table)
            plan_triggers(draft, table)
            plan_comments(draft, table)
            draft.do(
                "analyze", table.name, f"ANALYZE {draft.qualified(table.name)}", "statistics for the planner"
            )
    for table in tables:
        if table.name in draft.tables:
            _try(draft, table)
    plan_views(draft)


def _try(draft: Draft, table: Table) -> None:
    """Blocks where the target refuses what a map makes of a table; the shipped rules make what it takes."""
    keys = [key for key in table.foreign_keys if key.parent in draft.tables]
    parents = [parent for key in keys if (parent := draft.source(key.parent)) and key.parent != table.name]
    if not any(draft.decisions.mapped(one, column) for one in (table, *parents) for column in one.columns):
        return
    own = [one for one in draft.statements if one.object == table.name and not one.optional]
    sql = ";\n".join(one.sql for one in own if one.phase == "foreign key") or "SELECT 1"
    if refused := draft.refusal("table", table.name, sql, (table.name, *(one.name for one in parents))):
        draft.find(Code.P154, table.name, f"the target refuses the table as the map changes it: {refused}")


# ---- what the scan should find out: every condition on which a decision or a finding hangs -------------


def all_questions(inputs: Inputs) -> list[Questions]:
    """What the scan should find out, a table each; the largest first."""
    draft, tables = begin(inputs)
    return [_questions(draft, table) for table in sorted(tables, key=lambda table: -table.data_bytes)]


def _questions(draft: Draft, table: Table) -> Questions:
    """The questions about one table, whatever the maps may decide after the answers."""
    conditions = [one for column in table.columns for one in _conditions(draft, table, column)]
    conditions += [*sizes.size_conditions(draft, table), *checks.conditions(draft, table)]
    searches = [*rows.orphan_searches(draft, table), *rows.duplicate_searches(draft, table)]
    searches += _made_equal(draft, table)
    match = draft.loading.matches.get(table.name) if draft.loading else None
    if match is not None:
        conditions += load_conditions(draft, match, table)
        searches += load_searches(draft, match, table)
    return Questions(
        table=table.name,
        conditions=tuple(dict.fromkeys(conditions)),
        lengths=(*sizes.lengths(draft, table), *_lengths(table)),
        searches=tuple(dict.fromkeys(searches)),
        key=_key(table),
    )


def _conditions(draft: Draft, table: Table, column: Column) -> Iterator[str]:
    family = family_of(column)
    if family is None or setting(draft.decisions.rules(table, column), "skip")[0]:
        return
    for one in draft.decisions.candidates(table, column):
        yield from (trap.where for trap in one.traps)
    for to in family.suggestions(column):
        yield f"{my_name(column.name)} IS NOT NULL"
        yield from (trap.where for trap in form(Value(column, to)).traps)
    if draft.loading is None and (condition := generated.cut(column)):
        yield condition


def _made_equal(draft: Draft, table: Table) -> Iterator[Search]:
    for column in table.columns:
        rules = draft.decisions.rules(table, column)
        if setting(rules, "using")[0] and not setting(rules, "skip")[0]:
            yield from (made_equal(table, one.start) for one in draft.decisions.candidates(table, column))


def _lengths(table: Table) -> Iterator[tuple[str, str]]:
    """The columns of indexes whose values can be long."""
    indexed = {name for index in table.indexes if index.kind == "BTREE" for name in index.columns}
    for column in table.columns:
        name = my_name(column.name)
        if column.name in indexed and column.type in TEXTUAL:
            yield column.name, f"LENGTH(CONVERT({name} USING utf8mb4))"
        elif column.name in indexed and column.type in _BYTES:
            yield column.name, f"LENGTH({name})"


def _key(table: Table) -> str:
    if table.primary_key is None or not table.primary_key.columns:
        return ""
    parts = []
    for name in table.primary_key.columns:
        reference = f"c.{my_name(name)}"
        parts.append(f"CONCAT('0x',HEX({reference}))" if table.column(name).type in _BYTES else reference)
    return f"CONVERT(CONCAT_WS('/',{','.join(parts)}) USING utf8mb4)"
