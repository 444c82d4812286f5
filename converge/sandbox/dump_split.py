"""A dump's text, split into statements as the mysql client does it.

Works on bytes: a dump may hold binary values and several character sets. The client itself is not used: not
every server comes with it (the package of MySQL 8.0.15 does not, and a server that is given by URL may be
anywhere), and a dump's statements are looked at before they are sent, for their database and their DEFINER.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, NoReturn

from converge.codes import Code
from converge.sandbox.dump_text import Header
from converge.sandbox.server import DumpError

_PIECE = 1 << 20
_MARGIN = 64  # bytes that no token but a text or a comment is longer than
_DELIMITER = re.compile(rb"[^\S\n]*delimiter(?:[^\S\n]+(\S+)[^\n]*|[^\S\n]*)(?:\n|\Z)", re.IGNORECASE)
_COMMENT = rb"(?:--(?=[\x00-\x20]|\Z)|#)[^\n]*(?:\n|\Z)|/\*(?!!)(?:[^*]+|\*(?!/))*+\*/"
_OPEN_COMMENT = re.compile(rb"/\*(?!!)")
# A doubled quote is the end of one text and the begin of the next.
_TEXTS = rb"'(?:[^'\\]+|\\.)*+'|" rb'"(?:[^"\\]+|\\.)*+"|`[^`]*`'
_TEXTS_WITHOUT_ESCAPES = rb"'[^']*'|" rb'"[^"]*"|`[^`]*`'


@dataclass(frozen=True)
class Statement:
    """One statement without its delimiter, and the number of the line on which it begins."""

    text: bytes
    line: int


@cache
def _tokens(delimiter: bytes, *, escapes: bool, in_version: bool) -> re.Pattern[bytes]:
    """What has to be looked at inside of a statement; `open` is a text or comment that does not end.

    The server executes the inside of /*! … */, a version comment; no delimiter ends the statement there.
    """
    end = rb"(?P<close>\*/)" if in_version else b"(?P<end>" + re.escape(delimiter) + b")"
    texts = _TEXTS if escapes else _TEXTS_WITHOUT_ESCAPES
    every = (end, texts, _COMMENT, rb"(?P<version>/\*!)", rb"(?P<open>['\"`]|/\*)")
    return re.compile(b"|".join(every), re.DOTALL)


@cache
def _blank(delimiter: bytes) -> re.Pattern[bytes]:
    """What is between two statements."""
    return re.compile(rb"[^\S\n]*\n|[^\S\n]+|" + _COMMENT + b"|" + re.escape(delimiter))


class Splitter:
    """The statements of a text, without those that are only comments.

    The rules are those of the MySQL 8.0 Reference Manual, 4.5.1 (DELIMITER), 9.1.1 (strings), 9.2
    (identifiers) and 9.7 (comments). What is read is kept only until its statement is complete.
    Not covered: the mysql client's \\g and \\G, and character sets in which a byte of a character may be a
    backslash (Big5, GBK, Shift-JIS), which mysqldump doesn't write unless told to, and `Loader` refuses.

    `escapes` says whether a backslash escapes in strings: not under the sql_mode NO_BACKSLASH_ESCAPES.
    `line` is the number of the line up to which statements were given, `header` what the comments there said.
    """

    def __init__(self, file: BinaryIO, piece: int = _PIECE) -> None:
        self.escapes = True
        self.line = 1
        self.header = Header()
        self._file = file
        self._piece = piece
        self._buffer = b""
        self._start = 0  # in the buffer: what is before it was given, or is not a statement
        self._ended = False
        self._line_begins = True
        self._delimiter = b";"

    def __iter__(self) -> Iterator[Statement]:
        """Raises DumpError for a text that is cut short."""
        while self._skip_blanks():
            yield self._statement()
        if self.header.unfinished:
            self._fail()

    def _read_on(self) -> int:
        """Reads as much again as there is, so that no byte is looked at more than a few times.

        By how much places in the buffer have moved.
        """
        moved = self._start
        more = self._file.read(max(self._piece, len(self._buffer) - moved))
        self._ended = not more
        self._buffer = self._buffer[moved:] + more
        self._start = 0
        return moved

    def _consume(self, end: int) -> None:
        self.line += self._buffer.count(b"\n", self._start, end)
        self._line_begins = self._buffer[end - 1 : end] == b"\n"
        self._start = end

    def _skip_blanks(self) -> bool:
        """Goes to where the next statement begins; False at the end of the text."""
        while True:
            command = _DELIMITER.match(self._buffer, self._start) if self._line_begins else None
            blank = command or _blank(self._delimiter).match(self._buffer, self._start)
            end = blank.end() if blank else self._start
            if not self._ended and len(self._buffer) - end < _MARGIN:
                self._read_on()  # it may go on behind what was read
                continue
            if blank is None and not self._ended and _OPEN_COMMENT.match(self._buffer, end):
                self._read_on()  # else the comment would hide how the next statement begins
                continue
            if blank is None:
                return end < len(self._buffer)
            if command is None:
                self.header.look(blank[0])
            elif command[1] is None:
                raise DumpError(f"line {self.line}: DELIMITER without a delimiter", code=Code.X006)
            else:
                self._delimiter = command[1]
            self._consume(end)

    def _statement(self) -> Statement:
        """The statement that begins here."""
        at, in_version = self._start, False
        while True:
            tokens = _tokens(self._delimiter, escapes=self.escapes, in_version=in_version)
            token = tokens.search(self._buffer, at)
            kind = token.lastgroup if token else "open"
            if token is None or kind == "open" or token.end() == len(self._buffer):
                if not self._ended:
                    at = token.start() if token else max(at, len(self._buffer) - _MARGIN)
                    at -= self._read_on()
                    continue
                if token is None or kind == "open":
                    self._fail()
            at = token.end()
            if kind == "end":
                statement = Statement(self._buffer[self._start : token.start()].strip(), self.line)
                self._consume(at)
                return statement
            if kind in ("version", "close"):
                in_version = kind == "version"

    def _fail(self) -> NoReturn:
        """For a text that ends inside of a statement, or before mysqldump's last line."""
        again = "copy the file again, or make it again; `tail -c 200 FILE` shows where it ends"
        if self.header.unfinished:
            line = self.line + self._buffer.count(b"\n", self._start) - self._buffer.endswith(b"\n")
            message = f'the file ends in line {line} without mysqldump\'s last line, "-- Dump completed"'
            raise DumpError(message, code=Code.X006, hint=again)
        last = self._delimiter.decode(errors="replace")
        raise DumpError(
            f"the file ends inside of the statement that begins in line {self.line}",
            code=Code.X006,
            hint=f"{again}; if it is whole, write a {last} behind its last statement",
        )
