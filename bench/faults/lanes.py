"""Rounds side by side: a lane is a process with two servers of its own and every n-th seed."""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import time
from collections.abc import Iterator, Sequence
from itertools import count

from faults.data import SOURCE
from faults.disk import why_not
from faults.rounds import EXACT, Outcome, Pair, full_disk
from local_servers import durable, restart
from support import mysql

from bench.command import say
from bench.faults.kinds import KINDS, Kind
from bench.faults.record import Ended, Record
from bench.memory import SETTINGS


def run_all(options: argparse.Namespace) -> None:
    """Ends when every kind has the rounds that the options ask for."""
    wanted = [kind for kind in KINDS if not options.only or any(word in kind.name for word in options.only)]
    for alone, lanes in ((True, 1), (False, options.lanes)):
        names = [kind.name for kind in wanted if kind.alone is alone]
        if names:
            _side_by_side(names, lanes, options)


def _side_by_side(names: Sequence[str], lanes: int, options: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_lane, args=(names, number, lanes, options)) for number in range(lanes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a lane broke off: call the same command again, it goes on")


def _lane(names: Sequence[str], number: int, lanes: int, options: argparse.Namespace) -> None:
    record, commit = Record(options.record), _commit()
    servers = f"mysql:{options.mysql}", f"postgres:{options.postgres}"
    with durable(*servers, **SETTINGS) as (my, pg):
        for kind in KINDS:
            if kind.name not in names:
                continue
            if kind.one is full_disk and (reason := why_not(pg)):
                say(f"no disk is filled: {reason}")
                continue
            for seed in _seeds(kind, number, lanes, record, options):
                record.add(_round(kind, (my, pg), seed, commit))


def _seeds(kind: Kind, number: int, lanes: int, record: Record, options: argparse.Namespace) -> Iterator[int]:
    """This lane's seeds of rounds that are still to be done."""
    wanted: int = getattr(options, kind.bound)
    for seed in count(1 + number, lanes):
        ended = [one for one in record if one.kind == kind.name]
        done = sum(one.injected for one in ended) if kind.bound in ("kills", "syncs") else seed - 1
        if done >= wanted:
            return
        if seed not in {one.seed for one in ended}:
            yield seed


def _round(kind: Kind, servers: Pair, seed: int, commit: str) -> Ended:
    """A round that fails is said with its seed, and the next one follows."""
    started = time.monotonic()
    try:
        servers[0].drop_database("source")
        source = servers[0].create_database("source")
        mysql(source, SOURCE)
        outcome = kind.one(servers, source, seed)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other rounds go on
        outcome = Outcome(0, False, EXACT, f"{type(error).__name__}: {error}")
        for server in servers:
            restart(server)  # the next round expects them, whatever this one left
    seconds = round(time.monotonic() - started)
    say(f"{kind.name}, seed {seed}, {seconds} s: {' '.join(outcome.wrong.split())[:1500] or 'good'}")
    found = outcome.verdict
    return Ended(
        kind.name,
        seed,
        commit,
        seconds,
        outcome.injected,
        found.lost,
        found.doubled,
        found.changed,
        outcome.alone,
        outcome.wrong,
    )


def _commit() -> str:
    """The version of the code that runs."""
    ran = subprocess.run(
        ("git", "describe", "--always", "--dirty"), capture_output=True, text=True, check=False
    )
    return ran.stdout.strip() or "unknown"
