"""The scan: read-only queries, in bounded time, that answer what the catalog cannot say.

A large table is read in ranges of its key by all connections, each range once for all that is asked. A guess
("every value fits uuid") falls with one row, so the first rows are looked at before: most guesses fall there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any, cast

import pymysql

from converge.model.endpoint import Endpoint
from converge.model.evidence import Count, Questions, TableFacts
from converge.model.extent import Range
from converge.model.quote import my_name
from converge.mysql.chunks import cut
from converge.mysql.connect import WatchedConnection, connect, end_queries
from converge.mysql.rows import where

_SHOWN = 5
"""Keys of rows that are shown as examples."""
_LOOKED_AT = 100
"""Rows among which different values are looked for."""
_BATCH = 200
"""Answers of one query."""
_RANGE_BYTES = 32 * 1024 * 1024
_FIRST_ROWS = 1000
_FIRST_BYTES = 16 * 1024 * 1024
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
    """Answers the questions on `jobs` connections, at most `seconds` of each for a table.

    A table whose time is up has the answers that came in time and says so in `unseen`.
    """
    stop = Event()
    connections: SimpleQueue[WatchedConnection] = SimpleQueue()
    opened = [connect(endpoint) for _ in range(min(jobs, len(todo)))]
    ended: SimpleQueue[tuple[_Table, Future[list[_Task]]]] = SimpleQueue()

    def run(task: _Task) -> list[_Task]:
        connection = connections.get()
        try:
            return task(connection)
        finally:
            connections.put(connection)

    def begin(table: _Table, task: _Task) -> None:
        pool.submit(run, task).add_done_callback(lambda future: ended.put((table, future)))

    facts: dict[str, TableFacts] = {}
    pool = ThreadPoolExecutor(max(1, len(opened)), thread_name_prefix="scan")
    try:
        for connection in opened:
            connections.put(connection)
        for questions in todo:
            table = _Table(questions, seconds, len(opened), stop)
            begin(table, table.first)
        while len(facts) < len(todo):
            table, future = ended.get()
            for task in future.result():
                begin(table, task)
            if table.facts is not None:
                facts[table.name] = table.facts
                on_table(table.name)
    except BaseException:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end_queries(endpoint, *opened)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for connection in opened:
            connection.close()
    return {questions.table: facts[questions.table] for questions in todo}


_Task = Callable[[WatchedConnection], "list[_Task]"]
"""Asks the source on one connection; returns what to ask next."""


@dataclass
class _Batch:
    """Aggregates that one query asks of each range."""

    asked: list[str]
    left: int
    """Ranges that have not answered."""
    answers: dict[str, int] = field(default_factory=dict)

    def add(self, row: Sequence[Any]) -> None:
        for one, value in zip(self.asked, row, strict=True):
            found, before = int(value or 0), self.answers.get(one, 0)
            self.answers[one] = max(before, found) if one.startswith("MAX(") else before + found
        self.left -= 1


class _Table:
    """The scan of one table: its first rows, its ranges, and at last the rows that are searched or shown."""

    def __init__(self, questions: Questions, seconds: float, connections: int, stop: Event) -> None:
        self.name = questions.table
        self.facts: TableFacts | None = None
        """The answers that came in time, once all was asked."""
        self._questions = questions
        self._from = f"FROM {my_name(questions.table)} AS c"
        self._seconds, self._most_seconds = seconds, seconds * connections
        self._spent = 0.0
        """Seconds of all queries about the table: its time stands still while others are asked."""
        self._stop = stop
        self._counts: dict[str, Count] = {}
        self._batches: list[_Batch] = []
        self._left = 0
        """Queries that have not ended."""
        self._unseen = ""
        self._lock = Lock()

    def first(self, connection: WatchedConnection) -> list[_Task]:
        """Looks at the first rows of a large table, and cuts it into ranges."""
        questions, extent = self._questions, self._questions.extent
        ranges = [Range()]
        if extent.bytes > _RANGE_BYTES:
            with self._in_time():
                self._first_rows(connection)
                ranges = self._ranges(connection)
        asked = ["COUNT(*)"]
        asked += [f"SUM({one})" for one in questions.conditions if one not in self._counts]
        asked += [f"MAX({length})" for _, length in questions.lengths]
        self._batches = [
            _Batch(asked[start : start + _BATCH], len(ranges)) for start in range(0, len(asked), _BATCH)
        ]
        self._left = len(ranges) * len(self._batches)
        key = [name for name, _ in extent.key]
        return [partial(self._range, where(key, one), batch) for one in ranges for batch in self._batches]

    def _ranges(self, connection: WatchedConnection) -> list[Range]:
        """All ranges of the key: a part of them would leave rows out."""
        found: list[Range] = []
        left = self._seconds_left()
        with connection.cursor() as cursor, self._timed():
            cursor.execute("SET SESSION max_execution_time = %s", (int(left * 1000),))
            began = time.monotonic()
            for one in cut(connection, self._questions.extent, _RANGE_BYTES):
                found.append(one)
                if self._stop.is_set() or time.monotonic() - began > left:
                    raise _out_of_time()
            cursor.execute("SET SESSION max_execution_time = 0")
        return found

    def _first_rows(self, connection: WatchedConnection) -> None:
        guesses, extent = self._questions.guesses, self._questions.extent
        most = max(1, min(_FIRST_ROWS, _FIRST_BYTES * extent.rows // extent.bytes))
        for start in range(0, len(guesses), _BATCH):
            batch = guesses[start : start + _BATCH]
            rows = self._ask(connection, f"{','.join(batch)} {self._from} LIMIT {most}")
            for place, guess in enumerate(batch):
                if hits := sum(bool(row[place]) for row in rows):
                    self._counts[guess] = Count(hits, of=len(rows))

    def _range(self, condition: str, batch: _Batch, connection: WatchedConnection) -> list[_Task]:
        row: Sequence[Any] = ()
        if not self._unseen:
            with self._in_time():
                (row,) = self._ask(connection, f"{','.join(batch.asked)} {self._from}{condition}")
        with self._lock:
            if row:
                batch.add(row)
            self._left -= 1
            return [] if self._left else [self._last]

    def _last(self, connection: WatchedConnection) -> list[_Task]:
        """Collects the answers; searches what a join finds, and the rows to show."""
        questions = self._questions
        known = {
            one: value for batch in self._batches if not batch.left for one, value in batch.answers.items()
        }
        found: dict[str, Count] = {}
        counted = [one for one in questions.conditions if f"SUM({one})" in known]
        self._counts |= {one: Count(known[f"SUM({one})"]) for one in counted}
        with self._in_time():
            for large in questions.oversize if not self._unseen else ():
                longest_values = [known.get(f"MAX({length})", large.bound + 1) for length in large.lengths]
                told = sum(longest_values) <= large.bound
                count = Count(0) if told else self._found(connection, self._from, large.condition)
                self._counts[large.condition] = count
            for one in counted:
                if (rows := self._counts[one].rows) and one not in questions.guesses:
                    self._counts[one] = Count(rows, self._keys(connection, self._from, one))
            for one, example in questions.examples:
                if (fallen := self._counts.get(one)) and fallen.rows and not fallen.keys:
                    shown = self._keys(connection, self._from, one, example)
                    self._counts[one] = replace(fallen, keys=shown)
            for search in questions.searches if not self._unseen else ():
                found[search.name] = self._found(connection, search.join, search.where)
        longest = {
            name: known[most] for name, length in questions.lengths if (most := f"MAX({length})") in known
        }
        if "COUNT(*)" not in known:
            # What is known of no row is not said of none.
            self._spent = 0.0
            with self._in_time():
                known["COUNT(*)"] = int(self._ask(connection, f"COUNT(*) {self._from}")[0][0])
        rows = known.get("COUNT(*)", 0)
        self.facts = TableFacts(rows, self._spent, self._counts, longest, found, self._unseen)
        return []

    def _found(self, connection: WatchedConnection, from_: str, where: str) -> Count:
        rows = int(self._ask(connection, f"COUNT(*) {from_} WHERE {where}")[0][0])
        return Count(rows, self._keys(connection, from_, where) if rows else ())

    def _keys(
        self, connection: WatchedConnection, from_: str, where: str, example: str = ""
    ) -> tuple[str, ...]:
        """The keys of the first rows, or the examples of many, without those that are the same."""
        shown = example or self._questions.key
        if not shown:
            return ()
        most = _LOOKED_AT if example else _SHOWN
        rows = self._ask(connection, f"{shown} {from_} WHERE {where} LIMIT {most}")
        return tuple(dict.fromkeys(str(row[0]) for row in rows))[:_SHOWN]

    def _ask(self, connection: WatchedConnection, query: str) -> Sequence[tuple[Any, ...]]:
        hint = f"/*+ MAX_EXECUTION_TIME({int(self._seconds_left() * 1000)}) */"
        with connection.cursor() as cursor, self._timed():
            cursor.execute(f"SELECT {hint} {query}")
            return cast(Sequence[tuple[Any, ...]], cursor.fetchall())

    def _seconds_left(self) -> float:
        """At least a millisecond; 0 would be no limit."""
        left = min(self._seconds, self._most_seconds - self._spent)
        if self._stop.is_set() or left <= 0:
            raise _out_of_time()
        return max(left, 0.001)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._spent += time.monotonic() - began

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Ends the scan of the table where its time is up."""
        try:
            yield
        except pymysql.err.OperationalError as error:
            if error.args[0] not in _OUT_OF_TIME:
                raise
            self._unseen = f"the scan stopped after {self._seconds:g} s"


def _out_of_time() -> pymysql.err.OperationalError:
    return pymysql.err.OperationalError(_OUT_OF_TIME[0], "the time for the table is up")
