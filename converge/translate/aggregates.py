"""Aggregates, GROUP_CONCAT and window functions: only queries have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import arithmetic, collate, convert
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.parse import called, check_parts, filled
from converge.translate.values import NUMBERS, TEMPORAL, TIMES, Value, computed

if TYPE_CHECKING:
    from converge.translate.query import QueryTranslator

NAMES = frozenset({"count", "sum", "avg", "min", "max", "bit_or", "bit_and", "any_value"})
_RANKS = frozenset({"row_number", "rank", "dense_rank", "ntile"})
_NEIGHBOURS = frozenset({"lag", "lead", "first_value", "last_value"})
_LIMIT = "GROUP_CONCAT cuts its result at group_concat_max_len (1024 bytes by default); string_agg does not"


def is_aggregate(node: exp.Expr) -> bool:
    """Whether this node is one value for a group of rows."""
    if isinstance(node, exp.GroupConcat):
        return True
    return called(node) in NAMES


def aggregate(t: QueryTranslator, name: str, args: Sequence[exp.Expr]) -> Value:
    """A call of one of `NAMES`."""
    distinct = bool(args) and isinstance(args[0], exp.Distinct)
    if distinct:
        args = args[0].expressions
    values = _of_rows(t, args)
    for value in values:
        if value.digits > value.scale and value.kind == "decimal":
            raise Untranslatable(f"{name} of a quotient: how many digits MySQL keeps depends on its plan")
    if distinct:
        values = [replace(value, sql=collate.key(value, t.terms)) for value in values]
    word = "DISTINCT " if distinct else ""
    if name == "count":
        return _count(values, word, distinct, t)
    if len(values) != 1:
        raise unlisted(f"{name} of several values")
    return _AGGREGATES[name](t, values[0], word)


def _of_rows(t: QueryTranslator, args: Sequence[exp.Expr]) -> list[Value]:
    """The arguments of an aggregate: those of each row, whatever is shown of the group."""
    shown_once, t.shown_once = t.shown_once, {}
    values = [t.value(arg) for arg in args]
    t.shown_once = shown_once
    return values


def _count(values: list[Value], word: str, distinct: bool, t: QueryTranslator) -> Value:
    if len(values) == 1:
        value = values[0]
        # COUNT(*) is printed as count(0).
        sql = "count(*)" if value.literal is not None and not distinct else f"count({word}{value.sql})"
        return Value(sql, "int")
    present = " AND ".join(f"{value.sql} IS NOT NULL" for value in values)
    row = ", ".join(value.sql for value in values)
    return Value(f"count({word}({row})) FILTER (WHERE {present})", "int")


def _sum(t: QueryTranslator, value: Value, word: str) -> Value:
    if value.kind not in NUMBERS:
        raise Untranslatable(f"sum of a {value.kind}")
    if value.kind == "double":
        t.terms.note("sums of approximate numbers depend on the order of the rows")
        return Value(f"sum({word}{convert.number(value)}::float8)", "double")
    return Value(f"sum({word}{convert.number(value)})", "decimal", scale=value.scale, digits=value.scale)


def _avg(t: QueryTranslator, value: Value, word: str) -> Value:
    # Not avg(): over doubles it adds up their squares, too, which overflow from 1e154 on.
    total = _sum(t, value, word)
    return arithmetic.quotient(total, Value(f"count({word}{value.sql})", "int"))


def _least(t: QueryTranslator, value: Value, word: str) -> Value:
    return _extreme(t, value, "min")


def _most(t: QueryTranslator, value: Value, word: str) -> Value:
    return _extreme(t, value, "max")


def _extreme(t: QueryTranslator, value: Value, name: str) -> Value:
    sql = value.sql
    if value.kind == "text":
        sql, _ = collate.before(value, value, t.terms)
    elif value.kind in TIMES:
        convert.time(value)
    elif value.source == "bit":
        raise Untranslatable(f"{name} of a BIT")
    elif value.kind == "bool":
        value, sql = replace(value, kind="int"), convert.number(value)
    elif value.kind not in NUMBERS | TEMPORAL:
        raise Untranslatable(f"{name} of a {value.kind}")
    return replace(
        value, sql=f"{name}({sql})", source="float" if value.source == "float" else "", literal=None
    )


def _bits(name: str, empty: str) -> Callable[[QueryTranslator, Value, str], Value]:
    def take(t: QueryTranslator, value: Value, word: str) -> Value:
        plain = value.kind == "bool" or (value.kind == "int" and value.unsigned and not value.wide)
        if not plain or word:
            raise Untranslatable(f"{name} of numbers that can be negative")
        most = 2 ** value.bound.bit_length() - 1 if empty == "0" else 2**64 - 1
        return Value(f"COALESCE({name}({convert.integer(value)}), {empty})", "int", unsigned=True, most=most)

    return take


def _any(t: QueryTranslator, value: Value, word: str) -> Value:
    return collate.first(computed(value))


_AGGREGATES: dict[str, Callable[[QueryTranslator, Value, str], Value]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _least,
    "max": _most,
    "bit_or": _bits("bit_or", "0"),
    "bit_and": _bits("bit_and", "18446744073709551615"),
    "any_value": _any,
}


def group_concat(t: QueryTranslator, node: exp.GroupConcat) -> Value:
    """GROUP_CONCAT([DISTINCT] parts [ORDER BY …] [SEPARATOR …])."""
    check_parts(node, frozenset({"this", "separator"}))
    inner, order = node.this, None
    if isinstance(inner, exp.Order):
        inner, order = inner.this, inner
    distinct = isinstance(inner, exp.Distinct)
    parts = inner.expressions if isinstance(inner, exp.Distinct) else [inner]
    separator = node.args.get("separator")
    between = t.value(separator).literal if separator is not None else ","
    if between is None:
        raise Untranslatable("the separator of group_concat is not a literal")
    if len(parts) > 1:
        parts = [exp.Anonymous(this="concat", expressions=parts)]
    (value,) = _of_rows(t, parts)
    text = convert.text(value, t.terms)
    t.terms.note(_LIMIT)
    keys = t.order(order) if order is not None else []
    if order is None:
        t.terms.note("GROUP_CONCAT without ORDER BY has no order on either server")
    if not distinct:
        by = f" ORDER BY {', '.join(keys)}" if keys else ""
        return replace(_as_text(value), sql=f"string_agg({text}, {pg_text(between)}{by})")
    collate.apart(value, t.terms)
    if order is not None and len(order.expressions) > 1:
        raise Untranslatable("group_concat with DISTINCT is ordered by several keys")
    if order is not None and [item.this for item in order.expressions] != parts:
        t.terms.note(
            "GROUP_CONCAT(DISTINCT …) ordered by something else: MySQL sorts a value by the row that it met "
            "first, the target by its least key"
        )
    return replace(_as_text(value), sql=_distinct_list(t, text, between, order))


def _as_text(value: Value) -> Value:
    return replace(
        value, kind="text", literal=None, source="", labels=(), scale=0, digits=0, alike="",
        one_spelling=False,
    )  # fmt: skip


def _distinct_list(t: QueryTranslator, text: str, between: str, order: exp.Expr | None) -> str:
    """PostgreSQL sorts a DISTINCT list only by itself: here each value takes its least key along."""
    if order is None:
        return f"string_agg(DISTINCT {text}, {pg_text(between)})"
    ordered = order.expressions[0]
    key = t.value(ordered.this)
    inner = replace(key, sql="d.k")
    sorted_by = t.sorted(inner, bool(ordered.args.get("desc")))
    return (
        f"(SELECT string_agg(d.v, {pg_text(between)} ORDER BY {sorted_by}) FROM ("
        f"SELECT u.v, min(u.k) AS k FROM unnest(array_agg({text}), array_agg({key.sql})) AS u(v, k) "
        "WHERE u.v IS NOT NULL GROUP BY u.v) AS d)"
    )


def window(t: QueryTranslator, node: exp.Window) -> Value:
    """f(…) OVER (PARTITION BY … ORDER BY … frame)."""
    check_parts(node, frozenset({"this", "partition_by", "order", "spec", "over", "alias"}))
    call = node.this
    if not isinstance(call, exp.Anonymous):
        raise unlisted(f"a window over {type(call).__name__}")
    name = str(call.this).lower()
    value = _ranked(t, name, call.expressions)
    over = _over(t, _named(t, node))
    if name == "avg":
        raise unlisted("avg as a window function")
    if value.kind == "int" and name in ("bit_or", "bit_and"):
        raise unlisted(f"{name} as a window function")
    return replace(value, sql=f"({value.sql} OVER ({over}))")


def _named(t: QueryTranslator, node: exp.Window) -> exp.Window:
    """The window itself, or the one of the WINDOW clause that it names."""
    if not node.alias:
        return node
    named = t.windows.get(node.alias.lower())
    if named is None or named.alias or filled(node) & {"partition_by", "order", "spec"}:
        raise unlisted("a window that extends another one")
    return named


def _ranked(t: QueryTranslator, name: str, args: Sequence[exp.Expr]) -> Value:
    values = [t.value(arg) for arg in args]
    if name in _RANKS:
        return Value(f"{name}({', '.join(value.sql for value in values)})", "int")
    if name in _NEIGHBOURS | {"min", "max"} and values and values[0].source == "float":
        raise Untranslatable(f"how many digits a FLOAT has after {name} over a window")
    if name in _NEIGHBOURS and 1 <= len(values) <= 2:
        sql = f"{name}({', '.join(value.sql for value in values)})"
        return replace(computed(values[0]), sql=sql, literal=None)
    if name in NAMES and name != "any_value":
        return aggregate(t, name, args)
    raise unlisted(f"{name} over a window")


def _over(t: QueryTranslator, node: exp.Window) -> str:
    parts = []
    keys = [t.value(key) for key in node.args.get("partition_by") or []]
    if keys:
        parts.append(f"PARTITION BY {', '.join(collate.key(key, t.terms) for key in keys)}")
    if node.args.get("order") is not None:
        parts.append(f"ORDER BY {', '.join(t.order(node.args['order']))}")
    spec = node.args.get("spec")
    if spec is not None:
        if spec.args.get("kind") != "ROWS":
            raise unlisted("a frame by RANGE")
        parts.append(f"ROWS BETWEEN {_bound(spec, 'start')} AND {_bound(spec, 'end')}")
    return " ".join(parts)


def _bound(spec: exp.Expr, side: str) -> str:
    bound, direction = spec.args.get(side), spec.args.get(f"{side}_side") or ""
    if bound is None and side == "end":
        return "CURRENT ROW"
    text = bound.name if isinstance(bound, exp.Literal) else str(bound)
    if text not in ("CURRENT ROW", "UNBOUNDED") and not text.isdigit():
        raise unlisted("a frame with computed bounds")
    return f"{text} {direction}".strip()
