"""How often, and after which pauses, something is tried again.

What never passes by itself is not tried again: a full disk, bad data, a missing right.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pymysql

from converge.errors import TargetError
from converge.mysql.errors import is_lost as has_lost_source
from converge.postgres.errors import is_lost

# The statement was a victim and its connection lives: serialization failure, deadlock, lock_timeout,
# statement_timeout or a cancellation by somebody.
_VICTIMS = frozenset({"40001", "40P01", "55P03", "57014"})
# KILL QUERY ends a statement and keeps its transaction, so the snapshot too (MySQL 8.0 manual, "KILL").
_KILLED_QUERIES = frozenset({1317, 3024})

CHUNK_TRIES = 5
"""A chunk: about 15 seconds in all."""
RUN_TRIES = 7
"""A run, in a row without a chunk that was loaded: about a minute in all."""


def pauses(tries: int) -> Iterator[float]:
    """Seconds to wait before each new try: 1, 2, 4 … 16, each up to a quarter longer or shorter by chance,
    so that many clients of a server that comes back do not all come at once."""
    for number in range(tries - 1):
        yield min(2.0**number, 16.0) * random.uniform(0.75, 1.25)


def passes(error: Exception) -> bool:
    """Whether the same chunk may go well later, under the same snapshot of the source."""
    if isinstance(error, TargetError):
        return error.lost
    if isinstance(error, psycopg.Error):
        return is_lost(error) or error.sqlstate in _VICTIMS
    return isinstance(error, pymysql.err.Error) and error.args[0] in _KILLED_QUERIES


def is_gone(error: psycopg.Error | pymysql.err.Error) -> bool:
    """Whether the connection, not the statement, is what has failed."""
    return is_lost(error) if isinstance(error, psycopg.Error) else has_lost_source(error)
