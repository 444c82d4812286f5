"""The bytes of a dump: its parts one after the other, decompressed, and what its comments say of it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from converge.codes import Code
from converge.errors import UsageError
from converge.resources import zstd
from converge.sandbox.server import DumpError, numbers

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
    """The bytes of a dump that may be compressed; with `of_mysql` what is not SQL of MySQL is refused. What
    is wrong with a statement is said with the name.

    Raises DumpError for what is cut short, UsageError for what cannot be decompressed here, OSError.
    """
    with ExitStack() as stack:
        file = stack.enter_context(io.BufferedReader(raw, 1 << 17))
        begin = file.peek(_BEGIN_BYTES)
        module: Any = next((module for mark, module in _COMPRESSED.items() if begin.startswith(mark)), None)
        if begin.startswith(_ZSTD):
            module = zstd()
            if module is None:
                raise UsageError(
                    f"{name} is compressed with zstd, which this Python cannot decompress",
                    code=Code.U019,
                    hint=f"pip install 'converge-pg[sandbox]', or zstd -d {name}",
                )
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
        except DumpError as error:
            if name not in error.message:
                error.message = f"{name}: {error.message}"
            raise
        except damages as error:
            raise DumpError(
                f"{name} is cut short or damaged: {error}",
                code=Code.X006,
                hint="copy it again, or make it again",
            ) from error


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
