"""Writes what was resolved: a batch's updates and its rows of the audit are one transaction."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.backfill.resolve import ROWS
from converge.backfill.table import Place
from converge.model.event import Advanced, Sink, phase
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted
from converge.postgres.errors import refuses_row

_BATCH = 10_000
_LOST = "it was written, and a trigger or another session has changed it since"
_CHANGED = "it was changed meanwhile, or a trigger kept the value out"


class _AlteredError(Exception):
    """A trigger has stored something else."""


def write(connection: psycopg.Connection[Any], place: Place, attempt: str, emit: Sink) -> None:
    """Writes all rows in batches. Raises the driver's errors but for those that a row may cause."""
    ((last,),) = connection.execute(f"SELECT coalesce(max(number), 0) FROM {ROWS}".encode()).fetchall()
    batches = [(low, min(low + _BATCH, last)) for low in range(0, last, _BATCH)]
    name, writer = f"fill {place.backfill.name}", _Writer(connection, place, attempt)
    with phase(None, emit, name, len(batches)):
        for low, high in batches:
            writer.write(low, high)
            emit(Advanced(name, counted(high, "row")))
        writer.mark_lost()


class _Writer:
    def __init__(self, connection: psycopg.Connection[Any], place: Place, attempt: str) -> None:
        fill = place.backfill
        self._connection, self._place, self._attempt = connection, place, attempt
        self._key, self._stored = pg_name("t", fill.key), f"{pg_name('t', fill.column)}::text"

    def write(self, low: int, high: int) -> None:
        """Writes the rows above one number and up to another.

        Those that the server refuses are halved until the rows that it means stand alone, and fail with its
        words.
        """
        rows = f"r.number > {low} AND r.number <= {high}"
        try:
            with self._connection.transaction():
                self._write(f"{rows} AND r.reason IS NULL AND NOT r.settled")
                self._enter(rows)
            return
        except _AlteredError as error:
            why = str(error)
        except psycopg.Error as error:
            if not refuses_row(error):
                raise
            why = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
        if high - low > 1:
            middle = (low + high) // 2
            self.write(low, middle)
            self.write(middle, high)
            return
        with self._connection.transaction():
            self._run(f"UPDATE {ROWS} SET reason = 'refused', error = {pg_text(why)} WHERE number = {high}")
            self._enter(rows)

    def mark_lost(self) -> None:
        """A trigger of one row may change another one, of an earlier batch, too."""
        with self._connection.transaction():
            self._run(f"""
                UPDATE {ROWS} AS r SET reason = 'changed', error = {pg_text(_LOST)}
                  FROM {self._place.table} AS t
                 WHERE r.written AND r.reason IS NULL AND {self._key} = r.key
                   AND {self._stored} IS DISTINCT FROM r.new::text""")
            self._enter(f"error = {pg_text(_LOST)}")

    def _write(self, those: str) -> None:
        """Fills the rows that are still as they were when they were resolved.

        Raises _AlteredError when a value was not stored as it is; the batch's transaction then ends.
        """
        fill, table = self._place.backfill, self._place.table
        self._run(f"""
            WITH done AS (
                UPDATE {table} AS t SET {pg_name(fill.column)} = r.new FROM {ROWS} AS r
                 WHERE {those} AND {self._key} = r.key AND {self._stored} IS NOT DISTINCT FROM r.current::text
                   AND {pg_name("t", fill.match.target)}::text IS NOT DISTINCT FROM r.match
                RETURNING r.number)
            UPDATE {ROWS} AS r SET written = true FROM done WHERE done.number = r.number""")
        # What triggers do after the rows, or at the transaction's end, is done now, and read.
        self._run("SET CONSTRAINTS ALL IMMEDIATE")
        self._run(f"""
            UPDATE {ROWS} AS r SET stored = {self._stored} FROM {table} AS t
             WHERE {those} AND r.written AND {self._key} = r.key""")
        altered = f"{those} AND r.written AND stored IS DISTINCT FROM new::text"
        for (stored,) in self._run(
            f"SELECT coalesce(stored, 'NULL') FROM {ROWS} AS r WHERE {altered} LIMIT 1"
        ):
            raise _AlteredError(f"a trigger stored {stored} instead")
        self._run(f"""
            UPDATE {ROWS} AS r SET reason = 'changed', error = {pg_text(_CHANGED)}
             WHERE {those} AND NOT r.written""")

    def _enter(self, those: str) -> None:
        """A row of the audit for each of those."""
        place, fill = self._place, self._place.backfill
        self._run(f"""
            INSERT INTO converge.audit (attempt, backfill, target_table, target_column, row_key, shown,
                                        resolution_status, reason, error, old_value, new_value)
            SELECT {pg_text(self._attempt)}::uuid, {pg_text(fill.name)}, {pg_text(place.name)},
                   {pg_text(fill.column)}, key::text, shown,
                   CASE WHEN reason IS NULL THEN 'success' ELSE 'failed' END, reason, error, current::text,
                   CASE WHEN settled THEN current::text ELSE coalesce(new::text, value) END
              FROM {ROWS} AS r WHERE {those} ORDER BY number""")

    def _run(self, statement: str) -> psycopg.Cursor[Any]:
        return self._connection.execute(statement.encode())
