"""What has changed in the target, as statements for the source.

Both sides are read by the keys that the triggers have noted. A row that both have is changed in the columns
that differ, so that the others keep even what could not arrive in the target. Rows go before others come,
and rows whose unique values change are built beside their table: values may be swapped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

import psycopg
from pymysql.cursors import SSCursor

from converge.codes import Code
from converge.errors import SourceError
from converge.model.catalog import Table
from converge.model.quote import my_name, my_text, pg_name, pg_text
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.model.words import counted
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import changed_keys
from converge.mysql.query import fetch
from converge.postgres.query import value
from converge.rollback.inverse import found_by, given, noted_by, one_way, own_key, taken
from converge.rollback.parents import Joining
from converge.rollback.triggers import CHANGED, has_moved, mark_of, note_mark
from converge.run.relation import Row, as_text, of_table, row_digests, row_text, unequal
from converge.types.field import Field
from converge.types.sql import base_name

_AT_ONCE = 500
"""Rows of both sides that are held at once, and keys of a statement."""
_BYTES_AT_ONCE = 32 * 1024 * 1024
_LONGEST = 64 * 1024
"""Bytes up to which values are fetched to be compared; of longer ones, digests."""
_DOCUMENT = 1024 * 1024 * 1024
_STATEMENT = 1024 * 1024
"""Characters of a statement from which on rows go into the next."""
_BESIDE, _KEYS = "`converge_rows`", "`converge_keys`"
_SPOOLED = 16 * 1024 * 1024
_PLACES = ("before", "delete", "swap", "update", "insert", "after")
Literals = tuple[str, ...]
"""MySQL expressions of a key's values."""


def _files() -> Iterator[IO[bytes]]:
    for _ in _PLACES:
        yield cast(IO[bytes], SpooledTemporaryFile(_SPOOLED))  # noqa: SIM115 - `Script` closes it


@dataclass(slots=True)
class Script:
    """Statements of a table, a line each, in the order in which they do not meet."""

    deleted: int = 0
    updated: int = 0
    inserted: int = 0
    _parts: dict[str, IO[bytes]] = field(default_factory=lambda: dict(zip(_PLACES, _files(), strict=True)))

    def add(self, place: str, statement: str, rows: int | None = None, keys: Sequence[Row] = ()) -> None:
        """A statement, how many rows it is to change, None where that is not known, and the keys of those
        that it gives values to, in its order.
        """
        line = f"{'' if rows is None else rows}\t{json.dumps(keys)}\t{statement};\n"
        self._parts[place].write(line.encode())

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def __iter__(self) -> Iterator[tuple[bytes, int | None, list[Row]]]:
        for part in self._parts.values():
            part.seek(0)
            for line in part:
                rows, keys, statement = line.split(b"\t", 2)
                yield statement, int(rows) if rows else None, json.loads(keys)

    @property
    def rows(self) -> int:
        return self.deleted + self.updated + self.inserted

    def __str__(self) -> str:
        parts = ((self.inserted, "inserted"), (self.updated, "updated"), (self.deleted, "deleted"))
        return ", ".join(f"{rows:,} {word}" for rows, word in parts if rows)


@dataclass(frozen=True, slots=True)
class _Pair:
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


