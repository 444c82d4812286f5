"""Another type for a column: the statement, or what has to go before.

PostgreSQL refuses it while a view or a generated column uses the column, and where the columns of a foreign
key would have types that do not go together.
"""

from __future__ import annotations

from collections.abc import Iterator

from converge.model.catalog import Table
from converge.model.quote import pg_name
from converge.planner.draft import Draft


def retype(draft: Draft, table: Table, column: str, type_: str) -> str:
    """The statement that gives a source's column this type in the target; a comment where it would fail."""
    target = pg_name(draft.column(table.name, column).target)
    used = ", ".join(users(draft, table, column))
    first = f"-- drop first: {used}. Then " if used else ""
    return f"{first}ALTER TABLE {draft.qualified(table.name)} ALTER COLUMN {target} TYPE {type_};"


def users(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """The target's views and generated columns that use it; rather one too many."""
    target = draft.column(table.name, column).target
    if draft.loading:
        own = draft.loading.matches[table.name].own
        for name, text in draft.loading.existing.shape.items():
            if name.startswith(("view ", "materialized view ")) and own.name in text and target in text:
                yield name
        generated = {one.name for one in own.columns if target in one.generated}
    else:
        place, quoted = draft.qualified(table.name), pg_name(target)
        for one in draft.statements:
            if one.phase == "view" and place in one.sql and quoted in one.sql:
                yield f"view {one.object}"
        columns = draft.tables[table.name].columns
        generated = {one.target for one in columns if quoted in (one.generated or "")}
    yield from (f"generated column {name}" for name in sorted(generated))


def joined(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """The target's foreign keys that have the column on one of their sides."""
    if draft.loading:
        here, name = draft.loading.matches[table.name].own.quoted, draft.column(table.name, column).target
        for own in draft.loading.existing.foreign_keys:
            if (here, name) in _sides(own.table, own.columns, own.parent, own.parent_columns):
                yield f"foreign key {own.name} of {own.table}"
        return
    for child in draft.catalog.tables:
        for key in child.foreign_keys:
            if (table.name, column) in _sides(child.name, key.columns, key.parent, key.parent_columns):
                yield f"foreign key {key.name} of {child.name}"


def _sides(
    child: str, columns: tuple[str, ...], parent: str, parent_columns: tuple[str, ...]
) -> set[tuple[str, str]]:
    return {(child, name) for name in columns} | {(parent, name) for name in parent_columns}
