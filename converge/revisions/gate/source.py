"""Whether a revision's Python does the same each time, so that what it writes offline is all that it does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_OPERATIONS = (
    "add_column|alter_column|batch_alter_table|bulk_insert|create_(?:check|exclude|unique)_constraint"
    "|create_(?:foreign_key|index|primary_key|table|table_comment)|drop_(?:column|constraint|index|table)"
    "|drop_table_comment|execute|f|rename_table"
)
_SQLALCHEMY = (
    r"(?:types\.|dialects\.postgresql\.)?[A-Z]\w*|(?:sql\.)?func(?:\.[a-z]\w*)+|dialects\.postgresql\.array"
    "|(?:sql\\.)?(?:cast|column|false|literal|literal_column|null|table|text|true)"
)
_KNOWN_CALL = re.compile(
    rf"alembic\.op\.(?:{_OPERATIONS})|sqlalchemy\.(?:{_SQLALCHEMY})|print|NotImplementedError"
)
_METHODS = ("bindparams", "with_variant")
_CONTEXT = "alembic.op.get_context"
_MODULES = (
    "__future__", "alembic", "alembic.op", "collections.abc", "sqlalchemy", "sqlalchemy.dialects",
    "sqlalchemy.dialects.postgresql", "typing",
)  # fmt: skip
_BUILTINS = ("NotImplementedError", "bool", "dict", "int", "list", "print", "str", "tuple")
# No conditions, so that nothing depends on what is there; no assignment but to names: nothing is remembered.
_SYNTAX = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.FunctionDef, ast.arguments, ast.arg, ast.Expr,
    ast.Pass, ast.Raise, ast.Return, ast.Assign, ast.AnnAssign, ast.For, ast.With, ast.withitem, ast.Call,
    ast.keyword, ast.Attribute, ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.JoinedStr,
    ast.FormattedValue, ast.UnaryOp, ast.BinOp, ast.Subscript, ast.expr_context, ast.operator, ast.unaryop,
)  # fmt: skip


def unknown_python(text: str) -> str:
    """What of the text may do something else when it runs; empty for nothing. The text is not run."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        return f"cannot be parsed: {error}"
    reader = _Reader(tree)
    for node in ast.walk(tree):
        if what := reader.unknown(node):
            return f"line {getattr(node, 'lineno', 1)}: {what} may do something else when it runs"
    return ""


class _Reader:
    """Knows what names stand for: what is imported, or `function`, `batch`, `values`, `anything`."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        self._called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        self._inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self._names: dict[str, str] = {}
        for node in nodes:
            for name, meaning in _binds(node):
                # A name that is bound twice is not followed; as any other one it may hold a list.
                again = name in self._names and self._names[name] != meaning
                self._names[name] = "anything" if again else meaning

    def unknown(self, node: ast.AST) -> str:
        """What is not known of this node itself; empty for nothing."""
        match node:
            case ast.Import(names=imported):
                unknown = [one.name for one in imported if one.name not in _MODULES]
                return f"import {unknown[0]}" if unknown else ""
            case ast.ImportFrom(module=module, level=level):
                return f"import {module}" if level or module not in _MODULES else ""
            case ast.FunctionDef(decorator_list=[_, *_]) | ast.arguments(defaults=[_, *_]):
                return "a decorator or default"
            case ast.arguments(kw_defaults=[_, *_]):
                return "a default"
            case ast.Assign(targets=targets) if not all(isinstance(one, ast.Name) for one in targets):
                return "an assignment to a part"
            case ast.AnnAssign(target=target) if not isinstance(target, ast.Name):
                return "an assignment to a part"
            case ast.For(iter=iterated) if not self._is_constant(iterated):
                return f"for … in {ast.unparse(iterated)}"
            case ast.withitem(context_expr=made) if not self._is_block(made):
                return f"with {ast.unparse(made)}"
            case ast.Call(func=function) if not self._is_known(function):
                return f"{ast.unparse(function)}()"
            case ast.Attribute() | ast.Name(ctx=ast.Load()) if id(node) not in self._called | self._inner:
                return "" if self._is_value(node) else ast.unparse(node)
        return "" if isinstance(node, _SYNTAX) else type(node).__name__

    def _path(self, node: ast.AST) -> str:
        """What a dotted name stands for; empty unless it begins with one that is imported or built in."""
        match node:
            case ast.Name(id=name):
                meaning = self._names.get(name, name if name in _BUILTINS else "")
                return meaning if "." in meaning or meaning in (*_MODULES, *_BUILTINS) else ""
            case ast.Attribute(value=value, attr=attr):
                path = self._path(value)
                return f"{path}.{attr}" if path else ""
        return ""

    def _is_constant(self, node: ast.expr) -> bool:
        listed = isinstance(node, ast.Name) and self._names.get(node.id) == "values"
        return listed or isinstance(node, ast.Tuple | ast.List)

    def _is_block(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and (
            self._path(node.func) == "alembic.op.batch_alter_table" or self._is_autocommit(node.func)
        )

    def _is_autocommit(self, function: ast.expr) -> bool:
        match function:
            case ast.Attribute(value=ast.Call(func=made), attr="autocommit_block"):
                return self._path(made) == _CONTEXT
        return False

    def _is_known(self, function: ast.expr) -> bool:
        if path := self._path(function):
            return path == _CONTEXT or _KNOWN_CALL.fullmatch(path) is not None
        match function:
            case ast.Name(id=name):
                return self._names.get(name) == "function"
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if self._names.get(name) == "batch":
                return re.fullmatch(_OPERATIONS, attr) is not None
            case ast.Attribute(attr=attr):
                return attr in _METHODS or self._is_autocommit(function)
        return False

    def _is_value(self, node: ast.AST) -> bool:
        """Whether the name may be handed on; what Alembic or SQLAlchemy could call may not."""
        if path := self._path(node):
            return path not in _MODULES and not path.startswith("alembic") and "._" not in path
        return isinstance(node, ast.Name) and self._names.get(node.id) in ("anything", "values")


def _binds(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            yield from (
                (one.asname, one.name) if one.asname else (one.name.split(".")[0],) * 2 for one in names
            )
        case ast.ImportFrom(module=module, names=names):
            yield from ((one.asname or one.name, f"{module}.{one.name}") for one in names)
        case ast.FunctionDef(name=name):
            yield name, "function"
        case ast.Assign(targets=targets, value=value):
            meaning = "values" if isinstance(value, ast.Tuple | ast.List) else "anything"
            yield from ((one.id, meaning) for one in targets if isinstance(one, ast.Name))
        case ast.For(target=target):
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from ((one.id, "anything") for one in parts if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name, "anything"
        case ast.withitem(optional_vars=ast.Name(id=name)):
            yield name, "batch"
        case ast.arg(arg=name):
            yield name, "anything"
