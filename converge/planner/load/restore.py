"""What is in the way of the copy is set aside and restored as it was: keys, triggers, and rows.

Rows that are in the target's tables already are seeded by its migrations, or left by a rehearsal.
"""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import entry, literally, setting
from converge.model.catalog import ForeignKey
from converge.model.existing import OFF, OwnForeignKey, OwnIndex, OwnTable
from converge.model.finding import Severity
from converge.model.table_plan import Rows
from converge.model.words import counted, said
from converge.planner.draft import MANY, Draft
from converge.planner.keys import BTREE_BYTES, UNCHECKED, note_orphans
from converge.planner.load.constraints import partly_null
from converge.planner.load.match import Loading, Match
from converge.postgres.saved import is_whole, merge, save

_WAYS = ('rows = "source"', '# or: rows = "target"', '# or: rows = "merge"')


def plan_own_keys(draft: Draft, loading: Loading) -> None:
    """Foreign keys on and to the loaded tables, then each table's indexes and triggers."""
    loaded = {loading.matches[name].own.quoted: name for name in draft.tables}
    for key in loading.existing.foreign_keys:
        object_ = loaded.get(key.table) or loaded.get(key.parent)
        if object_ is not None:
            _foreign_key(draft, loading, object_, key)
    for name, table in draft.tables.items():
        own = loading.matches[name].own
        for trigger in own.triggers:
            if trigger.enabled != OFF:
                off, on = (trigger.switch(own.quoted, state) for state in (OFF, trigger.enabled))
                # Before rows are set aside or truncated: the application's code must not see that.
                draft.do("shared", name, off, "a trigger of the target must not change what is loaded")
                draft.do("finish", name, on, "the target's trigger, as it was")
        if table.rows:
            draft.do("create", name, save(draft.schema, own), "rows of the target are set aside")
        if table.rows == "merge":
            draft.do("merge", name, merge(draft.schema, own), "rows whose keys only the target has")
        _indexes(draft, loading.matches[name])


def _foreign_key(draft: Draft, loading: Loading, object_: str, key: OwnForeignKey) -> None:
    if key.off:
        message = f"the foreign key {key.name} on {key.table} is switched off, and could not be restored so"
        draft.find(Code.L008, object_, message, key.switch_on)
    if key.grants:
        message = f"the role may not add the foreign key {key.name} on {key.table} again, once it is dropped"
        draft.find(Code.T004, object_, message, key.grants, severity="block")
    draft.do("shared", object_, key.remove, "the target's foreign keys are dropped while rows are loaded")
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
    rules = draft.map.for_foreign_key(table, seen or ForeignKey(key.name, (), "", "", (), "", ""))
    checked = setting(rules, "validate")[0] is not False
    if checked:
        _require_parent(draft, loading, child, key)
        condition = partly_null(draft, child, table, key)
        draft.find_rows(
            Code.L019, f"{table.name}.{key.name}", table,
            draft.evidence.count(table.name, condition) if condition else None,
            "hold NULL in some of its columns only, which MATCH FULL refuses",
            entry("foreign_key", literally(table=table.name, foreign_key=key.name), "validate = false"),
        )  # fmt: skip
    if seen is not None and draft.has(table.name, *seen.columns):
        note_orphans(draft, table, seen, checked=checked)
    elif not checked:
        draft.find(Code.P043, f"{table.name}.{key.name}", UNCHECKED)
    return checked


def _require_parent(draft: Draft, loading: Loading, child: Match, key: OwnForeignKey) -> None:
    """Blocks for rows that refer to a table that is not loaded, and does not have what they refer to."""
    parent = loading.by_quoted.get(key.parent)
    if parent is not None and parent.source.name in draft.tables:
        return
    own = next((table for table in loading.existing.tables if table.quoted == key.parent), None)
    name = child.source.name
    unchecked = entry("foreign_key", literally(table=name, foreign_key=key.name), "validate = false")
    if own is not None and own.owned and not (own.rows or own.obstacle):
        facts = draft.evidence.table(name)
        if facts and facts.rows:
            draft.find(
                Code.L029, f"{name}.{key.name}",
                f"its parent {own.name} is not loaded and is empty in the target: no row would have one",
                f"load {own.name} too; or, where the key may stay unchecked:\n{unchecked}",
            )  # fmt: skip
    elif (orphans := draft.evidence.orphans.get(f"{name}.{key.name}")) is not None:
        ways = ['rows = "source"', '# or: rows = "merge"']
        kept = entry("table", literally(table=parent.source.name), *ways) + "\n\n# or:\n" if parent else ""
        parent_name = own.name if own else key.parent
        draft.find(
            Code.L019, f"{name}.{key.name}",
            said(orphans.rows, f"refer to rows of {parent_name} that the target does not have"),
            kept + unchecked, evidence=f"values {', '.join(orphans.keys)}",
        )  # fmt: skip


