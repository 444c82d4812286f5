"""A tool that follows, on one of three loads: `python -m bench.peer SOURCE TARGET LOAD COMMAND…`.

The databases are empty ones of servers on this machine. COMMAND copies the tables and follows until SIGTERM;
{source} and {target} in it are the two. The loads: `rate`, transactions of 20,000 rows, at most ten ahead of
the target; `lag`, 300 small changes a second; `rows`, the writers of bench.follow. All rows are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import threading
import time
from bisect import bisect_left
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from bench import cutover, follow
from bench.cutover import AT_ONCE, CHANGES
from bench.process import tree_cpu
from converge.sandbox.server import connect_mysql

_ROWS = 1_000_000


class Beats(threading.Thread):
    """A row that a commit gives its number, and when the target shows which number."""

    def __init__(self, target: str, process: subprocess.Popen[bytes], cursor: Any) -> None:
        super().__init__(daemon=True)
        self._target, self._process, self._cursor = target, process, cursor
        self.commits, self.shown, self.times = list[float](), [0], [0.0]

    def run(self) -> None:
        with psycopg.connect(self._target, autocommit=True) as judge:
            while self._process.poll() is None:
                with suppress(psycopg.errors.UndefinedTable):
                    for found in judge.execute("SELECT number FROM beat WHERE number > %s", self.shown[-1:]):
                        self.times.append(time.monotonic())
                        self.shown += found
                time.sleep(0.01)

    def commit(self) -> None:
        self._cursor.execute(f"UPDATE beat SET number = {len(self.commits) + 1}")
        self._cursor.connection.commit()
        self.commits.append(time.monotonic())

    def wait(self, behind: int = 0) -> None:
        """Until the target shows all but so many of the commits."""
        while self.shown[-1] < len(self.commits) - behind:
            if self._process.poll() is not None:
                raise SystemExit(f"the tool has ended at {self.shown[-1]} of {len(self.commits)}")
            time.sleep(0.01)


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("load", choices=_LOADS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    with connect_mysql(arguments.source) as connection, connection.cursor() as cursor:
        if arguments.load == "rows":
            follow.fill(arguments.source)
        else:
            cutover.fill(arguments.source, _ROWS)
        cursor.execute("CREATE TABLE beat (id INT PRIMARY KEY) SELECT 1 AS id, 0 AS number")
        with subprocess.Popen([word.format_map(vars(arguments)) for word in arguments.command]) as process:
            try:
                _measured(arguments, process, cursor)
            finally:
                process.terminate()


def _measured(arguments: argparse.Namespace, process: subprocess.Popen[bytes], cursor: Any) -> None:
    beats = Beats(arguments.target, process, cursor)
    beats.start()
    for _ in range(2):  # the first may be a part of the tool's copy
        beats.commit()
        beats.wait()
    with psycopg.connect(arguments.target) as judge:
        ((folder,),) = judge.execute("SHOW data_directory").fetchall()
        pids = [process.pid, int(Path(folder, "postmaster.pid").read_text().split()[0])]
        before = [*map(tree_cpu, pids)]
        result = _LOADS[arguments.load](arguments, beats, cursor)
        beats.wait()
        time.sleep(3)  # a tool may write the tables of one batch one after the other
        cpu = [round(tree_cpu(pid) - past) for pid, past in zip(pids, before, strict=True)]
        lags = [beats.times[bisect_left(beats.shown, n)] - at for n, at in enumerate(beats.commits, 1)][2:]
        print(f"{result}; lag {statistics.median(lags):.2f} s, at most {max(lags):.2f} s, of the last "
              f"{lags[-1]:.2f} s; {cutover.memory(process.pid)}; CPU seconds of the tool and of "
              f"PostgreSQL {cpu}; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        for table in follow.TABLES if arguments.load == "rows" else ("narrow",):
            left = follow.rows_of(cursor.connection, table) or Counter()
            right = follow.target_rows(judge, table)
            print(f"{table}: {left.total():,} rows, {(left - right).total():,} are missing, "
                  f"{(right - left).total():,} are too many", flush=True)  # fmt: skip


def _rate(arguments: argparse.Namespace, beats: Beats, cursor: Any) -> str:
    until = time.monotonic() + arguments.seconds
    while time.monotonic() < until:
        low = random.randrange(_ROWS - AT_ONCE)
        cursor.execute(f"UPDATE narrow SET number = number + 1 WHERE id > {low} AND id <= {low + AT_ONCE}")
        beats.commit()
        beats.wait(10)
    return f"{(beats.shown[-1] - 2) * AT_ONCE / arguments.seconds:,.0f} rows a second"


def _lag(arguments: argparse.Namespace, beats: Beats, cursor: Any) -> str:
    one, began = random.Random(1), time.monotonic()
    for count in range(int(arguments.seconds * CHANGES)):
        time.sleep(max(0.0, began + count / CHANGES - time.monotonic()))
        if not count % 10:
            beats.commit()
        cursor.execute(cutover.change(one, _ROWS, count))
        cursor.connection.commit()
    return f"{count / (time.monotonic() - began):.0f} changes a second"


def _rows(arguments: argparse.Namespace, beats: Beats, _: Any) -> str:
    with TemporaryDirectory() as folder:
        stop = threading.Event()
        writers = [follow.Writer(arguments.source, 100 + one, Path(folder), stop) for one in range(4)]
        for writer in writers:
            writer.start()
        stop.wait(arguments.seconds)
        stop.set()
        for writer in writers:
            writer.join()
    beats.commit()
    return f"{sum(writer.transactions for writer in writers):,} transactions"


_LOADS = {"rate": _rate, "lag": _lag, "rows": _rows}


if __name__ == "__main__":
    main()
