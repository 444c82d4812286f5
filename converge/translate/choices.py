"""CASE and its kin, and CONCAT: functions whose result depends on all their arguments together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlglot import exp

from converge.translate import collate, compare
from converge.translate.context import Context, Untranslatable, refuse_if
from converge.translate.term import (
    BITS_AS_TEXT,
    NULL,
    NUMBERS,
    TEMPORAL,
    TIMES,
    UNEVEN,
    Kind,
    Term,
    refuse_volatile,
)
from converge.translate.translator import ANY, Translator, function, node

_FLOAT = "how many digits a function shows of a FLOAT depends on MySQL's version"


# --- the kind that several values have together ---------------------------------------------------------


def common(values: Sequence[Term], context: Context) -> tuple[Term, list[str]]:
    """What CASE and its kin give: a model of the result, and all values in that kind.

    IF(flag, 1, 2.50) has the kind decimal, and its values are round(1::numeric, 2) and 2.50; of
    IF(flag, i, 'x') the texts i::text and 'x'; and IF(flag, day, 'x') is refused.
    """
    given = [value for value in values if value.kind != "null"]
    kinds = {value.kind for value in given}
    if not given:
        return values[0], [value.sql for value in values]
    if len(kinds) == 1 and kinds.isdisjoint(NUMBERS | {"set", "enum"}):
        return _merged(given), [value.sql for value in values]
    refuse_if(any(value.source == "float" for value in given), _FLOAT)
    if kinds <= NUMBERS:
        return _numbers(values, kinds)
    if kinds <= TEMPORAL | TIMES:
        refuse_if(any(value.uneven for value in given), UNEVEN)
    scale = max(value.scale for value in given)
    if kinds <= TEMPORAL:
        refuse_if(kinds > {"instant"}, "a TIMESTAMP beside a date, which may be no TIMESTAMP")
        return Term("", "datetime", scale=scale), [value.moment(context) for value in values]
    if kinds <= TIMES:
        return Term("", "time", scale=scale), [value.time() for value in values]
    refuse_if(not kinds <= NUMBERS | {"text", "enum", "set"}, f"it mixes {', '.join(sorted(kinds))}")
    model = _merged([value for value in given if value.kind not in NUMBERS])
    return model, [value.text(context) for value in values]


def _merged(values: Sequence[Term]) -> Term:
    kind: Kind = "text" if values[0].kind in ("enum", "set") else values[0].kind
    scale = max(value.scale for value in values)
    folded = {(value.literal or "").rstrip(" ").casefold() for value in values}
    one_spelling = len(folded) == len(values) and all(value.literal is not None for value in values)
    like = collate.text_of(values)
    return replace(like, kind=kind, scale=scale, digits=scale, one_spelling=one_spelling)


def _numbers(values: Sequence[Term], kinds: set[Kind]) -> tuple[Term, list[str]]:
    source = next((value.source for value in values if value.source in BITS_AS_TEXT), "")
    if kinds == {"bool"}:
        return Term("", "bool", source=source), [value.sql for value in values]
    if "double" in kinds:
        return Term("", "double", source=source), [f"{value.number()}::float8" for value in values]
    numbers = [value.number() for value in values]
    if "decimal" not in kinds:
        given = [value for value in values if value.kind != "null"]
        unsigned, most = all(value.unsigned for value in given), max(value.bound for value in given)
        return Term("", "int", unsigned=unsigned, most=most, source=source), numbers
    scale, digits = max(value.scale for value in values), max(value.digits for value in values)
    model = Term("", "decimal", scale=scale, digits=digits, source=source)
    if model.quotient:
        if any(value.digits > value.scale != scale for value in values):
            raise Untranslatable("quotients of different digits: how many MySQL keeps depends on its plan")
        return model, numbers
    return model, [
        value.sql if value.kind == "null" or value.scale == scale else f"round({number}::numeric, {scale})"
        for value, number in zip(values, numbers, strict=True)
    ]


def _like(model: Term, sql: str) -> Term:
    """The model with its SQL."""
    if model.kind == "null":
        return NULL
    return replace(model, sql=sql, literal=None, source=model.source if model.source in BITS_AS_TEXT else "")


# --- choices --------------------------------------------------------------------------------------------


@node(exp.Case, parts="this ifs default")
def _case(t: Translator, node: exp.Expr) -> Term:
    """CASE WHEN …, and CASE x WHEN … with MySQL's comparison."""
    branches, default = node.args["ifs"], node.args.get("default")
    if node.this is None:
        conditions = [t.truth(branch.this) for branch in branches]
    else:
        subject = t.value(node.this)
        refuse_volatile(subject)
        wanted = [t.value(branch.this) for branch in branches]
        compare.check_together((subject, *wanted))
        conditions = [compare.compared(subject, one, "=", t.context) for one in wanted]
    results = [t.value(branch.args["true"]) for branch in branches]
    return _chosen(t, conditions, [*results, t.value(default) if default is not None else NULL])


