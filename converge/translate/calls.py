"""Calls of functions, by the forms that functions.toml has of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from converge.translate import arithmetic, collate, convert
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.functions import Function, by_name
from converge.translate.terms import Terms
from converge.translate.values import NUMBERS, TIMES, Kind, Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_UNICODE = frozenset({"", "utf8mb4", "utf8mb3", "utf8", "ascii"})
_INT = 2**31 - 1
_FRACTIONS = tuple("0123456")


def call(t: Translator, name: str, args: Sequence[exp.Expr]) -> Value:
    """The first form of the function that fits the arguments."""
    forms = by_name().get(name)
    if forms is None:
        raise unlisted(name)
    forms = tuple(form for form in forms if form.fits(len(args)))
    values = [t.value(arg) for arg in args]
    reason = f"{name} with {len(args)} arguments is not on the list of what is surely the same"
    for form in forms:
        try:
            return apply(form, values, t.terms)
        except Untranslatable as error:
            reason = f"{name}: {error}"
    raise Untranslatable(reason)


def apply(form: Function, values: Sequence[Value], terms: Terms) -> Value:
    """A form with these arguments. Raises Untranslatable when they are of other kinds."""
    texts = [_argument(form.kind(place))(value, terms) for place, value in enumerate(values)]
    if form.gives == "rounded":
        if int(texts[1]) > values[0].scale < values[0].digits:
            raise Untranslatable("more digits of a quotient than it shows: they depend on MySQL's version")
        texts[1] = str(min(int(texts[1]), values[0].scale))
    if "folded" in form.args:
        turn = -1 if form.names[0] == "instr" else 1
        needle, text = values[:2][::turn]
        texts = [*collate.searched(needle, text, terms)[::turn], *texts[2:]]
    for place, value in enumerate(values):
        if value.volatile and len(re.findall(rf"\{{{place}\}}", form.to)) > 1:
            raise Untranslatable("a value that changes would be evaluated more than once")
    if form.stable or form.volatile:
        terms.depends(f"{form.names[0]} depends on the session")
    if form.note:
        terms.note(form.note)
    sql = form.to.format(*texts, rest=", ".join(texts[len(form.args) - 1 :]))
    return _result(form, sql, values)


def _result(form: Function, sql: str, values: Sequence[Value]) -> Value:
    volatile = form.volatile or any(value.volatile for value in values)
    large = any(value.kind == "decimal" and value.bound >= 2**63 for value in values)
    if large and form.to.endswith("::bigint"):
        raise Untranslatable("a number that may be larger than PostgreSQL's bigint")
    if form.gives == "same":
        first = values[0]
        kind: Kind = "int" if first.kind == "bool" else first.kind
        return replace(
            first, sql=sql, kind=kind, literal=None, source="", collation="", labels=(), volatile=volatile
        )
    if form.gives == "rounded":
        scale = min(int(values[1].literal or 0), values[0].scale)
        # How many digits are shown beyond the number's own depends on MySQL's version.
        return Value(
            sql, "decimal", scale=scale, digits=scale, volatile=volatile, most=values[0].bound + 1,
            uneven=int(values[1].literal or 0) > scale,
        )  # fmt: skip
    result = cast(Kind, form.gives)
    if result == "text" and not form.collation:
        convert.check_collation(values)
        collation, explicit, _ = convert.collation_of(values)
        return Value(sql, result, collation=collation, explicit=explicit, volatile=volatile)
    scale = int(values[0].literal or 0) if form.args == ("digits",) else form.scale
    return Value(sql, result, scale=scale, digits=scale, collation=form.collation, volatile=volatile)


def _fraction(value: Value, terms: Terms) -> str:
    """How many digits a second has after its point."""
    if value.kind != "int" or value.literal not in _FRACTIONS:
        raise Untranslatable("a number of digits that is not a literal from 0 to 6")
    return value.literal


def _of(*kinds: Kind) -> Callable[[Value, Terms], str]:
    def take(value: Value, terms: Terms) -> str:
        if value.kind not in kinds:
            raise Untranslatable(f"a {value.kind} where only {' or '.join(kinds)} is surely the same")
        return value.sql

    return take


def _text(value: Value, terms: Terms) -> str:
    if value.collation == "binary":
        raise Untranslatable("bytes are taken for a text")
    return convert.text(value, terms)


def _unicode(value: Value, terms: Terms) -> str:
    """A text whose bytes are UTF-8 in the source, too."""
    if value.charset not in _UNICODE:
        raise Untranslatable(f"the bytes of a text in {value.charset} are others in the target")
    return convert.text(value, terms)


def _string(value: Value, terms: Terms) -> str:
    """Such a text that is one in the source, too: a number there would be taken as a number."""
    if value.kind != "text":
        raise Untranslatable(f"a {value.kind} is not taken for a text")
    return _unicode(value, terms)


def _integer(value: Value, terms: Terms) -> str:
    if value.kind not in ("int", "bool"):
        raise Untranslatable(f"a {value.kind} is taken for an integer")
    if value.literal is not None:
        return value.sql
    if value.wide and not value.unsigned:
        raise Untranslatable(
            "IF and its kin of signed and UNSIGNED numbers, which MySQL may take for another"
        )
    sql = convert.number(value)
    if value.bound > _INT:
        # A length or place beyond it is as good as this one.
        sql = f"CASE WHEN {sql} > {_INT} THEN {_INT} WHEN {sql} < -{_INT} THEN -{_INT} ELSE {sql} END"
        return f"({sql})::int"
    return f"{sql}::int"


def _long(value: Value, terms: Terms) -> str:
    return convert.integer(value)


def _short(value: Value, terms: Terms) -> str:
    sql = convert.integer(value)
    if value.bound >= 10**15:
        raise Untranslatable("a BIGINT, of which 8.0.15 cuts the digits")
    return sql


def _signed(value: Value, terms: Terms) -> str:
    return convert.signed(value)


def _exact(value: Value, terms: Terms) -> str:
    return f"{convert.exact(value)}::numeric" if value.kind != "decimal" else value.sql


def _double(value: Value, terms: Terms) -> str:
    if value.kind != "double":
        raise Untranslatable(f"a {value.kind} where only an approximate number is surely the same")
    return convert.number(value)


def _number(value: Value, terms: Terms) -> str:
    if value.kind not in NUMBERS:
        raise Untranslatable(f"a {value.kind} is taken for a number")
    return convert.integer(value) if value.kind in ("int", "bool") else convert.number(value)


def _natural(value: Value, terms: Terms) -> str:
    if not (value.kind == "int" and (value.literal or "").isdigit()):
        raise Untranslatable("a length or place that is not a literal")
    return value.sql


def _positive(value: Value, terms: Terms) -> str:
    if value.literal == "0":
        raise Untranslatable("a place of 0")
    return _natural(value, terms)


def _one(wanted: str) -> Callable[[Value, Terms], str]:
    def take(value: Value, terms: Terms) -> str:
        if value.literal != wanted:
            raise Untranslatable(f"only {wanted} is on the list here")
        return value.sql

    return take


def _constant(value: Value, terms: Terms) -> str:
    if value.kind != "text" or value.literal is None:
        raise Untranslatable("a text that is not a literal, for which MySQL may cut the result")
    return value.sql


def _char(value: Value, terms: Terms) -> str:
    if value.kind != "text" or value.literal is None or len(value.literal) != 1:
        raise Untranslatable("more or less than one literal character")
    return value.sql


def _word(value: Value, terms: Terms) -> str:
    if value.kind != "text" or not value.literal:
        raise Untranslatable("an empty text, or one that is not a literal")
    return value.sql


def _time(value: Value, terms: Terms) -> str:
    if value.kind not in TIMES:
        raise Untranslatable(f"a {value.kind} is taken for a time")
    return convert.time(value)


def _timed(value: Value, terms: Terms) -> str:
    """A moment; a literal date alone would be taken for a time."""
    if value.literal is not None and ":" not in value.literal:
        raise Untranslatable(f"{value.literal!r} is taken for a time")
    return convert.moment(value, terms)


def _day(value: Value, terms: Terms) -> str:
    return convert.day(value, terms)


def _moment(value: Value, terms: Terms) -> str:
    return convert.moment(value, terms)


def _folded(value: Value, terms: Terms) -> str:
    return "" if value.kind == "text" else convert.text(value, terms)


def _any(value: Value, terms: Terms) -> str:
    return value.sql


_ARGUMENTS: dict[str, Callable[[Value, Terms], str]] = {
    "text": _text,
    "unicode": _unicode,
    "string": _string,
    "folded": _folded,
    "constant": _constant,
    "char": _char,
    "word": _word,
    "int": _integer,
    "long": _long,
    "short": _short,
    "signed": _signed,
    "exact": _exact,
    "decimal": _of("decimal"),
    "double": _double,
    "number": _number,
    "natural": _natural,
    "positive": _positive,
    "day": _day,
    "moment": _moment,
    "time": _time,
    "timed": _timed,
    "json": _of("json"),
    "bytes": _of("bytes"),
    "uuid": _of("uuid"),
    "set": _of("set"),
    "any": _any,
    "digits": _fraction,
}
"""How an argument is brought to the kind that a form wants; each refuses what it cannot be sure of."""


def _argument(kind: str) -> Callable[[Value, Terms], str]:
    # A number stands for itself: only this literal is taken.
    return _one(kind) if kind.lstrip("-").isdigit() else _ARGUMENTS[kind]


def modulo(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """MOD(a, b)."""
    return arithmetic.modulo(t.value(args[0]), t.value(args[1]))


CALLS = {"mod": (modulo, range(2, 3))}
