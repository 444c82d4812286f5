"""Keys and indexes that the target's later rows and queries miss."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

from converge.codes import Code
from converge.model.catalog import Index, Table
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted
from converge.planner.difference.statements import WHOLE
from converge.planner.draft import Draft
from converge.planner.keys import BTREE_BYTES, later_index
from converge.planner.lint.retype import referring, retype
from converge.types import TEXTUAL, family_of

_NEAR_END = 0.7
"""Share of its numbers that a sequence has given."""
_FILLED = re.compile(r'\(*("(?:[^"]|"")+"|[^\s"()]+) IS NOT NULL\)*')
"""As PostgreSQL prints it: ((a IS NOT NULL) AND ("B" IS NOT NULL))."""
Arriving = Container[tuple[str, str]]
"""Kinds and names of the source's objects that the target gets."""


def note_keys(draft: Draft, tables: Sequence[Table]) -> None:
    """Findings about foreign keys, primary keys, sequences and long values; large tables first."""
    # Once: the draft may have a hundred thousand outcomes.
    arriving = {(one.kind, one.name) for one in draft.outcomes if one.becomes}
    # What is one finding for many names them in the source's order: MySQL estimates other rows each time.
    for table in sorted(tables, key=lambda table: -table.rows_estimate):
        _note_references(draft, table, arriving)
    _note_keyless(draft, tables)
    for one in draft.identities:
        _note_sequence(draft, one.table, one.column, one.next_value)
    _note_explicit(draft)
    for table in tables:
        _note_width(draft, table, arriving)


def _note_references(draft: Draft, table: Table, arriving: Arriving) -> None:
    """Foreign keys whose columns no index of the target begins with. InnoDB has one for each (MySQL 8.0
    manual, "FOREIGN KEY Constraints"); PostgreSQL makes none."""
    indexes = list(_indexes(draft, table, arriving))
    missing = [
        columns
        for columns in dict.fromkeys(_references(draft, table, arriving))
        if not any(
            set(index[: len(columns)]) == set(columns) and filled <= set(columns) for index, filled in indexes
        )
    ]
    if missing:
        listed = ", ".join(f"({', '.join(columns)})" for columns in missing)
        sql = "\n".join(later_index(draft.qualified(table.name), columns) for columns in missing)
        message = f"no index for the foreign keys on {listed}: each DELETE of a parent reads the whole table"
        draft.find(
            Code.F003, table.name, message, sql, evidence=f"about {counted(table.rows_estimate, 'row')}"
        )


def _references(draft: Draft, table: Table, arriving: Arriving) -> Iterator[tuple[str, ...]]:
    """The columns of the target's foreign keys, by their names there."""
    if draft.loading:
        quoted = draft.loading.matches[table.name].own.quoted
        yield from (key.columns for key in draft.loading.existing.foreign_keys if key.table == quoted)
        return
    for key in table.foreign_keys:
        if ("foreign key", f"{table.name}.{key.name}") in arriving:
            yield tuple(draft.column(table.name, name).target for name in key.columns)


def _indexes(
    draft: Draft, table: Table, arriving: Arriving
) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
    """The columns of the target's indexes, by their names there, and those without whose value a row is not
    in a partial one."""
    if draft.loading:
        for own in draft.loading.matches[table.name].own.indexes:
            filled = _filled(own.predicate) if own.predicate else frozenset[str]()
            if own.method in ("btree", "hash") and filled is not None:
                yield own.columns, filled
        return
    for index in _arriving(table, arriving):
        columns = (
            draft.column(table.name, part.column).target if part.column and not part.prefix else ""
            for part in index.parts
        )
        yield tuple(columns), frozenset()


def _filled(predicate: str) -> frozenset[str] | None:
    """The columns that a partial index wants to be filled; None where it wants something else."""
    names = [_FILLED.fullmatch(part) for part in predicate.split(" AND ")]
    if not all(names):
        return None
    return frozenset(found[1].strip('"').replace('""', '"') for found in names if found)


