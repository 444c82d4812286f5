"""What following and a cutover cost: `python -m bench.cutover SOURCE TARGET --rows 1000000`.

The databases are empty ones. A table of narrow rows is migrated; then 300 changes a second are written,
`converge follow` runs for a while, and `converge cutover` ends it. With --large a transaction of so many rows
is followed first, and then for --seconds as many rows as can be. Prints seconds, rows and the peak memory of
each process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from converge.sandbox.server import connect_mysql

CHANGES = 300
"""A second."""
AT_ONCE = 20_000
_ROWS = "SELECT rows FROM converge.follow"


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=0, metavar="ROWS")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    ends = ["--source", arguments.source, "--target", arguments.target]
    fill(arguments.source, arguments.rows)
    _timed("migrate", "migrate", *ends)
    with psycopg.connect(arguments.target, autocommit=True) as judge:
        if arguments.large:
            _large(arguments, judge, ends)
        else:
            _cutover(arguments, judge, ends)


def fill(url: str, rows: int) -> None:
    with connect_mysql(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE narrow (id INT AUTO_INCREMENT PRIMARY KEY, number INT, since DATE, until DATE)"
        )
        cursor.execute("SET SESSION cte_max_recursion_depth = 1000000")
        cursor.execute(
            "INSERT INTO narrow (number, since, until) "
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) "
            "SELECT n, '1990-01-01' + INTERVAL n % 9000 DAY, '9999-01-01' FROM n"
        )
        connection.commit()
        for _ in range(rows // 100_000 - 1):
            cursor.execute(
                "INSERT INTO narrow (number, since, until) "
                "SELECT number, since, until FROM narrow LIMIT 100000"
            )
            connection.commit()
        cursor.execute("ANALYZE TABLE narrow")


def _started(*arguments: str, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "converge", *arguments], text=True, **how)


def _timed(name: str, *arguments: str) -> None:
    began = time.monotonic()
    process = _started(*arguments, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name}: {err}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    phases = {one["name"]: round(one["seconds"], 1) for one in json.loads(out)["phases"]}
    print(
        f"{name}: {time.monotonic() - began:.1f} s {phases}, the largest process so far {peak} MB", flush=True
    )


def change(one: random.Random, rows: int, count: int) -> str:
    """A statement that changes one row."""
    return one.choice((
        f"UPDATE narrow SET number = {count} WHERE id = {one.randint(1, rows)}",
        f"DELETE FROM narrow WHERE id = {one.randint(1, rows)}",
        f"INSERT INTO narrow (number) VALUES ({count})",
    ))  # fmt: skip


class Changes(threading.Thread):
    """Single changes of rows, until the file is there: as the command that stops the application makes it."""

    def __init__(self, url: str, rows: int, stop: Path) -> None:
        super().__init__(daemon=True)
        self._url, self._rows, self._stop_, self.count = url, rows, stop, 0

    def run(self) -> None:
        one = random.Random(1)
        with connect_mysql(self._url) as connection, connection.cursor() as cursor:
            cursor.execute("SET autocommit = 1")
            began = time.monotonic()
            while not self._stop_.exists():
                cursor.execute(change(one, self._rows, self.count))
                self.count += 1
                time.sleep(max(0.0, began + self.count / CHANGES - time.monotonic()))


def _cutover(arguments: argparse.Namespace, judge: Any, ends: list[str]) -> None:
    with TemporaryDirectory() as folder:
        stop, certificate = Path(folder, "stop"), Path(folder, "certificate.json")
        writer = Changes(arguments.source, arguments.rows, stop)
        writer.start()
        followed = _started("follow", *ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began, counted = time.monotonic(), writer.count
        time.sleep(arguments.seconds)
        rate = (writer.count - counted) / (time.monotonic() - began)
        compared = judge.execute(
            "SELECT coalesce((began->>'rows')::int, 0), proof->>'epoch', epoch FROM converge.proven "
            "JOIN converge.follow USING (run_id)"
        ).fetchone()
        print(f"follow: {rate:.0f} changes a second; compared, since epoch, epoch: {compared}, "
              f"{memory(followed.pid)}", flush=True)  # fmt: skip
        followed.send_signal(signal.SIGINT)
        followed.wait()
        began = time.monotonic()
        _timed("cutover", "cutover", *ends, "--stop", f"touch {stop}", "-o", str(certificate))
        found = json.loads(certificate.read_text())
        took = time.monotonic() - began
        print(f"window {found['window_seconds']} s {found['seconds']}; all of it {took:.1f} s")
        print(f"proof {found['proof']['tables']}")
        writer.join()


def _large(arguments: argparse.Namespace, judge: Any, ends: list[str]) -> None:
    with connect_mysql(arguments.source) as connection, connection.cursor() as cursor:
        cursor.execute(f"UPDATE narrow SET number = number + 1 WHERE id <= {arguments.large}")
        connection.commit()
        _timed(f"follow --once, a transaction of {arguments.large:,} rows", "follow", "--once", *ends)
        followed = _started(
            "follow", *ends, "--interval", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stop, first, began, rows, written = threading.Event(), "", 0.0, 0, 0

        def write() -> None:
            nonlocal written
            with connect_mysql(arguments.source) as other, other.cursor() as writes:
                while not stop.is_set():
                    low = random.randrange(max(1, arguments.rows - AT_ONCE))
                    writes.execute(
                        f"UPDATE narrow SET number = number + 1 WHERE id > {low} AND id <= {low + AT_ONCE}"
                    )
                    other.commit()
                    written += AT_ONCE
                    # The backlog is to stay a few epochs.
                    while written - (judge_rows() - rows) > 10 * AT_ONCE and not stop.is_set():
                        time.sleep(0.05)

        def judge_rows() -> int:
            with psycopg.connect(arguments.target, autocommit=True) as one:
                return int(one.execute(_ROWS).fetchall()[0][0])

        time.sleep(3)
        rows, began, first = judge_rows(), time.monotonic(), memory(followed.pid)
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        time.sleep(arguments.seconds)
        took, more, last = time.monotonic() - began, judge_rows() - rows, memory(followed.pid)
        stop.set()
        thread.join()
        followed.send_signal(signal.SIGINT)
        followed.wait()
        print(f"{more:,} rows replaced in {took:.0f} s, {more / took:,.0f} a second; {first}, then {last}")


def memory(pid: int) -> str:
    """The resident memory now, and at its peak."""
    text = Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(text.split(f"{name}:")[1].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    return f"{now} MB, at most {peak} MB"


if __name__ == "__main__":
    main()
