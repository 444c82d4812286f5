"""Statements on a source, for the benchmarks that make their own data."""

from __future__ import annotations

from converge.model.endpoint import parse
from converge.mysql.connect import connect


def statements(url: str, *queries: str) -> None:
    """Runs the statements one after the other."""
    with connect(parse(url)) as connection, connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
