"""The text of a dump: its parts one after the other, decompressed, split into statements.

Works on bytes: a dump may hold binary values and several character sets. Statements are split as the mysql
client does it. That client itself is not used: not every server comes with it (the package of MySQL 8.0.15
does not, and a server that is given by URL may be anywhere), and a dump's statements are looked at before
they are sent, for their database and their DEFINER.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import importlib.util
import io
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from converge.codes import Code
from converge.errors import UsageError
from converge.sandbox.errors import DumpError
from converge.sandbox.server import numbers

_ZSTD = b"\x28\xb5\x2f\xfd"
_COMPRESSED = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
_BEGIN_BYTES = 512
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What is not SQL text for MySQL, and how it becomes one; a NUL byte is never in one.
_FOREIGN = (
    (rb"PK\x03\x04", "a zip archive", "unzip -p {0} > dump.sql"),
    (rb"\xff\xfe", "UTF-16, as PowerShell's > writes it", "mysqldump --result-file=dump.sql …"),
    (rb"\s*<\?xml", "XML, as mysqldump --xml writes it", "mysqldump without --xml"),
    (rb"PGDMP|[\s-]*PostgreSQL database (?:cluster )?dump", "a dump of PostgreSQL", "a dump of mysqldump"),
    (rb"[\s\S]{257}ustar", "a tar archive", "tar -xOf {0} > dump.sql"),
    (rb"[\s\S]*\0|\s*[^\s\w/#(;`\\-]", "not SQL text", "a dump of mysqldump"),
)


class Joined(io.RawIOBase):
    """Files read as one. `done` is how many bytes have been read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._left = list(reversed(paths))
        self._file: BinaryIO | None = None
        self.done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._file is not None or self._left:
            if self._file is None:
                self._file = self._left.pop().open("rb")
            if count := self._file.readinto(buffer):  # type: ignore[attr-defined]
                self.done += count
                return int(count)
            self._file.close()
            self._file = None
        return 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


@contextmanager
def decompressed(name: str, raw: Joined, *, of_mysql: bool = True) -> Iterator[BinaryIO]:
    """The bytes of a dump that may be compressed; with `of_mysql` what is no SQL of MySQL is refused.

    Raises DumpError for what is cut short, UsageError for what cannot be decompressed here, OSError.
    """
    with ExitStack() as stack:
        file = stack.enter_context(io.BufferedReader(raw, 1 << 17))
        begin = file.peek(_BEGIN_BYTES)
        module: Any = next((module for mark, module in _COMPRESSED.items() if begin.startswith(mark)), None)
        if begin.startswith(_ZSTD):
            module = _zstd(name)
        opened: Any = file if module is None else stack.enter_context(module.open(file))
        damages: tuple[type[Exception], ...] = ()
        if module is not None:
            own = (module.ZstdError,) if hasattr(module, "ZstdError") else ()
            damages = (EOFError, OSError, zlib.error, lzma.LZMAError, *own)
        try:
            if opened.peek(_BEGIN_BYTES).startswith(_BYTE_ORDER_MARK):  # as editors of Windows write it
                opened.read(len(_BYTE_ORDER_MARK))
            begin = opened.peek(_BEGIN_BYTES)[:_BEGIN_BYTES]
            for pattern, what, hint in _FOREIGN if of_mysql else ():
                if re.match(pattern, begin):
                    raise UsageError(f"{name} is {what}", code=Code.U017, hint=hint.format(name))
            yield cast(BinaryIO, opened)
        except damages as error:
            raise DumpError(
                f"{name} is cut short or damaged: {error}",
                code=Code.X006,
                hint="copy it again, or make it again",
            ) from error


def _zstd(name: str) -> Any:
    """Python's own module since 3.14, else the package that brings it to earlier ones."""
    for module in ("compression.zstd", "backports.zstd"):
        if importlib.util.find_spec(module.partition(".")[0]) and importlib.util.find_spec(module):
            return importlib.import_module(module)
    raise UsageError(
        f"{name} is compressed with zstd, which this Python cannot decompress",
        code=Code.U019,
        hint=f"pip install 'converge-pg[sandbox]', or zstd -d {name}",
    )


_BEGIN = re.compile(rb"-- (?:MySQL|MariaDB) dump \d", re.IGNORECASE)
_END = b"-- Dump completed"
_SERVER = re.compile(rb"-- Server version\s+(\S+)")
_DATABASE = re.compile(rb"-- Host: .*?\s+Database: (\S.*?)\s*\n")


