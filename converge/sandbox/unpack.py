"""A dump's bytes: its parts one after the other, unpacked by what they begin with."""

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
from pathlib import Path
from typing import Any, BinaryIO, cast

from converge.codes import Code
from converge.errors import UsageError
from converge.sandbox.errors import DumpError

_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
_BEGIN_BYTES = 512
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What is no text of SQL for MySQL, and how it becomes one; a NUL byte is never in one.
_FOREIGN = (
    (rb"PK\x03\x04", "a zip archive", "unzip -p {0} > dump.sql"),
    (rb"\xff\xfe", "UTF-16, as PowerShell's > writes it", "mysqldump --result-file=dump.sql …"),
    (rb"\s*<\?xml", "XML, as mysqldump --xml writes it", "mysqldump without --xml"),
    (rb"PGDMP|[\s-]*PostgreSQL database (?:cluster )?dump", "a dump of PostgreSQL", "a dump of mysqldump"),
    (rb"[\s\S]{257}ustar", "a tar archive", "tar -xOf {0} > dump.sql"),
    (rb"[\s\S]*\0|\s*[^\s\w/#(;`\\-]", "no text of SQL", "a dump of mysqldump"),
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
def unpacked(name: str, raw: Joined, *, of_mysql: bool = True) -> Iterator[BinaryIO]:
    """The bytes of a dump that may be packed; with `of_mysql` what is no SQL of MySQL is refused.

    Raises DumpError for what is cut short, UsageError for what cannot be unpacked here, OSError.
    """
    with ExitStack() as stack:
        file = stack.enter_context(io.BufferedReader(raw, 1 << 17))
        begin = file.peek(_BEGIN_BYTES)
        packer = next((packer for mark, packer in _PACKED.items() if begin.startswith(mark)), None)
        if begin.startswith(_ZSTD):
            packer = _zstd(name)
        opened = file if packer is None else stack.enter_context(cast(Any, packer).open(file))
        try:
            _skip_mark(opened)
            if of_mysql:
                _require_text(name, opened)
            yield cast(BinaryIO, opened)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if packer is None:
                raise
            raise _damaged(name, error) from error
        except Exception as error:
            # Its own error has a name only where the module is there.
            if type(error).__name__ != "ZstdError":
                raise
            raise _damaged(name, error) from error


def _skip_mark(opened: Any) -> None:
    """Editors of Windows put it before a text."""
    if opened.peek(_BEGIN_BYTES).startswith(_BYTE_ORDER_MARK):
        opened.read(len(_BYTE_ORDER_MARK))


def _require_text(name: str, opened: Any) -> None:
    """Raises UsageError for what is no SQL of MySQL."""
    begin = opened.peek(_BEGIN_BYTES)[:_BEGIN_BYTES]
    for pattern, what, hint in _FOREIGN:
        if re.match(pattern, begin):
            raise UsageError(f"{name} is {what}", code=Code.U017, hint=hint.format(name))


def _damaged(name: str, error: Exception) -> DumpError:
    return DumpError(
        f"{name} is cut short or damaged: {error}", code=Code.X006, hint="copy it again, or make it again"
    )


def _zstd(name: str) -> Any:
    """Python's own module since 3.14, else the package that brings it to earlier ones."""
    for module in ("compression.zstd", "backports.zstd"):
        if importlib.util.find_spec(module.partition(".")[0]) and importlib.util.find_spec(module):
            return importlib.import_module(module)
    raise UsageError(
        f"{name} is packed by zstd, which this Python cannot unpack",
        code=Code.U019,
        hint=f"pip install 'converge-pg[sandbox]', or zstd -d {name}",
    )
