"""JSON_EXTRACT with one literal path of members and places, JSON_UNQUOTE, JSON_VALID, and new documents."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate.columns import Columns
from converge.translate.context import Untranslatable, refuse_if
from converge.translate.parse import bare, called
from converge.translate.term import Term
from converge.translate.translator import ANY, Translator, function

_STEP = re.compile(r'\.([A-Za-z_$][\w$]*)|\."((?:[^"\\])*)"|\[(\d+)\]', re.ASCII)
_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not, exp.Exists)
_TESTS = frozenset({"isnull", "json_valid", "regexp_like"})
_CHOICES = frozenset({"if", "ifnull", "coalesce", "greatest", "least", "mod"})


@function("json_extract", 2)
def _extract(t: Translator, document: Term, path: Term) -> Term:
    """JSON_EXTRACT(document, path): the value there, or NULL.

    '$.a[1]."b c"' of j becomes (jsonb_path_query_first((j -> 'a'), '$[1]') -> 'b c').
    """
    refuse_if(document.kind != "json", f"json_extract reads a {document.kind}")
    if path.literal is None or not path.literal.startswith("$"):
        raise Untranslatable("the path of json_extract is not a literal")
    sql, place = document.sql, 1
    while place < len(path.literal):
        step = _STEP.match(path.literal, place)
        if step is None:
            raise Untranslatable(f"the path {path.literal} is not on the list of what is surely the same")
        place, key = step.end(), step[1] or step[2] or ""
        refuse_if(key.isdigit(), f"the member {key!r} of a path would be a place in an array")
        # In lax mode a value that is no array is its own first element, as in MySQL.
        sql = (
            f"jsonb_path_query_first({sql}, '$[{int(step[3])}]')" if step[3] else f"({sql} -> {pg_text(key)})"
        )
    return Term(sql, "json")


@function("json_unquote", 1)
def _unquote(t: Translator, value: Term) -> Term:
    """JSON_UNQUOTE: a string without its quotes, anything else as it prints; JSON's null is 'null'."""
    refuse_if(value.kind != "json" or value.volatile, f"json_unquote reads a {value.kind}")
    t.context.note("a JSON number with an exponent prints differently as text")
    sql = (
        f"CASE jsonb_typeof({value.sql}) WHEN 'string' THEN {value.sql} #>> '{{}}' ELSE {value.sql}::text END"
    )
    return Term(sql, "text", collation="utf8mb4_bin")


@function("json_valid", 1)
def _valid(t: Translator, value: Term) -> Term:
    """JSON_VALID of a JSON column: true, or NULL for NULL."""
    refuse_if(value.kind != "json", "json_valid of a text: the servers differ in what JSON they accept")
    return Term(f"({value.sql} IS NOT NULL OR NULL)", "bool")


@function("json_object", 0, ANY, trees=True)
def _object(t: Translator, *args: exp.Expr) -> Term:
    """JSON_OBJECT(key, value, …)."""
    refuse_if(len(args) % 2, "json_object has a key without a value")
    parts = [_member(t, arg, key=place % 2 == 0) for place, arg in enumerate(args)]
    return _built(t, "object", parts) if args else Term("'{}'::jsonb", "json")


@function("json_array", 0, ANY, trees=True)
def _array(t: Translator, *args: exp.Expr) -> Term:
    """JSON_ARRAY(value, …)."""
    return _built(t, "array", (_member(t, arg) for arg in args)) if args else Term("'[]'::jsonb", "json")


def _built(t: Translator, name: str, parts: Iterable[str]) -> Term:
    t.context.depends(f"jsonb_build_{name} is used")
    return Term(f"jsonb_build_{name}({', '.join(parts)})", "json")


def _member(t: Translator, node: exp.Expr, *, key: bool = False) -> str:
    """A value as it stands in a document: a condition is true or false, TINYINT(1) a number."""
    node = bare(node)
    if isinstance(node, exp.Boolean) and not key:
        return "true" if node.this else "false"
    value = t.value(node)
    if key:
        return value.text(t.context)
    if value.kind == "bool" and value.source != "bit":
        # A condition is true or false; what only has the value of one, as IF and TINYINT(1), is a number.
        condition = isinstance(node, _CONDITIONS) or called(node) in _TESTS
        return value.sql if condition else value.number()
    if value.uneven or value.collation == "binary":
        raise Untranslatable("bytes, or a number whose digits depend on the row, are made JSON")
    if value.kind in ("text", "enum"):
        return f"{value.sql}::text"
    if value.kind == "decimal":
        # A default is stored as it is calculated; a number without its zeros is the same in a view.
        stored = value.computed and type(t.columns) is Columns
        if value.digits > value.scale or stored or any(map(_takes_digits, node.walk())):
            raise Untranslatable("a calculated number is made JSON, with digits that it does not show")
    refuse_if(value.kind not in ("json", "int", "null", "decimal"), f"a {value.kind} is made JSON")
    return value.sql


def _takes_digits(node: exp.Expr) -> bool:
    """Whether a number has the digits of that argument which the row takes: IFNULL(1, 0.5) is 1, no 1.0."""
    return called(node) in _CHOICES or isinstance(node, exp.Mod | exp.Case)
