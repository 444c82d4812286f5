"""Plan = catalog, maps and target together: pure, so that the same inputs always give the same plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from converge.codes import Code
from converge.model.catalog import Catalog, Table
from converge.model.evidence import Questions
from converge.model.plan import Finding, Plan, digest, made_names
from converge.model.quote import my_name, pg_name
from converge.planner.checks import plan_checks
from converge.planner.choice import mapped
from converge.planner.collations import note_keys
from converge.planner.columns import complete, constraints, definition, plan_column
from converge.planner.comments import plan_comments
from converge.planner.compatibility import lacking_features, refused_checks
from converge.planner.draft import Draft
from converge.planner.duplicates import note_duplicates
from converge.planner.forecast import forecast, sized
from converge.planner.foreign_keys import plan_foreign_keys
from converge.planner.full_pages import note_full_pages
from converge.planner.indexes import plan_indexes
from converge.planner.inputs import Inputs, begin
from converge.planner.load.plan import plan_load
from converge.planner.long_rows import note_long_rows
from converge.planner.questions import questions
from converge.planner.tables import note_namesakes, table_plan
from converge.planner.triggers import plan_triggers
from converge.planner.unmatched import note_unmatched
from converge.planner.values import note_suggestions, note_unseen
from converge.planner.views import plan_views

_SNAPSHOTS = frozenset({"InnoDB", ""})
_ELSEWHERE = {
    "BLACKHOLE": "the source keeps no rows of it; the target keeps those that are inserted",
    "FEDERATED": "its rows are another server's; the target gets a copy of them",
}
_COLUMNS_LIMIT = 1600


def make_plan(inputs: Inputs) -> Plan:
    """Plans the whole database."""
    draft = draft_plan(inputs)
    facts = inputs.evidence.tables
    sources = [sized(one, facts.get(one.name)) for one in inputs.catalog.tables if one.name in draft.tables]
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
        forecast=forecast(sources),
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


def draft_plan(inputs: Inputs) -> Draft:
    """The plan in the making, with the trials that the target should run."""
    draft, tables = begin(inputs)
    own = {table.name for table in tables}
    if draft.loading is not None:
        plan_load(draft, draft.loading, tables, may_hold_rows=inputs.may_hold_rows)
    else:
        _create(draft, tables)
        _note_left_over(draft, inputs.left_over)
    planned = [table for table in tables if table.name in draft.tables]
    for table in planned:
        note_long_rows(draft, table)
        note_full_pages(draft, table)
    draft.findings += inputs.lacking
    if not inputs.catalog.tables:
        draft.find(Code.P083, "note", "source", "the database has no tables: is it the right one?")
    for setting in inputs.catalog.settings if _calculates(inputs.catalog) else ():
        draft.find(
            Code.P169, "lossy", "source",
            f"{setting}: views, generated columns and CHECKs are migrated as MySQL's default has them",
            "read what they calculate; SET GLOBAL changes the source",
        )  # fmt: skip
    _note_engines(draft, planned)
    note_unseen(draft, planned)
    note_unmatched(draft, inputs.catalog.tables, strict=inputs.strict)
    if draft.trials and not inputs.evidence.tried:
        draft.find(
            Code.P054, "note", "target",
            f"{len(draft.trials)} translated expressions were not tried: "
            + ("the role may not make temporary tables" if inputs.target else "no target is named"),
            inputs.temporary,
        )  # fmt: skip
    if draft.loading is None:
        note_keys(draft, planned)
    note_duplicates(draft, planned)
    note_suggestions(draft)
    _inventory(draft, own)
    return draft


def _note_left_over(draft: Draft, left_over: Sequence[tuple[str, str, str]]) -> None:
    """What an earlier run has made, and whose tables were dropped by hand since."""
    made = made_names(draft.statements)
    if going := [f"{kind} {name}" for kind, name, _ in left_over if name in made]:
        draft.find(
            Code.P151, "note", "target", f"dropped first, left over from an earlier run: {', '.join(going)}"
        )


def all_questions(inputs: Inputs) -> list[Questions]:
    """What the scan should find out, a table each; the largest first."""
    draft, tables = begin(inputs)
    return [questions(draft, table) for table in sorted(tables, key=lambda table: -table.data_bytes)]


def _create(draft: Draft, tables: Sequence[Table]) -> None:
    """Everything that the target gets: its tables, and then what hangs on them."""
    for table in tables:
        _table(draft, table, draft.targets[table.name])
    for table in tables:
        if table.name in draft.tables:
            plan_indexes(draft, table)
    for table in tables:
        if table.name in draft.tables:
            plan_checks(draft, table)
            plan_foreign_keys(draft, table)
            draft.note_renamed(table)
            plan_triggers(draft, table)
            plan_comments(draft, table)
            name = draft.qualified(table.name)
            draft.do("analyze", table.name, f"ANALYZE {name}", "statistics for the planner")
    for table in tables:
        if table.name in draft.tables:
            _try(draft, table)
    plan_views(draft)


def _try(draft: Draft, table: Table) -> None:
    """Blocks where the target refuses what a map makes of a table; the shipped rules make what it takes."""
    keys = [key for key in table.foreign_keys if key.parent in draft.tables]
    parents = [parent for key in keys if (parent := draft.source(key.parent)) and key.parent != table.name]
    if not any(mapped(draft, one, column) for one in (table, *parents) for column in one.columns):
        return
    own = [one for one in draft.statements if one.object == table.name and not one.optional]
    sql = ";\n".join(one.sql for one in own if one.phase == "foreign key") or "SELECT 1"
    if refused := draft.refusal("table", table.name, sql, (table.name, *(one.name for one in parents))):
        draft.find(Code.P154, "block", table.name, f"the target refuses what a map makes of it: {refused}")


def _table(draft: Draft, table: Table, target: str) -> None:
    columns = [plan_column(draft, table, target, column) for column in table.columns]
    plans = {plan.source: plan for plan in columns if plan is not None}
    columns = [
        plan and complete(draft, table, column, plans)
        for column, plan in zip(table.columns, columns, strict=True)
    ]
    known = tuple(column for column in columns if column is not None)
    if len(known) > _COLUMNS_LIMIT:
        draft.block(
            Code.P003, "table", table.name, f"{len(known)} columns; PostgreSQL's limit is {_COLUMNS_LIMIT}"
        )
        return
    note_namesakes(draft, table, known)
    if not known:
        draft.block(Code.P004, "table", table.name, "none of its columns can be migrated")
        return
    draft.tables[table.name] = table_plan(draft, table, target, known)
    lines = ",\n  ".join(definition(column) for column in known)
    name = pg_name(draft.schema, target)
    sql = f"CREATE TABLE {name} (\n  {lines}\n)"
    draft.do("create", table.name, sql, "a table of the source", makes=f"TABLE {name}")
    for column, plan in zip(table.columns, columns, strict=True):
        if plan is not None:
            constraints(draft, table, column, plan)
    _table_notes(draft, table, target)
    draft.done("table", table.name, target, "with all its columns")


def _table_notes(draft: Draft, table: Table, target: str) -> None:
    if target != table.name:
        draft.find(Code.P070, "note", table.name, f"is called {target} in the target")
    if table.partitions:
        draft.find(
            Code.P071, "lossy", table.name, f"its {len(table.partitions)} partitions become one plain table"
        )
    if table.engine in _ELSEWHERE:
        draft.find(Code.P152, "lossy", table.name, f"{table.engine}: {_ELSEWHERE[table.engine]}")
    if table.engine not in _SNAPSHOTS:
        draft.noted.add(table.name)


def _note_engines(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding for each storage engine without a snapshot."""
    for engine in sorted({table.engine for table in tables} - _SNAPSHOTS):
        names = [table.name for table in tables if table.engine == engine]
        draft.find(
            Code.P072, "note", engine,
            f"{len(names)} tables of an engine without snapshots: stop their writers during the run: "
            + ", ".join(names),
        )  # fmt: skip


