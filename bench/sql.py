"""Statements on a source, for the benchmarks that make their own data."""

from __future__ import annotations

from converge.model.endpoint import parse
from converge.mysql.connect import WatchedConnection, connect


def writable(url: str) -> WatchedConnection:
    """The session that a run has, but one that may write."""
    connection = connect(parse(url))
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ WRITE")
    return connection


def statements(url: str, *queries: str) -> None:
    """Runs the statements one after the other."""
    with writable(url) as connection, connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query)
