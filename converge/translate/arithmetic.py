"""+ - * / DIV % and the bit operators, with MySQL's rules for their results.

Integers are calculated in 64 bits, as MySQL does. A quotient of exact numbers is shown with four digits
more than the dividend has (div_precision_increment), but calculated with whole groups of nine digits
(`do_div_mod` in MySQL's decimal.c), which shows in what is then done with it: both are kept here.
As an example, of `i` (INT) and `n` (DECIMAL(10,2)):

    i / 7              trunc(i::numeric(95,30) / NULLIF(7, 0), 9)
    1 / 7              is shown as 0.1429, and calculated with as 0.142857142
    1 / 7 * 1000000    is 142857.1420, where a quotient of four digits would give 142900
    n / 3              is shown with 2 + 4 digits, and calculated with 9
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlglot import exp

from converge.translate.context import Context, Untranslatable, refuse_if
from converge.translate.term import INTEGERS, NULL, Term
from converge.translate.translator import Translator, function, node

_INCREMENT = 4
_GROUP = 9
_MOST_DIGITS = 30
_TOO_MANY = f"has more than {_MOST_DIGITS} digits behind the point"
_NEGATIVE_BITS = "bits of a number that can be negative are not the same on both servers"


_SIGNS: Mapping[type[exp.Expr], str] = {
    exp.Mul: "*", exp.Div: "/", exp.IntDiv: "DIV", exp.Mod: "%",
    exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "#", exp.BitwiseRightShift: ">>",
}  # fmt: skip


# sqlglot marks how a dialect divides (`typed`, `safe`); quotient() knows.
@node(*_SIGNS, parts="this expression typed safe")
def _calculation(t: Translator, node: exp.Expr) -> Term:
    return calculated(t, t.value(node.this), t.value(node.expression), _SIGNS[type(node)])


def calculated(t: Translator, left: Term, right: Term, sign: str) -> Term:
    """A calculation of two numbers. Raises Untranslatable."""
    if "null" in (left.kind, right.kind):
        raise Untranslatable("NULL is calculated with, which makes MySQL's result approximate")
    return _OPERATORS[sign](left, right, sign, t.context)


@function("mod", 2)
def _mod(t: Translator, left: Term, right: Term) -> Term:
    return calculated(t, left, right, "%")


@node(exp.Neg, parts="this")
def _negative(t: Translator, node: exp.Expr) -> Term:
    value = t.value(node.this)
    if value.kind == "null":
        return NULL
    if value.kind in ("int", "decimal") and value.literal is not None and not value.literal.startswith("-"):
        sql = f"-{value.literal}"
        return replace(value, sql=f"({sql})", literal=sql, unsigned=False)
    number = value.integer() if value.kind in INTEGERS else value.number()
    if t.context.exact and value.kind == "int" and value.bound >= 2**63:
        number = f"{number}::numeric"
    return Term(
        f"(- {number})", "int" if value.kind == "bool" else value.kind,
        scale=value.scale, digits=value.digits, most=value.most, uneven=value.uneven,
    )  # fmt: skip


def _basic(left: Term, right: Term, sign: str, context: Context) -> Term:
    """a + b, a - b, a * b."""
    unsigned = left.unsigned or right.unsigned
    if sign == "-" and unsigned:
        context.note(
            "a negative difference of UNSIGNED numbers is an error in the source, and a number in the target"
        )
    if "double" in (left.kind, right.kind):
        return Term(f"({left.double()} {sign} {right.double()})", "double")
    most = left.bound * right.bound if sign == "*" else left.bound + right.bound
    if {left.kind, right.kind} <= INTEGERS:
        large = left.wide or right.wide or (unsigned and most >= 2**63) or (context.exact and most > 2**63)
        kind = "numeric" if large else "bigint"
        # Two literals alone would be calculated in 32 bits.
        a, b = (value.sql if value.literal else f"{value.number()}::{kind}" for value in (left, right))
        if left.literal:
            a = f"{a}::{kind}"
        most = min(most, 2**64 - 1 if unsigned else 2**63)
        return Term(f"({a} {sign} {b})", "int", unsigned=unsigned, most=most)
    both = sum if sign == "*" else max
    scale, digits = both((left.scale, right.scale)), both((left.digits, right.digits))
    refuse_if(max(scale, digits) > _MOST_DIGITS, f"a product {_TOO_MANY}")
    sql = f"({left.exact()} {sign} {right.exact()})"
    return Term(sql, "decimal", scale=scale, digits=digits, unsigned=unsigned, most=most)


def quotient(left: Term, right: Term) -> Term:
    """a / b with MySQL's digits: NULL for b = 0, and never an integer division."""
    if "double" in (left.kind, right.kind):
        return Term(f"({left.double()} / NULLIF({right.double()}, 0))", "double")
    if left.uneven and not left.sql.startswith("CASE"):
        raise Untranslatable("a number with more digits than its own is divided, by MySQL's version")
    scale = min(left.scale + _INCREMENT, _MOST_DIGITS)
    groups = _groups(left.digits) + _groups(right.digits)
    spare = groups * _GROUP - left.digits - right.digits
    digits = _groups(groups * _GROUP + max(0, _INCREMENT - spare)) * _GROUP
    # numeric(95,30): PostgreSQL divides to as many digits as an operand has, so that nothing is rounded.
    sql = f"trunc({left.exact()}::numeric(95,30) / NULLIF({right.exact()}, 0), {digits})"
    refuse_if(digits > _MOST_DIGITS, f"a quotient {_TOO_MANY}")
    return Term(sql, "decimal", scale=scale, digits=max(digits, scale), most=left.bound * 10**right.scale)


