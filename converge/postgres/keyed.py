"""The rows of a small table by the digests of their keys: the same as `mysql.keyed`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.model.existing import OwnForeignKey
from converge.model.plan import ColumnPlan, TablePlan
from converge.model.quote import pg_name
from converge.postgres.digest import field_text, key_digest, row_digest


def keyed_rows(
    connection: psycopg.Connection[Any], schema: str, table: TablePlan, keys: Sequence[Sequence[ColumnPlan]]
) -> list[tuple[str | None, ...]]:
    """The digests of each row, of its key, and of the further `keys`; a further key with NULL has none."""
    digests = ",".join([row_digest(table), key_digest(table), *map(_digest, keys)])
    return connection.execute(
        f"SELECT {digests} FROM {pg_name(schema, table.target)} AS p".encode()
    ).fetchall()


def referring(
    connection: psycopg.Connection[Any],
    key: OwnForeignKey,
    parent: TablePlan,
    child: TablePlan | None,
) -> list[tuple[str | None, ...]]:
    """For each row that refers by this foreign key: digests of its parent's key, of what it refers to, and of
    its own key. `child` is None for a table that is not loaded, whose rows have none."""
    referred = [column for name in key.parent_columns for column in parent.columns if column.target == name]
    pairs = zip(key.columns, key.parent_columns, strict=True)
    on = " AND ".join(f"c.{pg_name(column)}=p.{pg_name(other)}" for column, other in pairs)
    own = key_digest(child) if child else "NULL"
    made = f'{key_digest(parent)} AS "its key",{_digest(referred)} AS "its value"'
    return connection.execute(
        f'SELECT p."its key",p."its value",c."its key" FROM (SELECT *,{own} AS "its key" FROM {key.table}) c '
        f"JOIN (SELECT *,{made} FROM {key.parent}) p ON {on}".encode()
    ).fetchall()


def _digest(key: Sequence[ColumnPlan]) -> str:
    texts = ",".join(map(field_text, key))
    filled = " AND ".join(f"{pg_name(column.target)} IS NOT NULL" for column in key)
    return f"CASE WHEN {filled} THEN md5(concat_ws('|',{texts})) END"


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