def _inventory(draft: Draft, own: set[str]) -> None:
    """What is not translated at all: excluded tables with all they have, triggers, routines, events."""
    for table in draft.catalog.tables:
        if table.name not in own:
            message = "the table is excluded or a map skips it: nothing of it is migrated"
            draft.findings.append(Finding(Code.P080, "lossy", table.name, message, not_migrated=True))
            draft.left_out(table, "the table is excluded, or a map skips it")
    for routine in draft.catalog.routines:
        place = f" on {routine.table}" if routine.table else ""
        draft.left(
            Code.P081, routine.kind, routine.name,
            f"code is not translated; it is {routine.definer}'s{place}: {routine.text}",
        )  # fmt: skip
    for kind in draft.catalog.unreadable:
        draft.find(
            Code.P082, "lossy", kind,
            f"the source user may not see all {kind}: what it does not see is not migrated, nor counted",
            _seen_by(kind, draft.catalog),
        )  # fmt: skip


def _calculates(catalog: Catalog) -> bool:
    """Whether the source has expressions whose values depend on the server's settings."""
    return bool(catalog.views) or any(
        table.checks or any(column.generated for column in table.columns) for table in catalog.tables
    )


def _seen_by(kind: str, catalog: Catalog) -> str:
    """The GRANT that makes these objects visible."""
    if kind == "tables":
        return f"GRANT SELECT ON {my_name(catalog.database)}.* TO {catalog.user};"
    if kind == "routines":
        return f"GRANT SELECT ON *.* TO {catalog.user}; (or SHOW_ROUTINE, from MySQL 8.0.20)"
    return f"GRANT SHOW VIEW, TRIGGER, EVENT ON {my_name(catalog.database)}.* TO {catalog.user};"
