"""Migrates with the command line and asks all judges: converge, its digests alone, the tests' own judge."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converge.errors import ConvergeError
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.result import Result
from converge.mysql.chunks import cut
from converge.mysql.snapshot import mark
from converge.run.options import Options
from converge.run.prepare import prepare
from converge.run.proof import Proof
from converge.run.workers import Workers

_JUDGE = Path(__file__).parents[2] / "tests"


class Failed(ConvergeError):
    """A migration that did not end as it should."""


@dataclass(frozen=True)
class Migrated:
    """A migration and its proof."""

    seconds: float
    differences: list[str]
    drilled: list[str]
    """Tables whose digests differ, so that only the drill-down said that they are equal."""


def migrate(source: str, target: str, maps: Sequence[str] = ()) -> Migrated:
    """Runs `converge migrate --json`, then compares the digests of whole tables once more."""
    chosen = [word for name in maps for word in ("--map", name)]
    command = [sys.executable, "-m", "converge", "migrate", "--json", "--source", source, "--target", target]
    started = time.monotonic()
    done = subprocess.run([*command, *chosen], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        result = {"verdict": "none", "differences": []}
    differences = [str(one) for one in result.get("differences", ())]
    if result.get("verdict") != "verified" and not differences:
        raise Failed(
            f"no verified copy: {result.get('verdict')}",
            details=(done.stderr + done.stdout[-2000:]).splitlines(),
        )
    return Migrated(seconds, differences, drilled(source, target, maps))


def drilled(source: str, target: str, maps: Sequence[str] = ()) -> list[str]:
    """Source tables whose sums of digests differ now."""
    here, there = parse(source), parse(target)
    options = Options(tuple(maps))
    with (
        Workers(options.jobs) as workers,
        prepare(here, there, options, silent, as_recorded=True) as prepared,
    ):
        workers.connect(here, there)
        workers.everyone(mark(prepared.source))
        assert prepared.target is not None
        ranges = {table.source: list(cut(prepared.source, table.extent)) for table in prepared.plan.tables}
        proof = Proof(
            plan=prepared.plan,
            workers=workers,
            source=prepared.source,
            target=prepared.target,
            ranges=ranges,
            level="full",
            result=Result("verify", source, target),
            emit=silent,
        )
        return [name for name, total in proof.sums(proof.tasks(), "verify").items() if not total.equal]


def judged(source: str, target: str, tables: Sequence[str]) -> tuple[int, list[str]]:
    """The rows that the tests' independent judge compared, value by value, and what it found."""
    if str(_JUDGE) not in sys.path:
        sys.path.append(str(_JUDGE))
    from judge import compare  # only here: it lives with the tests

    report = compare(source, target, tables=tables, cap=5)
    rows = sum(table.rows_source for table in report.tables.values())
    return rows, [] if report.equal else str(report).splitlines()
