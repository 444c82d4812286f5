"""What becomes of each row, decided in the target's temporary tables: sets and joins, whatever their size.

`pg_temp.converge_row` then has a row for each that is to be tried: where `reason` is NULL, `new` is right.
Nothing else is written. The session's search path is the application's; all names are qualified.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from converge.backfill.audit import has_audit
from converge.backfill.declaration import Backfill, Match
from converge.backfill.query import Found
from converge.backfill.table import Place
from converge.model.quote import pg_name, pg_text

ROWS = "pg_temp.converge_row"
_FOUND, _CHOICES, _OPEN = "pg_temp.converge_found", "pg_temp.converge_choice", "pg_temp.converge_open"
_TEXT = 'text COLLATE pg_catalog."C"'
# What a type, a domain or a limit of the server says to a text; all else ends the run.
_REFUSALS = (
    "data_exception", "integrity_constraint_violation", "program_limit_exceeded",
    "syntax_error_or_access_rule_violation", "feature_not_supported",
)  # fmt: skip


def resolve(
    connection: psycopg.Connection[Any], place: Place, found: Iterable[Found], *, again: bool
) -> tuple[int, int]:
    """Decides each row; `again` looks only at those whose last attempt has failed.

    Returns the query's rows, and the table's rows that are left alone because they have a value.
    """
    _forget(connection)
    count = _load(connection, place.backfill, found)
    _load_open(connection, place)
    for statement in (_refuses(place), _join(place, again=again), *_judge(place)):
        connection.execute(statement.encode())
    kept = _kept(connection, place, again=again)
    connection.execute(f"ALTER TABLE {ROWS} ADD PRIMARY KEY (number)".encode())
    connection.execute(f"ANALYZE {ROWS}".encode())
    return count, kept


def _forget(connection: psycopg.Connection[Any]) -> None:
    """Drops what an earlier backfill of the session has left."""
    for table in (ROWS, _CHOICES, _FOUND, _OPEN):
        connection.execute(f"DROP TABLE IF EXISTS {table}".encode())


def _load(connection: psycopg.Connection[Any], backfill: Backfill, found: Iterable[Found]) -> int:
    """The query's rows, and by what they are matched the values to choose from."""
    connection.execute(f"CREATE TABLE {_FOUND} (match {_TEXT}, value {_TEXT})".encode())
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {_FOUND} FROM STDIN".encode()) as copy:
            for row in found:
                copy.write_row(row)
        count = cursor.rowcount
    # One that has no value beside one that has is a choice, too.
    connection.execute(
        f"""
        CREATE TABLE {_CHOICES} AS
        SELECT {_folded("match", backfill.match)} AS match, min(value) AS value, max(value) AS other,
               count(DISTINCT value) + max((value IS NULL)::int) AS choices
          FROM (SELECT match, nullif(value, '') AS value FROM {_FOUND} WHERE match <> '') AS found
         GROUP BY 1
        """.encode()
    )
    connection.execute(f"ANALYZE {_CHOICES}".encode())
    return count


def _load_open(connection: psycopg.Connection[Any], place: Place) -> None:
    """The keys of rows whose last attempt has failed."""
    connection.execute(f"CREATE TABLE {_OPEN} (row_key {_TEXT} PRIMARY KEY)".encode())
    if has_audit(connection, "SELECT"):
        connection.execute(
            f"""
            INSERT INTO {_OPEN}
            SELECT row_key FROM (
                SELECT DISTINCT ON (row_key) row_key, resolution_status FROM converge.audit
                 WHERE backfill = {pg_text(place.backfill.name)} AND target_table = {pg_text(place.name)}
                 ORDER BY row_key, id DESC) AS last
             WHERE resolution_status = 'failed'
            """.encode()
        )
    connection.execute(f"ANALYZE {_OPEN}".encode())


def _refuses(place: Place) -> str:
    """A function that says why the column does not take a text as it is; NULL when it does."""
    column = pg_name(place.schema, place.backfill.table, place.backfill.column)
    body = f"""
    DECLARE typed {column}%TYPE;
    BEGIN
        typed := given;
        IF typed IS DISTINCT FROM given::{place.bare_type} THEN
            RETURN 'the column would keep ' || typed::text;
        END IF;
        RETURN NULL;
    EXCEPTION WHEN {" OR ".join(_REFUSALS)} THEN RETURN SQLERRM;
    END
    """
    return (
        "CREATE OR REPLACE FUNCTION pg_temp.converge_refuses(given text) RETURNS text "
        f"LANGUAGE plpgsql AS {pg_text(body)}"
    )


