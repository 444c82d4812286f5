"""What catching up costs beside a new run: `python -m bench.sync`.

In each round 1 % of the rows change at random (a third each inserted, updated and deleted, and the keys of
one table); then `converge sync`, and then `converge migrate --recreate`, with scan and proof. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from bench.data import create
from bench.process import run
from bench.servers import Cost, Failed, Servers, phases, started
from bench.sql import writable

_COMMANDS = ("sync", "migrate --recreate --yes")
_SIDES = ("wall", "client", "mysql", "postgres")


def change(source: str, share: float) -> None:
    """Changes this share of the rows of each table."""
    third = share / 3
    with writable(source) as connection, connection.cursor() as cursor:
        for statement in (
            f"DELETE FROM salaries WHERE RAND() < {third}",
            f"UPDATE salaries SET salary = salary + 1 WHERE RAND() < {third}",
            "INSERT IGNORE INTO salaries SELECT emp_no, salary, from_date - INTERVAL 1 + RAND() * 3000 DAY, "
            f"to_date FROM salaries WHERE RAND() < {third}",
            f"DELETE FROM events WHERE RAND() < {share / 2}",
            f"UPDATE events SET retries = retries + 1 WHERE RAND() < {share / 2}",
            f"UPDATE authorization_policy SET id = UUID() WHERE RAND() < {share}",
        ):
            cursor.execute(statement)
        connection.commit()


def measure(servers: Servers, command: str, source: str, target: str) -> Cost:
    """Runs the command over the whole database. Raises Failed where it does not end well."""
    words = [sys.executable, "-m", "converge", *shlex.split(command), "--no-progress", "--json"]
    usage, mysql, postgres = servers.during(
        lambda: run([*words, "--source", source, "--target", target], pss=False)
    )
    if usage.status:
        raise Failed(f"status {usage.status} from {command}", details=usage.output.splitlines()[-40:])
    return Cost(usage.wall, mysql, postgres, usage.cpu, usage.peaks, phases(usage.output))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the medians of both commands, and their ratio."""
    parser = argparse.ArgumentParser(prog="bench.sync", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.5, help="of bench.data's rows (default 0.5)")
    parser.add_argument("--share", type=float, default=0.01, help="of the rows that change (default 0.01)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    costs: dict[str, list[Cost]] = {command: [] for command in _COMMANDS}
    with started() as servers:
        source = servers.mysql.create_database("bench")
        create(source, servers.files, scale=options.scale)
        target = servers.fresh()
        ends = ["--source", source, "--target", target]
        subprocess.run([sys.executable, "-m", "converge", "migrate", "-q", *ends], check=True)
        for _ in range(options.rounds):
            change(source, options.share)
            for command, every in costs.items():
                every.append(measure(servers, command, source, target))
    print(f"{'':26}" + "".join(f"{side:>10}" for side in _SIDES) + "  worker MB  phases")
    for command, every in costs.items():
        figures = "".join(f"{median(getattr(cost, side) for cost in every):10.1f}" for side in _SIDES)
        took = {name: median(cost.phases[name] for cost in every) for name in every[0].phases}
        listed = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.items() if seconds >= 0.1)
        print(f"{command:26}{figures}{max(cost.peaks[1] for cost in every) / 1e6:11.0f}  {listed}")
    ours, theirs = (median(cost.wall for cost in costs[command]) for command in _COMMANDS)
    print(f"ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
