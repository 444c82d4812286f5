"""= <> < > <=> BETWEEN IN, by the kinds of both sides: what MySQL would convert is converted, or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import collate, convert
from converge.translate.errors import Untranslatable
from converge.translate.terms import Terms
from converge.translate.values import NUMBERS, TEMPORAL, TIMES, Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
}  # fmt: skip
_NUMERAL = re.compile(r"0|[1-9]\d{0,14}")
_EQUALITIES = frozenset({"=", "<>", "IS NOT DISTINCT FROM"})


def binary(t: Translator, node: exp.Expr) -> Value:
    """A comparison of two values, or of two rows for equality."""
    sign = _SIGNS[type(node)]
    if isinstance(node.this, exp.Tuple) and isinstance(node.expression, exp.Tuple) and sign == "=":
        return rows(t, node.this, node.expression)
    left, right = t.value(node.this), t.value(node.expression)
    return Value(compared(left, right, sign, t.terms), "bool", volatile=left.volatile or right.volatile)


def rows(t: Translator, left: exp.Tuple, right: exp.Tuple) -> Value:
    """(a, b) = (c, d)."""
    if len(left.expressions) != len(right.expressions):
        raise Untranslatable("rows of different length are compared")
    pairs = zip(left.expressions, right.expressions, strict=True)
    parts = [compared(t.value(a), t.value(b), "=", t.terms) for a, b in pairs]
    return Value(f"({' AND '.join(parts)})", "bool")


def compared(left: Value, right: Value, sign: str, terms: Terms) -> str:
    """One comparison as SQL."""
    left, right = _numeral(left, right), _numeral(right, left)
    for one, other in ((left, right), (right, left)):
        # A flag and 0 or 1: the flag itself says it.
        if one.kind == "bool" and other.literal in ("0", "1") and sign in ("=", "<>"):
            return one.sql if (other.literal == "1") is (sign == "=") else f"(NOT {one.sql})"
    a, b = operands(left, right, sign, terms)
    return f"({a} {sign} {b})"


def operands(left: Value, right: Value, sign: str, terms: Terms) -> tuple[str, str]:
    """Both sides in a form that PostgreSQL compares as MySQL does."""
    left, right = _numeral(left, right), _numeral(right, left)
    kinds = {left.kind, right.kind}
    equality = sign in _EQUALITIES
    if "null" in kinds:
        return left.sql, right.sql
    if kinds <= NUMBERS:
        _check_year(left, right)
        return (
            (left.sql, right.sql)
            if kinds == {"bool"} and equality
            else (convert.number(left), convert.number(right))
        )
    if kinds & TEMPORAL and kinds <= TEMPORAL | {"text"}:
        return _times(left, right, terms)
    if kinds == {"clock"}:
        return left.sql, right.sql
    if kinds & TIMES and kinds <= TIMES | {"text"}:
        if "text" in kinds and not (left.source or right.source):
            raise Untranslatable("a computed time is compared with a text, which MySQL may do as text")
        return convert.time(left), convert.time(right)
    if kinds == {"uuid"} or kinds == {"bytes"}:
        return left.sql, right.sql
    if kinds == {"bytes", "text"}:
        return _bytes(left), _bytes(right)
    if kinds <= {"text", "enum", "set"}:
        return _texts(left, right, equality, terms)
    raise Untranslatable(f"{left.kind} is compared with {right.kind}")


def between(t: Translator, node: exp.Expr) -> Value:
    """x BETWEEN a AND b, both included."""
    value, low, high = t.value(node.this), t.value(node.args["low"]), t.value(node.args["high"])
    if value.volatile:
        raise Untranslatable("a value that changes would be evaluated twice")
    kinds = {one.kind for one in (value, low, high)}
    check_together((value, low, high))
    if low.wide and value.kind == "int" and not value.unsigned:
        # 10 BETWEEN 18446744073709551615 AND 100 is 1 in 8.0.15.
        raise Untranslatable("BETWEEN a number of 64 bits UNSIGNED and another one")
    several = len(kinds - {"text"}) + (value.kind == "text") > 1
    if kinds & (TEMPORAL | TIMES) and (several or (low.literal is None) != (high.literal is None)):
        # '2024-01-01' BETWEEN NULL AND NULL is 0 then.
        raise Untranslatable("dates and times of several types in BETWEEN")
    (a, least), (b, most) = operands(value, low, ">=", t.terms), operands(value, high, "<=", t.terms)
    if a == b:
        return Value(f"({a} BETWEEN {least} AND {most})", "bool")
    return Value(f"({a} >= {least} AND {b} <= {most})", "bool")


def within(t: Translator, node: exp.Expr) -> Value:
    """x IN (…) with values, rows or a query."""
    query = node.args.get("query")
    if query is not None:
        return t.in_query(node.this, query)
    if isinstance(node.this, exp.Tuple):
        parts = [rows(t, node.this, row).sql for row in node.expressions if isinstance(row, exp.Tuple)]
        if len(parts) != len(node.expressions):
            raise Untranslatable("a row is compared with a value")
        return Value(f"({' OR '.join(parts)})", "bool")
    value = t.value(node.this)
    if value.volatile:
        raise Untranslatable("a value that changes would be evaluated more than once")
    members = [t.value(member) for member in node.expressions]
    check_together((value, *members))
    pairs = [operands(value, member, "=", t.terms) for member in members]
    if len({left for left, _ in pairs}) == 1:
        return Value(f"({pairs[0][0]} IN ({', '.join(right for _, right in pairs)}))", "bool")
    return Value(f"({' OR '.join(f'{left} = {right}' for left, right in pairs)})", "bool")


def check_together(values: Sequence[Value]) -> None:
    """Raises Untranslatable where IN, BETWEEN, CASE and FIELD compare otherwise than value by value."""
    if len({value.collation for value in convert.collated(values)}) > 1:
        raise Untranslatable("texts of several collations are compared under one")
    if any(value.wide for value in values) and any(map(_below_zero, values)):
        raise Untranslatable("a number that can be negative beside one of 64 bits UNSIGNED")


def _below_zero(value: Value) -> bool:
    return value.kind in NUMBERS - {"bool"} and not (value.unsigned or (value.literal or "-")[0].isdigit())


def _numeral(value: Value, other: Value) -> Value:
    """A literal like '5' or 0x05 beside a number is that number."""
    if other.kind in NUMBERS and value.kind == "bytes" and value.literal is not None:
        return Value(str(value.most), "int", literal=str(value.most), most=value.most)
    if other.kind in NUMBERS and value.kind == "text" and _NUMERAL.fullmatch(value.literal or ""):
        return Value(value.literal or "", "int", literal=value.literal)
    return value


def _check_year(left: Value, right: Value) -> None:
    for one, other in ((left, right), (right, left)):
        # MySQL takes 99, and LENGTH('ab'), for a year beside a YEAR.
        calculated = other.computed and not other.sql.startswith("extract(year ")
        if one.source == "year" and (calculated or float(other.literal or 1901) < 1901):
            raise Untranslatable("a YEAR is compared with a number that may have two digits")


def _times(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    left, right = convert.temporal(left), convert.temporal(right)
    if left.kind == right.kind:
        return left.sql, right.sql
    return convert.moment(left, terms), convert.moment(right, terms)


def _bytes(value: Value) -> str:
    if value.kind == "bytes":
        return value.sql
    if value.literal is None:
        raise Untranslatable("bytes are compared with text")
    return f"'\\x{value.literal.encode().hex()}'::bytea"


def _texts(left: Value, right: Value, equality: bool, terms: Terms) -> tuple[str, str]:
    for one, other, flip in ((left, right, False), (right, left, True)):
        if one.kind == "enum" and other.literal is not None and equality:
            # MySQL finds the label as the column's collation sees it.
            label = _label(one, other.literal)
            if label is not None:
                pair = one.sql, pg_text(label)
                return pair[::-1] if flip else pair
    if equality:
        return collate.compared(left, right, terms)
    if "enum" in (left.kind, right.kind) or "set" in (left.kind, right.kind):
        raise Untranslatable("ENUM or SET values are ordered as texts")
    return collate.before(left, right, terms)


def _label(column: Value, text: str) -> str | None:
    """The declared label that MySQL takes the text for; None when there is none for sure."""
    if text in column.labels:
        return text
    if collate.ignores_case(column.collation) and text.isascii():
        wanted = text.rstrip(" ").upper()
        return next((label for label in column.labels if label.upper() == wanted), None)
    return None


def null_test(t: Translator, node: exp.Expr) -> Value:
    """x IS NULL, IS TRUE, IS FALSE, IS UNKNOWN."""
    right = node.expression
    if isinstance(right, exp.Null):
        return Value(f"({t.value(node.this).sql} IS NULL)", "bool")
    if isinstance(right, exp.Boolean):
        return Value(f"({t.truth(node.this)} IS {'TRUE' if right.this else 'FALSE'})", "bool")
    raise Untranslatable("IS with something else than NULL, TRUE or FALSE")


def recased(value: Value, collation: str) -> Value:
    """x COLLATE name."""
    return replace(value, collation=collation, explicit=True, source="", labels=(), one_spelling=False)


def find_in_set(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """FIND_IN_SET(text, list): the place in a SET's value, else in a text with commas."""
    member, members = t.value(args[0]), t.value(args[1])
    if members.kind != "set":
        return t.listed("find_in_set", args)
    label = _label(members, member.literal) if member.literal is not None else None
    if label is None:
        raise Untranslatable("find_in_set looks for something else than a declared member")
    # The place among all members, whichever the value has.
    place = members.labels.index(label) + 1
    return Value(f"(({pg_text(label)} = ANY({members.sql}))::int * {place})", "int")


CALLS = {"find_in_set": (find_in_set, range(2, 3))}
