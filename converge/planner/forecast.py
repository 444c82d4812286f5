"""What a run will take: a forecast with its grounds, not a promise."""

from __future__ import annotations

from collections.abc import Iterable

from converge.model.catalog import Table
from converge.model.forecast import Forecast

# Copy, keys and full comparison together, both servers and the tool on two cores: 935 MB of mixed tables
# in 25.5 s (bench/run). More workers only help where the servers have cores for them.
_BYTES_A_SECOND = 36_000_000
_START_SECONDS = 2.0
# Making, copying and comparing an empty table with its keys: 1,422 tables took half a minute.
_TABLE_SECONDS = 0.02
# Heap tuples have a header of 24 bytes where InnoDB's rows have about 18, and pages are filled to the end.
_GROWTH = 1.1


def forecast(tables: Iterable[Table]) -> Forecast:
    """From the sizes that the source reports."""
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
