"""The plan as Markdown: the content of the HTML page."""

from __future__ import annotations

from converge.model.plan import Plan
from converge.report import markdown
from converge.report.drift_parts import DriftParts
from converge.report.parts import sentence
from converge.report.plan_parts import PlanParts, plan_parts
from converge.report.plan_tables import overview


def plan_markdown(plan: Plan, name: str = "") -> str:
    """Verdict first, then facts, forecast, findings, tables, types, what is not migrated, and the SQL."""
    parts = plan_parts(plan)
    lines = [markdown.title(f"converge plan: {parts.verdict.word}", name), "", sentence(parts.verdict.words)]
    lines += markdown.section("Facts", markdown.facts(parts.facts))
    lines += markdown.section("Forecast", markdown.facts(parts.forecast), nothing="None was made.")
    lines += _since(parts.since)
    lines += markdown.section("Findings", markdown.findings(parts.levels), nothing="None.")
    lines += _tables(parts)
    lines += markdown.grid_section("Type decisions", parts.types)
    lines += markdown.grid_section("Declared value changes", parts.changes, nothing="No value is changed.")
    lines += markdown.grid_section("Checks", parts.checks)
    lines += markdown.grid_section("Views and other objects", parts.others)
    lines += markdown.section(
        "Not migrated", markdown.left_behind(parts.left), nothing="Every object of the source is migrated."
    )
    sql = [
        line
        for phase, count, text in parts.sql
        for line in ("", f"### {phase} ({count:,})", *markdown.fence(text, "sql"))
    ]
    return "\n".join([*lines, *markdown.section("SQL", sql[1:])]).rstrip() + "\n"


def _since(since: DriftParts) -> list[str]:
    lines = markdown.section("Since the last run", markdown.facts(since.facts))
    for grid in (since.changes, since.growth):
        if grid.rows:
            lines += ["", f"### {grid.title}", "", *markdown.table(grid)]
    return lines


def _tables(parts: PlanParts) -> list[str]:
    lines = markdown.grid_section(
        "Tables", overview(parts.tables), nothing="The source has no tables that are selected."
    )
    for one in parts.tables:
        lines += ["", f"### {markdown.code(one.source)} → {markdown.code(one.target)}", ""]
        lines += [*markdown.table(one.columns), "", *markdown.table(one.objects)]
    return lines
