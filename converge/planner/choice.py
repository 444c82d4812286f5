"""Which rule gives a column its type, with the data's word where the rule asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.read import DEFAULT
from converge.mapping.rules import Rule, policies, setting
from converge.model.catalog import Column, Table
from converge.planner.draft import Draft
from converge.planner.reading import begin, target
from converge.types import Family, Value, family_of


@dataclass(frozen=True, slots=True)
class Choice:
    """What the maps and the data decide for one column."""

    rules: tuple[Rule, ...]
    """All rules that match, in their order."""
    rule: Rule
    """The one that gives the type."""
    to: str
    policies: dict[str, Any]

    def setting(self, key: str) -> Any:
        """What the first rule with this key says; None without one."""
        return setting(self.rules, key)[0]


def choose(draft: Draft, table: Table, column: Column, family: Family) -> Choice:
    """The first rule that gives a type, and whose every value fits where it wants that.

    Raises UsageError when no rule matches or the chosen type is not one that the family can make.
    """
    rules = rules_for(draft, table, column)
    for rule in candidates(rules):
        if rule.fits and not _all_fit(draft, table, column, rule):
            continue
        return _chosen(rules, rule, column, family)
    raise _no_rule(table, column)


def _chosen(rules: tuple[Rule, ...], rule: Rule, column: Column, family: Family) -> Choice:
    return Choice(rules, rule, target(family, column, rule, rules), policies(rules))


def _no_rule(table: Table, column: Column) -> UsageError:
    return UsageError(
        f"no rule of the maps matches {table.name}.{column.name} ({column.raw_type})", code=Code.M004
    )


def safest(draft: Draft, table: Table, column: Column, family: Family) -> Choice:
    """The choice that does not hang on the data, for questions that must be the same before and after it is
    known. Raises UsageError like `choose`."""
    rules = rules_for(draft, table, column)
    for rule in candidates(rules):
        if not rule.fits:
            return _chosen(rules, rule, column, family)
    raise _no_rule(table, column)


def rules_for(draft: Draft, table: Table, column: Column) -> tuple[Rule, ...]:
    """The rules that match a column, those that depend on the data among them."""
    identity = draft.components.identity(table.name, column.name)
    return draft.map.for_column(table, column, identity=identity)


def mapped(draft: Draft, table: Table, column: Column) -> bool:
    """Whether another map than the default one says anything of the column."""
    return any(not rule.place.startswith(f"{DEFAULT} ") for rule in rules_for(draft, table, column))


def candidates(rules: Sequence[Rule]) -> Iterator[Rule]:
    """The rules that may give the type: those that depend on the data, and the first that does not."""
    for rule in rules:
        if "to" in rule.settings:
            yield rule
            if not rule.fits:
                return


def _all_fit(draft: Draft, table: Table, column: Column, rule: Rule) -> bool:
    """Whether this column and all that foreign keys join it with would get the type, and fit it."""
    for other_table, other_column in draft.components.of(table.name, column.name):
        their_table = draft.source(other_table)
        if their_table is None or not _fits(draft, their_table, their_table.column(other_column), rule):
            return False
    return True


def _default_fits(family: Family, value: Value) -> bool:
    """Whether the target type can hold the column's default."""
    default = value.column.default
    if default is None or value.made:
        return True
    if value.column.default_is_expression:
        return value.to != "boolean" or default.strip("()").lower() in ("0", "1", "false", "true")
    return family.default(default, value) is not None


def _fits(draft: Draft, table: Table, column: Column, rule: Rule) -> bool:
    family = family_of(column)
    rules = rules_for(draft, table, column)
    if family is None or rule not in candidates(rules):
        return False
    to = Value(column, target(family, column, rule, rules), labels=rule.labels)
    family, value, _ = begin(family, to, rules)
    if not _default_fits(family, value):
        return False
    for trap in family.every_trap(value):
        count = draft.evidence.count(table.name, trap.where)
        if count is None or count.rows:
            return False
    # The default is a value as well, of rows to come.
    literal = None if column.default_is_expression or value.made else column.default
    return literal is None or family.default(literal, value) is not None
