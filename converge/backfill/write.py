"""Writes what was resolved: a batch's updates and its rows of the audit are one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from converge.backfill.resolve import ROWS
from converge.backfill.table import Place
from converge.model.quote import pg_name, pg_text

_BATCH = 10_000
# Values, constraints, CHECK OPTION, triggers: what the server may say to one row and not to the next.
_REFUSALS = ("09", "22", "23", "27", "38", "39", "44", "54", "P0")
_LOST = "it was written, and a trigger or another session has changed it since"


class _Altered(Exception):
    """A trigger has stored something else."""


def parts(connection: psycopg.Connection[Any]) -> list[tuple[int, int]]:
    """The batches: number above the first, and up to the second."""
    row = connection.execute(f"SELECT coalesce(max(number), 0) FROM {ROWS}".encode()).fetchone()
    last = int(row[0]) if row else 0
    return [(low, min(low + _BATCH, last)) for low in range(0, last, _BATCH)]


def write(
    connection: psycopg.Connection[Any], place: Place, attempt: str, batches: list[tuple[int, int]]
) -> Iterator[int]:
    """Writes each batch and yields its last number.

    A batch that the server refuses is halved until the rows that it means stand alone, and fail with its
    words.
    """
    for low, high in batches:
        _write(connection, place, attempt, low, high)
        yield high
    with connection.transaction():
        connection.execute(_mark_lost(place).encode())
        connection.execute(_enter(place, attempt, f"error = {pg_text(_LOST)}").encode())


def _write(connection: psycopg.Connection[Any], place: Place, attempt: str, low: int, high: int) -> None:
    try:
        with connection.transaction():
            connection.execute(_update(place, low, high).encode())
            # What triggers do after the rows, or at the transaction's end, is done now, and read.
            connection.execute(b"SET CONSTRAINTS ALL IMMEDIATE")
            connection.execute(_read_back(place, low, high).encode())
            _require_as_given(connection, low, high)
            connection.execute(_mark(low, high).encode())
            connection.execute(_enter(place, attempt, _range(low, high)).encode())
        return
    except _Altered as error:
        why = str(error)
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith(_REFUSALS):
            raise
        why = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    if high - low > 1:
        middle = (low + high) // 2
        _write(connection, place, attempt, low, middle)
        _write(connection, place, attempt, middle, high)
        return
    with connection.transaction():
        failed = f"UPDATE {ROWS} SET reason = 'refused', error = {pg_text(why)} WHERE number = {high}"
        connection.execute(failed.encode())
        connection.execute(_enter(place, attempt, _range(low, high)).encode())


def _update(place: Place, low: int, high: int) -> str:
    """Fills the rows that are still as they were when they were resolved, and notes what is stored."""
    fill = place.backfill
    text = pg_name("t", fill.match.target)
    return f"""
    WITH done AS (
        UPDATE {place.table} AS t SET {pg_name(fill.column)} = r.new FROM {ROWS} AS r
         WHERE {_part(low, high)} AND {pg_name("t", fill.key)} = r.key
           AND {_stored(place)} IS NOT DISTINCT FROM r.current::text
           AND {text}::text IS NOT DISTINCT FROM r.match
        RETURNING r.number)
    UPDATE {ROWS} AS r SET written = true FROM done WHERE done.number = r.number
    """


def _read_back(place: Place, low: int, high: int) -> str:
    """Notes what is stored now."""
    return f"""
    UPDATE {ROWS} AS r SET stored = {_stored(place)} FROM {place.table} AS t
     WHERE {_part(low, high)} AND r.written AND {pg_name("t", place.backfill.key)} = r.key
    """


def _mark_lost(place: Place) -> str:
    """A trigger of one row may change another one, of an earlier batch, too."""
    return f"""
    UPDATE {ROWS} AS r SET reason = 'changed', error = {pg_text(_LOST)} FROM {place.table} AS t
     WHERE r.written AND r.reason IS NULL AND {pg_name("t", place.backfill.key)} = r.key
       AND {_stored(place)} IS DISTINCT FROM r.new::text
    """


def _stored(place: Place) -> str:
    return f"{pg_name('t', place.backfill.column)}::text"


def _mark(low: int, high: int) -> str:
    error = "it was changed meanwhile, or a trigger kept the value out"
    return f"""
    UPDATE {ROWS} AS r SET reason = 'changed', error = {pg_text(error)}
     WHERE {_part(low, high)} AND NOT r.written
    """


def _require_as_given(connection: psycopg.Connection[Any], low: int, high: int) -> None:
    """Raises _Altered when a value was not stored as it is; the batch's transaction then ends."""
    row = connection.execute(
        f"SELECT coalesce(stored, 'NULL') FROM {ROWS} AS r "
        f"WHERE {_part(low, high)} AND r.written AND stored IS DISTINCT FROM new::text LIMIT 1".encode()
    ).fetchone()
    if row is not None:
        raise _Altered(f"a trigger stored {row[0]} instead")


def _part(low: int, high: int) -> str:
    """The rows of a batch that are to be written, as a condition."""
    return f"{_range(low, high)} AND r.reason IS NULL AND NOT r.settled"


def _range(low: int, high: int) -> str:
    return f"r.number > {low} AND r.number <= {high}"


def _enter(place: Place, attempt: str, of: str) -> str:
    fill = place.backfill
    return f"""
    INSERT INTO converge.audit (attempt, backfill, target_table, target_column, row_key, shown,
                                resolution_status, reason, error, old_value, new_value)
    SELECT {pg_text(attempt)}::uuid, {pg_text(fill.name)}, {pg_text(place.name)}, {pg_text(fill.column)},
           key::text, shown, CASE WHEN reason IS NULL THEN 'success' ELSE 'failed' END, reason, error,
           current::text, CASE WHEN settled THEN current::text ELSE coalesce(new::text, value) END
      FROM {ROWS} AS r WHERE {of} ORDER BY number
    """
