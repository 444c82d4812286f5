"""Maps that `plan` writes, to be edited: all decisions, or what the findings propose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from converge.mapping.grammar import SECTIONS
from converge.mapping.rules import Map, entry, literally, setting, value
from converge.model.catalog import Table
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.quote import toml_text
from converge.planner.decision import Decision
from converge.planner.inputs import Inputs
from converge.planner.plan import decisions
from converge.report.findings import LEVELS

_HEAD = """# Every decision of `converge plan` from {source}.
# Edit what should be otherwise, and give it to plan, migrate and verify with --map; delete what may be
# decided by the data again. What each key means stands in schema_maps/map.schema.json.

[map]
name = {name}
about = "written by converge plan"
"""


def map_toml(inputs: Inputs) -> str:
    """The map file."""
    lines = [_HEAD.format(source=_one_line(inputs.source), name=toml_text(inputs.catalog.database))]
    for table, group in groupby(decisions(inputs), key=lambda decision: decision.table.name):
        lines.append(f"# --- {_one_line(table)} " + "-" * max(3, 100 - len(table)))
        for decision in group:
            lines += [*_column(decision), ""]
    for table_ in inputs.catalog.tables:
        lines += _others(inputs.map, table_)
    return "\n".join(lines)


_FIXES = """# What the findings of `converge plan` propose for {source}.
# To apply a rule, remove the first # of its lines, and give this file to plan, migrate and verify with --map.
# Statements (SQL) are for the database that the finding is about; ranked by severity, blockers first.

[map]
name = "fixes"
about = "written by converge plan"
"""


def fixes_toml(plan: Plan) -> str:
    """A map whose rules are comments: each fix once, below the findings that propose it."""
    fixes: dict[str, list[Finding]] = {}
    for level, *_ in LEVELS:
        for finding in plan.findings:
            if finding.level == level and finding.hint:
                fixes.setdefault(finding.hint, []).append(finding)
    names = {level: name for level, name, *_ in LEVELS}
    lines = [_FIXES.format(source=_one_line(plan.source))]
    for hint, found in fixes.items():
        for one in found:
            lines.append(f"# {one.code} ({names[one.level]}) {_one_line(f'{one.object}: {one.message}')}")
            lines += [f"#   seen {_one_line(one.evidence)}"] * bool(one.evidence)
        words, *rule = re.split(r"(?=^\[\[)", hint, maxsplit=1, flags=re.MULTILINE)
        lines += [f"#   {_one_line(line)}" for line in words.splitlines()]
        lines += [f"#{_one_line(line)}" for line in "".join(rule).splitlines()]
        lines.append("")
    return "\n".join(lines)


def _column(decision: Decision) -> list[str]:
    column = decision.column
    match = value(literally(table=decision.table.name, column=column.name))
    seen = f" ({decision.evidence})" if decision.evidence else ""
    to, *others = _settings(decision.settings)
    lines = [
        "[[column]]",
        f"match = {match}  # {_one_line(column.raw_type)}",
        f"{to}  # {_one_line(decision.rule.why + seen)}",
        *others,
        *([f"note = {value(decision.rule.note)}"] if decision.rule.note else []),
    ]
    if decision.others:
        lines.append(f"# to may also be {', '.join(decision.others)}")
    for trap, seen in decision.open:
        ways = ", ".join(["stop", *trap.kind.policies])
        lines.append(f"# policy {trap.name} = {ways}: {seen}")
    return lines


def _others(map_: Map, table: Table) -> Iterator[str]:
    """All that the maps say of a table, its indexes and its foreign keys, and of a counter its column."""
    for column in table.columns:
        if text := setting(map_.for_column(table, column, identity=False), "next_value")[0]:
            of = literally(table=table.name, column=column.name)
            yield from (entry("column", of, f"next_value = {value(text)}"), "")
            for other in table.columns:
                if setting(map_.for_column(table, other, identity=False), "skip")[0]:
                    of = literally(table=table.name, column=other.name)
                    yield from (entry("column", of, "skip = true"), "")
    objects = [({"table": table.name}, map_.for_table(table))]
    for index in table.indexes:
        objects.append(({"table": table.name, "index": index.name}, map_.for_index(table, index)))
    for key in table.foreign_keys:
        objects.append(({"table": table.name, "foreign_key": key.name}, map_.for_foreign_key(table, key)))
    for names, rules in objects:
        section = list(names)[-1]
        settings = {name: setting(rules, name)[0] for name in SECTIONS[section].settings()}
        if given := {name: of for name, of in settings.items() if of is not None}:
            yield from (entry(section, literally(**names), *_settings(given)), "")


def _settings(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {value(of)}" for key, of in settings.items()]


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
