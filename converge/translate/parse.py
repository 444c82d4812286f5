"""MySQL text to a tree. sqlglot only parses: it knows no function, so that it can change none.

Its own function table would turn LENGTH (bytes) into LENGTH (characters), reorder arguments and
translate formats. Without it each call stays a name with arguments; `functions.toml` has the meaning.
"""

from __future__ import annotations

import logging

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.parsers.mysql import MySQLParser

from converge.translate.context import Untranslatable, refuse_if, unlisted

# Calls with a grammar of their own, as in CAST(x AS type).
_GRAMMAR = ("CAST", "CONVERT", "EXTRACT", "GROUP_CONCAT", "TRIM")


class _Parser(MySQLParser):
    FUNCTIONS = {}
    FUNCTION_PARSERS = {name: MySQLParser.FUNCTION_PARSERS[name] for name in _GRAMMAR}
    NO_PAREN_FUNCTION_PARSERS = {"CASE": MySQLParser.NO_PAREN_FUNCTION_PARSERS["CASE"]}

    def _parse_escape(self, this: exp.Expr | None) -> exp.Expr | None:
        """With what MySQL prints before the character: ESCAPE _utf8mb4'|'."""
        if not self._match(TokenType.ESCAPE):
            return this
        return self.expression(exp.Escape(this=this, expression=self._parse_primary()))


class ConvergeMySQL(MySQL):
    """MySQL's grammar without any knowledge of functions."""

    Parser = _Parser


def parse_expression(text: str) -> exp.Expr:
    """The tree of a scalar expression. Raises Untranslatable."""
    # As a part of a SELECT: alone, REPLACE(…) would be taken for the statement of that name.
    select = parse_query(f"SELECT {text}")
    if not isinstance(select, exp.Select) or len(select.expressions) != 1 or len(filled(select)) != 1:
        raise Untranslatable("it cannot be parsed as one expression")
    tree: exp.Expr = select.expressions[0]
    return tree


def parse_query(text: str) -> exp.Expr:
    """The tree of a SELECT. Raises Untranslatable."""
    if "\ufffd" in text:
        raise Untranslatable("the server does not show its text as it is")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        tree = _with_units(sqlglot.parse_one(text, read=ConvergeMySQL))
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        places = [f" at {one['highlight']}{one['end_context']}" for one in getattr(error, "errors", ())]
        raise Untranslatable(f"it cannot be parsed{places[0] if places else ''}") from error
    _refuse_chains(tree)
    return _with_parts(tree)


_COMPARISONS = frozenset(
    {exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.Is, exp.Like, exp.Escape, exp.In,
     exp.Between, exp.RegexpLike}
)  # fmt: skip
"""Operators of one rank in MySQL, from left to right, and of several in sqlglot."""


def _refuse_chains(tree: exp.Expr) -> None:
    """Raises Untranslatable for a comparison of a comparison without parentheses.

    MySQL 8.0 manual, "Operator Precedence": a = b < 5 is (a = b) < 5. What a server prints has them all.
    """
    for node in tree.find_all(*_COMPARISONS - {exp.Escape}):
        # NOT IN is a Not of an In.
        parts = (one.this if isinstance(one, exp.Not) else one for one in node.iter_expressions())
        chained = any(type(one) in _COMPARISONS for one in parts)
        refuse_if(chained, "a comparison of a comparison, without parentheses")


def _with_units(tree: exp.Expr) -> exp.Expr:
    """The unit of TIMESTAMPDIFF is a word of the language, not a column; the names that MySQL 9.7 prints with
    arguments, as in md5(`t`.`s` AS `s`), say nothing."""
    for call in tree.find_all(exp.Anonymous):
        call.set("expressions", [one.unalias() for one in call.expressions])
        if str(call.this).lower() == "timestampdiff" and isinstance(call.expressions[0], exp.Column):
            call.expressions[0].replace(exp.var(call.expressions[0].name))
    return tree


def _with_parts(tree: exp.Expr) -> exp.Expr:
    """An integer in the ORDER BY of GROUP_CONCAT stands for the part at that place (8.0.15, 8.0.33)."""
    for order in (call.this for call in tree.find_all(exp.GroupConcat)):
        if isinstance(order, exp.Order):
            inner = order.this.expressions[0] if isinstance(order.this, exp.Distinct) else order.this
            # sqlglot's Concat is for several parts; a call of concat() is an Anonymous.
            parts = inner.expressions if isinstance(inner, exp.Concat) else [inner]
            for key in (item.this for item in order.expressions):
                if isinstance(key, exp.Literal) and key.name.isdigit() and not key.is_string:
                    missing = not 0 < int(key.name) <= len(parts)
                    refuse_if(missing, f"ORDER BY {key.name} of group_concat, which has no such part")
                    key.replace(parts[int(key.name) - 1].copy())
    return tree


def bare(node: exp.Expr) -> exp.Expr:
    """The node without parentheses; unlike sqlglot's unnest() it leaves those of a subquery."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def called(node: exp.Expr) -> str:
    """The name of a function in lower case; empty for anything but a call."""
    return str(node.this).lower() if isinstance(node, exp.Anonymous) else ""


def check_parts(node: exp.Expr, allowed: frozenset[str]) -> None:
    """Raises Untranslatable when a node has a part that its translation would leave out."""
    unknown = filled(node) - allowed
    if unknown:
        raise unlisted(f"{sorted(unknown)[0].strip('_')} of {type(node).__name__}")


def filled(node: exp.Expr) -> set[str]:
    """The names of the parts that a node has."""
    return {name for name, value in node.args.items() if value not in (None, False, [], "")}
