"""A plan as a document, as JSON and as SQL."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, get_args

from converge.model.documents import head
from converge.model.finding import count_losses
from converge.model.plan import Phase, Plan
from converge.model.port import all_work, hours
from converge.model.quote import pg_name
from converge.model.rehearsal import Drift
from converge.model.words import counted, utc_now
from converge.report.charts import size_bars
from converge.report.document import (
    Cell,
    Document,
    Facts,
    Fold,
    Grid,
    Paste,
    Section,
    Verdict,
    Words,
    facts,
    figure,
    grid,
    missing_figures,
    section,
    subject,
    table_section,
    toned,
    work_sections,
)
from converge.report.plan_tables import OF_TABLES, outcomes_grid, tables_grid
from converge.report.port import conversion_section, port_section
from converge.report.words import (
    blocked_words,
    for_people,
    missing_words,
    moment,
    seconds,
    size,
    visible,
)

_PHASES: tuple[Phase, ...] = get_args(Phase)


def plan_document(plan: Plan) -> Document:
    """All of a plan that people read."""
    others = [one for one in plan.outcomes if one.kind not in OF_TABLES and one.state != "not migrated"]
    changes = (
        (one.source, column.source, change.trap, change.policy, f"rows {change.words}")
        for one in plan.tables
        for column in one.columns
        for change in column.changes
    )
    checks = ((one.name, one.wants, one.source, one.target, one.why, one.place) for one in plan.checks)
    work, absent, *rest = work_sections(plan.findings, plan.not_migrated)
    sizes = [(one.source, one.data_bytes, one.rows_estimate) for one in plan.tables]
    return Document(
        "plan",
        subject(plan.source, plan.target or f"PostgreSQL {plan.target_version}"),
        (moment(utc_now()), f"MySQL {plan.source_version} → PostgreSQL {plan.target_version}"),
        plan_verdict(plan),
        _figures(plan),
        (
            work,
            absent,
            port_section(plan),
            section("facts", "Facts", all_facts(plan)),
            conversion_section(plan),
            section("since", "Since the last run", *drift_blocks(plan.since),
                    nothing="there was no run before"),
            section("sizes", "Size", size_bars("Largest tables, estimated", sizes)),
            section("tables", "Tables", tables_grid(plan), nothing="no table of the source is selected"),
            table_section(
                "changes",
                "Declared value changes",
                (("table", "name"), ("column", "name"), ("policy", "code"), ("becomes", "code"),
                 ("which", "words")),
                changes,
                "no value is changed",
            ),
            table_section(
                "checks",
                "Checks",
                (("check", "words"), ("wants", "words"), ("source", "code"), ("target", "code"),
                 ("why", "words"), ("where it stands", "words")),
                checks,
                "the maps declare no checks",
            ),
            *rest,
            section("types", "Type decisions", types_grid(plan), folded=True),
            section("others", "Views and other objects", outcomes_grid("Views and other objects", others),
                    nothing="the source has no views or other objects that are migrated", folded=True),
            _sql(plan),
        ),
    )  # fmt: skip


def plan_json(plan: Plan) -> dict[str, Any]:
    """The --json document: the contract's keys, and the whole plan."""
    document = plan.to_json()
    tables = (
        {"source": one.source, "target": f"{plan.schema}.{one.target}", "rows_estimate": one.rows_estimate}
        for one in plan.tables
    )
    work = all_work(plan.ports)
    return head("plan", "blocked" if plan.blocks else "ready", 3 if plan.blocks else 0) | {
        "source": {"url": plan.source, "version": plan.source_version},
        "target": {"url": plan.target, "version": plan.target_version},
        "tables": list(tables),
        "findings": document["findings"],
        "not_migrated": [asdict(one) for one in plan.not_migrated],
        "losses": count_losses(plan.findings),
        "conversion": [asdict(one) for one in plan.conversion],
        "effort": {"hours": hours(work), "work": [asdict(one) for one in work]},
        "phases": [],
        "plan": document,
    }


def plan_sql(plan: Plan) -> str:
    """The target's SQL, phase by phase, each statement with its reason."""
    lines = [f"-- {plan.source} → PostgreSQL {plan.target_version}, digest {plan.digest}"]
    for phase, statements in _statements(plan):
        lines += ["", f"-- {phase}", *statements]
    return "\n".join(lines) + "\n"


