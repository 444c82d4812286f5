"""Primary keys, unique keys, indexes and foreign keys: made when the tables are loaded.

Foreign keys are added NOT VALID when all tables have their keys, then validated side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from converge.codes import Code
from converge.mapping.rules import Rule, entry, literally, setting
from converge.model.catalog import ForeignKey, Index, IndexPart, Table
from converge.model.quote import pg_name
from converge.model.table_plan import Computed
from converge.planner.decision import column_entry, index_entry
from converge.planner.draft import Draft, comment_sql
from converge.planner.rows import comparable, orphans
from converge.translate import Context, TableColumns, Term, Untranslatable, translate
from converge.translate.term import ODDLY
from converge.types import base_name
from converge.types.collations import counterpart, ignores_case

# An index entry may take a third of a page (PostgreSQL manual, "B-Tree Indexes"); its header counts, too.
BTREE_BYTES = 2600
UNCHECKED = "is created NOT VALID: existing rows are not checked"
_OTHER_BYTES = 16
_ACTIONS = {"CASCADE", "SET NULL", "RESTRICT", "NO ACTION"}


def later_index(on: str, columns: Iterable[str]) -> str:
    """The statement that makes an index in a database at work; `on` is quoted."""
    return f"CREATE INDEX CONCURRENTLY ON {on} ({', '.join(map(pg_name, columns))});"


def plan_indexes(draft: Draft, table: Table) -> None:
    """Adds the statements of all indexes of a table."""
    # The primary key first: it has the first right to its name.
    for index in sorted(table.indexes, key=lambda index: not index.primary):
        name = f"{table.name}.{index.name}"
        rules = draft.map.for_index(table, index)
        method = setting(rules, "method")[0]
        if setting(rules, "skip")[0]:
            draft.left(Code.P035, "index", name, "a map leaves it out")
        elif not draft.has(table.name, *index.columns):
            draft.left(Code.P038, "index", name, "a column of it is not migrated")
        elif index.kind == "FULLTEXT" and method == "gin":
            _words(draft, table, index)
        elif index.kind == "SPATIAL" and _is_geometry(draft, table, index):
            _index(draft, table, index, "gist")
        elif index.kind in ("FULLTEXT", "SPATIAL"):
            hint = index_entry(table, index, 'method = "gin"') if index.kind == "FULLTEXT" else ""
            draft.left(Code.P030, "index", name, f"a {index.kind} index has no exact counterpart", hint)
        else:
            _index(draft, table, index, method)


def _index(draft: Draft, table: Table, index: Index, method: str | None) -> None:
    name = f"{table.name}.{index.name}"
    expressions = tuple(
        (number, part.expression) for number, part in enumerate(index.parts, 1) if part.expression
    )
    refused, context = None, draft.context(immutable=True)
    try:
        parts = [_part(draft, table, index, part, context) for part in index.parts]
        if expressions:
            sql = f"CREATE INDEX ON {draft.qualified(table.name)} ({', '.join(parts)})"
            refused = draft.refusal("index", name, sql, (table.name,))
    except Untranslatable as reason:
        refused = str(reason)
    if refused:
        terms = ", ".join(map(str, index.parts))
        draft.left(Code.P031, "index", name, f"{refused}; it was on {terms}")
        return
    columns = [_reference(draft, table, part) for part in index.parts]
    constraint = ""
    if index.unique and parts == columns:
        constraint = "PRIMARY KEY" if index.primary else "UNIQUE"
    target = _name(draft, table, index, constraint=bool(constraint))
    _notes(draft, table, index, parts)
    for note in context.notes:
        draft.find(Code.P029, name, note)
    on, listed = draft.qualified(table.name), ", ".join(parts)
    if constraint:
        sql = f"ALTER TABLE {on} ADD CONSTRAINT {pg_name(target)} {constraint} ({listed})"
    else:
        unique, using = "UNIQUE " if index.unique else "", f" USING {method}" if method else ""
        sql = f"CREATE {unique}INDEX {pg_name(target)} ON {on}{using} ({listed})"
    if index.unique:
        why = "the primary key" if constraint == "PRIMARY KEY" else "an index of the source"
        draft.do("index", table.name, sql, why)
        if index.comment:
            draft.comment(table.name, "INDEX", draft.own(target), index.comment)
    else:
        _optional(draft, table, index, target, sql, "an index of the source")
    if index.primary and not constraint:
        why = "its primary key covers prefixes, which only a unique index can: there is no PRIMARY KEY"
        draft.find(Code.P047, name, why)
    if index.unique and [part.removesuffix(" DESC") for part in parts] == columns:
        draft.unique[table.name].append(frozenset(column.lower() for column in index.columns))
    draft.done("index", name, target, "in ascending order" if index.primary else "in the same order")
    if expressions:
        draft.computed.append(Computed("index", name, target, table.name, expressions, (table.name,)))


def _optional(draft: Draft, table: Table, index: Index, target: str, sql: str, why: str) -> None:
    """Adds an index that holds no data: when the server refuses it (a value too long for a btree page), the
    run goes on and says so. Its comment is in the same statement, because it would fail without the index."""
    if index.comment:
        sql += ";\n" + comment_sql("INDEX", draft.own(target), index.comment)
    draft.do("index", table.name, sql, why, optional=True)


def _is_geometry(draft: Draft, table: Table, index: Index) -> bool:
    types = (draft.column(table.name, name).target_type for name in index.columns)
    return all(base_name(type_).endswith("geometry") for type_ in types)


def _words(draft: Draft, table: Table, index: Index) -> None:
    """A GIN index over the words of a FULLTEXT index's columns, where a map wants one."""
    columns = (f"coalesce({_reference(draft, table, part)}, '')" for part in index.parts)
    document = " || ' ' || ".join(columns)
    target, name = _name(draft, table, index), f"{table.name}.{index.name}"
    sql = (
        f"CREATE INDEX {pg_name(target)} ON {draft.qualified(table.name)} "
        f"USING gin (to_tsvector('simple', {document}))"
    )
    _optional(draft, table, index, target, sql, "a map wants a GIN index for FULLTEXT")
    draft.find(Code.P039, name, "MATCH … AGAINST becomes to_tsvector(…) @@ websearch_to_tsquery(…)")
    draft.done("index", name, target, "the words of the same columns")


