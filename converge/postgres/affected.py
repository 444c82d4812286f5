"""What revisions do to a copy: each table's rows are kept beside it, and the rows that differ are read.

As CSV, values are the texts that PostgreSQL prints; NULL is an empty field without quotes, the empty text has
quotes (PostgreSQL manual, "COPY", "CSV Format").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import psycopg

from converge.model.image import Column, Image, Pair
from converge.model.quote import pg_name
from converge.model.validation import Affected
from converge.postgres.digest import number
from converge.resources import sql

CHANGE = "(change)"


def found(pair: Pair) -> str:
    """The table that holds the pair's affected rows, quoted.

    Its columns: ``change`` (changed, added, removed), ``nr`` (their order), ``v`` (texts of the values,
    in the order of the pair's columns), ``p`` (the same before).
    """
    return pg_name(SCHEMA, f"affected {pair.image.oid}")


def find(connection: psycopg.Connection[Any], pair: Pair) -> Affected | None:
    """Puts the affected rows into their table and counts them; None when there are none."""
    paired = pair.key and pair.before and pair.after
    rows = _by_key(pair) if paired else _by_values(pair)
    connection.execute(f"CREATE UNLOGGED TABLE {found(pair)} AS {rows}".encode())
    differs = [
        f"count(*) FILTER (WHERE change = 'changed' AND v[{at}] IS DISTINCT FROM p[{at}])"
        for at in range(1, len(pair.columns) + 1)
    ]
    kinds = [f"count(*) FILTER (WHERE change = '{kind}')" for kind in ("changed", "added", "removed")]
    counts = connection.execute(f"SELECT {', '.join(kinds + differs)} FROM {found(pair)}".encode()).fetchone()
    assert counts is not None
    changed, added, removed, *columns = counts
    if not changed + added + removed:
        return None
    return Affected(
        table=str(pair.image),
        was=str(pair.before or ""),
        key=tuple(pair.columns[at].label for at in pair.key),
        changed=changed,
        added=added,
        removed=removed,
        columns={label: count for label, count in zip(pair.labels, columns, strict=True) if count},
    )


def _by_key(pair: Pair) -> str:
    """Rows with the same key are the same row."""
    key = ", ".join(f"v[{at + 1}]" for at in pair.key)
    sides = (f"(SELECT v, ARRAY[{key}] AS k FROM {_side(pair, after=after)} AS s)" for after in (True, False))
    order = ", ".join(
        f"k[{at}]" + ("::numeric" if pair.columns[place].is_number else "")
        for at, place in enumerate(pair.key, 1)
    )
    return (
        "SELECT CASE WHEN b.v IS NULL THEN 'added' WHEN a.v IS NULL THEN 'removed' ELSE 'changed' END "
        f"AS change, row_number() OVER (ORDER BY {order}) AS nr, coalesce(a.v, b.v) AS v, b.v AS p "
        f"FROM {' AS a FULL JOIN '.join(sides)} AS b USING (k) WHERE a.v IS DISTINCT FROM b.v"
    )


def _by_values(pair: Pair) -> str:
    """Rows that only one side has, as often as it has more of them."""
    now, was = _side(pair, after=True), _side(pair, after=False)
    rows = " UNION ALL ".join(
        f"SELECT '{kind}' AS change, v FROM (SELECT v FROM {here} h EXCEPT ALL SELECT v FROM {there} t) r"
        for kind, here, there in (("added", now, was), ("removed", was, now))
    )
    return f"SELECT change, row_number() OVER (ORDER BY v, change) AS nr, v, v AS p FROM ({rows}) AS f"


def _side(pair: Pair, *, after: bool) -> str:
    """A subquery of the values' texts as an array, which may be longer than a row, by the pair's columns."""
    image = pair.after if after else pair.before
    if image is None:
        return "(SELECT NULL::text[] AS v WHERE false)"
    places = {column: at for at, (_, column) in enumerate(sorted(image.columns.items()), 1)}
    values = []
    for both in pair.columns:
        column = both.after if after else both.before
        kept_as = f"v[{places[column]}]" if column else ""
        values.append("NULL" if column is None else f"{pg_name(column.name)}::text" if after else kept_as)
    table = pg_name(image.schema, image.name) if after else kept(image)
    return f"(SELECT ARRAY[{', '.join(values)}]::text[] AS v FROM ONLY {table})"


def fields(pair: Pair, before: Collection[str]) -> dict[str, str]:
    """The file's columns with their expressions: the kind of change, the values, and values `before`."""
    columns = {CHANGE: "change"}
    for at, label in enumerate(pair.labels, 1):
        columns[_free(label, columns)] = f"v[{at}]"
    for at, label in enumerate(pair.labels, 1):
        if label in before:
            columns[_free(f"{label} (before)", columns)] = f"CASE change WHEN 'changed' THEN p[{at}] END"
    return columns


def _free(label: str, taken: Collection[str]) -> str:
    """A column may well be called as one of ours is."""
    return _free(f"{label} *", taken) if label in taken else label


def affected_rows(connection: psycopg.Connection[Any], pair: Pair, affected: Affected) -> Iterator[bytes]:
    """The file: of columns that any row has otherwise, the values before too."""
    columns = fields(pair, affected.columns)
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(columns)
    yield head.getvalue().encode()
    query = f"COPY (SELECT {', '.join(columns.values())} FROM {found(pair)} ORDER BY nr) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(f"{query} (FORMAT csv, FORCE_QUOTE *)".encode()) as copy:
        yield from map(bytes, copy)


SCHEMA = "converge_before"
"""In the copy: what is noted there beside the tables."""

Digest = tuple[int, int]
"""Rows, and the sum of their digests: the same for the same rows in any order."""


def read_images(connection: psycopg.Connection[Any], schema: str, version_table: str) -> tuple[Image, ...]:
    """All tables but the one in which Alembic notes what it has applied."""
    query = sql("converge.postgres", "image_tables").encode()
    rows = connection.execute(query, {"schema": schema, "version_table": version_table})
    return tuple(
        Image(oid, there, name, {int(at): Column(*one) for at, one in columns.items()}, tuple(key))
        for oid, there, name, columns, key in rows
    )


def kept(image: Image) -> str:
    """Where the rows of a table are kept, quoted."""
    return pg_name(SCHEMA, str(image.oid))


def keep_rows(connection: psycopg.Connection[Any], images: Iterable[Image]) -> None:
    """Copies the rows of all tables into tables of their own: ``v``, the values' texts by their numbers.

    Texts, because a column of the user's own type would hold on to that type.
    """
    connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    for image in images:
        texts = ",".join(f"{pg_name(column.name)}::text" for _, column in sorted(image.columns.items()))
        rows = f"SELECT ARRAY[{texts}]::text[] AS v FROM ONLY {pg_name(image.schema, image.name)}"
        connection.execute(f"CREATE UNLOGGED TABLE {kept(image)} AS {rows}".encode())
        connection.execute(f"ANALYZE {kept(image)}".encode())


def digests(connection: psycopg.Connection[Any], images: Sequence[Image]) -> dict[str, Digest]:
    """Of each table's rows, by its name; the order of its columns does not matter."""
    return {str(image): _digest(connection, image) for image in images}


def _digest(connection: psycopg.Connection[Any], image: Image) -> Digest:
    texts = [f"{pg_name(name)}::text" for name in sorted(column.name for column in image.columns.values())]
    whole = f"md5(ROW({','.join(texts)})::text)"
    table = pg_name(image.schema, image.name)
    query = f"SELECT count(*), coalesce(sum({number(whole)}), 0)::text FROM ONLY {table}"
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0], int(row[1])
