"""What a migration costs the application beside it: `python -m bench.gentle`.

A load generator asks the source for rows by their key, and changes some, at a steady pace on a few
connections; it notes how long each answer takes. The same load runs alone, beside a migration as it comes,
and beside gentle ones. MySQL and the generator have one core, PostgreSQL and converge the other, as on
machines of their own. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pymysql

from bench.data import create
from bench.servers import started
from converge.model.endpoint import parse

_EACH_SECOND = 60
"""Requests of one connection."""
_ALONE_SECONDS = 10.0
WAYS = {
    "alone": None,
    "migrate": (),
    "--jobs 1 --max-load Threads_running=3": ("--jobs", "1", "--max-load", "Threads_running=3"),
    "--jobs 1 --no-scan --max-rate 5MB/s": ("--jobs", "1", "--no-scan", "--max-rate", "5MB/s"),
}


class Load:
    """The application: its answers' times, in seconds, from entering the context to leaving it."""

    def __init__(self, source: str, connections: int, largest: int) -> None:
        self._source, self._largest = source, largest
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(connections)]
        self.times: list[float] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return 1000 * sorted(self.times)[int(share * (len(self.times) - 1))]

    def _ask(self, seed: int) -> None:
        chosen = random.Random(seed)
        at = parse(self._source)
        with (
            pymysql.connect(
                host=at.host, port=at.port or 3306, user=at.user, database=at.database, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            while not self._stop.wait(chosen.expovariate(_EACH_SECOND)):
                key = chosen.randrange(1, self._largest)
                began = time.monotonic()
                if chosen.random() < 0.1:
                    cursor.execute("UPDATE events SET retries = 1 - retries %% 2 WHERE id = %s", (key,))
                else:
                    cursor.execute("SELECT * FROM events WHERE id = %s", (key,))
                    cursor.fetchall()
                self.times.append(time.monotonic() - began)


def _pin(process: int, core: int) -> None:
    """All threads of a process, and what it starts later."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(prog="bench.gentle", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="of bench.data's rows (default 0.1)")
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args(arguments)
    with started() as servers:
        for process, core in zip((*servers.pids, os.getpid()), (0, 1, 0), strict=True):
            _pin(process, core)
        source = servers.mysql.create_database("bench")
        create(source, servers.files, scale=options.scale)
        print(f"{'':42} {'p50 ms':>8} {'p99 ms':>8} {'seconds':>8} {'answers':>8}")
        for name, how in WAYS.items():
            target = servers.fresh()
            command = [sys.executable, "-m", "converge", "migrate", "--source", source, "--target", target]
            with Load(source, options.connections, int(1_000_000 * options.scale)) as load:
                began = time.monotonic()
                if how is None:
                    time.sleep(_ALONE_SECONDS)
                else:
                    # The rows move, so the verdict may be about the snapshot only.
                    subprocess.run(
                        ["taskset", "-c", "1", *command, "-q", *how], capture_output=True, check=True
                    )
                took = time.monotonic() - began
            median, slow = load.percentile(0.5), load.percentile(0.99)
            print(f"{name:42} {median:8.2f} {slow:8.2f} {took:8.1f} {len(load.times):8,}", flush=True)


if __name__ == "__main__":
    main()
