"""Files that hold plans, reports, maps, SQL and rows: their owner's alone, and whole or not there."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO


def write_private(path: str, text: str) -> None:
    """Puts a file of mode 0600 with this text in the place of what has this name. Raises OSError."""
    with private_file(path) as stream:
        stream.write(text)


@contextmanager
def private_file(
    path: str, *, mode: int = 0o600, named: Literal["first", "last"] = "last"
) -> Iterator[TextIO]:
    """A file of this mode, to be written to, that replaces what has this name. Raises OSError.

    The file gets its name when it is complete: a full disk leaves an earlier one as it was, a link is
    replaced and never written through, and the mode of what was there before does not count. One that others
    read as it grows gets its name first. A device or a pipe is written to.
    """
    file = Path(path)
    # A name may hold half a surrogate pair, which UTF-8 has no bytes for.
    encoding, errors = "utf-8", "backslashreplace"
    if file.exists() and not file.is_file():
        with file.open("w", encoding=encoding, errors=errors) as stream:
            yield stream
        return
    handle, name = tempfile.mkstemp(prefix=".converge-", dir=file.parent)
    made = Path(name)
    try:
        with os.fdopen(handle, "w", encoding=encoding, errors=errors) as stream:
            os.fchmod(handle, mode)
            if named == "first":
                made.replace(file)
            yield stream
            stream.flush()
            os.fsync(handle)
        if named == "last":
            made.replace(file)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def write_new(path: str, blocks: Iterable[bytes | bytearray | memoryview]) -> None:
    """Makes a file of mode 0600 that is not there yet, safe on the disk when this returns.

    It gets its name when it is complete. Raises FileExistsError, and OSError.
    """
    file = Path(path)
    handle, name = tempfile.mkstemp(prefix=".converge-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            for block in blocks:
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        # Unlike a new name, a link never takes the place of another file.
        os.link(name, file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        Path(name).unlink()


_ROWS = "converge-rows-"


@contextmanager
def folder_of_rows() -> Iterator[str]:
    """A folder for rows in TMPDIR, removed in the end; before, what killed processes have left is removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_ROWS}*"):
        # Somebody's who is at work, or another user's.
        with suppress(OSError):
            _remove_left(left)
    # Workers of a command that was stopped may still write to it; the next one removes what they leave.
    with tempfile.TemporaryDirectory(prefix=_ROWS, ignore_cleanup_errors=True) as folder:
        handle = os.open(folder, os.O_RDONLY)
        try:
            # A file system without locks keeps what is left.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(handle)


def _remove_left(folder: Path) -> None:
    """Removes a folder that no process has locked. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # An empty one may be of somebody who is about to lock it.
        if any(folder.iterdir()):
            shutil.rmtree(folder)
    finally:
        os.close(handle)


def why_not(path: str) -> str | None:
    """Why `write_private` could not write this file, as far as that is to be seen before."""
    file = Path(path)
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return "no such folder"
    special = file.exists() and not file.is_file()
    return None if os.access(file if special else file.parent, os.W_OK) else "permission denied"
