"""The scan: a few read-only queries a table, in bounded time, that answer what the catalog cannot say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.model.endpoint import Endpoint
from converge.model.evidence import Count, Questions, Search, TableFacts
from converge.model.quote import my_name
from converge.mysql.connect import WatchedConnection, connect, end_queries

_SHOWN = 5
"""Keys of rows that are shown as examples."""
_BATCH = 200
"""Conditions in one query."""
# ER_QUERY_TIMEOUT and ER_QUERY_INTERRUPTED (MySQL 8.0 Error Reference).
_OUT_OF_TIME = (3024, 1317)


def scan(
    endpoint: Endpoint,
    todo: Sequence[Questions],
    *,
    jobs: int,
    seconds: float,
    on_table: Callable[[str], None],
) -> dict[str, TableFacts]:
    """Answers the questions on `jobs` connections, at most `seconds` for each table.

    A table whose time is up has the answers that came in time and says so in `unseen`.
    """
    connections: SimpleQueue[WatchedConnection] = SimpleQueue()
    opened = [connect(endpoint) for _ in range(min(jobs, len(todo)))]

    def answer(questions: Questions) -> tuple[str, TableFacts]:
        connection = connections.get()
        try:
            return questions.table, _Table(connection, questions, seconds).answer()
        finally:
            connections.put(connection)

    facts = {}
    pool = ThreadPoolExecutor(max(1, len(opened)), thread_name_prefix="scan")
    try:
        for connection in opened:
            connections.put(connection)
        for table, found in pool.map(answer, todo):
            facts[table] = found
            on_table(table)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_queries(endpoint, *opened)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for connection in opened:
            connection.close()
    return facts


class _Table:
    """The scan of one table."""

    def __init__(self, connection: Connection[Any], questions: Questions, seconds: float) -> None:
        self._connection = connection
        self._questions = questions
        self._seconds = seconds
        self._began = time.monotonic()
        self._from = f"FROM {my_name(questions.table)} AS c"

    def answer(self) -> TableFacts:
        """All answers that come in time."""
        counts: dict[str, Count] = {}
        longest: dict[str, int] = {}
        found: dict[str, Count] = {}
        rows = 0
        unseen = ""
        try:
            rows = self._rows()
            counts.update(self._counts())
            longest.update(self._longest())
            found.update((one.name, self._search(one)) for one in self._questions.searches)
        except pymysql.err.OperationalError as error:
            if error.args[0] not in _OUT_OF_TIME:
                raise
            unseen = f"the scan stopped after {self._seconds:g} s"
        seconds = time.monotonic() - self._began
        return TableFacts(rows, seconds, counts, longest, found, unseen)

    def _rows(self) -> int:
        return int(self._ask(f"COUNT(*) {self._from}")[0][0])

    def _counts(self) -> Iterator[tuple[str, Count]]:
        conditions = self._questions.conditions
        for start in range(0, len(conditions), _BATCH):
            batch = conditions[start : start + _BATCH]
            sums = self._ask(f"{','.join(f'SUM({condition})' for condition in batch)} {self._from}")[0]
            for condition, found in zip(batch, sums, strict=True):
                rows = int(found or 0)
                yield condition, Count(rows, self._keys(self._from, condition) if rows else ())

    def _longest(self) -> Iterator[tuple[str, int]]:
        if lengths := self._questions.lengths:
            most = ",".join(f"MAX({length})" for _, length in lengths)
            for (column, _), found in zip(lengths, self._ask(f"{most} {self._from}")[0], strict=True):
                yield column, int(found or 0)

    def _search(self, one: Search) -> Count:
        rows = int(self._ask(f"COUNT(*) {one.join} WHERE {one.where}")[0][0])
        return Count(rows, self._keys(one.join, one.where) if rows else ())

    def _keys(self, from_: str, where: str) -> tuple[str, ...]:
        key = self._questions.key
        if not key:
            return ()
        return tuple(str(row[0]) for row in self._ask(f"{key} {from_} WHERE {where} LIMIT {_SHOWN}"))

    def _ask(self, query: str) -> Sequence[tuple[Any, ...]]:
        left = self._seconds - (time.monotonic() - self._began)
        hint = f"/*+ MAX_EXECUTION_TIME({max(1, int(left * 1000))}) */"
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {hint} {query}")
            return cast(Sequence[tuple[Any, ...]], cursor.fetchall())
