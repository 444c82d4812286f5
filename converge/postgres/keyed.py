"""Rows of both sides by the digests of their keys, compared in temporary tables, whatever their size.

The digests are those of `mysql.digest`. A table of digests has a row's own as d0, that of its key as d1, and
those of further keys from d2 on; of the target's rows also whether they stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.model.existing import OwnForeignKey
from converge.model.quote import pg_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.postgres.digest import field_text, key_digest, row_digest
from converge.postgres.query import copy_rows, value

Keys = Sequence[Sequence[ColumnPlan]]
"""Keys of one table, each by its columns."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """The temporary tables of one table's rows."""

    number: int

    @property
    def ours(self) -> str:
        """The source's rows."""
        return f"pg_temp.converge_ours_{self.number}"

    @property
    def theirs(self) -> str:
        """The target's."""
        return f"pg_temp.converge_theirs_{self.number}"


def load_ours(
    connection: psycopg.Connection[Any], keyed: Keyed, keys: Keys, rows: Iterable[Sequence[str | None]]
) -> int:
    """Keeps the digests of the source's rows; returns how many there are."""
    names = ",".join(f'd{place} text COLLATE "C"' for place in range(len(keys) + 2))
    connection.execute(f"CREATE TABLE {keyed.ours} ({names})".encode())
    count = copy_rows(connection, keyed.ours, rows)
    connection.execute(f"ANALYZE {keyed.ours}".encode())
    return count


def load_theirs(
    connection: psycopg.Connection[Any],
    keyed: Keyed,
    schema: str,
    table: TablePlan,
    keys: Keys,
    unique: Sequence[int],
) -> None:
    """Keeps the digests of the target's rows.

    In a merge those stay that no row of the source equals by one of the `unique` digests.
    """
    digests = [_bytewise(row_digest(table)), _bytewise(key_digest(table)), *map(_digest, keys)]
    listed = ",".join(f"{digest} AS d{place}" for place, digest in enumerate(digests))
    equal = (f"NOT EXISTS (SELECT FROM {keyed.ours} AS o WHERE o.d{place}=t.d{place})" for place in unique)
    stays = " AND ".join(equal) if table.rows == "merge" else "false"
    connection.execute(
        f"CREATE TABLE {keyed.theirs} AS SELECT t.*,{stays} AS stays "
        f"FROM (SELECT {listed} FROM {pg_name(schema, table.target)} AS p) AS t".encode()
    )
    connection.execute(f"ANALYZE {keyed.theirs}".encode())


def compared(connection: psycopg.Connection[Any], keyed: Keyed) -> tuple[int, ...]:
    """How many rows are equal, differ, are only in the source, only in the target, and go of the latter."""
    # Rows without a key may be there several times: the second of one side is the second of the other.
    number = "row_number() OVER (PARTITION BY d0, d1) AS n"
    query = f"""
        SELECT count(*) FILTER (WHERE o.d0=t.d0),
               count(*) FILTER (WHERE o.d1=t.d1 AND o.d0 IS DISTINCT FROM t.d0),
               count(*) FILTER (WHERE t.stays IS NULL), count(*) FILTER (WHERE o.d1 IS NULL),
               count(*) FILTER (WHERE o.d1 IS NULL AND NOT t.stays)
          FROM (SELECT d0, d1, {number} FROM {keyed.ours}) AS o
          FULL JOIN (SELECT d0, d1, stays, {number} FROM {keyed.theirs}) AS t ON o.d1=t.d1 AND o.n=t.n
        """
    return tuple(connection.execute(query.encode()).fetchall()[0])


def left_alone(
    connection: psycopg.Connection[Any],
    key: OwnForeignKey,
    parent: tuple[TablePlan, Keyed, int],
    child: tuple[TablePlan, Keyed] | None,
) -> int:
    """Rows that stay and refer by this foreign key to rows that go.

    `parent` has the place of the digest that the key refers to; `child` is None for a table whose rows all
    stay.
    """
    plan, keyed, place = parent
    referred = [column for name in key.parent_columns for column in plan.columns if column.target == name]
    pairs = zip(key.columns, key.parent_columns, strict=True)
    on = " AND ".join(f"c.{pg_name(column)}=p.{pg_name(other)}" for column, other in pairs)
    own = _bytewise(key_digest(child[0])) if child else "NULL"
    made = f'{_bytewise(key_digest(plan))} AS "its key",{_digest(referred)} AS "its value"'
    staying = f' AND c."its key" IN (SELECT d1 FROM {child[1].theirs} WHERE stays)' if child else ""
    query = (
        f'SELECT count(*) FROM (SELECT *,{own} AS "its key" FROM {key.table}) c '
        f"JOIN (SELECT *,{made} FROM {key.parent}) p ON {on} "
        f'WHERE NOT EXISTS (SELECT FROM {keyed.theirs} AS t WHERE t.stays AND t.d1=p."its key") '
        f'AND NOT EXISTS (SELECT FROM {keyed.ours} AS o WHERE o.d{place}=p."its value"){staying}'
    )
    return int(value(connection, query))


def _digest(key: Sequence[ColumnPlan]) -> str:
    texts = ",".join(map(field_text, key))
    filled = " AND ".join(f"{pg_name(column.target)} IS NOT NULL" for column in key)
    return _bytewise(f"CASE WHEN {filled} THEN md5(concat_ws('|',{texts})) END")


def _bytewise(digest: str) -> str:
    """Without the collation of the key's own texts, by which PostgreSQL may not be able to compare."""
    return f'({digest}) COLLATE "C"'


def without_parent(
    connection: psycopg.Connection[Any],
    key: OwnForeignKey,
    types: Sequence[str],
    values: Sequence[tuple[str, ...]],
) -> list[int]:
    """The places of those values, given as texts of these types, for which the foreign key has no parent."""
    arrays = ",".join(["%s::text[]"] * len(types))
    names = ",".join(f"v{number}" for number in range(len(types)))
    equal = " AND ".join(
        f"p.{pg_name(column)} = v.v{number}::{type_}".replace("%", "%%")
        for number, (column, type_) in enumerate(zip(key.parent_columns, types, strict=True))
    )
    query = (
        f"SELECT v.n FROM unnest({arrays}) WITH ORDINALITY AS v({names},n) "
        f"WHERE NOT EXISTS (SELECT FROM {key.parent.replace('%', '%%')} AS p WHERE {equal})"
    )
    columns = [list(texts) for texts in zip(*values, strict=True)]
    return [int(place) - 1 for (place,) in connection.execute(query.encode(), columns)]
