"""Measures the memory of all of converge's processes together, at the shapes that could need much.

    python -m bench.memory                            # all cases with 2 and 4 workers: half an hour
    python -m bench.memory --case blobs --jobs 2

The promise is 256 MB and twice the largest row, over the coordinator and its workers. The largest row is
counted as the source stores it. Both servers are started for it; they need 8 GB at the largest rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.process import Usage, run
from bench.sql import statements
from converge import sandbox

SOURCE, TARGET = "mysql:8.0.15", "postgres:17.5"
SETTINGS = {
    "mysql": {
        "max_allowed_packet": "1073741824",
        "innodb_log_file_size": "1G",
        "innodb_buffer_pool_size": "512M",
    }
}
MB = 1_000_000
BASE = 256 * MB
_DIGITS = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL "
_DIGITS += "SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"


@dataclass(frozen=True)
class Case:
    """A source's shape and the bytes of its largest row."""

    make: Callable[[str], None]
    largest: int = 0


def _blobs(url: str) -> None:
    """Four tables, with a key and without, of two 300 MB values each; text that needs escapes."""
    for number in range(2):
        key = "PRIMARY KEY (id)" if number else "KEY (id)"
        statements(
            url,
            f"CREATE TABLE b{number} (id INT NOT NULL, v LONGBLOB NOT NULL, {key})",
            f"CREATE TABLE t{number} (id INT NOT NULL, v LONGTEXT NOT NULL, {key})",
            *(f"INSERT INTO b{number} SELECT {id_}, REPEAT(RANDOM_BYTES(1000), 300000)" for id_ in (1, 2)),
            *(
                f"INSERT INTO t{number} SELECT {id_}, REPEAT('tab\\t line\\n ä\\\\ ', 20000000)"
                for id_ in (1, 2)
            ),
        )


def _columns(url: str) -> None:
    columns = ", ".join(f"c{number} INT" for number in range(999))
    values = ", ".join(f"a.d + {number}" for number in range(999))
    rows = f"{_DIGITS} a, {_DIGITS} b, {_DIGITS} c, {_DIGITS} e"
    statements(
        url,
        f"CREATE TABLE wide (id INT AUTO_INCREMENT PRIMARY KEY, {columns}) ROW_FORMAT=DYNAMIC",
        f"INSERT INTO wide SELECT NULL, {values} FROM {rows}",
    )


def _tables(url: str) -> None:
    make = (
        "CREATE TABLE t{} (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, n INT, KEY by_n (n))"
    )
    statements(url, *(make.format(number) for number in range(10_000)))


def _rows(url: str) -> None:
    rows = ", ".join(f"{_DIGITS} {name}" for name in "abcefg")
    statements(
        url,
        "CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, word VARCHAR(20), day DATE)",
        *([f"INSERT INTO small SELECT NULL, a.d * b.d, CONCAT('w', g.d), '2024-02-29' FROM {rows}"] * 3),
    )


CASES = {
    "blobs": Case(_blobs, 300 * MB),
    "columns": Case(_columns),
    "tables": Case(_tables),
    "rows": Case(_rows),
}


def measure(case: Case, name: str, jobs: list[int]) -> bool:
    """Migrates the case's data with each number of workers; whether all kept the limit."""
    kept = True
    with sandbox.start(SOURCE, TARGET, settings=SETTINGS) as (my, pg):
        source = my.create_database("bench")
        case.make(source)
        for workers in jobs:
            usage = _migrate(source, pg.create_database(f"target_{workers}"), workers)
            limit = BASE + 2 * case.largest
            kept = kept and usage.status == 0 and usage.together <= limit
            alone = ", ".join(f"{peak / MB:.0f}" for peak in usage.peaks)
            print(
                f"{name:<8} {workers} workers: {usage.together / MB:>4.0f} MB together, "
                f"limit {limit / MB:.0f}; each {alone}; {usage.wall:.0f} s, exit {usage.status}",
                flush=True,
            )
            if usage.status:
                print(usage.output[-3000:], file=sys.stderr)
    return kept


def _migrate(source: str, target: str, jobs: int) -> Usage:
    words = ["migrate", "--no-progress", "--yes", "--scan-seconds", "600", "--source"]
    return run([sys.executable, "-m", "converge", *words, source, "--target", target, "--jobs", str(jobs)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.memory", description="Measures memory at extreme shapes.")
    parser.add_argument("--case", choices=CASES, action="append", help="only these (default: all)")
    parser.add_argument("--jobs", type=int, action="append", help="workers (default: 2 and 4)")
    options = parser.parse_args()
    kept = [measure(CASES[name], name, options.jobs or [2, 4]) for name in options.case or CASES]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