@dataclass
class Header:
    """What a dump says of itself in its comments."""

    server: str = ""
    """The version of the server that the rows come from, as mysqldump writes it."""
    database: str = ""
    unfinished: bool = False
    """mysqldump has written its first line here, and not its last one."""

    def look(self, comment: bytes) -> None:
        if _BEGIN.match(comment):
            self.unfinished = True
        elif comment.startswith(_END):
            self.unfinished = False
        elif (server := _SERVER.match(comment)) and not self.server:
            self.server = server[1].decode(errors="replace")
        elif (database := _DATABASE.match(comment)) and not self.database:
            self.database = database[1].decode(errors="replace")

    @property
    def foreign(self) -> str:
        """The server's name, where it is none that MySQL 8 took its dialect from."""
        if "mariadb" in self.server.lower():
            return f"MariaDB {self.server}"
        release = numbers(self.server)
        return f"MySQL {self.server}" if release and release < (8,) else ""


ROWS = 4 << 20  # from this length on an INSERT is cut between two of its rows
_PIECE = 1 << 20
_MARGIN = 64  # bytes that no token but a text or a comment is longer than
_DELIMITER = re.compile(rb"[^\S\n]*delimiter(?:[^\S\n]+(\S+)[^\n]*|[^\S\n]*)(?:\n|\Z)", re.IGNORECASE)
_ENDS = {
    b"'": re.compile(rb"(?:[^'\\]+|\\.)*+'", re.DOTALL),
    b'"': re.compile(rb'(?:[^"\\]+|\\.)*+"', re.DOTALL),
    b"`": re.compile(rb"[^`]*`"),
    b"/*": re.compile(rb"(?:[^*]+|\*(?!/))*+\*/"),
    b"--": re.compile(rb"[^\n]*\n"),
    b"#": re.compile(rb"[^\n]*\n"),
}
"""What ends a text or a comment. A doubled quote is the end of one text and the begin of the next."""
_ENDS_WITHOUT_ESCAPES = _ENDS | {b"'": re.compile(rb"[^']*'"), b'"': re.compile(rb'[^"]*"')}
_TOKENS = rb"['\"`]|#|--(?=[\x00-\x20]|\Z)|/\*!?"
_VERSION_COMMENT_TOKENS = re.compile(_TOKENS + rb"|\*/")
_BLANKS = rb"[^\S\n]*\n|[^\S\n]+|(?:--(?=[\x00-\x20]|\Z)|#)[^\n]*(?:\n|\Z)|/\*(?!!)(?:[^*]+|\*(?!/))*+\*/"
_COMMENT = re.compile(rb"/\*(?!!)")
_OPEN = {b"'": "a string", b'"': "a string", b"`": "a name", b"/*": "a comment"}
_NAME = rb"(?:`(?:[^`]|``)*`|[\w$.]+)"
_HEAD = re.compile(
    rb"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*(?:INTO\s+)?"
    rb"%(n)s(?:\s*\.\s*%(n)s)?\s*(?:\(\s*%(n)s(?:\s*,\s*%(n)s)*\s*\)\s*)?VALUES?\s*(?=\()" % {b"n": _NAME},
    re.IGNORECASE,
)
_BRACKETS = re.compile(rb"[(),]")
_AGAIN = "copy the file again, or make it again; `tail -c 200 FILE` shows where it ends"


@dataclass(frozen=True)
class Statement:
    """One statement without its delimiter, and the number of the line on which it begins."""

    text: bytes
    line: int


@dataclass(frozen=True)
class _Cut:
    """Where an INSERT is cut: its words up to VALUES, which the next one repeats, and the comma."""

    head: bytes
    comma: int


