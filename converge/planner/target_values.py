"""Columns' values as the target will hold and compare them, in expressions of the source.

What the plan asks the source about unique keys, foreign keys and CHECKs, it asks about these.
"""

from __future__ import annotations

from dataclasses import dataclass

from converge.mapping.collations import compared_like, ignores_case
from converge.mapping.rules import policies
from converge.model.catalog import Column, Table
from converge.planner.choice import Choice, candidates, choose, rules_for
from converge.planner.collations import locale
from converge.planner.draft import Draft
from converge.planner.reading import target
from converge.planner.values import decide
from converge.types import TEXTS, Family, Value, base_name, family_of
from converge.types.as_text import PADDED
from converge.types.sql import as_bytes

BYTES, CITEXT = as_bytes("{}"), as_bytes("LOWER({})")


@dataclass(frozen=True, slots=True)
class TargetValue:
    family: Family
    value: Value
    """As the maps' expressions and policies leave it."""
    like: str = BYTES
    """MySQL expression that is equal for those texts ``{}`` that the target takes for equal."""
    as_source: bool = True
    """Whether the source's own comparison of the column, or that of its bytes, is the target's."""
    way_out: str = ""
    """The map's line that keeps apart what the source keeps apart; empty where nothing makes it equal."""

    @property
    def changed(self) -> bool:
        """Whether a map may make another value."""
        return bool(self.value.changed)

    def text(self, prefix: int | None = None) -> str:
        """MySQL expression that prints the value, or its first characters."""
        if prefix:
            return f"LEFT({self.family.whole(self.value)},{prefix})"
        return self.family.source_text(self.value)

    def key(self, prefix: int | None = None) -> str:
        """MySQL expression that is equal for values that the target takes for equal."""
        return self.like.format(self.text(prefix))


def possible(draft: Draft, table: Table, name: str) -> list[TargetValue]:
    """A column's value in each type that the data may decide for; none for a type that is not known."""
    column = table.column(name)
    family, rules = family_of(column), rules_for(draft, table, column)
    if family is None:
        return []
    given = {target(family, column, rule, rules): rule for rule in candidates(rules)}
    choices = (Choice(rules, rule, to, policies(rules)) for to, rule in given.items())
    return [_made(draft, table, column, family, choice) for choice in choices]


def planned(draft: Draft, table: Table, name: str) -> TargetValue:
    """A column's value in the type that was chosen. Its MySQL type is known."""
    column = table.column(name)
    family = family_of(column)
    assert family is not None
    return _made(draft, table, column, family, choose(draft, table, column, family))


def _collated(draft: Draft) -> frozenset[str]:
    """Types with a collation: no map gives one to a padded type, but the target's own may have it."""
    return TEXTS | PADDED if draft.loading else TEXTS


def _made(draft: Draft, table: Table, column: Column, family: Family, choice: Choice) -> TargetValue:
    decided, to = decide(column, family, choice), choice.to
    family, value = decided.family, decided.value
    like, same, way_out = BYTES, True, ""
    if base_name(to) == "citext":
        like, same, way_out = CITEXT, False, "" if ignores_case(column.collation) else 'to = "text"'
    elif base_name(to) in _collated(draft) and (wanted := locale(draft, table, column, choice.rules)):
        like = compared_like(wanted)
        same = like == f"{{}} COLLATE {column.collation}"
        # Only a text in utf8mb4 takes such a collation.
        like, way_out = like.format("CONVERT({} USING utf8mb4)"), "" if same else 'collation = "default"'
    elif to == "uuid" and column.collation:
        same, way_out = ignores_case(column.collation), 'to = "text"'
    return TargetValue(family, value, like, same, way_out or ("skip = true" if value.changed else ""))
