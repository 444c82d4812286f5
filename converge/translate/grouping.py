"""GROUP BY, which MySQL lets name fewer columns than are shown.

Where MySQL itself accepts the view under ONLY_FULL_GROUP_BY, each column that is missing depends on
those that are named: naming one of the same table, too, changes no group, and one of another table is
taken from the group's first row. Otherwise any row's value could be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.translate import aggregates, collate
from converge.translate.errors import Untranslatable
from converge.translate.parse import check_parts
from converge.translate.values import Value

if TYPE_CHECKING:
    from converge.translate.query import QueryTranslator


def group_by(t: QueryTranslator, node: exp.Select) -> str:
    """The GROUP BY clause with every column that PostgreSQL wants to see in it."""
    group = node.args.get("group")
    named: list[exp.Expr] = []
    if group is not None:
        check_parts(group, frozenset({"expressions"}))
        named = [_resolved(t, tree) for tree in group.expressions]
    elif not _aggregated(t, node):
        return ""
    missing = [column for tree in _shown(t, node) for column in _open(t, tree, named)]
    if missing and not t.covered:
        raise Untranslatable(
            f"it groups by fewer columns than it shows ({missing[0].name}): MySQL takes the value of any row"
        )
    if missing and group is None:
        raise Untranslatable(f"it shows {missing[0].name} beside aggregates of all rows")
    keys, shown_once = [], {}
    for tree in named:
        value = _named(t, tree)
        keys.append(collate.key(value, t.terms))
        if keys[-1] != value.sql:
            shown_once[tree] = collate.first(value)
    tables = {column.table for tree in named for column in tree.find_all(exp.Column)}
    for column in missing:
        value = t.value(column)
        # Another table's text is known to be equal only, not to be the same; so is a number of another type.
        if column.table in tables:
            keys.append(value.sql)
        else:
            shown_once[column] = collate.first(value)
            if collate.key(value, t.terms) != value.sql:
                t.terms.note(collate.SPELLING)
    if any(key in shown_once for key in named):
        t.terms.note(collate.SPELLING)
    t.shown_once = shown_once
    return f" GROUP BY {', '.join(dict.fromkeys(keys))}" if keys else ""


def _named(t: QueryTranslator, tree: exp.Expr) -> Value:
    if any(str(call.this).lower() == "nullif" for call in tree.find_all(exp.Anonymous)):
        raise Untranslatable("it groups by NULLIF, of which 8.0.15 splits the groups")
    value = t.value(tree)
    if value.literal is not None or (value.kind == "decimal" and value.digits > value.scale):
        raise Untranslatable("it groups by a constant or a quotient")
    return value


def _resolved(t: QueryTranslator, tree: exp.Expr) -> exp.Expr:
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Column) and not tree.table:
        return _resolved_alias(t, tree)
    return tree


def _resolved_alias(t: QueryTranslator, tree: exp.Column) -> exp.Expr:
    found = t.scope.aliases.get(tree.name.lower(), tree)
    while isinstance(found, exp.Paren):
        found = found.this
    return found


def _shown(t: QueryTranslator, node: exp.Select) -> Iterator[exp.Expr]:
    """All trees that are evaluated once a group."""
    for item in node.expressions:
        yield item.this if isinstance(item, exp.Alias) else item
    for part in ("having", "order"):
        clause = node.args.get(part)
        if clause is not None:
            yield from ([clause.this] if part == "having" else [item.this for item in clause.expressions])


def _aggregated(t: QueryTranslator, node: exp.Select) -> bool:
    return any(_has_aggregate(tree) for tree in _shown(t, node))


def _has_aggregate(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Select | exp.Union):
        return False
    if isinstance(tree, exp.Window):
        return any(_has_aggregate(child) for child in tree.this.iter_expressions())
    return aggregates.is_aggregate(tree) or any(_has_aggregate(child) for child in tree.iter_expressions())


def _open(t: QueryTranslator, tree: exp.Expr, named: list[exp.Expr]) -> Iterator[exp.Column]:
    """The columns in a tree that no aggregate and no named key covers."""
    tree = _resolved(t, tree)
    if tree in named or (aggregates.is_aggregate(tree) and not isinstance(tree.parent, exp.Window)):
        return
    if isinstance(tree, exp.Column):
        if tree.table.lower() in t.scope.relations or not tree.table:
            yield tree
        return
    for child in tree.iter_expressions():
        yield from _open(t, child, named)
