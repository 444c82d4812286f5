"""The SELECT that makes COPY text of a chunk, one field a row.

Where no column can hold a tab, a line end or a backslash, MySQL writes COPY's own text. Otherwise
every field ends in one of four bytes that are in no UTF-8 text, so that the client can escape a
whole block at once and still tell the server's marks from the data: see `postgres.text`.
"""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.plan import ColumnPlan, TablePlan
from converge.model.quote import my_name
from converge.model.work import Range

# (value ends, NULL ends) inside the row, then at its end.
PLAIN = ("'\\t'", "'\\\\N\\t'", "'\\n'", "'\\\\N\\n'")
MARKED = ("0xFF", "0xFE", "0xFD", "0xFC")


def select_text(table: TablePlan) -> str:
    """The SELECT without its range: one column that holds the whole row."""
    columns = table.copied
    if not columns:
        # The target computes every column of it, so a row is an empty line.
        return f"SELECT '\\n' FROM {my_name(table.source)}"
    value, null, last_value, last_null = MARKED if marked(table) else PLAIN
    fields = [_field(column, value, null) for column in columns[:-1]]
    fields.append(_field(columns[-1], last_value, last_null))
    return f"SELECT CONCAT({','.join(fields)}) FROM {my_name(table.source)}"


def marked(table: TablePlan) -> bool:
    """Whether the client must escape this table's rows."""
    return any(column.special for column in table.copied)


def where(table: TablePlan, part: Range) -> str:
    """The WHERE clause of a chunk: low < key <= high, in the source's own order of keys."""
    conditions = []
    if part.low is not None:
        conditions.append(f"({_beyond(table.key, part.low)})")
    if part.high is not None:
        conditions.append(f"NOT ({_beyond(table.key, part.high)})")
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _field(column: ColumnPlan, value: str, null: str) -> str:
    # A text that the server cannot make is NULL: so is the whole row then, which ends the copy.
    text = f"{column.read},{value}"
    return f"IF({column.is_null},{null},CONCAT({text}))" if column.is_null else text


def _beyond(key: Sequence[str], bound: Sequence[str]) -> str:
    """key > bound, spelled out column by column because the optimizer reads no row comparisons."""
    steps = []
    for place, literal in enumerate(bound):
        equal = [f"{my_name(name)}={same}" for name, same in zip(key[:place], bound[:place], strict=True)]
        steps.append("(" + " AND ".join([*equal, f"{my_name(key[place])}>{literal}"]) + ")")
    return " OR ".join(steps)
