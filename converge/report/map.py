"""`plan --write-map`: every decision as an entry of a map, to be edited and given back with --map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from converge.mapping.rules import entry, literally, value
from converge.model.quote import toml_text
from converge.planner.entries import ColumnEntry, Entry

_HEAD = """# Every decision of `converge plan` from {source}.
# Edit what should be otherwise, and give it to plan, migrate and verify with --map; delete what may be
# decided by the data again. What each key means stands in schema_maps/map.schema.json.

[map]
name = {name}
about = "written by converge plan"
"""


def map_toml(source: str, database: str, columns: Iterable[ColumnEntry], others: Iterable[Entry]) -> str:
    """The map file."""
    lines = [_HEAD.format(source=_one_line(source), name=toml_text(database))]
    for table, group in groupby(columns, key=lambda decision: decision.table.name):
        lines.append(f"# --- {_one_line(table)} " + "-" * max(3, 100 - len(table)))
        for decision in group:
            lines += [*_entry(decision), ""]
    for other in others:
        lines += [entry(other.section, literally(**other.match), *_settings(other.settings)), ""]
    return "\n".join(lines)


def _entry(decision: ColumnEntry) -> list[str]:
    column = decision.column
    match = value(literally(table=decision.table.name, column=column.name))
    seen = f" ({decision.evidence})" if decision.evidence else ""
    to, *others = _settings(decision.settings)
    lines = [
        "[[column]]",
        f"match = {match}  # {_one_line(column.raw_type)}",
        f"{to}  # {_one_line(decision.why + seen)}",
        *others,
        *([f"note = {value(decision.note)}"] if decision.note else []),
    ]
    if decision.others:
        lines.append(f"# to may also be {', '.join(decision.others)}")
    for trap, rows in decision.open:
        known = "not counted" if rows is None else f"{rows:,} rows"
        ways = ", ".join(["stop", *trap.kind.policies])
        lines.append(f"# policy {trap.name} = {ways}: {known} {trap.kind.words}")
    return lines


def _settings(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {value(of)}" for key, of in settings.items()]


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
