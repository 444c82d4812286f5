"""The planned tables as they are followed: by keys, or as a whole, and who refers to whom.

A foreign key of the source that cascades changes rows which the log does not tell of (MySQL 8.0 manual,
"InnoDB and FOREIGN KEY Constraints": cascaded actions are not written to the binary log).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pymysql

from converge.codes import Code
from converge.errors import BlockedError
from converge.following.changes import Watched
from converge.following.keys import Literal, OfText, literal_of, of_text
from converge.model.catalog import Catalog, ForeignKey, Table
from converge.model.existing import Existing, OwnForeignKey, OwnTable
from converge.model.plan import Plan
from converge.model.quote import my_name, pg_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.chunks import literal
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import changed_keys, has_two_spellings, row_digest
from converge.mysql.digest import number as digest_number
from converge.mysql.query import fetch
from converge.mysql.rows import row_text
from converge.postgres.saved import is_whole
from converge.types import TEXTUAL
from converge.types.sql import base_name

DIGEST = '"converge.digest"'
"""Column beside a row: its digest in the source."""
CHANGED = '"converge.changed"'
"""Column beside a row or a key: whether the key arrives as another value."""
MOVED = '"converge.moved"'
"""Column beside a key: whether rows that refer to it may have changed with it."""
_FLAG = ColumnPlan("converge.moved", "converge.moved", "", "boolean", False, "", "", read="`converge.moved`")
_NO_LITERALS = frozenset({"enum", "bit"})
_WHOLE_NUMBER = re.compile("(?:tiny|small|medium|big)?int")
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric"})
"""Types of the target that are compared with one another."""
_CASCADES = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(frozen=True, slots=True)
class Child:
    """A foreign key of another table to this one, whose rows change with this one's."""

    table: int
    """The number of the table that has it."""
    on: tuple[tuple[str, str], ...]
    """Pairs of quoted columns of the target: the child's, and the parent's. Empty where its rows cannot be
    found, so that the whole table goes with any row of the parent that moves."""
    in_source: str = ""
    """Where a cascade changes the child's own key: SELECT of its keys as literals, from `c` and the parent
    `p`."""
    checked: bool = False
    """Whether the target's own key has checked all rows, so that each has a parent."""


