"""Connections to temporary servers from their URLs."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql


def with_database(url: str, database: str) -> str:
    """The same URL with another database in its path."""
    return urlsplit(url)._replace(path="/" + quote(database, safe="")).geturl()


def with_account(url: str, user: str, password: str) -> str:
    """The same URL with another account."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}").geturl()


def mysql(url: str) -> pymysql.Connection:
    """An autocommitting MySQL connection in utf8mb4. Raises pymysql.MySQLError."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")) or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
    )


def postgres(url: str) -> psycopg.Connection:
    """An autocommitting PostgreSQL connection. Raises psycopg.Error."""
    return psycopg.connect(url, autocommit=True, connect_timeout=10)
