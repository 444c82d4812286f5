"""Plan = catalog, maps and target together: pure, so that the same inputs always give the same plan.

The plan is drafted once. Where it hangs on what the target says (whether it takes a translation, which of
its rows are the source's), the draft asks: a live target while a plan is made, and else the evidence of an
earlier one.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlglot import exp

from converge.codes import Code
from converge.mapping.rules import setting
from converge.model.catalog import Column, Routine, Table, View
from converge.model.evidence import Questions
from converge.model.plan import Plan, digest
from converge.model.quote import fit, my_name, pg_name
from converge.model.words import counted, said
from converge.planner import checks, generated, notes, rows, sizes
from converge.planner.counters import counter_conditions, plan_counters
from converge.planner.decision import Decision
from converge.planner.draft import Answers, Draft
from converge.planner.inputs import Inputs
from converge.planner.keys import plan_foreign_keys, plan_indexes
from converge.planner.lint import note_lint
from converge.planner.lint.servers import conditions as document_conditions
from converge.planner.lint.texts import conditions as text_conditions
from converge.planner.lint.texts import searches as text_searches
from converge.planner.load.constraints import load_conditions, load_searches
from converge.planner.load.plan import plan_load
from converge.planner.porting import plan_ports
from converge.planner.tables import plan_comments, plan_table, plan_triggers
from converge.planner.triggers import plan_row_triggers
from converge.planner.using import made_equal
from converge.planner.values import note_suggestions, shows_values
from converge.planner.views import plan_views
from converge.postgres.privileges import temporary_grant
from converge.translate import Untranslatable, parse_query
from converge.types import TEXTUAL, Value, family_of, form
from converge.types.base import Family
from converge.types.binary import Binary


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles, which goes through a growing plan again and again, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_uncollected()
def make_plan(inputs: Inputs, answers: Answers | None = None) -> Plan:
    """Plans the whole database, by the `answers` of the target where it can be asked."""
    draft = draft_plan(inputs, answers)
    scanned = inputs.evidence.tables.values()
    plan = Plan(
        source=inputs.source,
        source_version=inputs.catalog.version,
        target=inputs.target,
        target_version=inputs.target_version,
        schema=inputs.schema,
        schema_exists=inputs.facts is None or inputs.facts.schema_exists,
        mode="create" if draft.loading is None else "load",
        tables=tuple(draft.tables.values()),
        statements=tuple(draft.statements),
        identities=tuple(draft.identities),
        findings=tuple(draft.findings),
        outcomes=tuple(draft.outcomes),
        counters=tuple(draft.counters.values()),
        computed=tuple(draft.computed),
        ports=tuple(draft.ports),
        snapshot=inputs.snapshot,
        scan=f"{counted(len(scanned), 'table')}, {counted(sum(one.rows for one in scanned), 'row')}"
        if scanned
        else "",
        forecast=sizes.forecast(draft),
        compression="lz4" if inputs.compression == "lz4" and inputs.facts and inputs.facts.lz4 else "default",
        checks=inputs.map.checks,
    )
    return replace(plan, digest=digest(plan))


def draft_plan(inputs: Inputs, answers: Answers | None) -> Draft:
    """The plan in the making, with the translations that the target should try."""
    draft = Draft(inputs, answers)
    if draft.loading is not None:
        plan_load(draft, draft.loading, draft.taken, may_hold_rows=inputs.may_hold_rows)
    else:
        _create(draft)
    planned = [table for table in draft.taken if table.name in draft.tables]
    for table in planned:
        sizes.note_sizes(draft, table)
    draft.findings += inputs.lacking
    plan_counters(draft)
    notes.note_source(draft, planned)
    notes.note_unmatched(draft)
    notes.note_applications(draft)
    if draft.trials and not draft.tried:
        why = "the role may not make temporary tables" if inputs.target else "no target is named"
        message = said(len(draft.trials), f"were not tried: {why}", "translated expression")
        hint = temporary_grant(inputs.facts) if inputs.facts else "--target URL"
        draft.find(Code.P054, "target", message, hint)
    rows.note_duplicates(draft, planned)
    note_suggestions(draft, planned)
    notes.note_left_out(draft)
    plan_ports(draft)
    notes.note_newer(draft)
    note_lint(draft, planned)
    _plan_hooks(draft)
    draft.note_alike()
    return draft


def _plan_hooks(draft: Draft) -> None:
    """The maps' own statements, which find the tables of the target schema, and of public, by their names."""
    path = f"{pg_name(draft.schema)}, public"
    for hook in draft.map.hooks:
        sql = f"SET LOCAL search_path TO {path};\n{hook.sql.strip()}\n;\nSET LOCAL search_path TO pg_catalog"
        draft.do(hook.phase, hook.place, sql, hook.why or "a hook of the map")


