"""Splits what mysqldump writes into statements, as the mysql client does, a piece of a line at a time.

Works on bytes: a dump may hold binary values and several character sets. The rules are those of the
MySQL 8.0 Reference Manual, 4.5.1 (DELIMITER), 9.1.1 (strings), 9.2 (identifiers) and 9.7 (comments).
An INSERT of many rows comes out as several, so that its length costs no memory.
Not covered: the mysql client's \\g and \\G, and character sets in which a byte of a character may be
a backslash (Big5, GBK, Shift-JIS), which mysqldump doesn't write unless told to, and `Loader` refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from converge.codes import Code
from converge.sandbox.errors import DumpError

_PIECE = 1 << 20
ROWS = 4 << 20  # from this length on an INSERT is cut between two of its rows
_DELIMITER = re.compile(rb"\s*delimiter(?:\s+(\S+).*|\s*)", re.IGNORECASE | re.DOTALL)
# What ends a quoted text: a doubled quote is the end of one text and the begin of the next.
_ENDS = {
    b"'": re.compile(rb"(?:[^'\\]+|\\.|\\\Z)*+(')?", re.DOTALL),
    b'"': re.compile(rb'(?:[^"\\]+|\\.|\\\Z)*+(")?', re.DOTALL),
    b"`": re.compile(rb"[^`]*(`)?"),
    b"/*": re.compile(rb"(?:[^*]+|\*(?!/))*+(\*/)?"),
    b"--": re.compile(rb"[^\n]*(\n)?"),
}
_ENDS_WITHOUT_ESCAPES = _ENDS | {b"'": re.compile(rb"[^']*(')?"), b'"': re.compile(rb'[^"]*(")?')}
_TOKENS = rb"['\"`]|#|--(?=[\x00-\x20]|\Z)|/\*"
_VERSION_COMMENT_TOKENS = re.compile(_TOKENS + rb"|\*/")
_NAMES = {b"'": "a string", b'"': "a string", b"`": "a name", b"/*": "a comment"}
_NAME = rb"(?:`(?:[^`]|``)*`|[\w$.]+)"
_HEAD = re.compile(
    rb"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*(?:INTO\s+)?"
    rb"%(n)s(?:\s*\.\s*%(n)s)?\s*(?:\(\s*%(n)s(?:\s*,\s*%(n)s)*\s*\)\s*)?VALUES?\s*(?=\()" % {b"n": _NAME},
    re.IGNORECASE,
)
_BRACKETS = re.compile(rb"[(),]")
# No token that matters goes on behind one of these.
_SAFE_ENDS = frozenset(b"\n,() abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

_End = Literal["", "statement", "row"]


@dataclass(frozen=True)
class Statement:
    """One statement without its delimiter, and the number of the line on which it begins."""

    text: bytes
    line: int


class Splitter:
    """Takes pieces and gives statements. Statements that are only comments are left out.

    `escapes` says whether a backslash escapes in strings: not under the sql_mode NO_BACKSLASH_ESCAPES.
    `rows` is from what length on an INSERT is cut between two of its rows.
    """

    def __init__(self, rows: int = ROWS) -> None:
        self.escapes = True
        self.rows = rows
        self._use_delimiter(b";")
        self._line = 0
        self._line_begins = True
        self._opened = 0
        self._substance = False
        self._inside: bytes | None = None  # what opened the text or comment that isn't closed yet
        self._version_comment = False  # inside of /*! … */, which the server executes
        self._forget()

    @property
    def line(self) -> int:
        """The number of the line of the last piece."""
        return self._line

    def feed(self, piece: bytes) -> Iterator[Statement]:
        """The statements that end in the next piece: a line, or a part of one as `pieces` cuts it.

        Raises DumpError.
        """
        begins, self._line_begins = self._line_begins, piece.endswith(b"\n")
        self._line += begins
        if begins and self._inside is None and not self._substance:
            command = _DELIMITER.fullmatch(piece)
            if command:
                if command[1] is None:
                    raise DumpError(f"line {self._line}: DELIMITER without a delimiter", code=Code.X006)
                self._use_delimiter(command[1])
                return
        at = self._start = 0
        while at < len(piece):
            at, ended = self._step(piece, at)
            if ended:
                stop = at - (len(self._delimiter) if ended == "statement" else 1)
                self._keep(piece[self._start : stop])
                yield from self._statement()
                if ended == "statement":
                    self._forget(at)
                else:
                    self._go_on(at)
        self._keep(piece[self._start :])

    def finish(self) -> None:
        """Raises DumpError when the text ends inside of a statement.

        A last one without its delimiter is refused too: it may be an INSERT that was cut between two rows.
        """
        if self._inside not in (None, b"--") or self._version_comment:
            what = _NAMES[self._inside or b"/*"]
            raise DumpError(f"the file ends inside of {what} of line {self._opened}", code=Code.X006)
        if self._substance:
            last = self._delimiter.decode(errors="replace")
            raise DumpError(
                f"the file ends without the {last} of the statement that begins in line {self._begin}",
                code=Code.X006,
                hint=f"make it again; if it is whole, write a {last} behind its last statement",
            )

    def _use_delimiter(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._tokens = re.compile(re.escape(delimiter) + b"|" + _TOKENS + b"!?")

    def _forget(self, start: int = 0) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._start = start  # of the statement, in this piece
        self._begin = 0
        self._substance = False  # whether the statement has more than comments and spaces
        self._depth = 0  # of round brackets
        self._head: bytes | None = None  # of an INSERT that may be cut; empty for what may not

    def _step(self, piece: bytes, at: int) -> tuple[int, _End]:
        """Goes to the end of the next token: where it ends, and what ends with it."""
        if self._inside is not None:
            ends = _ENDS if self.escapes else _ENDS_WITHOUT_ESCAPES
            end = ends[self._inside].match(piece, at)
            assert end is not None  # it matches nothing at the least
            if end[1] is not None:
                self._inside = None
            return end.end(), ""
        tokens = _VERSION_COMMENT_TOKENS if self._version_comment else self._tokens
        token = tokens.search(piece, at)
        stop = token.start() if token else len(piece)
        if piece[at:stop].strip():
            self._mark_substance(at)
            if self._size + at - self._start >= self.rows and (cut := self._between_rows(piece, at, stop)):
                return cut, "row"
            self._depth += piece.count(b"(", at, stop) - piece.count(b")", at, stop)
        if token is None:
            return len(piece), ""
        return self._take(token[0], token.start(), token.end())

    def _take(self, token: bytes, start: int, end: int) -> tuple[int, _End]:
        if token == self._delimiter:
            return end, "statement"
        if token in (b"#", b"--"):
            self._inside = b"--"
            return end, ""
        if token in _ENDS:
            self._inside = token
            self._opened = self._line
        elif token == b"/*!":
            self._version_comment = True
            self._opened = self._line
        elif token == b"*/":
            self._version_comment = False
        if token != b"/*":
            self._mark_substance(start)
        return end, ""

    def _mark_substance(self, at: int) -> None:
        """The statement begins here: what was before it is only comments."""
        if not self._substance:
            self._substance = True
            self._begin = self._line
            self._pieces = []
            self._size = 0
            self._start = at

    def _between_rows(self, piece: bytes, at: int, stop: int) -> int:
        """Behind the first comma between two rows; 0 where there is none, or the statement is no INSERT."""
        if self._head is None:
            head = _HEAD.match(b"".join([*self._pieces, piece[self._start : at]]).lstrip())
            self._head = head[0] if head else b""
        if not self._head:
            return 0
        depth = self._depth
        for bracket in _BRACKETS.finditer(piece, at, stop):
            if bracket[0] != b",":
                depth += 1 if bracket[0] == b"(" else -1
            elif depth == 0:
                return bracket.end()
        return 0

    def _go_on(self, start: int) -> None:
        """Begins the next INSERT, of the rows that are left."""
        head = self._head or b""
        self._forget(start)
        self._head, self._substance, self._begin = head, True, self._line
        self._keep(head)

    def _keep(self, text: bytes) -> None:
        self._pieces.append(text)
        self._size += len(text)

    def _statement(self) -> Iterator[Statement]:
        if self._substance:
            yield Statement(b"".join(self._pieces).strip(), self._begin)


def pieces(file: BinaryIO, size: int = _PIECE) -> Iterator[bytes]:
    """The lines of a file, long ones in pieces that end where no token goes on behind them."""
    while piece := file.readline(size):
        while piece[-1] not in _SAFE_ENDS and (more := file.readline(1)):
            piece += more
        yield piece


def split(lines: Iterable[bytes], rows: int = ROWS) -> Iterator[Statement]:
    """The statements of a dump. Raises DumpError when it is cut short."""
    splitter = Splitter(rows)
    for line in lines:
        yield from splitter.feed(line)
    splitter.finish()
