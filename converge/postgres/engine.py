"""The target as SQLAlchemy and Alembic want it: engines, and an address for others."""

from __future__ import annotations

from threading import RLock
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool

from converge.model.endpoint import Endpoint
from converge.postgres import tls
from converge.postgres.connect import connect

DRIVER = "postgresql+psycopg"
ALEMBIC = RLock()
"""Held where revisions run: `alembic.context` and `alembic.op` are the process's, so that two threads would
carry out their statements in each other's database."""
# What decides how a revision's own statements are read: as the server has it for any other client.
_THEIRS = ("search_path", "TimeZone", "DateStyle", "IntervalStyle")


def engine(endpoint: Endpoint) -> Engine:
    """An engine whose connections are converge's, with transactions."""
    return create_engine(f"{DRIVER}://", creator=lambda: _transactional(endpoint), poolclass=NullPool)


def users_engine(endpoint: Endpoint) -> Engine:
    """The same, with the server's own settings of what statements mean."""

    def made() -> psycopg.Connection[Any]:
        connection = _transactional(endpoint)
        for name in _THEIRS:
            connection.execute(f"RESET {name}".encode())
        connection.commit()
        return connection

    return create_engine(f"{DRIVER}://", creator=made, poolclass=NullPool)


def address(endpoint: Endpoint) -> str:
    """The address as SQLAlchemy reads it, password and all: never to be printed."""
    url = URL.create(
        DRIVER,
        username=endpoint.user or None,
        password=endpoint.password or None,
        host=None if endpoint.host.startswith("/") else endpoint.host or None,
        port=endpoint.port,
        database=endpoint.database or None,
        query=dict(endpoint.options)
        | tls.arguments(endpoint)
        | ({"host": endpoint.host} if endpoint.host.startswith("/") else {}),
    )
    return url.render_as_string(hide_password=False)


def without_password(text: str, endpoint: Endpoint) -> str:
    """The text with stars for this address's password, as it is and as an URL has it."""
    if not endpoint.password:
        return text
    url = URL.create(DRIVER, password=endpoint.password, username="u", host="h")
    encoded = url.render_as_string(hide_password=False).removeprefix(f"{DRIVER}://u:").removesuffix("@h")
    return text.replace(encoded, "***").replace(endpoint.password, "***")


def _transactional(endpoint: Endpoint) -> psycopg.Connection[Any]:
    connection = connect(endpoint)
    connection.autocommit = False
    return connection
