"""The rows of a chunk that the target refuses, found by halves and left out.

A COPY fails as a whole and names one row at most. So the chunk is read once more: each block is copied by
itself in a transaction that is rolled back, and one that fails is halved until single rows are left.
The chunk is then copied without them, in one transaction with their entries in the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.result import Reject
from converge.model.work import CopyTask
from converge.postgres.connect import THEIR_PATH
from converge.postgres.copy import Encode, fields, write
from converge.postgres.errors import refuses_row
from converge.types.sql import own_bytes

_SHOWN_BYTES = 64 * 1024
# Lines of the value's own type, as of JSON, may come first.
_COLUMN = re.compile(r"^COPY .*?, line \d+, column (?P<name>.*?)(?:: .*)?\Z", re.DOTALL | re.MULTILINE)


def find(
    target: psycopg.Connection[Any], task: CopyTask, blocks: Iterable[list[bytes]], encode: Encode
) -> list[tuple[bytes, Reject]]:
    """The refused rows, each with its entry. Raises ConvergeError when there are more than allowed."""
    found: list[tuple[bytes, Reject]] = []
    for block in blocks:
        for row, error in _refused(target, task, block, encode):
            found.append((row, _reject(task, encode([row]), error)))
            if len(found) > task.most_rejects:
                raise too_many(found[0][1], task.most_rejects)
    return found


def too_many(some: Reject, most: int) -> ConvergeError:
    """The error of a run that would leave out more rows than its user allowed."""
    return ConvergeError(
        f"the target refuses more than {most} rows",
        code=Code.D003,
        details=(f"for example {some}",),
        hint=f"a policy or another type in a map for {some.table}, or a larger --max-rejects",
    )


def _refused(
    target: psycopg.Connection[Any], task: CopyTask, rows: list[bytes], encode: Encode
) -> Iterator[tuple[bytes, psycopg.Error]]:
    try:
        with target.transaction(force_rollback=True):
            target.execute(THEIR_PATH)
            write(target, task.copy, [encode(rows)])
    except psycopg.Error as error:
        if not refuses_row(error):
            raise
        if len(rows) == 1:
            yield rows[0], error
            return
        middle = len(rows) // 2
        yield from _refused(target, task, rows[:middle], encode)
        yield from _refused(target, task, rows[middle:], encode)


def _reject(task: CopyTask, text: bytes, error: psycopg.Error) -> Reject:
    values = fields(text)
    sources = [source for source, _ in task.columns]
    place = _place(task, values, error)
    value = text.removesuffix(b"\n") if place is None else own_bytes(values[place] or b"")
    # A generated column of the key is computed by the target.
    key = (f"{name}={_readable(values[sources.index(name)])}" for name in task.key if name in sources)
    return Reject(
        table=task.table,
        key=", ".join(key),
        column=None if place is None else sources[place],
        value=value[:_SHOWN_BYTES].hex(),
        value_bytes=len(value),
        sqlstate=error.sqlstate or "",
        message=error.diag.message_primary or str(error),
    )


def _place(task: CopyTask, values: list[bytes | None], error: psycopg.Error) -> int | None:
    """Which column the server complains of, where it says so, or holds bytes that are no text."""
    if isinstance(error, psycopg.errors.CharacterNotInRepertoire):
        # COPY looks at the bytes of a line before it tells its columns.
        return next((place for place, value in enumerate(values) if not _is_text(value or b"")), None)
    name = error.diag.column_name
    if name is None and (match := _COLUMN.search(error.diag.context or "")):
        name = match["name"]
    targets = [target for _, target in task.columns]
    return targets.index(name) if name in targets else None


def _is_text(value: bytes) -> bool:
    try:
        return "\0" not in value.decode()
    except UnicodeDecodeError:
        return False


def _readable(value: bytes | None) -> str:
    # The ledger's text columns hold no NUL either.
    return "NULL" if value is None else value.decode("utf-8", "backslashreplace").replace("\0", "\\0")