def _create(draft: Draft) -> None:
    """Everything that the target gets: its tables, and then what hangs on them."""
    for table in draft.taken:
        plan_table(draft, table)
    tables = [table for table in draft.taken if table.name in draft.tables]
    for table in tables:
        plan_indexes(draft, table)
    triggers: defaultdict[str, list[Routine]] = defaultdict(list)
    for routine in draft.catalog.routines:
        triggers[routine.table or ""].append(routine)
    for table in tables:
        checks.plan_checks(draft, table)
        plan_foreign_keys(draft, table)
        draft.note_renamed(table)
        plan_triggers(draft, table)
        plan_row_triggers(draft, table, triggers[table.name])
        plan_comments(draft, table)
        sql = f"ANALYZE {draft.qualified(table.name)}"
        draft.do("analyze", table.name, sql, "statistics for the planner")
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for one in draft.statements:
        if one.phase == "foreign key":
            keys[one.object].append(one.sql)
    for table in tables:
        _try(draft, table, keys[table.name])
    plan_views(draft)
    notes.note_left_over(draft)


def _try(draft: Draft, table: Table, foreign_keys: Sequence[str]) -> None:
    """Blocks where the target refuses what a map makes of a table; the shipped rules make what it takes."""
    keys = [key for key in table.foreign_keys if key.parent in draft.tables]
    parents = [parent for key in keys if (parent := draft.source(key.parent)) and key.parent != table.name]
    if not any(draft.decisions.mapped(one, column) for one in (table, *parents) for column in one.columns):
        return
    sql = ";\n".join(foreign_keys) or "SELECT 1"
    if refused := draft.refusal("table", table.name, sql, (table.name, *(one.name for one in parents))):
        draft.find(Code.P154, table.name, f"the target refuses the table as the map changes it: {refused}")


def decisions(inputs: Inputs, only: str | None = None) -> Iterator[Decision]:
    """The decision for each column of a known type, in the source's order; `only` of one table."""
    draft = Draft(inputs)
    for table in draft.taken:
        if only in (None, table.name):
            yield from (draft.decision(table, column) for column in table.columns if family_of(column))


# ---- the target's names --------------------------------------------------------------------------------


def own_names(inputs: Inputs) -> set[str]:
    """What the plan calls its tables and views: what has these names in the target is an earlier run's."""
    draft = Draft(inputs)
    absent = {table.name for table in inputs.catalog.tables} - {table.name for table in draft.taken}
    views = {view.name: _mentioned(view) if absent else set() for view in inputs.catalog.views}
    # A view of what is left out is left out, and so are the views of that one.
    while more := {name for name, read in views.items() if read & absent} - absent:
        absent |= more
    return {*draft.targets.values(), *(fit(name) for name in views.keys() - absent)}


def _mentioned(view: View) -> set[str]:
    """The tables and views that it reads; none where its text is not understood."""
    try:
        return {one.name for one in parse_query(view.definition).find_all(exp.Table)}
    except Untranslatable:
        return set()


def cleared_tables(inputs: Inputs) -> list[str]:
    """The target's tables whose rows --recreate or --truncate removes: those that no map keeps or merges."""
    draft = Draft(inputs)
    kept = {
        one.name for one in draft.taken if setting(draft.map.for_table(one), "rows")[0] in ("target", "merge")
    }
    return [
        target
        for source, target in draft.targets.items()
        if source not in draft.counters and not (draft.loading and source in kept)
    ]


# ---- what the scan should find out: every condition on which a decision or a finding hangs -------------


