"""What a run will take: a forecast with its grounds, not a promise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from converge.model.catalog import Table
from converge.model.evidence import TableFacts
from converge.model.forecast import Forecast

# Copy, keys and full comparison together, both servers and the tool on two cores: 935 MB of mixed tables
# in 25.5 s (bench/run). More workers only help where the servers have cores for them.
_BYTES_A_SECOND = 36_000_000
_START_SECONDS = 2.0
# Making, copying and comparing an empty table with its keys: 1,422 tables took half a minute.
_TABLE_SECONDS = 0.02
# Heap tuples have a header of 24 bytes where InnoDB's rows have about 18, and pages are filled to the end.
_GROWTH = 1.1
# Of InnoDB's 16 KB, with rows of 160 bytes.
_PAGE_ROWS = 100


def sized(table: Table, facts: TableFacts | None) -> Table:
    """The table with the rows that the scan has counted, and sizes in their proportion.

    InnoDB's statistics may be of before a load, when the table was one page: then a page counts as rows of a
    usual length.
    """
    if facts is None or (facts.unseen and not facts.rows):
        return table
    grown = facts.rows / max(1, table.rows_estimate, min(facts.rows, _PAGE_ROWS))
    return replace(
        table,
        rows_estimate=facts.rows,
        data_bytes=int(table.data_bytes * grown),
        index_bytes=int(table.index_bytes * grown),
    )


def forecast(tables: Iterable[Table]) -> Forecast:
    """From the sizes that the source reports, in proportion to the rows that are counted."""
    chosen = list(tables)
    data = sum(table.data_bytes for table in chosen)
    indexes = sum(table.index_bytes for table in chosen)
    return Forecast(
        seconds=_START_SECONDS + len(chosen) * _TABLE_SECONDS + (data + indexes) / _BYTES_A_SECOND,
        target_bytes=space(data, indexes),
        basis=f"{_BYTES_A_SECOND // 1_000_000} MB/s for copy, keys and full comparison, measured with both "
        "servers on two cores; space from the source's own sizes, and as much again for the target's WAL",
    )


def space(data: int, indexes: int) -> int:
    """Bytes in the target, from the source's; the write-ahead log may need as much again."""
    return int(data * _GROWTH) + indexes
