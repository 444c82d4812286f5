"""The documentation's table of types, made from the rules so that it cannot be wrong.

python -m converge.report.types > docs/types.md
"""

from __future__ import annotations

from converge.mapping.rules import Rule, load

_HEAD = """# What becomes of every MySQL type

Made from `schema_maps/mysql8.toml` by `python -m converge.report.types`; the same on PostgreSQL 14, 15, 16
and 17.5. The first rule that matches decides, and every rule holds every value that PostgreSQL can hold
at all, so no look at the data is needed. What it cannot hold (NUL in text, zero dates, `\\u0000` in JSON,
an ENUM's empty error value) stops the run. Rules of a map of your own (`--map FILE`) are asked first.

| MySQL | PostgreSQL | why |
|---|---|---|
"""


def types_markdown(rules: tuple[Rule, ...]) -> str:
    """A row for each rule, in their order."""
    return _HEAD + "".join(f"| {_source(rule)} | `{rule.to}` | {_why(rule)} |\n" for rule in rules)


def _source(rule: Rule) -> str:
    types = rule.match["type"]
    name = ", ".join(f"`{type_}`" for type_ in ([types] if isinstance(types, str) else types))
    if "length" in rule.match:
        name += f" of length {rule.match['length']}"
    if rule.match.get("unsigned"):
        name += " unsigned"
    if rule.match.get("identity"):
        name += ", AUTO_INCREMENT or joined to one by a foreign key"
    return name


def _why(rule: Rule) -> str:
    return f"{rule.why}. Note: {rule.note}" if rule.note else rule.why


if __name__ == "__main__":
    print(types_markdown(load()), end="")
