"""Takes back the rows of a load: what its chunks have written goes, what was there before comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.existing import ROWS_LIMIT, OwnTable
from converge.postgres.saved import drop_kept, drop_saved, put_back, saved_table


@dataclass(frozen=True, slots=True)
class Rows:
    """A loaded table's rows, by who has written them."""

    table: OwnTable
    own: int = 0
    """By the run's chunks."""
    merged: int = 0
    """By the run, from those that it had saved."""
    others: int = 0
    saved: int | None = None
    """Rows that are put aside; None where none have been."""

    @property
    def to_do(self) -> bool:
        return self.own > 0 or self.saved is not None

    @property
    def unexpected(self) -> bool:
        """Whether others have written to the table since the run began."""
        if self.saved is not None:
            return self.others > 0
        return self.others > self.table.rows and self.table.rows < ROWS_LIMIT


def look(connection: psycopg.Connection[Any], schema: str, table: OwnTable, xids: Sequence[str]) -> Rows:
    """Counts the rows; `xids` are the transactions of the run's chunks of this table."""
    aside = saved_table(schema, table)
    put_aside = exists(connection, aside)
    if not exists(connection, table.quoted) or not (xids or put_aside):
        return Rows(table)
    # A query with parameters reads % as their beginning.
    own, aside = (name.replace("%", "%%") for name in (table.quoted, aside))
    # Also a merged row is exactly as it was saved, the table's own triggers being off.
    merged = f"text IN (SELECT (s.*)::text FROM {aside} AS s)" if put_aside else "false"
    saved = f"(SELECT count(*) FROM {aside})" if put_aside else "NULL::bigint"
    counts = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE own), "
        f"count(*) FILTER (WHERE NOT own AND {merged}), {saved} "
        "FROM (SELECT t.xmin = ANY (%s::xid[]) AS own, (t.*)::text AS text "
        f"FROM {own} AS t) AS rows".encode(),
        (list(xids),),
    ).fetchone()
    assert counts is not None
    count, by_run, by_merge, rows_aside = counts
    return Rows(table, by_run, by_merge, count - by_run - by_merge, rows_aside)


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether there is such a relation, by its quoted name."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    assert row is not None
    return bool(row[0])


def undo_rows(connection: psycopg.Connection[Any], schema: str, table: OwnTable, xids: Sequence[str]) -> Rows:
    """Removes the run's rows and puts saved ones back, at once; what was found.

    Foreign keys and the table's own triggers must be away. Raises BlockedError when others have written.
    """
    with connection.transaction():
        connection.execute(f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE".encode())
        rows = look(connection, schema, table, xids)
        require_none_of_others([rows])
        if rows.others:
            name = table.quoted.replace("%", "%%")
            connection.execute(f"DELETE FROM {name} WHERE xmin = ANY (%s::xid[])".encode(), (list(xids),))
        elif rows.own or rows.merged:
            connection.execute(f"TRUNCATE {table.quoted}".encode())
        if rows.saved is not None:
            connection.execute(put_back(schema, table).encode())
            connection.execute(drop_saved(schema, table).encode())
        connection.execute(drop_kept(schema, table).encode())
    return rows


def require_none_of_others(found: Sequence[Rows]) -> None:
    """Raises BlockedError when others have written to a table: their rows are never removed."""
    changed = [rows for rows in found if rows.unexpected]
    if not changed:
        return
    raise BlockedError(
        f"others have written to {len(changed)} tables since the run began; their rows are not removed",
        code=Code.T019,
        details=[_counts(rows) for rows in changed],
        hint="remove these rows, or write them elsewhere, then converge recover; this shows them:\n"
        + "\n".join(
            f"SELECT * FROM {rows.table.quoted} WHERE NOT xmin = ANY (ARRAY(SELECT xid FROM converge.chunk "
            "WHERE xid IS NOT NULL));"
            for rows in changed
        ),
    )


def _counts(rows: Rows) -> str:
    there = f"{rows.others:,} rows of others, {rows.own:,} rows of the run"
    aside = "" if rows.saved is None else f", {rows.saved:,} rows saved before it"
    return f"{rows.table.quoted}: {there}{aside}"
