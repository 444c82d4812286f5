"""What has changed in the target, as statements for the source.

Both sides are read by the keys that the triggers have noted. A row that both have is changed in the columns
that differ, so that the others keep even what could not arrive in the target. Rows go before others come,
and rows whose unique values change are made anew beside their table: values may be swapped.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

import psycopg

from converge.model.catalog import Table
from converge.model.plan import TablePlan
from converge.model.quote import my_name, pg_name
from converge.mysql import digest as on_source
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.postgres import digest as on_target
from converge.rollback.inverse import given, noted_by, one_way, taken
from converge.rollback.triggers import CHANGED
from converge.run.relation import Row, as_text, of_table, row_text
from converge.types.field import Field

_AT_ONCE = 500
"""Rows of both sides that are held at once, and keys of a statement."""
_BYTES_AT_ONCE = 32 * 1024 * 1024
_LONGEST = 64 * 1024
"""Bytes up to which values are fetched to be compared; of longer ones, digests."""
_STATEMENT = 1024 * 1024
"""Characters of a statement from which on rows go into the next."""
_BESIDE = "`converge_rows`"
_SPOOLED = 16 * 1024 * 1024
_PLACES = ("delete", "swap", "update", "insert")


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

    def add(self, place: str, statement: str) -> None:
        self._parts[place].write(f"{statement};\n".encode())

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts.values():
            part.seek(0)
            yield from part

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
    """As `taken` expects it."""
    texts: Row
    """The target's values, as `taken` expects them, of all columns that go back."""
    here: Row | None
    there: Row | None
    """The values as they are compared."""


