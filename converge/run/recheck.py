"""Finished chunks under a new snapshot: compared again, and taken back where the source has moved.

Every row of a chunk has the chunk's transaction as its xmin, also without a key. So one pass over a table of
the target gives the digests of all of its chunks, and the source gives its own by their key ranges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from converge.model.event import Advanced, Sink
from converge.model.plan import Plan
from converge.model.work import Digest, DigestTask, Written, WrittenTask
from converge.mysql.digest import digest_query
from converge.mysql.select import where
from converge.postgres.digest import written_query
from converge.postgres.ledger import LedgerChunk
from converge.run.workers import Workers

PHASE = "recheck"

Chunks = Mapping[str, Sequence[LedgerChunk]]
"""By source table."""


def moved(workers: Workers, plan: Plan, chunks: Chunks, emit: Sink) -> dict[str, list[LedgerChunk]]:
    """Those of the finished chunks whose rows are no longer what the source has now, by table."""
    source: dict[tuple[str, int], tuple[int, int]] = {}
    target: dict[tuple[str, str], tuple[int, int]] = {}
    for answer in workers.work(_tasks(plan, chunks)):
        if isinstance(answer, Digest):
            source[answer.table, answer.chunk] = answer.source_rows, answer.source_sum
            emit(Advanced(PHASE, answer.table))
        elif isinstance(answer, Written):
            target |= {(answer.table, xid): found for xid, found in answer.sums.items()}
    found: dict[str, list[LedgerChunk]] = defaultdict(list)
    for table, finished in chunks.items():
        for chunk in finished:
            if source[table, chunk.number] != target.get((table, str(chunk.xid)), (0, 0)):
                found[table].append(chunk)
    return dict(found)


def _tasks(plan: Plan, chunks: Chunks) -> Iterator[DigestTask | WrittenTask]:
    for name, finished in chunks.items():
        table = plan.table(name)
        yield WrittenTask(name, written_query(plan.schema, table))
        for chunk in finished:
            yield DigestTask(name, digest_query(table, where(table, chunk.part)), "", chunk.number)
