"""Rows that were in the target's own tables before a load: put aside, and put back. SQL as text.

All of it is for the time when foreign keys, and the tables' own triggers, are away.
"""

from __future__ import annotations

from converge.model.existing import OwnTable, kept_name, saved_name
from converge.model.quote import pg_name


def saved_table(schema: str, table: OwnTable) -> str:
    """Quoted name of the table that has the rows."""
    return pg_name("converge", saved_name(schema, table.name))


def kept_table(schema: str, table: str) -> str:
    """Quoted name of the table that has the keys of merged rows: the comparison leaves these rows out."""
    return pg_name("converge", kept_name(schema, table))


def save(schema: str, table: OwnTable) -> str:
    """Puts all rows aside and leaves the table empty: several statements for one transaction."""
    return (
        f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE;\n"
        f"CREATE TABLE {saved_table(schema, table)} AS TABLE {table.quoted};\n"
        f"TRUNCATE {table.quoted}"
    )


def put_back(schema: str, table: OwnTable) -> str:
    """Puts the saved rows back into the table that has been emptied."""
    return f"{_insert(table)} FROM {saved_table(schema, table)}"


def merge(schema: str, table: OwnTable) -> str:
    """Puts those saved rows back whose primary key the table does not have, and notes these keys: several
    statements for one transaction. The table has a primary key.
    """
    key = ", ".join(pg_name(column) for column in table.key)
    texts = ", ".join(f"{pg_name(column)}::text" for column in table.key)
    saved, kept = saved_table(schema, table), kept_table(schema, table.name)
    # EXCEPT takes each type's own equality, which the name of an operator does not say: citext, for one,
    # has its = in a schema of its own. What it leaves are keys exactly as they were saved.
    return (
        f"{drop_kept(schema, table)};\n"
        f"CREATE TABLE {kept} AS SELECT {key} FROM {saved} EXCEPT SELECT {key} FROM {table.quoted};\n"
        f"{_insert(table)} FROM {saved} WHERE ({texts}) IN (SELECT {texts} FROM {kept})"
    )


def drop_saved(schema: str, table: OwnTable) -> str:
    """Removes the saved rows, when they are where they belong."""
    return f"DROP TABLE IF EXISTS {saved_table(schema, table)}"


def drop_kept(schema: str, table: OwnTable) -> str:
    """Forgets which rows a merge has kept."""
    return f"DROP TABLE IF EXISTS {kept_table(schema, table.name)}"


def _insert(table: OwnTable) -> str:
    """INSERT and SELECT of every column that the table does not compute."""
    columns = ", ".join(pg_name(column.name) for column in table.columns if not column.generated)
    listed = f" ({columns})" if columns else ""
    return f"INSERT INTO {table.quoted}{listed} OVERRIDING SYSTEM VALUE SELECT {columns}"
