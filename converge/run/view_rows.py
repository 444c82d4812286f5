"""Rows of a view from both servers, compared by value: which are on one side only, and what differs there."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import pymysql

from converge.model.plan import Computed
from converge.model.result import Difference
from converge.mysql.connect import WatchedConnection
from converge.mysql.connect import ask as ask_source
from converge.mysql.connect import describe as describe_source
from converge.postgres.connect import ask as ask_target
from converge.postgres.connect import describe as describe_target
from converge.run.retry import is_gone
from converge.run.values import meaning, window
from converge.types.results import SourceColumn, TargetColumn, Texts

Row = tuple[str | None, ...]
Values = tuple[Hashable, ...]
TOLERANCE = 1e-12
_LEAST = 1e-15
LONG = " bytes, MD5 "
"""Between the length and the digest of a value that is too long to be fetched."""
_EXAMPLES = 5
_LOOKED_AT = 1000
_KEY_COLUMNS = 3


def leftover(
    source: Sequence[Row], target: Sequence[Row], columns: Sequence[Texts], computed: Computed
) -> tuple[list[Row], list[Row], bool]:
    """Rows without an equal one on the other side, and whether approximate numbers were taken for equal."""

    ignored, separators = dict(computed.undefined), dict(computed.unsorted)

    def meant(row: Row) -> Values:
        return tuple(
            None if place in ignored else _meaning(columns[place], value, separators.get(place))
            for place, value in enumerate(row)
        )

    left, right = Counter(map(meant, source)), Counter(map(meant, target))
    rows = {meant(row): row for row in (*source, *target)}
    here, there = list((left - right).elements()), list((right - left).elements())
    doubles = [place for place, column in enumerate(columns) if column.judge == "double"]
    near: Counter[Values] = Counter()
    if doubles and here and there:
        near, like = _near(here, there, doubles)
        here, there = list((left - right - near).elements()), list((right - left - like).elements())
    return [rows[one] for one in here], [rows[one] for one in there], bool(near)


def _near(
    left: Iterable[Values], right: Iterable[Values], doubles: Collection[int]
) -> tuple[Counter[Values], Counter[Values]]:
    """Rows of both sides that differ by no more than the tolerance of approximate numbers."""
    groups: dict[Values, tuple[list[Values], list[Values]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((left, right)):
        for row in rows:
            groups[tuple(value for place, value in enumerate(row) if place not in doubles)][side].append(row)

    def numbers(row: Values) -> list[float]:
        return [-math.inf if row[place] is None else float(str(row[place])) for place in doubles]

    here, there = Counter[Values](), Counter[Values]()
    for one, other in groups.values():
        for a, b in zip(sorted(one, key=numbers), sorted(other, key=numbers), strict=False):
            pairs = zip(numbers(a), numbers(b), strict=True)
            if all(math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=_LEAST) for x, y in pairs):
                here[a] += 1
                there[b] += 1
    return here, there


def _meaning(column: Texts, value: str | None, separator: str | None) -> Hashable:
    if separator is not None and value is not None:
        length, long, _ = value.partition(LONG)
        return length if long else tuple(sorted(value.split(separator) if separator else value))
    if column.judge == "double" and value is not None:
        return float(value)
    return meaning(column, value)


def without_ties(
    computed: Computed, source: Sequence[Row], target: Sequence[Row], left: list[Row], right: list[Row]
) -> tuple[list[Row], list[Row]]:
    """What differs without the rows that LIMIT may take or leave: they tie with the last, or the first."""

    def key(row: Row) -> Row:
        return tuple(row[place] for place in computed.order)

    ends = {key(rows[-1]) for rows in (source, target) if rows}
    if computed.limited == "offset":
        ends |= {key(rows[0]) for rows in (source, target) if rows}
    here, there = ([row for row in rows if key(row) not in ends] for rows in (left, right))
    same = Counter(map(key, source)) == Counter(map(key, target))
    return (here, there) if same else (left, right)


def examples(
    view: str, names: Sequence[str], left: list[Row], right: list[Row], ignored: Collection[int]
) -> list[Difference]:
    """Some of the rows that differ, each beside the one of the other side that is most like it."""
    found: list[Difference] = []
    places = [place for place in range(len(names)) if place not in ignored]
    right = right[:_LOOKED_AT]
    for row in left[:_EXAMPLES]:
        if not right:
            found.append(Difference(view, _key(names, row, places), None, _shown(row), None))
            continue
        other = max(right, key=lambda one: sum(one[place] == row[place] for place in places))
        right.remove(other)
        same = [place for place in places if row[place] == other[place]]
        for place in places:
            if place not in same:
                values = window(row[place], other[place])
                found.append(Difference(view, _key(names, row, same), names[place], *values))
    for row in right[: _EXAMPLES - len(left)] if len(left) < _EXAMPLES else ():
        found.append(Difference(view, _key(names, row, places), None, None, _shown(row)))
    return found


def _key(names: Sequence[str], row: Row, places: Sequence[int]) -> str:
    return ", ".join(f"{names[place]}={str(row[place])[:40]}" for place in places[:_KEY_COLUMNS])


def _shown(row: Row) -> str:
    return "(" + ", ".join("NULL" if value is None else value[:40] for value in row) + ")"


T = TypeVar("T")
_TIMED_OUT = (3024, "57014")
_NOT_ALLOWED = "42501"
_BROKEN = ("21", "22", "23", "2F", "38", "39", "0A", "42", "P0", "XX")
"""Classes of SQLSTATE for which the target cannot compute what the source does."""


class NotComparedError(Exception):
    """Why there is nothing to compare."""


class BrokenError(Exception):
    """What the target says instead of giving rows."""


class Sides:
    """A worker's connections. Raises its two errors, and the drivers' errors of lost connections."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, seconds: int
    ) -> None:
        self._source, self._target = source, target
        self._schema, self._seconds = schema, seconds

    @contextmanager
    def settled(self) -> Iterator[None]:
        """The source's session without a limit of GROUP_CONCAT; what `stop_clock` has set ends with it."""
        self._set("group_concat_max_len=@@max_allowed_packet")
        yield
        # A connection that is lost ends the process with its session.
        self._set("timestamp=DEFAULT,group_concat_max_len=DEFAULT")

    def stop_clock(self, seconds: object) -> None:
        """NOW() of the source is this moment from now on."""
        self._set(f"timestamp={seconds}")

    def source(self, query: str, most: int = 1) -> list[tuple[Any, ...]]:
        return self._on_source(lambda: ask_source(self._source, query, seconds=self._seconds, most=most))

    def target(self, query: str, most: int = 1) -> list[tuple[Any, ...]]:
        schema, seconds = self._schema, self._seconds
        return self._on_target(lambda: ask_target(self._target, query, schema, seconds=seconds, most=most))

    def source_rows(self, query: str, most: int) -> list[Row]:
        """The same as texts."""
        return _decoded(self.source(query, most))

    def target_rows(self, query: str, most: int) -> list[Row]:
        return _decoded(self.target(query, most))

    def described(self, source: str, target: str) -> tuple[list[SourceColumn], list[TargetColumn]]:
        """The columns of what stands in FROM."""
        here = self._on_source(lambda: describe_source(self._source, source))
        return here, self._on_target(lambda: describe_target(self._target, target, self._schema))

    def _set(self, settings: str) -> None:
        with self._source.cursor() as cursor:
            cursor.execute(f"SET SESSION {settings}")

    def _on_source(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except pymysql.err.Error as error:
            if is_gone(error):
                raise
            number, *text = error.args
            raise self._not_compared("source", number, str(text[0] if text else number)) from error

    def _on_target(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except psycopg.Error as error:
            if is_gone(error) or error.sqlstate is None:
                raise
            text = (error.diag.message_primary or str(error)).splitlines()[0]
            if error.sqlstate.startswith(_BROKEN) and error.sqlstate != _NOT_ALLOWED:
                raise BrokenError(f"ERROR: {text}") from error
            raise self._not_compared("target", error.sqlstate, text) from error

    def _not_compared(self, side: str, code: int | str, text: str) -> NotComparedError:
        if code in _TIMED_OUT:
            return NotComparedError(f"a query of it takes more than {self._seconds} s on the {side}")
        return NotComparedError(f"the {side} cannot read it: {text}")


def _decoded(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    return [
        tuple(one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in row)
        for row in rows
    ]
