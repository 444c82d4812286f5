"""A query of somebody else's, in a transaction of its own: READ ONLY, bounded, and rolled back."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.quote import pg_name


def ask(
    connection: psycopg.Connection[Any], query: str, schema: str, *, seconds: int, most: int
) -> list[tuple[Any, ...]]:
    """At most `most` rows of the query, whose unqualified names are of this schema.

    As a subquery it can be nothing but a query, and a prepared statement holds only one. Raises the
    driver's errors.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute(
            "SELECT set_config('search_path', %s, true), set_config('statement_timeout', %s, true)",
            (pg_name(schema), str(seconds * 1000)),
        )
        asked = f"SELECT * FROM (\n{query}\n) AS asked LIMIT {most}"
        return connection.execute(asked.encode(), prepare=True).fetchall()