@dataclass(frozen=True)
class Followed:
    """A table of the plan."""

    number: int
    plan: TablePlan
    own: OwnTable
    watched: Watched
    literals: tuple[Literal, ...]
    """Of the key's columns; empty where only the whole table can be replaced."""
    of_texts: tuple[OfText | None, ...]
    children: tuple[Child, ...] = ()
    held: bool = True
    """Whether a view of the source holds its rows still, as InnoDB alone does."""
    pieces: tuple[str | int, ...] = ()
    """MySQL expression of the key as COPY takes it: texts, and the places of the key's literals."""
    changed: str = ""
    """`changed_keys`: MySQL condition of rows after which the whole table goes with each change."""
    hidden: str = ""
    """The same of keys that the log gives, as far as their literals tell it."""
    spelled: tuple[bool, ...] = ()
    """Of the key's columns, whether rows are found by another spelling, too: `has_two_spellings`."""

    @property
    def name(self) -> str:
        """The target's table, quoted."""
        return self.own.quoted

    @property
    def key_names(self) -> tuple[str, ...]:
        """Quoted columns of the target's key."""
        return tuple(pg_name(column.target) for column in self.plan.keys)

    @property
    def keys(self) -> str:
        """The same as a list."""
        return ",".join(self.key_names)

    @property
    def exact_keys(self) -> str:
        """The same list, in which only those values are equal that are spelled alike."""
        return ",".join(f'{name}::text COLLATE "C"' for name in self.key_names)

    @property
    def numbered(self) -> bool:
        """Whether its key has nothing but integers, which only have one spelling."""
        return all(_WHOLE_NUMBER.match(column.source_type) for column in self.plan.keys)

    @property
    def by_key(self) -> bool:
        """Whether rows that the target finds can be replaced by their keys."""
        return bool(self.literals) and None not in self.of_texts

    @property
    def told_by_key(self) -> bool:
        """Whether the target takes for equal what the source does: not of texts, whose collations may ignore
        case, accents or spaces."""
        return not any(column.source_type.partition("(")[0] in TEXTUAL for column in self.plan.keys)

    @property
    def columns(self) -> str:
        """Quoted columns that COPY fills."""
        return ",".join(pg_name(column.target) for column in self.plan.copied)

    @property
    def key_plan(self) -> TablePlan:
        """The table with nothing but its key, which the target does not compute, and whether that has moved,
        and arrives as another value."""
        keys = (replace(one, generated=None) for one in self.plan.keys)
        return replace(self.plan, columns=(*keys, _FLAG, _arrives_as_other(self.hidden)))

    @property
    def row_plan(self) -> TablePlan:
        """The table with the digest of each row, as the source makes it of what it has stored, and whether
        its key arrives as another value."""
        digest = digest_number(row_digest(self.plan))
        column = replace(
            _FLAG, source=DIGEST, target=DIGEST, nullable=True, read=digest, is_null=f"{digest} IS NULL"
        )
        return replace(self.plan, columns=(*self.plan.columns, column, _arrives_as_other(self.changed)))

    @property
    def spellings(self) -> int:
        """By how many spellings a key is looked for."""
        return 1 << sum(self.spelled)

    def where(self, keys: Sequence[Sequence[str]], alias: str = "") -> str:
        """The source's rows with these keys, and any that its collations take for equal, or that are the same
        UUIDs."""
        of = f"{my_name(alias)}." if alias else ""
        names = [f"{of}{my_name(name)}" for name in self.plan.key]
        listed = ",".join(f"({','.join(one)})" for key in keys for one in product(*self._spellings(key)))
        force = "" if alias else " FORCE INDEX (PRIMARY)"
        return f"{force} WHERE ({','.join(names)}) IN ({listed})"

    def _spellings(self, key: Sequence[str]) -> Iterator[tuple[str, ...]]:
        for literal_, spelled in zip(key, self.spelled, strict=False):
            plain = f"REPLACE({literal_},'-','')"
            hyphens = f"INSERT(INSERT(INSERT(INSERT({plain},9,0,'-'),14,0,'-'),19,0,'-'),24,0,'-')"
            yield (plain, hyphens) if spelled else (literal_,)

    def key_text(self, literals: Sequence[str]) -> str:
        """The expression for this key."""
        return "".join(piece if isinstance(piece, str) else literals[piece] for piece in self.pieces)


def _arrives_as_other(condition: str) -> ColumnPlan:
    return replace(_FLAG, source=CHANGED, target=CHANGED, read=f"IF({condition or 0},1,0)")


def followed(
    source: WatchedConnection, catalog: Catalog, plan: Plan, existing: Existing
) -> tuple[Followed, ...]:
    """The plan's tables, in its order. Raises BlockedError for those that cannot be kept up to date."""
    by_name = {table.name: table for table in catalog.tables}
    numbers = {table.source: number for number, table in enumerate(plan.tables)}
    tables = []
    for number, table in enumerate(plan.tables):
        own = _require_followed(table, existing.by_name.get(table.target))
        if off := [key for key in existing.keys_of({own.quoted}) if key.off]:
            raise BlockedError(
                f"{table.source} cannot be followed: the foreign key {off[0].name} on {off[0].table} "
                "is switched off, and could not be restored so",
                code=Code.W007,
                hint=off[0].switch_on,
            )
        _require_followed_parents(by_name[table.source], catalog.database, numbers)
        tables.append(_followed(source, number, table, own, by_name[table.source]))
    for here in [by_name[table.source] for table in plan.tables]:
        for key in _cascades(here):
            parent = numbers[key.parent]
            child = _child(numbers[here.name], plan, here, key)
            own_keys = [*_own_keys(existing, tables[child.table], tables[parent], key)]
            if not _found_by_equality(plan, own_keys, tables[child.table], tables[parent], key):
                child = Child(child.table, ())
            child = replace(child, checked=any(own.validated for own in own_keys))
            tables[parent] = _with_child(tables[parent], by_name[key.parent], child, key)
    return tuple(tables)


