"""What a revision would execute, without a database: its SQL, where its Python does the same each time."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.revision import Direction, Revision
from converge.postgres.engine import ALEMBIC
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder
from converge.revisions.gate.statements import Unreadable

_OPERATIONS = (
    "add_column|alter_column|batch_alter_table|bulk_insert|create_(?:check|exclude|unique)_constraint"
    "|create_(?:foreign_key|index|primary_key|table|table_comment)|drop_(?:column|constraint|index|table)"
    "|drop_table_comment|execute|f|get_context|rename_table"
)
_TYPE = r"sqlalchemy\.(?:types\.|dialects\.postgresql\.)?[A-Z]\w*"
_CALL = re.compile(
    rf"alembic\.op\.(?:{_OPERATIONS})|alembic\.op\.get_context\(\)\.autocommit_block|{_TYPE}"
    r"|sqlalchemy\.(?:sql\.)?(?:func(?:\.[a-z]\w*)+|cast|column|false|literal|literal_column|null|table|text|true)"
    r"|sqlalchemy\.dialects\.postgresql\.array|sqlalchemy\..*\(\)\.(?:bindparams|with_variant)"
    "|print|NotImplementedError|function"
)
_VALUE = re.compile(
    rf"{_TYPE}|(?:typing|collections\.abc)\.[A-Z]\w*|NotImplementedError|value|bool|dict|int|list|str|tuple"
)
_BLOCK = re.compile(r"alembic\.op\.(?:batch_alter_table|get_context\(\)\.autocommit_block)\(\)")
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


def executed(folder: Folder, revision: Revision, direction: Direction) -> list[str]:
    """What the revision would execute. Raises Unreadable; nothing is run where its Python may do more."""
    if reason := unknown_python(revision.text):
        raise Unreadable(reason)
    written: list[str] = []
    # It would say that it generates SQL, after an env.py that has asked for its log.
    log = logging.getLogger(MigrationContext.__module__)
    was, log.disabled = log.disabled, True
    context = MigrationContext.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        opts={"as_sql": True, "literal_binds": True},
    )
    log.disabled = was
    context.impl.static_output = written.append  # type: ignore[assignment, method-assign]
    # What an autocommit_block writes around its statements, which are all that is judged.
    context.impl.emit_begin = context.impl.emit_commit = lambda: None  # type: ignore[method-assign]
    module = folder.script.get_revision(revision.id).module
    try:
        with ALEMBIC, users_own(Code.A007, revision.id), Operations.context(context):
            (module.upgrade if direction == "up" else module.downgrade)()
    except ConvergeError as error:
        why = error.message.removeprefix(f"{revision.id}: ")
        raise Unreadable(f"cannot be read without running it: {why}") from error
    return written


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
    """What expressions stand for: `sqlalchemy.text()`; of names in the file, a `function` or a `value`."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        # What is called, or has an attribute that is looked at, is looked at with that.
        self._inner = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        self._inner |= {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self._names = dict(zip(_BUILTINS, _BUILTINS, strict=True))
        batches = {id(node.optional_vars) for node in nodes if isinstance(node, ast.withitem)}
        for node in nodes:
            for name, meaning in _binds(node) if id(node) not in batches else ():
                # A name that is bound to two things may be called no more.
                self._names[name] = meaning if self._names.get(name, meaning) == meaning else "value"

    def _path(self, node: ast.AST) -> str:
        match node:
            case ast.Name(id=name):
                return self._names.get(name, "")
            case ast.Attribute(value=value, attr=attr):
                return f"{self._path(value)}.{attr}"
            case ast.Call(func=function):
                return f"{self._path(function)}()"
        return ""

    def unknown(self, node: ast.AST) -> str:
        """What is not known of this node itself; empty for nothing."""
        match node:
            case ast.Import(names=names):
                known = all(one.name in _MODULES for one in names)
            case ast.ImportFrom(module=module, level=level):
                known = not level and module in _MODULES
            case ast.FunctionDef(decorator_list=more) | ast.arguments(defaults=more):
                known = not more and not getattr(node, "kw_defaults", ())
            case ast.Assign(targets=targets):
                known = all(isinstance(one, ast.Name) for one in targets)
            case ast.AnnAssign(target=target):
                known = isinstance(target, ast.Name)
            case ast.For(iter=values):
                known = isinstance(values, ast.Tuple | ast.List)
            case ast.withitem(context_expr=made):
                known = _BLOCK.fullmatch(self._path(made)) is not None
            case ast.Subscript(ctx=context):
                known = isinstance(context, ast.Load)
            case ast.Call(func=function):
                known = _CALL.fullmatch(self._path(function)) is not None
            case ast.Attribute() | ast.Name(ctx=ast.Load()) if id(node) not in self._inner:
                known = _VALUE.fullmatch(self._path(node)) is not None
            case _:
                known = isinstance(node, _SYNTAX)
        return "" if known else ast.unparse(node).partition("\n")[0] or type(node).__name__


def _binds(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            for one in names:
                yield (one.asname, one.name) if one.asname else (one.name.partition(".")[0],) * 2
        case ast.ImportFrom(module=module, names=names):
            yield from ((one.asname or one.name, f"{module}.{one.name}") for one in names)
        case ast.FunctionDef(name=name):
            yield name, "function"
        case ast.withitem(optional_vars=ast.Name(id=name)):
            # Of batch_alter_table: it has the same operations.
            yield name, "alembic.op"
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name, "value"
