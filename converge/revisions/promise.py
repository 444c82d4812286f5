"""What a revision's downgrade promises to restore."""

from __future__ import annotations

import ast
from typing import get_args

from converge.codes import Code
from converge.errors import UsageError
from converge.model.revision import Restores


def promise(path: str, text: str, word: object) -> Restores:
    """The revision's own `word`, else what its text shows: a downgrade that does nothing promises nothing.

    Raises UsageError for a word that is none.
    """
    for known in get_args(Restores):
        if word == known:
            return known  # type: ignore[no-any-return]
    if word is not None:
        raise UsageError(
            f"{path}: {word!r} is nothing that a downgrade restores",
            code=Code.A054,
            hint='converge = {"restores": "all"} or "catalog" or "nothing"',
        )
    return "nothing" if _is_empty(text) else "all"


def _is_empty(text: str) -> bool:
    """Whether `downgrade` is missing, empty, or only says that it cannot be done."""
    bodies = [
        node.body
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade"
    ]
    return all(
        isinstance(node, ast.Pass | ast.Raise) or _is_constant(node) for body in bodies for node in body
    )


def _is_constant(node: ast.stmt) -> bool:
    """A docstring, or an ellipsis."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