def _cascades(table: Table) -> list[ForeignKey]:
    return [key for key in table.foreign_keys if {key.on_delete, key.on_update} & _CASCADES]


def _require_followed_parents(table: Table, database: str, numbers: Mapping[str, int]) -> None:
    """Raises BlockedError for rows that change with those of a table whose changes nobody looks at."""
    for key in _cascades(table):
        if key.parent_database != database or key.parent not in numbers:
            raise BlockedError(
                f"{table.name} cannot be followed: {key.name} changes its rows with those of "
                f"{key.parent_database}.{key.parent}, which is not followed, and the binary log is silent",
                code=Code.W007,
                hint=f"migrate with {key.parent}, or without {table.name}; or converge sync",
            )


def _own_keys(
    existing: Existing, child: Followed, parent: Followed, key: ForeignKey
) -> Iterator[OwnForeignKey]:
    """The target's keys that are this one."""
    ours = {column.source: column.target for column in child.plan.columns}
    theirs = {column.source: column.target for column in parent.plan.columns}
    wanted = {(ours.get(one), theirs.get(other)) for one, other in key.pairs}
    for own in existing.foreign_keys:
        if (own.table, own.parent) == (child.name, parent.name) and {
            *zip(own.columns, own.parent_columns, strict=True)
        } == wanted:
            yield own


def _found_by_equality(
    plan: Plan, own_keys: Sequence[OwnForeignKey], child: Followed, parent: Followed, key: ForeignKey
) -> bool:
    """Whether the rows of the child that change with a row of the parent are those with equal values in the
    target: where its own foreign key was checked, or they are numbers as they are, of the parent's key.

    Collations of the source may ignore case. Rows of a key that is not checked may have no parent, and change
    with one that comes and goes within an epoch, of which only the key is known.
    """
    names = [(child.plan, one) for one in key.columns] + [(parent.plan, one) for one in key.parent_columns]
    columns = [column for table, name in names for column in table.columns if column.source == name]
    # Such as a NULL that a policy makes of a 0, which has a parent in the source.
    if any(one.changes for one in columns):
        return False
    whole = all(one.read == my_name(one.source) and _WHOLE_NUMBER.match(one.source_type) for one in columns)
    types = {base_name(one.target_type) for one in columns}
    if whole and (types <= _NUMBERS or len(types) == 1) and {*key.parent_columns} <= {*parent.plan.key}:
        return True
    checks = {one.sql for one in plan.statements if one.phase == "validate"}
    return any(own.partitioned or replace(own, validated=True).validate in checks for own in own_keys)


def _require_followed(table: TablePlan, own: OwnTable | None) -> OwnTable:
    if own is None:
        raise BlockedError(
            f"{table.source} cannot be followed: the target no longer has the table {table.target}",
            code=Code.W007,
            hint="make it again as it was, then converge sync; or converge migrate --recreate (in load mode: "
            "--truncate) --follow",
        )
    ours = {column.target for column in table.columns}
    others = [one.name for one in own.columns if one.name not in ours and not one.generated]
    why = own.obstacle
    if others:
        why = f"the target's own columns {', '.join(others)} would lose their values"
    if table.rows:
        why = "the target's own rows have been kept in it"
    if why:
        raise BlockedError(f"{table.source} cannot be followed: {why}", code=Code.W007, hint="converge sync")
    return own