@function("if", 3)
def _if(t: Translator, condition: Term, *results: Term) -> Term:
    return _chosen(t, [condition.truth()], results)


def _chosen(t: Translator, conditions: Sequence[str], results: Sequence[Term]) -> Term:
    model, texts = common(results, t.context)
    if len({value.scale for value in results if value.kind in NUMBERS}) > 1:
        model = replace(model, uneven=True)
    whens = " ".join(
        f"WHEN {condition} THEN {result}" for condition, result in zip(conditions, texts[:-1], strict=True)
    )
    otherwise = "" if results[-1].kind == "null" else f" ELSE {texts[-1]}"
    return _like(model, f"CASE {whens}{otherwise} END")


@function("ifnull", 2)
@function("coalesce", 1, ANY)
def _coalesce(t: Translator, *values: Term) -> Term:
    model, texts = common(values, t.context)
    return _like(model, f"COALESCE({', '.join(texts)})")


@function("nullif", 2)
def _nullif(t: Translator, left: Term, right: Term) -> Term:
    """NULLIF(a, b): the equality is MySQL's."""
    if left.kind == "null":
        return NULL
    refuse_volatile(left)
    if left.literal is not None and right.kind in TEMPORAL | TIMES:
        raise Untranslatable("nullif of a literal and a date or time")
    refuse_if(
        left.kind in TIMES and left.computed,
        "NULLIF of a calculated TIME, of which MySQL shows the bits where it is constant",
    )
    refuse_if(left.source == "year", "NULLIF of a YEAR is a text")
    refuse_if(left.source == "float", _FLOAT)
    collate.refuse_literal_first((left, right))
    equal = compare.compared(left, right, "=", t.context)
    model = replace(left, uneven=left.uneven or left.kind in TEMPORAL | TIMES)
    return _like(model, f"CASE WHEN {equal} THEN NULL ELSE {left.sql} END")


def _extreme(word: str, t: Translator, *values: Term) -> Term:
    """NULL when any is NULL, where PostgreSQL leaves NULL out."""
    if any(value.kind == "null" for value in values):
        return NULL
    refuse_volatile(*values)
    kinds = {value.kind for value in values}
    if not (kinds <= NUMBERS or kinds <= TEMPORAL):
        raise Untranslatable(f"{word} of {', '.join(sorted(kinds))} goes by a collation or by conversions")
    model, texts = common(values, t.context)
    if model.kind == "bool":
        model, texts = Term("", "int"), [value.number() for value in values]
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values if value.literal is None)
    call = f"{word}({', '.join(texts)})"
    return _like(model, f"CASE WHEN {missing} THEN NULL ELSE {call} END" if missing else call)


for _word in ("greatest", "least"):
    function(_word, 2, ANY)(partial(_extreme, _word))


# --- texts put together ---------------------------------------------------------------------------------


@function("concat", 1, ANY)
def _concat(t: Translator, *values: Term) -> Term:
    """CONCAT: NULL when any is NULL, which || gives and PostgreSQL's concat() does not."""
    texts = [value.text(t.context) for value in values]
    if len(texts) == 1:
        texts.append("''")
    return collate.text_of(values, f"({' || '.join(texts)})")


@function("concat_ws", 2, ANY)
def _concat_ws(t: Translator, *values: Term) -> Term:
    """CONCAT_WS: leaves NULL out on both servers."""
    separator, *texts = (value.text(t.context) for value in values)
    if not t.context.immutable:
        return collate.text_of(values, f"concat_ws({', '.join((separator, *texts))})")
    # concat_ws() is not immutable in PostgreSQL: each part brings its separator, the first is cut off.
    if values[0].literal is None:
        raise Untranslatable("concat_ws is not immutable in PostgreSQL, and its separator is not a literal")
    parts = " || ".join(f"COALESCE({separator} || {text}, '')" for text in texts)
    return collate.text_of(values, f"substr({parts}, {len(values[0].literal) + 1})")