def _name(draft: Draft, table: Table, index: Index, *, constraint: bool = False) -> str:
    target = draft.tables[table.name].target
    name = draft.named(table, index.name)
    wishes = [f"{target}_pkey"] if index.primary else [name, f"{target}_{name}"]
    name = draft.names.take(*wishes, also=draft.constraints(table) if constraint else None)
    if not index.primary:
        draft.called(table, "index", index.name, name)
    return name


def _reference(draft: Draft, table: Table, part: IndexPart) -> str:
    return pg_name(draft.column(table.name, part.column).target) if part.column else ""


def made_term(draft: Draft, table: Table, expression: str, context: Context) -> Term:
    """The value of an index's expression. Raises Untranslatable."""
    columns = TableColumns(table, {plan.source: plan for plan in draft.tables[table.name].columns})
    return translate(expression, columns, context)


def key_sql(term: Term) -> str:
    """The value of an index's expression, of which no map makes values equal that the source tells apart."""
    return term.bytewise if term.alike == ODDLY and not ignores_case(term.collation) else term.sql


def _part(draft: Draft, table: Table, index: Index, part: IndexPart, context: Context) -> str:
    if part.column is None:
        text = f"({key_sql(made_term(draft, table, part.expression or '', context))})"
    else:
        text = _reference(draft, table, part)
        # A prefix index may cover whole values where it is not unique, and the longest entry fits a page.
        longest = None if index.unique else longest_entry(draft, table, index)
        whole_fits = longest is not None and longest <= BTREE_BYTES
        if part.prefix and index.kind != "SPATIAL" and not whole_fits:
            to = draft.column(table.name, part.column).target_type
            text = f"substr({text}, 1, {part.prefix})" if to == "bytea" else f'"left"({text}, {part.prefix})'
            if to.rpartition(".")[2] == "citext":
                text = f"({text}::{to})"  # left() gives a text, of which case counts
    # A primary key of PostgreSQL has no order of its own; its index is read backwards as fast.
    return text + (" DESC" if part.descending and not index.primary else "")


def longest_entry(draft: Draft, table: Table, index: Index) -> int | None:
    """Bytes of the longest entry that the scan found possible; None when it did not look."""
    facts = draft.evidence.table(table.name)
    if facts is None or facts.unseen:
        return None
    return sum(facts.longest.get(name, _OTHER_BYTES) for name in index.columns)


def _notes(draft: Draft, table: Table, index: Index, parts: list[str]) -> None:
    name = f"{table.name}.{index.name}"
    if not index.visible:
        draft.find(Code.P032, name, "is invisible to the source's optimizer and visible in the target")
    pairs = zip(parts, index.parts, strict=True)
    cut = any(one.prefix and not part.startswith(_reference(draft, table, one)) for part, one in pairs)
    if cut:
        draft.find(Code.P033, name, "is a prefix index: queries must use the same left(…) to profit from it")
    longest = longest_entry(draft, table, index)
    if longest is not None and longest > BTREE_BYTES and not cut and index.columns:
        draft.find(
            Code.V031, name,
            "may be refused: an index entry of PostgreSQL has room for 2,704 bytes, after compression",
            index_entry(table, index, "skip = true"), severity="lossy" if not index.unique else "note",
            evidence=f"the longest entry has {longest:,} bytes",
        )  # fmt: skip


# ---- foreign keys --------------------------------------------------------------------------------------


def plan_foreign_keys(draft: Draft, table: Table) -> None:
    """Adds the statements of a table's foreign keys."""
    for key in table.foreign_keys:
        name = f"{table.name}.{key.name}"
        rules = draft.map.for_foreign_key(table, key)
        if setting(rules, "skip")[0]:
            draft.left(Code.P044, "foreign key", name, "a map leaves it out")
        elif reason := _refusal(draft, table, key):
            draft.left(Code.P040, "foreign key", name, reason)
        elif {name.lower() for name in key.parent_columns} not in draft.unique[key.parent]:
            reason = f"its parent {key.parent} has no unique key on {', '.join(key.parent_columns)}"
            hint = f"CREATE UNIQUE INDEX … ON {pg_name(key.parent)} (…), where its rows allow it"
            draft.left(Code.P040, "foreign key", name, reason, hint)
        else:
            _foreign_key(draft, table, key, rules)


