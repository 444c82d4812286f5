"""Primary keys, unique keys and indexes: made when their table is loaded."""

from __future__ import annotations

from converge.model.catalog import Index, IndexPart, Table
from converge.model.quote import pg_name
from converge.planner.comments import comment
from converge.planner.draft import Draft
from converge.planner.expressions import Untranslatable, translate


def plan_indexes(draft: Draft, table: Table) -> None:
    """Adds the statements of all indexes of a table."""
    # The primary key first: it has the first right to its name.
    for index in sorted(table.indexes, key=lambda index: not index.primary):
        name = f"{table.name}.{index.name}"
        if index.kind in ("FULLTEXT", "SPATIAL"):
            why = f"a {index.kind} index has no exact counterpart"
            draft.left(
                "P030", "index", name, why, "a GIN index on to_tsvector(…), if the application searches"
            )
            continue
        try:
            parts = [_part(draft, table, part) for part in index.parts]
        except Untranslatable as reason:
            draft.left("P031", "index", name, f"{reason}: {index.parts}")
            continue
        _plan(draft, table, index, parts)


def _plan(draft: Draft, table: Table, index: Index, parts: list[str]) -> None:
    target = draft.tables[table.name].target
    on = draft.qualified(table.name)
    columns = ", ".join(parts)
    plain = all(part.column and not part.prefix and not part.descending for part in index.parts)
    name = f"{table.name}.{index.name}"
    notes = _notes(draft, name, index)
    if index.primary:
        made = draft.names.take(f"{target}_pkey")
        sql = f"ALTER TABLE {on} ADD CONSTRAINT {pg_name(made)} PRIMARY KEY ({columns})"
        draft.do("index", table.name, sql, "the primary key")
    else:
        made = draft.names.take(index.name, f"{target}_{index.name}")
        if index.unique and plain:
            sql = f"ALTER TABLE {on} ADD CONSTRAINT {pg_name(made)} UNIQUE ({columns})"
        else:
            unique = "UNIQUE " if index.unique else ""
            sql = f"CREATE {unique}INDEX {pg_name(made)} ON {on} ({columns})"
        # A plain index holds no data: when the server refuses it (a value too long for a btree page),
        # the run goes on and says so.
        draft.do("index", table.name, sql, "an index of the source", optional=not index.unique)
    if index.comment:
        comment(draft, table.name, "INDEX", pg_name(draft.schema, made), index.comment)
    draft.done("index", name, made, "in the same order", note=notes)


def _part(draft: Draft, table: Table, part: IndexPart) -> str:
    if part.column is None:
        text = f"({translate(part.expression or '')})"
    else:
        reference = pg_name(draft.column(table.name, part.column).target)
        source = table.column(part.column)
        text = reference
        if part.prefix:
            binary = source.charset is None
            text = (
                f"substr({reference}, 1, {part.prefix})" if binary else f'"left"({reference}, {part.prefix})'
            )
    return text + (" DESC" if part.descending else "")


def _notes(draft: Draft, name: str, index: Index) -> bool:
    if not index.visible:
        draft.find("P032", "note", name, "is invisible to the source's optimizer and visible in the target")
    prefix = any(part.prefix for part in index.parts)
    if prefix:
        draft.find(
            "P033", "note", name, "is a prefix index: queries must use the same left(…) to profit from it"
        )
    return prefix or not index.visible
