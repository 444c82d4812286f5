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
    "translate_default", "translate_stored", "translate_view",
]  # fmt: skip

HANDLERS = (arithmetic, choices, compare, dates, json_)
"""Modules that register their handlers when they are imported."""


def translate(
    text: str, columns: Columns | None = None, *, immutable: bool = False, notes: list[str] | None = None
) -> str:
    """A scalar expression. Adds what should be said of it to `notes`. Raises Untranslatable."""
    context = _context(notes, immutable=immutable)
    value = Translator(columns or Columns(), context).value(parse_expression(text))
    if value.kind == "bool" and not value.source:
        return f"{value.sql}::int"
    return value.shown()


def translate_condition(text: str, columns: Columns | None = None, *, notes: list[str] | None = None) -> str:
    """A condition, made boolean where MySQL takes a number for one. Raises Untranslatable."""
    return Translator(columns or Columns(), _context(notes, exact=True)).truth(parse_expression(text))


def translate_default(
    text: str, to: str = "", column: Column | None = None, *, notes: list[str] | None = None
) -> str:
    """An expression default for a column of the PostgreSQL type `to`. Raises Untranslatable."""
    context = _context(notes)
    value = Translator(Columns(), context).value(parse_expression(text))
    return stored(value, to, context, column) if to else value.sql


def translate_stored(text: str, columns: Columns, to: str, column: Column, context: Context) -> str:
    """An expression as a column of the PostgreSQL type `to` stores it. Raises Untranslatable."""
    return stored(Translator(columns, context).value(parse_expression(text)), to, context, column)


def translate_view(text: str, find: Find, *, covered: bool | None, context: Context) -> Query:
    """A view's query; `covered`: MySQL accepts it under ONLY_FULL_GROUP_BY. Raises Untranslatable."""
    return QueryTranslator(find, context, covered=covered).query(parse_query(text), digits="shown")


def _context(notes: list[str] | None, *, immutable: bool = False, exact: bool = False) -> Context:
    return Context(immutable=immutable, exact=exact, notes=notes if notes is not None else [])
