"""What has changed in the target, as statements for the source.

Both sides are read by the keys that the triggers have noted. A row that both have is changed in the columns
that differ, so that the others keep even what could not arrive in the target. Rows go before others come,
and rows whose unique values change are built beside their table: values may be swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converge.model.catalog import Table
from converge.model.quote import my_name
from converge.model.words import counted
from converge.rollback.inverse import taken
from converge.rollback.parents import Joining
from converge.rollback.script import Script
from converge.rollback.sides import Pair, Sides
from converge.run.relation import Row, row_text

_STATEMENT = 1024 * 1024
"""Characters of a statement from which on rows go into the next."""
_BESIDE, _KEYS = "`converge_rows`", "`converge_keys`"


class Changed:
    """A table of which rows have changed."""

    def __init__(self, sides: Sides, known: Table, joining: Sequence[Joining]) -> None:
        self.sides, self.table = sides, sides.table
        self._joining = joining
        self._name = sides.name
        self._all = [one.name for one in known.columns if not one.generated]
        self._computed = {one.name for one in known.columns if one.generated}
        self._stamped = [one.name for one in known.columns if one.on_update_now]
        unique = {name for one in known.indexes if one.unique and not one.primary for name in one.columns}
        expressions = any(one.unique and len(one.columns) < len(one.parts) for one in known.indexes)
        self._unique = set(sides.names) if expressions or unique - {*self._all} else unique
        self._swapped = 0

    def script(self) -> Script:
        """The statements that make the source's rows equal to the target's."""
        made = Script()
        found = 0
        for pairs in self.sides.batches():
            found += sum(one.here is not None for one in pairs)
            self._write(made, pairs)
        self._end_swap(made)
        if self.sides.whole and (left := self.sides.count() - found):
            self._delete_others(made, left)
        return made

    def differing(self) -> Iterator[str]:
        """What of the changed rows is not the same on both sides."""
        found = 0
        for pairs in self.sides.batches():
            found += len(pairs)
            for one in pairs:
                yield from self._differing(one)
        if self.sides.whole and found != (rows := self.sides.count()):
            yield f"{self.table.source}: {counted(rows, 'row')} in the source, {found:,} in the target"

    def _differing(self, pair: Pair) -> Iterator[str]:
        if pair.here is None and pair.there is None:
            return
        where = f"{self.table.source} {row_text(pair.key)}"
        if pair.here is None or pair.there is None:
            yield f"{where}: only the {'source' if pair.there is None else 'target'} has the row"
            return
        for name, here, there in self.sides.unequal(pair.here, pair.there):
            yield f"{where}: {name} is {row_text((here,))} here, {row_text((there,))} in the target"

    # ---- writing ------------------------------------------------------------------------------------------

    def _write(self, made: Script, pairs: Sequence[Pair]) -> None:
        if gone := [one.literals for one in pairs if one.here is not None and one.there is None]:
            made.deleted += len(gone)
            made.add("delete", f"DELETE FROM {self._name} WHERE {self.sides.where(gone)}", len(gone))
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
                    made.add(place, key.gather(self.sides.where(found), after=place == "after"))

    def _joined(self, place: str) -> Iterator[tuple[Joining, tuple[str, ...]]]:
        """The foreign keys of which values are to be noted, with the table's columns of them."""
        for key in self._joining:
            if columns := key.columns_of(self.table.source, after=place == "after"):
                yield key, columns

    def gather_orphans(self) -> Iterator[str]:
        """Statements that note existing orphans before all others; a table with a key needs none."""
        return iter(())

    def _sets(self, pair: Pair) -> dict[str, str]:
        """The columns that differ, with their values."""
        if pair.here is None or pair.there is None:
            return {}
        differ = {name for name, _, _ in self.sides.unequal(pair.here, pair.there)}
        return {
            one.source: taken(one, text)
            for one, text in zip(self.sides.columns, pair.texts, strict=True)
            if one.source in differ
        }

    def _update(self, name: str, pair: Pair, sets: Mapping[str, str]) -> str:
        # ON UPDATE CURRENT_TIMESTAMP leaves a column alone that is set, also to what it is.
        kept = {column: my_name(column) for column in self._stamped if column not in sets}
        values = ",".join(f"{my_name(column)}={made}" for column, made in (kept | dict(sets)).items())
        return f"UPDATE {name} SET {values} WHERE {self.sides.where([pair.literals])}"

    def _insert(self, made: Script, rows: Sequence[Row], keys: Sequence[Row] = ()) -> None:
        made.inserted += len(rows)
        names = ",".join(my_name(one.source) for one in self.sides.columns)
        values: list[str] = []
        for number, row in enumerate(rows, 1):
            values.append(f"({','.join(map(taken, self.sides.columns, row))})")
            if number == len(rows) or sum(map(len, values)) > _STATEMENT:
                insert = f"INSERT INTO {self._name} ({names}) VALUES {','.join(values)}"
                made.add("insert", insert, len(values), keys[number - len(values) : number])
                values = []

    def _swap(self, made: Script, changes: Sequence[tuple[Pair, Mapping[str, str]]]) -> None:
        """Rows whose unique values change are changed beside the table, and then take their places."""
        if not changes:
            return
        names = ",".join(map(my_name, dict.fromkeys([*self._all, *(one.source for one in self.sides.key)])))
        rows = (
            f"SELECT {names} FROM {self._name} WHERE {self.sides.where(one.literals for one, _ in changes)}"
        )
        begun, self._swapped = self._swapped, self._swapped + len(changes)
        how = (
            f"INSERT INTO {_BESIDE}"
            if begun
            else f"CREATE TEMPORARY TABLE {_BESIDE} (PRIMARY KEY ({','.join(self.sides.key_names)})) AS"
        )
        made.add("swap", f"{how} {rows}", len(changes))
        for one, sets in changes:
            made.add("swap", self._update(_BESIDE, one, sets), 1, [one.key])

    def _end_swap(self, made: Script) -> None:
        if not self._swapped:
            return
        names = ",".join(map(my_name, self._all))
        same = " AND ".join(f"own.{name}=new.{name}" for name in self.sides.key_names)
        made.add(
            "swap", f"DELETE own FROM {self._name} AS own JOIN {_BESIDE} AS new ON {same}", self._swapped
        )
        made.add("swap", f"INSERT INTO {self._name} ({names}) SELECT {names} FROM {_BESIDE}", self._swapped)
        made.add("swap", f"DROP TEMPORARY TABLE {_BESIDE}")

    # ---- a table as a whole -------------------------------------------------------------------------------

    def _delete_others(self, made: Script, left: int) -> None:
        """So many rows whose key the target does not have."""
        names = ",".join(self.sides.key_names)
        made.deleted += left
        made.add("delete", f"CREATE TEMPORARY TABLE {_KEYS} (PRIMARY KEY ({names})) AS "
                           f"SELECT {names} FROM {self._name} LIMIT 0")  # fmt: skip
        for pairs in self.sides.batches():
            values = ",".join(f"({','.join(one.literals)})" for one in pairs)
            made.add("delete", f"INSERT INTO {_KEYS} ({names}) VALUES {values}", len(pairs))
        same = " AND ".join(f"own.{name}=kept.{name}" for name in self.sides.key_names)
        # Not a join: IS NULL is also true of 0000-00-00.
        others = f"NOT EXISTS (SELECT 1 FROM {_KEYS} AS kept WHERE {same})"
        for key, _ in self._joined("delete"):
            made.add("delete", key.gather(others, after=False))
        made.add("delete", f"DELETE own FROM {self._name} AS own WHERE {others}", left)
        made.add("delete", f"DROP TEMPORARY TABLE {_KEYS}")
