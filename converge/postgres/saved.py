"""Rows that were in the target's own tables before a load: set aside, and restored. SQL as text.

All of it is for the time when foreign keys, and the tables' own triggers, are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg

from converge.model.existing import OwnIndex, OwnTable
from converge.model.plan import Plan
from converge.model.quote import fit, pg_name
from converge.postgres.query import exists, value


def saved_table(schema: str, table: str) -> str:
    """Quoted name of the table that has the rows while a load has their place."""
    return _of_converge("saved", schema, table)


def kept_table(schema: str, table: str) -> str:
    """Quoted name of the table that has the keys of merged rows: the comparison leaves these rows out."""
    return _of_converge("kept", schema, table)


def _of_converge(kind: str, *names: str) -> str:
    # A part is quoted where another one could be read as the same.
    parts = (pg_name(name) if "." in name or '"' in name else name for name in names)
    return pg_name("converge", fit(f"{kind} {'.'.join(parts)}"))


def save(schema: str, table: OwnTable) -> str:
    """Puts all rows aside and leaves the table empty: several statements for one transaction."""
    return (
        f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE;\n"
        f"CREATE TABLE {saved_table(schema, table.name)} AS TABLE {table.quoted};\n"
        f"TRUNCATE {table.quoted}"
    )


def put_back(schema: str, table: OwnTable) -> str:
    """Puts the saved rows back into the table that has been emptied."""
    return f"{_insert(table)} FROM {saved_table(schema, table.name)}"


def merge(schema: str, table: OwnTable) -> str:
    """Puts those saved rows back that no row of the table equals by a unique key, and notes their keys.

    Several statements for one transaction. The table has a primary key, and its unique keys are back.
    """
    saved, kept = saved_table(schema, table.name), kept_table(schema, table.name)
    key, _ = _listed(table.key)
    others = "".join(
        f" AND NOT {_taken(table, saved, index)}"
        for index in table.indexes
        if index.unique and all(index.columns)
    )
    # Keys over expressions and exclusion constraints, of which only the server knows what is equal. It knows
    # that of no deferrable one here.
    rest = "" if table.deferrable else " ON CONFLICT DO NOTHING"
    return (
        f"DROP TABLE IF EXISTS {kept};\n"
        f"CREATE TABLE {kept} AS SELECT {key} FROM {saved} WHERE false;\n"
        f"WITH back AS ({_insert(table)} FROM {saved} WHERE true{others}{rest} RETURNING {key}) "
        f"INSERT INTO {kept} SELECT {key} FROM back"
    )


def is_whole(index: OwnIndex) -> bool:
    """Whether the index is a unique key of plain columns, over all rows."""
    return index.unique and index.valid and all(index.columns) and not index.predicate


def _taken(table: OwnTable, saved: str, index: OwnIndex) -> str:
    """The condition of a saved row whose unique key a row of the table has."""
    key, texts = _listed(index.columns)
    filled = " AND ".join(f"{pg_name(column)} IS NOT NULL" for column in index.columns)
    # INTERSECT takes each type's own equality, which the name of an operator does not say: citext, for one,
    # has its = in a schema of its own. What it gives are keys exactly as they were saved.
    only = f"({index.predicate or 'true'})"
    both = (
        f"SELECT {key} FROM {saved} WHERE {filled} AND {only} "
        f"INTERSECT SELECT {key} FROM {table.quoted} WHERE {only}"
    )
    return f"coalesce({only} AND ({texts}) IN (SELECT {texts} FROM ({both}) AS taken), false)"


def _listed(columns: Sequence[str]) -> tuple[str, str]:
    """The columns, and their texts, as lists of SQL."""
    names = [pg_name(column) for column in columns]
    return ", ".join(names), ", ".join(f"{name}::text" for name in names)


def has_kept(connection: psycopg.Connection[Any], schema: str, table: str) -> bool:
    """Whether there are rows that a merge has kept."""
    kept = kept_table(schema, table)
    return exists(connection, kept) and bool(value(connection, f"SELECT EXISTS (SELECT FROM {kept})"))


def without_idle_merges(connection: psycopg.Connection[Any], plan: Plan) -> Plan:
    """The plan as what has come of it: a merge that has kept no row of the target has the source's alone, as
    a table has whose own rows were replaced."""
    tables = (
        replace(one, rows="")
        if one.rows == "source" or (one.rows == "merge" and not has_kept(connection, plan.schema, one.target))
        else one
        for one in plan.tables
    )
    return replace(plan, tables=tuple(tables))


def _insert(table: OwnTable) -> str:
    """INSERT and SELECT of every column that the table does not compute."""
    columns = ", ".join(pg_name(column.name) for column in table.columns if not column.generated)
    listed = f" ({columns})" if columns else ""
    return f"INSERT INTO {table.quoted}{listed} OVERRIDING SYSTEM VALUE SELECT {columns}"
