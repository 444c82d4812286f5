"""Room in the server's lock table for what one transaction of a run touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.resources import sql


def raise_locks(wanted: int, connections: int) -> str:
    """The statement that makes room for so many locks."""
    per_transaction = -(-wanted // connections)
    return f"ALTER SYSTEM SET max_locks_per_transaction = {per_transaction}; -- and restart the server"


def require_locks(connection: psycopg.Connection[Any], schema: str, tables: Sequence[str]) -> None:
    """Raises BlockedError when these tables cannot be emptied in one transaction."""
    row = connection.execute(
        sql("converge.postgres", "locks").encode(), {"schema": schema, "tables": list(tables)}
    ).fetchone()
    assert row is not None
    needed, room, connections = row
    if needed > room:
        raise BlockedError(
            f"--truncate empties {len(tables)} tables in one transaction, which locks {needed:,} tables and "
            f"indexes; the server has room for {room:,}",
            code=Code.T042,
            hint=raise_locks(needed, connections),
        )
