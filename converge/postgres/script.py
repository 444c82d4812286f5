"""Runs a script such as pg_dump writes, without psql: an application's own schema for a temporary target.

A statement ends as in psql: at a semicolon outside of parentheses and of BEGIN ATOMIC … END; strings, dollar
quotes and nested comments are those of PostgreSQL's manual, 4.1. The rows of COPY … FROM stdin follow it up
to a line ``\\.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError, UsageError
from converge.postgres.capabilities import older
from converge.postgres.connect import is_lost

_SHOWN_BYTES = 100
_UNDEFINED = "42704"
_SETTING = re.compile(rb"SET\s+\w+\s*(=|TO\b)", re.IGNORECASE)
_OF_ROLES = re.compile(rb"(ALTER\b.*\bOWNER\s+TO|GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES)\b", re.I | re.S)
_TOKEN = re.compile(
    rb"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*+' | '(?:[^']|'')*+' | "[^"]*"
      | (?P<tag>\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$).*?(?P=tag))
  | (?P<open>[eE]?'|"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)
  | (?P<word>[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(rb"/\*|\*/")
_COMMAND = re.compile(rb"\s*\\(\w+|.)", re.DOTALL)
_COPY = re.compile(rb"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_ROUTINES = {b"FUNCTION", b"PROCEDURE"}
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

    Returns how many there were, and those that were passed over: pg_dump of a newer version sets what this
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
    place = _Place()
    for number, line in numbered:
        if not text:
            begin = number
            if command := _COMMAND.match(line):
                _require_idle(command[1].decode(errors="replace"), f"{name}, line {number}")
                continue
            dump = _dump(line.strip(), dump, f"{name}, line {number}")
        text += line
        if place.awaited not in line:
            continue
        while (place := _scan(text)).end >= 0:
            if place.first >= 0:
                sql, at = text[place.first : place.end - 1].strip(), begin + text.count(b"\n", 0, place.first)
                yield Statement(sql, at, _rows(numbered, name, at) if _COPY.match(sql) else None)
            begin += text.count(b"\n", 0, place.end)
            text = text[place.end :]
        if not place.awaited:
            text = b""
    where = f"{name}, line {number}"
    if text:
        opened = place.opened >= 0
        what = "a text or comment" if opened else "the statement"
        at = begin + text.count(b"\n", 0, place.opened if opened else place.first)
        raise _wrong(where, f"ends inside of {what} of line {at}")
    _dump(_DUMP, dump, where)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something of the first statement in a text is; -1 for nowhere."""

    first: int = -1
    """Its first word."""
    end: int = -1
    opened: int = -1
    """A text or comment that has no end."""
    awaited: bytes = b""
    """Before this has come, the statement has no end either; empty where none has begun."""


def _scan(text: bytes) -> _Place:
    at, first, brackets, blocks = 0, -1, 0, 0
    words: list[bytes] = []  # the first four, outside of brackets
    while found := _TOKEN.match(text, at):
        kind, token, (begin, at) = found.lastgroup, found[0], found.span()
        if kind == "comment" and (at := _after_comment(text, at)) < 0:
            return _Place(first, opened=begin, awaited=b"*/")
        if kind == "open":
            return _Place(first, opened=begin, awaited=token.lstrip(b"eE"))
        if kind in ("space", "comment"):
            continue
        if token == b";" and not brackets and not blocks:
            return _Place(first, at)
        first = begin if first < 0 else first
        if token in (b"(", b")"):
            brackets = max(0, brackets + (1 if token == b"(" else -1))
        elif kind == "word" and not brackets:
            words = [*words, token.upper()][:4]
            blocks = _blocks(blocks, token.upper(), words)
    return _Place(first, awaited=b";" if first >= 0 else b"")


def _blocks(blocks: int, word: bytes, words: list[bytes]) -> int:
    """How many of BEGIN ATOMIC and CASE have no END after this word; `words` begin the statement."""
    if word == b"BEGIN" and words[0] == b"CREATE" and _ROUTINES & set(words):
        return blocks + 1
    if blocks and word in (b"CASE", b"END"):
        return blocks + (1 if word == b"CASE" else -1)
    return blocks


def _after_comment(text: bytes, at: int) -> int:
    """The end of a comment, in which others may be nested; -1 where it has none."""
    depth = 1
    while depth:
        found = _COMMENT.search(text, at)
        if found is None:
            return -1
        depth, at = depth + (1 if found[0] == b"/*" else -1), found.end()
    return at


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
