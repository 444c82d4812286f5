"""Measures `converge migrate`, with the proof and without, side by side with the servers-only limit.

    python -m bench.run                  # full size, five rounds: about ten minutes
    python -m bench.run --scale 0.02     # a smoke run
    python -m bench.run --tables 2000    # small tables instead, with the proof only and without the limit
    python -m bench.run --peer 'pgferry.sh {source} {target}'    # another tool in the same rounds

Both servers are started for it and removed afterwards. The numbers are printed, never asserted: they differ
from machine to machine and from hour to hour, while the ratio of runs that alternate holds better.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median

from bench import data
from bench.command import run, say
from bench.limit import Limit, lines, measure
from bench.process import cores
from bench.servers import MIGRATE, SOURCE, TARGET, Cost, Servers, started

PROVED = "migrate, proved"
HEAD = (
    f"{'':<16}{'wall s':>8}{'ratio':>7}{'client':>8}{'MySQL':>8}{'PostgreSQL':>12}  peak MB of each process"
)


@dataclass(frozen=True)
class Result:
    """Everything that was measured."""

    options: argparse.Namespace
    rows: int
    limits: list[Limit]
    """None for small tables."""
    rounds: list[dict[str, Cost]]

    def of(self, name: str) -> list[Cost]:
        """The step of this name in all rounds."""
        return [costs[name] for costs in self.rounds]

    def wall(self, name: str) -> float:
        """The median of the rounds."""
        return median(cost.wall for cost in self.of(name))


def rounds(options: argparse.Namespace) -> Result:
    """Start the servers, make the data and measure."""
    commands = {"migrate": MIGRATE + "none", PROVED: MIGRATE + "full", "peer": options.peer}
    if options.tables:
        del commands["migrate"]
    limits: list[Limit] = []
    every: list[dict[str, Cost]] = []
    with started() as servers:
        source = servers.mysql.create_database("bench")
        say("making the data")
        if options.tables:
            rows = data.create_small(source, options.tables)
        else:
            rows = data.create(source, servers.files, scale=options.scale, say=say)
        for number in range(1, options.rounds + 1):
            costs: dict[str, Cost] = {}
            if not options.tables:
                limits.append(_limit(servers, source, costs))
            for name, command in commands.items():
                if command:
                    costs[name] = servers.migrate(command, source, jobs=options.jobs, may_fail=name == "peer")
            say(f"round {number}: " + ", ".join(f"{name} {cost.wall:.2f} s" for name, cost in costs.items()))
            every.append(costs)
    return Result(options, rows, limits, every)


def _limit(servers: Servers, source: str, costs: dict[str, Cost]) -> Limit:
    target = servers.fresh()
    limit, mysql, postgres = servers.during(lambda: measure(source, target, servers.files))
    costs["limit"] = Cost(limit.seconds, mysql, postgres)
    return limit


def table(result: Result) -> Iterator[str]:
    """The result for people."""
    if result.limits:
        # The median round; the faster one when there are two.
        limit = sorted(result.limits, key=lambda limit: limit.seconds)[(len(result.limits) - 1) // 2]
        yield from (*lines(limit), "")
    yield (
        f"{result.rows:,} rows, {cores()} cores, {result.options.jobs} jobs, medians of {len(result.rounds)} "
        f"rounds; client, MySQL and PostgreSQL in CPU seconds"
    )
    yield HEAD
    for name in result.rounds[0]:
        yield _line(result, name)
    for name in result.rounds[0]:
        yield from _notes(result, name)


def _line(result: Result, name: str) -> str:
    costs = result.of(name)
    ratio = f"{result.wall(name) / result.wall('limit'):.2f}" if result.limits else ""
    used = [median(getattr(cost, side) for cost in costs) for side in ("client", "mysql", "postgres")]
    memory = ", ".join(f"{peak / 1e6:.0f}" for peak in max((cost.peaks for cost in costs), key=sum))
    numbers = f"{result.wall(name):>8.2f}{ratio:>7}{used[0]:>8.2f}{used[1]:>8.2f}{used[2]:>12.2f}"
    return f"{name:<16}{numbers}  {memory}".rstrip()


def _notes(result: Result, name: str) -> Iterator[str]:
    """Converge's phases; of a peer that fails, how far it came."""
    costs = result.of(name)
    if phases := {phase: median(cost.phases.get(phase, 0.0) for cost in costs) for phase in costs[0].phases}:
        yield ""
        yield f"{name}: " + ", ".join(f"{phase} {took:.2f}" for phase, took in phases.items())
        outside = result.wall(name) - sum(phases.values()) + phases.get("scan", 0)
        yield f"  {outside:.2f} s outside of all phases"
        if result.limits and "scan" in phases:
            yield f"  scan / limit = {phases['scan'] / result.wall('limit'):.2f}"
        if name == PROVED:
            yield f"  verify / copy = {phases['verify'] / phases['copy']:.2f}"
    if name != "limit" and (failed := [cost for cost in costs if cost.status or cost.rows != result.rows]):
        yield ""
        yield f"{name}: FAILED in {len(failed)} of {len(costs)} rounds, status {failed[0].status}; " + (
            f"then the target had {failed[0].rows:,} of {result.rows:,} rows "
            f"and {failed[0].indexes} of {result.of(PROVED)[0].indexes} indexes"
        )
        yield from (f"  {line[:108]}" for line in failed[0].last_lines)


def document(result: Result) -> dict[str, object]:
    """The result for machines: every round, and where it ran."""
    return {
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": cores()},
        "python": platform.python_version(),
        "servers": [SOURCE, TARGET],
        "options": vars(result.options),
        "rows": result.rows,
        "limits": [limit.as_dict() for limit in result.limits],
        "rounds": [{name: asdict(cost) for name, cost in costs.items()} for costs in result.rounds],
        "median_seconds": {name: result.wall(name) for name in result.rounds[0]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.run", description="Measures converge against the servers' limit."
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies the row counts (default 1: 3.96 M rows)"
    )
    parser.add_argument("--tables", type=int, default=0, metavar="N", help="N tables of 200 rows instead")
    parser.add_argument("--rounds", type=int, default=5, help="how often all alternate (default 5)")
    parser.add_argument("--jobs", type=int, default=2, help="converge's --jobs (default 2)")
    parser.add_argument("--peer", metavar="COMMAND", help="another tool, with {source} and {target} in it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    result = rounds(parser.parse_args())
    print(json.dumps(document(result), indent=2) if result.options.json else "\n".join(table(result)))
    return 0


if __name__ == "__main__":
    run(main)
