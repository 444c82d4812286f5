"""What becomes of each row, decided in the target's temporary tables: sets and joins, whatever their size.

`pg_temp.converge_row` then has a row for each that is to be tried: where `reason` is NULL, `new` is right.
Nothing else is written. The session's search path is the application's; all names are qualified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from converge.backfill.audit import has_audit
from converge.backfill.query import Found
from converge.backfill.table import Place
from converge.mapping.grammar import BackfillMatch
from converge.model.quote import pg_name, pg_text
from converge.postgres.errors import NOT_THE_ROW
from converge.postgres.query import copy_rows

ROWS = "pg_temp.converge_row"
_FOUND, _CHOICES, _OPEN = "pg_temp.converge_found", "pg_temp.converge_choice", "pg_temp.converge_open"
_TEXT = 'text COLLATE pg_catalog."C"'

# What these types drop of a text without a word (a zone, a day, digits, bytes), another type still tells
# apart. The session's zone is UTC: a text without a zone equals the same with +00. A time of day needs a day
# for that.
_WIDER = {
    "date": ("", "timestamptz"), "timestamp without time zone": ("", "timestamptz"),
    "time without time zone": ("2000-01-01 ", "timestamptz"),
    "time with time zone": ("2000-01-01 ", "timestamptz"),
    "real": ("", "numeric"), "double precision": ("", "numeric"),
    "name": ("", "text"), '"char"': ("", "text"),
}  # fmt: skip
# Digits behind the point that no type of the kind holds.
_DIGITS = {"date": 6, "time": 6, "interval": 6, "money": 2}


def resolve(
    connection: psycopg.Connection[Any], place: Place, found: Iterable[Found], *, again: bool
) -> tuple[int, int]:
    """Decides each row; `again` looks only at those whose last attempt has failed.

    Returns the query's rows, and the table's rows that are left alone because they have a value.
    """
    # What an earlier backfill of the session has left.
    connection.execute(f"DROP TABLE IF EXISTS {ROWS}, {_CHOICES}, {_FOUND}, {_OPEN}".encode())
    connection.execute(f"CREATE TABLE {_FOUND} (match {_TEXT}, value {_TEXT})".encode())
    count = copy_rows(connection, _FOUND, found)
    statements = [
        _choices(place),
        f"ANALYZE {_CHOICES}",
        f"CREATE TABLE {_OPEN} (row_key {_TEXT} PRIMARY KEY)",
    ]
    statements += [_open(place)] if has_audit(connection, "SELECT") else []
    # By statistics of a time when the column was empty the server would compare each row with each.
    statements += [f"ANALYZE {_OPEN}", "SET enable_nestloop = off", _refuses(place), _merge(place)]
    statements += [_join(place, again=again), *_judge(place), "RESET enable_nestloop"]
    for statement in statements:
        connection.execute(statement.encode())
    kept = _kept(connection, place, again=again)
    connection.execute(f"ALTER TABLE {ROWS} ADD PRIMARY KEY (number)".encode())
    connection.execute(f"ANALYZE {ROWS}".encode())
    return count, kept


def _choices(place: Place) -> str:
    """By what rows are matched: the values to choose from. None beside a value is a choice, too."""
    return f"""
    CREATE TABLE {_CHOICES} AS
    SELECT {_folded("match", place.backfill.match)} AS match, min(value) AS value, max(value) AS other,
           count(DISTINCT value) + max((value IS NULL)::int) AS choices
      FROM (SELECT match, nullif(value, '') AS value FROM {_FOUND} WHERE match <> '') AS found
     GROUP BY 1
    """


def _open(place: Place) -> str:
    """The keys of rows whose last attempt has failed."""
    return f"""
    INSERT INTO {_OPEN}
    SELECT row_key FROM (
        SELECT DISTINCT ON (row_key) row_key, resolution_status FROM converge.audit
         WHERE backfill = {pg_text(place.backfill.name)} AND target_table = {pg_text(place.name)}
         ORDER BY row_key, id DESC) AS last
     WHERE resolution_status = 'failed'
    """


def _refuses(place: Place) -> str:
    """A function that says why the column does not take a text as it is; NULL when it does."""
    column = pg_name(place.schema, place.backfill.table, place.backfill.column)
    base = place.column.base_type
    day, wider = _WIDER.get(base, ("", base))
    texts = "ARRAY[typed::text], ARRAY[given]"
    if place.column.is_array:
        texts = "typed::text::text[], given::text[]"
    digits = next((digits for kind, digits in _DIGITS.items() if base.startswith(kind)), None)
    finer = "" if digits is None else rf"OR t.given ~ '\.\d{{{digits}}}\d*[1-9]'"
    body = f"""
    DECLARE typed {column}%TYPE;
    BEGIN
        typed := given;
        IF EXISTS (
            SELECT FROM unnest({texts}) AS t (typed, given) WHERE t.typed <> t.given
               AND (('{day}' || t.typed)::{wider} IS DISTINCT FROM ('{day}' || t.given)::{wider} {finer}))
        THEN
            RETURN 'the column would keep ' || typed::text;
        END IF;
        RETURN NULL;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        IF SQLSTATE ~ '^({"|".join(NOT_THE_ROW)})' THEN
            RAISE;
        END IF;
        -- The wider type may refuse what the column's has taken, such as a second day.
        RETURN coalesce('the column would keep ' || typed::text, SQLERRM);
    END
    """
    return (
        "CREATE OR REPLACE FUNCTION pg_temp.converge_refuses(given text) RETURNS text "
        f"LANGUAGE plpgsql AS {pg_text(body)}"
    )


def _merge(place: Place) -> str:
    """Counts the choices that are different texts by the column's type: `7` and `007` are one integer."""
    return f"""
    UPDATE {_CHOICES} AS m SET choices = d.choices, value = d.value, other = d.other
      FROM (SELECT match, count(*) AS choices, min(value) AS value, max(value) AS other
              FROM (SELECT match, min(value) AS value
                      FROM (SELECT f.match, f.value, pg_temp.converge_refuses(f.value) AS refused
                              FROM (SELECT DISTINCT {_folded("match", place.backfill.match)} AS match,
                                           nullif(value, '') AS value FROM {_FOUND}) AS f
                              JOIN {_CHOICES} AS c ON c.match = f.match AND c.choices > 1 OFFSET 0) AS f
                     GROUP BY match, CASE WHEN refused IS NULL THEN value::{place.column.type} END,
                              CASE WHEN refused IS NOT NULL THEN value END) AS one
             GROUP BY match) AS d
     WHERE m.match = d.match
    """


