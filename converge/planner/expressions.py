"""MySQL expressions in PostgreSQL's words, behind an allow-list.

sqlglot passes what it does not know through unchanged, so a parsed expression is walked first:
every node must be on the list or is rewritten here. What is not on it raises Untranslatable, and
the planner lists the object with its original text. What passes is still tried on the target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import sqlglot
from sqlglot import exp


class Untranslatable(Exception):
    """Why an expression has no translation that is surely the same."""


_PREDICATES = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Between,
    exp.In, exp.Exists, exp.Boolean, exp.Like,
)  # fmt: skip
_VALUES = (
    exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul,
    exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Concat, exp.DPipe, exp.Lower, exp.Upper, exp.Trim,
    exp.Abs, exp.Cast, exp.DataType, exp.Tuple, exp.CurrentTimestamp, exp.CurrentDate,
)  # fmt: skip
_QUERIES = (
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit,
    exp.Offset, exp.Alias, exp.Table, exp.TableAlias, exp.Subquery, exp.Union, exp.Star, exp.Distinct,
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.GroupConcat, exp.Substring,
)  # fmt: skip
_RENAMED: dict[str, type[exp.Expr]] = {"UCASE": exp.Upper, "LCASE": exp.Lower}
# Defaults that are functions of MySQL and have a sure counterpart.
_DEFAULTS = {"uuid()": "gen_random_uuid()", "now()": "CURRENT_TIMESTAMP", "curdate()": "CURRENT_DATE"}


def translate_default(text: str) -> str:
    """An expression default. Raises Untranslatable."""
    known = _DEFAULTS.get(text.lower().strip("()") + "()")
    return known or translate(text)


def translate(text: str) -> str:
    """A scalar expression or a condition. Raises Untranslatable."""
    tree = _rewrite(_parse(text), _PREDICATES + _VALUES)
    return tree.sql(dialect="postgres", identify=True)


def translate_condition(text: str) -> str:
    """A condition, made boolean where MySQL takes a number for one. Raises Untranslatable."""
    tree = _truth(_rewrite(_parse(text), _PREDICATES + _VALUES))
    return tree.sql(dialect="postgres", identify=True)


def translate_view(text: str, database: str, target: Callable[[str], str], schema: str) -> str:
    """A view's SELECT with its tables in the target schema. Raises Untranslatable."""
    tree = _rewrite(_parse(text), _PREDICATES + _VALUES + _QUERIES)
    for table in tree.find_all(exp.Table):
        if table.db and table.db != database:
            raise Untranslatable(f"it reads the database {table.db}")
        table.set("this", exp.to_identifier(target(table.name), quoted=True))
        table.set("db", exp.to_identifier(schema, quoted=True))
    for column in tree.find_all(exp.Column):
        column.set("db", None)
    return tree.sql(dialect="postgres", identify=True)


def _parse(text: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(text, read="mysql")
    except sqlglot.errors.SqlglotError as error:
        raise Untranslatable(f"it cannot be parsed: {str(error).splitlines()[0]}") from error


def _rewrite(tree: exp.Expr, allowed: tuple[type[exp.Expr], ...]) -> exp.Expr:
    tree = tree.transform(_rename)
    for node in tree.walk():
        if not isinstance(node, allowed):
            name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
            raise Untranslatable(f"{name.lower()} is not on the list of what is surely the same")
    return tree.transform(_adapt)


def _rename(node: exp.Expr) -> exp.Expr:
    """Spellings of MySQL that mean something simpler."""
    if isinstance(node, exp.Introducer):
        return cast(exp.Expr, node.expression)
    if isinstance(node, exp.Anonymous) and node.name.upper() in _RENAMED:
        return _RENAMED[node.name.upper()](this=node.expressions[0])
    return node


def _adapt(node: exp.Expr) -> exp.Expr:
    """The same meaning in PostgreSQL: CONCAT is NULL when a part is, conditions are boolean."""
    if isinstance(node, exp.Concat):
        parts = [exp.cast(part.copy(), "text") for part in node.expressions]
        joined: exp.Expr = parts[0]
        for part in parts[1:]:
            joined = exp.DPipe(this=joined, expression=part, safe=True)
        return exp.Paren(this=joined)
    if isinstance(node, exp.And | exp.Or):
        return type(node)(this=_truth(node.this), expression=_truth(node.expression))
    if isinstance(node, exp.Not | exp.If):
        node.set("this", _truth(node.this))
    return node


def _truth(node: exp.Expr) -> exp.Expr:
    inner = node.unnest()
    if isinstance(inner, _PREDICATES):
        return node
    return exp.Paren(this=exp.NEQ(this=node.copy(), expression=exp.Literal.number(0)))