class Changed:
    """A table of which rows have changed."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, table: TablePlan,
        known: Table, joining: Sequence[Joining] = (),
    ) -> None:  # fmt: skip
        self._joining = joining
        self._source, self._target, self.table = source, target, table
        self._name, self._quoted = my_name(table.source), pg_name(schema, table.target)
        self.key = noted_by(table)
        self._changed_keys = changed_keys(table.keys, known)
        self._all = [one.name for one in known.columns if not one.generated]
        self._computed = {one.name for one in known.columns if one.generated}
        self.columns = [one for one in table.columns if one.source in self._all and not one_way(one)]
        computed = (one for one in table.columns if one.generated)
        back = {one.source for one in (*self.columns, *self.key, *computed)}
        relation = of_table(schema, table)
        places = [place for place, one in enumerate(table.columns) if one.source in back]
        self._fields = [_as_meant(relation.fields[place], table.columns[place], self.key) for place in places]
        self._names = [table.columns[place].source for place in places]
        self._stamped = [one.name for one in known.columns if one.on_update_now]
        unique = {name for one in known.indexes if one.unique and not one.primary for name in one.columns}
        expressions = any(one.unique and len(one.columns) < len(one.parts) for one in known.indexes)
        self._unique = set(self._names) if expressions or unique - {*self._all} else unique
        self._types = self._types_of()
        self._key_names = [my_name(one.source) for one in self.key]
        self._key_places = [self._names.index(one.source) for one in self.key]
        self._swapped = 0
        self._mark = mark_of(target, schema, table)
        self.whole = self._is_whole()
        self._at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE * table.rows_estimate // (table.data_bytes + 1)))

    def forget(self) -> None:
        """What was noted, once it is in the source."""
        self._target.execute(f"DELETE FROM {CHANGED} WHERE target_table = %s".encode(), (self._quoted,))
        note_mark(self._target, self._quoted, self._mark)

    def script(self) -> Script:
        """The statements that make the source's rows equal to the target's."""
        made = Script()
        if not self.key:
            if self.whole:
                self._write_difference(made)
            return made
        found = 0
        for pairs in self._batches():
            found += sum(one.here is not None for one in pairs)
            self._write(made, pairs)
        self._end_swap(made)
        if self.whole and (left := self._count() - found):
            self._delete_others(made, left)
        return made

    def differing(self) -> Iterator[str]:
        """What of the changed rows is not the same on both sides."""
        if not self.key:
            if self.whole and any(self._difference()):
                yield f"{self.table.source}: not all rows are the same"
            return
        found = 0
        for pairs in self._batches():
            found += len(pairs)
            for one in pairs:
                yield from self._differing(one)
        if self.whole and found != (rows := self._count()):
            yield f"{self.table.source}: {counted(rows, 'row')} in the source, {found:,} in the target"

    def _differing(self, pair: _Pair) -> Iterator[str]:
        if pair.here is None and pair.there is None:
            return
        where = f"{self.table.source} {row_text(pair.key)}"
        if pair.here is None or pair.there is None:
            yield f"{where}: only the {'source' if pair.there is None else 'target'} has the row"
            return
        for name, here, there in self._unequal(pair.here, pair.there):
            yield f"{where}: {name} is {row_text((here,))} here, {row_text((there,))} in the target"

    def _unequal(self, here: Row, there: Row) -> Iterator[tuple[str, str | None, str | None]]:
        """The columns in which two rows differ, with both values."""
        for name, one, left, right in zip(self._names, self._fields, here, there, strict=True):
            if one.meaning(left) != one.meaning(right):
                yield name, left, right

    # ---- reading ------------------------------------------------------------------------------------------

    def _is_whole(self) -> bool:
        """Whether any row may have changed: by TRUNCATE or DDL, or unnoticed, or the table has no key."""
        noted = f"SELECT EXISTS (SELECT FROM {CHANGED} WHERE target_table = %s AND key IS NULL)"
        emptied = value(self._target, noted, (self._quoted,))
        return bool(emptied) or has_moved(self._target, self._quoted, self._mark)

    def _types_of(self) -> dict[str, tuple[str, bool]]:
        """Of each column its type, and whether that has a collation."""
        query = (
            "SELECT attname, format_type(atttypid, atttypmod), attcollation <> 0 FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0"
        )
        found = self._target.execute(query, (self._quoted,)).fetchall()
        return {name: (kind, collated) for name, kind, collated in found}

    def _keys(self) -> str:
        """The noted keys as rows of the key's columns."""
        columns = ", ".join(
            f"(key[{number}])::{self._types[one.target][0]} AS {pg_name(one.target)}"
            for number, one in enumerate(self.key, 1)
        )
        return (
            f"SELECT {columns} FROM (SELECT DISTINCT key FROM {CHANGED} "
            f"WHERE target_table = {pg_text(self._quoted)} AND key IS NOT NULL) AS noted"
        )

    def _listed(self) -> tuple[str, int, int]:
        """What is selected of the target: the key, the values that go back, and those that are compared."""
        keys, columns = [given(one) for one in self.key], [given(one) for one in self.columns]
        compared = [one.fetched(_LONGEST)[1] for one in self._fields]
        return ",".join([*keys, *columns, *compared]), len(keys), len(columns)

    def _batches(self) -> Iterator[list[_Pair]]:
        """Of each noted key its rows of both sides; none of a table without a key."""
        if not self.key:
            return
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
            f"LEFT JOIN {self._quoted} AS own USING ({','.join(names)})"
        )
        if self.whole:
            query = f"SELECT true,{listed} FROM {self._quoted}"
        with self._target.cursor("converge_changed") as cursor:
            cursor.itersize = self._at_once
            # Without parameters, because a name may have a % in it.
            cursor.execute(query.encode())
            while rows := cursor.fetchmany(self._at_once):
                found = [(there, tuple(map(as_text, values))) for there, *values in rows]
                identities = [self._identity(values[keys + columns :]) for _, values in found]
                literals = [self._literals(values[:keys]) for _, values in found]
                others = [self._own_keys.get(identity, []) for identity in identities]
                here = self._here([*literals, *chain(*others)])
                yield [
                    _Pair(
                        values[:keys], own[0] if own else literal, values[keys : keys + columns],
                        here.get(identity), values[keys + columns :] if there else None,
                    )
                    for (there, values), identity, literal, own in zip(
                        found, identities, literals, others, strict=True
                    )
                ]  # fmt: skip

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
        here, there = zip(*(self._fields[place].fetched(_LONGEST) for place in self._key_places), strict=True)
        noted = f"SELECT {','.join(there)} FROM ({self._keys()}) AS noted"
        wanted = {self._meaning(map(as_text, row)) for row in self._target.execute(noted.encode())}
        own, texts = zip(*map(own_key, self.key), strict=True)
        # Nearly all of the rows may be such, and few have changed.
        with self._source.cursor(SSCursor) as cursor:
            cursor.execute(f"SELECT {','.join([*here, *texts])} FROM {self._name} WHERE {self._changed_keys}")
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
        asked = ",".join(one.fetched(_LONGEST)[0] for one in self._fields)
        query = f"SELECT {asked} FROM {self._name} WHERE {self._where(keys)}"
        here: dict[Hashable, Row] = {}
        for row in fetch(self._source, query):
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
        fields = (self._fields[place] for place in self._key_places)
        return tuple(field.meaning(value) for field, value in zip(fields, key, strict=True))

    # ---- writing ------------------------------------------------------------------------------------------

    def _where(self, keys: Iterable[Literals]) -> str:
        """MySQL condition: the row has one of these keys, as literals."""
        names = self._key_names
        if len(names) == 1:
            return f"{names[0]} IN ({','.join(literal for (literal,) in keys)})"
        # Not as tuples: the server compares those of one row by other rules than those of several.
        equal = (
            " AND ".join(f"{name}={literal}" for name, literal in zip(names, key, strict=True))
            for key in keys
        )
        return " OR ".join(f"({one})" for one in equal)

    def _write(self, made: Script, pairs: Sequence[_Pair]) -> None:
        if gone := [one.literals for one in pairs if one.here is not None and one.there is None]:
            made.deleted += len(gone)
            made.add("delete", f"DELETE FROM {self._name} WHERE {self._where(gone)}", len(gone))
        new = [one for one in pairs if one.here is None and one.there is not None]
        self._insert(made, [one.texts for one in new], [one.key for one in new])
        changes = [(one, sets) for one in pairs if (sets := self._sets(one))]
        made.updated += len(changes)
        swapped = [(one, sets) for one, sets in changes if self._unique & sets.keys()]
        self._swap(made, swapped)
        for one, sets in changes:
            if not self._unique & sets.keys():
                made.add("update", self._update(self._name, one, sets), 1, [one.key])
        # What the source computes may change with any column.
        both = [(one.literals, sets.keys() | self._computed) for one, sets in changes]
        for place, whole in (("before", gone), ("after", [one.literals for one in new])):
            for key, columns in self._joined(place):
                if found := whole + [one for one, differ in both if not differ.isdisjoint(columns)]:
                    made.add(place, key.gather(self._where(found), after=place == "after"))

    def _joined(self, place: str) -> Iterator[tuple[Joining, tuple[str, ...]]]:
        """The foreign keys of which values are to be noted, with the table's columns of them."""
        for key in self._joining:
            if columns := key.columns_of(self.table.source, after=place == "after"):
                yield key, columns

    def gather_orphans(self) -> Iterator[str]:
        """Before the statements of all tables: what has no parent already, of a table without a key."""
        if not self.key:
            yield from (key.gather_orphans for key, _ in self._joined("after"))

    def _sets(self, pair: _Pair) -> dict[str, str]:
        """The columns that differ, with their values."""
        if pair.here is None or pair.there is None:
            return {}
        differ = {name for name, _, _ in self._unequal(pair.here, pair.there)}
        return {
            one.source: taken(one, text)
            for one, text in zip(self.columns, pair.texts, strict=True)
            if one.source in differ
        }

    def _update(self, name: str, pair: _Pair, sets: Mapping[str, str]) -> str:
        # ON UPDATE CURRENT_TIMESTAMP leaves a column alone that is set, also to what it is.
        kept = {column: my_name(column) for column in self._stamped if column not in sets}
        values = ",".join(f"{my_name(column)}={made}" for column, made in (kept | dict(sets)).items())
        return f"UPDATE {name} SET {values} WHERE {self._where([pair.literals])}"

    def _insert(self, made: Script, rows: Sequence[Row], keys: Sequence[Row] = ()) -> None:
        made.inserted += len(rows)
        names = ",".join(my_name(one.source) for one in self.columns)
        values: list[str] = []
        for number, row in enumerate(rows, 1):
            values.append(f"({','.join(map(taken, self.columns, row))})")
            if number == len(rows) or sum(map(len, values)) > _STATEMENT:
                insert = f"INSERT INTO {self._name} ({names}) VALUES {','.join(values)}"
                made.add("insert", insert, len(values), keys[number - len(values) : number])
                values = []

    def _swap(self, made: Script, changes: Sequence[tuple[_Pair, Mapping[str, str]]]) -> None:
        """Rows whose unique values change are changed beside the table, and then take their places."""
        if not changes:
            return
        names = ",".join(map(my_name, dict.fromkeys([*self._all, *(one.source for one in self.key)])))
        rows = f"SELECT {names} FROM {self._name} WHERE {self._where(one.literals for one, _ in changes)}"
        begun, self._swapped = self._swapped, self._swapped + len(changes)
        how = (
            f"INSERT INTO {_BESIDE}"
            if begun
            else f"CREATE TEMPORARY TABLE {_BESIDE} (PRIMARY KEY ({','.join(self._key_names)})) AS"
        )
        made.add("swap", f"{how} {rows}", len(changes))
        for one, sets in changes:
            made.add("swap", self._update(_BESIDE, one, sets), 1, [one.key])

    def _end_swap(self, made: Script) -> None:
        if not self._swapped:
            return
        names = ",".join(map(my_name, self._all))
        same = " AND ".join(f"own.{name}=new.{name}" for name in self._key_names)
        made.add(
            "swap", f"DELETE own FROM {self._name} AS own JOIN {_BESIDE} AS new ON {same}", self._swapped
        )
        made.add("swap", f"INSERT INTO {self._name} ({names}) SELECT {names} FROM {_BESIDE}", self._swapped)
        made.add("swap", f"DROP TEMPORARY TABLE {_BESIDE}")

    # ---- a table as a whole -------------------------------------------------------------------------------

    def _delete_others(self, made: Script, left: int) -> None:
        """So many rows whose key the target does not have."""
        names = ",".join(self._key_names)
        made.deleted += left
        made.add("delete", f"CREATE TEMPORARY TABLE {_KEYS} (PRIMARY KEY ({names})) AS "
                           f"SELECT {names} FROM {self._name} LIMIT 0")  # fmt: skip
        for pairs in self._batches():
            values = ",".join(f"({','.join(one.literals)})" for one in pairs)
            made.add("delete", f"INSERT INTO {_KEYS} ({names}) VALUES {values}", len(pairs))
        same = " AND ".join(f"own.{name}=kept.{name}" for name in self._key_names)
        # Not a join: IS NULL is also true of 0000-00-00.
        others = f"NOT EXISTS (SELECT 1 FROM {_KEYS} AS kept WHERE {same})"
        for key, _ in self._joined("delete"):
            made.add("delete", key.gather(others, after=False))
        made.add("delete", f"DELETE own FROM {self._name} AS own WHERE {others}", left)
        made.add("delete", f"DROP TEMPORARY TABLE {_KEYS}")

    def _count(self) -> int:
        return int(fetch(self._source, f"SELECT COUNT(*) FROM {self._name}")[0][0])

    def _difference(self) -> tuple[Counter[str], Counter[Row]]:
        """Of a table without a key: digests of the rows that the target does not have, and rows that the
        source does not have, as `taken` expects them; each with how many there are.
        """
        digest, there = row_digests(self._fields)
        here: Counter[str] = Counter()
        grouped = f"SELECT {digest},COUNT(*) FROM {self._name} GROUP BY 1"
        here.update({as_text(one) or "": int(rows) for one, rows in fetch(self._source, grouped)})
        query = f"SELECT {there},count(*) FROM {self._quoted} GROUP BY 1"
        theirs = Counter(dict(self._target.execute(query.encode()).fetchall()))
        surplus, lacking = here - theirs, theirs - here
        ours = self._of_digests(f"{digest},{','.join(one.fetched(_LONGEST)[0] for one in self._fields)}",
                                self._name, digest, surplus, on_source=True)  # fmt: skip
        compared = ",".join(one.fetched(_LONGEST)[1] for one in self._fields)
        columns = ",".join(map(given, self.columns))
        others = self._of_digests(f"{there},{compared},{columns}", self._quoted, there, lacking)
        width = len(self._fields)
        # Documents may mean the same and have other texts.
        left, right, _ = unequal(
            self._fields,
            [row[:width] for one, row in ours.items() for _ in range(surplus[one])],
            [row[:width] for one, row in others.items() for _ in range(lacking[one])],
        )
        digests = {row[:width]: one for one, row in ours.items()}
        texts = {row[:width]: row[width:] for row in others.values()}
        return Counter(digests[row] for row in left), Counter(texts[row] for row in right)

    def _of_digests(
        self, listed: str, name: str, digest: str, wanted: Iterable[str], *, on_source: bool = False
    ) -> dict[str, Row]:
        """A row of each digest."""
        found: dict[str, Row] = {}
        digests = iter(wanted)
        while some := [*islice(digests, self._at_once)]:
            query = f"SELECT {listed} FROM {name} WHERE {digest} IN ({','.join(map(my_text, some))})"
            rows = (
                fetch(self._source, query) if on_source else self._target.execute(query.encode()).fetchall()
            )
            for one, *values in rows:
                found[as_text(one) or ""] = tuple(map(as_text, values))
        return found

    def _write_difference(self, made: Script) -> None:
        gone, new = self._difference()
        digest, _ = row_digests(self._fields)
        for one, rows in gone.items():
            made.deleted += rows
            made.add("delete", f"DELETE FROM {self._name} WHERE {digest}='{one}' LIMIT {rows}", rows)
        self._insert(made, [*new.elements()])
        for place in ("before", "after") if made.rows else ():
            for key, _ in self._joined(place):
                made.add(place, key.gather("TRUE", after=place == "after"))
