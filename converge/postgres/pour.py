"""Copies a schema's rows from one database to another, as one session sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from converge.model.image import Image
from converge.model.quote import pg_name
from converge.resources import sql


def pour(source: psycopg.Connection[Any], target: psycopg.Connection[Any], images: Iterable[Image]) -> None:
    """Streams every table's rows into the table of the same name, which has no trigger yet."""
    for image in images:
        stored = source.execute(sql("converge.postgres", "stored_columns").encode(), [image.oid])
        table, columns = pg_name(image.schema, image.name), ", ".join(pg_name(name) for (name,) in stored)
        out = f"COPY (SELECT {columns} FROM ONLY {table}) TO STDOUT (FORMAT binary)"
        into = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
        # An empty list of columns would mean all, and a row of none cannot be told to COPY.
        if columns:
            with (
                source.cursor().copy(out.encode()) as reader,
                target.cursor().copy(into.encode()) as writer,
            ):
                for block in reader:
                    writer.write(block)


def set_sequences(source: psycopg.Connection[Any], target: psycopg.Connection[Any], schema: str) -> None:
    """Gives every sequence the position that it has in the source."""
    names = source.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = %s", [schema])
    for (name,) in names.fetchall():
        sequence = pg_name(schema, name)
        row = source.execute(f"SELECT last_value, is_called FROM {sequence}".encode()).fetchone()
        assert row is not None
        target.execute("SELECT setval(%s::regclass, %s, %s)", [sequence, *row])
