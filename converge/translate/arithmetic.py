"""+ - * / DIV % and the bit operators, with MySQL's rules for their results.

Integers are calculated in 64 bits, as MySQL does. A quotient of exact numbers is shown with four digits
more than the dividend has (div_precision_increment), but calculated with whole groups of nine digits
(`do_div_mod` in MySQL's decimal.c), which shows in what is then done with it: both are kept here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.translate import convert
from converge.translate.errors import Untranslatable
from converge.translate.values import NULL, Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_INCREMENT = 4
_GROUP = 9
_MOST_DIGITS = 30
_SIGNS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_BITS: dict[type[exp.Expr], str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "#"}


def basic(t: Translator, node: exp.Expr) -> Value:
    """a + b, a - b, a * b."""
    left, right = _operands(t, node)
    sign = _SIGNS[type(node)]
    volatile = left.volatile or right.volatile
    unsigned = left.unsigned or right.unsigned
    if sign == "-" and unsigned:
        t.terms.note("a difference below zero of UNSIGNED numbers is an error in MySQL and a number here")
    if "double" in (left.kind, right.kind):
        sql = f"({_double(left)} {sign} {_double(right)})"
        return Value(sql, "double", volatile=volatile)
    if {left.kind, right.kind} <= {"bool", "int"}:
        most = left.bound * right.bound if sign == "*" else left.bound + right.bound
        large = left.wide or right.wide or (unsigned and most >= 2**63) or (t.terms.exact and most > 2**63)
        kind = "numeric" if large else "bigint"
        # Two literals alone would be calculated in 32 bits.
        a, b = (value.sql if value.literal else f"{convert.number(value)}::{kind}" for value in (left, right))
        if left.literal:
            a = f"{a}::{kind}"
        return Value(
            f"({a} {sign} {b})", "int", unsigned=unsigned, volatile=volatile,
            most=min(most, 2**64 - 1 if unsigned else 2**63),
        )  # fmt: skip
    scale, digits = (
        (left.scale + right.scale, left.digits + right.digits)
        if sign == "*"
        else (max(left.scale, right.scale), max(left.digits, right.digits))
    )
    if max(scale, digits) > _MOST_DIGITS:
        raise Untranslatable(f"a product has more than {_MOST_DIGITS} digits behind the point")
    sql = f"({convert.exact(left)} {sign} {convert.exact(right)})"
    most = left.bound * right.bound if sign == "*" else left.bound + right.bound
    return Value(sql, "decimal", scale=scale, digits=digits, unsigned=unsigned, volatile=volatile, most=most)


def divide(t: Translator, node: exp.Expr) -> Value:
    """a / b: NULL for b = 0, and never an integer division."""
    left, right = _operands(t, node)
    return quotient(left, right)


def quotient(left: Value, right: Value) -> Value:
    """A quotient with MySQL's digits."""
    volatile = left.volatile or right.volatile
    if "double" in (left.kind, right.kind):
        return Value(f"({_double(left)} / NULLIF({_double(right)}, 0))", "double", volatile=volatile)
    if left.uneven and not left.sql.startswith("CASE"):
        raise Untranslatable("a number with more digits than its own is divided, by MySQL's version")
    scale = min(left.scale + _INCREMENT, _MOST_DIGITS)
    groups = _groups(left.digits) + _groups(right.digits)
    spare = groups * _GROUP - left.digits - right.digits
    digits = _groups(groups * _GROUP + max(0, _INCREMENT - spare)) * _GROUP
    # numeric(95,30): PostgreSQL divides to as many digits as an operand has, so that nothing is rounded.
    dividend = f"{convert.exact(left)}::numeric(95,30)"
    sql = f"trunc({dividend} / NULLIF({convert.exact(right)}, 0), {digits})"
    if digits > _MOST_DIGITS:
        raise Untranslatable(f"a quotient has more than {_MOST_DIGITS} digits behind the point")
    most = left.bound * 10**right.scale
    return Value(sql, "decimal", scale=scale, digits=max(digits, scale), volatile=volatile, most=most)


