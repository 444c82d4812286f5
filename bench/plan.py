"""How long a large schema takes: 2,000 tables with 30,000 columns, read and planned.

python -m bench.plan
"""

from __future__ import annotations

import time

from converge import sandbox
from converge.mapping.read import load
from converge.model.endpoint import parse
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import connect
from converge.mysql.rights import read_rights
from converge.planner.inputs import Inputs
from converge.planner.plan import make_plan

TABLES = 2_000


def main() -> None:
    """Make the schema, then read and plan it; print both times."""
    with sandbox.start("mysql:8.0.15") as (server,):
        at = parse(server.create_database("wide"))
        columns = ", ".join(f"c{number} VARCHAR(40) NOT NULL DEFAULT 'x'" for number in range(13))
        with connect(at) as connection, connection.cursor() as cursor:
            for number in range(TABLES):
                cursor.execute(
                    f"CREATE TABLE t{number} (id INT AUTO_INCREMENT PRIMARY KEY, {columns}, n INT, KEY (n))"
                )
            started = time.monotonic()
            catalog = read_catalog(connection, read_rights(connection, at.database))
            read = time.monotonic()
            plan = make_plan(Inputs(catalog, load(), source=str(at)))
            planned = time.monotonic()
        count = sum(len(table.columns) for table in plan.tables)
        print(f"{len(plan.tables):,} tables, {count:,} columns")
        print(f"read {read - started:.2f} s, planned {planned - read:.2f} s")


if __name__ == "__main__":
    main()
