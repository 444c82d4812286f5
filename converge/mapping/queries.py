"""Queries that a map may hold: one SELECT a text, read by the parser as the server reads it.

Both servers run it as a subquery in a transaction that is READ ONLY. But a parenthesis too many would end the
subquery, and MySQL writes files (INTO OUTFILE) in such a transaction, too.
"""

from __future__ import annotations

import re
from typing import Literal

import sqlglot
from sqlglot import TokenType, exp

from converge.errors import UsageError
from converge.mapping.using import CONTROLS, DOUBTFUL, without_texts

_FORBIDDEN = (exp.Command, exp.DDL, exp.DML, exp.Into, exp.Lock, exp.Semicolon, exp.Placeholder)
# A comment may be one for the parser alone: MySQL runs /*! … */, and takes --1 for a number.
_COMMENTS = {"mysql": re.compile(r"--|/\*|#"), "postgres": re.compile(r"--|/\*")}


def one_query(text: str, dialect: Literal["mysql", "postgres"], place: str) -> str:
    """The query without a semicolon at its end. Raises UsageError for anything but one SELECT."""
    text = text.strip().rstrip(";").rstrip()
    try:
        trees = sqlglot.parse(text, read=dialect)
        tokens = sqlglot.tokenize(text, read=dialect)
        bare = without_texts(text, dialect)
    except sqlglot.errors.SqlglotError as error:
        raise _refused(place, f"cannot be parsed: {str(error).splitlines()[0]}", text) from error
    doubtful = _COMMENTS[dialect].search(bare) or DOUBTFUL[dialect].search(bare) or CONTROLS.search(text)
    if doubtful or any(token.comments for token in tokens):
        raise _refused(place, f"{doubtful[0] if doubtful else 'a comment'!r} may not stand in it", text)
    if len(trees) != 1 or not _balanced(tokens):
        raise _refused(place, "is more than one statement", text)
    tree = trees[0]
    if not isinstance(tree, exp.Query) or any(isinstance(node, _FORBIDDEN) for node in tree.walk()):
        raise _refused(place, "is not a query that only reads", text)
    return text


def _balanced(tokens: list[sqlglot.Token]) -> bool:
    """Whether no parenthesis closes what the text has not opened."""
    depth = 0
    for token in tokens:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth < 0:
            return False
    return depth == 0


def _refused(place: str, why: str, text: str) -> UsageError:
    hint = "one SELECT without comments: a query of a map only reads"
    return UsageError(f"{place} {text!r}: {why}", code="M002", hint=hint)
