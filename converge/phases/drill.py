"""The drill-down: from a table whose digests differ to key, column and both values.

Rows fall into 4,096 buckets by a hash of their key (of the whole row where there is no key), so
that collations and page order do not matter. Both servers sum every bucket; the digests of the rows of
differing buckets are read side by side in the order of that hash, so that all rows that differ are counted.
Values are fetched of the first ones, and of all where a file gets them or where only the values can judge;
of a long value only its digest comes. Memory: one batch of values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import my_name
from converge.model.result import MOST_DIFFERENCES as MOST_DIFFERENCES
from converge.model.result import Difference
from converge.model.work import Counts, Drilled
from converge.mysql import digest as source_sql
from converge.mysql.watched import WatchedConnection
from converge.phases.long_values import LongValues, is_cut, is_long, shown, source_text, target_text
from converge.phases.meaning import meaning, window, without_numerals
from converge.phases.suspects import Digests, Suspects, as_text, ask_source
from converge.postgres import digest as target_sql

_FETCH_BYTES = 16_000_000
"""Values of about this size are fetched at once: each time both servers read the whole table."""
_MOST_FETCHED = 10_000
_LONG_BYTES = 65_536
"""A value of more bytes than this stays on the servers."""
_LEAST_LONG_BYTES = 1024
"""The same for the values of very wide rows."""

_ROWS = "(rows)"
_NUMBERS = re.compile(r"(\d+)")

Values = tuple[str | None, ...]
Order = list[tuple[bool, int, str]]
Tell = Callable[[list[Difference]], None]


class Drill:
    """The drill-down of one table on one pair of connections."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, table: TablePlan
    ) -> None:
        self._source = source
        self._target = target
        self._table = table
        row_bytes = table.data_bytes // max(1, table.rows_estimate) + 1
        self._fetched = max(MOST_DIFFERENCES, min(_MOST_FETCHED, _FETCH_BYTES // row_bytes))
        most = _FETCH_BYTES // MOST_DIFFERENCES // len(table.columns)
        self._long = max(_LEAST_LONG_BYTES, min(_LONG_BYTES, most))
        self._keys = table.keys
        self._from_source = my_name(table.source)
        self._from_target = target_sql.rows_of(schema, table)
        if self._keys:
            self._source_id, self._target_id = source_sql.key_digest(table), target_sql.key_digest(table)
        else:
            plain = replace(table, columns=tuple(map(without_numerals, table.columns)))
            self._source_id, self._target_id = source_sql.row_digest(plain), target_sql.row_digest(plain)
        self._suspects = Suspects(source, target, schema, table, (self._source_id, self._target_id))
        self._values_of = LongValues(
            source, target, (self._from_source, self._source_id), (self._from_target, self._target_id)
        )

    def run(self, tell: Tell | None) -> Drilled:
        """Counts all rows that differ, and gives those of the lowest keys; `tell` gets every one of them."""
        counts, first = Counts(), list[Difference]()
        lowest: list[tuple[Order, str]] = []
        by_value = tell is not None or any(column.judge != "text" for column in self._table.columns)
        # Both connections are busy until all suspects are read, and there may be as many as rows.
        with TemporaryFile("w+") as spool:
            for identity, key, left, right in self._suspects:
                # A row without a digest is longer than max_allowed_packet, and may be equal.
                if by_value or "" in left:
                    spool.write(f"{identity}\n")
                    continue
                counts += _counted(left, right)
                lowest.append((_natural(key), identity))
                if len(lowest) > self._fetched:
                    lowest = sorted(lowest)[:MOST_DIFFERENCES]
            if lowest:
                _, first = self._judge([identity for _, identity in sorted(lowest)[:MOST_DIFFERENCES]])
            spool.seek(0)
            while batch := [line.rstrip() for line in islice(spool, self._fetched)]:
                more, found = self._judge(batch)
                counts += more
                if tell is not None:
                    tell(found)
                first = sorted(first + found, key=lambda one: _natural(one.key))[:MOST_DIFFERENCES]
        first.sort(key=lambda one: _natural(one.key))
        return Drilled(self._table.source, counts, tuple(first[:MOST_DIFFERENCES]))

    def _judge(self, identities: Sequence[str]) -> tuple[Counts, list[Difference]]:
        """Compares the values of these rows by meaning."""
        source, target = self._values(identities)
        counts, found, name = Counts(), list[Difference](), self._table.source
        if self._keys:
            alike = self._same_json(source, target)
            for identity in identities:
                here, there = source.get(identity), target.get(identity)
                pair = list(self._pair(identity, here, there, alike))
                found += pair
                values = any(one.column not in (None, _ROWS) for one in pair)
                more = len(there or ()) - len(here or ())
                counts += Counts(max(0, -more), max(0, more), int(values))
            return counts, found
        rows = {self._meaning(row): row for group in (*source.values(), *target.values()) for row in group}
        left = Counter(self._meaning(row) for group in source.values() for row in group)
        right = Counter(self._meaning(row) for group in target.values() for row in group)
        for same, count in (left - right).items():
            found.append(Difference(name, f"({count} rows)", None, _row(rows[same]), None))
        for same, count in (right - left).items():
            found.append(Difference(name, f"({count} rows)", None, None, _row(rows[same])))
        return Counts((left - right).total(), (right - left).total()), found

    def _same_json(
        self, source: dict[str, list[Values]], target: dict[str, list[Values]]
    ) -> set[tuple[str, str]]:
        """Columns and rows whose long JSON is the same though it is written differently."""
        same: set[tuple[str, str]] = set()
        for place, column in enumerate(self._table.columns):
            if column.judge == "json":
                pairs = (
                    (one, source[one][0][place], target[one][0][place]) for one in source.keys() & target
                )
                wanted = [
                    one
                    for one, a, b in pairs
                    if a != b and a and b and not is_cut(a) and (is_long(a) or is_long(b))
                ]
                same.update((column.source, one) for one in self._values_of.same_json(column, wanted))
        return same

    def _pair(
        self,
        identity: str,
        source: list[Values] | None,
        target: list[Values] | None,
        alike: set[tuple[str, str]],
    ) -> Iterator[Difference]:
        table = self._table.source
        if source is None or target is None:
            row = (source or target or [()])[0]
            whole = _row(row)
            yield Difference(
                table, self._key(row), None, whole if source else None, None if source else whole
            )
            return
        if len(source) != len(target):
            yield Difference(table, self._key(source[0]), _ROWS, str(len(source)), str(len(target)))
        for column, left, right in zip(self._table.columns, source[0], target[0], strict=True):
            if left is not None and is_cut(left):
                yield Difference(
                    table, self._key(source[0]), column.source, shown(left), right and shown(right)
                )
            elif is_long(left) or is_long(right):
                if left == right or (column.source, identity) in alike:
                    continue
                differ = self._values_of.window(column, identity, left, right)
                yield Difference(table, self._key(source[0]), column.source, *differ)
            elif meaning(column, left) != meaning(column, right):
                yield Difference(table, self._key(source[0]), column.source, *window(left, right))

    def _values(self, identities: Sequence[str]) -> tuple[dict[str, list[Values]], dict[str, list[Values]]]:
        chosen = ",".join(f"'{identity}'" for identity in identities)
        source = ",".join(source_text(column, self._long) for column in self._table.columns)
        target = ",".join(target_text(column, self._long) for column in self._table.columns)
        return (
            _by_identity(
                ask_source(
                    self._source,
                    f"SELECT {self._source_id},{source} FROM {self._from_source} "
                    f"WHERE {self._source_id} IN ({chosen})",
                )
            ),
            _by_identity(
                self._target.execute(
                    f"SELECT {self._target_id},{target} FROM {self._from_target} "
                    f"WHERE {self._target_id} IN ({chosen})"
                )
            ),
        )

    def _key(self, row: Values) -> str:
        places = [self._table.columns.index(column) for column in self._keys]
        return ", ".join(f"{self._table.columns[place].source}={row[place]}" for place in places)

    def _meaning(self, row: Values) -> tuple[Hashable, ...]:
        return tuple(
            value if is_long(value) else meaning(column, value)
            for column, value in zip(self._table.columns, row, strict=True)
        )


def _counted(left: Digests, right: Digests) -> Counts:
    """What digests alone say of the rows of one identity."""
    here, there = (left - right).total(), (right - left).total()
    different = min(here, there)
    return Counts(here - different, there - different, different)


def _natural(text: str) -> Order:
    """Sorts numbers by their size, as keys are."""
    return [
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _NUMBERS.split(text)
    ]


def _by_identity(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Values]]:
    grouped: dict[str, list[Values]] = defaultdict(list)
    for identity, *values in rows:
        grouped[identity].append(tuple(as_text(value) for value in values))
    return dict(grouped)


def _row(row: Values) -> str:
    return "(" + ", ".join("NULL" if value is None else shown(value)[:40] for value in row) + ")"
