"""The walk over a tree: a node has a handler and a list of the parts that it knows, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from converge.translate import (
    arithmetic,
    calls,
    casts,
    compare,
    convert,
    dates,
    json_path,
    literals,
    logic,
    patterns,
)
from converge.translate.columns import Columns
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.parse import check_parts
from converge.translate.terms import Terms
from converge.translate.values import Value


class Translator:
    """Translates scalar expressions; a query's translator adds aggregates and subqueries."""

    def __init__(self, columns: Columns, terms: Terms) -> None:
        self.columns = columns
        self.terms = terms

    def value(self, node: exp.Expr) -> Value:
        """The translation of one node. Raises Untranslatable."""
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Column):
            return self.columns.find(node)
        if isinstance(node, exp.Anonymous):
            return self.call(str(node.this).lower(), node.expressions)
        known = _HANDLERS.get(type(node))
        if known is None:
            raise unlisted(type(node).__name__)
        handler, parts = known
        check_parts(node, parts)
        return handler(self, node)

    def truth(self, node: exp.Expr) -> str:
        """The translation as a condition. Raises Untranslatable."""
        return convert.truth(self.value(node))

    def call(self, name: str, args: Sequence[exp.Expr]) -> Value:
        """A call of a function. Raises Untranslatable."""
        known = _CALLS.get(name)
        if known is None:
            return self.listed(name, args)
        handler, counts = known
        if len(args) not in counts:
            raise Untranslatable(f"{name} with {len(args)} arguments is not on the list")
        return handler(self, args)

    def listed(self, name: str, args: Sequence[exp.Expr]) -> Value:
        """A call of a function by its forms in functions.toml. Raises Untranslatable."""
        return calls.call(self, name, args)

    def in_query(self, left: exp.Expr, query: exp.Expr) -> Value:
        """x IN (SELECT …): only views have it."""
        raise unlisted("a subquery")


def _sum(t: Translator, node: exp.Expr) -> Value:
    """a + b, where one can be an INTERVAL."""
    if isinstance(node.expression, exp.Interval):
        return dates.shifted(t, node.this, node.expression, "+" if isinstance(node, exp.Add) else "-")
    if isinstance(node.this, exp.Interval) and isinstance(node, exp.Add):
        return dates.shifted(t, node.expression, node.this, "+")
    return arithmetic.basic(t, node)


def _now(t: Translator, node: exp.Expr) -> Value:
    return t.call("now", [])


Handler = Callable[[Translator, exp.Expr], Value]
Call = Callable[[Translator, Sequence[exp.Expr]], Value]

_PAIR = frozenset({"this", "expression"})
_HANDLERS: dict[type[exp.Expr], tuple[Handler, frozenset[str]]] = {
    exp.Literal: (literals.literal, frozenset({"this", "is_string"})),
    exp.National: (literals.national, frozenset({"this"})),
    exp.Introducer: (literals.introduced, _PAIR),
    exp.HexString: (literals.hexadecimal, frozenset({"this"})),
    exp.Boolean: (literals.boolean, frozenset({"this"})),
    exp.Null: (literals.null, frozenset()),
    exp.CurrentTimestamp: (_now, frozenset()),
    exp.Localtimestamp: (_now, frozenset()),
    exp.CurrentDate: (lambda t, node: t.call("curdate", []), frozenset()),
    exp.Add: (_sum, _PAIR),
    exp.Sub: (_sum, _PAIR),
    exp.Mul: (arithmetic.basic, _PAIR),
    # sqlglot marks how a dialect divides; the handler knows.
    exp.Div: (arithmetic.divide, _PAIR | {"typed", "safe"}),
    exp.IntDiv: (arithmetic.whole, _PAIR),
    exp.Mod: (arithmetic.remainder, _PAIR),
    exp.Neg: (arithmetic.negative, frozenset({"this"})),
    exp.BitwiseAnd: (arithmetic.bits, _PAIR),
    exp.BitwiseOr: (arithmetic.bits, _PAIR),
    exp.BitwiseXor: (arithmetic.bits, _PAIR),
    exp.BitwiseRightShift: (arithmetic.shift_right, _PAIR),
    exp.EQ: (compare.binary, _PAIR),
    exp.NEQ: (compare.binary, _PAIR),
    exp.LT: (compare.binary, _PAIR),
    exp.LTE: (compare.binary, _PAIR),
    exp.GT: (compare.binary, _PAIR),
    exp.GTE: (compare.binary, _PAIR),
    exp.NullSafeEQ: (compare.binary, _PAIR),
    exp.Between: (compare.between, frozenset({"this", "low", "high"})),
    exp.In: (compare.within, frozenset({"this", "expressions", "query"})),
    exp.Is: (compare.null_test, _PAIR),
    exp.And: (logic.conjunction, _PAIR),
    exp.Or: (logic.conjunction, _PAIR),
    exp.Xor: (logic.exclusive, _PAIR),
    exp.Not: (logic.negation, frozenset({"this"})),
    exp.Case: (logic.case, frozenset({"this", "ifs", "default"})),
    exp.Like: (patterns.like, _PAIR | {"negate"}),
    exp.Escape: (patterns.escaped_like, _PAIR),
    exp.RegexpLike: (patterns.regexp, _PAIR),
    exp.Cast: (casts.cast, frozenset({"this", "to"})),
    exp.Collate: (casts.collate, _PAIR),
    exp.Trim: (casts.trim, _PAIR | {"position"}),
    exp.Extract: (dates.extract, _PAIR),
}
_CALLS: dict[str, tuple[Call, range]] = {
    **logic.CALLS, **compare.CALLS, **dates.CALLS, **json_path.CALLS, **patterns.CALLS, **calls.CALLS,
}  # fmt: skip
