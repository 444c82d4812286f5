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
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from tempfile import TemporaryFile
from typing import Any, cast

import psycopg
from pymysql.cursors import SSCursor

from converge.codes import Code
from converge.errors import SourceError
from converge.model.plan import TablePlan
from converge.model.quote import my_name
from converge.model.result import MOST_DIFFERENCES as MOST_DIFFERENCES
from converge.model.result import Difference
from converge.model.work import Counts, Drilled
from converge.mysql import digest as source_sql
from converge.mysql.connect import WatchedConnection
from converge.postgres import digest as target_sql
from converge.run.values import (
    LongValues,
    is_cut,
    is_long,
    meaning,
    shown,
    source_text,
    target_text,
    window,
    without_numerals,
)

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


_SORTED_ROWS = 10_000_000
"""Rows that the servers sort at once, on their disks: about a gigabyte."""
_BUCKET_DIGITS = 3

Digests = Counter[str]
"""The digests of the rows of one identity, with their number."""


class Suspects:
    """The suspects of one table; both connections are busy while they are read."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        schema: str,
        table: TablePlan,
        identity: tuple[str, str],
    ) -> None:
        """`identity` are the expressions that tell one row from another, of each side."""
        self._source, self._target, self._table = source, target, table
        self._source_id, self._target_id = identity
        self._from_source = my_name(table.source)
        self._from_target = target_sql.rows_of(schema, table)
        self._source_row = source_sql.row_digest(table)
        self._target_row = target_sql.row_digest(table)

    def __iter__(self) -> Iterator[tuple[str, str, Digests, Digests]]:
        """Identity and key of rows with other digests on each side, which are read in one order."""
        here_key = ",".join(("''", *(column.source_value for column in self._table.keys)))
        there_key = ",".join(("''", *(f"({column.target_value})::text" for column in self._table.keys)))
        for buckets in self._batches():
            chosen = ",".join(f"'{bucket}'" for bucket in buckets)
            query = (
                f"SELECT {self._target_id},{self._target_row},concat_ws(',',{there_key}) "
                f"FROM {self._from_target} WHERE substr({self._target_id},1,{_BUCKET_DIGITS}) IN ({chosen}) "
                f'ORDER BY {self._target_id} COLLATE "C"'
            )
            there = ((*row, 1) for row in self._target.cursor().stream(query.encode()))
            with SSCursor(self._source) as cursor:
                # The digests alone are sorted: beside long columns the server has no memory for it (1038).
                cursor.execute(
                    f"SELECT /*+ NO_MERGE(d) */ * FROM (SELECT {self._source_id} i,{self._source_row} r,"
                    f"CONCAT_WS(',',{here_key}) k FROM {self._from_source} "
                    f"WHERE SUBSTRING({self._source_id},1,{_BUCKET_DIGITS}) IN ({chosen})) AS d ORDER BY i"
                )
                here = ((*row, 0) for row in cursor)
                both = merge(here, there, key=itemgetter(0))
                for identity, rows in groupby(both, key=itemgetter(0)):
                    sides: tuple[Digests, Digests] = Counter(), Counter()
                    key = ""
                    for _, digest, printed, side in rows:
                        sides[side][digest or ""] += 1
                        key = printed
                    if sides[0] != sides[1]:
                        yield identity, as_text(key) or "", *sides

    def _batches(self) -> Iterator[list[str]]:
        """Differing buckets, together about as many rows as fit a batch."""
        source_bucket = f"SUBSTRING({self._source_id},1,{_BUCKET_DIGITS})"
        target_bucket = f"substr({self._target_id},1,{_BUCKET_DIGITS})"
        source = ask_source(
            self._source,
            f"SELECT {source_bucket},COUNT(*),SUM({source_sql.number(self._source_row)}) "
            f"FROM {self._from_source} GROUP BY 1",
        )
        target = self._target.execute(
            f"SELECT {target_bucket},count(*),sum({target_sql.number(self._target_row)}) "
            f"FROM {self._from_target} GROUP BY 1"
        )
        left = {bucket: (count, int(total or 0)) for bucket, count, total in source}
        right = {bucket: (count, int(total or 0)) for bucket, count, total in target}
        if None in left:
            raise SourceError(
                f"{self._table.source}: {left[None][0]} rows are longer than the source's max_allowed_packet "
                "and have no digest",
                code=Code.V003,
                hint="SET GLOBAL max_allowed_packet = 1073741824; on the source, then verify again",
            )
        batch: list[str] = []
        rows = 0
        for bucket in sorted(left.keys() | right.keys()):
            if left.get(bucket) != right.get(bucket):
                batch.append(bucket)
                rows += max(left.get(bucket, (0, 0))[0], right.get(bucket, (0, 0))[0])
                if rows >= _SORTED_ROWS:
                    yield batch
                    batch, rows = [], 0
        if batch:
            yield batch


def ask_source(source: WatchedConnection, query: str) -> Sequence[tuple[Any, ...]]:
    with source.cursor() as cursor:
        cursor.execute(query)
        return cast(Sequence[tuple[Any, ...]], cursor.fetchall())


def as_text(value: Any) -> str | None:
    """A value as either driver gives it."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
