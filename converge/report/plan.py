"""The plan for people, as JSON and as SQL."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from converge.model.plan import Finding, Phase, Plan
from converge.model.quote import pg_name
from converge.report.units import size, table

_PHASES: tuple[Phase, ...] = ("create", "view", "index", "foreign key", "validate", "finish", "analyze")
_MESSAGE = 200


def plan_text(plan: Plan, *, verbose: bool = False) -> str:
    """Verdict first, then facts, types, tables, findings and what is not migrated."""
    target = f"PostgreSQL {plan.target_version}" + (
        f" {plan.target}" if plan.target else " (no target named)"
    )
    rows = sum(one.rows_estimate for one in plan.tables)
    data = sum(one.data_bytes for one in plan.tables)
    states = Counter(outcome.state for outcome in plan.outcomes)
    lines = [
        f"plan      MySQL {plan.source_version} {plan.source} → {target}, schema {plan.schema}",
        f"verdict   {_verdict(plan)}",
        f"size      {len(plan.tables)} tables, about {rows:,} rows, {size(data)}",
        "objects   " + ", ".join(f"{count:,} {state}" for state, count in sorted(states.items())),
        f"digest    {plan.digest}",
        "",
    ]
    lines += _types(plan)
    lines += ["", *_tables(plan, verbose=verbose)]
    for severity, title in (("block", "BLOCKS"), ("lossy", "lossy"), ("note", "notes")):
        found = [finding for finding in plan.findings if finding.severity == severity]
        if found:
            lines += ["", f"{title} ({len(found)})"]
            lines += [line for finding in found for line in _finding(finding, verbose=verbose)]
    return "\n".join(lines)


def plan_json(plan: Plan) -> dict[str, Any]:
    """The --json document: the contract's keys, and the whole plan."""
    document = plan.to_json()
    return {
        "converge": 1,
        "command": "plan",
        "verdict": "blocked" if plan.blocks else "planned",
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
        "phases": [],
        "plan": document,
    }


def plan_sql(plan: Plan) -> str:
    """The target's SQL, phase by phase, each statement with its reason."""
    lines = [f"-- {plan.source} → PostgreSQL {plan.target_version}, digest {plan.digest}"]
    if not plan.schema_exists:
        lines += ["", f"CREATE SCHEMA {pg_name(plan.schema)};"]
    for phase in _PHASES:
        statements = [statement for statement in plan.statements if statement.phase == phase]
        if statements:
            lines += ["", f"-- {phase}"]
        for statement in statements:
            why = " ".join(f"{statement.object}: {statement.why}".split())
            lines += [f"-- {why}", statement.sql + ";"]
    return "\n".join(lines) + "\n"


def _verdict(plan: Plan) -> str:
    if plan.blocks:
        return f"blocked: {len(plan.blocks)} findings must be settled first"
    lossy = sum(finding.severity == "lossy" for finding in plan.findings)
    return "can go" + (f", with {lossy} declared losses" if lossy else ", nothing of the data is lost")


def _types(plan: Plan) -> list[str]:
    """One line for each kind of decision, most frequent first."""
    decisions = Counter(
        (_general(column.source_type), _general(column.target_type), column.why)
        for one in plan.tables
        for column in one.columns
    )
    rows = [
        (f"{count:,}", source, f"→ {target}", why) for (source, target, why), count in decisions.most_common()
    ]
    return table(("columns", "type", "becomes", "why"), rows, left=4) if rows else []


def _general(type_: str) -> str:
    """``varchar(45)`` → ``varchar(n)``; the name of a native enum → ``enum``."""
    if type_.startswith(("enum(", "set(")):
        return type_.partition("(")[0]
    return (
        "enum"
        if type_.startswith('"')
        else re.sub(r"\(\d+(,\d+)?\)", lambda m: "(p,s)" if m[1] else "(n)", type_)
    )


def _tables(plan: Plan, *, verbose: bool) -> list[str]:
    kinds = Counter((statement.object, statement.phase) for statement in plan.statements)
    rows = [
        (
            one.source,
            f"{one.rows_estimate:,}",
            size(one.data_bytes),
            str(len(one.columns)),
            str(kinds[one.source, "index"]),
            str(kinds[one.source, "foreign key"]),
        )
        for one in plan.tables
    ]
    if not rows:
        return ["The source has no tables that are selected."]
    lines = table(("table", "rows ~", "size ~", "columns", "keys, indexes", "foreign keys"), rows)
    if verbose:
        for one in plan.tables:
            lines += ["", f"{one.source} → {plan.schema}.{one.target}"]
            columns = [
                ("  " + c.source, c.source_type, f"→ {c.target_type}", f"{c.rule}: {c.why}")
                for c in one.columns
            ]
            lines += table(("  column", "type", "becomes", "rule"), columns, left=4)
    return lines


def _finding(finding: Finding, *, verbose: bool) -> list[str]:
    message = " ".join(finding.message.split())
    if len(message) > _MESSAGE and not verbose:
        message = message[:_MESSAGE] + " …"
    lines = [f"  {finding.code}  {finding.object}: {message}"]
    if finding.hint and (verbose or finding.severity == "block"):
        lines.append(f"        hint  {finding.hint}")
    return lines
