"""What hangs on the target's tables is taken away for the copy, and put back as it was."""

from __future__ import annotations

from converge.mapping.rules import Rule, setting
from converge.model.catalog import ForeignKey, Table
from converge.model.existing import OwnForeignKey, OwnTable
from converge.model.quote import pg_name, pg_text
from converge.planner.draft import Draft
from converge.planner.foreign_keys import note_rows
from converge.planner.load.match import Loading, Match

_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
"""By pg_trigger.tgenabled; D stays as it is."""


def plan_own_keys(draft: Draft, loading: Loading) -> None:
    """Foreign keys on and to the loaded tables, then each table's indexes and triggers."""
    loaded = {loading.matches[name].own.quoted: name for name in draft.tables}
    for key in loading.existing.foreign_keys:
        object_ = loaded.get(key.table) or loaded.get(key.parent)
        if object_ is not None:
            _foreign_key(draft, loading, object_, key)
    for name in draft.tables:
        _indexes(draft, loading.matches[name])
        _triggers(draft, name, loading.matches[name].own)


def _foreign_key(draft: Draft, loading: Loading, object_: str, key: OwnForeignKey) -> None:
    constraint = pg_name(key.name)
    draft.do(
        "shared", object_, f"ALTER TABLE {key.table} DROP CONSTRAINT IF EXISTS {constraint}",
        "a foreign key of the target is away while rows are loaded",
    )  # fmt: skip
    add = f"ALTER TABLE {key.table} ADD CONSTRAINT {constraint} {key.definition} NOT VALID"
    if key.comment:
        add += f";\nCOMMENT ON CONSTRAINT {constraint} ON {key.table} IS {pg_text(key.comment)}"
    draft.do("foreign key", object_, add, "the target's foreign key, as it was")
    if key.validated and _checked(draft, loading, key):
        draft.do(
            "validate", object_, f"ALTER TABLE {key.table} VALIDATE CONSTRAINT {constraint}",
            "every row is checked, none is believed",
        )  # fmt: skip


def _checked(draft: Draft, loading: Loading, key: OwnForeignKey) -> bool:
    """Whether the rows of a key are checked; notes those that have no parent."""
    child = loading.match_of(key.table)
    if child is None or child.source.name not in draft.tables:
        return True
    table = draft.source(child.source.name)
    assert table is not None
    seen = next((one for one in table.foreign_keys if one.name == key.name), None)
    rules = _rules(draft, table, seen, key)
    checked = setting(rules, "validate")[0] is not False
    if seen is not None:
        note_rows(draft, table, seen, checked=checked)
    return checked


def _rules(draft: Draft, table: Table, seen: ForeignKey | None, key: OwnForeignKey) -> tuple[Rule, ...]:
    return draft.map.for_foreign_key(table, seen or ForeignKey(key.name, (), "", "", (), "", ""))


def _indexes(draft: Draft, match: Match) -> None:
    name, own = match.source.name, match.own
    for index in own.indexes:
        if index.remove:
            draft.do("create", name, index.remove, "a key of the target is away while rows are loaded")
            draft.do("index", name, ";\n".join(index.restore), "the target's key, as it was")
        else:
            draft.find(
                "L014", "note", f"{name}.{index.name}",
                "stays while rows are loaded, which takes longer: its definition does not tell all of it, or "
                "other objects hang on it",
            )  # fmt: skip


def _triggers(draft: Draft, name: str, own: OwnTable) -> None:
    for trigger in own.triggers:
        if trigger.enabled in _ENABLE:
            quoted = pg_name(trigger.name)
            draft.do(
                "create", name, f"ALTER TABLE {own.quoted} DISABLE TRIGGER {quoted}",
                "a trigger of the target must not change what is loaded",
            )  # fmt: skip
            draft.do(
                "finish", name, f"ALTER TABLE {own.quoted} {_ENABLE[trigger.enabled]} TRIGGER {quoted}",
                "the target's trigger, as it was",
            )  # fmt: skip
