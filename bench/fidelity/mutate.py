"""No false pass: one value of each row is changed in the target, and exactly these must be reported.

All changes of a batch are made in one transaction that is rolled back, and are looked for by the drill-down
of `converge verify`, which fetches only rows whose digests differ: so every change alone changes the sum
of its table.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import psycopg

from bench.fidelity.nasty import array, kind_of, other
from converge.model.quote import pg_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import digest_query as source_digest
from converge.postgres.digest import digest_query as target_digest
from converge.run import drill_down

_ALL = 10**9
_WHOLE_ROW = frozenset({None})
Columns = frozenset[str | None]


@dataclass
class Tally:
    """Mutations and what was found of them, by target type."""

    made: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Mutations that were missed, and values that were reported without one."""

    def note(self, kind: str, found: bool, words: str) -> None:
        self.made[kind] += 1
        self.found[kind] += found
        if not found:
            self.wrong.append(f"missed: {kind}: {words}")


@dataclass(frozen=True)
class Mutation:
    """One change, and where the drill-down must see it: `any_of` is enough for a change of two columns."""

    kind: str
    key: str
    columns: Columns
    words: str
    any_of: bool = False

    def met(self, reported: AbstractSet[str | None]) -> bool:
        """Whether these columns, and no others, were reported."""
        if self.any_of:
            return bool(reported) and reported <= self.columns
        return reported == self.columns


@dataclass(frozen=True)
class Row:
    """A row of the target before its mutation."""

    ctid: str
    key: str
    values: tuple[str | None, ...]


