"""Primary keys, unique keys and indexes: made when their table is loaded."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.catalog import Index, IndexPart, Table
from converge.model.plan import Computed
from converge.model.quote import pg_name, pg_text
from converge.planner.comments import comment
from converge.planner.draft import Draft
from converge.translate import TableColumns, Untranslatable, translate
from converge.types import base_name

# An index entry may take a third of a page (PostgreSQL manual, "B-Tree Indexes"); its header counts, too.
BTREE_BYTES = 2600
_OTHER_BYTES = 16


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
            _plan(draft, table, index, "gist")
        elif index.kind in ("FULLTEXT", "SPATIAL"):
            draft.left(
                Code.P030,
                "index",
                name,
                f"a {index.kind} index has no exact counterpart",
                _advice(table, index),
            )
        else:
            _plan(draft, table, index, method)


def _plan(draft: Draft, table: Table, index: Index, method: str | None) -> None:
    name = f"{table.name}.{index.name}"
    try:
        parts = [_part(draft, table, index, part) for part in index.parts]
        refused = _refused(draft, table, index, parts)
    except Untranslatable as reason:
        refused = str(reason)
    if refused:
        terms = ", ".join(part.column or part.expression or "" for part in index.parts)
        draft.left(Code.P031, "index", name, f"{refused}; it was on {terms}")
        return
    on = draft.qualified(table.name)
    columns = ", ".join(parts)
    _notes(draft, table, index, parts)
    cut = index.primary and any("(" in part for part in parts)
    plain = all(part == _reference(draft, table, one) for part, one in zip(parts, index.parts, strict=True))
    made = _name(draft, table, index, constraint=index.unique and plain)
    if index.primary and not cut:
        sql = f"ALTER TABLE {on} ADD CONSTRAINT {pg_name(made)} PRIMARY KEY ({columns})"
        draft.do("index", table.name, sql, "the primary key")
    else:
        if cut:
            why = "its primary key covers prefixes, which only a unique index can: there is no PRIMARY KEY"
            draft.find(Code.P047, "lossy", name, why)
        if index.unique and plain:
            sql = f"ALTER TABLE {on} ADD CONSTRAINT {pg_name(made)} UNIQUE ({columns})"
        else:
            unique = "UNIQUE " if index.unique else ""
            using = f" USING {method}" if method else ""
            sql = f"CREATE {unique}INDEX {pg_name(made)} ON {on}{using} ({columns})"
        # A plain index holds no data: when the server refuses it (a value too long for a btree page),
        # the run goes on and says so.
        draft.do("index", table.name, sql, "an index of the source", optional=not index.unique)
    if index.comment:
        comment(draft, table.name, "INDEX", pg_name(draft.schema, made), index.comment)
    if index.unique and all(
        part.removesuffix(" DESC") == _reference(draft, table, one)
        for part, one in zip(parts, index.parts, strict=True)
    ):
        draft.unique[table.name].append(frozenset(column.lower() for column in index.columns))
    order = "in ascending order" if index.primary else "in the same order"
    draft.done("index", name, made, order)
    expressions = tuple(
        (place, part.expression) for place, part in enumerate(index.parts, 1) if part.expression
    )
    if expressions:
        draft.computed.append(Computed("index", name, made, table.name, expressions, (table.name,)))


def _is_geometry(draft: Draft, table: Table, index: Index) -> bool:
    types = (draft.column(table.name, name).target_type for name in index.columns)
    return all(base_name(type_).endswith("geometry") for type_ in types)


def _columns(draft: Draft, table: Table) -> TableColumns:
    return TableColumns(table, {plan.source: plan for plan in draft.tables[table.name].columns})


def _refused(draft: Draft, table: Table, index: Index, parts: list[str]) -> str | None:
    """Why the target would not make an index over expressions, where it was tried."""
    if all(part.expression is None for part in index.parts):
        return None
    sql = f"CREATE INDEX ON {draft.qualified(table.name)} ({', '.join(parts)})"
    return draft.refusal("index", f"{table.name}.{index.name}", sql, (table.name,))


def _words(draft: Draft, table: Table, index: Index) -> None:
    """A GIN index over the words of a FULLTEXT index's columns, where a map wants one."""
    columns = [pg_name(draft.column(table.name, name).target) for name in index.columns]
    document = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
    made = _name(draft, table, index)
    sql = (
        f"CREATE INDEX {pg_name(made)} ON {draft.qualified(table.name)} "
        f"USING gin (to_tsvector({pg_text('simple')}, {document}))"
    )
    draft.do("index", table.name, sql, "a map wants a GIN index for FULLTEXT", optional=True)
    name = f"{table.name}.{index.name}"
    draft.find(Code.P039, "note", name, "MATCH … AGAINST becomes to_tsvector(…) @@ websearch_to_tsquery(…)")
    draft.done("index", name, made, "the words of the same columns")


