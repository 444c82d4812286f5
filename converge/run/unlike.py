"""Which rows of two sides are not alike, told by digests that are compared here, whatever their order.

A row is a record: the MD5 of its identity, that of its values, and of the target's rows where they are.
Records are spread over files by their first byte, so that memory has room for the rows of each pair; any
number of processes may add.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from struct import Struct

from converge.files import folder_of_rows

Digests = Counter[str]
"""The digests of the rows of one identity, with their number; an empty one is of a row that has none."""
Records = Iterable[bytes]
"""Blocks of records, one behind the other."""

HALF = 16
"""Bytes of each of the two digests."""
NONE = bytes(HALF)
"""In the place of a digest that a server could not make."""
_RECORDS = Struct("32s"), Struct("38s")
"""Of the source, and of the target: with a row's ctid, as tidsend() writes it."""
_PLACED = Struct("32s6s")
_KEYED = Struct("16s16s"), Struct("16s22s")
_LOW = bytes(byte & 15 for byte in range(256))
"""The second half of each byte."""
_TID = Struct(">IH")
_ROWS = 20_000
"""Of one side that are compared at once: where all of them differ, in about 25 MB."""
_MOST_PARTS = 256
"""A byte has no more values."""
_KEPT = 50_000
"""Records that are kept before they are written."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """The rows of one identity, of which some differ."""

    identity: bytes
    source: Digests = field(default_factory=Counter)
    target: Digests = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The ctids of the target's rows, by their digest."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one table, or view."""

    folder: str
    count: int

    def add(self, side: int, blocks: Records) -> tuple[int, int]:
        """Adds records of the source (0) or the target (1).

        Returns how many they are, and the sum of their digests as `mysql.digest` has it.
        """
        own: list[list[bytes]] = [[] for _ in range(self.count)]
        add = [own[byte % self.count].append for byte in range(256)]
        kept = rows = total = 0
        for block in blocks:
            rows += len(block) // _RECORDS[side].size
            total += _sum(block, _RECORDS[side].size)
            for (record,) in _RECORDS[side].iter_unpack(block):
                add[record[0]](record)
                kept += 1
            if kept >= _KEPT:
                self._write(side, own)
                kept = 0
        self._write(side, own)
        return rows, total

    def unlike(self) -> Iterator[Unlike]:
        """What differs. Removes the files."""
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

    def _read(self, side: int, number: int) -> bytes:
        path = self._path(side, number)
        if not path.exists():
            return b""
        block = path.read_bytes()
        path.unlink()
        return block


def parts_of(rows: int) -> int:
    """Into how many files so many rows go."""
    return min(_MOST_PARTS, max(1, rows // _ROWS + 1))


def unlike(source: Records, target: Records, rows: int) -> Iterator[Unlike]:
    """What differs; `rows` is about how many there are.

    Both sides are read at the same time; nothing is given before.
    """
    with folder_of_rows() as folder:
        parts = Parts(folder, parts_of(rows))
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(parts.add, 1, target)
            parts.add(0, source)
            other.result()
        yield from parts.unlike()


def _compared(source: bytes, target: bytes) -> Iterator[Unlike]:
    here, there = dict(_KEYED[0].iter_unpack(source)), dict(_KEYED[1].iter_unpack(target))
    if len(here) * _RECORDS[0].size < len(source) or len(there) * _RECORDS[1].size < len(target):
        yield from _grouped(source, target)
        return
    # Each identity is of one row, as in a table with a key: that takes two thirds of the time.
    odd = [identity for identity, digest in here.items() if there.get(identity, b"")[:HALF] != digest]
    for identity in chain(odd, there.keys() - here.keys()):
        one = Unlike(identity)
        if (digest := here.get(identity)) is not None:
            one.source[_text(digest)] = 1
        if (placed := there.get(identity)) is not None:
            one.target[_text(placed[:HALF])] = 1
            one.places[_text(placed[:HALF])] = [_place(placed[HALF:])]
        yield one


def _grouped(source: bytes, target: bytes) -> Iterator[Unlike]:
    left = [record for (record,) in _RECORDS[0].iter_unpack(source)]
    right = list(_PLACED.iter_unpack(target))
    ours, theirs = set(left), dict(right)
    odd = ours ^ theirs.keys()
    if len(ours) < len(left) or len(theirs) < len(right):
        here, there = Counter(left), Counter(record for record, _ in right)
        odd |= (here - there).keys() | (there - here).keys()
    found = {identity: Unlike(identity) for identity in {record[:HALF] for record in odd}}
    for record in [record for record in left if record[:HALF] in found]:
        found[record[:HALF]].source[_text(record[HALF:])] += 1
    for record, place in [one for one in right if one[0][:HALF] in found]:
        differing = found[record[:HALF]]
        digest = _text(record[HALF:])
        differing.target[digest] += 1
        differing.places[digest].append(_place(place))
    yield from found.values()


def _sum(block: bytes, size: int) -> int:
    """Of the first 60 bits of the digests of records of this size, byte by byte: a third of the time of
    number by number.

    A row without a digest adds nothing, as in SUM().
    """
    eight = sum(sum(block[HALF + place :: size]) << 56 - 8 * place for place in range(8))
    return eight - sum(block[HALF + 7 :: size].translate(_LOW)) >> 4


def _text(digest: bytes) -> str:
    return "" if digest == NONE else digest.hex()


def _place(tid: bytes) -> str:
    return "({},{})".format(*_TID.unpack(tid))
