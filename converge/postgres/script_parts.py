"""Splits what pg_dump writes into statements, as psql does, one line at a time.

Works on bytes. The rules are those of PostgreSQL's manual, 4.1 (strings, dollar quotes, nested comments), and
of psql: a semicolon ends a statement outside of parentheses and of BEGIN ATOMIC … END, and the rows of COPY
… FROM stdin follow it up to a line ``\\.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from converge.codes import Code
from converge.errors import UsageError

_WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"
_TOKENS = re.compile(rb"--|/\*|\"|\$(?:" + _WORD.replace(b"$", b"") + rb")?\$|[();]|" + _WORD + rb"'?|'")
_COMMENT = re.compile(rb"/\*|\*/")
_ESCAPED = re.compile(rb"(?:[^'\\]|\\.|'')*+'", re.DOTALL)
_COMMAND = re.compile(rb"\s*\\(\w+|.)(.*)", re.DOTALL)
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


def split(lines: Iterable[bytes], name: str) -> Iterator[Statement]:
    """The statements of a script; those that are only comments are left out.

    Raises UsageError for a script that is cut short and for commands of psql that cannot be left out.
    """
    return _Splitter(lines, name).statements()


class _Splitter:
    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._line = 0
        self._dump = 0  # line on which a dump begins that has not ended
        self._reset()

    def _reset(self) -> None:
        self._pieces: list[bytes] = []
        self._words: list[bytes] = []  # the first four
        self._begin = self._first = 0  # line and place of its first word
        self._end: re.Pattern[bytes] | None = None  # of the text or comment that is open
        self._comments = 0  # how deep
        self._opened = 0
        self._brackets = 0
        self._blocks = 0  # BEGIN ATOMIC and CASE without their END

    def statements(self) -> Iterator[Statement]:
        for line in self._lines:
            self._line += 1
            if not self._pieces and self._end is None and (command := _COMMAND.match(line)):
                self._pass_over(command)
                continue
            yield from self._cut(line)
        if self._end is not None:
            raise self._wrong(f"ends inside of a text or comment of line {self._opened}")
        if self._pieces:
            raise self._wrong(f"ends inside of the statement of line {self._begin}")
        self._require_dumped()

    def _cut(self, line: bytes) -> Iterator[Statement]:
        """The statements that end on a line."""
        at = start = 0
        while at < len(line):
            token, at = self._next(line, at)
            if token == b";" and not self._brackets and not self._blocks:
                self._take(line, start, at - 1)
                start = at
                if self._pieces:
                    yield self._statement()
        self._take(line, start, len(line))

    def _take(self, line: bytes, start: int, end: int) -> None:
        """Adds to the statement, which begins with its first word: what is before is left out."""
        if self._begin:
            self._pieces.append(line[start if self._pieces else self._first : end])

    def _statement(self) -> Statement:
        text, line = b"".join(self._pieces).strip(), self._begin
        self._reset()
        return Statement(text, line, self._rows(line) if _COPY.match(text) else None)

    def _rows(self, begin: int) -> Iterator[bytes]:
        for line in self._lines:
            self._line += 1
            if line.rstrip(b"\r\n") == _END_OF_ROWS:
                return
            yield line
        raise self._wrong(f"ends inside of the rows of line {begin}")

    def _next(self, line: bytes, at: int) -> tuple[bytes, int]:
        """The next token that means something, and where it ends; the end of the line without one."""
        if self._end is not None:
            return b"", self._close(line, at)
        match = _TOKENS.search(line, at)
        upto = match.start() if match else len(line)
        blank = len(line[at:upto]) - len(line[at:upto].lstrip())
        if at + blank < upto:
            self._mark(at + blank)
        if match is None:
            return b"", len(line)
        token = match[0]
        if token == b"--":
            self._look(line[match.start() :].strip())
            return b"", len(line)
        if token == b"/*":
            self._open(_COMMENT)
            self._comments = 1
            return b"", match.end()
        if token != b";":
            self._mark(match.start())
        self._count(token)
        return token, match.end()

    def _look(self, comment: bytes) -> None:
        """pg_dump says where it begins, and in the end that it is complete."""
        if comment == _DUMP:
            self._require_dumped()
            self._dump = self._line
        elif comment == _DUMP_END:
            self._dump = 0

    def _require_dumped(self) -> None:
        if self._dump:
            raise self._wrong(
                f"the dump of line {self._dump} has no end: {_DUMP_END.decode()!r} is missing",
                hint="write the file with pg_dump again: what is missing nobody knows",
            )

    def _count(self, token: bytes) -> None:
        if token.endswith(b"'"):
            self._open(_ESCAPED if token in (b"e'", b"E'") else re.compile(b"'"))
        elif token == b'"' or token[:1] == b"$":
            self._open(re.compile(re.escape(token)))
        elif token in (b"(", b")"):
            self._brackets = max(0, self._brackets + (1 if token == b"(" else -1))
        elif not self._brackets:
            self._nest(token.upper())

    def _nest(self, word: bytes) -> None:
        if len(self._words) < 4:
            self._words.append(word)
        if word == b"BEGIN" and self._words[0] == b"CREATE" and _ROUTINES & set(self._words):
            self._blocks += 1
        elif self._blocks and word in (b"CASE", b"END"):
            self._blocks += 1 if word == b"CASE" else -1

    def _mark(self, at: int) -> None:
        if not self._begin:
            self._begin, self._first = self._line, at

    def _open(self, end: re.Pattern[bytes]) -> None:
        self._end, self._opened = end, self._line

    def _close(self, line: bytes, at: int) -> int:
        """Goes to the end of what is open; a doubled quote ends a text and begins the next."""
        assert self._end is not None
        found = self._end.match(line, at) if self._end is _ESCAPED else self._end.search(line, at)
        if found is None:
            return len(line)
        if self._end is _COMMENT:
            self._comments += 1 if found[0] == b"/*" else -1
        if not self._comments:
            self._end = None
        return found.end()

    def _pass_over(self, command: re.Match[bytes]) -> None:
        word = command[1].decode(errors="replace")
        if word not in _IDLE:
            raise self._wrong(
                f"\\{word} is a command of psql, which cannot be carried out here",
                hint="pg_dump without --create"
                if word in ("connect", "c")
                else "leave it out, or give several files: --target-sql a.sql --target-sql b.sql",
            )

    def _wrong(self, words: str, hint: str | None = None) -> UsageError:
        return UsageError(f"{self._name}, line {self._line}: {words}", code=Code.X023, hint=hint)
