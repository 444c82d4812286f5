"""What hangs on the target's tables is taken away for the copy, and put back as it was."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import Rule, setting
from converge.mapping.write import entry, literally
from converge.model.catalog import ForeignKey, Table
from converge.model.existing import OwnForeignKey, OwnIndex, OwnTable
from converge.model.plan import TablePlan
from converge.planner.draft import Draft
from converge.planner.foreign_keys import note_rows
from converge.planner.indexes import BTREE_BYTES
from converge.planner.load.checks import partly_null
from converge.planner.load.match import Loading, Match
from converge.planner.values import rows_words, said
from converge.postgres.saved import merge, save

_OFF = "D"
"""pg_trigger.tgenabled of a trigger that is switched off."""


def plan_own_keys(draft: Draft, loading: Loading) -> None:
    """Foreign keys on and to the loaded tables, then each table's indexes and triggers."""
    loaded = {loading.matches[name].own.quoted: name for name in draft.tables}
    for key in loading.existing.foreign_keys:
        object_ = loaded.get(key.table) or loaded.get(key.parent)
        if object_ is not None:
            _foreign_key(draft, loading, object_, key)
    for name, table in draft.tables.items():
        _triggers(draft, name, loading.matches[name].own)
        _rows(draft, table, loading.matches[name].own)
        _indexes(draft, loading.matches[name])


def _foreign_key(draft: Draft, loading: Loading, object_: str, key: OwnForeignKey) -> None:
    draft.do("shared", object_, key.remove, "a foreign key of the target is away while rows are loaded")
    draft.do("foreign key", object_, ";\n".join(key.restore), "the target's foreign key, as it was")
    if key.validate and _checked(draft, loading, key):
        draft.do("validate", object_, key.validate, "every row is checked, none is believed")


def _checked(draft: Draft, loading: Loading, key: OwnForeignKey) -> bool:
    """Whether the rows of a key are checked; notes those that have no parent."""
    child = loading.by_quoted.get(key.table)
    if child is None or child.source.name not in draft.tables:
        return True
    table = draft.source(child.source.name)
    assert table is not None
    seen = next((one for one in table.foreign_keys if one.name == key.name), None)
    rules = _rules(draft, table, seen, key)
    checked = setting(rules, "validate")[0] is not False
    if checked:
        _require_parent(draft, loading, child, key)
        _note_partly_null(draft, child, table, key)
    if seen is not None and draft.has(table.name, *seen.columns):
        note_rows(draft, table, seen, checked=checked)
    return checked


def _require_parent(draft: Draft, loading: Loading, child: Match, key: OwnForeignKey) -> None:
    """Blocks for rows that refer to a table that is not loaded, and does not have what they refer to."""
    parent = loading.by_quoted.get(key.parent)
    if parent is not None and parent.source.name in draft.tables:
        return
    own = next((table for table in loading.existing.tables if table.quoted == key.parent), None)
    facts = draft.evidence.table(child.source.name)
    if own is None or own.rows or not own.owned or own.obstacle:
        _note_orphans(draft, loading, child, key, own.name if own else key.parent)
        return
    if not (facts and facts.rows):
        return
    name = child.source.name
    draft.find(
        Code.L029, "block", f"{name}.{key.name}",
        f"its parent {own.name} is not loaded and is empty in the target: no row would have one",
        f"load {own.name} too; or, where the key may stay unchecked:\n"
        + entry("foreign_key", literally(table=name, foreign_key=key.name), "validate = false"),
    )  # fmt: skip


def _note_partly_null(draft: Draft, child: Match, table: Table, key: OwnForeignKey) -> None:
    condition = partly_null(draft, child, table, key)
    count = draft.evidence.count(table.name, condition) if condition else None
    if count and count.rows:
        draft.find(
            Code.L019, "block", f"{table.name}.{key.name}",
            said(count.rows, "hold NULL in some of its columns only, which MATCH FULL refuses"),
            entry("foreign_key", literally(table=table.name, foreign_key=key.name), "validate = false"),
            evidence=rows_words(table, count),
        )  # fmt: skip


def _note_orphans(draft: Draft, loading: Loading, child: Match, key: OwnForeignKey, parent_name: str) -> None:
    name = child.source.name
    orphans = draft.evidence.orphans.get(f"{name}.{key.name}")
    if orphans is None:
        return
    parent = loading.by_quoted.get(key.parent)
    ways = ['rows = "source"', '# or: rows = "merge"']
    kept = entry("table", literally(table=parent.source.name), *ways) + "\n\n# or:\n" if parent else ""
    draft.find(
        Code.L019, "block", f"{name}.{key.name}",
        said(orphans.rows, f"refer to rows of {parent_name} that the target does not have"),
        kept + entry("foreign_key", literally(table=name, foreign_key=key.name), "validate = false"),
        evidence=f"values {', '.join(orphans.keys)}",
    )  # fmt: skip


def _rules(draft: Draft, table: Table, seen: ForeignKey | None, key: OwnForeignKey) -> tuple[Rule, ...]:
    return draft.map.for_foreign_key(table, seen or ForeignKey(key.name, (), "", "", (), "", ""))


def _indexes(draft: Draft, match: Match) -> None:
    name, own = match.source.name, match.own
    for index in own.indexes:
        if index.remove:
            draft.do("create", name, index.remove, "a key of the target is away while rows are loaded")
            draft.do("index", name, ";\n".join(index.restore), "the target's key, as it was")
            _note_long(draft, match, index)
        else:
            draft.find(
                Code.L014, "note", f"{name}.{index.name}",
                "stays while rows are loaded, which takes longer: its definition does not tell all of it, or "
                "would be printed in other words, or other objects hang on it",
            )  # fmt: skip


def _note_long(draft: Draft, match: Match, index: OwnIndex) -> None:
    """An entry of a btree must fit a third of a page, after compression, which nobody knows before."""
    facts = draft.evidence.table(match.source.name)
    sources = [match.sources[name] for name in index.columns if name in match.sources]
    longest = sum(facts.longest.get(name, 0) for name in sources) if facts else 0
    if index.method == "btree" and longest > BTREE_BYTES:
        draft.find(
            Code.L026, "note", f"{match.source.name}.{index.name}",
            f"values of up to {longest:,} bytes: what is longer than 2,704 bytes even compressed has "
            "no place in the index, which is refused then",
            "shorten the values in the source, or let the application's migrations index a digest of them",
        )  # fmt: skip


def _triggers(draft: Draft, name: str, own: OwnTable) -> None:
    for trigger in own.triggers:
        if trigger.enabled != _OFF:
            off, on = (trigger.switch(own.quoted, state) for state in (_OFF, trigger.enabled))
            # Before rows are put aside or truncated: the application's code must not see that.
            draft.do("shared", name, off, "a trigger of the target must not change what is loaded")
            draft.do("finish", name, on, "the target's trigger, as it was")


def _rows(draft: Draft, table: TablePlan, own: OwnTable) -> None:
    """Rows of the target make place for the source's; those that are merged come back."""
    if table.rows:
        draft.do("create", table.source, save(draft.schema, own), "rows of the target are put aside")
    if table.rows == "merge":
        draft.do("merge", table.source, merge(draft.schema, own), "rows whose keys only the target has")
