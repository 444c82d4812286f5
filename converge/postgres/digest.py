"""The digest query of the target: the same sum as `mysql.digest`, from the stored values.

Ranges of physical pages split a table of any key without an index (TID range scans, PostgreSQL 14).
They need not agree with the source's ranges: only the sums of whole tables are compared. As an example, of
`id integer NOT NULL, name text`:

    md5(concat_ws('|',(id)::text,coalesce(octet_length((name)::text)||';'||(name)::text,'~')))
    (7, 'a|b') has the text 7|3;a|b, and ('x'||md5)::bit(60)::bigint is its digest
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.model.quote import pg_name, pg_text
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.postgres.saved import kept_table

_OTHER_TYPES = (
    psycopg.errors.UndefinedFunction, psycopg.errors.CannotCoerce, psycopg.errors.DatatypeMismatch,
    psycopg.errors.UndefinedColumn,
)  # fmt: skip
_PAGES = 4096
_ARGUMENTS = 90
"""A function takes 100 arguments (PostgreSQL manual, "PostgreSQL Limits"); a table may have more columns."""


def row_digest(table: TablePlan) -> str:
    """PostgreSQL expression of a row's MD5 in hex."""
    return _md5(table.columns)


def key_digest(table: TablePlan) -> str:
    """PostgreSQL expression of a key's MD5 in hex; of the whole row where the table has no key."""
    return _md5(table.identifying)


def _md5(columns: Sequence[ColumnPlan]) -> str:
    return f"md5({joined([field_text(column) for column in told(columns)])})"


def told(columns: Sequence[ColumnPlan]) -> Sequence[ColumnPlan]:
    """The columns of a row, so that their text tells a NULL that only the target can have: among others there
    is one field less, and beside an empty text of a single one there is none."""
    return [replace(columns[0], nullable=True)] if len(columns) == 1 else columns


def joined(fields: Sequence[str]) -> str:
    """PostgreSQL expression of these texts with `|` between them, without those that are NULL."""
    if len(fields) > _ARGUMENTS:
        groups = (fields[start : start + _ARGUMENTS] for start in range(0, len(fields), _ARGUMENTS))
        fields = [f"concat_ws('|',{','.join(group)})" for group in groups]
    return f"concat_ws('|',{','.join(fields)})"


def field_text(column: ColumnPlan) -> str:
    """PostgreSQL expression of one column's part of the canonical row text."""
    text = column.target_text
    if column.delimited:
        text = f"octet_length(({text})::text)||';'||({text})::text"
    # concat_ws leaves out a NULL where the source can have none: one field less is a difference too.
    return f"coalesce(({text})::text,'~')" if column.nullable else text


def number(digest: str) -> str:
    """PostgreSQL expression of the first 60 bits of a hex digest."""
    # The cast cuts the rest off.
    return f"('x'||{digest})::bit(60)::bigint"


def rows_of(schema: str, table: TablePlan) -> str:
    """What FROM has: the table, without the rows that a merge has kept of the target."""
    name = pg_name(schema, table.target)
    if table.rows != "merge":
        return name
    names = [pg_name(column.target) for column in table.keys]
    same = " AND ".join(f"kept.{name}::text=own.{name}::text" for name in names)
    kept = f"SELECT FROM {kept_table(schema, table.target)} AS kept WHERE {same}"
    return f"(SELECT ctid,xmin,* FROM {name} AS own WHERE NOT EXISTS ({kept})) AS own"


def digest_query(schema: str, table: TablePlan, condition: str, since: str | None = None) -> str:
    """SELECT rows, sum over the rows of a WHERE clause; the sum of those alone that were written `since` a
    transaction.

    A row whose xmin is too old to be compared counts among these: no row that is written since is missing.
    """
    new = f" FILTER (WHERE age(xmin)<=(SELECT age({pg_text(since)}::xid)))" if since else ""
    return f"SELECT count(*),sum({number(row_digest(table))}){new} FROM {rows_of(schema, table)}{condition}"


@dataclass(frozen=True, slots=True)
class Moment:
    """What tells which rows were in the target's tables already, and have the values that they had."""

    xid: str
    """The oldest transaction that had not ended: what no query saw yet has its number, or a later one."""
    shapes: Mapping[str, str]
    """Of each table, by its name: a digest of its file and columns, and of those of its partitions. Others
    may give old rows other values, as a renamed column does."""

    @classmethod
    def now(cls, connection: psycopg.Connection[Any], schema: str, names: Sequence[str]) -> Moment:
        """Asks for these tables."""
        ((xid,),) = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text")
        quoted = [pg_name(schema, name) for name in names]
        shapes: list[tuple[str, str]] = connection.execute(_SHAPES, (quoted, list(names))).fetchall()
        return cls(str(xid), dict(shapes))


# Labels of an enum are stored as numbers. A partition comes and goes without a trace in any row. What is
# changed, and changed back, has another xmin in the catalog.
_SHAPES = """
WITH RECURSIVE parts (name, oid) AS (
    SELECT name, to_regclass(quoted)::oid FROM unnest(%s::text[], %s::text[]) AS t (quoted, name)
    UNION SELECT name, inhrelid FROM parts JOIN pg_inherits ON inhparent = parts.oid
)
SELECT name, md5(string_agg(concat_ws(' ', c.oid, c.xmin, pg_relation_filenode(c.oid),
           (SELECT string_agg(attnum || ' ' || xmin, ' ' ORDER BY attnum)
              FROM pg_attribute WHERE attrelid = c.oid),
           (SELECT string_agg(oid || ' ' || xmin, ' ' ORDER BY oid) FROM pg_policy WHERE polrelid = c.oid),
           (SELECT string_agg(e.oid || ' ' || e.xmin, ' ' ORDER BY e.oid)
              FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
              JOIN pg_enum e ON enumtypid IN (t.oid, typbasetype, typelem)
             WHERE attrelid = c.oid)), ' ' ORDER BY c.oid))
  FROM parts LEFT JOIN pg_class c USING (oid) GROUP BY name
"""


def no_digest(connection: psycopg.Connection[Any], schema: str, table: TablePlan) -> str:
    """Why the target's columns give no digest, in the server's words; empty where they do."""
    try:
        connection.execute(f"EXPLAIN {digest_query(schema, table, '')}".encode())
    except _OTHER_TYPES as error:
        return str(error).splitlines()[0]
    return ""


def written_query(schema: str, table: TablePlan) -> str:
    """SELECT transaction, rows, sum: by the transaction that wrote the rows."""
    return (
        f"SELECT xmin::text,count(*),sum({number(row_digest(table))}) "
        f"FROM {pg_name(schema, table.target)} GROUP BY 1"
    )


def pages_of(connection: psycopg.Connection[Any], schema: str, tables: Sequence[TablePlan]) -> list[int]:
    """The pages that each of these tables has now."""
    query = (
        "SELECT pg_relation_size(name::regclass) / current_setting('block_size')::int "
        "FROM unnest(%s::text[]) WITH ORDINALITY n(name, place) ORDER BY place"
    )
    names = [pg_name(schema, table.target) for table in tables]
    return [int(pages) for (pages,) in connection.execute(query, (names,))]


def page_ranges(pages: int, at_once: int = _PAGES) -> Iterator[str]:
    """WHERE clauses that split a table of so many pages; the last has no upper bound."""
    low = 0
    while low + at_once < pages:
        yield f" WHERE ctid >= '({low},0)' AND ctid < '({low + at_once},0)'"
        low += at_once
    yield f" WHERE ctid >= '({low},0)'" if low else ""
