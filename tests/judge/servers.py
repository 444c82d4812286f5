"""Read-only sessions on both servers, each in one snapshot, in UTC, with plain text results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pymysql
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from .errors import JudgeError

Source: TypeAlias = "pymysql.Connection[SSCursor]"
Target: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SOURCE_SESSION = (
    "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600, max_execution_time = 0",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_TARGET_OPTIONS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "statement_timeout": "0",
}


@contextmanager
def open_source(url: str) -> Iterator[Source]:
    """MySQL: no Python conversions at all, text arrives as str and binary strings as bytes."""
    parts = urlsplit(url)
    database = unquote(parts.path.lstrip("/"))
    if parts.scheme.split("+")[0] != "mysql" or not database:
        raise JudgeError(f"not the URL of a MySQL database: {parts.scheme}://…{parts.path}")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    connection: Source = pymysql.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        unix_socket=query.get("unix_socket"),
        charset="utf8mb4",
        ssl_disabled=parts.hostname == "127.0.0.1",
        conv={kind: encode for kind, encode in conversions.items() if not isinstance(kind, int)},
        cursorclass=SSCursor,
    )
    try:
        with connection.cursor() as cursor:
            for statement in _SOURCE_SESSION:
                cursor.execute(statement)
        yield connection
    finally:
        connection.close()


@contextmanager
def open_target(url: str) -> Iterator[Target]:
    scheme, _, rest = url.partition("://")
    connection = psycopg.connect(f"{scheme.split('+')[0]}://{rest}", client_encoding="utf8", autocommit=True)
    try:
        for name, value in _TARGET_OPTIONS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection
    finally:
        connection.close()
