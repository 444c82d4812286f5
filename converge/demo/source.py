"""Fills an empty MySQL database with the demo application."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from converge.demo import content, people, records
from converge.demo.insert import insert
from converge.demo.world import World
from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.mysql.connect import connect

#: In the order they are filled. The shares add up to a thousand.
TABLES = (*people.TABLES, *content.TABLES, *records.TABLES)

#: With fewer rows there is no room for every awkward value.
LEAST_ROWS = 2000

# Strict, so that nothing is stored that the server had to bend; UTC, so that no TIMESTAMP falls into a gap;
# and writing, which a session on a source of somebody's never is.
SESSION = (
    "SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', "
    "transaction_read_only = 0"
)


def fill(
    url: str, *, seed: int = 7, rows: int = 200_000, on_progress: Callable[[str], None] | None = None
) -> int:
    """Create the demo's tables in the empty database at `url` and fill them; returns the number of rows.

    Equal `seed` and `rows` give equal data. 200,000 rows hold about 100 MB and take MySQL 250 MB.
    """
    if rows < LEAST_ROWS:
        raise UsageError(f"The demo needs at least {LEAST_ROWS} rows, not {rows}")
    say = on_progress or (lambda message: None)
    with connect(parse(url)) as connection:
        _execute(connection, SESSION)
        _refuse_unless_empty(connection)
        for statement in statements():
            _execute(connection, statement)
        done = 0
        world = World(seed)
        shares = counts(rows)
        for table in TABLES:
            generated = table.generate(world, shares[table.name])
            done += insert(connection, table.name, table.columns.split(), generated)
            say(f"{table.name}: {shares[table.name]:,} rows")
        _pin(connection)
    return done


def counts(rows: int) -> dict[str, int]:
    """How many rows each table gets; they add up to `rows`."""
    result = {table.name: rows * table.share // 1000 for table in TABLES}
    result["audit_log"] += rows - sum(result.values())
    return result


def statements() -> list[str]:
    """The statements of schema.sql, without its comment lines."""
    text = (resources.files("converge.demo") / "schema.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]


def _execute(connection: Connection[Cursor], statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _refuse_unless_empty(connection: Connection[Cursor]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DATABASE(), COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        )
        for database, tables in cursor.fetchall():
            if tables:
                raise UsageError(
                    f"Database {database} has {tables} tables; the demo only fills an empty one",
                    hint="CREATE DATABASE commons CHARACTER SET utf8mb4; and name that one in the URL",
                )


def _pin(connection: Connection[Cursor]) -> None:
    """Let spaces point to one of their articles: space and article then refer to each other."""
    # Assigning updated_at to itself keeps ON UPDATE CURRENT_TIMESTAMP from asking the clock.
    _execute(
        connection,
        "UPDATE space s JOIN (SELECT space_id, MIN(id) AS article_id FROM article GROUP BY space_id) a "
        "ON a.space_id = s.id SET s.pinned_article_id = a.article_id, s.updated_at = s.updated_at "
        "WHERE s.visibility <> 'hidden'",
    )
