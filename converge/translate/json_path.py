"""JSON_EXTRACT with one literal path of members and places, and JSON_UNQUOTE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import convert
from converge.translate.columns import NoColumns
from converge.translate.errors import Untranslatable
from converge.translate.parse import called
from converge.translate.values import Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_STEP = re.compile(r'\.([A-Za-z_$][\w$]*)|\."((?:[^"\\])*)"|\[(\d+)\]', re.ASCII)
_CONDITIONS = (exp.Predicate, exp.Connector, exp.Not, exp.Exists)
_TESTS = frozenset({"isnull", "json_valid", "regexp_like"})
_CHOICES = frozenset({"if", "ifnull", "coalesce", "greatest", "least", "mod"})


def extract(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """JSON_EXTRACT(document, path): the value there, or NULL."""
    document, path = t.value(args[0]), t.value(args[1])
    if document.kind != "json":
        raise Untranslatable(f"json_extract reads a {document.kind}")
    sql = document.sql
    for key, place in _steps(path.literal):
        if place is not None:
            # In lax mode a value that is no array is its own first element, as in MySQL.
            sql = f"jsonb_path_query_first({sql}, '$[{place}]')"
        elif key.isdigit():
            raise Untranslatable(f"the member {key!r} of a path would be a place in an array")
        else:
            sql = f"({sql} -> {pg_text(key)})"
    return Value(sql, "json", volatile=document.volatile)


def _steps(path: str | None) -> list[tuple[str, int | None]]:
    if path is None or not path.startswith("$"):
        raise Untranslatable("the path of json_extract is not a literal")
    steps, place = [], 1
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None:
            raise Untranslatable(f"the path {path} is not on the list of what is surely the same")
        name, quoted, number = found.groups()
        steps.append((name or quoted or "", int(number) if number else None))
        place = found.end()
    return steps


def unquote(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """JSON_UNQUOTE: a string without its quotes, anything else as it prints; JSON's null is 'null'."""
    value = t.value(args[0])
    if value.kind != "json" or value.volatile:
        raise Untranslatable(f"json_unquote reads a {value.kind}")
    t.terms.note("a JSON number with an exponent prints differently as text")
    sql = (
        f"CASE jsonb_typeof({value.sql}) WHEN 'string' THEN {value.sql} #>> '{{}}' ELSE {value.sql}::text END"
    )
    return Value(sql, "text", collation="utf8mb4_bin", unpadded=True)


def valid(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """JSON_VALID of a JSON column: true, or NULL for NULL."""
    value = t.value(args[0])
    if value.kind != "json":
        raise Untranslatable("json_valid of a text: the servers differ in what JSON they accept")
    return Value(f"({value.sql} IS NOT NULL OR NULL)", "bool")


def object_(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """JSON_OBJECT(key, value, …)."""
    if not args:
        return Value("'{}'::jsonb", "json")
    if len(args) % 2:
        raise Untranslatable("json_object has a key without a value")
    parts = [
        convert.text(t.value(arg), t.terms) if place % 2 == 0 else _member(t, arg)
        for place, arg in enumerate(args)
    ]
    t.terms.depends("jsonb_build_object is used")
    return Value(f"jsonb_build_object({', '.join(parts)})", "json")


def array(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """JSON_ARRAY(value, …)."""
    if not args:
        return Value("'[]'::jsonb", "json")
    t.terms.depends("jsonb_build_array is used")
    return Value(f"jsonb_build_array({', '.join(_member(t, arg) for arg in args)})", "json")


def _takes_digits(node: exp.Expr) -> bool:
    """Whether a number has the digits of that argument which the row takes: IFNULL(1, 0.5) is 1, no 1.0."""
    return called(node) in _CHOICES or isinstance(node, exp.Mod | exp.Case)


def _member(t: Translator, node: exp.Expr) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    value = t.value(node)
    if value.kind == "bool" and value.source != "bit":
        # A condition is true or false; what only has the value of one, as IF and TINYINT(1), is a number.
        condition = isinstance(node, _CONDITIONS) or str(node.this).lower() in _TESTS
        return value.sql if condition else convert.number(value)
    if value.uneven or value.collation == "binary":
        raise Untranslatable("bytes, or a number whose digits depend on the row, are made JSON")
    if value.kind in ("json", "int", "null"):
        return value.sql
    if value.kind in ("text", "enum"):
        return f"{value.sql}::text"
    if value.kind == "decimal":
        # A default is stored as it is calculated; a number without its zeros is the same in a view.
        stored = value.computed and isinstance(t.columns, NoColumns)
        if value.digits > value.scale or stored or any(map(_takes_digits, node.walk())):
            raise Untranslatable("a calculated number is made JSON, with digits that it does not show")
        return value.sql
    raise Untranslatable(f"a {value.kind} is made JSON")


CALLS = {
    "json_extract": (extract, range(2, 3)),
    "json_unquote": (unquote, range(1, 2)),
    "json_valid": (valid, range(1, 2)),
    "json_object": (object_, range(1000)),
    "json_array": (array, range(1000)),
}
