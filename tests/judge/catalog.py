"""Tables, columns and keys, as each server's own catalog tells them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .servers import Source, Target


@dataclass(frozen=True)
class Column:
    """`kind` is the server's base type name; `width` is the length of a MySQL BIT."""

    name: str
    kind: str
    width: int = 0


@dataclass
class Table:
    name: str
    columns: list[Column] = field(default_factory=list)
    key: list[str] = field(default_factory=list)


_SOURCE_COLUMNS = """
SELECT t.table_name, c.column_name, LOWER(c.data_type), COALESCE(c.numeric_precision, 0)
FROM information_schema.tables t
JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'
ORDER BY t.table_name, c.ordinal_position
"""
_SOURCE_KEYS = """
SELECT table_name, column_name FROM information_schema.statistics
WHERE table_schema = DATABASE() AND index_name = 'PRIMARY'
ORDER BY table_name, seq_in_index
"""
_TARGET_TABLES = """
SELECT c.oid, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
_TARGET_COLUMNS = """
SELECT a.attname, CASE
    WHEN b.typtype = 'e' THEN 'enum'
    WHEN b.typcategory = 'A' AND e.typtype = 'e' THEN '_enum'
    ELSE b.typname END
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_catalog.pg_type e ON e.oid = b.typelem
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


def source_tables(connection: Source) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SOURCE_COLUMNS)
        for table, column, kind, width in cursor.fetchall():
            tables.setdefault(table, Table(table)).columns.append(Column(column, kind, int(width)))
        cursor.execute(_SOURCE_KEYS)
        for table, column in cursor.fetchall():
            if table in tables and column is not None:
                tables[table].key.append(column)
    return tables


def target_tables(connection: Target, schema: str) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for oid, name in connection.execute(_TARGET_TABLES, (schema,)).fetchall():
        columns = connection.execute(_TARGET_COLUMNS, (oid,)).fetchall()
        tables[name] = Table(name, [Column(column, kind) for column, kind in columns])
    return tables