def _arriving(table: Table, arriving: Arriving) -> Iterator[Index]:
    """The source's B-tree indexes that the target gets."""
    for index in table.indexes:
        if index.kind == "BTREE" and ("index", f"{table.name}.{index.name}") in arriving:
            yield index


def _note_keyless(draft: Draft, tables: Sequence[Table]) -> None:
    keyless = []
    for table in tables:
        own = draft.loading.matches[table.name].own.key if draft.loading else draft.tables[table.name].keys
        if not own:
            keyless.append(table.name)
    if keyless:
        message = (
            f"tables without a primary key, which logical replication and ORMs need: {', '.join(keyless)}"
        )
        sql = "\n".join(f"ALTER TABLE {draft.qualified(name)} REPLICA IDENTITY FULL;" for name in keyless)
        draft.find(Code.F011, draft.schema, message, f"{sql}\n-- or a primary key")


def _note_sequence(draft: Draft, table: str, column: str, next_value: int) -> None:
    type_ = draft.column(table, column).target_type
    largest = WHOLE.get(type_)
    if largest and next_value > _NEAR_END * largest:
        message = f"the next number is {next_value:,}, and {type_} ends at {largest:,}"
        source = draft.source(table)
        sql = _longer(draft, source, column) if source and type_ != "bigint" else ""
        draft.find(Code.F010, f"{table}.{column}", message, sql)


def _note_explicit(draft: Draft) -> None:
    """Sequences that do not follow a number which an INSERT gives; the statement for the first of them.

    An application whose migrations have made the target knows its sequences.
    """
    if not draft.identities or draft.loading is not None:
        return
    names = ", ".join(f"{one.table}.{one.column}" for one in draft.identities)
    first = draft.identities[0]
    plan = draft.column(first.table, first.column)
    number = pg_name(plan.target) + "::bigint" * (plan.target_type not in WHOLE)
    # Never back: numbers of rows that were deleted do not come again.
    last = f"greatest((SELECT max({number}) FROM {draft.qualified(first.table)}), last_value)"
    sql = f"SELECT setval({pg_text(plan.sequence)}, {last}) FROM {plan.sequence};"
    likewise = ", and likewise for the others" if len(draft.identities) > 1 else ""
    message = f"an INSERT that gives a number does not move the sequence of these columns: {names}"
    draft.find(
        Code.F014, draft.schema, message, f"-- after such an INSERT into {first.table}{likewise}:\n{sql}"
    )


def _longer(draft: Draft, table: Table, column: str) -> str:
    """The column as a bigint, those that refer to it, and its sequence: an identity column's follows by
    itself."""
    sql = retype(draft, table, column, "bigint")
    for name, other in referring(draft, table.name, column):
        child = draft.source(name)
        if child is not None and draft.column(name, other).target_type != "bigint":
            sql += f"\n{retype(draft, child, other, 'bigint')}"
    own = draft.loading.matches[table.name].columns[column] if draft.loading else None
    if own and own.sequence and not own.identity:
        sql += f"\nALTER SEQUENCE {own.sequence} AS bigint;"
    return sql


def _note_width(draft: Draft, table: Table, arriving: Arriving) -> None:
    """Indexed texts that may be longer than an entry of a B-tree, though those of today fit."""
    for index in _arriving(table, arriving) if draft.loading is None else ():
        wide = [
            part.column
            for part in index.parts
            if part.column and not part.prefix and table.column(part.column).type in TEXTUAL
        ]
        families = [(table.column(name), family_of(table.column(name))) for name in wide]
        most = sum(family.most(column) for column, family in families if family)
        if most > BTREE_BYTES:
            message = (
                f"values of {', '.join(wide)} may take {most:,} bytes, and an index entry {BTREE_BYTES:,}: "
                "longer ones are refused"
            )
            draft.find(Code.F012, f"{table.name}.{index.name}", message)