class Changed:
    """A table of which rows have changed."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, table: TablePlan,
        known: Table,
    ) -> None:  # fmt: skip
        self._source, self._target, self._schema, self.table = source, target, schema, table
        self.key = noted_by(table)
        self._name, self._quoted = my_name(table.source), pg_name(schema, table.target)
        self.columns = [one for one in table.copied if not one_way(one)]
        back = {one.source for one in self.columns} | {one.source for one in table.columns if one.generated}
        relation = of_table(schema, table)
        places = [place for place, one in enumerate(table.columns) if one.source in back]
        self._fields: list[Field] = [relation.fields[place] for place in places]
        self._names = [table.columns[place].source for place in places]
        own = {one.name for one in known.columns if not one.generated}
        self._all = [name for name in (one.name for one in known.columns) if name in own]
        self._stamped = [one.name for one in known.columns if one.on_update_now]
        unique = {name for one in known.indexes if one.unique and not one.primary for name in one.columns}
        expressions = any(one.unique and len(one.columns) < len(one.parts) for one in known.indexes)
        self._unique = set(self._names) if expressions else unique
        self._types = self._types_of()
        self._compared = tuple(table.columns[place] for place in places)
        self._key_names = [my_name(one.source) for one in self.key]
        self._swapping = False
        self._at_once = max(1, min(_AT_ONCE, _BYTES_AT_ONCE * table.rows_estimate // (table.data_bytes + 1)))

    @property
    def _index(self) -> str:
        return f"PRIMARY KEY ({','.join(self._key_names)})"

    @property
    def whole(self) -> bool:
        """Whether all rows of the table have to go back."""
        query = f"SELECT EXISTS (SELECT FROM {CHANGED} WHERE target_table = %s AND key IS NULL)"
        return bool(self._one(query))

    def forget(self) -> None:
        """What was noted, once it is in the source."""
        self._target.execute(f"DELETE FROM {CHANGED} WHERE target_table = %s".encode(), (self._quoted,))

    def script(self) -> Script:
        """The statements that make the source's rows equal to the target's."""
        made = Script()
        if self.whole:
            self._write_whole(made)
            return made
        for pairs in self._batches():
            self._write(made, pairs)
        self._end_swap(made)
        return made

    def differing(self) -> Iterator[str]:
        """What of the changed rows is not the same on both sides."""
        if self.whole:
            if self._unequal_whole():
                yield f"{self.table.source}: not all rows are the same"
            return
        for pairs in self._batches():
            for one in pairs:
                yield from self._differing(one)

    def _differing(self, pair: _Pair) -> Iterator[str]:
        if pair.here is None and pair.there is None:
            return
        where = f"{self.table.source} {row_text(pair.key)}"
        if pair.here is None or pair.there is None:
            yield f"{where}: only the {'source' if pair.there is None else 'target'} has the row"
            return
        for name, one, here, there in zip(self._names, self._fields, pair.here, pair.there, strict=True):
            if one.meaning(here) != one.meaning(there):
                yield f"{where}: {name} is {row_text((here,))} here, {row_text((there,))} in the target"

    # ---- reading ------------------------------------------------------------------------------------------

    def _one(self, query: str) -> Any:
        row = self._target.execute(query.encode(), (self._quoted,)).fetchone()
        return row[0] if row else None

    def _types_of(self) -> dict[str, str]:
        query = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0"
        )
        return dict(self._target.execute(query, (self._quoted,)).fetchall())

    def _keys(self) -> str:
        """The noted keys as rows of the key's columns."""
        columns = ", ".join(
            f"(key[{number}])::{self._types[one.target]} AS {pg_name(one.target)}"
            for number, one in enumerate(self.key, 1)
        )
        return (
            f"SELECT {columns} FROM (SELECT DISTINCT key FROM {CHANGED} "
            "WHERE target_table = %s AND key IS NOT NULL) AS noted"
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
        order = ",".join(f"noted.{name}" for name in names)
        query = (
            f"SELECT own.ctid IS NOT NULL,{listed} FROM ({self._keys()}) AS noted "
            f"LEFT JOIN {self._quoted} AS own USING ({','.join(names)}) ORDER BY {order}"
        )
        with self._target.cursor("converge_changed") as cursor:
            cursor.itersize = self._at_once
            cursor.execute(query.encode(), (self._quoted,))
            while rows := cursor.fetchmany(self._at_once):
                found = [(there, tuple(map(as_text, values))) for there, *values in rows]
                here = self._here([values[:keys] for _, values in found])
                pairs = []
                for there, values in found:
                    row = values[keys + columns :]
                    texts = values[keys : keys + columns]
                    pairs.append(
                        _Pair(values[:keys], texts, here.get(self._identity(row)), row if there else None)
                    )
                yield pairs

    def _here(self, keys: Sequence[Row]) -> dict[Hashable, Row]:
        """The source's rows that these keys find, by what their key means.

        A collation may find a row by another spelling of its key, which is not meant.
        """
        asked = ",".join(one.fetched(_LONGEST)[0] for one in self._fields)
        query = f"SELECT {asked} FROM {self._name} WHERE {self._where(keys)}"
        rows = (tuple(map(as_text, row)) for row in fetch(self._source, query))
        return {self._identity(row): row for row in rows}

    def _identity(self, row: Row) -> Hashable:
        places = (self._names.index(one.source) for one in self.key)
        return tuple(self._fields[place].meaning(row[place]) for place in places)

    # ---- writing ------------------------------------------------------------------------------------------

    def _where(self, keys: Iterable[Row]) -> str:
        """MySQL condition: the row has one of these keys."""
        columns = self.key
        rows = [",".join(taken(*pair) for pair in zip(columns, key, strict=True)) for key in keys]
        if len(columns) == 1:
            return f"{my_name(columns[0].source)} IN ({','.join(rows)})"
        names = ",".join(my_name(one.source) for one in columns)
        return f"({names}) IN ({','.join(f'({row})' for row in rows)})"

    def _write(self, made: Script, pairs: Sequence[_Pair]) -> None:
        if gone := [one.key for one in pairs if one.here is not None and one.there is None]:
            made.deleted += len(gone)
            made.add("delete", f"DELETE FROM {self._name} WHERE {self._where(gone)}")
        self._insert(made, [one.texts for one in pairs if one.here is None and one.there is not None])
        changes = [(one.key, sets) for one in pairs if (sets := self._sets(one))]
        made.updated += len(changes)
        swapped = [(key, sets) for key, sets in changes if self._unique & sets.keys()]
        self._swap(made, swapped)
        for key, sets in changes:
            if not self._unique & sets.keys():
                made.add("update", self._update(self._name, key, sets))

    def _sets(self, pair: _Pair) -> dict[str, str]:
        """The columns that differ, with their values."""
        if pair.here is None or pair.there is None:
            return {}
        differ = {
            name
            for name, one, here, there in zip(self._names, self._fields, pair.here, pair.there, strict=True)
            if one.meaning(here) != one.meaning(there)
        }
        return {
            one.source: taken(one, text)
            for one, text in zip(self.columns, pair.texts, strict=True)
            if one.source in differ
        }

    def _update(self, name: str, key: Row, sets: Mapping[str, str]) -> str:
        # ON UPDATE CURRENT_TIMESTAMP leaves a column alone that is set, also to what it is.
        kept = {column: my_name(column) for column in self._stamped if column not in sets}
        values = ",".join(f"{my_name(column)}={value}" for column, value in (kept | dict(sets)).items())
        return f"UPDATE {name} SET {values} WHERE {self._where([key])}"

    def _insert(self, made: Script, rows: Sequence[Row]) -> None:
        made.inserted += len(rows)
        names = ",".join(my_name(one.source) for one in self.columns)
        values: list[str] = []
        for number, row in enumerate(rows, 1):
            values.append(f"({','.join(map(taken, self.columns, row))})")
            if number == len(rows) or sum(map(len, values)) > _STATEMENT:
                made.add("insert", f"INSERT INTO {self._name} ({names}) VALUES {','.join(values)}")
                values = []

    def _swap(self, made: Script, changes: Sequence[tuple[Row, Mapping[str, str]]]) -> None:
        """Rows whose unique values change are changed beside the table, and then take their places."""
        if not changes:
            return
        names = ",".join(map(my_name, self._all))
        rows = f"SELECT {names} FROM {self._name} WHERE {self._where(key for key, _ in changes)}"
        begun, self._swapping = self._swapping, True
        how = f"INSERT INTO {_BESIDE}" if begun else f"CREATE TEMPORARY TABLE {_BESIDE} ({self._index}) AS"
        made.add("swap", f"{how} {rows}")
        for key, sets in changes:
            made.add("swap", self._update(_BESIDE, key, sets))

    def _end_swap(self, made: Script) -> None:
        if not self._swapping:
            return
        names = ",".join(map(my_name, self._all))
        same = " AND ".join(f"own.{name}=new.{name}" for name in self._key_names)
        made.add("swap", f"DELETE own FROM {self._name} AS own JOIN {_BESIDE} AS new ON {same}")
        made.add("swap", f"INSERT INTO {self._name} ({names}) SELECT {names} FROM {_BESIDE}")
        made.add("swap", f"DROP TEMPORARY TABLE {_BESIDE}")

    # ---- a table as a whole -------------------------------------------------------------------------------

    def _write_whole(self, made: Script) -> None:
        made.deleted = int(fetch(self._source, f"SELECT COUNT(*) FROM {self._name}")[0][0])
        made.add("delete", f"DELETE FROM {self._name}")
        listed = ",".join(map(given, self.columns))
        with self._target.cursor("converge_whole") as cursor:
            cursor.itersize = self._at_once
            cursor.execute(f"SELECT {listed} FROM {self._quoted}".encode())
            while rows := cursor.fetchmany(self._at_once):
                self._insert(made, [tuple(map(as_text, row)) for row in rows])

    def _unequal_whole(self) -> bool:
        compared = replace(self.table, columns=self._compared)
        here = f"SELECT COUNT(*),SUM({on_source.number(on_source.row_digest(compared))}) FROM {self._name}"
        there = on_target.digest_query(self._schema, compared, "")
        (left,), (right,) = fetch(self._source, here), self._target.execute(there.encode()).fetchall()
        return tuple(map(str, left)) != tuple(map(str, right))
