"""SQL that a map may hold: one expression of known functions, one query that only reads, or a hook.

The parser must read it as the server does. Queries are run as subqueries in a transaction that is READ
ONLY; but a parenthesis too many would end the subquery, and MySQL writes files (INTO OUTFILE) in such a
transaction, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

import pgparse
import sqlglot
from sqlglot import TokenType, exp

from converge.codes import Code
from converge.errors import UsageError

COLUMN = "converge_column"
"""Stands for the value while an expression is parsed."""
# At the beginning of a statement REPLACE and INSERT are no functions.
_SELECT = "SELECT "
_FORBIDDEN = (
    exp.Query, exp.Subquery, exp.Command, exp.DDL, exp.DML, exp.Parameter, exp.SessionParameter,
    exp.PropertyEQ, exp.Placeholder, exp.Semicolon, exp.AggFunc, exp.Window,
)  # fmt: skip
# Functions that sqlglot has no class for and that only compute.
_HARMLESS = frozenset(
    """bin_to_uuid uuid_to_bin convert_tz substring_index regexp_replace regexp_substr json_unquote json_valid
    elt field find_in_set format inet_ntoa inet_aton inet6_ntoa inet6_aton is_uuid maketime makedate
    sec_to_time time_to_sec crc32 conv oct ord soundex strcmp truncate unhex hex
    gen_random_uuid uuid_generate_v4 uuidv4 uuidv7
    nextval now clock_timestamp to_timestamp jsonb_build_object""".split()  # noqa: SIM905
)
_FLEETING = re.compile(
    r"\b(now|sysdate|curdate|curtime|current_(date|time|timestamp)|localtime(stamp)?|utc_(date|time|timestamp)"
    r"|uuid(_short)?|rand|unix_timestamp\(\s*\))\b",
    re.IGNORECASE,
)
_TEXTS = frozenset({TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.BYTE_STRING})
# What opens a quotation for one of parser and PostgreSQL but not for the other, outside of texts.
_DOUBTFUL = {"mysql": re.compile(r"[{}$]"), "postgres": re.compile(r"[{}$`\\]")}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NOT_READING = (exp.Command, exp.DDL, exp.DML, exp.Into, exp.Lock, exp.Semicolon, exp.Placeholder)
# What begins a comment for the server and not for the parser; comments of both are left out.
_COMMENTS = {"mysql": re.compile(r"--|/\*|#"), "postgres": re.compile(r"--|/\*")}
_EXECUTED = re.compile(r"/\*[!+M]")


def expression(text: str, column: str) -> str:
    """`using` with the column's expression for every ``{}`` that is not inside a text. Raises UsageError."""
    marked = text.replace("{}", COLUMN)
    select = _SELECT + marked
    tree, tokens = _checked(marked, "mysql", "using")
    if fleeting := _FLEETING.search(_without_texts(tokens, select)):
        message = f"using = {text!r}: {fleeting[0]} is another value each time"
        raise UsageError(message, code=Code.M006, hint="the comparison must find what the copy has read")
    for node in tree.find_all(exp.Column):
        if node.sql() == "…":
            hint = "write it there"
            raise UsageError(f"using = {text!r}: … stands for a value of yours", code=Code.M006, hint=hint)
        if node.sql() != COLUMN:
            hint = "{} stands for the column itself"
            raise UsageError(f"using = {text!r}: it may read no other column", code=Code.M006, hint=hint)
    # Inside a text it is two braces: a column's name there could end the text.
    made, at = "", len(_SELECT)
    for token in tokens:
        if token.token_type == TokenType.VAR and select[token.start : token.end + 1] == COLUMN:
            made += select[at : token.start].replace(COLUMN, "{}") + column
            at = token.end + 1
    return f"({made}{select[at:].replace(COLUMN, '{}')})"


def parsed(text: str) -> exp.Expr:
    """The tree of a `using`, with COLUMN for the value. Raises UsageError."""
    return _checked(text.replace("{}", COLUMN), "mysql", "using")[0]


def default(text: str) -> str:
    """A default of the target from a map. Raises UsageError."""
    _checked(text, "postgres", "default")
    return f"({text})"


