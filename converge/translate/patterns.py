"""LIKE, and regular expressions so plain that ICU and PostgreSQL read them alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import collate, convert
from converge.translate.errors import Untranslatable
from converge.translate.values import Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

# ICU's line ends: "." matches none of them, and "$" matches before one that ends the text.
_ENDS = r"\n\v\f\r\u0085\u2028\u2029"
_BEFORE_END = rf"(?:\r\n|[{_ENDS}])?$"
_ITEM = re.compile(
    r"(?P<plain>[A-Za-z0-9 _@#%&=:;,<>/~!'\"-]|\\[.*+?()\[\]{}|^$\\/@-])"
    r"|(?P<any>\.)"
    r"|(?P<set>\[\^?(?:[A-Za-z0-9 _@#%=:;,<>/~!'\".*+?()|$-]|\\[\].\\/@^-])+\])"
    r"|(?P<group>\((?!\?))|(?P<close>\))|(?P<or>\|)|(?P<start>\^)|(?P<end>\$)"
)
_REPEAT = re.compile(r"[*+?]|\{\d{1,3}(?:,\d{0,3})?\}")


def like(t: Translator, node: exp.Expr) -> Value:
    """x LIKE pattern, without regard to case where the collation has none."""
    return _like(t, node, "")


def escaped_like(t: Translator, node: exp.Expr) -> Value:
    """x LIKE pattern ESCAPE 'char'."""
    char = t.value(node.expression)
    if not isinstance(node.this, exp.Like) or char.literal is None or len(char.literal) > 1:
        raise Untranslatable("ESCAPE is not one literal character")
    return _like(t, node.this, f" ESCAPE {char.sql}")


def _like(t: Translator, node: exp.Expr, escape: str) -> Value:
    value, pattern = t.value(node.this), t.value(node.expression)
    collation, _, _ = convert.collation_of((value, pattern))
    literal = pattern.literal
    if collation == "binary" and (literal is None or "_" in literal):
        raise Untranslatable("the pattern stands for bytes")
    if literal is not None and not escape and re.search(r"(?<!\\)(?:\\\\)*\\$", literal):
        raise Untranslatable("the pattern ends in its escape character")
    folds = collate.ignores_case(collation)
    if folds and literal is not None and not literal.isascii():
        raise Untranslatable(f"{collation} compares {literal!r} without regard to accents")
    folds = folds and (literal is None or any(char.isalpha() for char in literal))
    if folds:
        t.terms.note(f"{collation or 'the collation'} ignores case and accents: here accents count")
    by_bytes = ' COLLATE "C"' if folds else ""
    subject, wanted = convert.text(value, t.terms) + by_bytes, convert.text(pattern, t.terms)
    if pattern.alike:
        wanted = f"({wanted}{by_bytes})"
    words = ("NOT " if node.args.get("negate") else "") + ("ILIKE" if folds else "LIKE")
    return Value(f"({subject} {words} {wanted}{escape})", "bool")


def regexp(t: Translator, node: exp.Expr) -> Value:
    """x REGEXP pattern."""
    return regexp_like(t, [node.this, node.expression])


def regexp_like(t: Translator, args: Sequence[exp.Expr]) -> Value:
    """REGEXP_LIKE(x, pattern[, 'c' or 'i'])."""
    value, pattern = t.value(args[0]), t.value(args[1])
    flags = t.value(args[2]).literal if len(args) > 2 else ""
    if pattern.literal is None or flags not in ("", "c", "i"):
        raise Untranslatable("the pattern of regexp_like is not a literal, or its flags are unusual")
    collation, _, _ = convert.collation_of((value, pattern))
    if collation == "binary":
        raise Untranslatable("regexp_like of bytes")
    folds = flags == "i" or (not flags and collate.ignores_case(collation))
    if folds:
        t.terms.note("the case of ASCII letters is ignored")
    sign = "~*" if folds else "~"
    return Value(
        f'({convert.text(value, t.terms)} COLLATE "C" {sign} {pg_text(plain(pattern.literal))})', "bool"
    )


def plain(pattern: str) -> str:
    """An ICU pattern of the plain parts that both know, in PostgreSQL's words. Raises Untranslatable."""
    done: list[str] = []
    place, open_, fresh = 0, 0, True
    while place < len(pattern):
        found = _ITEM.match(pattern, place)
        if found is None or (found["set"] and "--" in found["set"]):
            raise Untranslatable(f"the pattern {pattern!r} has parts that the servers may read differently")
        place = found.end()
        open_ += {"group": 1, "close": -1}.get(found.lastgroup or "", 0)
        opens = found.lastgroup in ("group", "or", "start")
        if open_ < 0 or (fresh and found.lastgroup in ("close", "or")):
            raise Untranslatable(f"the pattern {pattern!r} has an empty part")
        done.append({"any": f"[^{_ENDS}]", "end": _BEFORE_END}.get(found.lastgroup or "", found[0]))
        fresh = opens and found.lastgroup != "start"
        repeat = _REPEAT.match(pattern, place)
        if repeat and not opens and found.lastgroup != "end":
            done.append(repeat[0])
            place = repeat.end()
    if open_ or fresh:
        raise Untranslatable(f"the pattern {pattern!r} has an empty part")
    return "".join(done)


CALLS = {"regexp_like": (regexp_like, range(2, 4))}