def _join(place: Place, *, again: bool) -> str:
    """The table's rows in question, each with the one value that matches it, or the reason why not.

    A CASE makes of a domain the type below it, so its value is cast once more.
    """
    fill = place.backfill
    key, column = pg_name("t", fill.key), pg_name("t", fill.column)
    text, shown = f"{pg_name('t', fill.match.target)}::text", f"{pg_name('t', fill.show)}::text"
    keep = fill.existing == "keep"
    settled = f"{column} IS NOT NULL" if keep else "false"
    scope = "o.row_key IS NOT NULL" if again else f"{column} IS NULL OR o.row_key IS NOT NULL"
    return f"""
    CREATE TABLE {ROWS} AS
    SELECT c.*, (CASE WHEN c.refused IS NULL THEN c.value::{place.type} END)::{place.type} AS new,
           false AS written, NULL::text AS stored
      FROM (SELECT b.*, CASE WHEN b.value IS NOT NULL THEN pg_temp.converge_refuses(b.value) END AS refused
              FROM (SELECT a.*, CASE WHEN a.reason IS NULL AND NOT a.settled THEN a.found END AS value
                      FROM (
        SELECT row_number() OVER (ORDER BY {key}) AS number, {key} AS key, {shown} AS shown, {text} AS match,
               {column} AS current, o.row_key IS NOT NULL AS open, {settled} AS settled, m.value AS found,
               CASE WHEN {settled} THEN NULL
                    WHEN coalesce({text}, '') = '' THEN 'nothing to match by'
                    WHEN m.match IS NULL THEN 'no match'
                    WHEN m.choices > 1 THEN 'ambiguous'
                    WHEN m.value IS NULL THEN 'no value' END AS reason,
               CASE WHEN {settled} THEN NULL
                    WHEN coalesce({text}, '') = '' THEN {pg_text(f"its {fill.match.target} is empty")}
                    WHEN m.match IS NULL THEN {pg_text(f"{fill.database} has no such {fill.match.source}")}
                    WHEN m.choices > 1 THEN {pg_text(f"{fill.database} has ")} || m.choices
                         || {pg_text(f" different rows with its {fill.match.source}: {fill.value} ")}
                         || concat_ws(', ', m.value, nullif(m.other, m.value))
                    WHEN m.value IS NULL THEN {pg_text(f"{fill.database} has no {fill.value} for it")}
                    END AS error
          FROM {place.table} AS t
          LEFT JOIN {_CHOICES} AS m ON m.match = {_folded(text, fill.match)}
          LEFT JOIN {_OPEN} AS o ON o.row_key = {key}::{_TEXT}
         WHERE {scope if keep or again else "true"}) AS a OFFSET 0) AS b OFFSET 0) AS c
    """


def _judge(place: Place) -> list[str]:
    """Statements that find the failures that the values themselves show."""
    fill = place.backfill
    # The array's equality is that of its type, wherever the type's operators are.
    same = "ARRAY[current] = ARRAY[new]"
    statements = [f"UPDATE {ROWS} SET reason = 'not of the type', error = refused WHERE refused IS NOT NULL"]
    if fill.existing != "keep":
        valued = "reason IS NULL AND current IS NOT NULL"
        statements.append(f"UPDATE {ROWS} SET settled = true WHERE {valued} AND {same}")
    if fill.existing == "check":
        words = "error = 'it has ' || current::text"
        statements.append(f"UPDATE {ROWS} SET reason = 'other value', {words} WHERE {valued} AND NOT settled")
    if not fill.shared:
        statements += [_shared(), _taken(place)]
    return statements


def _shared() -> str:
    return f"""
    UPDATE {ROWS} AS r SET reason = 'shared', error = concat_ws(' ', 'row',
               CASE WHEN r.key::text = d.first THEN d.last ELSE d.first END, 'would get the same value')
      FROM (SELECT new, min(key::text) AS first, max(key::text) AS last FROM {ROWS}
             WHERE reason IS NULL AND NOT settled GROUP BY new HAVING count(*) > 1) AS d
     WHERE r.reason IS NULL AND NOT r.settled AND ARRAY[r.new] = ARRAY[d.new]
    """


def _taken(place: Place) -> str:
    key, column = pg_name("t", place.backfill.key), pg_name("t", place.backfill.column)
    return f"""
    UPDATE {ROWS} AS r SET reason = 'taken', error = concat_ws(' ', 'row', {key}::text, 'has it already')
      FROM {place.table} AS t
     WHERE r.reason IS NULL AND NOT r.settled AND {column} IS NOT NULL
       AND ARRAY[{column}] = ARRAY[r.new] AND {key}::text <> r.key::text
    """


def _kept(connection: psycopg.Connection[Any], place: Place, *, again: bool) -> int:
    """Rows that are left alone; of them, only those that had failed get a row of the audit."""
    removed = connection.execute(f"DELETE FROM {ROWS} WHERE settled AND NOT open".encode()).rowcount
    settled = connection.execute(f"SELECT count(*) FROM {ROWS} WHERE settled".encode()).fetchone()
    if place.backfill.existing != "keep" or again:
        return removed + (settled[0] if settled else 0)
    column = pg_name(place.backfill.column)
    valued = connection.execute(f"SELECT count({column}) FROM {place.table}".encode()).fetchone()
    return int(valued[0]) if valued else 0


def _folded(text: str, match: Match) -> str:
    """What is compared: the text's bytes, or its small letters by Unicode, whatever the database's locale."""
    if not match.ignore_case:
        return f'({text}) COLLATE pg_catalog."C"'
    return f'lower(({text}) COLLATE pg_catalog."und-x-icu") COLLATE pg_catalog."C"'
