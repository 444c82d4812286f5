"""The walk over a tree: a node has a handler and a list of the parts that it knows, or is refused.

Handlers register themselves here by what they translate: `node` (any node of sqlglot) or `function` (all
arguments are translated before). What has no handler is looked for among the forms of functions.toml. As
examples:

    @node(exp.Not, parts="this")     NOT i            handler(t, the tree); nothing but `this` may be in it
    @function("concat", 1, ANY)      concat(s, i)     handler(t, term of s, term of i)
    functions.toml                   left(s, 3)       functions.call("left", [term of s, term of 3])
    nothing                          soundex(s)       Untranslatable: soundex is not on the list of …
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlglot import exp

from converge.model.words import counted
from converge.translate import functions
from converge.translate.columns import Columns
from converge.translate.context import Context, Untranslatable, refuse_if, unlisted
from converge.translate.parse import check_parts
from converge.translate.term import NULL, Term, text_literal

Handler = TypeVar("Handler", bound=Callable[..., Term])
_NODES: dict[type[exp.Expr], tuple[Callable[[Translator, exp.Expr], Term], frozenset[str]]] = {}
_FUNCTIONS: dict[str, tuple[Callable[..., Term], range, bool]] = {}


class Translator:
    """Translates scalar expressions; a query's translator adds aggregates and subqueries."""

    def __init__(self, columns: Columns, context: Context) -> None:
        self.columns = columns
        self.context = context

    def value(self, node: exp.Expr) -> Term:
        """The translation of one node, which is volatile when a part of it is. Raises Untranslatable."""
        before = self.context.volatile_calls
        value = self.node(node)
        return replace(value, volatile=True) if self.context.volatile_calls > before else value

    def node(self, node: exp.Expr) -> Term:
        """The translation by the node's handler. Raises Untranslatable."""
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Column):
            return self.columns.find(node)
        if isinstance(node, exp.Anonymous):
            return self.call(str(node.this).lower(), node.expressions)
        known = _NODES.get(type(node))
        if known is None:
            raise unlisted(type(node).__name__)
        handler, parts = known
        check_parts(node, parts)
        return handler(self, node)

    def truth(self, node: exp.Expr) -> str:
        """The translation as a condition. Raises Untranslatable."""
        return self.value(node).truth()

    def call(self, name: str, args: Sequence[exp.Expr]) -> Term:
        """A call of a function. Raises Untranslatable."""
        handler, counts, trees = _FUNCTIONS.get(name, (None, range(0), False))
        if handler is None:
            if name not in functions.by_name():
                raise unlisted(name)
            return functions.call(name, [self.value(arg) for arg in args], self.context)
        refuse_if(len(args) not in counts, f"{name} with {counted(len(args), 'argument')} is not on the list")
        return handler(self, *(args if trees else map(self.value, args)))

    def in_query(self, left: exp.Expr, query: exp.Expr) -> Term:
        """x IN (SELECT …): only views have it."""
        raise unlisted("a subquery")


def node(*types: type[exp.Expr], parts: str = "this expression") -> Callable[[Handler], Handler]:
    """Register the handler of nodes of these types, which are refused with any other part."""

    def register(handler: Handler) -> Handler:
        _NODES.update(dict.fromkeys(types, (handler, frozenset(parts.split()))))
        return handler

    return register


def function(
    name: str, least: int, most: int | None = None, *, trees: bool = False
) -> Callable[[Handler], Handler]:
    """Register the handler of calls with so many arguments, which it gets as terms, or as trees."""

    def register(handler: Handler) -> Handler:
        _FUNCTIONS[name] = handler, range(least, (least if most is None else most) + 1), trees
        return handler

    return register


ANY = 1000
"""The most arguments of functions that take any number of them."""

# --- literals -------------------------------------------------------------------------------------------

_UNICODE = frozenset({"_utf8mb4", "_utf8mb3", "_utf8"})


@node(exp.Literal, parts="this is_string")
def _literal(t: Translator, node: exp.Expr) -> Term:
    if node.args.get("is_string"):
        return text_literal(node.name)
    text = node.name.lower()
    if text.isdigit() and int(text) < 2**64:
        return Term(text, "int", literal=text, most=int(text) or 1, unsigned=int(text) >= 2**63)
    if "e" in text:
        return Term(f"'{text}'::float8", "double", literal=text)
    before, _, behind = text.partition(".")
    scale = len(behind)
    return Term(text, "decimal", scale=scale, digits=scale, literal=text, most=int(before or 0) + 1)


@node(exp.National, parts="this")
def _national(t: Translator, node: exp.Expr) -> Term:
    return text_literal(node.name)


@node(exp.Introducer)
def _introduced(t: Translator, node: exp.Expr) -> Term:
    """_utf8mb4'text': other character sets only for ASCII, where all are the same."""
    charset, inner = node.name.lower(), node.expression
    if not (isinstance(inner, exp.Literal) and inner.args.get("is_string")):
        raise unlisted(f"{charset} before something else than a text")
    if charset == "_binary":
        return Term(f"'\\x{inner.name.encode().hex()}'::bytea", "bytes")
    if charset not in _UNICODE and not inner.name.isascii():
        raise Untranslatable(f"a literal in the character set {charset.lstrip('_')}")
    return text_literal(inner.name)


@node(exp.HexString, parts="this")
def _hexadecimal(t: Translator, node: exp.Expr) -> Term:
    """0x41 or x'41': bytes, and beside a number that number."""
    octets = bytes.fromhex("0" * (len(node.name) % 2) + node.name)
    return Term(f"'\\x{octets.hex()}'::bytea", "bytes", most=int.from_bytes(octets), literal="")


@node(exp.Boolean, parts="this")
def _boolean(t: Translator, node: exp.Expr) -> Term:
    digit = "1" if node.this else "0"
    return Term(digit, "int", literal=digit)


@node(exp.Null, parts="")
def _null(t: Translator, node: exp.Expr) -> Term:
    return NULL


@node(exp.CurrentTimestamp, exp.Localtimestamp, exp.CurrentDate, parts="")
def _now(t: Translator, node: exp.Expr) -> Term:
    return t.call("curdate" if isinstance(node, exp.CurrentDate) else "now", [])
