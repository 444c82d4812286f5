"""Rows of a view from both servers, compared by value: which are on one side only, and what differs there."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence

from converge.model.plan import Computed
from converge.model.result import Difference
from converge.phases.meaning import meaning, window
from converge.types.results import Texts

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
