"""The servers-only limit: what remains of a migration when the client costs nothing.

    python -m bench.limit --source mysql://… --target postgresql://… --files DIRECTORY

MySQL writes each table to a file, PostgreSQL reads that file, then builds the same keys and indexes. Each of
these steps keeps one core of its server busy. A client that overlaps them perfectly, on one machine, needs at
least the sum of the three divided by the number of cores: that is the limit. Nothing here is faster than a
default server allows: tables are logged, and every COPY is committed durably.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bench.process import cores
from bench.tables import POSTGRES_TYPES, TABLES, Table
from converge.model.endpoint import parse
from converge.mysql.connect import connect

SETTINGS = (
    "SET maintenance_work_mem = '256MB'",
    # One core per step, or dividing by the cores would count some of them twice.
    "SET max_parallel_maintenance_workers = 0",
)


@dataclass(frozen=True)
class Part:
    """One table's share of the limit; times in seconds of one busy core."""

    table: str
    rows: int
    size: int
    """Bytes of COPY text."""
    read: float
    """SELECT … INTO OUTFILE."""
    write: float
    """COPY … FROM."""
    index: float
    """Primary key and indexes."""


@dataclass(frozen=True)
class Limit:
    """All tables together."""

    parts: tuple[Part, ...]
    cores: int

    @property
    def seconds(self) -> float:
        """The least wall time on one machine with this many cores."""
        return sum(part.read + part.write + part.index for part in self.parts) / self.cores

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of COPY text."""
        return sum(part.size for part in self.parts)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "seconds": self.seconds,
            "cores": self.cores,
            "rows": self.rows,
            "bytes": self.size,
            "parts": [asdict(part) for part in self.parts],
        }


def measure(source: str, target: str, files: Path) -> Limit:
    """Move the benchmark's tables from `source` into the empty database `target` through `files`.

    `files` is MySQL's secure_file_priv and can be read by the PostgreSQL server.
    """
    with connect(parse(source)) as my, psycopg.connect(target, autocommit=True) as pg:
        for statement in (*SETTINGS, *POSTGRES_TYPES):
            pg.execute(statement)
        return Limit(tuple(_move(my, pg, table, files) for table in TABLES), cores())


def _move(my: Connection[Cursor], pg: psycopg.Connection, table: Table, files: Path) -> Part:
    path = files / f"limit_{uuid4().hex}.txt"
    outfile = f"SELECT {table.select} INTO OUTFILE '{path}' CHARACTER SET utf8mb4 FROM {table.name}"
    pg.execute(f"CREATE TABLE {table.name} ({table.postgres})")
    try:
        with my.cursor() as cursor:
            read = _timed(cursor.execute, outfile)
            rows = cursor.rowcount
        size = path.stat().st_size
        write = _timed(pg.execute, f"COPY {table.name} FROM '{path}' (ENCODING 'UTF8')")
    finally:
        path.unlink(missing_ok=True)
    index = sum(_timed(pg.execute, statement) for statement in table.indexes)
    return Part(table.name, rows, size, read, write, index)


def _timed(step: Callable[[str], object], statement: str) -> float:
    started = time.perf_counter()
    step(statement)
    return time.perf_counter() - started


def lines(limit: Limit) -> list[str]:
    """The limit as a table for people."""
    parts = [(part.table, part.rows, part.size, part.read, part.write, part.index) for part in limit.parts]
    sums = ("all", *(sum(values) for values in list(zip(*parts, strict=True))[1:]))
    body = [
        f"{name:<22}{rows:>11,}{size / 1e6:>8.0f}{read:>9.2f}{write:>9.2f}{index:>9.2f}"
        for name, rows, size, read, write, index in (*parts, sums)
    ]
    return [
        f"{'table':<22}{'rows':>11}{'MB':>8}{'read s':>9}{'write s':>9}{'index s':>9}",
        *body,
        f"limit: {limit.seconds * limit.cores:.2f} s / {limit.cores} cores = {limit.seconds:.2f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.limit", description="Measures the servers-only limit.")
    parser.add_argument("--source", required=True, help="URL of the MySQL database that bench.data filled")
    parser.add_argument("--target", required=True, help="URL of an empty PostgreSQL database")
    parser.add_argument("--files", required=True, type=Path, help="directory that both servers use")
    options = parser.parse_args()
    print("\n".join(lines(measure(options.source, options.target, options.files))))


if __name__ == "__main__":
    main()
