"""The documentation's tables of types and traps, made from the rules so that they cannot be wrong.

python -m converge.report.types > docs/types.md
"""

from __future__ import annotations

from converge.mapping.read import load
from converge.mapping.rules import Map, Rule
from converge.model.catalog import Column
from converge.types import FAMILIES, KINDS, base_name, normal

_HEAD = """# What becomes of every MySQL type

Made from `schema_maps/mysql8.toml` by `python -m converge.report.types`; the same on PostgreSQL 14, 15, 16
and 17.5. The first rule that matches decides. Every rule holds every value that PostgreSQL can hold at all;
where a rule says "if every value fits", a scan of the data decides, and without one (`--no-scan`) the next
rule does. Rules of a map of your own (`--map FILE`) are asked first.

| MySQL | PostgreSQL | why | a map may also choose |
|---|---|---|---|
"""
_TRAPS = """
## What a type cannot hold, and what may become of it

The scan counts such values before anything is written. They stop the run with their keys, unless a map
declares a policy (`policy = { zero_date = "null" }` in a rule).
What a policy did is counted in the run's own snapshot, shown in the report, and mirrored in the comparison.

| code | rows that | policy | without one |
|---|---|---|---|
"""


def types_markdown(map_: Map) -> str:
    """A row for each rule in their order, then one for each trap."""
    rules = [
        _row(_source(rule), f"`{rule.settings['to']}`", _why(rule), _others(rule)) for rule in map_.rules
    ]
    traps = [
        _row(kind.code, kind.words, _policies(name), "stops" if kind.harm == "block" else "a note")
        for name, kind in KINDS.items()
    ]
    return _HEAD + "".join(rules) + _TRAPS + "".join(traps)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def types_of(rule: Rule) -> list[str]:
    """The MySQL types that a rule of the default map names."""
    types = rule.match["type"]
    return [types] if isinstance(types, str) else types


def _source(rule: Rule) -> str:
    name = ", ".join(f"`{type_}`" for type_ in types_of(rule))
    if "width" in rule.match:
        name = name.removesuffix("`") + f"({rule.match['width']})`"
    if "length" in rule.match:
        name += f" of length {rule.match['length']}"
    if rule.match.get("unsigned"):
        name += " unsigned"
    if rule.match.get("identity"):
        name += ", AUTO_INCREMENT or joined to one by a foreign key"
    if rule.fits:
        name += ", if every value fits"
    return name


def _why(rule: Rule) -> str:
    return f"{rule.why}. Note: {rule.note}" if rule.note else rule.why


def _others(rule: Rule) -> str:
    family = next(family for family in FAMILIES if types_of(rule)[0] in family.types)
    chosen = rule.settings["to"].replace("({fsp})", "")
    column = Column("", "", types_of(rule)[0], True)
    others = sorted(family.accepts(column) - {base_name(normal(chosen))})
    return ", ".join(f"`{other}`" for other in others)


def _policies(trap: str) -> str:
    return "; ".join(f"`{name}`: {does}" for name, does in KINDS[trap].policies.items())


if __name__ == "__main__":
    print(types_markdown(load()), end="")
