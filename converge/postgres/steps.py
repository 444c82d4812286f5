"""Statements of a plan, each with its entry in the ledger; next values of sequences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from converge.model.plan import Plan, Statement
from converge.model.quote import pg_name


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


def set_next_values(connection: psycopg.Connection[Any], plan: Plan, counters: Mapping[str, int]) -> None:
    """The next value becomes max(the source's AUTO_INCREMENT, max(column) + 1), and never less than it is.

    `counters` are the AUTO_INCREMENT values by the source's tables, as they are now.

    A column that has reached its type's end stays there: the next insert fails, as it does in MySQL.
    """
    for identity in plan.identities:
        table = plan.table(identity.table)
        column = next(column for column in table.columns if column.source == identity.column)
        next_value = counters.get(identity.table, 1) if identity.auto_increment else 1
        # A query with parameters reads % as their beginning.
        # Several columns may share a sequence of the target's own.
        names = (pg_name(column.target), pg_name(plan.schema, table.target), column.sequence)
        of_column, of_table, of_sequence = (name.replace("%", "%%") for name in names)
        connection.execute(
            f"""
            SELECT setval(s.name, least(n.next, q.seqmax)::bigint, n.next > q.seqmax)
              FROM (SELECT greatest(%(next)s::numeric, floor(max({of_column})::numeric) + 1,
                                    (SELECT last_value + is_called::int FROM {of_sequence})::numeric)
                      FROM {of_table}) n(next),
                   (SELECT %(sequence)s::regclass) s(name)
              JOIN pg_sequence q ON q.seqrelid = s.name
            """.encode(),
            {"next": next_value, "sequence": column.sequence},
        )