def _followed(
    source: WatchedConnection, number: int, table: TablePlan, own: OwnTable, catalog: Table
) -> Followed:
    names = [column.name for column in catalog.columns]
    watched = Watched(number, len(names), tuple(map(names.index, table.key)), ())
    columns = [catalog.column(name) for name in table.key]
    literals = [literal_of(column) for column in columns]
    held = catalog.engine == "InnoDB"
    whole = Followed(number, table, own, Watched(number, len(names), (), ()), (), (), held=held)
    computed = any(column.generated is not None for column in table.keys)
    spelled = tuple(has_two_spellings(one, catalog) for one in table.keys)
    if not _told_apart(own, table) or None in literals or computed or table.by_prefix:
        return whole
    # All rows are read for what no key that has changed could lead to.
    alone = [one for one, by in zip(table.keys, spelled, strict=True) if not by]
    hidden = changed_keys(alone, catalog)
    if hidden and fetch(source, f"SELECT 1 FROM {my_name(table.source)} WHERE {hidden} LIMIT 1"):
        return whole
    found = tuple(one for one in literals if one is not None)
    texts = tuple(of_text(one, to.target_type) for one, to in zip(columns, table.keys, strict=True))
    changed = changed_keys(table.keys, catalog)
    # It asks for the number, and the literal of an ENUM is its label: the log tells its error value.
    hidden = changed_keys(alone, catalog, without="empty_label")
    made = Followed(
        number, table, own, watched, found, texts, held=held, changed=changed, hidden=hidden, spelled=spelled
    )  # fmt: skip
    expression = row_text(made.key_plan)
    places = {my_name(name): place for place, name in enumerate((*table.key, _FLAG.source))}
    parts = re.split("(" + "|".join(map(re.escape, places)) + ")", expression)
    try:
        # A map may make a key of other columns, too.
        listed = ",".join([*map(my_name, table.key), f"1 AS {_FLAG.read}"])
        query = f"SELECT {expression} FROM (SELECT {listed} FROM {my_name(table.source)} LIMIT 0) AS k"
        fetch(source, query)
    except pymysql.err.MySQLError:
        return whole
    return replace(made, pieces=tuple(places.get(part, part) for part in parts))


def _told_apart(own: OwnTable, table: TablePlan) -> bool:
    """Whether the target has at most one row of each key: all of a key are replaced by those of one key of
    the source. Where a map, or a collation there, makes two keys equal, it refuses the second one."""
    keys = {one.target for one in table.keys}
    filled = {one.name for one in own.columns if not one.nullable}
    return any(is_whole(one) and {*one.columns} <= keys & filled for one in own.indexes)


def _child(number: int, plan: Plan, table: Table, key: ForeignKey) -> Child:
    here = {one.source: pg_name(one.target) for one in plan.table(table.name).columns}
    there = {one.source: pg_name(one.target) for one in plan.table(key.parent).columns}
    types = [(name, table.column(name).type) for name in plan.table(table.name).key]
    changes_key = key.on_update == "CASCADE" and {*key.columns} & {name for name, _ in types}
    if any(one not in here or other not in there for one, other in key.pairs):
        return Child(number, ())
    on = tuple((here[one], there[other]) for one, other in key.pairs)
    if not changes_key:
        return Child(number, on)
    if any(type_ in _NO_LITERALS for _, type_ in types):
        return Child(number, ())
    listed = ",".join(literal(f"c.{my_name(name)}", type_) for name, type_ in types)
    joined = " AND ".join(f"c.{my_name(one)}=p.{my_name(other)}" for one, other in key.pairs)
    # They may miss rows that the collation takes for equal (`Table.indexed_whole`).
    prefixed = [one.name for one in table.indexes if any(part.prefix for part in one.parts)]
    without = f" IGNORE INDEX ({','.join(map(my_name, prefixed))})" if prefixed else ""
    tables = f"{my_name(table.name)} AS c{without} JOIN {my_name(key.parent)} AS p FORCE INDEX (PRIMARY)"
    return Child(number, on, f"SELECT {listed} FROM {tables} ON {joined}")


def _with_child(parent: Followed, catalog: Table, child: Child, key: ForeignKey) -> Followed:
    names = [column.name for column in catalog.columns]
    watched = parent.watched
    if parent.literals:
        more = tuple(names.index(name) for name in key.parent_columns)
        # A column of the key is looked at as one of the key.
        referred = dict.fromkeys([*watched.referred, *more])
        watched = replace(watched, referred=tuple(one for one in referred if one not in watched.key))
    return replace(parent, watched=watched, children=(*parent.children, child))


def watched_tables(
    database: str, tables: Sequence[Followed], *, fold: bool
) -> Mapping[tuple[str, str], Watched]:
    """By the names that the log has."""
    names = ((database, one.plan.source) for one in tables)
    folded = ((schema.casefold(), name.casefold()) if fold else (schema, name) for schema, name in names)
    return {name: table.watched for name, table in zip(folded, tables, strict=True)}
