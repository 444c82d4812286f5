"""Queries that a map may hold: one SELECT a text, read by the parser as the server reads it.

Both servers run it as a subquery in a transaction that is READ ONLY. But a parenthesis too many would end the
subquery, and MySQL writes files (INTO OUTFILE) in such a transaction, too.
"""

from __future__ import annotations

import re
from typing import Literal

import sqlglot
from sqlglot import TokenType, exp

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.using import CONTROLS, DOUBTFUL, without_texts

_FORBIDDEN = (exp.Command, exp.DDL, exp.DML, exp.Into, exp.Lock, exp.Semicolon, exp.Placeholder)
# What begins a comment for the server and not for the parser; comments of both are left out.
_COMMENTS = {"mysql": re.compile(r"--|/\*|#"), "postgres": re.compile(r"--|/\*")}
_EXECUTED = re.compile(r"/\*[!+M]")


def one_query(text: str, dialect: Literal["mysql", "postgres"], place: str) -> str:
    """The query without comments and semicolon. Raises UsageError for anything but one SELECT."""
    try:
        parsed = sqlglot.parse(text, read=dialect)
        trees = [tree for tree in parsed if tree is not None and not isinstance(tree, exp.Semicolon)]
        tokens = sqlglot.tokenize(text, read=dialect)
        bare = without_texts(text, dialect)
    except sqlglot.errors.SqlglotError as error:
        raise _refused(place, f"cannot be parsed: {str(error).splitlines()[0]}", text) from error
    doubtful = (
        _COMMENTS[dialect].search(bare)
        or DOUBTFUL[dialect].search(bare)
        or CONTROLS.search(text)
        or _EXECUTED.search(text)
    )
    if doubtful:
        raise _refused(place, f"{doubtful[0]!r} may not stand in it", text)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if len(trees) != 1 or not _balanced(tokens):
        raise _refused(place, "is more than one statement", text)
    tree = trees[0]
    if not isinstance(tree, exp.Query) or any(isinstance(node, _FORBIDDEN) for node in tree.walk()):
        raise _refused(place, "is not a query that only reads", text)
    return _without_comments(text, tokens)


def _without_comments(text: str, tokens: list[sqlglot.Token]) -> str:
    """The tokens as they are written, so that the server finds no others; with spaces where something was."""
    made, end = "", tokens[0].start
    for token in tokens:
        made += (" " if token.start > end else "") + text[token.start : token.end + 1]
        end = token.end + 1
    return made


def _balanced(tokens: list[sqlglot.Token]) -> bool:
    """Whether no parenthesis closes what the text has not opened."""
    depth = 0
    for token in tokens:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth < 0:
            return False
    return depth == 0


def _refused(place: str, why: str, text: str) -> UsageError:
    hint = "one SELECT: a query of a map only reads"
    return UsageError(f"{place} {text!r}: {why}", code=Code.M002, hint=hint)
