"""A table as rows of both sides, which are read by the keys that the triggers have noted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import psycopg
from pymysql.cursors import SSCursor

from converge.codes import Code
from converge.errors import SourceError
from converge.model.catalog import Table
from converge.model.quote import my_name, pg_name, pg_text
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import changed_keys
from converge.mysql.query import fetch
from converge.postgres.query import value
from converge.rollback.inverse import found_by, given, noted_by, one_way, own_key
from converge.rollback.triggers import CHANGED, has_moved, mark_of, note_mark
from converge.run.relation import Row, as_text, of_table, row_text
from converge.types.field import Field
from converge.types.sql import base_name

_AT_ONCE = 500
"""Rows of both sides that are held at once, and keys of a statement."""
_BYTES_AT_ONCE = 32 * 1024 * 1024
LONGEST = 64 * 1024
"""Bytes up to which values are fetched to be compared; of longer ones, digests."""
_DOCUMENT = 1024 * 1024 * 1024
Literals = tuple[str, ...]
"""MySQL expressions of a key's values."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One key's row on both sides; None where there is none."""

    key: Row
    """The target's."""
    literals: Literals
    """MySQL expressions of the source's own key, which may have arrived as another value."""
    texts: Row
    """The target's values, as `taken` expects them, of all columns that go back."""
    here: Row | None
    there: Row | None
    """The values as they are compared."""


def _as_meant(field: Field, column: ColumnPlan, key: Sequence[ColumnPlan]) -> Field:
    """The field of a column, as values are compared that come back."""
    if field.judge == "json":
        # Only the whole of a document tells that 1.50 is 1.5.
        return replace(field, longest=_DOCUMENT)
    # (sale,new) comes back as (new,sale), the same SET: not in a key, of which the target may have both.
    members = base_name(column.target_type) == "text[]" and column not in key
    return replace(field, judge="list", separator=",") if members else field


