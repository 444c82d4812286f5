"""Which rows of two sides are not alike, told by digests that are compared here, whatever their order.

A row is a record of 32 bytes: the MD5 of its identity, and that of its values. Both servers send theirs at
the same time. Many are spread over files by their first byte, so that memory has room for the rows of each
pair of files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile

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
_SPOOLED_BYTES = 250_000


def unlike(source: Records, target: Records, rows: int) -> Iterator[tuple[bytes, Digests, Digests]]:
    """Identities whose rows differ, with the digests of all their rows; `rows` is about how many there are.

    Nothing is given before both sides are read.
    """
    parts = min(_MOST_PARTS, max(1, rows // _ROWS + 1))
    with ExitStack() as stack:
        files = [
            [stack.enter_context(SpooledTemporaryFile(_SPOOLED_BYTES)) for _ in range(parts)]
            for _ in range(2)
        ]

        def keep(side: int, blocks: Records) -> None:
            own = files[side]
            for records in blocks:
                for record in records:
                    own[record[0] % parts].write(record)

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(keep, 1, target)
            keep(0, source)
            other.result()
        for here, there in zip(*files, strict=True):
            yield from _compared(_records(here), _records(there))


def cut(block: bytes) -> list[bytes]:
    """The records that stand one behind the other."""
    return [block[start : start + 2 * HALF] for start in range(0, len(block), 2 * HALF)]


def _records(file: SpooledTemporaryFile[bytes]) -> list[bytes]:
    file.seek(0)
    found = cut(file.read())
    file.close()
    return found


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
