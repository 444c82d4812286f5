"""The rows of a small table by the digests of their keys: the same as `mysql.keyed`."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import pg_name
from converge.postgres.digest import field_text, row_digest


def keyed_rows(connection: psycopg.Connection[Any], schema: str, table: TablePlan) -> dict[str, str]:
    """Digest of the key → digest of the row."""
    columns = [column for column in table.columns if column.source in table.key] or table.columns
    key = f"md5(concat_ws('|',{','.join(map(field_text, columns))}))"
    query = f"SELECT {key},{row_digest(table)} FROM {pg_name(schema, table.target)}"
    return dict(connection.execute(query.encode()).fetchall())