class Sides:
    """A table of the source and of the target."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, table: TablePlan,
        known: Table,
    ) -> None:  # fmt: skip
        self.source, self.target, self.table = source, target, table
        self.name, self.quoted = my_name(table.source), pg_name(schema, table.target)
        self.key = noted_by(table)
        self.key_names = [my_name(one.source) for one in self.key]
        stored = {one.name for one in known.columns if not one.generated}
        self.columns = [one for one in table.columns if one.source in stored and not one_way(one)]
        """Those whose values go back."""
        computed = (one for one in table.columns if one.generated)
        back = {one.source for one in (*self.columns, *self.key, *computed)}
        relation = of_table(schema, table)
        places = [place for place, one in enumerate(table.columns) if one.source in back]
        self.names = [table.columns[place].source for place in places]
        """The columns that are compared, and `fields` their values."""
        self.fields = [_as_meant(relation.fields[place], table.columns[place], self.key) for place in places]
        self.at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE * table.rows_estimate // (table.data_bytes + 1)))
        self._changed_keys = changed_keys(table.keys, known)
        self._types = self._types_of()
        self._key_places = [self.names.index(one.source) for one in self.key]
        self._mark = mark_of(target, schema, table)
        self.whole = self._is_whole()
        """Whether any row may have changed: by TRUNCATE or DDL, or unnoticed, or the table has no key."""

    def forget(self) -> None:
        """What was noted, once it is in the source."""
        self.target.execute(f"DELETE FROM {CHANGED} WHERE target_table = %s".encode(), (self.quoted,))
        note_mark(self.target, self.quoted, self._mark)

    def batches(self) -> Iterator[list[Pair]]:
        """Of each noted key its rows of both sides, where the table has a key."""
        listed, keys, columns = self._listed()
        names = [pg_name(one.target) for one in self.key]
        # A collation may take several spellings of a key for one: the row has the one that is its own.
        spelled = [
            f' AND own.{name}::text COLLATE "C" = noted.{name}::text COLLATE "C"'
            for name, one in zip(names, self.key, strict=True)
            if self._types[one.target][1]
        ]
        query = (
            f"SELECT own.ctid IS NOT NULL{''.join(spelled)},{listed} FROM ({self._keys()}) AS noted "
            f"LEFT JOIN {self.quoted} AS own USING ({','.join(names)})"
        )
        if self.whole:
            query = f"SELECT true,{listed} FROM {self.quoted}"
        with self.target.cursor("converge_changed") as cursor:
            cursor.itersize = self.at_once
            # Without parameters, because a name may have a % in it.
            cursor.execute(query.encode())
            while rows := cursor.fetchmany(self.at_once):
                found = [(there, tuple(map(as_text, values))) for there, *values in rows]
                identities = [self._identity(values[keys + columns :]) for _, values in found]
                literals = [self._literals(values[:keys]) for _, values in found]
                others = [self._own_keys.get(identity, []) for identity in identities]
                here = self._here([*literals, *chain(*others)])
                yield [
                    Pair(
                        values[:keys], own[0] if own else literal, values[keys : keys + columns],
                        here.get(identity), values[keys + columns :] if there else None,
                    )
                    for (there, values), identity, literal, own in zip(
                        found, identities, literals, others, strict=True
                    )
                ]  # fmt: skip

    def where(self, keys: Iterable[Literals]) -> str:
        """MySQL condition: the row has one of these keys, as literals."""
        names = self.key_names
        if len(names) == 1:
            return f"{names[0]} IN ({','.join(literal for (literal,) in keys)})"
        # Not as tuples: the server compares those of one row by other rules than those of several.
        equal = (
            " AND ".join(f"{name}={literal}" for name, literal in zip(names, key, strict=True))
            for key in keys
        )
        return " OR ".join(f"({one})" for one in equal)

    def unequal(self, here: Row, there: Row) -> Iterator[tuple[str, str | None, str | None]]:
        """The columns in which two rows differ, with both values."""
        for name, one, left, right in zip(self.names, self.fields, here, there, strict=True):
            if one.meaning(left) != one.meaning(right):
                yield name, left, right

    def count(self) -> int:
        return int(fetch(self.source, f"SELECT COUNT(*) FROM {self.name}")[0][0])

    def _is_whole(self) -> bool:
        noted = f"SELECT EXISTS (SELECT FROM {CHANGED} WHERE target_table = %s AND key IS NULL)"
        emptied = value(self.target, noted, (self.quoted,))
        return bool(emptied) or has_moved(self.target, self.quoted, self._mark)

    def _types_of(self) -> dict[str, tuple[str, bool]]:
        """Of each column its type, and whether that has a collation."""
        query = (
            "SELECT attname, format_type(atttypid, atttypmod), attcollation <> 0 FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0"
        )
        found = self.target.execute(query, (self.quoted,)).fetchall()
        return {name: (kind, collated) for name, kind, collated in found}

    def _keys(self) -> str:
        """The noted keys as rows of the key's columns."""
        columns = ", ".join(
            f"(key[{number}])::{self._types[one.target][0]} AS {pg_name(one.target)}"
            for number, one in enumerate(self.key, 1)
        )
        return (
            f"SELECT {columns} FROM (SELECT DISTINCT key FROM {CHANGED} "
            f"WHERE target_table = {pg_text(self.quoted)} AND key IS NOT NULL) AS noted"
        )

    def _listed(self) -> tuple[str, int, int]:
        """What is selected of the target: the key, the values that go back, and those that are compared."""
        keys, columns = [given(one) for one in self.key], [given(one) for one in self.columns]
        compared = [one.fetched(LONGEST)[1] for one in self.fields]
        return ",".join([*keys, *columns, *compared]), len(keys), len(columns)

    def _literals(self, key: Row) -> Literals:
        """MySQL expressions of a key of the target."""
        return tuple(found_by(one, text or "") for one, text in zip(self.key, key, strict=True))

    @cached_property
    def _own_keys(self) -> Mapping[Hashable, list[Literals]]:
        """Own keys of the source's rows that may have changed and whose key arrives as another value, by what
        arrives.

        It reads the whole table, so it is asked for only where a row has changed.
        """
        found: dict[Hashable, list[Literals]] = {}
        if not self._changed_keys:
            return found
        here, there = zip(*(self.fields[place].fetched(LONGEST) for place in self._key_places), strict=True)
        noted = f"SELECT {','.join(there)} FROM ({self._keys()}) AS noted"
        wanted = {self._meaning(map(as_text, row)) for row in self.target.execute(noted.encode())}
        own, texts = zip(*map(own_key, self.key), strict=True)
        # Nearly all of the rows may be such, and few have changed.
        with self.source.cursor(SSCursor) as cursor:
            cursor.execute(f"SELECT {','.join([*here, *texts])} FROM {self.name} WHERE {self._changed_keys}")
            for row in cursor:
                values = [*map(as_text, row)]
                arrived = self._meaning(values[: len(own)])
                if self.whole or arrived in wanted:
                    literals = tuple(map(found_by, own, map(str, values[len(own) :])))
                    found.setdefault(arrived, []).append(literals)
        return found

    def _here(self, keys: Iterable[Literals]) -> dict[Hashable, Row]:
        """The source's rows that these keys find, by what their key means.

        A collation may find a row by another spelling of its key, which is not meant. Raises SourceError for
        rows that have one key in the target.
        """
        asked = ",".join(one.fetched(LONGEST)[0] for one in self.fields)
        query = f"SELECT {asked} FROM {self.name} WHERE {self.where(keys)}"
        here: dict[Hashable, Row] = {}
        for row in fetch(self.source, query):
            values = tuple(map(as_text, row))
            if here.setdefault(self._identity(values), values) is not values:
                key = row_text(tuple(values[place] for place in self._key_places))
                raise SourceError(
                    f"{self.table.source}: several rows have the key {key} in the target, which cannot be "
                    "told apart; nothing has been changed",
                    code=Code.V132,
                    hint="give each of these rows a key of its own, in both databases, and roll back again",
                )
        return here

    def _identity(self, row: Row) -> Hashable:
        return self._meaning(row[place] for place in self._key_places)

    def _meaning(self, key: Iterable[str | None]) -> Hashable:
        fields = (self.fields[place] for place in self._key_places)
        return tuple(field.meaning(value) for field, value in zip(fields, key, strict=True))
