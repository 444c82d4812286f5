"""Digests of the source's rows: a table's sum, and each row by the digests of its keys.

A row's digest is the first 60 bits of the MD5 of its canonical text. The sum does not depend on the order of
rows and, unlike XOR, pairs of equal rows do not cancel. The canonical text joins the columns' texts with `|`.
Numbers, times and the like hold neither `|` nor `;`; any other text has its length in bytes and a `;` before
it, and NULL is `~`. So a text falls into its fields in one way only, and no two different rows have the same.
`postgres.digest` makes the same texts of what is stored there. As examples:

    (7, 'a|b', NULL)    7|3;a|b|~    MD5 b5442d1b36a8646…, digest 0xb5442d1b36a8646
    (7, 'a', 'b')       7|1;a|1;b
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import SSCursor

from converge.codes import Code
from converge.errors import SourceError
from converge.model.catalog import Column, Table
from converge.model.quote import my_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.query import fetch

_NO_FUNCTION = (1305, 1370)
"""To an account without EXECUTE any unknown name is a stored function that it may not run."""
_UUID_BYTES = 16


def require_md5(connection: Connection[Any]) -> None:
    """Raises SourceError for a server without MD5(); the connection has a database.

    Since 9.6 a component has it; in FIPS mode it gives NULL (MySQL 9.6 manual, "Legacy Hashing Component").
    """
    try:
        ((digest,),) = fetch(connection, "SELECT MD5('')")
    except pymysql.err.MySQLError as error:
        if error.args[0] not in _NO_FUNCTION:
            raise
        digest = None
    if digest is None:
        raise SourceError(
            "the source has no MD5(), by which both servers compare rows",
            code=Code.S033,
            hint="INSTALL COMPONENT 'file://component_classic_hashing';\n"
            "by an account with INSERT on mysql.component; in FIPS mode MD5() gives NULL",
        )


def row_digest(table: TablePlan) -> str:
    """MySQL expression of a row's MD5 in hex."""
    return _md5(table.columns)


def key_digest(table: TablePlan) -> str:
    """MySQL expression of a key's MD5 in hex; of the whole row where the table has no key."""
    return _md5(table.identifying)


def _md5(columns: Sequence[ColumnPlan]) -> str:
    # CONCAT_WS would leave out a text that the server cannot make: such a row has no digest.
    fields = ",'|',".join(map(field_text, columns))
    return f"MD5(CONCAT({fields}))"


def field_text(column: ColumnPlan) -> str:
    """MySQL expression of one column's part of the canonical row text."""
    text = column.source_text
    if column.delimited:
        text = f"CONCAT(LENGTH({text}),';',{text})"
    return f"IF({column.is_null},'~',{text})" if column.is_null else text


def number(digest: str) -> str:
    """MySQL expression of the first 60 bits of a hex digest."""
    return f"CAST(CONV(SUBSTRING({digest},1,15),16,10) AS UNSIGNED)"


def digest_query(table: TablePlan, condition: str) -> str:
    """SELECT rows, sum and `change_counts` over the rows of a WHERE clause.

    A row that is longer than max_allowed_packet has no digest and adds nothing: the sums differ
    then, and the drill-down says why.
    """
    sums = "".join(f",{count}" for count in change_counts(table))
    return f"SELECT COUNT(*),SUM({number(row_digest(table))}){sums} FROM {my_name(table.source)}{condition}"


def change_counts(table: TablePlan) -> list[str]:
    """MySQL aggregates: how many rows each declared policy changes, column by column."""
    return [f"IFNULL(SUM({change.where}),0)" for column in table.columns for change in column.changes]


def changed_keys(keys: Sequence[ColumnPlan], known: Table, *, without: str = "") -> str:
    """MySQL condition of rows in whose key one of these columns arrives as another value, which may be
    another row's, too, and does not find them in the source, but for one trap's; empty where none does."""
    # No two UUIDs are one when their bytes are swapped, and the way back swaps them again.
    harmless = ("swapped_uuid", without)
    found = [change.where for column in keys for change in column.changes if change.trap not in harmless]
    found += [_other_uuid(one, known.column(one.source)) for one in keys if one.target_type == "uuid"]
    return " OR ".join(f"({condition})" for condition in found if condition)


def has_two_spellings(column: ColumnPlan, known: Table) -> bool:
    """Whether the texts of a UUID are two to its column, with hyphens and without, so that a query can name
    both. A collation that tells upper from lower case has too many of them."""
    as_ci = (known.column(column.source).collation or "").endswith("_ci")
    return column.target_type == "uuid" and as_ci and not column.changes


def _other_uuid(column: ColumnPlan, known: Column) -> str:
    """Condition of a UUID in a text that its column does not take for equal to what the target prints."""
    if known.type in ("binary", "varbinary") and known.length == _UUID_BYTES:
        return ""
    printed = column.source_text
    if known.length == 2 * _UUID_BYTES:
        printed = f"REPLACE({printed},'-','')"
    as_own = f"CONVERT({printed} USING {known.charset}) COLLATE {known.collation}"
    return f"{my_name(known.name)}<>{as_own if known.collation else f'CAST({printed} AS BINARY)'}"


Keys = Sequence[Sequence[ColumnPlan]]
"""Keys of one table, each by its columns."""


def keyed_rows(
    connection: Connection[Any], table: TablePlan, keys: Keys, limit: int | None
) -> Iterator[tuple[str | None, ...]]:
    """The digests of each row, of its key, and of the further `keys`, of at most `limit` rows.

    A further key with NULL has none.
    """
    digests = ",".join([row_digest(table), key_digest(table), *map(_digest, keys)])
    most = f" LIMIT {limit}" if limit is not None else ""
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {digests} FROM {my_name(table.source)}{most}")
        yield from cursor


def _digest(key: Sequence[ColumnPlan]) -> str:
    texts = ",".join(map(field_text, key))
    filled = " AND ".join(f"({column.source_text}) IS NOT NULL" for column in key)
    return f"IF({filled},MD5(CONCAT_WS('|',{texts})),NULL)"


def distinct_values(
    connection: Connection[Any], table: TablePlan, columns: Sequence[ColumnPlan]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The values as the target will read them, with their rows; those without NULL."""
    texts = ",".join(f"CAST({column.read} AS BINARY)" for column in columns)
    places = ",".join(str(number + 1) for number in range(len(columns)))
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {texts},COUNT(*) FROM {my_name(table.source)} GROUP BY {places}")
        for *values, rows in cursor:
            if all(value is not None and b"\0" not in value for value in values):
                # What is no UTF-8 stops the run as a trap.
                yield tuple(value.decode("utf-8", "replace") for value in values), rows
