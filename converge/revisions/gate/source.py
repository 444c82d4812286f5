"""Whether a revision's Python says all that it does, so that it can be read without a database."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# What a revision may import and still do nothing but what Alembic writes down.
_IMPORTS = frozenset(
    {"__future__", "alembic", "collections", "datetime", "decimal", "enum", "json", "sqlalchemy"}
    | {"textwrap", "typing", "uuid"}
)
_ASKS = {
    "get_bind": "it asks the database while it runs",
    "bind": "it asks the database while it runs",
    "connection": "it asks the database while it runs",
    "inspect": "it asks the database while it runs",
    "Session": "it asks the database while it runs",
    "create_engine": "it makes a connection of its own",
    "create_async_engine": "it makes a connection of its own",
    "engine_from_config": "it makes a connection of its own",
    "run_async": "it asks the database while it runs",
    "is_offline_mode": "it may do something else when it runs",
    "as_sql": "it may do something else when it runs",
    "get_x_argument": "it does what an argument says",
    **dict.fromkeys(
        ("open", "eval", "exec", "compile", "__import__", "getattr", "globals", "locals", "vars", "input"),
        "it calls {}(), which may do anything",
    ),
}


def hides(text: str) -> str:
    """Why the text does not say all; empty when it does. The text is not run."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return f"it is no Python: {error}"
    return next(_reasons(tree), "")


def _reasons(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for module in _imported(node):
            if module.split(".")[0] not in _IMPORTS:
                yield f"it imports {module}, and what that does is not in its text"
            elif module == "alembic.context":
                yield "it may do something else when it runs"
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in _ASKS:
            yield _ASKS[name].format(name)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from (f"{module}.{one.name}" for one in node.names)
