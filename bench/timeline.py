"""Shows what waits for what: one migration, a line a second with the cores that each side keeps busy.

    python -m bench.timeline --scale 0.2
    python -m bench.timeline --verify none --jobs 4

A phase stands in the line of the second in which it ended.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench import data
from bench.command import run
from bench.process import tree_cpu
from bench.servers import MIGRATE, Servers, started


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.timeline", description="Cores that each side keeps busy.")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the row counts (default 1)")
    parser.add_argument("--jobs", type=int, default=2, help="converge's --jobs (default 2)")
    parser.add_argument("--verify", choices=("full", "counts", "none"), default="full")
    options = parser.parse_args()
    with started() as servers:
        source = servers.mysql.create_database("bench")
        data.create(source, servers.files, scale=options.scale)
        command = (MIGRATE + options.verify).format(source=source, target=servers.fresh(), jobs=options.jobs)
        return _watch(servers, shlex.split(command))


def _watch(servers: Servers, command: list[str]) -> int:
    print(f"{'second':>6}{'client':>8}{'MySQL':>8}{'PostgreSQL':>12}{'all':>7}  phases that ended")
    with tempfile.NamedTemporaryFile() as lines, Path(lines.name).open(encoding="utf-8") as reader:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=lines)
        begin = last = time.monotonic()
        before = (0.0, *servers.cpu())
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1 - (time.monotonic() - begin) % 1)
            moment = time.monotonic()
            # Processes that have ended take their seconds with them.
            used = (max(before[0], tree_cpu(process.pid)), *servers.cpu())
            busy = [(now - then) / (moment - last) for now, then in zip(used, before, strict=True)]
            columns = f"{busy[0]:>8.2f}{busy[1]:>8.2f}{busy[2]:>12.2f}{sum(busy):>7.2f}"
            ended = "; ".join(reader.read().splitlines())
            print(f"{moment - begin:>6.1f}{columns}  {ended}".rstrip(), flush=True)
            before, last = used, moment
    return process.returncode


if __name__ == "__main__":
    run(main)
