"""Tables as the plan knows them, whoever makes them in the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from converge.codes import Code
from converge.model.catalog import Table
from converge.model.plan import ColumnPlan, Rows, TablePlan
from converge.planner.draft import Draft
from converge.planner.forecast import sized
from converge.planner.generated import over_changed
from converge.planner.values import example

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})


def table_plan(
    draft: Draft, table: Table, target: str, columns: tuple[ColumnPlan, ...], rows: Rows = ""
) -> TablePlan:
    """The table with its columns and the key by which its rows are read."""
    measured = sized(table, draft.evidence.table(table.name))
    key = table.primary_key
    names = key.columns if key else ()
    return TablePlan(
        source=table.name,
        target=target,
        columns=tuple(over_changed(draft, table, columns)),
        key=names,
        integer_key=bool(names) and table.column(names[0]).type in _INTEGERS,
        rows_estimate=measured.rows_estimate,
        data_bytes=measured.data_bytes,
        rows=rows,
    )


def note_namesakes(draft: Draft, table: Table, columns: Sequence[ColumnPlan]) -> None:
    """Columns that a map, or PostgreSQL's own names, would give one and the same name."""
    for name, count in Counter(column.target for column in columns).items():
        if count > 1:
            *_, last = (column.source for column in columns if column.target == name)
            hint = example(table, table.column(last), 'rename = "another_name"')
            draft.find(
                Code.P007, "block", f"{table.name}.{last}", f"{count} columns would be called {name}", hint
            )
