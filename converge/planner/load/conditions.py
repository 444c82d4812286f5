"""Conditions of the target (CHECKs, partial indexes) over the source's rows, so that the scan can ask.

Only what both servers surely answer alike: columns that arrive as they are, compared with NULL, truth,
numbers and equal texts, and joined by AND, OR and NOT. Of anything else nothing is said before the target
does.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from converge.model.catalog import Column
from converge.model.quote import my_name, my_text
from converge.types import TEXTUAL, Value
from converge.types.sql import as_bytes
from converge.types.text import utf8

_EQUAL: Mapping[type[exp.Expr], str] = {exp.EQ: "=", exp.NEQ: "<>"}
_ORDERED: Mapping[type[exp.Expr], str] = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"})
_TEXTS = TEXTUAL - {"set"}


_CASTS = frozenset({"TEXT", "VARCHAR", "INT", "BIGINT", "SMALLINT", "DECIMAL", "ARRAY"})
_PARTS = frozenset({"this", "expression", "expressions", "negate", "is_string", "to", "_type"})


class _Beyond(Exception):
    """There is something in the condition that is not translated."""


def on_source(condition: str, columns: Mapping[str, Column]) -> str | None:
    """The condition in MySQL's words, or None. `columns` are the source's that arrive unchanged, by the
    target's names."""
    try:
        return _truth(sqlglot.parse_one(condition, read="postgres"), columns)
    except (_Beyond, SqlglotError):
        return None


def _truth(node: exp.Expr, columns: Mapping[str, Column]) -> str:
    _known(node)
    if isinstance(node, exp.Paren):
        return _truth(node.this, columns)
    if isinstance(node, exp.And | exp.Or):
        word = "AND" if isinstance(node, exp.And) else "OR"
        return f"({_truth(node.this, columns)} {word} {_truth(node.expression, columns)})"
    if isinstance(node, exp.Not):
        return f"(NOT {_truth(node.this, columns)})"
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        negated = "NOT " if node.args.get("negate") else ""
        return f"({my_name(_column(node.this, columns).name)} IS {negated}NULL)"
    if isinstance(node, exp.Column):
        return f"({_number(node, columns)}<>0)"
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        members = _bare(node.expression.this)
        if not isinstance(members, exp.Array) or not members.expressions:
            raise _Beyond
        return f"({' OR '.join(_compared(node.this, '=', one, columns) for one in members.expressions)})"
    if type(node) in _EQUAL:
        return _compared(node.this, _EQUAL[type(node)], node.expression, columns)
    if type(node) in _ORDERED:
        sides = _number(node.this, columns), _number(node.expression, columns)
        return f"({_ORDERED[type(node)].join(sides)})"
    raise _Beyond


def _compared(left: exp.Expr, sign: str, right: exp.Expr, columns: Mapping[str, Column]) -> str:
    try:
        return f"({_number(left, columns)}{sign}{_number(right, columns)})"
    except _Beyond:
        return f"({_text(left, columns)}{sign}{_text(right, columns)})"


def _number(node: exp.Expr, columns: Mapping[str, Column]) -> str:
    node = _bare(node)
    if isinstance(node, exp.Neg):
        return f"-{_number(node.this, columns)}"
    if isinstance(node, exp.Literal) and (not node.is_string or str(node.this).lstrip("-").isdigit()):
        return str(node.this)
    if isinstance(node, exp.Boolean):
        return "1" if node.this else "0"
    if isinstance(node, exp.Length):
        return f"CHAR_LENGTH({utf8(Value(_of(node.this, columns, _TEXTS), 'text'))})"
    return my_name(_of(node, columns, _NUMBERS).name)


def _text(node: exp.Expr, columns: Mapping[str, Column]) -> str:
    """The bytes of a text: both servers find the same ones equal."""
    node = _bare(node)
    if isinstance(node, exp.Literal) and node.is_string:
        return as_bytes(my_text(str(node.this)))
    return as_bytes(utf8(Value(_of(node, columns, _TEXTS), "text")))


def _of(node: exp.Expr, columns: Mapping[str, Column], types: frozenset[str]) -> Column:
    found = _column(node, columns)
    if found.type not in types:
        raise _Beyond
    return found


def _column(node: exp.Expr, columns: Mapping[str, Column]) -> Column:
    node = _bare(node)
    if not isinstance(node, exp.Column) or node.name not in columns:
        raise _Beyond
    return columns[node.name]


def _bare(node: exp.Expr) -> exp.Expr:
    """Without brackets and the casts to text and numbers that the server prints around names and literals."""
    _known(node)
    while isinstance(node, exp.Paren | exp.Cast):
        if isinstance(node, exp.Cast) and node.to.this.name not in _CASTS:
            raise _Beyond
        node = node.this
        _known(node)
    return node


def _known(node: exp.Expr) -> None:
    """Raises _Beyond for a node that has more to it than is read of it here."""
    if node.args.get("negate") and not isinstance(node, exp.Is):
        raise _Beyond
    if any(value and name not in _PARTS for name, value in node.args.items()):
        raise _Beyond
