"""Runs a script such as pg_dump writes, without psql: an application's own schema for a temporary target.

A statement ends where PostgreSQL's own parser (pgparse) finds nothing but whole ones up to the end of a line.
What it does not know may be newer: the server says what that is. The rows of COPY … FROM stdin follow it up
to a line ``\\.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pgparse
import psycopg

from converge.codes import Code
from converge.errors import TargetError, UsageError
from converge.postgres.capabilities import older
from converge.postgres.errors import is_lost

_SHOWN_BYTES = 100
_UNDEFINED = "42704"
_SETTING = re.compile(rb"SET\s+\w+\s*(=|TO\b)", re.IGNORECASE)
_OF_ROLES = re.compile(rb"(ALTER\b.*\bOWNER\s+TO|GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES)\b", re.I | re.S)
_SPACE = re.compile(rb"\s+|--[^\n]*|/\*")
_COMMENT = re.compile(rb"/\*|\*/")
_COMMAND = re.compile(rb"\s*\\(\w+|.)", re.DOTALL)
_END_OF_ROWS = b"\\."
_DUMP = b"-- PostgreSQL database dump"
_DUMP_END = _DUMP + b" complete"
_IDLE = frozenset({"restrict", "unrestrict", "echo", "qecho", "warn", "pset", "timing", "set", "unset"})
"""Commands of psql without which the statements mean the same."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without its semicolon."""

    text: bytes
    line: int
    rows: Iterator[bytes] | None = None
    """Lines for COPY, to be read before the next statement."""


def run_script(
    connection: psycopg.Connection[Any], lines: Iterable[bytes], name: str
) -> tuple[int, tuple[str, ...]]:
    """Executes all statements, each by itself unless the script says BEGIN.

    Returns how many there were, and those that were skipped: pg_dump of a newer version sets what this
    one does not know. Raises TargetError with the line of the first that the server refuses, and UsageError
    for a script that is cut short.
    """
    count, passed_over = 0, []
    for statement in split(lines, name):
        count += 1
        try:
            _run(connection, statement)
        except psycopg.Error as error:
            if error.sqlstate != _UNDEFINED or not _SETTING.match(statement.text):
                version = connection.info.parameter_status("server_version") or ""
                raise _refused(error, statement, name, version) from error
            passed_over.append(_begin_of(statement))
    return count, tuple(passed_over)


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    if statement.rows is None:
        connection.execute(statement.text)
        return
    with connection.cursor() as cursor, cursor.copy(statement.text) as copy:
        for row in statement.rows:
            copy.write(row)


def _refused(error: psycopg.Error, statement: Statement, name: str, version: str) -> TargetError:
    said = error.diag.message_primary or str(error).strip()
    lacking, instead = older(statement.text.decode(errors="replace"), version)
    return TargetError(
        f"{name}, line {statement.line}: {said}",
        code=Code.X024,
        details=[
            _begin_of(statement),
            *filter(None, [error.diag.message_detail]),
            *lacking,
        ],
        hint=instead or error.diag.message_hint or _no_roles(error, statement),
        lost=is_lost(error),
    )


def _no_roles(error: psycopg.Error, statement: Statement) -> str | None:
    missing = error.sqlstate == _UNDEFINED and _OF_ROLES.match(statement.text)
    return "pg_dump --no-owner --no-privileges" if missing else None


def _begin_of(statement: Statement) -> str:
    shown = statement.text[:_SHOWN_BYTES].decode(errors="replace")
    return shown + " …" if len(statement.text) > _SHOWN_BYTES else shown


def split(lines: Iterable[bytes], name: str) -> Iterator[Statement]:
    """The statements of a script, one at a time; those that are only comments are left out.

    Raises UsageError for a script that is cut short and for commands of psql that cannot be left out.
    """
    numbered, number = enumerate(lines, 1), 0
    dump = 0  # the line on which a dump begins that has not ended
    text, begin = b"", 1  # what is not given out yet, and the line on which it begins
    for number, line in numbered:
        if not text:
            begin, where = number, f"{name}, line {number}"
            if command := _COMMAND.match(line):
                _require_idle(command[1].decode(errors="replace"), where)
                continue
            dump = _dump(line.strip(), dump, where)
        text += line
        if not _bare(text):
            text = b""
        elif b";" in line and (found := _whole(text)) is not None:
            for at, sql, has_rows in found:
                yield Statement(sql, begin + at, _rows(numbered, name, begin + at) if has_rows else None)
            text = b""
    where = f"{name}, line {number}"
    if text:
        at = begin + text.count(b"\n", 0, len(text) - len(_bare(text)))
        raise _wrong(where, f"ends inside of the statement of line {at}")
    _dump(_DUMP, dump, where)


def _whole(text: bytes) -> list[tuple[int, bytes, bool]] | None:
    """Statements, each with the lines before it and whether rows follow; None where the last has no end."""
    try:
        code, words = "utf-8", text.decode()
    except UnicodeDecodeError:
        code, words = "latin-1", text.decode("latin-1")
    try:
        trees = pgparse.parse(words)
    except (pgparse.PGQueryError, RecursionError, ValueError) as error:
        if "unterminated" in str(error) or "end of input" in str(error):
            return None
        sql = _bare(text)
        return [(text.count(b"\n", 0, len(text) - len(sql)), sql, False)]
    if trees and "stmt_len" not in trees[-1]:
        return None
    found, utf8 = [], words.encode()
    for tree in trees:
        start = tree.get("stmt_location", 0)
        end = start + tree["stmt_len"]
        sql = _bare(utf8[start:end])
        copy = tree["stmt"].get("CopyStmt", {})
        has_rows = bool(copy.get("is_from")) and "filename" not in copy
        found.append((utf8.count(b"\n", 0, end - len(sql)), sql.decode().encode(code).strip(), has_rows))
    return found


def _bare(text: bytes) -> bytes:
    """Without spaces and comments before it; one that has no end is kept. Comments may be nested."""
    at = 0
    while found := _SPACE.match(text, at):
        end, depth = found.end(), int(found[0] == b"/*")
        while depth:
            inner = _COMMENT.search(text, end)
            if inner is None:
                return text[at:]
            end, depth = inner.end(), depth + (1 if inner[0] == b"/*" else -1)
        at = end
    return text[at:]


def _rows(numbered: Iterator[tuple[int, bytes]], name: str, begin: int) -> Iterator[bytes]:
    number = begin
    for number, line in numbered:  # noqa: B007
        if line.rstrip(b"\r\n") == _END_OF_ROWS:
            return
        yield line
    raise _wrong(f"{name}, line {number}", f"ends inside of the rows of line {begin}")


def _dump(comment: bytes, begun: int, where: str) -> int:
    """The line on which a dump has begun, after this comment: pg_dump says that, and that it is complete."""
    if comment == _DUMP_END:
        return 0
    if comment != _DUMP:
        return begun
    if begun:
        raise _wrong(
            where,
            f"the dump of line {begun} has no end: {_DUMP_END.decode()!r} is missing",
            "write the file with pg_dump again: what is missing nobody knows",
        )
    return int(where.rpartition(" ")[2])


def _require_idle(word: str, where: str) -> None:
    if word not in _IDLE:
        raise _wrong(
            where,
            f"\\{word} is a command of psql, which cannot be carried out here",
            "pg_dump without --create"
            if word in ("connect", "c")
            else "leave it out, or give several files: --target-sql a.sql --target-sql b.sql",
        )


def _wrong(where: str, words: str, hint: str | None = None) -> UsageError:
    return UsageError(f"{where}: {words}", code=Code.X023, hint=hint)
