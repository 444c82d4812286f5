"""The statements that bring a table's changes back, in the order in which they do not meet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from converge.run.relation import Row

_SPOOLED = 16 * 1024 * 1024
_PLACES = ("before", "delete", "swap", "update", "insert", "after")


def _files() -> Iterator[IO[bytes]]:
    for _ in _PLACES:
        yield cast(IO[bytes], SpooledTemporaryFile(_SPOOLED))  # noqa: SIM115 - `Script` closes it


@dataclass(slots=True)
class Script:
    """Statements of a table, a line each, in the order in which they do not meet."""

    deleted: int = 0
    updated: int = 0
    inserted: int = 0
    _parts: dict[str, IO[bytes]] = field(default_factory=lambda: dict(zip(_PLACES, _files(), strict=True)))

    def add(self, place: str, statement: str, rows: int | None = None, keys: Sequence[Row] = ()) -> None:
        """A statement, how many rows it is to change, None where that is not known, and the keys of those
        that it gives values to, in its order.
        """
        line = f"{'' if rows is None else rows}\t{json.dumps(keys)}\t{statement};\n"
        self._parts[place].write(line.encode())

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def __iter__(self) -> Iterator[tuple[bytes, int | None, list[Row]]]:
        for part in self._parts.values():
            part.seek(0)
            for line in part:
                rows, keys, statement = line.split(b"\t", 2)
                yield statement, int(rows) if rows else None, json.loads(keys)

    @property
    def rows(self) -> int:
        return self.deleted + self.updated + self.inserted

    def __str__(self) -> str:
        parts = ((self.inserted, "inserted"), (self.updated, "updated"), (self.deleted, "deleted"))
        return ", ".join(f"{rows:,} {word}" for rows, word in parts if rows)
