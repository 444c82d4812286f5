"""Tells by a lock that only we can have taken whether another connection is in the very same database."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from converge.model.endpoint import Endpoint
from converge.postgres.connect import connect


@contextmanager
def witness(endpoint: Endpoint) -> Iterator[str]:
    """A query that is true in this database, and in no other of any server, while the context lasts.

    Raises TargetError.
    """
    key = secrets.randbits(62)
    with connect(endpoint) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield f"""
            SELECT EXISTS (
              SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
               WHERE d.datname = pg_catalog.current_database() AND l.locktype = 'advisory' AND l.granted
                 AND l.objsubid = 1 AND l.classid = {key >> 32} AND l.objid = {key & 0xFFFFFFFF})
            """
