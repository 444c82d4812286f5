"""Affected rows as CSV. Values are the texts that PostgreSQL prints.

NULL is an empty field without quotes, the empty text has quotes (PostgreSQL manual, "COPY", "CSV Format").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import psycopg

from converge.model.image import Pair
from converge.model.validation import Affected
from converge.postgres.affected import found

CHANGE = "(change)"


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


def all_fields(pair: Pair) -> dict[str, str]:
    """The columns that a file of this table can have."""
    return fields(pair, pair.labels)


def affected_rows(connection: psycopg.Connection[Any], pair: Pair, affected: Affected) -> Iterator[bytes]:
    """The file: of columns that any row has otherwise, the values before too."""
    columns = fields(pair, affected.columns)
    yield _line(columns)
    query = f"COPY (SELECT {', '.join(columns.values())} FROM {found(pair)} ORDER BY nr) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(f"{query} (FORMAT csv, FORCE_QUOTE *)".encode()) as copy:
        yield from map(bytes, copy)


def _line(labels: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(labels)
    return text.getvalue().encode()