def _statements(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    if not plan.schema_exists:
        yield "schema", [f"CREATE SCHEMA {pg_name(plan.schema)};"]
    for phase in _PHASES:
        statements = [one for one in plan.statements if one.phase == phase]
        if statements:
            yield phase, [f"-- {_reason(one.object, one.why)}\n{one.sql};" for one in statements]


def _reason(object_: str, why: str) -> str:
    return visible(" ".join(f"{object_}: {why}".split()))


def _sql(plan: Plan) -> Section:
    folds = (
        Fold(phase, (Paste("\n".join(statements), "sql"),), len(statements))
        for phase, statements in _statements(plan)
    )
    return section("sql", "SQL", *folds, folded=True, on_pages=True)


def plan_verdict(plan: Plan) -> Verdict:
    if plan.blocks:
        return Verdict("blocked", blocked_words(len(plan.blocks)), "bad")
    losses = count_losses(plan.findings)
    words = missing_words(len(plan.not_migrated), losses)
    return Verdict(for_people("ready"), words, "warn" if plan.not_migrated or losses else "good")


def _figures(plan: Plan) -> tuple[tuple[Cell, str], ...]:
    figures: list[tuple[Cell, str]] = [
        figure(len(plan.tables), "table"),
        figure(sum(one.rows_estimate for one in plan.tables), "row, estimated", "rows, estimated"),
        (size(sum(one.data_bytes for one in plan.tables)), "in the source"),
    ]
    if plan.forecast:
        figures.append((size(plan.forecast.target_bytes), "in the target"))
        figures.append((seconds(plan.forecast.seconds), "forecast"))
    counts: Counter[str] = Counter(finding.level for finding in plan.findings)
    return (
        *figures,
        toned(len(plan.blocks), "blocker", tone="bad"),
        *missing_figures(len(plan.not_migrated), counts["lossy"]),
        toned(counts["note"], "note", tone="quiet"),
    )


def plan_facts(plan: Plan) -> Facts:
    rows = sum(one.rows_estimate for one in plan.tables)
    data = sum(one.data_bytes for one in plan.tables)
    states = Counter(outcome.state for outcome in plan.outcomes if not outcome.part)
    return facts(
        ("source", f"MySQL {plan.source_version} {plan.source}"),
        ("target", f"PostgreSQL {plan.target_version} {plan.target or '(no target named)'}"),
        ("schema", plan.schema + ("" if plan.schema_exists else ", which the run makes")),
        ("mode", "load: into the tables that are there" if plan.mode == "load" else ""),
        ("size", f"{counted(len(plan.tables), 'table')}, about {counted(rows, 'row')}, {size(data)}"),
        ("objects", ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))),
        ("snapshot", plan.snapshot),
        ("TOAST", "lz4 for long values" if plan.compression == "lz4" else ""),
        ("scan", plan.scan),
        ("digest", plan.digest),
    )


def all_facts(plan: Plan) -> Facts:
    """The facts with the forecast."""
    if (forecast := plan.forecast) is None:
        return plan_facts(plan)
    time = f"{seconds(forecast.seconds)} with the full comparison of tables"
    space = f"{size(forecast.target_bytes)} in the target, tables and indexes"
    return Facts((*plan_facts(plan).pairs, ("forecast", f"{time}; {space}"), ("", forecast.basis)))


def types_grid(plan: Plan) -> Grid:
    """A row for each kind of decision, most frequent first."""
    decisions = Counter(
        (_general(column.source_type), _general(column.target_type), column.why, column.rule)
        for one in plan.tables
        for column in one.columns
    )
    return grid(
        "Type decisions",
        (("columns", "number"), ("type", "code"), ("becomes", "code"), ("why", "words"), ("rule", "words")),
        [(f"{count:,}", *decision) for decision, count in decisions.most_common()],
        pages=("rule",),
    )


def _general(type_: str) -> str:
    """``varchar(45)`` → ``varchar(n)``; the name of a native enum → ``enum``."""
    if type_.startswith(("enum(", "set(")):
        return type_.partition("(")[0]
    if type_.startswith('"') and type_.endswith('"'):
        return "enum"
    return re.sub(r"\(\d+(,\d+)?\)", lambda match: "(p,s)" if match[1] else "(n)", type_)


def drift_facts(drift: Drift) -> Facts:
    """How much has changed since the last run."""
    more = sum(one.now - one.before for one in drift.growth)
    rows = f"{more:+,} in {counted(len(drift.growth), 'table')}" if drift.growth else "unchanged"
    forecast = drift.forecast
    return facts(
        ("last run", drift.since),
        ("changes", counted(len(drift.changes), "thing") if drift.changes else "none"),
        ("rows", rows),
        ("forecast", f"{seconds(forecast.seconds)}, {forecast.basis}" if forecast else ""),
    )


def drift_blocks(
    drift: Drift | None, most: int = sys.maxsize, cut: Callable[[str], str] = str
) -> Iterator[Facts | Grid | Words]:
    """What has changed since the last run: the first `most` things, each cell cut."""
    if drift is None:
        return
    yield drift_facts(drift)
    changed = grid(
        "Changed since the last run",
        (("what", "words"), ("which", "name"), ("before", "code"), ("now", "code")),
        [
            (one.what, cut(one.object), cut(one.before or "not there"), cut(one.now or "not there"))
            for one in drift.changes
        ],
    )
    grown = grid(
        "Rows since the last run",
        (("table", "name"), ("before", "number"), ("now", "number"), ("more", "number")),
        [
            (cut(one.table), f"{one.before:,}", f"{one.now:,}", f"{one.now - one.before:+,}")
            for one in drift.growth
        ],
    )
    for table in (changed, grown):
        yield replace(table, rows=table.rows[:most])
        if len(table.rows) > most:
            yield Words(f"… {len(table.rows) - most:,} more; --md FILE has all")
