"""Which of the target's own tables and columns take the source's: by a map, by name, by case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from converge.mapping.rules import Map, Rule, setting
from converge.model.catalog import Catalog, Column, ForeignKey, Index, IndexPart, Table
from converge.model.existing import Existing, OwnColumn, OwnForeignKey, OwnIndex, OwnTable
from converge.planner.using import made_kind
from converge.types import accepts, family_of, normal

# lower((email)::text), and MySQL's lower(`email`).
_FOLDED = re.compile(r'(lower|upper)\(\(?(?:(\w+)|"((?:[^"]|"")+)"|`((?:[^`]|``)+)`)\)?(?:::text)?\)')

Part = tuple[str, str]
"""What a key compares: `lower`, `upper` or nothing, of a column."""


@dataclass(frozen=True)
class Match:
    """One source table with the target's table that takes its rows."""

    source: Table
    """As the catalog has it: `Loading.catalog` has the target's keys instead."""
    own: OwnTable
    columns: Mapping[str, OwnColumn]
    """By source column; those that the target lacks are not in it."""

    @cached_property
    def sources(self) -> Mapping[str, str]:
        """Source columns by the target's names."""
        return {own.name: source for source, own in self.columns.items()}

    def target(self, column: str) -> str:
        """The target's name of a source column; empty where it has none."""
        return self.columns[column].name if column in self.columns else ""


@dataclass(frozen=True)
class Loading:
    """The target's own schema, matched with the source."""

    existing: Existing
    matches: Mapping[str, Match]
    """By source table."""
    catalog: Catalog
    """The source with the target's nullability, unique keys and foreign keys, which its rows must satisfy."""
    map: Map
    """The maps, and before them a rule for each column that the target's can hold."""

    @cached_property
    def by_quoted(self) -> Mapping[str, Match]:
        """The matches by the quoted names of the target's tables."""
        return {one.own.quoted: one for one in self.matches.values()}

    @cached_property
    def free(self) -> tuple[OwnTable, ...]:
        """The target's tables that take nothing."""
        return tuple(own for own in self.existing.tables if own.quoted not in self.by_quoted)

    @cached_property
    def using(self) -> tuple[tuple[str, str], ...]:
        """The target's objects, with their texts, that may not let a column that they use change its type."""
        return tuple((name, text) for name, text in self.existing.shape.items() if _uses(name, text))

    def parent(self, key: ForeignKey) -> Match | None:
        """The match of the table that a key of the source refers to, which need not be loaded itself."""
        if key.parent_database != self.catalog.database:
            return None
        if key.parent in self.matches:
            return self.matches[key.parent]
        table = next((one for one in self.catalog.tables if one.name == key.parent), None)
        return _match(table, self.map, self.existing) if table else None

    def sequence(self, schema: str, table: Table) -> Mapping[str, Any] | None:
        """What the catalog says of the target's sequence that has the table's name; None without one."""
        name = setting(self.map.for_table(table), "rename")[0] or table.name
        found = (self.existing.sequence(schema, one) for one in dict.fromkeys((name, name.lower())))
        return next(filter(None, found), None)


def _uses(name: str, text: str) -> bool:
    return (
        name.startswith(("view ", "materialized view ", "policy ", "rule "))
        or (name.startswith("publication ") and '"condition"' in text)
        or (name.startswith("trigger ") and (" UPDATE OF " in text or " WHEN (" in text))
        or (name.startswith("function ") and "BEGIN ATOMIC" in text)
    )


def match(catalog: Catalog, tables: Iterable[Table], map_: Map, existing: Existing) -> Loading:
    """Finds a place for every table and column that has one."""
    found = ((table.name, _match(table, map_, existing)) for table in tables)
    matches = {name: match for name, match in found if match is not None}
    loading = Loading(existing, matches, catalog, map_)
    seen = (
        _seen(loading, matches[table.name]) if table.name in matches else table for table in catalog.tables
    )
    why = "the type of the target's own column"
    rules = {
        (table, column): Rule("target", "the target", {}, {"to": held_type(own), "labels": own.labels}, why)
        for table, one in matches.items()
        for column, own in one.columns.items()
        if _takes(one.source, one.source.column(column), own, map_)
    }
    return replace(loading, catalog=replace(catalog, tables=tuple(seen)), map=replace(map_, own=rules))


