"""Foreign keys: added NOT VALID when all tables have their keys, then validated side by side."""

from __future__ import annotations

from converge.model.catalog import Catalog, ForeignKey, Table
from converge.model.quote import pg_name
from converge.planner.draft import Draft
from converge.planner.names import fit

_ACTIONS = {"CASCADE", "SET NULL", "RESTRICT", "NO ACTION"}


def plan_foreign_keys(draft: Draft, table: Table) -> None:
    """Adds the statements of a table's foreign keys."""
    for key in table.foreign_keys:
        name = f"{table.name}.{key.name}"
        if reason := _refusal(draft, key):
            draft.left("P040", "foreign key", name, reason)
            continue
        constraint = pg_name(fit(key.name))
        child = draft.qualified(table.name)
        columns = _columns(draft, table.name, key.columns)
        parents = _columns(draft, key.parent, key.parent_columns)
        draft.do(
            "foreign key",
            table.name,
            f"ALTER TABLE {child} ADD CONSTRAINT {constraint} FOREIGN KEY ({columns}) "
            f"REFERENCES {draft.qualified(key.parent)} ({parents}) "
            f"ON DELETE {_action(key.on_delete)} ON UPDATE {_action(key.on_update)} NOT VALID",
            "a foreign key of the source",
        )
        draft.do(
            "validate",
            table.name,
            f"ALTER TABLE {child} VALIDATE CONSTRAINT {constraint}",
            "every row is checked, none is believed",
        )
        odd = {key.on_delete, key.on_update} - _ACTIONS
        if odd:
            draft.find("P041", "note", name, f"{odd.pop()} does nothing in InnoDB and becomes NO ACTION")
        draft.done("foreign key", name, key.name, "with the same actions", note=bool(odd))


def identity_columns(catalog: Catalog) -> frozenset[tuple[str, str]]:
    """AUTO_INCREMENT columns, and all that foreign keys join to one: they must share one type.

    A ``bigint unsigned`` whose next value has left bigint's range takes its component out.
    """
    joined: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for table in catalog.tables:
        for key in table.foreign_keys:
            for child, parent in zip(key.columns, key.parent_columns, strict=True):
                pair = (table.name, child), (key.parent, parent)
                joined.setdefault(pair[0], set()).add(pair[1])
                joined.setdefault(pair[1], set()).add(pair[0])
    found: set[tuple[str, str]] = set()
    for table in catalog.tables:
        for column in table.columns:
            if column.auto_increment and (table.next_value or 0) < 2**63:
                _spread((table.name, column.name), joined, found)
    return frozenset(found)


def _spread(
    start: tuple[str, str], joined: dict[tuple[str, str], set[tuple[str, str]]], found: set[tuple[str, str]]
) -> None:
    waiting = [start]
    while waiting:
        column = waiting.pop()
        if column not in found:
            found.add(column)
            waiting += joined.get(column, ())


def _refusal(draft: Draft, key: ForeignKey) -> str | None:
    if key.parent_database != draft.catalog.database:
        return f"its parent is in another database, {key.parent_database}"
    if key.parent not in draft.tables:
        return f"its parent {key.parent} is not migrated"
    parent = draft.catalog.table(key.parent)
    wanted = {name.lower() for name in key.parent_columns}
    unique = any(
        index.unique
        and {name.lower() for name in index.columns} == wanted
        and not any(part.prefix or part.descending for part in index.parts)
        for index in parent.indexes
    )
    return None if unique else f"its parent {key.parent} has no unique key on {', '.join(key.parent_columns)}"


def _columns(draft: Draft, table: str, names: tuple[str, ...]) -> str:
    return ", ".join(pg_name(draft.column(table, name).target) for name in names)


def _action(rule: str) -> str:
    return rule if rule in _ACTIONS else "NO ACTION"
