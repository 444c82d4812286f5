"""Connection pools that give a client another process of the server for each transaction.

What a run sets, locks and exports belongs to a session: half of it would be in one process, half in another.
"""

from __future__ import annotations

from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.endpoint import Endpoint

_ROUNDS = 3


def require_session(
    connection: psycopg.Connection[Any], other: psycopg.Connection[Any], endpoint: Endpoint
) -> None:
    """Raises BlockedError unless two sessions of the client are two sessions of the server.

    A pool gives the next transaction the process that became free last, or each process in turn: so `other`
    gets that of `connection`, or `connection` gets another one from one transaction to the next.
    """
    first = _process(connection)
    for _ in range(_ROUNDS):
        if _process(other) == first or {_process(connection), _process(connection)} != {first}:
            raise BlockedError(
                f"{endpoint} is a connection pool in transaction mode: sessions share the server's processes",
                code=Code.T170,
                hint="name the host and port of PostgreSQL itself, or a pool in session mode\n"
                "PgBouncer: pool_mode = session for this database; RDS Proxy: the endpoint of the instance",
            )


def _process(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
