"""What the scan should find out: every condition on which a decision or a finding of the plan hangs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.mapping.rules import Rule, setting
from converge.model.catalog import Column, Table
from converge.model.evidence import Questions, Search
from converge.model.plan import Change
from converge.model.quote import my_name
from converge.planner import checks, duplicates, full_pages, generated, long_rows, orphans
from converge.planner.choice import candidates, rules_for
from converge.planner.draft import Draft
from converge.planner.load import checks as load_checks
from converge.planner.load import columns as load_columns
from converge.planner.load import unique as load_unique
from converge.planner.reading import begin, made_equal, target
from converge.types import TEXTUAL, Family, Value, family_of

_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})


def questions(draft: Draft, table: Table) -> Questions:
    """The questions about one table, whatever the maps may decide after the answers."""
    conditions = [one for column in table.columns for one in _conditions(draft, table, column)]
    conditions += [*long_rows.conditions(draft, table), *full_pages.conditions(draft, table)]
    conditions += checks.conditions(draft, table)
    searches = [*orphans.searches(draft, table), *duplicates.searches(draft, table)]
    searches += _made_equal(draft, table)
    match = draft.loading.matches.get(table.name) if draft.loading else None
    if match is not None:
        conditions += load_columns.conditions(draft, match, table)
        conditions += load_checks.conditions(draft, match, table)
        searches += load_unique.searches(draft, match, table)
    return Questions(
        table=table.name,
        conditions=tuple(dict.fromkeys(conditions)),
        lengths=(*long_rows.lengths(draft, table), *_lengths(table)),
        searches=tuple(dict.fromkeys(searches)),
        key=_key(table),
    )


def _conditions(draft: Draft, table: Table, column: Column) -> Iterator[str]:
    family = family_of(column)
    if family is None:
        return
    rules = rules_for(draft, table, column)
    if setting(rules, "skip")[0]:
        return
    for made, value, _ in _begun(family, column, rules):
        yield from (trap.where for trap in made.every_trap(value))
    for to in family.suggestions(column):
        yield f"{my_name(column.name)} IS NOT NULL"
        yield from (trap.where for trap in family.traps(Value(column, to)))
    if draft.loading is None and (condition := generated.cut(column)):
        yield condition


def _begun(
    family: Family, column: Column, rules: Sequence[Rule]
) -> Iterator[tuple[Family, Value, Change | None]]:
    """The value as it begins for each type that the column may get."""
    for rule in candidates(rules):
        yield begin(family, Value(column, target(family, column, rule, rules), labels=rule.labels), rules)


def _made_equal(draft: Draft, table: Table) -> Iterator[Search]:
    for column in table.columns:
        family, rules = family_of(column), rules_for(draft, table, column)
        if family is not None and setting(rules, "using")[0] and not setting(rules, "skip")[0]:
            yield from (made_equal(table, value) for _, value, _ in _begun(family, column, rules))


def _lengths(table: Table) -> Iterator[tuple[str, str]]:
    """The columns of indexes whose values can be long."""
    indexed = {name for index in table.indexes if index.kind == "BTREE" for name in index.columns}
    for column in table.columns:
        name = my_name(column.name)
        if column.name in indexed and column.type in TEXTUAL:
            yield column.name, f"LENGTH(CONVERT({name} USING utf8mb4))"
        elif column.name in indexed and column.type in _BYTES:
            yield column.name, f"LENGTH({name})"


def _key(table: Table) -> str:
    if table.primary_key is None or not table.primary_key.columns:
        return ""
    parts = []
    for name in table.primary_key.columns:
        reference = f"c.{my_name(name)}"
        parts.append(f"CONCAT('0x',HEX({reference}))" if table.column(name).type in _BYTES else reference)
    return f"CONVERT(CONCAT_WS('/',{','.join(parts)}) USING utf8mb4)"