def _name(draft: Draft, table: Table, index: Index, *, constraint: bool = False) -> str:
    target = draft.tables[table.name].target
    also = draft.constraints(table) if constraint else None
    if index.primary:
        return draft.names.take(f"{target}_pkey", also=also)
    name = draft.names.take(index.name, f"{target}_{index.name}", also=also)
    draft.called(table, "index", index.name, name)
    return name


def _reference(draft: Draft, table: Table, part: IndexPart) -> str:
    return pg_name(draft.column(table.name, part.column).target) if part.column else ""


def _part(draft: Draft, table: Table, index: Index, part: IndexPart) -> str:
    if part.column is None:
        text = f"({translate(part.expression or '', _columns(draft, table), immutable=True)})"
    else:
        text = _reference(draft, table, part)
        if part.prefix and index.kind != "SPATIAL" and not _whole_fits(draft, table, index):
            binary = draft.column(table.name, part.column).target_type == "bytea"
            text = f"substr({text}, 1, {part.prefix})" if binary else f'"left"({text}, {part.prefix})'
    # A primary key of PostgreSQL has no order of its own; its index is read backwards as fast.
    return text + (" DESC" if part.descending and not index.primary else "")


def _whole_fits(draft: Draft, table: Table, index: Index) -> bool:
    """Whether a prefix index may cover whole values: it is not unique, and the longest entry fits a page."""
    longest = _longest(draft, table, index)
    return not index.unique and longest is not None and longest <= BTREE_BYTES


def _longest(draft: Draft, table: Table, index: Index) -> int | None:
    """Bytes of the longest entry that the scan found possible; None when it did not look."""
    facts = draft.evidence.table(table.name)
    if facts is None or facts.unseen:
        return None
    return sum(facts.longest.get(name, _OTHER_BYTES) for name in index.columns)


def _notes(draft: Draft, table: Table, index: Index, parts: list[str]) -> None:
    name = f"{table.name}.{index.name}"
    if not index.visible:
        draft.find(
            Code.P032, "note", name, "is invisible to the source's optimizer and visible in the target"
        )
    cut = any("(" in part for part, one in zip(parts, index.parts, strict=True) if one.prefix)
    if cut:
        draft.find(
            Code.P033, "note", name, "is a prefix index: queries must use the same left(…) to profit from it"
        )
    longest = _longest(draft, table, index)
    if longest is not None and longest > BTREE_BYTES and not cut and any(one.column for one in index.parts):
        draft.find(
            Code.V031, "lossy" if not index.unique else "note", name,
            "may be refused: an index entry of PostgreSQL has room for 2,704 bytes, after compression",
            _entry(table, index, "skip = true"), evidence=f"the longest entry has {longest:,} bytes",
        )  # fmt: skip


def _advice(table: Table, index: Index) -> str:
    return _entry(table, index, 'method = "gin"') if index.kind == "FULLTEXT" else ""


def _entry(table: Table, index: Index, line: str) -> str:
    """A map's entry for one index, to be pasted."""
    return entry("index", literally(table=table.name, index=index.name), line)
