"""Reads the tables that the application's own migrations have made, and what a load sets aside of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg

from converge.model.existing import (
    ROWS_LIMIT,
    Existing,
    OwnCheck,
    OwnColumn,
    OwnForeignKey,
    OwnIndex,
    OwnTable,
    OwnTrigger,
)
from converge.model.quote import pg_name, pg_text
from converge.model.recorded import READER
from converge.postgres.catalog import Row, one_instant, read_rows, shape_of
from converge.postgres.query import rows as query_rows
from converge.postgres.query import value
from converge.postgres.trial import may_try

_EXPRESSIONS = (
    "SELECT pg_get_expr(indpred, indrelid), pg_get_expr(indexprs, indrelid) FROM pg_index "
    "WHERE indexrelid = %s::regclass"
)


def read_existing(connection: psycopg.Connection[Any], schema: str) -> Existing:
    """The schema's tables, in one snapshot; writes nothing."""
    with one_instant(connection):
        rows = read_rows(connection, schema, load=True)
        parts: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for kind in ("column", "index", "constraint", "trigger"):
            for row in rows[kind]:
                parts[kind, row.facts["of"]].append(row)
        tables = tuple(
            _table(connection, row, parts) for row in rows["table"] if not row.load["of an extension"]
        )
        return Existing(
            tables,
            tuple(_foreign_keys(rows["constraint"])),
            dict(_sequences(connection, tables, rows["sequence"])),
            tuple(sorted(row.facts["name"] for row in rows["view"])),
            shape_of(rows),
            tuple(
                (name, tuple(read))
                for name, read in query_rows(connection, "materialized_views", schema=schema)
            ),
            READER,
            _sequence_grants(connection, tables),
        )


def _table(
    connection: psycopg.Connection[Any], row: Row, parts: Mapping[tuple[str, str], list[Row]]
) -> OwnTable:
    name, owned, obstacle = _quoted(row.facts), row.load["owned"], row.load["obstacle"]
    few = f"SELECT count(*) FROM (SELECT FROM {name} LIMIT {ROWS_LIMIT}) AS few"
    indexes = sorted(parts["index", row.name], key=lambda index: not index.load["primary"])
    checks = (one for one in parts["constraint", row.name] if one.facts["form"] in "cx")
    return OwnTable(
        name=row.facts["name"],
        quoted=name,
        columns=tuple(_column(column) for column in parts["column", row.name]),
        indexes=tuple(_index(index) for index in indexes),
        triggers=tuple(
            OwnTrigger(one.facts["name"], one.facts.get("enabled", "ENABLE"), one.load["before update"])
            for one in parts["trigger", row.name]
        ),
        owned=owned,
        owner=row.setup["owner"],
        rows=0 if obstacle or not owned else value(connection, few),
        obstacle=obstacle,
        conditions=tuple(
            OwnCheck(one.facts["name"], one.facts["definition"], tuple(one.load["columns"]))
            for one in sorted(checks, key=lambda one: one.facts["name"])
        ),
    )


def _quoted(facts: Mapping[str, Any]) -> str:
    return pg_name(facts["schema"], facts["name"])


def _column(row: Row) -> OwnColumn:
    return OwnColumn(
        name=row.facts["name"],
        type=row.facts["type"],
        generated=row.facts.get("generated", ""),
        identity="identity" in row.facts,
        **row.load | {"labels": tuple(row.load["labels"])},
    )