class Mutator:
    """Batches of mutations on one table."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        schema: str,
        table: TablePlan,
        rng: Random,
    ) -> None:
        self._source = source
        self._target = target
        self._schema = schema
        self._table = table
        self._name = pg_name(schema, table.target)
        self._rng = rng

    def batch(self, tally: Tally) -> None:
        """Changes about every row in one place, looks, and undoes it all."""
        drill_down.MOST_DIFFERENCES = _ALL
        with self._target.transaction(force_rollback=True):
            rows = self._rows()
            self._rng.shuffle(rows)
            mutations = list(self._mutate(rows))
            drill = drill_down.Drill(self._source, self._target, self._schema, self._table)
            found = list(drill.run(None).first)
            same = bool(mutations) and self._equal()
            after = [] if self._table.key else self._rows()
        if not self._table.key:
            self._judge_keyless(mutations, rows, after, found, tally)
            return
        seen: dict[str, set[str | None]] = defaultdict(set)
        for one in found:
            seen[one.key].add(one.column)
        for mutation in mutations:
            columns = seen.pop(mutation.key, set())
            met = mutation.met(columns) and not same
            tally.note(mutation.kind, met, f"{self._table.source} {mutation.words}: {columns}")
        tally.wrong += [f"reported without a mutation: {self._table.source} {one}" for one in seen.items()]

    def _judge_keyless(
        self, mutations: Sequence[Mutation], rows: list[Row], after: list[Row], found: list[Any], tally: Tally
    ) -> None:
        """Without a key only whole rows can be told: as many as are gone, and as many as are new."""
        before, now = Counter(row.values for row in rows), Counter(row.values for row in after)
        told = [(one.target is None, int(one.key.strip("(").partition(" ")[0])) for one in found]
        lost, gained = (sum(count for gone, count in told if gone is side) for side in (True, False))
        met = (lost, gained) == ((before - now).total(), (now - before).total())
        for mutation in mutations:
            tally.note(mutation.kind, met, f"{self._table.source} {mutation.words}")

    def _equal(self) -> bool:
        """Whether the sums of the whole table are equal: then a comparison would not even look."""
        with self._source.cursor() as cursor:
            cursor.execute(source_digest(self._table, ""))
            ((left_rows, left_sum, *_),) = cursor.fetchall()
        query = target_digest(self._schema, self._table, "")
        right = self._target.execute(query.encode()).fetchone()
        assert right is not None
        return (left_rows, int(left_sum or 0)) == (right[0], int(right[1] or 0))

    def _rows(self) -> list[Row]:
        table = self._table
        keys = [column for name in table.key for column in table.columns if column.source == name]
        fields = [f"({column.target_value})::text" for column in keys] + [
            _shown(one) for one in table.columns
        ]
        query = f"SELECT ctid::text,{','.join(fields)} FROM {self._name}"
        found = []
        for ctid, *values in self._target.execute(query.encode()).fetchall():
            key = ", ".join(f"{name}={value}" for name, value in zip(table.key, values, strict=False))
            found.append(Row(ctid, key, tuple(values[len(keys) :])))
        return found

    def _mutate(self, rows: Sequence[Row]) -> Iterator[Mutation]:
        waiting = iter(rows)
        for row in waiting:
            dice = self._rng.random()
            if dice < 0.02:
                yield from self._delete(row)
            elif dice < 0.04:
                yield from self._double(row)
            elif dice < 0.08:
                yield from self._swap(row, next(waiting, None))
            elif dice < 0.12:
                yield from self._move_mark(row)
            else:
                yield from self._change(row)

    def _free(self) -> list[tuple[int, ColumnPlan]]:
        """Columns that are not of the key, whose rows would get another identity."""
        return [(n, one) for n, one in enumerate(self._table.columns) if one.source not in self._table.key]

    def _change(self, row: Row) -> Iterator[Mutation]:
        place, column = self._rng.choice(self._free())
        new = other(self._rng, row.values[place], column)
        if self._set(row, {column: new}):
            words = f"{row.key} {column.source}: {row.values[place]!r} -> {new!r}"
            yield Mutation(kind_of(column), row.key, frozenset({column.source}), words)

    def _set(self, row: Row, values: dict[ColumnPlan, str | None]) -> bool:
        """Writes the values; False when they mean what was there, for PostgreSQL itself."""
        names = ",".join(f"{pg_name(one.target)}=%s::{one.target_type}" for one in values)
        differs = " AND ".join(_differs(one) for one in values)
        query = f"UPDATE {self._name} SET {names} WHERE ctid=%s::tid AND {differs}"
        done = self._target.execute(query.encode(), [*values.values(), row.ctid, *values.values()])
        return done.rowcount == 1

    def _delete(self, row: Row) -> Iterator[Mutation]:
        self._target.execute(f"DELETE FROM {self._name} WHERE ctid=%s::tid".encode(), [row.ctid])
        yield Mutation("(row deleted)", row.key, _WHOLE_ROW, row.key)

    def _double(self, row: Row) -> Iterator[Mutation]:
        """The row once more: under another number where the key is one, and as it is without a key."""
        table = self._table
        if table.key and not (len(table.key) == 1 and table.key_types[0].endswith("int")):
            return
        shift = [f"{pg_name(one.target)}{'+1000000' * (one.source in table.key)}" for one in table.columns]
        names = ",".join(pg_name(one.target) for one in table.columns)
        query = (
            f"INSERT INTO {self._name}({names}) SELECT {','.join(shift)} FROM {self._name} WHERE ctid=%s::tid"
        )
        self._target.execute(query.encode(), [row.ctid])
        key = f"{table.key[0]}={int(row.key.partition('=')[2]) + 1_000_000}" if table.key else ""
        yield Mutation("(row doubled)", key, _WHOLE_ROW, row.key)

    def _swap(self, row: Row, partner: Row | None) -> Iterator[Mutation]:
        """Two rows' values change places: no value is lost, and both are wrong."""
        place, column = self._rng.choice(self._free())
        if partner is None or (not column.nullable and None in (row.values[place], partner.values[place])):
            return
        if not self._set(row, {column: _literal(partner.values[place], column)}):
            return
        assert self._set(partner, {column: _literal(row.values[place], column)})
        for one in row, partner:
            yield Mutation(
                "(values swapped)", one.key, frozenset({column.source}), f"{one.key} {column.source}"
            )

    def _move_mark(self, row: Row) -> Iterator[Mutation]:
        """A | and the rest of one text move to the next one."""
        free = self._free()
        pairs = [pair for pair in pairwise(free) if all(kind_of(column) in _TEXT for _, column in pair)]
        if not pairs:
            return
        (here, left), (there, right) = self._rng.choice(pairs)
        first, second = row.values[here], row.values[there]
        if first is None or second is None or len(second) > 15:
            return
        new: dict[ColumnPlan, str | None] = {left: first[:-1], right: first[-1:] + "|" + second}
        if first and self._set(row, new):
            columns: Columns = frozenset({left.source, right.source})
            yield Mutation("(| moved)", row.key, columns, f"{row.key} {first!r} {second!r}", any_of=True)


_TEXT = ("text", "varchar")


def _shown(column: ColumnPlan) -> str:
    name = pg_name(column.target)
    return f"to_json({name})::text" if kind_of(column) == "text[]" else f"{name}::text"


def _literal(value: str | None, column: ColumnPlan) -> str | None:
    """`_shown`'s text as a literal."""
    return value if value is None or kind_of(column) != "text[]" else array(json.loads(value))


def _differs(column: ColumnPlan) -> str:
    """SQL condition with the new value as its parameter: it is not the same one."""
    name, new = pg_name(column.target), f"%s::{column.target_type}"
    if kind_of(column) in ("json", "jsonb"):
        return f"{name}::jsonb IS DISTINCT FROM {new}::jsonb"
    return f'{name}::text COLLATE "C" IS DISTINCT FROM ({new})::text COLLATE "C"'
