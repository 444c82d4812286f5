"""Affected rows beside those that a reference has, compared in the copy of the database."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import UsageError
from converge.model.image import Pair
from converge.model.quote import pg_name
from converge.model.validation import MOST_DEVIATIONS, Compared, Deviation
from converge.postgres.affected import CHANGE, SCHEMA, fields, found

_BLOCK = 1 << 20
_REFERENCE = pg_name(SCHEMA, "reference")
_DEVIATIONS = pg_name(SCHEMA, "deviations")
_NO_ROWS = "SELECT NULL::text[] AS v WHERE false"


def compare(
    connection: psycopg.Connection[Any], table: str, file: Path | None, pair: Pair | None, key: Sequence[str]
) -> Compared:
    """One table's affected rows and the file that the reference has of them.

    `file` is None where the reference has none, `pair` where no row is affected. Compared are the file's
    columns, whichever it has; rows are told apart by the key, without one by all of them. Raises UsageError.
    """
    labels = _load(connection, file) if file else _without_file(pair, key)
    if missing := [label for label in key if label not in labels]:
        raise UsageError(
            f"the reference {file} lacks the column {missing[0]}, by which rows of {table} are told apart",
            code=Code.A051,
            details=[f"its columns: {', '.join(labels)}"],
            hint="save it as CSV with commas and in UTF-8, with the columns of the key",
        )
    places = [labels.index(label) + 1 for label in key] or list(range(1, len(labels) + 1))
    ours = fields(pair, pair.labels) if pair else {}
    values = ", ".join(ours.get(label, "NULL") for label in labels)
    now = f"SELECT ARRAY[{values}]::text[] AS v FROM {found(pair)}" if pair else _NO_ROWS
    then = f"SELECT ARRAY[{_columns(labels)}]::text[] AS v FROM {_REFERENCE}" if file else _NO_ROWS
    connection.execute(f"DROP TABLE IF EXISTS {_DEVIATIONS}".encode())
    statement = (
        f"CREATE UNLOGGED TABLE {_DEVIATIONS} AS SELECT k, f.v AS found, r.v AS reference "
        f"FROM {_numbered(now, places)} f FULL JOIN {_numbered(then, places)} r USING (k, n) "
        "WHERE f.v IS DISTINCT FROM r.v"
    )
    connection.execute(statement.encode())
    compared = _counted(connection, table, labels, places, rows=_count(connection, _REFERENCE) if file else 0)
    left = tuple(label for label in pair.labels if label not in labels) if pair and file else ()
    return replace(compared, not_compared=left)


def _without_file(pair: Pair | None, key: Sequence[str]) -> list[str]:
    return [CHANGE, *(key or (pair.labels if pair else ()))]


def _columns(labels: Sequence[str]) -> str:
    return ", ".join(f"c{at}" for at in range(len(labels)))


def _load(connection: psycopg.Connection[Any], file: Path) -> list[str]:
    """Puts the file into a table of texts; returns its header. Raises UsageError (A052)."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            labels = next(csv.reader(text), [])
        connection.execute(f"DROP TABLE IF EXISTS {_REFERENCE}".encode())
        columns = ", ".join(f"c{at} text" for at in range(len(labels)))
        connection.execute(f"CREATE UNLOGGED TABLE {_REFERENCE} ({columns})".encode())
        copying = f"COPY {_REFERENCE} FROM STDIN (FORMAT csv, HEADER)"
        with connection.cursor() as cursor, cursor.copy(copying.encode()) as copy, file.open("rb") as raw:
            while block := raw.read(_BLOCK):
                copy.write(block)
    except (OSError, UnicodeDecodeError, csv.Error, psycopg.errors.DataError) as error:
        why = error.diag.message_primary if isinstance(error, psycopg.Error) else error
        raise UsageError(
            f"the reference {file} cannot be read as CSV: {why}",
            code=Code.A052,
            hint="save it as CSV with commas and in UTF-8",
        ) from error
    return labels


def _numbered(rows: str, places: Sequence[int]) -> str:
    """Rows with their key; those of one key are numbered, so that each meets one other at most."""
    key = ", ".join(f"v[{at}]" for at in places)
    keyed = f"SELECT v, ARRAY[{key}]::text[] AS k FROM ({rows}) AS s"
    return f"(SELECT v, k, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM ({keyed}) AS s)"


def _counted(
    connection: psycopg.Connection[Any],
    table: str,
    labels: Sequence[str],
    places: Sequence[int],
    *,
    rows: int,
) -> Compared:
    differs = [
        f"count(*) FILTER (WHERE found[{at}] IS DISTINCT FROM reference[{at}] "
        "AND found IS NOT NULL AND reference IS NOT NULL)"
        for at in range(1, len(labels) + 1)
    ]
    sides = [f"count(*) FILTER (WHERE {side} IS NULL)" for side in ("found", "reference")]
    query = f"SELECT {', '.join(sides + differs)} FROM {_DEVIATIONS}"
    counts = connection.execute(query.encode()).fetchone()
    assert counts is not None
    missing, extra, *columns = counts
    first = f"SELECT found, reference FROM {_DEVIATIONS} ORDER BY k LIMIT {MOST_DEVIATIONS}"
    each = [
        deviation
        for now, then in connection.execute(first.encode())
        for deviation in _deviations(table, labels, places, now, then)
    ]
    by_column = {label: count for label, count in zip(labels, columns, strict=True) if count}
    return Compared(table, rows, missing, extra, by_column, tuple(each[:MOST_DEVIATIONS]))


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def _deviations(
    table: str,
    labels: Sequence[str],
    places: Sequence[int],
    now: list[str | None] | None,
    then: list[str | None] | None,
) -> Iterator[Deviation]:
    values = now or then or []
    key = ", ".join(f"{labels[at - 1]}={values[at - 1]}" for at in places)
    if now is None or then is None:
        yield Deviation(table, key, None, None if then is None else key, None if now is None else key)
        return
    for label, here, there in zip(labels, now, then, strict=True):
        if here != there:
            yield Deviation(table, key, label, there, here)
