"""The plan's report as values, the same for text, Markdown and HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from converge.model.plan import Outcome, Phase, Plan, count_losses
from converge.model.quote import pg_name
from converge.report.check_parts import planned_checks
from converge.report.drift_parts import DriftParts, drift_parts
from converge.report.parts import Grid, Left, Level, Verdict, grid, left_behind, levels, visible
from converge.report.plan_tables import OF_TABLES, TablePart, outcomes_grid, table_parts
from converge.report.units import counted, missing_words, seconds, size

_PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(frozen=True, slots=True)
class PlanParts:
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    """What is read first: a number and its name."""
    facts: tuple[tuple[str, str], ...]
    forecast: tuple[tuple[str, str], ...]
    levels: tuple[Level, ...]
    types: Grid
    tables: tuple[TablePart, ...]
    changes: Grid
    since: DriftParts
    checks: Grid
    """What the maps want to see when the rows are there."""
    others: Grid
    """Views and what else belongs to no table and arrives."""
    left: tuple[Left, ...]
    sql: tuple[tuple[str, int, str], ...]
    """Phase, number of statements, text."""


def plan_parts(plan: Plan) -> PlanParts:
    """All of a plan that people read."""
    return PlanParts(
        verdict=_verdict(plan),
        figures=_figures(plan),
        facts=_facts(plan),
        forecast=_forecast(plan),
        levels=levels(plan.findings),
        types=_types(plan),
        tables=table_parts(plan),
        changes=_changes(plan),
        since=drift_parts(plan.since),
        checks=planned_checks(plan.checks),
        others=_others(plan.outcomes),
        left=left_behind(plan.not_migrated),
        sql=plan_statements(plan),
    )


def plan_statements(plan: Plan) -> tuple[tuple[str, int, str], ...]:
    """The target's SQL phase by phase, each statement with its reason."""
    made = []
    if not plan.schema_exists:
        made.append(("schema", 1, f"CREATE SCHEMA {pg_name(plan.schema)};"))
    for phase in _PHASES:
        lines = []
        for statement in plan.statements:
            if statement.phase == phase:
                why = visible(" ".join(f"{statement.object}: {statement.why}".split()))
                lines.append(f"-- {why}\n{statement.sql};")
        if lines:
            made.append((phase, len(lines), "\n".join(lines)))
    return tuple(made)


def _verdict(plan: Plan) -> Verdict:
    if plan.blocks:
        words = f"{counted(len(plan.blocks), 'finding')} must be settled before anything is written"
        return Verdict("blocked", words, "bad")
    losses = count_losses(plan.findings)
    words = missing_words(len(plan.not_migrated), losses)
    return Verdict("ready to migrate", words, "warn" if plan.not_migrated or losses else "good")


def _figures(plan: Plan) -> tuple[tuple[str, str], ...]:
    figures = [
        (f"{len(plan.tables):,}", "tables"),
        (f"{sum(one.rows_estimate for one in plan.tables):,}", "rows, estimated"),
        (size(sum(one.data_bytes for one in plan.tables)), "in the source"),
    ]
    if plan.forecast:
        figures.append((size(plan.forecast.target_bytes), "in the target"))
        figures.append((seconds(plan.forecast.seconds), "forecast"))
    counts: Counter[str] = Counter(finding.level for finding in plan.findings)
    names = (("block", "blockers"), ("lossy", "losses"), ("note", "notes"))
    figures += [(f"{counts[severity]:,}", name) for severity, name in names]
    return (*figures, (f"{len(plan.not_migrated):,}", "objects not migrated"))


def _facts(plan: Plan) -> tuple[tuple[str, str], ...]:
    rows = sum(one.rows_estimate for one in plan.tables)
    data = sum(one.data_bytes for one in plan.tables)
    states = Counter(outcome.state for outcome in plan.outcomes if not outcome.part)
    facts = (
        ("source", f"MySQL {plan.source_version} {plan.source}"),
        ("target", f"PostgreSQL {plan.target_version} {plan.target or '(no target named)'}"),
        ("schema", plan.schema + ("" if plan.schema_exists else ", which the run makes")),
        ("mode", "load: into the tables that are there" if plan.mode == "load" else ""),
        ("size", f"{counted(len(plan.tables), 'table')}, about {rows:,} rows, {size(data)}"),
        ("objects", ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))),
        ("snapshot", plan.snapshot),
        ("scan", plan.scan),
        ("digest", plan.digest),
    )
    return tuple((name, words) for name, words in facts if words)


def _forecast(plan: Plan) -> tuple[tuple[str, str], ...]:
    if plan.forecast is None:
        return ()
    return (
        ("time", f"{seconds(plan.forecast.seconds)} for the whole run with its full comparison"),
        ("space", f"{size(plan.forecast.target_bytes)} in the target, tables and indexes"),
        ("basis", plan.forecast.basis),
    )


def _types(plan: Plan) -> Grid:
    """A row for each kind of decision, most frequent first."""
    decisions = Counter(
        (_general(column.source_type), _general(column.target_type), column.rule, column.why)
        for one in plan.tables
        for column in one.columns
    )
    return grid(
        "Type decisions",
        (("columns", "number"), ("type", "code"), ("becomes", "code"), ("why", "words"), ("rule", "words")),
        [
            (f"{count:,}", source, target, why, rule)
            for (source, target, rule, why), count in decisions.most_common()
        ],
    )


def _general(type_: str) -> str:
    """``varchar(45)`` → ``varchar(n)``; the name of a native enum → ``enum``."""
    if type_.startswith(("enum(", "set(")):
        return type_.partition("(")[0]
    if type_.startswith('"') and type_.endswith('"'):
        return "enum"
    return re.sub(r"\(\d+(,\d+)?\)", lambda match: "(p,s)" if match[1] else "(n)", type_)


def _others(outcomes: Sequence[Outcome]) -> Grid:
    found = [one for one in outcomes if one.kind not in OF_TABLES and one.state != "not migrated"]
    return outcomes_grid("Views and other objects", found)


def _changes(plan: Plan) -> Grid:
    return grid(
        "Declared value changes",
        (("table", "name"), ("column", "name"), ("policy", "code"), ("becomes", "code"), ("which", "words")),
        [
            (one.source, column.source, change.trap, change.policy, f"rows {change.words}")
            for one in plan.tables
            for column in one.columns
            for change in column.changes
        ],
    )