def _join(place: Place, *, again: bool) -> str:
    """The table's rows in question, each with the one value that matches it, or the reason why not.

    A CASE makes of a domain the type below it, so its value is cast once more.
    """
    fill = place.backfill
    key, column, type_ = pg_name("t", fill.key), pg_name("t", fill.column), place.column.type
    text, shown = f"{pg_name('t', fill.match.target)}::text", f"{pg_name('t', fill.shown)}::text"
    keep = fill.existing == "keep"
    settled = f"{column} IS NOT NULL" if keep else "false"
    scope = "o.row_key IS NOT NULL" if again else f"{column} IS NULL OR o.row_key IS NOT NULL"
    return f"""
    CREATE TABLE {ROWS} AS
    SELECT c.*, (CASE WHEN c.refused IS NULL THEN c.value::{type_} END)::{type_} AS new,
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


def _judge(place: Place) -> Iterator[str]:
    """Statements that find the failures that the values themselves show."""
    fill = place.backfill
    key, column = pg_name("t", fill.key), pg_name("t", fill.column)
    yield f"UPDATE {ROWS} SET reason = 'not of the type', error = refused WHERE refused IS NOT NULL"
    if fill.existing != "keep":
        # The array's equality is that of its type, wherever the type's operators are.
        same = "reason IS NULL AND current IS NOT NULL AND ARRAY[current] = ARRAY[new]"
        yield f"UPDATE {ROWS} SET settled = true WHERE {same}"
    if fill.existing == "check":
        other = "reason IS NULL AND current IS NOT NULL AND NOT settled"
        error = "'it has ' || current::text"
        yield f"UPDATE {ROWS} SET reason = 'other value', error = {error} WHERE {other}"
    if fill.shared:
        return
    yield f"""
    UPDATE {ROWS} AS r SET reason = 'shared', error = concat_ws(' ', 'row',
               CASE WHEN r.key::text = d.first THEN d.last ELSE d.first END, 'would get the same value')
      FROM (SELECT new, min(key::text) AS first, max(key::text) AS last FROM {ROWS}
             WHERE reason IS NULL AND NOT settled GROUP BY new HAVING count(*) > 1) AS d
     WHERE r.reason IS NULL AND NOT r.settled AND ARRAY[r.new] = ARRAY[d.new]
    """
    yield f"""
    UPDATE {ROWS} AS r SET reason = 'taken', error = concat_ws(' ', 'row', {key}::text, 'has it already')
      FROM {place.table} AS t
     WHERE r.reason IS NULL AND NOT r.settled AND {column} IS NOT NULL
       AND ARRAY[{column}] = ARRAY[r.new] AND {key}::text <> r.key::text
    """


def _kept(connection: psycopg.Connection[Any], place: Place, *, again: bool) -> int:
    """Rows that are left alone; of them, only those that had failed get a row of the audit."""
    removed = connection.execute(f"DELETE FROM {ROWS} WHERE settled AND NOT open".encode()).rowcount
    query = f"SELECT {removed} + count(*) FROM {ROWS} WHERE settled"
    if place.backfill.existing == "keep" and not again:
        # Only rows without a value, and open ones, were looked at.
        query = f"SELECT count({pg_name(place.backfill.column)}) FROM {place.table}"
    ((kept,),) = connection.execute(query.encode()).fetchall()
    return int(kept)


def _folded(text: str, match: BackfillMatch) -> str:
    """What is compared: the text's bytes, or its small letters by Unicode, whatever the database's locale."""
    if not match.ignore_case:
        return f'({text}) COLLATE pg_catalog."C"'
    return f'lower(({text}) COLLATE pg_catalog."und-x-icu") COLLATE pg_catalog."C"'
