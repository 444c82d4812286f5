"""python -m bench.faults: nothing lost and nothing doubled, whatever happens; writes docs/faults.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.command import add_servers, run
from bench.faults.kinds import KINDS
from bench.faults.lanes import run_all
from bench.faults.record import Record
from bench.faults.tally import page


def main() -> int:
    """Runs what is still to be done; 1 when a round was not as it must be."""
    options = _options()
    run_all(options)
    ended = list(Record(options.record))
    text = page(
        f"MySQL {options.mysql} to PostgreSQL {options.postgres}", [kind.name for kind in KINDS], ended
    )
    print(text)
    if not options.only:
        options.output.write_text(text, encoding="utf-8")
    return int(any(one.wrong for one in ended))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="rounds of each fault (default 20)")
    parser.add_argument("--kills", type=int, default=1000, help="random kills (default 1000)")
    parser.add_argument("--snapshots", type=int, default=100, help="parallel snapshots (default 100)")
    parser.add_argument("--syncs", type=int, default=200, help="kills of sync (default 200)")
    parser.add_argument("--loads", type=int, default=200, help="kills in load mode (default 200)")
    parser.add_argument("--lanes", type=int, default=3, help="rounds side by side (default 3)")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="WORD", help="faults with one of these words"
    )
    parser.add_argument("--record", type=Path, default=Path("faults.jsonl"), help="what has been done")
    parser.add_argument("--output", type=Path, default=Path("docs/faults.md"))
    add_servers(parser, mysql="8.0.15")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
