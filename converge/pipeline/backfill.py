"""`converge backfill`: rows of another database decide what a column gets, and each attempt is audited."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import Interrupted, after
from converge.model.backfill import Backfill, Filled
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.postgres.connect import connect, explain
from converge.postgres.fill.ask import ask
from converge.postgres.fill.outcome import outcome
from converge.postgres.fill.place import (
    Place,
    find_place,
    lacking_rights,
    require_comparable,
    require_folding,
)
from converge.postgres.fill.resolve import resolve
from converge.postgres.fill.write import parts, write
from converge.postgres.ledger import lock
from converge.postgres.rights import lacking_ledger
from converge.postgres.target import read_target
from converge.postgres.upgrade import upgrade
from converge.run.blockers import require_rights
from converge.run.connections import explained
from converge.run.phase import phase

_LOCK_SECONDS = 10
"""A backend whose client was killed notices within two seconds, and then lets go of its lock."""
_AGAIN = "the same command again: rows that are done stay done, the others are tried"


def fill(
    target: Endpoint,
    database: Endpoint,
    schema: str,
    backfill: Backfill,
    emit: Sink,
    *,
    dry_run: bool,
    again: bool = False,
) -> Filled:
    """Fills a column; `again` tries only rows whose last attempt has failed, `dry_run` writes nothing at all.

    Raises BlockedError before anything is written, SourceError for the other database, and TargetError;
    what the audit says is then true and complete.
    """
    with (
        explained(target, target),
        connect(
            target,
            synchronous_commit="on",
            client_connection_check_interval="2s",
            # A policy must not hide rows: with this setting the server fails instead.
            row_security="off",
        ) as connection,
    ):
        # Triggers and types of the application find what they name.
        connection.execute("RESET search_path")
        place = _checked(connection, schema, backfill, dry_run=dry_run)
        if dry_run:
            with connection.transaction(force_rollback=True):
                return _fill(connection, target, database, place, emit, attempt=None, again=again)
        lock(connection, seconds=_LOCK_SECONDS)
        attempt = str(uuid.uuid4())
        return _fill(connection, target, database, place, emit, attempt=attempt, again=again)


def _fill(
    connection: psycopg.Connection[Any],
    target: Endpoint,
    database: Endpoint,
    place: Place,
    emit: Sink,
    *,
    attempt: str | None,
    again: bool,
) -> Filled:
    """Matches all rows, then writes them, unless there is no `attempt` to write."""
    with phase(None, emit, f"match {place.backfill.name}"), ask(database, place.backfill) as found:
        count, kept = resolve(connection, place, found, again=again)
    if attempt is not None:
        # Only now: a query may also fail at its last row.
        upgrade(target)
        _write(connection, target, place, attempt, emit)
    filled, failures = outcome(connection)
    return Filled(
        backfill=place.backfill.name,
        target=f"{place.name}.{place.backfill.column}",
        database=str(database),
        attempt=attempt,
        found=count,
        kept=kept,
        filled=filled,
        failures=failures,
    )


def _checked(connection: psycopg.Connection[Any], schema: str, backfill: Backfill, *, dry_run: bool) -> Place:
    """Where to write, when all that can be said before is in order. Raises BlockedError."""
    target = read_target(connection, schema)
    place = find_place(connection, schema, backfill)
    require_rights([*([] if dry_run else lacking_ledger(target)), *lacking_rights(target, place)])
    require_comparable(connection, place)
    require_folding(connection, backfill)
    return place


def _write(
    connection: psycopg.Connection[Any], target: Endpoint, place: Place, attempt: str, emit: Sink
) -> None:
    batches = parts(connection)
    name = f"fill {place.backfill.name}"
    with phase(None, emit, name, len(batches)), _told_to_repeat(target):
        for number in write(connection, place, attempt, batches):
            emit(Advanced(name, f"{number:,} rows"))


@contextmanager
def _told_to_repeat(target: Endpoint) -> Iterator[None]:
    """What was entered before a loss or a stop is done, whatever came after."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped; what is in the audit is done", code=Code.R130, hint=_AGAIN) from None
    except psycopg.Error as error:
        told = explain(error, target)
        told.hint = after(told.hint, _AGAIN)
        raise told from error
