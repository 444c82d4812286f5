"""python -m bench.expressions: random expressions, migrated and compared on both servers (tests/fuzz.py)."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from bench.command import add_servers, run, say
from converge import sandbox

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import fuzz


def main() -> int:
    """Runs the batches; 1 when a migrated object gives other values and no finding says so."""
    options = _options()
    total, reasons, noted, started = Counter[str](), Counter[str](), Counter[str](), time.monotonic()
    with sandbox.start(f"mysql:{options.mysql}", f"postgres:{options.postgres}") as (source, target):
        for seed in range(options.seed, options.seed + options.batches):
            name = f"fuzz_{seed}"
            tally = fuzz.run(
                source.create_database(name),
                target.create_database(name),
                seed,
                options.views,
                options.columns,
            )
            for server in (source, target):
                server.drop_database(name)
            say(f"seed {seed}, {time.monotonic() - started:.0f} s: {tally.line()}")
            print(*tally.faults, sep="\n", flush=True)
            total.update(tally.counts())
            reasons.update(tally.refused)
            noted.update(tally.noted)
    print("together:", ", ".join(f"{number} {what}" for what, number in total.items()))
    if options.reasons:
        print(*(f"{count:6} {reason}" for reason, count in (reasons + noted).most_common(80)), sep="\n")
    return int(bool(total["faults"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.expressions", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first; each batch takes the next")
    parser.add_argument("--batches", type=int, default=20, help="migrations (default 20)")
    parser.add_argument("--views", type=int, default=1000, help="in each (default 1000)")
    parser.add_argument("--columns", type=int, default=20, help="generated ones, and CHECKs (default 20)")
    parser.add_argument("--reasons", action="store_true", help="print why expressions are not migrated")
    add_servers(parser, mysql="8.0.33")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
