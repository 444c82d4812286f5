"""python -m bench.faults: nothing lost and nothing doubled, whatever happens; writes docs/faults.md."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

from faults import rounds
from faults.data import SOURCE
from faults.disk import why_not
from faults.every import FAULTS, MORE
from faults.own import kill_a_load
from faults.rounds import Outcome, Pair
from support import mysql

from bench.command import add_servers, run, say
from bench.faults.tally import Tally, page
from converge import sandbox

_KILLS_A_ROUND = 10

Round = Callable[[Pair, str, int], Outcome]
"""Servers, URL of the source, seed."""


def main() -> int:
    """Runs it all; 1 when a round was not as it must be."""
    options = _options()
    names = f"mysql:{options.mysql}", f"postgres:{options.postgres}"
    with sandbox.start(*names, durable=True) as (my, pg):
        tallies = [_many((my, pg), *kind, options) for kind in _kinds(pg) if _wanted(kind[0], options)]
    text = page(f"MySQL {options.mysql} to PostgreSQL {options.postgres}", tallies)
    print(text)
    if not options.only:
        options.output.write_text(text, encoding="utf-8")
    return int(any(tally.wrong for tally in tallies))


def _kinds(target: sandbox.Server) -> Iterator[tuple[str, str, Round]]:
    """All kinds of rounds: their names, the option that bounds them, and one round."""
    for fault in (*FAULTS, *MORE):
        yield fault.name, "seeds", partial(rounds.one_fault, fault=fault)
    for phase in ("copy", "validate"):
        yield (
            f"source moved after a kill in phase {phase}",
            "seeds",
            partial(rounds.source_moved, phase=phase),
        )
    if reason := why_not(target):
        say(f"no disk is filled: {reason}")
    else:
        yield "full disk (53100)", "seeds", rounds.full_disk
    yield (
        "snapshot while four writers commit",
        "snapshots",
        lambda servers, _, seed: rounds.one_snapshot(servers, seed),
    )
    yield (
        "kill in load mode, then --resume or recover",
        "loads",
        lambda servers, source, seed: kill_a_load(servers, source, seed),
    )
    yield "random kills of all sorts", "kills", partial(rounds.random_kills, most=_KILLS_A_ROUND)


def _wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or any(word in name for word in options.only)


def _many(servers: Pair, name: str, bound: str, one: Round, options: argparse.Namespace) -> Tally:
    """Rounds until there are as many, or as many kills, as the option wants."""
    tally = Tally(name)
    for seed in count(options.first_seed):
        done = tally.injected if bound == "kills" else tally.rounds
        if done >= getattr(options, bound) or tally.rounds >= getattr(options, bound):
            return tally
        _round(tally, servers, one, seed)
    raise AssertionError("there are seeds without end")


def _round(tally: Tally, servers: Pair, one: Round, seed: int) -> None:
    """A round that fails is said with its seed, and the next one follows."""
    started = time.monotonic()
    before = len(tally.wrong)
    try:
        servers[0].drop_database("source")
        source = servers[0].create_database("source")
        mysql(source, SOURCE)
        tally.add(one(servers, source, seed), seed)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other rounds go on
        tally.fail(seed, f"{type(error).__name__}: {error}")
        for server in servers:
            server.restart()  # the next round expects them, whatever this one left
    ended = " ".join(tally.wrong[-1].split())[:1500] if len(tally.wrong) > before else "good"
    say(f"{tally.fault}, seed {seed}, {time.monotonic() - started:.0f} s: {ended}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="rounds of each fault (default 20)")
    parser.add_argument("--first-seed", type=int, default=1, help="to repeat a round that failed")
    parser.add_argument("--kills", type=int, default=1000, help="random kills (default 1000)")
    parser.add_argument("--snapshots", type=int, default=100, help="parallel snapshots (default 100)")
    parser.add_argument("--loads", type=int, default=200, help="kills in load mode (default 200)")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="WORD", help="faults with one of these words"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/faults.md"))
    add_servers(parser, mysql="8.0.15")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
