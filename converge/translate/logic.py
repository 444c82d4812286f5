"""AND OR NOT XOR, and CASE with its kin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.translate import collate, compare, convert
from converge.translate.errors import Untranslatable
from converge.translate.values import NULL, NUMBERS, TEMPORAL, TIMES, Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator


def conjunction(t: Translator, node: exp.Expr) -> Value:
    """a AND b, a OR b."""
    word = "AND" if isinstance(node, exp.And) else "OR"
    return Value(f"({t.truth(node.this)} {word} {t.truth(node.expression)})", "bool")


def negation(t: Translator, node: exp.Expr) -> Value:
    """NOT a."""
    return Value(f"(NOT {t.truth(node.this)})", "bool")


def exclusive(t: Translator, node: exp.Expr) -> Value:
    """a XOR b."""
    return Value(f"({t.truth(node.this)} <> {t.truth(node.expression)})", "bool")


def case(t: Translator, node: exp.Expr) -> Value:
    """CASE WHEN …, and CASE x WHEN … with MySQL's comparison."""
    subject = t.value(node.this) if node.this is not None else None
    if subject is not None and subject.volatile:
        raise Untranslatable("a value that changes would be evaluated more than once")
    if subject is None:
        conditions = [t.truth(branch.this) for branch in node.args["ifs"]]
    else:
        wanted = [t.value(branch.this) for branch in node.args["ifs"]]
        compare.check_together((subject, *wanted))
        conditions = [compare.compared(subject, one, "=", t.terms) for one in wanted]
    default = node.args.get("default")
    results = [t.value(branch.args["true"]) for branch in node.args["ifs"]]
    results.append(t.value(default) if default is not None else NULL)
    return _case(t, conditions, results)


def _case(t: Translator, conditions: list[str], results: list[Value]) -> Value:
    model, texts = convert.common(results, t.terms)
    if len({value.scale for value in results if value.kind in NUMBERS}) > 1:
        model = replace(model, uneven=True)
    whens = " ".join(
        f"WHEN {condition} THEN {result}" for condition, result in zip(conditions, texts[:-1], strict=True)
    )
    otherwise = "" if results[-1].kind == "null" else f" ELSE {texts[-1]}"
    return convert.like(model, f"CASE {whens}{otherwise} END", results)


def if_(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """IF(condition, a, b)."""
    condition, *results = args
    return _case(t, [t.truth(condition)], [t.value(result) for result in results])


def coalesce(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """COALESCE and IFNULL."""
    values = [t.value(arg) for arg in args]
    model, texts = convert.common(values, t.terms)
    return convert.like(model, f"COALESCE({', '.join(texts)})", values)


def nullif(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """NULLIF(a, b): the equality is MySQL's."""
    left, right = (t.value(arg) for arg in args)
    if left.kind == "null":
        return NULL
    if left.volatile:
        raise Untranslatable("a value that changes would be evaluated twice")
    if left.literal is not None and right.kind in TEMPORAL | TIMES:
        raise Untranslatable("nullif of a literal and a date or time")
    if left.kind in TIMES and left.computed:
        raise Untranslatable(
            "NULLIF of a calculated TIME, of which MySQL shows the bits where it is constant"
        )
    if left.source == "year":
        raise Untranslatable("NULLIF of a YEAR is a text")
    if left.source == "float":
        raise Untranslatable(convert.FLOAT)
    convert.check_collation((left, right))
    equal = compare.compared(left, right, "=", t.terms)
    model = replace(left, uneven=left.uneven or left.kind in TEMPORAL | TIMES)
    return convert.like(model, f"CASE WHEN {equal} THEN NULL ELSE {left.sql} END", (left, right))


def isnull(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """ISNULL(a)."""
    return Value(f"({t.value(args[0]).sql} IS NULL)", "bool")


def greatest(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """GREATEST: NULL when any is NULL, where PostgreSQL leaves NULL out."""
    return _extreme(t, args, "greatest")


def least(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """LEAST, likewise."""
    return _extreme(t, args, "least")


def _extreme(t: Translator, args: Sequence[exp.Expr], word: str) -> Value:
    values = [t.value(arg) for arg in args]
    if any(value.kind == "null" for value in values):
        return NULL
    if any(value.volatile for value in values):
        raise Untranslatable("a value that changes would be evaluated twice")
    kinds = {value.kind for value in values}
    if not (kinds <= NUMBERS or kinds <= TEMPORAL):
        raise Untranslatable(f"{word} of {', '.join(sorted(kinds))} goes by a collation or by conversions")
    model, texts = convert.common(values, t.terms)
    if model.kind == "bool":
        model, texts = Value("", "int"), [convert.number(value) for value in values]
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values if value.literal is None)
    call = f"{word}({', '.join(texts)})"
    return convert.like(model, f"CASE WHEN {missing} THEN NULL ELSE {call} END" if missing else call, values)


def concat(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """CONCAT: NULL when any is NULL, which || gives and PostgreSQL's concat() does not."""
    values = [t.value(arg) for arg in args]
    texts = [convert.text(value, t.terms) for value in values]
    if len(texts) == 1:
        texts.append("''")
    return _joined(values, f"({' || '.join(texts)})")


def concat_ws(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """CONCAT_WS: leaves NULL out on both servers."""
    values = [t.value(arg) for arg in args]
    texts = [convert.text(value, t.terms) for value in values]
    if not t.terms.immutable:
        return _joined(values, f"concat_ws({', '.join(texts)})")
    # concat_ws() is not immutable in PostgreSQL: each part brings its separator, the first is cut off.
    if values[0].literal is None:
        raise Untranslatable("concat_ws is not immutable in PostgreSQL, and its separator is not a literal")
    parts = " || ".join(f"COALESCE({texts[0]} || {part}, '')" for part in texts[1:])
    return _joined(values, f"substr({parts}, {len(values[0].literal) + 1})")


def _joined(values: Sequence[Value], sql: str) -> Value:
    collation, explicit, _ = convert.collation_of(values)
    model = Value("", "text", collation=collation, explicit=explicit)
    return convert.like(model, sql, values)


def field(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """FIELD(x, a, b …): the place of x among the texts or the numbers, else 0."""
    value, *members = (t.value(arg) for arg in args)
    kinds = {one.kind for one in (value, *members)}
    if value.volatile or not (kinds <= NUMBERS | {"null"} or kinds <= {"text", "enum", "null"}):
        raise Untranslatable(f"field mixes {', '.join(sorted(kinds))}")
    compare.check_together((value, *members))
    pairs = [
        collate.compared(value, one, t.terms)
        if "text" in kinds
        else compare.operands(value, one, "=", t.terms)
        for one in members
    ]
    whens = " ".join(f"WHEN {left} = {right} THEN {place}" for place, (left, right) in enumerate(pairs, 1))
    return Value(f"CASE {whens} ELSE 0 END", "int")


CALLS = {
    "if": (if_, range(3, 4)),
    "coalesce": (coalesce, range(1, 1000)),
    "ifnull": (coalesce, range(2, 3)),
    "nullif": (nullif, range(2, 3)),
    "isnull": (isnull, range(1, 2)),
    "greatest": (greatest, range(2, 1000)),
    "least": (least, range(2, 1000)),
    "concat": (concat, range(1, 1000)),
    "concat_ws": (concat_ws, range(2, 1000)),
    "field": (field, range(2, 1000)),
}
"""Functions whose result depends on all their arguments together, with the numbers of arguments."""
