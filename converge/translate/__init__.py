"""MySQL expressions and queries in PostgreSQL's words, behind an allow-list.

sqlglot parses; every node of the tree has a handler that knows the kinds of its operands (`values`) and
writes PostgreSQL, or the expression is refused with Untranslatable, and the planner lists the object with
its original text. What a careful reader should know of a translation is left in its notes. What passes
is still tried on the target.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.translate.assign import stored
from converge.translate.columns import Columns, NoColumns, TableColumns
from converge.translate.convert import shown
from converge.translate.errors import Untranslatable
from converge.translate.parse import parse_expression, parse_query
from converge.translate.query import Query, QueryTranslator
from converge.translate.relations import Find, Relation
from converge.translate.terms import Terms
from converge.translate.translator import Translator
from converge.translate.values import Value, column_value

__all__ = [
    "Columns", "Find", "NoColumns", "Query", "Relation", "TableColumns", "Terms", "Untranslatable", "Value",
    "column_value", "translate", "translate_condition", "translate_default", "translate_stored",
    "translate_view",
]  # fmt: skip


def translate(
    text: str, columns: Columns | None = None, *, immutable: bool = False, notes: list[str] | None = None
) -> str:
    """A scalar expression. Adds what should be said of it to `notes`. Raises Untranslatable."""
    terms = _terms(notes, immutable=immutable)
    value = Translator(columns or NoColumns(), terms).value(parse_expression(text))
    if value.kind == "bool" and not value.source:
        return f"{value.sql}::int"
    return shown(value)


def translate_condition(text: str, columns: Columns | None = None, *, notes: list[str] | None = None) -> str:
    """A condition, made boolean where MySQL takes a number for one. Raises Untranslatable."""
    return Translator(columns or NoColumns(), _terms(notes, exact=True)).truth(parse_expression(text))


def translate_default(
    text: str, to: str = "", column: Column | None = None, *, notes: list[str] | None = None
) -> str:
    """An expression default for a column of the PostgreSQL type `to`. Raises Untranslatable."""
    terms = _terms(notes)
    value = Translator(NoColumns(), terms).value(parse_expression(text))
    return stored(value, to, terms, column) if to else value.sql


def translate_stored(text: str, columns: Columns, to: str, column: Column, terms: Terms) -> str:
    """An expression as a column of the PostgreSQL type `to` stores it. Raises Untranslatable."""
    return stored(Translator(columns, terms).value(parse_expression(text)), to, terms, column)


def translate_view(text: str, find: Find, *, covered: bool | None, terms: Terms) -> Query:
    """A view's query; `covered`: MySQL accepts it under ONLY_FULL_GROUP_BY. Raises Untranslatable."""
    return QueryTranslator(find, terms, covered=covered).query(parse_query(text), digits="shown")


def _terms(notes: list[str] | None, *, immutable: bool = False, exact: bool = False) -> Terms:
    return Terms(immutable=immutable, exact=exact, notes=notes if notes is not None else [])
