"""Rows whose digests are not the same on both servers, found without holding a table in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import psycopg
from pymysql.cursors import SSCursor

from converge.codes import Code
from converge.errors import SourceError
from converge.model.plan import TablePlan
from converge.model.quote import my_name
from converge.mysql import digest as source_sql
from converge.mysql.watched import WatchedConnection
from converge.postgres import digest as target_sql

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
