"""MySQL expressions and queries in PostgreSQL's words, behind an allow-list.

sqlglot parses (`parse`); every node of the tree has a handler (`translator`) that knows the kinds of its
operands (`term`) and writes PostgreSQL, or the expression is refused with Untranslatable, and the planner
lists the object with its original text. What a careful reader should know of a translation is left in its
notes. What passes is still tried on the target. On the way of an example:

    SELECT id, IF(n > 1, 'x', s) AS v FROM r
    query       SELECT id AS id, … AS v FROM public.r AS r
    columns     n is a decimal with two digits, s a text of utf8mb4_0900_ai_ci
    compare     (r.n > 1), a bool
    choices     CASE WHEN (r.n > 1) THEN 'x' ELSE r.s END, a text of that collation
"""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.translate import arithmetic, choices, compare, dates, json_
from converge.translate.casts import stored
from converge.translate.columns import (
    Columns,
    Find,
    Query,
    Relation,
    TableColumns,
    column_term,
)
from converge.translate.context import Context, Untranslatable
from converge.translate.parse import called, parse_expression, parse_query
from converge.translate.query import QueryTranslator
from converge.translate.term import Term
from converge.translate.translator import Translator

__all__ = [
    "Columns", "Context", "Find", "Query", "Relation", "TableColumns", "Term", "Untranslatable",
    "called", "column_term", "parse_expression", "parse_query", "translate", "translate_condition",
    "translate_stored", "translate_view",
]  # fmt: skip

HANDLERS = (arithmetic, choices, compare, dates, json_)
"""Modules that register their handlers when they are imported."""


def translate(text: str, columns: Columns, context: Context) -> Term:
    """A scalar expression, with the SQL of what MySQL shows. Raises Untranslatable."""
    value = Translator(columns, context).value(parse_expression(text))
    computed = value.kind == "bool" and not value.source
    return replace(value, sql=f"{value.sql}::int" if computed else value.shown())


def translate_condition(text: str, columns: Columns, context: Context) -> str:
    """A condition, made boolean where MySQL takes a number for one. Raises Untranslatable."""
    return Translator(columns, context).truth(parse_expression(text))


def translate_stored(text: str, to: str, column: Column | None, columns: Columns, context: Context) -> str:
    """An expression as a column of the PostgreSQL type `to` stores it.

    Raises Untranslatable.
    """
    value = Translator(columns, context).value(parse_expression(text))
    return stored(value, to, context, column)


def translate_view(text: str, find: Find, *, covered: bool | None, context: Context) -> Query:
    """A view's query; `covered`: MySQL accepts it under ONLY_FULL_GROUP_BY. Raises Untranslatable."""
    return QueryTranslator(find, context, covered=covered).query(parse_query(text), digits="shown")
