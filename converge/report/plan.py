"""The plan for a terminal, as JSON and as SQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from converge.model.plan import Finding, Plan, count_losses
from converge.report.parts import Level, one_line, short, visible
from converge.report.plan_parts import PlanParts, plan_parts, plan_statements
from converge.report.plan_tables import TablePart, overview
from converge.report.units import table

_MESSAGE = 200
_MOST_DRIFTED = 50
_TITLES = {"block": "BLOCKS", "lossy": "losses", "absent": "not migrated", "note": "notes"}


def plan_text(plan: Plan, *, verbose: bool = False) -> str:
    """Verdict first and last; between them facts, types, tables, findings and what is not migrated."""
    parts = plan_parts(plan)
    forecast = dict(parts.forecast)
    verdict = f"verdict   {parts.verdict.word}: {parts.verdict.words}"
    lines = [verdict]
    lines += [f"{name:<10}{_cut(words, verbose)}" for name, words in parts.facts]
    if forecast:
        lines.append(f"forecast  {forecast['time']}; {forecast['space']}")
        lines.append(f"          {_cut(forecast['basis'], verbose)}")
    lines += ["", *_types(parts), "", *_tables(parts.tables)]
    if verbose:
        lines += [line for one in parts.tables for line in _columns(one)]
    lines += _since(parts, verbose=verbose)
    if plan.checks:
        lines += ["", f"checks ({len(plan.checks):,}), after the load"]
        lines += [one_line(f"  {one.name} ({one.wants})") for one in plan.checks]
    for level in parts.levels:
        lines += ["", f"{_TITLES[level.name]} ({level.count:,})"]
        lines += [line for finding in _findings(level) for line in _finding(finding, verbose=verbose)]
    return visible("\n".join([*lines, "", verdict]))


def plan_json(plan: Plan) -> dict[str, Any]:
    """The --json document: the contract's keys, and the whole plan."""
    document = plan.to_json()
    return {
        "converge": 1,
        "command": "plan",
        "verdict": "blocked" if plan.blocks else "ready",
        "exit_code": 3 if plan.blocks else 0,
        "source": {"url": plan.source, "version": plan.source_version},
        "target": {"url": plan.target, "version": plan.target_version},
        "tables": [
            {
                "source": one.source,
                "target": f"{plan.schema}.{one.target}",
                "rows_estimate": one.rows_estimate,
            }
            for one in plan.tables
        ],
        "findings": document["findings"],
        "not_migrated": [asdict(one) for one in plan.not_migrated],
        "losses": count_losses(plan.findings),
        "phases": [],
        "plan": document,
    }


def plan_sql(plan: Plan) -> str:
    """The target's SQL, phase by phase, each statement with its reason."""
    lines = [f"-- {plan.source} → PostgreSQL {plan.target_version}, digest {plan.digest}"]
    for phase, _, text in plan_statements(plan):
        lines += ["", f"-- {phase}", text]
    return "\n".join(lines) + "\n"


def _cut(words: str, verbose: bool) -> str:
    return " ".join(words.split()) if verbose else short(words, _MESSAGE)


def _types(parts: PlanParts) -> list[str]:
    rows = [
        (count, one_line(source), f"→ {becomes}", why)
        for count, source, becomes, why, *_ in parts.types.lines
    ]
    return table(("columns", "type", "becomes", "why"), rows, left=4) if rows else []


def _since(parts: PlanParts, *, verbose: bool) -> list[str]:
    """What has changed since the last run."""
    since = parts.since
    if not since.facts:
        return []
    lines = [
        "",
        "since the last run",
        *(f"  {name:<10}{_cut(words, verbose)}" for name, words in since.facts),
    ]
    for grid, left in ((since.changes, 4), (since.growth, 1)):
        rows = [[_cut(one_line(cell), verbose) for cell in row] for row in grid.lines[:_MOST_DRIFTED]]
        if rows:
            lines += ["", *(f"  {line}" for line in table(grid.head, rows, left=left))]
        if more := len(grid.lines) - len(rows):
            lines.append(f"  … {more:,} more; --md FILE has all")
    return lines


def _tables(tables: tuple[TablePart, ...]) -> list[str]:
    if not tables:
        return ["The source has no tables that are selected."]
    grid = overview(tables)
    kept = [place for place, name in enumerate(grid.head) if name not in ("target", "findings")]
    return table(
        [grid.head[place] for place in kept], [[one_line(row[place]) for place in kept] for row in grid.lines]
    )


def _columns(one: TablePart) -> list[str]:
    """The columns of one table: the source's on the left of the arrow."""
    rows = []
    for row in one.columns.lines:
        cells = dict(zip(one.columns.head, row, strict=True))
        target, seen = cells["target column"], cells.get("seen in the data", "")
        name = "" if target == cells["source column"] else f"{target} "
        why = cells["rule and why"] + (f" ({short(seen, _MESSAGE)})" if seen else "")
        row = (f"  {cells['source column']}", cells["type"], f"→ {name}{cells['becomes']}", why)
        rows.append(tuple(map(one_line, row)))
    head = ("  column", "type", "becomes", "rule")
    return ["", one_line(f"{one.source} → {one.target}"), *table(head, rows, left=4)]


def _findings(level: Level) -> list[Finding]:
    return [finding for group in level.groups for finding in group.findings]


def _finding(finding: Finding, *, verbose: bool) -> list[str]:
    lines = [f"  {finding.code}  {one_line(finding.object)}: {_cut(finding.message, verbose)}"]
    if finding.evidence:
        lines.append(f"        seen  {_cut(finding.evidence, verbose)}")
    if finding.hint and (verbose or finding.severity == "block"):
        lines.append("        hint  " + finding.hint.replace("\n", "\n" + " " * 14))
    return lines