def _checked(text: str, dialect: str, key: str) -> tuple[exp.Expr, list[sqlglot.Token]]:
    """The tree of an expression, and its tokens behind SELECT."""

    def refused(why: str) -> UsageError:
        hint = 'one expression of functions that only compute: docs/security.md, "Maps and plans"'
        return UsageError(f"{key} = {text!r}{why}", code=Code.M006, hint=hint)

    try:
        trees = sqlglot.parse(f"{_SELECT}({text})", read=dialect)
        tokens = sqlglot.tokenize(_SELECT + text, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise refused(f" is not an expression: {str(error).splitlines()[0]}") from error
    tree = _only_column(trees)
    if tree is None or any(sign in text for sign in (";", "--", "/*", "#")):
        raise refused(" must be one expression")
    doubtful = _DOUBTFUL[dialect].search(_without_texts(tokens, _SELECT + text)) or _CONTROLS.search(text)
    if doubtful:
        raise refused(f": {doubtful[0]!r} may not stand in a map")
    for node in tree.walk():
        name = node.name if isinstance(node, exp.Anonymous) else ""
        harmless = not isinstance(node, exp.Anonymous) or name.lower() in _HARMLESS
        if isinstance(node, _FORBIDDEN) or not harmless:
            raise refused(f": {name or type(node).__name__.lower()} may not stand in a map")
    return tree, tokens


def _only_column(trees: Sequence[exp.Expr | None]) -> exp.Expr | None:
    """What is in the brackets of ``SELECT (…)``; None where the statement has anything else."""
    select = trees[0] if len(trees) == 1 else None
    if not isinstance(select, exp.Select) or any(
        value for name, value in select.args.items() if name != "expressions"
    ):
        return None
    inner = select.expressions[0] if len(select.expressions) == 1 else None
    return inner.this if isinstance(inner, exp.Paren) else None


def _without_texts(tokens: list[sqlglot.Token], text: str) -> str:
    """The text's tokens but for its strings."""
    return " ".join(text[one.start : one.end + 1] for one in tokens if one.token_type not in _TEXTS)


def one_query(text: str, dialect: Literal["mysql", "postgres"], place: str) -> str:
    """The query without comments and semicolon. Raises UsageError for anything but one SELECT."""

    def refused(why: str) -> UsageError:
        hint = "one SELECT: a query of a map only reads"
        return UsageError(f"{place} {text!r}: {why}", code=Code.M002, hint=hint)

    try:
        trees = [
            one for one in sqlglot.parse(text, read=dialect) if one and not isinstance(one, exp.Semicolon)
        ]
        tokens = sqlglot.tokenize(text, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise refused(f"cannot be parsed: {str(error).splitlines()[0]}") from error
    bare = _without_texts(tokens, text)
    doubtful = (
        _COMMENTS[dialect].search(bare)
        or _DOUBTFUL[dialect].search(bare)
        or _CONTROLS.search(text)
        or _EXECUTED.search(text)
    )
    if doubtful:
        raise refused(f"{doubtful[0]!r} may not stand in it")
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if len(trees) != 1 or not _balanced(tokens):
        raise refused("is more than one statement")
    if not isinstance(trees[0], exp.Query) or trees[0].find(*_NOT_READING):
        raise refused("is not a query that only reads")
    # As it is written, so that the server finds no other tokens; with spaces where a comment was.
    made, end = "", tokens[0].start
    for token in tokens:
        made += (" " if token.start > end else "") + text[token.start : token.end + 1]
        end = token.end + 1
    return made


def one_transaction(text: str, place: str) -> str:
    """A hook's statements. Raises UsageError where PostgreSQL's parser does not read them, or where one of
    them would begin, end or divide the transaction that they share with the ledger, or cannot run in it."""
    try:
        trees = pgparse.parse(text)
    except (pgparse.PGQueryError, RecursionError, ValueError) as error:
        why, hint = f"PostgreSQL cannot parse it: {error}", "separate statements with semicolons"
    else:
        why, hint = "a hook runs in one transaction", "remove BEGIN, COMMIT, ROLLBACK and SAVEPOINT"
        # The parser would stop at a NUL.
        if "\0" not in text and not any("TransactionStmt" in tree["stmt"] for tree in trees):
            refused = [(found, tree) for tree in trees if (found := _obstacle(tree["stmt"]))]
            if not refused:
                return text
            (why, hint), tree = refused[0]
            # Its place counts bytes.
            own = text.encode()[tree.get("stmt_location", 0) :][: tree.get("stmt_len")]
            why = f"{why}: {own.decode().strip()}"
    raise UsageError(f"{place}: {why}", code=Code.M002, hint=hint)


_ALONE: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "VacuumStmt": lambda one: one.get("is_vacuumcmd"),
    "IndexStmt": lambda one: one.get("concurrent"),
    "DropStmt": lambda one: one.get("concurrent"),
    "AlterTableStmt": lambda one: any(
        cmd["AlterTableCmd"].get("def", {}).get("PartitionCmd", {}).get("concurrent") for cmd in one["cmds"]
    ),
    "ReindexStmt": lambda one: (
        one["kind"].endswith(("_SCHEMA", "_DATABASE", "_SYSTEM")) or "concurrently" in _options(one, "params")
    ),
    "ClusterStmt": lambda one: "relation" not in one,
    "DiscardStmt": lambda one: one["target"] == "DISCARD_ALL",
    "AlterSystemStmt": bool,
    "CreatedbStmt": bool,
    "DropdbStmt": bool,
    "AlterDatabaseStmt": lambda one: "tablespace" in _options(one),
    "CreateTableSpaceStmt": bool,
    "DropTableSpaceStmt": bool,
    "CreateSubscriptionStmt": lambda one: not _options(one) & {"create_slot", "connect"},
    "AlterSubscriptionStmt": lambda one: one["kind"].endswith("_REFRESH"),
}
"""Statements that PostgreSQL refuses in a transaction block, by the parser's kinds: which of a kind
(PreventInTransactionBlock in its source); not those that hang on the catalog, such as DROP SUBSCRIPTION."""


def _options(statement: dict[str, Any], key: str = "options") -> set[str]:
    return {one["DefElem"]["defname"] for one in statement.get(key, ())}


def _obstacle(statement: dict[str, Any]) -> tuple[str, str] | None:
    """Why a hook cannot have this statement, and what to do; None where it can."""
    ((kind, own),) = statement.items()
    if kind == "CopyStmt" and "filename" not in own:
        return "COPY of STDIN or STDOUT needs a client", "use INSERT, or COPY of a file of the server"
    if kind in _ALONE and _ALONE[kind](own):
        return "it cannot run in a transaction", "run it after the migration, or without CONCURRENTLY"
    return None


def _balanced(tokens: list[sqlglot.Token]) -> bool:
    """Whether no parenthesis closes what the text has not opened."""
    signs = {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}
    depths = list(accumulate(signs.get(token.token_type, 0) for token in tokens))
    return min(depths, default=0) >= 0 and depths[-1:] in ([], [0])
