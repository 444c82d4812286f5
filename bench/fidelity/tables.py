"""What a generated table is: columns that make their own values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil
from random import Random

Make = Callable[[Random], str]
"""Makes one value as a MySQL literal."""

_NULLS = 0.03
_EXTREMES = 0.05
_SPARE = 1.06
"""More rows than the values need, because some of the cells are NULL."""


@dataclass(frozen=True)
class Column:
    """A MySQL type, with NOT NULL or without, and its values: `extremes` first, and again now and then."""

    type: str
    make: Make
    extremes: tuple[str, ...] = ()

    @property
    def nullable(self) -> bool:
        return "NOT NULL" not in self.type

    def literals(self, rng: Random) -> Iterator[str]:
        """Values without end."""
        extremes, make, chance = self.extremes, self.make, rng.random
        yield from extremes
        nulls = _NULLS if self.nullable else 0.0
        again = nulls + (_EXTREMES if extremes else 0.0)
        while True:
            dice = chance()
            if dice >= again:
                yield make(rng)
            else:
                yield "NULL" if dice < nulls else rng.choice(extremes)


@dataclass(frozen=True)
class Table:
    """A table whose columns are called c1, c2 …, of one family."""

    name: str
    columns: tuple[Column, ...]
    key: str = "id INT NOT NULL PRIMARY KEY"
    """The definition of the key's column, filled with 1, 2 …; empty for a table without such a column."""
    also: str = ""
    """One more line of CREATE TABLE."""

    def create(self) -> str:
        lines = [f"c{place} {column.type}" for place, column in enumerate(self.columns, 1)]
        return f"CREATE TABLE {self.name} ({', '.join(filter(None, [self.key, *lines, self.also]))})"

    def rows(self, rng: Random, number: int) -> Iterator[str]:
        """So many rows as MySQL writes them after VALUES."""
        cells = [column.literals(rng) for column in self.columns]
        keys = [map(str, count(1))] if self.key else []
        for _, row in zip(range(number), zip(*keys, *cells, strict=True), strict=False):
            yield f"({','.join(row)})"

    def rows_for(self, values: int) -> int:
        """How many rows hold so many values that are not NULL."""
        return ceil(values * _SPARE / len(self.columns))


def columns(make: Make, extremes: tuple[str, ...], *types: str) -> tuple[Column, ...]:
    """Columns of several types that make the same values."""
    return tuple(Column(kind, make, extremes) for kind in types)
