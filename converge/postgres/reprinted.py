"""Which indexes the server would print in other words once they are made again by its own definition.

``status IN ('a', 'b')`` of a varchar is printed with casts that it reads as others: an index like this has to
stay during a load, so that the catalog is afterwards what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg

from converge.model.existing import Existing, OwnIndex, OwnTable
from converge.model.quote import pg_name
from converge.postgres.trial import may_try

_EXPRESSIONS = (
    "SELECT pg_get_expr(indpred, indrelid), pg_get_expr(indexprs, indrelid) FROM pg_index "
    "WHERE indexrelid = %s::regclass"
)


def keep_reprinted(connection: psycopg.Connection[Any], schema: str, existing: Existing) -> Existing:
    """The same tables, whose indexes are only taken away where they come back in the same words.

    Each is made on an empty temporary table, and rolled back. Where that may not be, it stays.
    """
    tables = [table for table in existing.tables if any(_has_words(index) for index in table.indexes)]
    if not tables:
        return existing
    kept: set[tuple[str, str]] = set()
    with connection.transaction(force_rollback=True):
        possible = may_try(connection)
        connection.execute("SET LOCAL search_path = pg_catalog")
        for number, table in enumerate(tables):
            probe = pg_name("pg_temp", f"converge probe {number}")
            kept.update((table.name, name) for name in _others(connection, schema, table, probe, possible))
    return replace(existing, tables=tuple(_table(table, kept) for table in existing.tables))


def _has_words(index: OwnIndex) -> bool:
    return bool(index.remove and (index.predicate or not all(index.columns)))


def _others(
    connection: psycopg.Connection[Any], schema: str, table: OwnTable, probe: str, possible: bool
) -> Iterator[str]:
    """The names of those that come back in other words, as far as can be seen."""
    indexes = [index for index in table.indexes if _has_words(index)]
    if possible and not table.obstacle:
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(f"CREATE TEMPORARY TABLE {probe} (LIKE {table.quoted})".encode())
    for index in indexes:
        # Without the table it does not come back either.
        if not _comes_back(connection, schema, table, index, probe):
            yield index.name


def _comes_back(
    connection: psycopg.Connection[Any], schema: str, table: OwnTable, index: OwnIndex, probe: str
) -> bool:
    row = connection.execute(
        "SELECT format(' ON %%I.%%I USING ', %s::text, %s::text)", (schema, table.name)
    ).fetchone()
    assert row is not None
    try:
        with connection.transaction():
            connection.execute(index.restore[0].replace(row[0], f" ON {probe} USING ", 1).encode())
            before, after = (
                connection.execute(_EXPRESSIONS, (pg_name(place, index.name),)).fetchone()
                for place in (schema, "pg_temp")
            )
    except psycopg.Error:
        return False
    return before == after


def _table(table: OwnTable, kept: set[tuple[str, str]]) -> OwnTable:
    indexes = tuple(
        replace(index, remove="") if (table.name, index.name) in kept else index for index in table.indexes
    )
    return replace(table, indexes=indexes)
