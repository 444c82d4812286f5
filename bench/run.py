"""Measures `converge migrate` side by side with the servers-only limit.

    python -m bench.run                  # full size, three rounds: about five minutes
    python -m bench.run --scale 0.02     # a smoke run

Both servers are started for it and removed afterwards. The numbers are printed, never asserted: they differ
from machine to machine and from hour to hour, while the ratio of runs that alternate holds better.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg

from bench import data
from bench.limit import Limit, lines, measure
from bench.process import Usage, cores, run
from converge.errors import ConvergeError
from converge.sandbox import Server

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from local_servers import durable, shared_folder

SOURCE, TARGET = "mysql:8.0.15", "postgres:17.5"


MIGRATE = f"{shlex.quote(sys.executable)} -m converge migrate --source {{source}} --target {{target}}"
PLAIN = MIGRATE + " --jobs {jobs} --verify none --no-progress --yes"
PROVED = MIGRATE + " --jobs {jobs} --verify full --no-progress --yes"


@dataclass(frozen=True)
class Result:
    """Everything that was measured."""

    scale: float
    jobs: int
    limits: list[Limit]
    plain: list[Usage]
    """Migrations without the proof, one per round."""
    proved: Usage | None
    """One migration with the proof."""

    @property
    def limit(self) -> Limit:
        """The limit of the median round; of the faster one when there are two."""
        return sorted(self.limits, key=lambda limit: limit.seconds)[(len(self.limits) - 1) // 2]


class Failed(ConvergeError):
    """The measured command ended with an error."""


def rounds(options: argparse.Namespace) -> Result:
    """Start the servers, make the data and measure."""
    with shared_folder() as files, durable(SOURCE, TARGET, **settings(files)) as (my, pg):
        source = my.create_database("bench")
        say(f"making the data at scale {options.scale:g}")
        data.create(source, files, scale=options.scale, say=say)
        limits, plain = [], []
        for number in range(1, options.rounds + 1):
            limits.append(measure(source, fresh(pg), files))
            say(f"round {number}: limit {limits[-1].seconds:.2f} s")
            plain.append(migrate(options.command, source, fresh(pg), options.jobs))
            say(f"round {number}: migrate {plain[-1].wall:.2f} s")
        proved = None
        if options.proved_command:
            proved = migrate(options.proved_command, source, fresh(pg), options.jobs)
    return Result(options.scale, options.jobs, limits, plain, proved)


def settings(files: Path) -> dict[str, dict[str, str]]:
    """Memory as an administrator would give it; everything about durability stays as the servers come."""
    return {
        "mysql": {"innodb_buffer_pool_size": "2G", "secure_file_priv": str(files)},
        "postgres": {"shared_buffers": "1GB", "max_wal_size": "8GB"},
    }


def fresh(pg: Server) -> str:
    """The URL of a new, empty target; what an earlier run left to be written is written before this one."""
    pg.drop_database("bench")
    url = pg.create_database("bench")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return url


def migrate(command: str, source: str, target: str, jobs: int) -> Usage:
    """Run the command, with its placeholders filled in."""
    words = [word.format(source=source, target=target, jobs=jobs) for word in shlex.split(command)]
    usage = run(words)
    if usage.status:
        raise Failed(
            f"status {usage.status} from {shlex.join(words)}", details=usage.output.splitlines()[-40:]
        )
    return usage


def table(result: Result) -> list[str]:
    """The result for people."""
    head = f"{'':<18}{'wall s':>8}{'ratio':>7}{'CPU s':>8}{'rows/s':>12}{'MB/s':>7}  peak MB of each process"
    limit = result.limit
    body = [_line("limit", limit.seconds, result, "")]
    body += [_usage_line("migrate", result.plain, result)]
    if result.proved:
        body += [_usage_line("migrate, proved", [result.proved], result)]
    return [
        *lines(limit),
        "",
        f"{limit.rows:,} rows, {limit.size / 1e6:,.0f} MB of COPY text, {limit.cores} cores, "
        f"{result.jobs} jobs, median of {len(result.plain)} rounds",
        head,
        *body,
    ]


def _usage_line(name: str, usages: Sequence[Usage], result: Result) -> str:
    peaks = max((usage.peaks for usage in usages), default=())
    memory = ", ".join(f"{peak / 1e6:.0f}" for peak in peaks) or "unknown"
    return _line(name, median(u.wall for u in usages), result, memory, median(u.cpu for u in usages))


def _line(name: str, wall: float, result: Result, memory: str, cpu: float | None = None) -> str:
    limit = result.limit
    return (
        f"{name:<18}{wall:>8.2f}{wall / limit.seconds:>7.2f}{'' if cpu is None else f'{cpu:.2f}':>8}"
        f"{limit.rows / wall:>12,.0f}{limit.size / 1e6 / wall:>7.0f}  {memory}"
    ).rstrip()


def document(result: Result) -> dict[str, object]:
    """The result for machines: every round, and where it ran."""
    return {
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": cores()},
        "python": platform.python_version(),
        "servers": [SOURCE, TARGET],
        "scale": result.scale,
        "jobs": result.jobs,
        "limits": [limit.as_dict() for limit in result.limits],
        "migrate": [_numbers(usage) for usage in result.plain],
        "migrate_proved": _numbers(result.proved) if result.proved else None,
        "median": {
            "limit": result.limit.seconds,
            "migrate": median(usage.wall for usage in result.plain),
            "ratio": median(usage.wall for usage in result.plain) / result.limit.seconds,
        },
    }


def _numbers(usage: Usage) -> dict[str, object]:
    return {key: value for key, value in asdict(usage).items() if key != "output"}


def say(line: str) -> None:
    """Progress goes to stderr, so that --json leaves only JSON on stdout."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.run", description="Measures converge against the servers' limit."
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="multiplies the row counts (default 1: 3.96 M rows)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often limit and migrate alternate (default 3)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="converge's --jobs (default 2)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument(
        "--command",
        default=PLAIN,
        help="another tool to measure, with {source}, {target} and {jobs} in it (default: converge)",
    )
    options = parser.parse_args()
    # Only converge has a proof to pay for.
    options.proved_command = PROVED if options.command == PLAIN else None
    try:
        result = rounds(options)
    except ConvergeError as error:
        say("\n".join((error.message, *error.details, error.hint or "")))
        return error.exit_code
    print(json.dumps(document(result), indent=2) if options.json else "\n".join(table(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
