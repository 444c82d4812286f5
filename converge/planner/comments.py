"""Comments of tables, columns and indexes are kept."""

from __future__ import annotations

from converge.model.catalog import Table
from converge.model.quote import pg_name, pg_text
from converge.planner.draft import Draft


def plan_comments(draft: Draft, table: Table) -> None:
    """Adds COMMENT ON for the table and its columns."""
    target = draft.qualified(table.name)
    if table.comment:
        comment(draft, table.name, "TABLE", target, table.comment)
    for column in table.columns:
        if column.comment:
            name = pg_name(draft.column(table.name, column.name).target)
            comment(draft, table.name, "COLUMN", f"{target}.{name}", column.comment)


def comment(draft: Draft, object_: str, kind: str, name: str, text: str) -> None:
    """Adds one COMMENT ON; `name` is quoted already. No text of PostgreSQL holds a NUL."""
    text = text.replace("\0", "")
    draft.do("finish", object_, f"COMMENT ON {kind} {name} IS {pg_text(text)}", "the source's comment")