def _indexes(draft: Draft, match: Match) -> None:
    name, own = match.source.name, match.own
    for index in own.indexes:
        if index.remove:
            draft.do("create", name, index.remove, "the target's keys are dropped while rows are loaded")
            draft.do("index", name, ";\n".join(index.restore), "the target's key, as it was")
            _note_long(draft, match, index)
        else:
            draft.find(
                Code.L014, f"{name}.{index.name}",
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
            Code.L026, f"{match.source.name}.{index.name}",
            f"values of up to {longest:,} bytes: what is longer than 2,704 bytes even when compressed "
            "does not fit the index, which is then refused",
            "shorten the values in the source, or let the application's migrations index a digest of them",
        )  # fmt: skip


# ---- rows that are there already -----------------------------------------------------------------------


def rows_of(draft: Draft, match: Match) -> Rows:
    """What the map says of rows that are there."""
    name, own = match.source.name, match.own
    wish = _wish(draft, name)
    if wish == "target" or (wish and own.rows):
        draft.noted.add(name)
    return wish if own.rows or wish == "target" else ""


def note_rows(draft: Draft, match: Match, *, may_hold_rows: bool) -> None:
    """Findings about rows that are there, when it is known which of them are the source's."""
    name, own = match.source.name, match.own
    wish = _wish(draft, name)
    if wish == "target":
        _note_kept(draft, match)
        return
    if wish and own.rows:
        if wish == "merge":
            _require_mergeable(draft, match)
        they = (
            "are replaced by the source's" if wish == "source" else "stay, but for keys that the source has"
        )
        it = they.replace("are", "is", 1) if wish == "source" else they.replace("stay", "stays", 1)
        seeded = draft.evidence.seeded.get(name)
        gone = seeded.only_target if seeded and wish == "source" else seeded.displaced if seeded else 0
        # Only the server knows, when it is too late to ask, which rows some indexes do not let back in.
        unseen = wish == "merge" and any(
            (one.unique and not (is_whole(one) and one.nulls_distinct)) or " EXCLUDE " in one.restore[0]
            for one in own.indexes
        )
        loses = unseen or seeded is None or seeded.differ or gone
        harm: Severity = "lossy" if loses else "note"
        draft.find(
            Code.L011, name, f"the target's {own.row_words} {it if own.rows == 1 else they}", severity=harm,
            evidence=_words(draft, name), cause=f"the target's rows {they}",
        )  # fmt: skip
        _note_broken(draft, name, own)
    if own.rows and (wish or may_hold_rows):
        _note_left(draft, name, wish)


def _wish(draft: Draft, name: str) -> Rows:
    table = draft.source(name)
    wish: Rows = setting(draft.map.for_table(table), "rows")[0] if table else ""
    return wish or ""


def kept(own: OwnTable) -> str:
    """Why a table's rows are not copied."""
    return f"the map keeps the target's {own.row_words}"


def _require_mergeable(draft: Draft, match: Match) -> None:
    """Rows are merged by the key that both sides have, and where it is known which of them stay."""
    name, own = match.source.name, match.own.key
    ours = {column.target for column in draft.tables[name].keys}
    instead = entry("table", literally(table=name), *_WAYS[:2])
    if not own:
        why = "has no primary key in the target, so its rows cannot be merged"
        draft.find(Code.L020, name, why, instead)
    elif set(own) != ours:
        why = f"has another primary key in the target ({', '.join(own)}), so its rows cannot be merged"
        draft.find(Code.L020, name, why, instead)
    elif name not in draft.evidence.seeded:
        why = "rows cannot be merged unseen: the role may not make temporary tables to compare them"
        way = f"the privilege TEMPORARY on the target's database; or:\n{instead}"
        draft.find(Code.L030, name, why, way)


