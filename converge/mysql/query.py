"""Queries: our own, and those of maps, which may do nothing but read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.cursors import DictCursor
from pymysql.protocol import FieldDescriptorPacket

from converge.model.quote import my_name
from converge.resources import sql
from converge.types.results import SourceColumn


def fetch(connection: Connection[Any], query: str, values: Sequence[Any] | None = None) -> list[Any]:
    """All rows of a query, as tuples."""
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def rows(connection: Connection[Any], name: str, database: str = "") -> list[tuple[Any, ...]]:
    """The rows of the query in the file of this name, which may be about a database.

    Some columns of information_schema are binary and arrive as bytes.
    """
    query = sql("converge.mysql", name)
    found = fetch(connection, query, [database] * query.count("%s") or None)
    return [tuple(one.decode() if isinstance(one, bytes) else one for one in row) for row in found]


def record(connection: Connection[Any], query: str) -> dict[str, Any]:
    """The one row of a query, by its columns' names."""
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall()[0])


def ask(connection: Connection[Any], query: str, *, seconds: int, most: int) -> list[tuple[Any, ...]]:
    """At most `most` rows of the query.

    As a subquery it can be nothing but a query, and the transaction around it is READ ONLY. Raises the
    driver's errors; the transaction lives on after those of the query.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION max_execution_time = %s", (seconds * 1000,))
        try:
            cursor.execute(f"SELECT * FROM (\n{query}\n) AS asked LIMIT {most}")
            return list(cursor.fetchall())
        finally:
            # A connection that is gone says so by the query's own error.
            if connection.open:
                cursor.execute("SET SESSION max_execution_time = 0")


def describe(connection: Connection[Any], relation: str) -> list[SourceColumn]:
    """The columns of what stands in FROM, as the server describes a result. Raises the driver's errors.

    The query is only prepared: LIMIT 0 would not keep the server from counting a whole view.
    """
    driver: Any = connection
    driver._execute_command(COMMAND.COM_STMT_PREPARE, f"SELECT * FROM {relation}")
    statement, columns = struct.unpack_from("<IH", driver._read_packet().get_all_data(), 1)
    found = [driver._read_packet(FieldDescriptorPacket) for _ in range(columns)]
    driver._read_packet()  # the end of the columns
    driver._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", statement))
    return [
        SourceColumn(one.name, my_name(one.name), one.type_code, one.charsetnr, one.scale, one.flags)
        for one in found
    ]