class Splitter:
    """The statements of a text, without those that are only comments.

    The rules are those of the MySQL 8.0 Reference Manual, 4.5.1 (DELIMITER), 9.1.1 (strings), 9.2
    (identifiers) and 9.7 (comments). An INSERT of many rows comes out as several, so that its length costs no
    memory: what is read is kept only until its statement, or row, is complete.
    Not covered: the mysql client's \\g and \\G, and character sets in which a byte of a character may be a
    backslash (Big5, GBK, Shift-JIS), which mysqldump doesn't write unless told to, and `Loader` refuses.

    `escapes` says whether a backslash escapes in strings: not under the sql_mode NO_BACKSLASH_ESCAPES.
    `rows` is from what length on an INSERT is cut between two of its rows. `line` is the number of the line
    up to which statements were given, `header` what comments said until there.
    """

    def __init__(self, file: BinaryIO, rows: int = ROWS, piece: int = _PIECE) -> None:
        self.escapes = True
        self.rows = rows
        self.line = 1
        self.header = Header()
        self._file = file
        self._piece = piece
        self._buffer = b""
        self._start = 0  # in the buffer: what is before it was given, or is no statement
        self._ended = False
        self._line_begins = True
        self._use_delimiter(b";")

    def __iter__(self) -> Iterator[Statement]:
        """Raises DumpError for a text that is cut short."""
        while self._skip_blanks():
            yield from self._statement()
        if self.header.unfinished:
            self._fail("")

    def _use_delimiter(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._tokens = re.compile(re.escape(delimiter) + b"|" + _TOKENS)
        self._blank = re.compile(_BLANKS + b"|" + re.escape(delimiter))

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
            if not self._ended and len(self._buffer) - self._start < _MARGIN:
                self._read_on()
                continue
            command = _DELIMITER.match(self._buffer, self._start) if self._line_begins else None
            blank = command or self._blank.match(self._buffer, self._start)
            if blank and blank.end() == len(self._buffer) and not self._ended:
                self._read_on()
            elif command:
                if command[1] is None:
                    raise DumpError(f"line {self.line}: DELIMITER without a delimiter", code=Code.X006)
                self._use_delimiter(command[1])
                self._consume(command.end())
            elif blank:
                self.header.look(blank[0])
                self._consume(blank.end())
            elif not _COMMENT.match(self._buffer, self._start):
                return self._start < len(self._buffer)
            elif self._ended:
                self._fail(f"the file ends inside of a comment of line {self.line}")
            else:
                self._read_on()

    def _statement(self) -> Iterator[Statement]:
        """The statement that begins here, in several if it is an INSERT of many rows."""
        line, at = self.line, self._start
        head = b""  # of the INSERT whose rows go on here
        depth = 0  # of round brackets
        version_comment = 0  # the line of the /*! that is open, whose inside the server executes
        while True:
            tokens = _VERSION_COMMENT_TOKENS if version_comment else self._tokens
            token = tokens.search(self._buffer, at)
            stop = token.start() if token else len(self._buffer)
            if not self._ended and stop > len(self._buffer) - _MARGIN:
                # A token may go on behind what was read.
                token, stop = None, max(at, len(self._buffer) - _MARGIN)
            if len(head) + at - self._start >= self.rows and (cut := self._cut(head, at, stop, depth)):
                yield self._take(head, cut.comma, cut.comma + 1, line)
                line, head, at, depth = self.line, cut.head, cut.comma + 1, 0
                continue
            depth += self._buffer.count(b"(", at, stop) - self._buffer.count(b")", at, stop)
            at = stop
            if token is None:
                if self._ended:
                    self._fail_inside(line, version_comment)
                at -= self._read_on()
            elif token[0] == self._delimiter and not version_comment:
                yield self._take(head, stop, token.end(), line)
                return
            elif token[0] in (b"/*!", b"*/"):
                version_comment = self._line_at(stop) if token[0] == b"/*!" else 0
                at = token.end()
            elif end := (_ENDS if self.escapes else _ENDS_WITHOUT_ESCAPES)[token[0]].match(
                self._buffer, token.end()
            ):
                at = end.end()
            elif not self._ended:
                at -= self._read_on()
            elif token[0] in _OPEN:
                self._fail(f"the file ends inside of {_OPEN[token[0]]} of line {self._line_at(stop)}")
            else:
                self._fail_inside(line, version_comment)

    def _take(self, head: bytes, stop: int, end: int, line: int) -> Statement:
        """The statement up to `stop`; the text goes on at `end`."""
        statement = Statement((head + self._buffer[self._start : stop]).strip(), line)
        self._consume(end)
        return statement

    def _cut(self, head: bytes, at: int, stop: int, depth: int) -> _Cut | None:
        """The first comma between two rows; None where there is none, or the statement is no INSERT."""
        if not head:
            match = _HEAD.match(self._buffer, self._start)
            head = match[0] if match else b""
        for bracket in _BRACKETS.finditer(self._buffer, at, stop) if head else ():
            if bracket[0] != b",":
                depth += 1 if bracket[0] == b"(" else -1
            elif depth == 0:
                return _Cut(head, bracket.start())
        return None

    def _line_at(self, place: int) -> int:
        return self.line + self._buffer.count(b"\n", self._start, place)

    def _fail_inside(self, line: int, version_comment: int) -> NoReturn:
        """A last statement without its delimiter may be an INSERT that was cut between two rows."""
        if version_comment:
            self._fail(f"the file ends inside of a comment of line {version_comment}")
        last = self._delimiter.decode(errors="replace")
        self._fail(
            f"the file ends without the {last} of the statement that begins in line {line}",
            f"make it again; if it is whole, write a {last} behind its last statement",
        )

    def _fail(self, message: str, hint: str = _AGAIN) -> NoReturn:
        if self.header.unfinished:
            line = self._line_at(len(self._buffer)) - self._buffer.endswith(b"\n")
            message = f'the file ends in line {line} without mysqldump\'s last line, "-- Dump completed"'
            hint = _AGAIN
        raise DumpError(message, code=Code.X006, hint=hint)
