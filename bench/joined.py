"""Joined workers beside a pool, under writers and kills: `python -m bench.joined WHAT`.

`snapshots` takes one snapshot after the other with workers of this process and joined ones, those 5 ms away
from both servers, while an application commits; all must see the same. `kills` ends workers, their processes,
Dask's scheduler, nannies and workers, and the run itself with SIGKILL at random moments, lets others come
late in place of workers, resumes where the run was among them, and looks for rows that are lost or doubled.
`walls` migrates the same with a pool of four and with one process and three joined workers, in turn. `mixed`
has four workers of Dask and four that are 5 ms away beside one process, and compares what came of it with a
run of one machine. All print what docs/workers.md tells.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from faults.application import COINS, PURSES, fill, writers
from faults.verdict import judge
from proxy import Proxy
from support import mysql, postgres

from converge import sandbox
from converge.cluster.joined import opened
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.result import Result
from converge.model.work import Digest, DigestTask
from converge.mysql import connect as source_connection
from converge.mysql import snapshot
from converge.postgres.connect import connect
from converge.postgres.ledger import Ledger
from converge.postgres.lock import lock
from converge.run.attempt import Job, MigrateOptions
from converge.run.options import Awaited
from converge.run.workers import Workers

_DELAY = 0.005
_ROWS = 40_000
_TABLES = f"""
SET SESSION cte_max_recursion_depth = {_ROWS};
CREATE TABLE wide (id INT PRIMARY KEY, body TEXT);
CREATE TABLE keyless (number INT, body TEXT);
INSERT INTO wide WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_ROWS})
    SELECT i, REPEAT(MD5(i), 40) FROM n;
INSERT INTO keyless SELECT id, LEFT(body, 200) FROM wide;
ANALYZE TABLE wide, keyless;
"""


def converge(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """A command in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "converge", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | environment,
    )


def far(url: str, stack: ExitStack) -> str:
    """The address of the same server, 5 ms away each way."""
    port = parse(url).port
    assert port is not None
    proxy = Proxy(port, delay=_DELAY)
    stack.callback(proxy.close)
    return url.replace(f":{port}/", f":{proxy.port}/")


def snapshots(source: str, target: str, count: int) -> None:
    """Prints how many agree, and how long writers were held off."""
    fill(source)
    assert converge("migrate", "--source", source, "--target", target).wait() == 0
    held: list[float] = []
    levels = Counter[str]()
    with ExitStack() as stack:
        away = ("--source", far(source, stack), "--join", far(target, stack), "--jobs", "2")
        for _ in range(4):
            stack.callback(converge("worker", *away).wait)
        postgres_ = stack.enter_context(connect(parse(target)))
        here = stack.enter_context(source_connection.connect(parse(source)))
        lock(postgres_)
        ledger = Ledger(postgres_, 1)
        ledger.set_state("running")
        options = MigrateOptions(awaited=Awaited((("join", "4"),), 60))
        job = Job(parse(source), parse(target), options, silent, Result("migrate", "", ""))
        workers = stack.enter_context(Workers(2))
        workers.joined = guests = stack.enter_context(opened(ledger, here, job, {}))
        workers.connect(job.source, job.target)
        guests.gather(60)
        assert workers.size == 10, workers.size
        every = " UNION ALL ".join(f"SELECT coins FROM {purse}" for purse in PURSES)
        task = DigestTask("purses", f"SELECT SUM(coins), COUNT(*) FROM ({every}) p", "")

        marked = snapshot.mark(here)

        def begin() -> None:
            started = time.monotonic()
            workers.everyone(marked)
            held.append(time.monotonic() - started)

        agree = 0
        with writers(source, 6, 0.01) as activity:
            for _ in range(count):
                levels[snapshot.take(here, PURSES, begin).level] += 1
                seen = {
                    (one.source_rows, one.source_sum)
                    for one in workers.work([task] * 40)
                    if isinstance(one, Digest)
                }
                agree += len(seen) == 1 and next(iter(seen))[0] == COINS
        ledger.set_state("finished")
    print(f"{agree} of {count} snapshots agree, {dict(levels)}, {activity.rate:.0f} commits/s, 10 readers")
    held.sort()
    print(f"held off: median {1000 * statistics.median(held):.0f} ms, most {1000 * held[-1]:.0f} ms")


def walls(source: str, target: str, count: int) -> None:
    """Prints the median seconds of both ways, and the median of their ratios."""
    mysql(source, _TABLES.replace(str(_ROWS), str(5 * _ROWS)))
    ways = {"--jobs 4": ("--jobs", "4"), "local:3": ("--jobs", "1", "--workers", "local:3")}
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(count):
        # Whatever grows on the machine meanwhile meets both.
        for way in [*ways] if number % 2 else [*ways][::-1]:
            _fresh(target)
            postgres(target, "CHECKPOINT")
            started = time.monotonic()
            run = converge("migrate", "--source", source, "--target", target, *ways[way])
            assert run.wait() == 0
            took[way].append(time.monotonic() - started)
    pairs = zip(*took.values(), strict=True)
    print({way: round(statistics.median(seconds), 1) for way, seconds in took.items()})
    print(f"median of ratios: {statistics.median(joined / own for own, joined in pairs):.2f}")