def _note_broken(draft: Draft, name: str, own: OwnTable) -> None:
    """Blocks for rows that are set aside and would not come back."""
    for check in own.conditions:
        if rows := draft.evidence.broken.get(f"{name}.{check.name}"):
            draft.find(
                Code.L023, f"{name}.{check.name}",
                said(rows, f"break {check.definition} in the target, and could not come back once set aside"),
                f"-- repair or delete these rows of the target:\nSELECT * {check.broken(own.quoted)};",
            )  # fmt: skip


def _note_left(draft: Draft, name: str, wish: Rows) -> None:
    """Blocks for rows that stay and whose parents go."""
    seeded = draft.evidence.seeded.get(name)
    ways = [way.removeprefix("# or: ") for way in _WAYS if f'"{wish or "source"}"' not in way]
    for key, rows in seeded.left.items() if seeded else ():
        draft.find(
            Code.L019, key,
            said(rows, f"stay without a parent: {name} loses the rows that they refer to"),
            entry("table", literally(table=name), "\n# or: ".join(ways)),
        )  # fmt: skip


def note_full(draft: Draft, loading: Loading) -> None:
    """Tables with rows about which the map says nothing: each, or all at once when they are many."""
    matches = ((name, loading.matches[name].own) for name in draft.tables)
    full = {name: own for name, own in matches if own.rows and not _wish(draft, name)}
    if len(full) > MANY:
        rows = sum(own.rows for own in full.values())
        known = (draft.evidence.seeded.get(name) for name in full)
        equal = sum(
            one is not None and not (one.differ or one.only_source or one.only_target) for one in known
        )
        draft.find(
            Code.L010, draft.schema,
            said(len(full), f"have {counted(rows, 'row')}, which would be duplicated", "table"),
            "--truncate removes the rows of all loaded tables that are not merged\n"
            "# or, for each table, in a map:\n" + entry("table", {"table": "…"}, *_WAYS),
            evidence=f"all rows are equal to the source's in {equal} of them: {', '.join(full)}",
        )  # fmt: skip
        return
    for name, own in full.items():
        draft.find(
            Code.L010, name,
            f"the target's table has {own.row_words}, which would be duplicated or would be in the way",
            entry("table", literally(table=name), *_WAYS)
            + "\n# or --truncate, which removes the rows of all loaded tables that are not merged",
            evidence=_words(draft, name),
        )  # fmt: skip


def _note_kept(draft: Draft, match: Match) -> None:
    """The target's rows stay, and the source's are not copied."""
    name = match.source.name
    why = kept(match.own)
    words = _words(draft, name) or "not compared with the source's"
    # Also what is there and cannot be converted, of which nothing is said but here.
    compared = {one.source for one in draft.kept[name].columns} if name in draft.kept else set[str]()
    others = [one.name for one in match.source.columns if not (one.generated or one.name in compared)]
    if others:
        words += f"; not compared: {', '.join(others)}"
    losses = draft.kept_losses[name]
    words = "; ".join([words, *(f"{one.object}: {one.message}" for one in losses)])
    seeded = draft.evidence.seeded.get(name)
    all_there = seeded is not None and not (seeded.differ or seeded.only_source or others or losses)
    harm: Severity = "note" if all_there else "lossy"
    cause = "the map keeps the target's rows; the source's are not copied"
    message = f"{why}; the source's are not copied"
    draft.find(Code.L011, name, message, severity=harm, evidence=words, cause=cause)


def _words(draft: Draft, name: str) -> str:
    """The comparison by key, in words."""
    seeded = draft.evidence.seeded.get(name)
    if seeded is None:
        return ""
    return (
        f"by key: {seeded.equal:,} equal, {seeded.differ:,} differ, "
        f"{seeded.only_source:,} only in the source, {seeded.only_target:,} only in the target"
        + (f", {seeded.displaced:,} of them displaced by another unique key" if seeded.displaced else "")
    )