def _groups(digits: int) -> int:
    return -(-digits // _GROUP)


def _whole(left: Term, right: Term, sign: str, context: Context) -> Term:
    """a DIV b: towards zero."""
    if {left.kind, right.kind} <= INTEGERS:
        a, b, most = left.integer(), f"NULLIF({right.integer()}, 0)", left.bound
        sql = f"div({a}, {b})" if left.wide or right.wide else f"({a} / {b})"
    else:
        sql = f"div({left.exact()}::numeric, NULLIF({right.exact()}, 0))"
        most = min(left.bound * 10**right.scale, 2**64 - 1)
    value = Term(sql, "int", unsigned=left.unsigned or right.unsigned, most=most)
    return value if value.wide or sql.startswith("(") else replace(value, sql=f"{sql}::bigint")


def _remainder(left: Term, right: Term, sign: str, context: Context) -> Term:
    """a % b of exact numbers, with the sign of a."""
    most = min(left.bound, right.bound)
    if {left.kind, right.kind} <= INTEGERS:
        sql = f"({left.integer()} % NULLIF({right.integer()}, 0))"
        value = Term(sql, "int", unsigned=left.unsigned, most=most)
        numeric = (left.wide or right.wide) and not value.wide
        return replace(value, sql=f"{sql}::bigint") if numeric else value
    scale, digits = max(left.scale, right.scale), max(left.digits, right.digits)
    sql = f"({left.exact()}::numeric % NULLIF({right.exact()}, 0))"
    return Term(sql, "decimal", scale=scale, digits=digits, most=most)


def _bits(left: Term, right: Term, sign: str, context: Context) -> Term:
    """a & b, a | b, a ^ b: MySQL calculates without a sign, PostgreSQL with one."""
    bounds = [value.bound for value in (left, right) if _plain(value)]
    refuse_if(len(bounds) < (1 if sign == "&" else 2), _NEGATIVE_BITS)
    # a | b has no bit that neither has.
    most = min(bounds) if sign == "&" else 2 ** max(bounds).bit_length() - 1
    return Term(f"({left.bigint()} {sign} {right.bigint()})", "int", unsigned=True, most=most)


def _shifted(left: Term, right: Term, sign: str, context: Context) -> Term:
    """a >> b."""
    places = right.literal or ""
    refuse_if(not _plain(left) or not places.isdigit() or int(places) > 63, _NEGATIVE_BITS)
    return Term(f"({left.bigint()} >> {right.sql})", "int", unsigned=True, most=left.bound)


def _plain(value: Term) -> bool:
    """Whether its 64 bits are the same with and without a sign."""
    return value.kind in INTEGERS and value.natural and not (value.literal is None and value.bound >= 2**63)


_OPERATORS: dict[str, Callable[[Term, Term, str, Context], Term]] = {
    "+": _basic,
    "-": _basic,
    "*": _basic,
    "/": lambda left, right, sign, context: quotient(left, right),
    "DIV": _whole,
    "%": _remainder,
    "&": _bits,
    "|": _bits,
    "#": _bits,
    ">>": _shifted,
}
