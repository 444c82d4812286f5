"""python -m bench.fidelity: every type family copied without a false alarm, every mutation found."""

from __future__ import annotations

import argparse
import time

from bench.command import add_servers, run, say
from bench.fidelity.copies import Copied, copy
from bench.fidelity.families import FAMILIES
from bench.fidelity.mutate import Tally
from bench.fidelity.mutations import mutate
from converge import sandbox

SETTINGS = {
    "mysql": {"innodb_buffer_pool_size": "1G"},
    "postgres": {"shared_buffers": "512MB", "max_wal_size": "4GB"},
}
_HEAD = (
    f"{'family':<10}{'columns':>8}{'values':>12}{'seconds':>9}{'differences':>13}{'judged rows':>13}"
    "  drilled down"
)


def main() -> int:
    """Runs it all; 1 when a value was lost, a copy was slandered or a mutation was missed."""
    options = _options()
    say(f"MySQL {options.mysql}, PostgreSQL {options.postgres}")
    failed = False
    with sandbox.start(f"mysql:{options.mysql}", f"postgres:{options.postgres}", settings=SETTINGS) as (
        my,
        pg,
    ):
        print(_HEAD)
        for family in options.families:
            started = time.monotonic()
            done = copy(my, pg, [family], options.values)
            print(_line(done), flush=True)
            print("\n".join(done.differences[:20]), end="\n" * bool(done.differences))
            say(f"{family}: {time.monotonic() - started:.0f} s with generating and judging")
            failed |= done.failed
        if options.mutations:
            tally = mutate(my, pg, options.mutations)
            print("\n".join(_lines(tally)), flush=True)
            failed |= bool(tally.wrong)
    return int(failed)


def _lines(tally: Tally) -> list[str]:
    """The mutations by target type, and what went wrong."""
    head = f"\n{'target type':<28}{'mutations':>10}{'found':>10}{'missed':>10}"
    kinds = [*sorted(tally.made), "all"]
    made, found = tally.made | {"all": tally.made.total()}, tally.found | {"all": tally.found.total()}
    lines = [f"{one:<28}{made[one]:>10,}{found[one]:>10,}{made[one] - found[one]:>10,}" for one in kinds]
    return [head, *lines, *tally.wrong[:50]]


def _line(done: Copied) -> str:
    return (
        f"{done.family:<10}{done.columns:>8}{done.values:>12,}{done.seconds:>9.1f}{len(done.differences):>13}"
        f"{done.judged:>13,}  {', '.join(done.drilled) or '-'}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.fidelity", description=__doc__)
    parser.add_argument("--values", type=int, default=1_000_000, help="of each family (default 1,000,000)")
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=[*FAMILIES], metavar="FAMILY")
    parser.add_argument("--mutations", type=int, default=20_000, help="at least so many (default 20,000)")
    add_servers(parser, mysql="8.0.33")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