def alike(name: str, others: Iterable[str]) -> str | None:
    """The most similar of some names, whatever their case and underscores; None where none is similar."""
    plain = {_plain(other): other for other in others}
    found = get_close_matches(_plain(name), plain, 1)
    return plain[found[0]] if found else None


def _match(table: Table, map_: Map, existing: Existing) -> Match | None:
    wish = setting(map_.for_table(table), "rename")[0]
    name = _place(wish or table.name, existing.by_name)
    own = existing.by_name[name] if name is not None else None
    return Match(table, own, _columns(table, own, map_)) if own else None


def _place(name: str, there: Mapping[str, object]) -> str | None:
    """The name itself, or the only one that differs by nothing but case."""
    if name in there:
        return name
    same = [other for other in there if other.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _columns(table: Table, own: OwnTable, map_: Map) -> dict[str, OwnColumn]:
    there = {column.name: column for column in own.columns}
    found = {}
    for column in table.columns:
        rules = map_.for_column(table, column, identity=False)
        name = _place(setting(rules, "rename")[0] or column.name, there)
        if name is not None and not setting(rules, "skip")[0]:
            found[column.name] = there[name]
    return found


def _takes(table: Table, column: Column, own: OwnColumn, map_: Map) -> bool:
    """Whether the target's type can hold values of the source's, or of a map's expression, at all."""
    if family_of(column) is None:
        return False
    made = made_kind(column, held_type(own), map_.for_column(table, column, identity=False))
    return accepts(made, held_type(own), own.labels)


def folded(expression: str) -> Part | None:
    """The part that is lower() or upper() of a column, as a server prints it; None for another expression."""
    found = _FOLDED.fullmatch(expression)
    if found is None:
        return None
    function, plain, quoted, ticked = found.groups("")
    return function, plain or quoted.replace('""', '"') or ticked.replace("``", "`")


def own_parts(index: OwnIndex) -> list[Part | None]:
    """The parts of an index of the target; None for an expression of another kind."""
    # Records of earlier versions have no keys.
    printed = index.keys or index.columns
    return [("", name) if name else folded(key) for name, key in zip(index.columns, printed, strict=True)]


def held_type(own: OwnColumn) -> str:
    """The type of the target's column as a rule names it."""
    return "enum" if own.labels else normal(own.base)


def _seen(loading: Loading, one: Match) -> Table:
    """The source's table with what the target asks of its rows."""
    keys = (_index(index, one.sources) for index in one.own.indexes)
    return replace(
        one.source,
        columns=tuple(
            replace(column, nullable=own.nullable) if (own := one.columns.get(column.name)) else column
            for column in one.source.columns
        ),
        indexes=(
            *(index for index in one.source.indexes if index.primary),
            *(key for key in keys if key is not None),
        ),
        foreign_keys=tuple(
            _foreign_key(key, one, parent, loading.catalog.database)
            for key in loading.existing.foreign_keys
            if key.table == one.own.quoted
            and (parent := loading.by_quoted.get(key.parent)) is not None
            and set(key.columns) <= one.sources.keys()
            and set(key.parent_columns) <= parent.sources.keys()
        ),
    )


def _foreign_key(key: OwnForeignKey, child: Match, parent: Match, database: str) -> ForeignKey:
    columns = tuple(child.sources[column] for column in key.columns)
    parents = tuple(parent.sources[column] for column in key.parent_columns)
    return ForeignKey(key.name, columns, database, parent.source.name, parents, "NO ACTION", "NO ACTION")


def _index(index: OwnIndex, sources: Mapping[str, str]) -> Index | None:
    """The target's key over the source's columns; None where it has others, or is about some rows only."""
    if not all(name in sources for name in index.columns) or index.predicate:
        return None
    kind = "BTREE" if index.method == "btree" else index.method.upper()
    return Index(index.name, index.unique, kind, tuple(IndexPart(sources[name]) for name in index.columns))
