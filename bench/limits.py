"""Tries the limits of a row at their full size: what the plan lets through arrives, the rest is found.

    python -m bench.limits        # half an hour; the servers need 8 GB

A bytea near 512 MB, a text near 1 GB, JSON at jsonb's limit, and a row of two values too long together.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from bench.memory import SETTINGS, SOURCE, TARGET
from bench.process import run
from bench.sql import statements
from converge import sandbox


@dataclass(frozen=True)
class Limit:
    """One row of a table `t`, and the code of the finding that must stop it; none where it must arrive."""

    columns: str
    values: str
    code: str = ""


LIMITS = (
    Limit("v LONGBLOB", "REPEAT('b', 536870000)"),
    Limit("v LONGBLOB", "REPEAT('b', 536870001)", "V018"),
    Limit("v LONGTEXT", "REPEAT('t', 1073740000)"),
    Limit("v LONGTEXT", "REPEAT('t\\n', 400000000)", "V033"),
    Limit("v LONGBLOB, w LONGBLOB", "REPEAT('b', 300000000), REPEAT('c', 300000000)", "V033"),
    Limit("v JSON", "JSON_ARRAY(REPEAT('x', 267386000))"),
    Limit("v JSON", "JSON_ARRAY(REPEAT('x', 268435456))", "V029"),
)


def kept(source: str, target: str, limit: Limit) -> bool:
    """Whether the row did what is expected of it."""
    statements(
        source,
        "DROP TABLE IF EXISTS t",
        f"CREATE TABLE t (id INT PRIMARY KEY, {limit.columns})",
        f"INSERT INTO t SELECT 1, {limit.values}",
    )
    words = ["migrate", "--no-progress", "--yes", "--recreate", "--json", "--scan-seconds", "600", "--source"]
    usage = run([sys.executable, "-m", "converge", *words, source, "--target", target])
    document, _ = json.JSONDecoder().raw_decode(usage.output, usage.output.index('{"converge"'))
    codes = {finding["code"] for finding in document["findings"]}
    print(
        f"{limit.values[:50]:<52} exit {usage.status}, {document['verdict']}, "
        f"expected {limit.code or 'verified'}; {usage.together / 1e6:.0f} MB, {usage.wall:.0f} s",
        flush=True,
    )
    return limit.code in codes if limit.code else document["verdict"] == "verified"


def main() -> int:
    with sandbox.start(SOURCE, TARGET, settings=SETTINGS) as (my, pg):
        source, target = my.create_database("limits"), pg.create_database("limits")
        results = [kept(source, target, limit) for limit in LIMITS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
