"""The drill-down: from a table whose digests differ to key, column and both values.

Rows fall into 4,096 buckets by a hash of their key (of the whole row where there is no key), so
that collations and page order do not matter. Both servers sum every bucket; the rows of differing
buckets are fetched as digests, and only those that differ as values, which are judged here by
what they mean; of a long value only its digest comes. Memory: one batch of buckets.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import psycopg

from converge.errors import SourceError
from converge.model.plan import TablePlan
from converge.model.quote import my_name
from converge.model.result import MOST_DIFFERENCES as MOST_DIFFERENCES
from converge.model.result import Difference
from converge.mysql import digest as source_sql
from converge.mysql.watched import WatchedConnection
from converge.phases.long_values import LongValues, is_cut, is_long, shown, source_text, target_text
from converge.phases.meaning import meaning, window, without_numerals
from converge.postgres import digest as target_sql

_BATCH_ROWS = 50_000
_FETCH_BYTES = 16_000_000
"""Values of about this size are fetched at once: each time both servers read the whole table."""
_MOST_FETCHED = 10_000
_LONG_BYTES = 65_536
"""A value of more bytes than this stays on the servers."""
_LEAST_LONG_BYTES = 1024
"""The same for the values of very wide rows."""
_BUCKET_DIGITS = 3

Values = tuple[str | None, ...]


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
        self._source_row = source_sql.row_digest(table)
        self._target_row = target_sql.row_digest(table)
        if self._keys:
            self._source_id, self._target_id = source_sql.key_digest(table), target_sql.key_digest(table)
        else:
            plain = replace(table, columns=tuple(map(without_numerals, table.columns)))
            self._source_id, self._target_id = source_sql.row_digest(plain), target_sql.row_digest(plain)
        self._values_of = LongValues(
            source, target, (self._from_source, self._source_id), (self._from_target, self._target_id)
        )

    def differences(self) -> list[Difference]:
        """The differences, complete unless there are more than `MOST_DIFFERENCES` rows of them."""
        found: list[Difference] = []
        for buckets in self._batches():
            source, target = self._rows(buckets)
            ids = sorted({*(source - target), *(target - source)})
            wanted = sorted({identity for identity, _ in ids})
            for start in range(0, len(wanted), self._fetched):
                found += self._judge(wanted[start : start + self._fetched])
                if len(found) >= MOST_DIFFERENCES:
                    return found[:MOST_DIFFERENCES]
        return found

    def _batches(self) -> Iterator[list[str]]:
        """Differing buckets, together about as many rows as fit a batch."""
        source_bucket = f"SUBSTRING({self._source_id},1,{_BUCKET_DIGITS})"
        target_bucket = f"substr({self._target_id},1,{_BUCKET_DIGITS})"
        source = self._ask_source(
            f"SELECT {source_bucket},COUNT(*),SUM({source_sql.number(self._source_row)}) "
            f"FROM {self._from_source} GROUP BY 1"
        )
        target = self._ask_target(
            f"SELECT {target_bucket},count(*),sum({target_sql.number(self._target_row)}) "
            f"FROM {self._from_target} GROUP BY 1"
        )
        left = {bucket: (count, int(total or 0)) for bucket, count, total in source}
        right = {bucket: (count, int(total or 0)) for bucket, count, total in target}
        if None in left:
            raise SourceError(
                f"{self._table.source}: {left[None][0]} rows are longer than the source's max_allowed_packet "
                "and have no digest",
                code="V003",
                hint="SET GLOBAL max_allowed_packet = 1073741824; on the source, then verify again",
            )
        batch: list[str] = []
        rows = 0
        for bucket in sorted(left.keys() | right.keys()):
            if left.get(bucket) != right.get(bucket):
                batch.append(bucket)
                rows += max(left.get(bucket, (0, 0))[0], right.get(bucket, (0, 0))[0])
                if rows >= _BATCH_ROWS:
                    yield batch
                    batch, rows = [], 0
        if batch:
            yield batch

    def _rows(self, buckets: list[str]) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
        """(identity, digest) of every row in the buckets, both sides."""
        chosen = ",".join(f"'{bucket}'" for bucket in buckets)
        source = self._ask_source(
            f"SELECT {self._source_id},{self._source_row} FROM {self._from_source} "
            f"WHERE SUBSTRING({self._source_id},1,{_BUCKET_DIGITS}) IN ({chosen})"
        )
        target = self._ask_target(
            f"SELECT {self._target_id},{self._target_row} FROM {self._from_target} "
            f"WHERE substr({self._target_id},1,{_BUCKET_DIGITS}) IN ({chosen})"
        )
        return Counter((row[0], row[1] or "") for row in source), Counter((row[0], row[1]) for row in target)

    def _judge(self, identities: Sequence[str]) -> Iterator[Difference]:
        """Compares the values of these rows by meaning."""
        source, target = self._values(identities)
        if self._keys:
            alike = self._same_json(source, target)
            for identity in identities:
                yield from self._pair(identity, source.get(identity), target.get(identity), alike)
            return
        rows = {self._meaning(row): row for group in (*source.values(), *target.values()) for row in group}
        left = Counter(self._meaning(row) for group in source.values() for row in group)
        right = Counter(self._meaning(row) for group in target.values() for row in group)
        for same, count in (left - right).items():
            yield Difference(self._table.source, f"({count} rows)", None, _row(rows[same]), None)
        for same, count in (right - left).items():
            yield Difference(self._table.source, f"({count} rows)", None, None, _row(rows[same]))

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
            yield Difference(table, self._key(source[0]), None, f"{len(source)} rows", f"{len(target)} rows")
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
                self._ask_source(
                    f"SELECT {self._source_id},{source} FROM {self._from_source} "
                    f"WHERE {self._source_id} IN ({chosen})"
                )
            ),
            _by_identity(
                self._ask_target(
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

    def _ask_source(self, query: str) -> Sequence[tuple[Any, ...]]:
        with self._source.cursor() as cursor:
            cursor.execute(query)
            return cast(Sequence[tuple[Any, ...]], cursor.fetchall())

    def _ask_target(self, query: str) -> list[tuple[Any, ...]]:
        return self._target.execute(query.encode()).fetchall()


def _by_identity(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Values]]:
    grouped: dict[str, list[Values]] = defaultdict(list)
    for identity, *values in rows:
        grouped[identity].append(tuple(_text(value) for value in values))
    return dict(grouped)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _row(row: Values) -> str:
    return "(" + ", ".join("NULL" if value is None else shown(value)[:40] for value in row) + ")"
