"""How long a large schema takes: 10,000 tables with 150,000 columns, from the catalog to the reports.

python -m bench.plan [TABLES]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bench.sql import statements
from converge import sandbox
from converge.mapping.read import load
from converge.model.endpoint import parse
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import connect
from converge.mysql.privileges import read_privileges
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions, make_plan
from converge.report.html import to_html
from converge.report.plan import plan_document
from converge.report.plan_text import plan_text

TABLES = 10_000
T = TypeVar("T")


def main() -> None:
    """Make the schema, then time each step; the seconds a table should not grow with the tables."""
    tables = int(sys.argv[1]) if len(sys.argv) > 1 else TABLES
    with sandbox.start("mysql:8.0.15") as (server,):
        at_url = server.create_database("wide")
        at = parse(at_url)
        columns = ", ".join(f"c{number} VARCHAR(40) NOT NULL DEFAULT 'x'" for number in range(13))
        table = f"(id INT AUTO_INCREMENT PRIMARY KEY, {columns}, n INT, KEY (n))"
        statements(at_url, *(f"CREATE TABLE t{number} {table}" for number in range(tables)))
        with connect(at) as connection:
            catalog = _timed(
                "read", lambda: read_catalog(connection, read_privileges(connection, at.database))
            )
        inputs = Inputs(catalog, load(), source=str(at))
        _timed("questions", lambda: all_questions(inputs))
        plan = _timed("planned", lambda: make_plan(inputs))
        html = _timed("HTML", lambda: to_html(plan_document(plan)))
        _timed("text", lambda: plan_text(plan))
        count = sum(len(table.columns) for table in plan.tables)
        print(f"{len(plan.tables):,} tables, {count:,} columns, HTML of {len(html) / 1e6:.1f} MB")


def _timed(what: str, step: Callable[[], T]) -> T:
    started = time.monotonic()
    value = step()
    print(f"{what} {time.monotonic() - started:.2f} s", flush=True)
    return value


if __name__ == "__main__":
    main()