def whole(t: Translator, node: exp.Expr) -> Value:
    """a DIV b: towards zero."""
    left, right = _operands(t, node)
    if {left.kind, right.kind} <= {"bool", "int"}:
        sql = f"{convert.integer(left)}, NULLIF({convert.integer(right)}, 0)"
        sql = f"div({sql})" if left.wide or right.wide else f"({sql.replace(', NULLIF', ' / NULLIF', 1)})"
        most = left.bound
    else:
        sql = f"div({convert.exact(left)}::numeric, NULLIF({convert.exact(right)}, 0))"
        most = min(left.bound * 10**right.scale, 2**64 - 1)
    unsigned = left.unsigned or right.unsigned
    value = Value(sql, "int", unsigned=unsigned, most=most, volatile=left.volatile or right.volatile)
    return value if value.wide or sql.startswith("(") else replace(value, sql=f"{sql}::bigint")


def remainder(t: Translator, node: exp.Expr) -> Value:
    """a % b, with the sign of a."""
    return modulo(*_operands(t, node))


def modulo(left: Value, right: Value) -> Value:
    """The remainder of two exact numbers."""
    volatile = left.volatile or right.volatile
    if {left.kind, right.kind} <= {"bool", "int"}:
        sql = f"({convert.integer(left)} % NULLIF({convert.integer(right)}, 0))"
        value = Value(
            sql, "int", unsigned=left.unsigned, volatile=volatile, most=min(left.bound, right.bound)
        )
        numeric = (left.wide or right.wide) and not value.wide
        return replace(value, sql=f"{sql}::bigint") if numeric else value
    scale, digits = max(left.scale, right.scale), max(left.digits, right.digits)
    sql = f"({convert.exact(left)}::numeric % NULLIF({convert.exact(right)}, 0))"
    most = min(left.bound, right.bound)
    return Value(sql, "decimal", scale=scale, digits=digits, volatile=volatile, most=most)


def negative(t: Translator, node: exp.Expr) -> Value:
    """-a."""
    value = t.value(node.this)
    if value.kind == "null":
        return NULL
    if value.kind in ("int", "decimal") and value.literal is not None and not value.literal.startswith("-"):
        sql = f"-{value.literal}"
        return replace(value, sql=f"({sql})", literal=sql, unsigned=False)
    number = convert.integer(value) if value.kind in ("bool", "int") else convert.number(value)
    if t.terms.exact and value.kind == "int" and value.bound >= 2**63:
        number = f"{number}::numeric"
    sql = f"(- {number})"
    kind = "int" if value.kind == "bool" else value.kind
    return Value(
        sql, kind, scale=value.scale, digits=value.digits, volatile=value.volatile, most=value.most,
        uneven=value.uneven,
    )  # fmt: skip


def bits(t: Translator, node: exp.Expr) -> Value:
    """a & b, a | b, a ^ b: MySQL calculates without a sign, PostgreSQL with one."""
    left, right = _operands(t, node)
    plain = [_never_negative(value) for value in (left, right)]
    if not (all(plain) or (isinstance(node, exp.BitwiseAnd) and any(plain))):
        raise Untranslatable("bits of a number that can be negative are not the same on both servers")
    sql = f"({convert.signed(left)} {_BITS[type(node)]} {convert.signed(right)})"
    bounds = [value.bound for value, sure in zip((left, right), plain, strict=True) if sure]
    # a | b has no bit that neither has.
    most = min(bounds) if isinstance(node, exp.BitwiseAnd) else 2 ** max(bounds).bit_length() - 1
    return Value(sql, "int", unsigned=True, volatile=left.volatile or right.volatile, most=most)


def shift_right(t: Translator, node: exp.Expr) -> Value:
    """a >> b."""
    left, right = _operands(t, node)
    if not _never_negative(left) or not (right.literal or "").isdigit() or int(right.literal or 0) > 63:
        raise Untranslatable("bits of a number that can be negative are not the same on both servers")
    sql = f"({convert.signed(left)} >> {right.sql})"
    return Value(sql, "int", unsigned=True, volatile=left.volatile, most=left.bound)


def _operands(t: Translator, node: exp.Expr) -> tuple[Value, Value]:
    left, right = t.value(node.this), t.value(node.expression)
    if "null" in (left.kind, right.kind):
        raise Untranslatable("NULL is calculated with, which makes MySQL's result approximate")
    return left, right


def _never_negative(value: Value) -> bool:
    sure = value.kind == "bool" or (value.literal or "").isdigit()
    return sure or (value.kind == "int" and value.unsigned and value.bound < 2**63)


def _double(value: Value) -> str:
    return f"{convert.number(value)}::float8" if value.source != "float" else convert.number(value)


def _groups(digits: int) -> int:
    return -(-digits // _GROUP)