def _foreign_key(draft: Draft, table: Table, key: ForeignKey, rules: Sequence[Rule]) -> None:
    name, child = f"{table.name}.{key.name}", draft.qualified(table.name)
    own = draft.named(table, key.name)
    target = draft.constraints(table).take(own, f"{own}_fkey", held=True)
    draft.called(table, "foreign key", key.name, target)
    on_delete, on_update = (
        action if action in _ACTIONS else "NO ACTION" for action in (key.on_delete, key.on_update)
    )
    if updates_nothing(table, key):
        draft.find(
            Code.P041,
            name,
            f"ON UPDATE {on_update} of a table to itself fails in InnoDB and becomes NO ACTION",
        )
        on_update = "NO ACTION"
    checked = setting(rules, "validate")[0] is not False
    when = " DEFERRABLE INITIALLY DEFERRED" if setting(rules, "deferrable")[0] else ""
    sql = (
        f"ALTER TABLE {child} ADD CONSTRAINT {pg_name(target)} "
        f"FOREIGN KEY ({_columns(draft, table.name, key.columns)}) "
        f"REFERENCES {draft.qualified(key.parent)} ({_columns(draft, key.parent, key.parent_columns)}) "
        f"ON DELETE {on_delete} ON UPDATE {on_update}{when} NOT VALID"
    )
    draft.do("foreign key", table.name, sql, "a foreign key of the source")
    if checked:
        sql = f"ALTER TABLE {child} VALIDATE CONSTRAINT {pg_name(target)}"
        draft.do("validate", table.name, sql, "every row is checked, none is believed")
    if odd := {key.on_delete, key.on_update} - _ACTIONS:
        draft.find(Code.P041, name, f"{odd.pop()} does nothing in InnoDB and becomes NO ACTION")
    note_orphans(draft, table, key, checked=checked)
    draft.done("foreign key", name, target, "with the same actions")


def updates_nothing(table: Table, key: ForeignKey) -> bool:
    """Whether ON UPDATE is RESTRICT, whatever it says: InnoDB does not come back to a table that it is just
    updating (MySQL manual, "FOREIGN KEY Constraints")."""
    return key.parent == table.name and key.on_update in ("CASCADE", "SET NULL")


def note_orphans(draft: Draft, table: Table, key: ForeignKey, *, checked: bool) -> None:
    """Findings about rows without a parent, and about a key that does not look for them."""
    name = f"{table.name}.{key.name}"
    count, spelled = orphans(draft, table, key)
    if not checked and not (count and count.rows):
        draft.find(Code.P043, name, UNCHECKED)
        return
    words, ways = f"have no equal parent row in {key.parent}", []
    if spelled:
        words += (
            f"; {spelled:,} of them have one that differs in what MySQL's collation ignores, such as case"
        )
        # A map's collations are for tables that the run makes.
        ways = [] if draft.loading else [*_alike(draft, table, key)]
    if checked:
        others = ["validate = false", *([] if draft.loading else ["# or: skip = true"])]
        left_out = entry("foreign_key", literally(table=table.name, foreign_key=key.name), *others)
        if ways and count and spelled == count.rows:
            left_out = "\n".join(f"# {line}" for line in ("or, which is a loss:", *left_out.splitlines()))
        ways.append(left_out)
    else:
        words += f"; the key {UNCHECKED}"
    hint = "\n\n".join(ways)
    draft.find_rows(Code.V030, name, table, count, words, hint, severity="block" if checked else "lossy")


def _alike(draft: Draft, table: Table, key: ForeignKey) -> Iterator[str]:
    """A map's entry for each text of both sides, which the target then compares as the source does."""
    for name, other in key.pairs:
        for owner, column in ((table, name), (draft.source(key.parent), other)):
            if owner is not None and counterpart(owner.column(column).collation or ""):
                yield column_entry(owner, owner.column(column), 'collation = "source"')


def _refusal(draft: Draft, table: Table, key: ForeignKey) -> str | None:
    if key.parent_database != draft.catalog.database:
        return f"its parent is in another database, {key.parent_database}"
    if key.parent not in draft.tables:
        return f"its parent {key.parent} is not migrated"
    if not (draft.has(table.name, *key.columns) and draft.has(key.parent, *key.parent_columns)):
        return "a column of it is not migrated"
    for name, other in key.pairs:
        types = draft.column(table.name, name).target_type, draft.column(key.parent, other).target_type
        if not comparable(*types):
            return f"{name} becomes {types[0]} and {key.parent}.{other} {types[1]}, which cannot be compared"
    return None


def _columns(draft: Draft, table: str, names: tuple[str, ...]) -> str:
    return ", ".join(pg_name(draft.column(table, name).target) for name in names)
