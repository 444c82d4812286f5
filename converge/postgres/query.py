"""Queries: our own, which are files or one value, and those of maps, which may do nothing but read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from converge.model.check import Check
from converge.model.quote import pg_name
from converge.resources import sql
from converge.types.results import TargetColumn

_SECONDS = 10
"""The most that a query may take to be understood: somebody may hold a lock."""
_OF_GRAMMAR = ("42601",)
_OF_NAMES = ("42703", "42704", "42883")
"""Columns, types and functions that are not there."""


def rows(connection: psycopg.Connection[Any], name: str, /, **parameters: object) -> list[tuple[Any, ...]]:
    """The rows of the query in the file of this name."""
    return connection.execute(sql("converge.postgres", name).encode(), parameters).fetchall()


def record(connection: psycopg.Connection[Any], name: str, /, **parameters: object) -> dict[str, Any]:
    """The one row of the query in the file of this name, by its columns' names."""
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute(sql("converge.postgres", name).encode(), parameters).fetchall()
        return row


def value(connection: psycopg.Connection[Any], query: str, parameters: Any = None) -> Any:
    """The first value of a query's first row; None where it gives no row."""
    row = connection.execute(query.encode(), parameters).fetchone()
    return None if row is None else row[0]


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether there is such a relation, by its quoted name."""
    return bool(value(connection, "SELECT to_regclass(%s) IS NOT NULL", (name,)))


def lock_room(connection: psycopg.Connection[Any]) -> int:
    """The locks that all transactions of the server may hold together (manual, "Lock Management")."""
    return int(
        value(
            connection,
            "SELECT current_setting('max_locks_per_transaction')::int * "
            "(current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)",
        )
    )


def copy_rows(connection: psycopg.Connection[Any], table: str, found: Iterable[Sequence[Any]]) -> int:
    """Copies rows into a table, a value at a time; returns how many there are."""
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in found:
                copy.write_row(row)
        return cursor.rowcount


def ask(
    connection: psycopg.Connection[Any], query: str, schema: str, *, seconds: int, most: int
) -> list[tuple[Any, ...]]:
    """At most `most` rows of the query, whose unqualified names are of this schema.

    As a subquery it can be nothing but a query, and a prepared statement holds only one. Raises the
    driver's errors.
    """
    with read_only(connection, schema, seconds):
        asked = f"SELECT * FROM (\n{query}\n) AS asked LIMIT {most}"
        return connection.execute(asked.encode(), prepare=True).fetchall()


def describe(connection: psycopg.Connection[Any], relation: str, schema: str) -> list[TargetColumn]:
    """The columns of what stands in FROM, as the server describes a result. Raises the driver's errors."""
    with read_only(connection, schema, _SECONDS):
        cursor = connection.execute(f"SELECT * FROM {relation} LIMIT 0".encode())
        return [TargetColumn(one.name, pg_name(one.name), one.type_code) for one in cursor.description or ()]


def refused(
    connection: psycopg.Connection[Any], checks: Iterable[Check], schema: str, *, made: bool
) -> dict[str, str]:
    """Why this server cannot understand the queries of checks, by their places. Runs none of them.

    Before the tables are `made` only their grammar counts.
    """
    codes = _OF_GRAMMAR + _OF_NAMES if made else _OF_GRAMMAR
    found = {}
    for check in checks:
        try:
            with read_only(connection, schema, _SECONDS):
                asked = f"EXPLAIN SELECT * FROM (\n{check.target}\n) AS asked"
                connection.execute(asked.encode(), prepare=True)
        except psycopg.Error as error:
            if error.sqlstate is None or connection.closed:
                raise
            if error.sqlstate in codes:
                found[check.place] = (error.diag.message_primary or str(error)).splitlines()[0]
    return found


@contextmanager
def read_only(connection: psycopg.Connection[Any], schema: str, seconds: int) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute(
            "SELECT set_config('search_path', %s, true), set_config('statement_timeout', %s, true)",
            (pg_name(schema), str(seconds * 1000)),
        )
        yield
