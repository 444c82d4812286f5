"""Another database, which is only read: one query in a READ ONLY transaction, its rows as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.backfill.declaration import Backfill
from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, SourceError, TargetError
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.postgres.connect import connect
from converge.postgres.errors import explain

Found = tuple[str | None, str | None]
"""What a row is matched by, and its value."""
_ROWS = 10_000


@contextmanager
def ask(endpoint: Endpoint, backfill: Backfill) -> Iterator[Iterator[Found]]:
    """The rows of a backfill's query, from one instant; the query has begun well when this returns.

    A cursor can only be declared for one query that writes nothing, so the server itself holds the map to it.
    Raises BlockedError for a query that cannot run, SourceError for a database that cannot be reached.
    """
    columns = ", ".join(f"q.{pg_name(name)}::text" for name in (backfill.match.source, backfill.value))
    with _explained(endpoint, backfill):
        connection = connect(endpoint, default_transaction_read_only="on")
        # The query's names mean what they mean to the application.
        connection.execute("RESET search_path")
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection, connection.cursor("converge_found") as cursor:
        with _explained(endpoint, backfill):
            # The line's end closes a comment at the query's.
            cursor.execute(f"SELECT {columns} FROM (\n{backfill.query}\n) AS q".encode())
        yield _rows(cursor, endpoint, backfill)


def _rows(cursor: psycopg.ServerCursor[Any], endpoint: Endpoint, backfill: Backfill) -> Iterator[Found]:
    while True:
        with _explained(endpoint, backfill):
            rows = cursor.fetchmany(_ROWS)
        if not rows:
            return
        yield from rows


@contextmanager
def _explained(endpoint: Endpoint, backfill: Backfill) -> Iterator[None]:
    try:
        yield
    except TargetError as error:
        raise _as_source(error) from error
    except psycopg.errors.InsufficientPrivilege as error:
        role = endpoint.user or "…"
        raise BlockedError(
            f"the role may not read what the query of {backfill.name!r} asks of {endpoint}: "
            f"{error.diag.message_primary}",
            code=Code.T004,
            hint=f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {pg_name(role)};",
        ) from error
    except psycopg.Error as error:
        if error.sqlstate is None or not error.sqlstate.startswith(("0A", "21", "22", "25", "34", "42")):
            raise _as_source(explain(error, endpoint)) from error
        raise BlockedError(
            f"the query of {backfill.name!r} cannot run on {endpoint}: {error.diag.message_primary}",
            code=Code.B005,
            details=[line for line in (error.diag.message_detail, error.diag.message_hint) if line],
            hint=f"query = one SELECT with the columns {backfill.match.source} and {backfill.value}",
        ) from error


def _as_source(error: ConvergeError) -> SourceError:
    """A database that is only read fails as a source does, whatever it is."""
    return SourceError(
        error.message, code=error.code, hint=error.hint, details=error.details, lost=error.lost
    )
