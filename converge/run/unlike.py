"""Which rows of two sides are not alike, told by digests that are compared here, whatever their order.

A row is a record of 32 bytes: the MD5 of its identity, and that of its values. Records are spread over files
by their first byte, so that memory has room for the rows of each pair; any number of processes may add.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

Digests = Counter[str]
"""The digests of the rows of one identity, with their number; an empty one is of a row that has none."""
Records = Iterable[Sequence[bytes]]

HALF = 16
"""Bytes of each of the two digests."""
NONE = bytes(HALF)
"""In the place of a digest that a server could not make."""
_ROWS = 200_000
"""Of one side that are compared at once: about 50 MB."""
_MOST_PARTS = 64
_KEPT = 100_000
"""Records that are kept before they are written."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one table, or view."""

    folder: str
    count: int

    def add(self, side: int, blocks: Records) -> None:
        """Adds records of the source (0) or the target (1)."""
        own: list[list[bytes]] = [[] for _ in range(self.count)]
        kept = 0
        for records in blocks:
            for record in records:
                own[record[0] % self.count].append(record)
            kept += len(records)
            if kept >= _KEPT:
                self._write(side, own)
                kept = 0
        self._write(side, own)

    def unlike(self) -> Iterator[tuple[bytes, Digests, Digests]]:
        """Identities whose rows differ, with the digests of all their rows. Removes the files."""
        for number in range(self.count):
            yield from _compared(self._read(0, number), self._read(1, number))

    def _path(self, side: int, number: int) -> Path:
        return Path(self.folder, f"{number}.{side}")

    def _write(self, side: int, own: list[list[bytes]]) -> None:
        for number, records in enumerate(own):
            if records:
                # At once, and behind what others have written (O_APPEND).
                with self._path(side, number).open("ab", buffering=0) as file:
                    block = b"".join(records)
                    while block:
                        block = block[file.write(block) :]
                records.clear()

    def _read(self, side: int, number: int) -> list[bytes]:
        path = self._path(side, number)
        if not path.exists():
            return []
        block = path.read_bytes()
        path.unlink()
        return cut(block)


def parts_of(rows: int) -> int:
    """Into how many files so many rows go."""
    return min(_MOST_PARTS, max(1, rows // _ROWS + 1))


def unlike(source: Records, target: Records, rows: int) -> Iterator[tuple[bytes, Digests, Digests]]:
    """Identities whose rows differ, with the digests of all their rows; `rows` is about how many there are.

    Both sides are read at the same time; nothing is given before.
    """
    with TemporaryDirectory(prefix="converge-") as folder:
        parts = Parts(folder, parts_of(rows))
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(parts.add, 1, target)
            parts.add(0, source)
            other.result()
        yield from parts.unlike()


def cut(block: bytes) -> list[bytes]:
    """The records that stand one behind the other."""
    return [block[start : start + 2 * HALF] for start in range(0, len(block), 2 * HALF)]


def _compared(source: list[bytes], target: list[bytes]) -> Iterator[tuple[bytes, Digests, Digests]]:
    left, right = set(source), set(target)
    odd = left ^ right
    if len(left) < len(source) or len(right) < len(target):
        here, there = Counter(source), Counter(target)
        odd |= (here - there).keys() | (there - here).keys()
    identities = {record[:HALF] for record in odd}
    found: dict[bytes, tuple[Digests, Digests]] = defaultdict(lambda: (Counter(), Counter()))
    for side, records in enumerate((source, target) if identities else ()):
        for record in records:
            if record[:HALF] in identities:
                digest = record[HALF:]
                found[record[:HALF]][side]["" if digest == NONE else digest.hex()] += 1
    for identity, (ours, theirs) in found.items():
        yield identity, ours, theirs
