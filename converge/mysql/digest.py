"""The digest query of the source: rows, digests that are not NULL, and their sum.

A row's digest is the first 60 bits of the MD5 of its canonical text. The sum does not depend on
the order of rows and, unlike XOR, pairs of equal rows do not cancel. The canonical text joins the
columns' texts with ``|``. Numbers, times and the like hold neither ``|`` nor ``;``; any other text has
its length in bytes and a ``;`` before it, and NULL is ``~``. So a text falls into its fields in one way
only, and no two different rows have the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.plan import ColumnPlan, TablePlan
from converge.model.quote import my_name


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
