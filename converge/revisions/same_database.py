"""Whether env.py's connection is in the database that we mean: it must see a lock that only we hold."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.endpoint import Endpoint
from converge.postgres.connect import connect
from converge.revisions.folder import Folder

Check = Callable[[Connection | None], None]


@contextmanager
def same_database(folder: Folder, endpoint: Endpoint) -> Iterator[Check]:
    """A check that raises BlockedError unless env.py's connection sees our lock. Raises TargetError."""
    key = secrets.randbits(62)
    # True in this database, and in no other of any server, while the context lasts.
    query = f"""
        SELECT EXISTS (
          SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
           WHERE d.datname = pg_catalog.current_database() AND l.locktype = 'advisory' AND l.granted
             AND l.objsubid = 1 AND l.classid = {key >> 32} AND l.objid = {key & 0xFFFFFFFF})
        """
    with connect(endpoint) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield partial(_require, folder, endpoint, query)


def _require(folder: Folder, endpoint: Endpoint, query: str, connection: Connection | None) -> None:
    hint = (
        'connection = config.attributes.get("connection"), or an engine for the address '
        'config.get_main_option("sqlalchemy.url"): converge sets both'
    )
    env = folder.location / "env.py"
    if connection is None:
        raise BlockedError(f"{env} gives Alembic no connection", code=Code.A006, hint=hint)
    if connection.dialect.name != "postgresql":
        message = f"{env} connects to {connection.engine.url!r}, not to {endpoint}; nothing was run"
        raise BlockedError(message, code=Code.A006, hint=hint)
    with left_alone(connection):
        if connection.exec_driver_sql(query).scalar_one():
            return
        where = connection.exec_driver_sql(
            "SELECT current_user, pg_catalog.host(pg_catalog.inet_server_addr()),"
            " pg_catalog.inet_server_port(), pg_catalog.current_database()"
        ).one()
    user, host, port, database = where
    there = f"postgresql://{user}@{host or ''}{f':{port}' if port else ''}/{database}"
    raise BlockedError(
        f"{env} connects to {there}, not to {endpoint}; nothing was run", code=Code.A006, hint=hint
    )


@contextmanager
def left_alone(connection: Connection) -> Iterator[None]:
    """Ends the transaction that a look begins: to Alembic it would be its caller's, and never committed."""
    theirs = connection.in_transaction()
    try:
        yield
    finally:
        if not theirs:
            connection.rollback()
