"""A plan's statements: each in one transaction with its step in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from converge.model.plan import Statement


def run_steps(
    connection: psycopg.Connection[Any], run: int, steps: Iterable[tuple[int, Statement]]
) -> dict[int, str]:
    """Runs statements and enters them, all in one transaction; says why optional ones were refused."""
    refusals: dict[int, str] = {}
    with connection.transaction():
        for number, statement in steps:
            refused = attempt(connection, statement)
            if refused is not None:
                refusals[number] = refused
            connection.execute(
                "INSERT INTO converge.step (run_id, number, phase, object, sql, refused) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                (run, number, statement.phase, statement.object, statement.sql, refused),
            )
    return refusals


def attempt(connection: psycopg.Connection[Any], statement: Statement) -> str | None:
    """Runs one statement; the reason when the server refuses one that is optional."""
    if not statement.optional:
        connection.execute(statement.sql.encode())
        return None
    try:
        with connection.transaction():
            connection.execute(statement.sql.encode())
    except psycopg.errors.OperationalError:
        # No room, no connection, cancelled: that says nothing about the statement.
        raise
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None
