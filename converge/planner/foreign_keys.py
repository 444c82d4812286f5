"""Foreign keys: added NOT VALID when all tables have their keys, then validated side by side."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.catalog import ForeignKey, Table
from converge.model.quote import pg_name
from converge.planner.draft import Draft
from converge.planner.orphans import comparable, orphans
from converge.planner.values import rows_words, said

_ACTIONS = {"CASCADE", "SET NULL", "RESTRICT", "NO ACTION"}


def plan_foreign_keys(draft: Draft, table: Table) -> None:
    """Adds the statements of a table's foreign keys."""
    for key in table.foreign_keys:
        name = f"{table.name}.{key.name}"
        rules = draft.map.for_foreign_key(table, key)
        if setting(rules, "skip")[0]:
            draft.left(Code.P044, "foreign key", name, "a map leaves it out")
        elif reason := _refusal(draft, table, key):
            hint = f"CREATE UNIQUE INDEX … ON {pg_name(key.parent)} (…), where its rows allow it"
            draft.left(Code.P040, "foreign key", name, reason, hint if "unique" in reason else "")
        else:
            _plan(draft, table, key, checked=setting(rules, "validate")[0] is not False)


def _plan(draft: Draft, table: Table, key: ForeignKey, *, checked: bool) -> None:
    name = f"{table.name}.{key.name}"
    made = draft.constraints(table).take(key.name, f"{key.name}_fkey", held=True)
    draft.called(table, "foreign key", key.name, made)
    constraint = pg_name(made)
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
    if checked:
        draft.do(
            "validate",
            table.name,
            f"ALTER TABLE {child} VALIDATE CONSTRAINT {constraint}",
            "every row is checked, none is believed",
        )
    _notes(draft, table, key, checked=checked)
    draft.done("foreign key", name, made, "with the same actions")


def _notes(draft: Draft, table: Table, key: ForeignKey, *, checked: bool) -> None:
    name = f"{table.name}.{key.name}"
    odd = {key.on_delete, key.on_update} - _ACTIONS
    if odd:
        draft.find(Code.P041, "note", name, f"{odd.pop()} does nothing in InnoDB and becomes NO ACTION")
    note_rows(draft, table, key, checked=checked)


def note_rows(draft: Draft, table: Table, key: ForeignKey, *, checked: bool) -> None:
    """Findings about rows without a parent, and about a key that does not look for them."""
    name = f"{table.name}.{key.name}"
    unchecked = "arrives NOT VALID: the rows that are there are not checked"
    count = orphans(draft, table, key)
    if not checked and not (count and count.rows):
        draft.find(Code.P043, "lossy", name, unchecked)
    elif count and count.rows:
        draft.find(
            Code.V030, "block" if checked else "lossy", name,
            said(count.rows, f"lack an equal parent in {key.parent}")
            + ("" if checked else f"; the key {unchecked}"),
            entry(
                "foreign_key", literally(table=table.name, foreign_key=key.name),
                "validate = false", *([] if draft.loading else ["# or: skip = true"]),
            ),
            evidence=rows_words(table, count),
        )  # fmt: skip


def _refusal(draft: Draft, table: Table, key: ForeignKey) -> str | None:
    if key.parent_database != draft.catalog.database:
        return f"its parent is in another database, {key.parent_database}"
    if key.parent not in draft.tables:
        return f"its parent {key.parent} is not migrated"
    if not (draft.has(table.name, *key.columns) and draft.has(key.parent, *key.parent_columns)):
        return "a column of it is not migrated"
    for name, other in zip(key.columns, key.parent_columns, strict=True):
        types = draft.column(table.name, name).target_type, draft.column(key.parent, other).target_type
        if not comparable(*types):
            return f"{name} becomes {types[0]} and {key.parent}.{other} {types[1]}, which cannot be compared"
    wanted = {name.lower() for name in key.parent_columns}
    unique = wanted in draft.unique[key.parent]
    return None if unique else f"its parent {key.parent} has no unique key on {', '.join(key.parent_columns)}"


def _columns(draft: Draft, table: str, names: tuple[str, ...]) -> str:
    return ", ".join(pg_name(draft.column(table, name).target) for name in names)


def _action(rule: str) -> str:
    return rule if rule in _ACTIONS else "NO ACTION"