def _index(row: Row) -> OwnIndex:
    facts, load = row.facts, row.load
    own, table = _quoted(facts), facts["of"].partition(" ")[2]
    if load["constraint"] is None:
        remove, restore = f"DROP INDEX IF EXISTS {own}", [facts["definition"]]
    else:
        quoted = pg_name(load["constraint"])
        remove = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {quoted}"
        restore = [f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {load['constraint definition']}"]
        if comment := load["constraint comment"]:
            restore.append(f"COMMENT ON CONSTRAINT {quoted} ON {table} IS {pg_text(comment)}")
    if "comment" in facts:
        restore.append(f"COMMENT ON INDEX {own} IS {pg_text(facts['comment'])}")
    return OwnIndex(
        facts["name"], tuple(load["columns"]), load["unique"], load["primary"], load["distinct"],
        load["predicate"], load["method"], remove if load["movable"] else "", tuple(restore), load["valid"],
        tuple(load["keys"]),
    )  # fmt: skip


def _foreign_keys(rows: list[Row]) -> Iterator[OwnForeignKey]:
    keys = (row for row in rows if row.facts["form"] == "f" and not row.load["of a partition"])
    for row in sorted(keys, key=lambda row: [row.facts[name] for name in ("schema", "table", "name")]):
        facts, load = row.facts, row.load
        definition = facts["definition"].removesuffix(" NOT VALID")
        yield OwnForeignKey(
            facts["name"], pg_name(facts["schema"], facts["table"]), tuple(load["columns"]),
            pg_name(*load["parent"]), tuple(load["parent columns"]), definition,
            definition == facts["definition"], facts.get("comment", ""), load["partitioned"],
            "not enforced by" in row.facts, load["on delete"], load["on update"], load["grants"], row.name,
        )  # fmt: skip


def _sequences(
    connection: psycopg.Connection[Any], tables: tuple[OwnTable, ...], free: list[Row]
) -> Iterator[tuple[str, tuple[int, bool]]]:
    """Of columns, and those that belong to none, as far as the role may read them."""
    names = [column.sequence for table in tables for column in table.columns if column.sequence]
    names += [_quoted(row.facts) for row in free if "of" not in row.facts]
    readable = "SELECT n FROM unnest(%s::text[]) n WHERE has_sequence_privilege(to_regclass(n), 'SELECT')"
    for (name,) in connection.execute(readable, (list(dict.fromkeys(names)),)).fetchall():
        ((last, called),) = connection.execute(f"SELECT last_value, is_called FROM {name}".encode())
        yield name, (last, called)


def _sequence_grants(connection: psycopg.Connection[Any], tables: tuple[OwnTable, ...]) -> dict[str, str]:
    names = {column.sequence for table in tables for column in table.columns if column.sequence}
    query = (
        "SELECT n, format('GRANT SELECT, UPDATE ON SEQUENCE %%s TO %%I;', n, current_user) "
        "FROM unnest(%s::text[]) n, to_regclass(n) s "
        "WHERE NOT (has_sequence_privilege(s, 'SELECT') AND has_sequence_privilege(s, 'UPDATE'))"
    )
    return dict(connection.execute(query, (sorted(names),)).fetchall())


def keep_reprinted(connection: psycopg.Connection[Any], schema: str, existing: Existing) -> Existing:
    """The same tables, whose indexes are only dropped where they come back in the same words.

    ``status IN ('a', 'b')`` of a varchar is printed with casts that the server reads as others: such an index
    stays during a load, so that the catalog is afterwards what it was. Each is made on an empty temporary
    table, and rolled back. Where that may not be, it stays.
    """
    tables = []
    with connection.transaction(force_rollback=True):
        possible = may_try(connection)
        connection.execute("SET LOCAL search_path = pg_catalog")
        for number, table in enumerate(existing.tables):
            worded = [one for one in table.indexes if one.remove and (one.predicate or not all(one.columns))]
            probe = pg_name("pg_temp", f"converge probe {number}")
            if worded and possible and not table.obstacle:
                with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(f"CREATE TEMPORARY TABLE {probe} (LIKE {table.quoted})".encode())
            # Without the table none comes back either.
            stay = [one for one in worded if not _comes_back(connection, schema, table, one, probe)]
            indexes = (replace(one, remove="") if one in stay else one for one in table.indexes)
            tables.append(replace(table, indexes=tuple(indexes)))
    return replace(existing, tables=tuple(tables))


def _comes_back(
    connection: psycopg.Connection[Any], schema: str, table: OwnTable, index: OwnIndex, probe: str
) -> bool:
    there = value(connection, "SELECT format(' ON %%I.%%I USING ', %s::text, %s::text)", (schema, table.name))
    try:
        with connection.transaction():
            connection.execute(index.restore[0].replace(there, f" ON {probe} USING ", 1).encode())
            before, after = (
                connection.execute(_EXPRESSIONS, (pg_name(place, index.name),)).fetchone()
                for place in (schema, "pg_temp")
            )
    except psycopg.Error:
        return False
    return before == after
