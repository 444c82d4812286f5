"""Splits what mysqldump writes into statements, as the mysql client does, one line at a time.

Works on bytes: a dump may hold binary values and several character sets. The rules are those of the
MySQL 8.0 Reference Manual, 4.5.1 (DELIMITER), 9.1.1 (strings), 9.2 (identifiers) and 9.7 (comments).
Not covered: the mysql client's \\g and \\G, and character sets in which a byte of a character may be
a backslash (Big5, GBK, Shift-JIS), which mysqldump doesn't write unless told to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from converge.sandbox.errors import DumpError

_DELIMITER = re.compile(rb"\s*delimiter(?:\s+(\S+).*|\s*)", re.IGNORECASE | re.DOTALL)
# What ends a quoted text: a doubled quote is the end of one text and the begin of the next.
_ENDS = {
    b"'": re.compile(rb"(?:[^'\\]+|\\.|\\\Z)*+(')?", re.DOTALL),
    b'"': re.compile(rb'(?:[^"\\]+|\\.|\\\Z)*+(")?', re.DOTALL),
    b"`": re.compile(rb"[^`]*(`)?"),
    b"/*": re.compile(rb"(?:[^*]+|\*(?!/))*+(\*/)?"),
}
_TOKENS = rb"['\"`]|#|--(?=[\x00-\x20]|\Z)|/\*"
_VERSION_COMMENT_TOKENS = re.compile(_TOKENS + rb"|\*/")
_NAMES = {b"'": "a string", b'"': "a string", b"`": "a name", b"/*": "a comment"}


@dataclass(frozen=True)
class Statement:
    """One statement without its delimiter, and the number of the line on which it begins."""

    text: bytes
    line: int


class Splitter:
    """Takes lines and gives statements. Statements that are only comments are left out."""

    def __init__(self) -> None:
        self._use_delimiter(b";")
        self._line = 0
        self._begin = 0
        self._opened = 0
        self._pieces: list[bytes] = []
        self._inside: bytes | None = None  # what opened the text or comment that isn't closed yet
        self._version_comment = False  # inside of /*! … */, which the server executes
        self._substance = False  # whether the statement has more than comments and spaces

    def feed(self, line: bytes) -> Iterator[Statement]:
        """The statements that end on the next line. Raises DumpError."""
        self._line += 1
        if self._inside is None and not self._substance:
            command = _DELIMITER.fullmatch(line)
            if command:
                if command[1] is None:
                    raise DumpError(f"line {self._line}: DELIMITER without a delimiter", code="X006")
                self._use_delimiter(command[1])
                return
        at = start = 0
        while at < len(line):
            at, ended = self._step(line, at)
            if ended:
                self._pieces.append(line[start : at - len(self._delimiter)])
                yield from self._statement()
                start = at
        self._pieces.append(line[start:])

    def finish(self) -> Iterator[Statement]:
        """The last statement, if its delimiter is missing. Raises DumpError when it is cut short."""
        if self._inside is not None or self._version_comment:
            what = _NAMES[self._inside or b"/*"]
            raise DumpError(f"the file ends inside of {what} of line {self._opened}", code="X006")
        yield from self._statement()

    def _use_delimiter(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._tokens = re.compile(re.escape(delimiter) + b"|" + _TOKENS + b"!?")

    def _step(self, line: bytes, at: int) -> tuple[int, bool]:
        """Goes to the end of the next token: where it ends, and whether it ends a statement."""
        if self._inside is not None:
            end = _ENDS[self._inside].match(line, at)
            assert end is not None  # it matches nothing at the least
            if end[1] is not None:
                self._inside = None
            return end.end(), False
        tokens = _VERSION_COMMENT_TOKENS if self._version_comment else self._tokens
        token = tokens.search(line, at)
        if line[at : token.start() if token else len(line)].strip():
            self._mark_substance()
        if token is None:
            return len(line), False
        return self._take(token[0], token.end(), len(line))

    def _take(self, token: bytes, end: int, length: int) -> tuple[int, bool]:
        if token == self._delimiter:
            return end, True
        if token in (b"#", b"--"):
            return length, False
        if token in _ENDS:
            self._inside = token
            self._opened = self._line
        elif token == b"/*!":
            self._version_comment = True
            self._opened = self._line
        elif token == b"*/":
            self._version_comment = False
        if token != b"/*":
            self._mark_substance()
        return end, False

    def _mark_substance(self) -> None:
        if not self._substance:
            self._substance = True
            self._begin = self._line

    def _statement(self) -> Iterator[Statement]:
        if self._substance:
            yield Statement(b"".join(self._pieces).strip(), self._begin)
        self._pieces = []
        self._substance = False


def split(lines: Iterable[bytes]) -> Iterator[Statement]:
    """The statements of a dump. Raises DumpError when it is cut short."""
    splitter = Splitter()
    for line in lines:
        yield from splitter.feed(line)
    yield from splitter.finish()
