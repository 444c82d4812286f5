"""Reads the tables that the application's own migrations have made, and what a load takes away from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg

from converge.model.existing import (
    ROWS_LIMIT,
    Existing,
    OwnColumn,
    OwnForeignKey,
    OwnIndex,
    OwnTable,
    OwnTrigger,
)
from converge.model.quote import pg_name, pg_text
from converge.postgres.catalog import one_instant, read_shape
from converge.postgres.target import query
from converge.postgres.trial import may_try

_EXPRESSIONS = (
    "SELECT pg_get_expr(indpred, indrelid), pg_get_expr(indexprs, indrelid) FROM pg_index "
    "WHERE indexrelid = %s::regclass"
)


def read_existing(connection: psycopg.Connection[Any], schema: str) -> Existing:
    """The schema's tables, in one snapshot; writes nothing."""
    with one_instant(connection):
        columns = _by_table(connection, "own_columns", schema)
        indexes = _by_table(connection, "own_indexes", schema)
        rest = _by_table(connection, "own_rest", schema)
        tables = tuple(
            OwnTable(
                name=name,
                quoted=pg_name(schema, name),
                columns=tuple(_column(row) for row in columns[oid]),
                indexes=tuple(_index(schema, row) for row in indexes[oid]),
                checks=tuple(f"{row[0]}: {row[1]}" for kind, *row in rest[oid] if kind == "check"),
                triggers=tuple(OwnTrigger(*row) for kind, *row in rest[oid] if kind == "trigger"),
                owned=owned,
                owner=owner,
                rows=0 if obstacle or not owned else _count(connection, pg_name(schema, name)),
                obstacle=obstacle,
            )
            for oid, name, owned, owner, obstacle in query(connection, "own_tables", schema)
        )
        return Existing(
            tables,
            tuple(_foreign_key(row) for row in query(connection, "own_foreign_keys", schema)),
            dict(_sequences(connection, tables)),
            tuple(name for (name,) in query(connection, "own_views", schema)),
            read_shape(connection, schema),
            tuple((name, tuple(tables)) for name, tables in query(connection, "own_materialized", schema)),
        )


def _by_table(connection: psycopg.Connection[Any], name: str, schema: str) -> defaultdict[int, list[Any]]:
    rows: defaultdict[int, list[Any]] = defaultdict(list)
    for oid, *row in query(connection, name, schema):
        rows[oid].append(row)
    return rows


def _column(row: list[Any]) -> OwnColumn:
    name, type_, base, labels, *rest = row
    return OwnColumn(name, type_, base, tuple(labels), *rest)


def _index(schema: str, row: list[Any]) -> OwnIndex:
    (name, columns, unique, primary, distinct, predicate, method, constraint, table, definition, comment,
     constraint_comment, whole) = row  # fmt: skip
    own = pg_name(schema, name)
    if constraint is None:
        remove, restore = f"DROP INDEX IF EXISTS {own}", [definition]
    else:
        quoted = pg_name(constraint)
        remove = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {quoted}"
        restore = [f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {definition}"]
        if constraint_comment:
            restore.append(f"COMMENT ON CONSTRAINT {quoted} ON {table} IS {pg_text(constraint_comment)}")
    if comment:
        restore.append(f"COMMENT ON INDEX {own} IS {pg_text(comment)}")
    return OwnIndex(
        name, tuple(columns), unique, primary, distinct, predicate, method, remove if whole else "",
        tuple(restore),
    )  # fmt: skip


def _foreign_key(row: tuple[Any, ...]) -> OwnForeignKey:
    name, schema, table, columns, parent_schema, parent, parent_columns, *rest = row
    own, other = pg_name(schema, table), pg_name(parent_schema, parent)
    return OwnForeignKey(name, own, tuple(columns), other, tuple(parent_columns), *rest)


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {ROWS_LIMIT}) AS few".encode()
    ).fetchone()
    assert row is not None
    return int(row[0])


def _sequences(
    connection: psycopg.Connection[Any], tables: tuple[OwnTable, ...]
) -> Iterator[tuple[str, tuple[int, bool]]]:
    for name in dict.fromkeys(column.sequence for table in tables for column in table.columns):
        if name:
            row = connection.execute(f"SELECT last_value, is_called FROM {name}".encode()).fetchone()
            assert row is not None
            yield name, (row[0], row[1])


def keep_reprinted(connection: psycopg.Connection[Any], schema: str, existing: Existing) -> Existing:
    """The same tables, whose indexes are only taken away where they come back in the same words.

    ``status IN ('a', 'b')`` of a varchar is printed with casts that the server reads as others: such an index
    stays during a load, so that the catalog is afterwards what it was. Each is made on an empty temporary
    table, and rolled back. Where that may not be, it stays.
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
