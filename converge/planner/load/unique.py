"""The target's unique keys: rows that it would refuse are counted before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.codes import Code
from converge.model.catalog import Index, IndexPart, Table
from converge.model.evidence import Search
from converge.model.existing import OwnIndex
from converge.planner.draft import Draft
from converge.planner.duplicates import Part, parts_of, search, unique_keys
from converge.planner.load.checks import arriving
from converge.planner.load.conditions import on_source
from converge.planner.load.match import Match
from converge.planner.values import rows_words, said


def searches(draft: Draft, match: Match, table: Table) -> Iterator[Search]:
    """A question for each unique key that the source's own do not answer."""
    return (search_ for _, search_ in _searches(draft, match, table))


def note_duplicates(draft: Draft, match: Match, table: Table) -> None:
    """A finding for each key that the rows would break, and for those that could not be tested."""
    facts = draft.evidence.table(table.name)
    asked = list(_searches(draft, match, table))
    for index, search_ in asked:
        count = facts.found.get(search_.name) if facts else None
        if count and count.rows:
            draft.find(
                Code.L007, "block", f"{table.name}.{index.name}",
                said(count.rows, f"have the same {', '.join(index.columns)} as others")
                + ", which the target's unique key refuses",
                "repair the rows in the source, or a map's expression or policy that has made them equal",
                evidence=rows_words(table, count),
            )  # fmt: skip
    tested = {index.name for index in (*table.indexes, *(index for index, _ in asked))}
    for own in match.own.indexes:
        if own.unique and own.name not in tested:
            draft.find(
                Code.L012, "note", f"{table.name}.{own.name}",
                f"is unique {_which(own)}: the rows are not tested before, but when the key is put back",
            )  # fmt: skip


def _which(own: OwnIndex) -> str:
    return f"where {own.predicate}" if own.predicate else "by an expression"


def _new(draft: Draft, match: Match, table: Table) -> Iterator[tuple[Index, Sequence[Part]]]:
    """The target's unique keys that no key of the source covers, or that take more values for equal."""
    known = [
        frozenset(index.columns)
        for index in match.source.indexes
        if index.unique and not any(part.prefix or part.column is None for part in index.parts)
    ]
    own = {index.name: index for index in match.own.indexes}
    for index in unique_keys(draft, table):
        if index.primary:
            continue
        parts = parts_of(draft, table, index)
        covered = any(keys <= frozenset(index.columns) for keys in known) and own[index.name].nulls_distinct
        if not covered or any(part.way_out for part in parts):
            yield index, parts


def _searches(draft: Draft, match: Match, table: Table) -> Iterator[tuple[Index, Search]]:
    own = {index.name: index for index in match.own.indexes}
    for index, parts in _new(draft, match, table):
        yield index, search(table, parts, nulls_distinct=own[index.name].nulls_distinct)
    for partial in match.own.indexes:
        if not (partial.unique and partial.predicate and set(partial.columns) <= match.sources.keys()):
            continue
        condition = on_source(partial.predicate, arriving(draft, match, table))
        if condition is not None:
            columns = tuple(IndexPart(match.sources[name]) for name in partial.columns)
            index = Index(partial.name, unique=True, kind="BTREE", parts=columns)
            parts = parts_of(draft, table, index)
            yield index, search(table, parts, nulls_distinct=partial.nulls_distinct, only=condition)
