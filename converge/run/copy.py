"""The copy: table by table, chunk by chunk, until the ledger has none left to do."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from converge.model.event import CopyStarted, Progress, Sink, TableCopied, TableSize
from converge.model.plan import Plan
from converge.model.result import Pace, TableResult
from converge.model.table_plan import TablePlan
from converge.model.work import Copied, CopyTask
from converge.mysql.rows import select_text, where
from converge.postgres.copy import copy_statement
from converge.postgres.ledger import Ledger, LedgerChunk
from converge.run.rejects import too_many
from converge.run.workers import Workers


def by_table(chunks: Iterable[LedgerChunk]) -> dict[str, list[LedgerChunk]]:
    """The chunks by their source table."""
    grouped: dict[str, list[LedgerChunk]] = defaultdict(list)
    for chunk in chunks:
        grouped[chunk.table].append(chunk)
    return dict(grouped)


@dataclass
class Copy:
    """The copy of one run. `results` fills while it goes on, and is right after an interruption."""

    plan: Plan
    ledger: Ledger
    emit: Sink
    most_rejects: int = 0
    rate: float = 0.0
    """Bytes a second of each worker; 0 is without limit."""
    results: dict[str, TableResult] = field(default_factory=dict)
    done: int = 0
    """Chunks that the ledger calls done, as far as this attempt has seen."""
    pace: Pace = field(default_factory=Pace)
    _started: float = 0.0

    def start(self) -> None:
        """Says what there is to copy, and what of it is done."""
        self._started = time.monotonic()
        self.recount()
        left = self.left()
        sizes = []
        for table in self.plan.tables:
            done = self.results[table.source]
            size = max(table.data_bytes, done.bytes) if table.source in left else done.bytes
            sizes.append(TableSize(table.source, size, done.rows_written or 0, done.bytes))
        self.emit(CopyStarted(tuple(sizes)))

    def run(self, workers: Workers, on_table: Callable[[str], None], look: Callable[[], None]) -> None:
        """Copies what is left. `on_table` hears of each table that is complete; `look` is called often.

        The ledger decides what is left, again after the last chunk: a target that crashed may have
        lost what it had confirmed.
        """
        left = self.left()
        for table in self.plan.tables:
            if table.source not in left:
                on_table(table.source)
        while left:
            counts = {table: len(chunks) for table, chunks in left.items()}
            for event in workers.work(self._tasks(left)):
                look()
                if isinstance(event, Progress):
                    self.pace.add(self._now(), event.rows, event.bytes)
                    self.emit(event)
                elif isinstance(event, Copied):
                    self.count(event)
                    counts[event.table] -= 1
                    if not counts[event.table]:
                        self.emit(TableCopied(event.table))
                        on_table(event.table)
            left = self.left()
        self.recount()

    def count(self, copied: Copied) -> None:
        """Adds a chunk that was loaded now. Raises ConvergeError when too many rows were rejected."""
        self._add(copied)
        result, ended = self.results[copied.table], self._now()
        began = max(round(ended - copied.seconds, 3), 0.0)
        result.began, result.ended = began if result.began is None else min(result.began, began), ended
        # Thousands of tables are not added up for every chunk that has none.
        if copied.rejected and sum(one.rows_rejected for one in self.results.values()) > self.most_rejects:
            raise too_many(self.ledger.rejects()[-1], self.most_rejects)

    def recount(self) -> None:
        """Takes the results from the ledger."""
        self.done = 0
        for table in self.plan.tables:
            target = f"{self.plan.schema}.{table.target}"
            result = self.results.setdefault(table.source, TableResult(table.source, target))
            result.rows_read = result.rows_written = result.rows_rejected = result.bytes = 0
            result.seconds = 0.0
        for chunk in self.ledger.chunks():
            if chunk.done is not None:
                self._add(chunk.done)

    def _now(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def _add(self, copied: Copied) -> None:
        self.done += 1
        result = self.results[copied.table]
        result.rows_read = (result.rows_read or 0) + copied.rows + copied.rejected
        result.rows_written = (result.rows_written or 0) + copied.rows
        result.rows_rejected += copied.rejected
        result.bytes += copied.bytes
        result.seconds += copied.seconds

    def left(self) -> dict[str, list[LedgerChunk]]:
        """The chunks that are to do, by table."""
        return by_table(chunk for chunk in self.ledger.chunks() if chunk.done is None)

    def _order(self) -> list[TablePlan]:
        """What cannot be split first, then by the work of the indexes, which runs beside later copies."""
        indexes = Counter(one.object for one in self.plan.statements if one.phase == "index")

        def rank(table: TablePlan) -> tuple[bool, int, int]:
            return bool(table.key), -table.rows_estimate * indexes[table.source], -table.data_bytes

        return sorted(self.plan.tables, key=rank)

    def _tasks(self, left: dict[str, list[LedgerChunk]]) -> Iterator[CopyTask]:
        for table in self._order():
            select = select_text(table)
            for chunk in left.get(table.source, ()):
                yield CopyTask(
                    run=self.ledger.run_id,
                    table=table.source,
                    number=chunk.number,
                    query=select + where(table.key, chunk.part),
                    copy=copy_statement(self.plan.schema, table),
                    marked=table.marked,
                    columns=tuple((column.source, column.target) for column in table.copied),
                    key=table.key,
                    most_rejects=self.most_rejects,
                    rate=self.rate,
                )
