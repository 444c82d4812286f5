"""Queries that a map may hold: one a text, and it only reads.

The server has the last word: what a map asks for runs as a subquery, in a transaction that is READ ONLY.
"""

from __future__ import annotations

from typing import Literal

import sqlglot
from sqlglot import TokenType

from converge.errors import UsageError

_BEGINNINGS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})


def one_query(text: str, dialect: Literal["mysql", "postgres"], place: str) -> str:
    """The query without a semicolon at its end. Raises UsageError for anything but one query."""
    try:
        tokens = sqlglot.tokenize(text, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise _refused(place, "it is no SQL", text) from error
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        text = text[: tokens.pop().start]
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise _refused(place, "it is more than one statement", text)
    words = [token.text.upper() for token in tokens if token.token_type != TokenType.L_PAREN]
    if not words or words[0] not in _BEGINNINGS:
        raise _refused(place, "it is no query", text)
    return text.strip()


def _refused(place: str, why: str, text: str) -> UsageError:
    return UsageError(f"{place} {text!r}: {why}", code="M002", hint="one SELECT: a check only reads")
