"""What the row generators share: one seeded generator, the text stock, and the keys made so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import NamedTuple, TypeVar

from converge.demo.insert import Row, document
from converge.demo.text import HARD, Writer

T = TypeVar("T")

START = datetime(2019, 3, 1)
SPAN = 6 * 365 * 86_400  # seconds after START in which everything happens

#: JSON that is easily damaged: the null of JSON, numbers beyond 64 bits of float, keys in need of quoting.
HARD_DOCUMENTS = (
    "{}",
    "[]",
    "null",
    '""',
    "true",
    "0.1",
    '{"large": 18446744073709551615, "small": -9223372036854775808, "huge": 1e300, "tiny": 1e-300}',
    document({"text": HARD}),
    document({"escaped": "\\u0000 stays six characters", "": "empty key", 'a "quoted" key': None}),
    document({"deep": {"deeper": [{"deepest": [[], {}, None, False, 12.5]}]}}),
    '{"z": 1, "a": 2, "a much longer key": 3, "é": 4, "e\u0301": 5}',
)


class World:
    """State of one generation. It asks the seeded generator, never the clock: equal seeds, equal rows."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.text = Writer(self.rng)
        self.organisations: list[int] = []
        self.people: list[str] = []
        self.spaces: list[str] = []
        self.articles: list[str] = []
        self.comments: list[tuple[str, int]] = []

    def uuid(self) -> str:
        """A random (version 4) UUID as text."""
        digits = f"{self.rng.getrandbits(128):032x}"
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def uuids(self, count: int) -> list[str]:
        """Random UUIDs in order: rows inserted in the order of their key fill pages one after the other."""
        return sorted(self.uuid() for _ in range(count))

    def moment(self, timespec: str = "microseconds") -> str:
        """Some time between 2019 and 2025, UTC, to the second ("seconds"), millisecond or microsecond."""
        # Two draws: one number of microseconds would need more than 32 bits, which is slower.
        when = START + timedelta(seconds=self.rng.randrange(SPAN), microseconds=self.rng.randrange(1_000_000))
        return when.isoformat(" ", timespec)

    def day(self) -> date:
        """Some day between 2019 and 2025."""
        return (START + timedelta(seconds=self.rng.randrange(SPAN))).date()

    def maybe(self, probability: float, value: T) -> T | None:
        """`value` with this probability, else None."""
        return value if self.rng.random() < probability else None

    def document(self, index: int, value: object) -> str:
        """The `index`-th awkward JSON text while there are some, then `value` as JSON."""
        return HARD_DOCUMENTS[index] if index < len(HARD_DOCUMENTS) else document(value)


def edge(index: int, awkward: Sequence[T], otherwise: T) -> T:
    """The `index`-th awkward value while there are some, so that even a small database has all of them."""
    return awkward[index] if index < len(awkward) else otherwise


class Table(NamedTuple):
    """How one table is filled."""

    name: str
    columns: str
    """Names, separated by spaces, in the order of a generated row."""
    generate: Callable[[World, int], Iterator[Row]]
    """Yields that many rows, parents before children."""
    share: int
    """Rows of this table per thousand rows of the whole database."""