@_uncollected()
def all_questions(inputs: Inputs) -> list[Questions]:
    """What the scan should find out, a table each; the largest first."""
    draft = Draft(inputs)
    counters = [table for table in draft.catalog.tables if table.name in draft.counters]
    asked = [_questions(draft, table) for table in sorted(draft.taken, key=lambda table: -table.data_bytes)]
    return asked + [_asked(table, counter_conditions(draft, table)) for table in counters]


def _asked(table: Table, conditions: Iterable[str]) -> Questions:
    return Questions(table.name, table.extent, tuple(conditions), (), (), (), (), _key(table))


def _questions(draft: Draft, table: Table) -> Questions:
    """The questions about one table, whatever the maps may decide after the answers."""
    guesses, conditions = list[str](), list[str]()
    examples: list[tuple[str, str]] = []
    for column in table.columns:
        if (family := family_of(column)) and not setting(draft.decisions.rules(table, column), "skip")[0]:
            guesses += _guesses(draft, table, column, family)
            examples += _examples(draft, table, column)
            conditions += _conditions(draft, table, column)
    conditions += [
        *sizes.width_conditions(draft, table),
        *checks.conditions(draft, table),
        *text_conditions(draft, table),
        *document_conditions(draft, table),
        *counter_conditions(draft, table),
    ]
    searches = [*rows.orphan_searches(draft, table), *rows.duplicate_searches(draft, table)]
    searches += [
        made_equal(table, one.start)
        for column in table.columns
        for one in draft.decisions.candidates(table, column)
        if one.using and not one.setting("skip")
    ]
    searches += text_searches(draft, table)
    match = draft.loading.matches.get(table.name) if draft.loading else None
    if match is not None:
        conditions += load_conditions(draft, match, table)
        searches += load_searches(draft, match, table)
    return Questions(
        table=table.name,
        extent=table.extent,
        conditions=tuple(dict.fromkeys([*guesses, *conditions])),
        guesses=tuple(one for one in dict.fromkeys(guesses) if one not in conditions),
        lengths=(*sizes.lengths(draft, table), *_lengths(table)),
        oversize=tuple(sizes.oversize(draft, table)),
        searches=tuple(dict.fromkeys(searches)),
        key=_key(table),
        examples=tuple(one for one in examples if one[1]),
    )


def _guesses(draft: Draft, table: Table, column: Column, family: Family) -> Iterator[str]:
    """What speaks against the types that a column gets, or might get, only where every value fits."""
    for one in draft.decisions.candidates(table, column):
        if one.rule.fits:
            yield from (trap.where for trap in one.traps)
    for to in family.suggestions(column):
        yield f"{my_name(column.name)} IS NOT NULL"
        yield from (trap.where for trap in form(Value(column, to)).traps)


def _examples(draft: Draft, table: Table, column: Column) -> Iterator[tuple[str, str]]:
    """What is shown of the values for which a rule is skipped: others than numbers may be secrets."""
    shown = f"CAST(c.{my_name(column.name)} AS CHAR)" if shows_values(column) else _key(table)
    for one in draft.decisions.candidates(table, column):
        if one.rule.fits:
            yield from ((trap.where, shown) for trap in one.traps)


def _conditions(draft: Draft, table: Table, column: Column) -> Iterator[str]:
    """The rows that are to be counted of the type that does not depend on the data."""
    for one in draft.decisions.candidates(table, column):
        if not one.rule.fits:
            yield from (trap.where for trap in one.traps)
    if draft.loading is None and (condition := generated.cut(column)):
        yield condition


def _lengths(table: Table) -> Iterator[tuple[str, str]]:
    """The columns of indexes whose values can be long."""
    indexed = {name for index in table.indexes if index.kind == "BTREE" for name in index.columns}
    for column in table.columns:
        name = my_name(column.name)
        if column.name in indexed and column.type in TEXTUAL:
            yield column.name, f"LENGTH(CONVERT({name} USING utf8mb4))"
        elif column.name in indexed and column.type in Binary.types:
            yield column.name, f"LENGTH({name})"


def _key(table: Table) -> str:
    names = table.primary_key.columns if table.primary_key else ()
    columns = [(f"c.{my_name(name)}", table.column(name).type in Binary.types) for name in names]
    listed = ",".join(f"CONCAT('0x',HEX({name}))" if binary else name for name, binary in columns)
    return f"CONVERT(CONCAT_WS('/',{listed}) USING utf8mb4)" if listed else ""
