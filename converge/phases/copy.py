"""The copy: table by table, chunk by chunk, until the ledger has none left to do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from converge.model.event import CopyStarted, Progress, Sink, TableCopied
from converge.model.plan import Plan, TablePlan
from converge.model.result import TableResult
from converge.model.work import Copied, CopyTask
from converge.mysql.select import marked, select_text, where
from converge.phases.crew import Crew
from converge.postgres.copy import copy_statement
from converge.postgres.ledger import Ledger, LedgerChunk


@dataclass
class Copy:
    """The copy of one run. `results` fills while it goes on, and is right after an interruption."""

    plan: Plan
    ledger: Ledger
    results: dict[str, TableResult] = field(default_factory=dict)

    def run(self, crew: Crew, emit: Sink, on_table: Callable[[str], None], look: Callable[[], None]) -> None:
        """Copies what is left. `on_table` hears of each table that is complete; `look` is called often."""
        chunks = self._chunks()
        left: dict[str, int] = defaultdict(int)
        for table in self.plan.tables:
            todo = [chunk for chunk in chunks[table.source] if chunk.rows is None]
            left[table.source] = len(todo)
        order = self._order()
        emit(CopyStarted(tuple((t.source, t.rows_estimate, t.data_bytes) for t in order)))
        for table in order:
            done = self.results[table.source]
            emit(Progress(table.source, done.rows_written or 0, done.bytes))
            if not left[table.source]:
                emit(TableCopied(table.source))
                on_table(table.source)
        for event in crew.work(self._tasks(order, chunks)):
            look()
            if isinstance(event, Progress):
                emit(event)
            elif isinstance(event, Copied):
                self.count(event)
                left[event.table] -= 1
                if left[event.table] == 0:
                    emit(TableCopied(event.table))
                    on_table(event.table)

    def count(self, copied: Copied) -> None:
        """Adds a chunk's rows to its table's result."""
        result = self.results[copied.table]
        result.rows_read = (result.rows_read or 0) + copied.rows
        result.rows_written = (result.rows_written or 0) + copied.rows
        result.bytes += copied.bytes
        result.seconds += copied.seconds

    def _chunks(self) -> dict[str, list[LedgerChunk]]:
        chunks: dict[str, list[LedgerChunk]] = defaultdict(list)
        for table in self.plan.tables:
            self.results[table.source] = TableResult(
                table.source, f"{self.plan.schema}.{table.target}", rows_read=0, rows_written=0
            )
        for chunk in self.ledger.chunks():
            chunks[chunk.table].append(chunk)
            if chunk.rows is not None:
                self.count(Copied(chunk.table, chunk.number, chunk.rows, chunk.bytes, chunk.seconds))
        return chunks

    def _order(self) -> list[TablePlan]:
        """What cannot be split first, then by the work of the indexes, which runs beside later copies."""
        indexes = Counter(one.object for one in self.plan.statements if one.phase == "index")

        def rank(table: TablePlan) -> tuple[bool, int, int]:
            return bool(table.key), -table.rows_estimate * indexes[table.source], -table.data_bytes

        return sorted(self.plan.tables, key=rank)

    def _tasks(self, order: list[TablePlan], chunks: dict[str, list[LedgerChunk]]) -> Iterator[CopyTask]:
        for table in order:
            select = select_text(table)
            for chunk in chunks[table.source]:
                if chunk.rows is None:
                    yield CopyTask(
                        run=self.ledger.run,
                        table=table.source,
                        number=chunk.number,
                        query=select + where(table, chunk.part),
                        copy=copy_statement(self.plan.schema, table),
                        marked=marked(table),
                    )
