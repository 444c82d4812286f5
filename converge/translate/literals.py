"""Literals: text with or without an introducer, numbers, bytes and bits, TRUE, NULL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from converge.translate.errors import Untranslatable, unlisted
from converge.translate.values import NULL, Value, text_literal

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_UNICODE = frozenset({"_utf8mb4", "_utf8mb3", "_utf8"})


def literal(t: Translator, node: exp.Expr) -> Value:
    """'text' or a number."""
    if node.args.get("is_string"):
        return _text(node.name)
    text = node.name.lower()
    if text.isdigit() and int(text) < 2**64:
        return Value(text, "int", literal=text, most=int(text) or 1, unsigned=int(text) >= 2**63)
    if "e" in text:
        return Value(f"'{text}'::float8", "double", literal=text)
    scale = len(text.partition(".")[2])
    most = int(text.partition(".")[0] or 0) + 1
    return Value(text, "decimal", scale=scale, digits=scale, literal=text, most=most)


def national(t: Translator, node: exp.Expr) -> Value:
    """N'text'."""
    return _text(node.name)


def introduced(t: Translator, node: exp.Expr) -> Value:
    """_utf8mb4'text': other character sets only for ASCII, where all are the same."""
    charset, inner = node.name.lower(), node.expression
    if not (isinstance(inner, exp.Literal) and inner.args.get("is_string")):
        raise unlisted(f"{charset} before something else than a text")
    if charset == "_binary":
        return Value(f"'\\x{inner.name.encode().hex()}'::bytea", "bytes")
    if charset not in _UNICODE and not inner.name.isascii():
        raise Untranslatable(f"a literal in the character set {charset.lstrip('_')}")
    return _text(inner.name)


def _text(text: str) -> Value:
    if "\0" in text:
        raise Untranslatable("PostgreSQL has no NUL in texts")
    return text_literal(text)


def hexadecimal(t: Translator, node: exp.Expr) -> Value:
    """0x41 or b'1': bytes, and beside a number that number."""
    number = int(node.name, 2 if isinstance(node, exp.BitString) else 16)
    digits = f"{number:b}" if isinstance(node, exp.BitString) else node.name
    width = 8 if isinstance(node, exp.BitString) else 2
    octets = number.to_bytes(max(1, -(-len(digits) // width)), "big")
    return Value(f"'\\x{octets.hex()}'::bytea", "bytes", most=number, literal="")


def boolean(t: Translator, node: exp.Expr) -> Value:
    """TRUE and FALSE are 1 and 0."""
    return Value("1", "int", literal="1") if node.this else Value("0", "int", literal="0")


def null(t: Translator, node: exp.Expr) -> Value:
    """NULL."""
    return NULL