def mixed(source: str, target: str) -> None:
    """Prints whether workers of Dask and far ones together come to what a pool of four comes to."""
    mysql(source, _TABLES)
    came = []
    with TemporaryDirectory() as folder, ExitStack() as stack:
        scheduler, _ = stack.enter_context(dask(source, target, 4))
        report = Path(folder, "report.json")
        ends = ("--source", source, "--target", target, "--report", str(report))
        away = ("worker", "--source", far(source, stack), "--join", far(target, stack))
        several = ("--jobs", "1", "--workers", scheduler, "--workers", "join:4")
        for ways, count in ((("--jobs", "4"), 0), (several, 4)):
            _fresh(target)
            run, workers = converge("migrate", *ends, *ways), [converge(*away) for _ in range(count)]
            assert [one.wait() for one in (run, *workers)] == [0] * (count + 1)
            document = json.loads(report.read_text("utf-8"))
            tables = {one["source"]: (one["digest"], one["rows_target"]) for one in document["tables"]}
            came.append((document["verdict"], document["snapshot"], tables))
    print("the same" if came[0] == came[1] else "not the same", came[1])


def _fresh(target: str) -> None:
    admin, _, name = target.rpartition("/")
    postgres(f"{admin}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres(f"{admin}/postgres", f"CREATE DATABASE {name}")


@contextmanager
def dask(source: str, target: str, count: int = 2) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and nannies with a worker each, and the scheduler's address."""
    port = str(random.randrange(20_000, 30_000))
    own = {"CONVERGE_SOURCE_URL": source, "CONVERGE_TARGET_URL": target}
    with ExitStack() as stack:
        processes = []
        for words in (
            ("scheduler", "--port", port, "--no-dashboard"),
            *[("worker", f"127.0.0.1:{port}")] * count,
        ):
            more = ("--nthreads", "1", "--no-dashboard") if words[0] == "worker" else ()
            command = [str(Path(sys.executable).with_name("dask")), *words, *more]
            nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            process = subprocess.Popen(command, start_new_session=True, env=os.environ | own, **nowhere)  # type: ignore[call-overload]
            stack.callback(end, process)
            processes.append(process)
        yield f"dask://127.0.0.1:{port}", processes


def end(process: subprocess.Popen[bytes]) -> None:
    """All of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def below(process: subprocess.Popen[bytes]) -> list[int]:
    """Its descendants."""
    listed = subprocess.run(["ps", "-eo", "pid,sid"], capture_output=True, text=True).stdout.splitlines()[1:]
    pairs = (map(int, line.split()) for line in listed)
    return [pid for pid, session in pairs if session == process.pid != pid]


def kills(source: str, target: str, count: int, seed: int) -> None:
    """Prints how many rounds ended well, with every value as in the source."""
    mysql(source, _TABLES)
    chance, done, rounds, right = random.Random(seed), Counter[str](), 0, 0
    while sum(done.values()) < count:
        rounds += 1
        _fresh(target)
        ended, found = _round(source, target, chance, done), judge(source, target)
        right += ended and found.exact
        if not found.exact:
            print(f"round {rounds}: {found}")
        print(f"{rounds} rounds, {right} right; {dict(done)}", flush=True)


def _round(source: str, target: str, chance: random.Random, done: Counter[str]) -> bool:
    ends = ("--source", source, "--target", target, "--jobs", "1", "--join-seconds", "40")
    rate = ("--max-rate", "10MB/s")
    with ExitStack() as stack:

        def worker() -> subprocess.Popen[bytes]:
            own = ("--source", source, "--join", target, "--jobs", "2", "--wait-seconds", "60")
            stack.callback(end, process := converge("worker", *own))
            return process

        workers = [worker() for _ in range(3)]
        where = ["--workers", "join:3"]
        cluster: list[subprocess.Popen[bytes]] = []
        if chance.random() < 0.4:
            address, cluster = stack.enter_context(dask(source, target))
            where += ["--workers", address]
            time.sleep(6)
        run = converge("migrate", *ends, *rate, *where)
        stack.callback(end, run)
        while not _copying(target):
            if run.poll() is not None:
                return False
            time.sleep(0.05)
        victims = [("worker", worker) for worker in workers[:2]] + [("process", workers[2])]
        victims += [
            (kind, one) for kind, one in zip(("scheduler", "nanny", "dask worker"), cluster, strict=False)
        ]
        chance.shuffle(victims)
        if chance.random() < 0.5:
            victims.append(("run", run))
        for kind, process in victims:
            time.sleep(chance.uniform(0, 0.6))
            pids = below(process) if kind in ("process", "dask worker") else [process.pid]
            for pid in [chance.choice(pids)] if pids else []:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    done[kind] += 1
            if kind == "worker":
                # Another one comes late.
                worker()
        if victims[-1][0] == "run":
            run.wait()
            run = converge("migrate", *ends, "--resume")
            stack.callback(end, run)
        return run.wait(300) == 0


def _copying(target: str) -> bool:
    with suppress(psycopg.Error):
        ((done,),) = postgres(target, "SELECT count(done_at) FROM converge.chunk")
        return bool(done)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["walls", "snapshots", "mixed", "kills"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with sandbox.start("mysql:8.0.33", "postgres:17.5") as (source, target):
        urls = source.create_database("joined"), target.create_database("joined")
        if chosen.what == "walls":
            walls(*urls, chosen.count)
        elif chosen.what == "snapshots":
            snapshots(*urls, chosen.count)
        elif chosen.what == "mixed":
            mixed(*urls)
        else:
            kills(*urls, chosen.count, chosen.seed)


if __name__ == "__main__":
    main()
