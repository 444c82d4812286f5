"""The rows of all tables as they were, kept beside them in a copy of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from converge.model.image import Column, Image
from converge.model.quote import pg_name
from converge.postgres.digest import number
from converge.resources import sql

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
