"""The rows of an epoch that may differ: their keys in the target's session, beside the rows that replace
them.

Temporary tables hold all of it, so that memory does not grow with the changes: the keys as MySQL literals,
as the log gives them; then for each table its keys in the target's own types, and the source's rows of these
keys. A key is turned into the target's types by the expressions that the plan has for its columns, carried
out on literals in the source: on the copy's own road.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import psycopg

from converge.errors import ConvergeError
from converge.following.changes import Key
from converge.following.tables import CHANGED, DIGEST, MOVED, Child, Followed
from converge.model.quote import my_name
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import number as my_number
from converge.mysql.digest import row_digest as my_row_digest
from converge.mysql.query import fetch
from converge.mysql.rows import select_text, stream, whole_rows
from converge.postgres.copy import copy_statement, encoder, fields, write
from converge.postgres.digest import number as pg_number
from converge.postgres.digest import row_digest as pg_row_digest
from converge.postgres.errors import explain, is_of_value
from converge.postgres.query import value

_KEYS = "pg_temp.converge_dirty"
_AT_ONCE = 2000
"""Spellings of keys that the source is asked for at once: a few hundred kilobytes of SQL."""
_IN_MEMORY = 100_000
"""Keys that are kept here before they go to the target."""
# Lines of the value's own type, as of JSON, may come first.
_PLACE = re.compile(r"^COPY .*?, line (\d+)(?:, column (.*?))?(?:: .*)?\Z", re.DOTALL | re.MULTILINE)
_BETWEEN = "\1"
"""Between the literals of a key's columns."""


class Dirty:
    """The keys of one epoch, in the target's session."""

    def __init__(self, target: psycopg.Connection[Any], tables: Sequence[Followed]) -> None:
        self._target, self._tables = target, tables
        self._buffered: list[dict[Key, bool]] = [{} for _ in tables]
        self._count = self.count = 0
        self._created: set[int] = set()
        self.active: set[int] = set()
        """Tables that have keys."""
        self._sums: dict[int, tuple[int, Any]] = {}
        """Of tables as a whole: the source's rows, and the sum of their digests."""
        self.whole: set[int] = set()
        """Tables that are replaced as a whole."""
        self._changed: set[int] = set()
        """Tables replaced as a whole from now on, because some keys arrive as other values."""
        self.unsure: set[int] = set()
        """Tables whose values decide, because digests do not tell; only their rows were counted."""
        target.execute(
            f"CREATE TEMPORARY TABLE {_KEYS.removeprefix('pg_temp.')} "
            '(t int, k text COLLATE "C", moved boolean, round int NOT NULL DEFAULT 0)'
        )

    def find_orphans(self) -> None:
        """Finds the orphan rows that the target has, once in a session: a cascade may take them along with a
        parent that the keys do not find. More come only with the rows of epochs."""
        for table in self._tables:
            if keys := self._keys_to(table):
                as_ = f"AS SELECT {table.keys} FROM {table.name} LIMIT 0"
                name = _orphans_table(table.number).removeprefix("pg_temp.")
                self._target.execute(f"CREATE TEMPORARY TABLE {name} {as_}".encode())
                self._add_orphans(table, [pair for pair in keys if not pair[1].checked])

    def note_orphans(self) -> None:
        """Notes which of the rows that were written are orphans now, and which are no longer."""
        for table in [self._tables[number] for number in self.active | self.whole]:
            if (keys := self._keys_to(table)) and table.number not in self._changed:
                condition = self._target_condition(table)
                self._target.execute(f"DELETE FROM {_orphans_table(table.number)}{condition}".encode())
                self._add_orphans(table, keys, condition)

    def _add_orphans(
        self, table: Followed, keys: Sequence[tuple[Followed, Child]], condition: str = ""
    ) -> None:
        for parent, child in keys:
            filled = " AND ".join(f"c.{one} IS NOT NULL" for one, _ in child.on)
            alone = f"NOT EXISTS (SELECT FROM {parent.name} p WHERE {_joined(child)})"
            rows = f"SELECT * FROM {table.name}{condition}"
            orphans = f"SELECT {table.keys} FROM ({rows}) AS c WHERE {filled} AND {alone}"
            self._target.execute(f"INSERT INTO {_orphans_table(table.number)} {orphans}".encode())

    def _keys_to(self, table: Followed) -> list[tuple[Followed, Child]]:
        """The parents of a table, of whose rows that come and go within an epoch orphans are not found by
        their keys: another column is referred to, or a text that only the source's collation takes for
        equal. Without those with which the whole table goes."""
        return [
            (parent, child)
            for parent in self._tables
            for child in parent.children
            if child.table == table.number and child.on and table.by_key and not _told_by_key(parent, child)
        ]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction of the target; when it is rolled back, what was staged in it is forgotten."""
        created = {*self._created}
        try:
            with self._target.transaction():
                yield
        except BaseException:
            self._created, self.active = created, self.active & created
            raise

    def begin(self) -> None:
        """Forgets all."""
        self._buffered = [{} for _ in self._tables]
        self._count = self.count = 0
        self.whole, self._sums, self.unsure = set(), {}, set()
        used = [
            name
            for number in self.active
            for name in (_rows_table(number), _keys_table(number), _asked_table(number))
        ]
        self._target.execute(f"TRUNCATE {', '.join([_KEYS, *used])}".encode())
        self.active = set()

    def add(self, number: int, key: Key, moved: bool) -> None:
        """Notes a key; `moved` where rows that refer to it may have changed with it."""
        if not key or number in self._changed:
            # It has none that can be followed, or none that tells its rows apart.
            self.whole.add(number)
            return
        held = self._buffered[number]
        before = held.get(key)
        if before is None:
            self._count += 1
            held[key] = moved
            if self._count >= _IN_MEMORY:
                self.flush()
        elif moved and not before:
            held[key] = True

    def flush(self) -> None:
        """Sends what is here to the target."""

        def lines() -> Iterator[bytes]:
            for table, held in zip(self._tables, self._buffered, strict=True):
                if table.number not in self.whole:
                    for key, moved in held.items():
                        made = [make(data) for make, data in zip(table.literals, key, strict=True)]
                        literals = [one for one in made if one is not None]
                        if len(literals) < len(made):
                            self._changed.add(table.number)
                            self.whole.add(table.number)
                        else:
                            yield f"{table.number}\t{_BETWEEN.join(literals)}\t{moved:d}\n".encode()

        if self._count:
            write(self._target, f"COPY {_KEYS} (t, k, moved) FROM STDIN", lines())
        self._buffered = [{} for _ in self._tables]
        self.count += self._count
        self._count = 0

    # ---- keys and rows in the target's types ---------------------------------------------------------

    def stage(self, source: WatchedConnection) -> None:
        """Brings keys and rows of all tables, and of those that cascades may have changed, in a
        transaction."""
        ((self._packet,),) = fetch(source, "SELECT @@max_allowed_packet")
        round_ = 0
        while found := self._numbers(f"round = {round_}"):
            for number in found - self.whole:
                self._make(number)
                for batch in self._batches(number, f"round = {round_}"):
                    self._copy_keys(source, self._tables[number], batch)
                    self._copy_rows(source, self._tables[number], batch)
                # Also of a row that is gone: the one whose row it would take along has no event.
                both = " UNION ALL ".join(
                    f"SELECT FROM {name} WHERE {CHANGED}"
                    for name in (_rows_table(number), _keys_table(number))
                )
                if value(self._target, f"SELECT EXISTS ({both})"):
                    self._changed.add(number)
                    self.whole.add(number)
                self._mark_gone(self._tables[number])
            for number in sorted(found | self.whole):
                for child in self._tables[number].children:
                    if child.table not in self.whole:
                        self._cascade(source, self._tables[number], child, round_)
            round_ += 1
        for number in self.active - self.whole:
            self._target.execute(f"ANALYZE {_keys_table(number)}, {_rows_table(number)}".encode())
        self._spread()

    def _numbers(self, condition: str) -> set[int]:
        self._target.execute(f"ANALYZE {_KEYS}")
        query = f"SELECT DISTINCT t FROM {_KEYS} WHERE {condition}"
        return {number for (number,) in self._target.execute(query.encode()).fetchall()}

    def _batches(self, number: int, condition: str) -> Iterator[list[tuple[str, ...]]]:
        """Keys as literals, the last of which is whether they have moved."""
        query = (
            f"SELECT k, bool_or(moved)::int::text FROM {_KEYS} WHERE t = {number} AND {condition} GROUP BY k"
        )
        with self._target.cursor("converge_dirty") as cursor:
            cursor.execute(query.encode())
            while batch := cursor.fetchmany(_AT_ONCE // self._tables[number].spellings):
                keys = [(*key.split(_BETWEEN), moved) for key, moved in batch]
                yield from self._fitting(self._tables[number], keys)

    def _fitting(self, table: Followed, keys: list[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
        """The same keys, at most so many at once as a packet of the source takes."""
        longest = max(sum(len(table.key_text(key)) for key in keys), len(table.where(keys)))
        if len(keys) == 1 or 2 * longest < self._packet:
            yield keys
            return
        half = len(keys) // 2
        yield from self._fitting(table, keys[:half])
        yield from self._fitting(table, keys[half:])

    def _copy_keys(self, source: WatchedConnection, table: Followed, keys: Sequence[Sequence[str]]) -> None:
        """The keys as the target has them: one text of all, which the source makes of the literals. Without
        those that it cannot have: where there is a row of such a key, the row is refused."""
        made = ",".join(map(table.key_text, keys))
        parts = [part for _, read in stream(source, f"SELECT CONCAT({made})") for part in read]
        copy = f"COPY {_keys_table(table.number)} ({table.keys},{MOVED},{CHANGED}) FROM STDIN"
        try:
            with self._target.transaction():
                write(self._target, copy, [encoder(marked=table.key_plan.marked)(parts)])
        except (psycopg.DataError, psycopg.IntegrityError):
            half = len(keys) // 2
            for some in filter(None, (keys[:half], keys[half:])) if half else ():
                self._copy_keys(source, table, some)

    def _copy_rows(self, source: WatchedConnection, table: Followed, keys: Sequence[Sequence[str]]) -> None:
        plan = table.row_plan
        encoded = encoder(marked=plan.marked)
        query = f"{select_text(plan)}{table.where(keys)}"
        reads = stream(source, query)
        copy = f"COPY {_rows_table(table.number)} ({table.columns},{DIGEST},{CHANGED}) FROM STDIN"
        try:
            write(self._target, copy, (encoded(parts) for _, parts in reads))
        except psycopg.Error as error:
            if not is_of_value(error):
                raise
            for _ in reads:
                pass  # an answer is read to its end before the next query
            lines = (encoded([row]) for rows in whole_rows(stream(source, query)) for row in rows)
            raise _refused(table, lines, error) from error

    def _make(self, number: int) -> None:
        """The temporary tables of a table, once in a session."""
        table = self._tables[number]
        self.active.add(number)
        if number in self._created:
            return
        for name, listed in (
            (_rows_table(number), f"{table.columns}, 0::bigint AS {DIGEST}, false AS {CHANGED}"),
            (_keys_table(number), f"{table.keys}, false AS {MOVED}, false AS {CHANGED}"),
            (_asked_table(number), table.keys),
        ):
            as_ = f"AS SELECT {listed} FROM {table.name} LIMIT 0"
            self._target.execute(f"CREATE TEMPORARY TABLE {name.removeprefix('pg_temp.')} {as_}".encode())
        self._created.add(number)

    # ---- rows that cascades have changed -------------------------------------------------------------

    def _mark_gone(self, table: Followed) -> None:
        """A row that is gone takes those along that refer to it, also where no event of its own has said so.

        It may have been given another parent, and have gone with that one.
        """
        if table.children:
            rows = f"SELECT {table.keys} FROM {_rows_table(table.number)}"
            self._target.execute(
                f"UPDATE {_keys_table(table.number)} SET {MOVED} = true "
                f"WHERE NOT {MOVED} AND ({table.keys}) NOT IN ({rows})".encode()
            )

    def _cascade(self, source: WatchedConnection, parent: Followed, child: Child, round_: int) -> None:
        """Adds the keys of rows that refer to keys which have moved: as the target has them, and as the
        source has them where a cascade changes the key itself."""
        table = self._tables[child.table]
        by_key = child.on and table.by_key and table.number not in self._changed
        if parent.number in self.whole or not by_key:
            moved = f"SELECT EXISTS (SELECT FROM {_keys_table(parent.number)} WHERE {MOVED})"
            if parent.number in self.whole or value(self._target, moved):
                self.whole.add(table.number)
            return
        self._make(table.number)
        self._target.execute(f"ANALYZE {_keys_table(parent.number)}".encode())
        keys = ",".join(f"c.{name}" for name in table.key_names)
        parents = ",".join(f"p.{name}" for name in parent.key_names)
        on = _joined(child)
        moved = f"SELECT {parent.keys} FROM {_keys_table(parent.number)} WHERE {MOVED}"
        children = f"SELECT {keys} FROM {table.name} c JOIN"
        referring = f"{children} {parent.name} p ON {on} WHERE ({parents}) IN ({moved})"
        if {other for _, other in child.on} <= {*parent.key_names}:
            # An orphan row goes with a parent that has come and gone since, which the target never had.
            moved_keys = _keys_table(parent.number)
            referring = f"({referring} UNION {children} {moved_keys} p ON {on} WHERE p.{MOVED})"
        if not _told_by_key(parent, child):
            orphans = f"SELECT {table.keys} FROM {_orphans_table(table.number)} WHERE EXISTS ({moved})"
            referring = f"({referring} UNION {orphans})"
        query = (
            f"INSERT INTO {_asked_table(table.number)} {referring} "
            f"EXCEPT SELECT {table.keys} FROM {_asked_table(table.number)} "
            f"RETURNING {','.join(f'{name}::text' for name in table.key_names)}"
        )
        found = self._target.execute(query.encode())
        while rows := found.fetchmany(_AT_ONCE):
            made = (
                [make(one) for make, one in zip(table.of_texts, row, strict=True) if make] for row in rows
            )
            self._add(table.number, made, round_ + 1)
        if child.in_source:
            for batch in self._batches(parent.number, f"round = {round_} AND moved"):
                query = f"{child.in_source}{parent.where(batch, 'p')}"
                self._add(table.number, fetch(source, query), round_ + 1)

    def _add(self, number: int, keys: Iterable[Sequence[str]], round_: int) -> None:
        """Notes more keys, as literals, that are not noted yet."""
        texts = [_BETWEEN.join(key) for key in keys]
        self._target.execute(
            f'INSERT INTO {_KEYS} SELECT %s, k, true, %s FROM (SELECT unnest(%s::text[]) COLLATE "C" '
            f"EXCEPT SELECT k FROM {_KEYS} WHERE t = %s AND moved) AS new (k)".encode(),
            (number, round_, texts, number),
        )

    def _spread(self) -> None:
        """A table is replaced as a whole where the source makes other keys of the target's, where the target
        takes the key of another row for equal, or where a table is to which it refers."""
        for table in [self._tables[number] for number in self.active - self.whole]:
            asked = f"SELECT {table.keys} FROM {_asked_table(table.number)}"
            known = f"SELECT {table.keys} FROM {_keys_table(table.number)}"
            exact = f"SELECT {table.exact_keys} FROM"
            meant = f"{exact} {_keys_table(table.number)} UNION {exact} {_rows_table(table.number)}"
            others = f"{exact} {table.name}{self._target_condition(table)} EXCEPT ({meant})"
            if value(self._target, f"SELECT EXISTS ({asked} EXCEPT {known})") or (
                not table.numbered and value(self._target, f"SELECT EXISTS ({others})")
            ):
                self.whole.add(table.number)
        todo = [*self.whole]
        while todo:
            children = {child.table for child in self._tables[todo.pop()].children} - self.whole
            self.whole |= children
            todo += children

    # ---- the target's rows ---------------------------------------------------------------------------

    def delete(self, table: Followed) -> None:
        """Deletes the target's rows of these keys."""
        if table.number not in self.whole:
            self._target.execute(f"DELETE FROM {table.name}{self._target_condition(table)}".encode())
        else:
            # Its foreign keys, and those that refer to it, are set aside.
            clear = "TRUNCATE ONLY" if table.own.owned else "DELETE FROM"
            self._target.execute(f"{clear} {table.name}".encode())

    def insert(self, source: WatchedConnection, schema: str, table: Followed) -> int:
        """Inserts the source's; how many there are."""
        plan = table.plan
        if table.number not in self.whole:
            insert = f"INSERT INTO {table.name} ({table.columns}) OVERRIDING SYSTEM VALUE"
            # A row may be here twice, found by two keys. Others that the target takes for equal are refused.
            rows = f"SELECT DISTINCT ON ({table.exact_keys}) {table.columns} FROM {_rows_table(table.number)}"
            return self._target.execute(f"{insert} {rows}".encode()).rowcount
        encoded = encoder(marked=plan.marked)
        reads = stream(source, select_text(plan))
        copied = write(self._target, copy_statement(schema, plan), (encoded(parts) for _, parts in reads))
        digest = my_number(my_row_digest(plan))
        ((count, total),) = fetch(source, f"SELECT COUNT(*), SUM({digest}) FROM {my_name(plan.source)}")
        self._sums[table.number] = int(count), total
        return copied

    def equal(self, table: Followed) -> bool:
        """Whether the target's rows of these keys have the digests of the source's; where only the values
        could tell, whether they are as many."""
        digest = pg_number(pg_row_digest(table.plan))
        sums = f"SELECT count(*), sum({digest}) FROM {table.name}{self._target_condition(table)}"
        if table.number in self.whole:
            here = self._sums.get(table.number, (0, 0))
        else:
            once = f"SELECT DISTINCT ON ({table.exact_keys}) {DIGEST} AS d FROM {_rows_table(table.number)}"
            here = self._target.execute(f"SELECT count(*), sum(d) FROM ({once}) AS once".encode()).fetchall()[
                0
            ]
        there = self._target.execute(sums.encode()).fetchall()[0]
        if here == there:
            return True
        if all(column.judge == "text" for column in table.plan.columns) or here[0] != there[0]:
            return False
        self.unsure.add(table.number)
        return True

    def _target_condition(self, table: Followed) -> str:
        """The target's rows that are replaced; the source may find a row by a key that it takes for equal."""
        if table.number in self.whole:
            return ""
        places = (_keys_table(table.number), _rows_table(table.number))
        keys = " UNION ".join(f"SELECT {table.keys} FROM {place}" for place in places)
        return f" WHERE ({table.keys}) IN ({keys})"


def _refused(table: Followed, lines: Iterator[bytes], error: psycopg.Error) -> ConvergeError:
    """The error about one of these lines of COPY text, with its column and its key in the source."""
    refused, name = explain(error), table.plan.source
    if place := _PLACE.search(error.diag.context or ""):
        sources = {column.target: column.source for column in table.plan.copied}
        values = dict(
            zip(sources.values(), fields(next(islice(lines, int(place[1]) - 1, None))), strict=False)
        )
        column = f".{sources[place[2]]}" if place[2] in sources else ""
        key = "".join(
            f", {one}={(values.get(one) or b'').decode(errors='replace')}" for one in table.plan.key
        )
        name += f"{column}{key}"
    refused.message = f"{name}: {refused.message}"
    temporary = _rows_table(table.number).removeprefix("pg_temp.")
    refused.details = tuple(line.replace(temporary, table.plan.source) for line in refused.details)
    return refused


def _joined(child: Child) -> str:
    return " AND ".join(f"c.{one}=p.{other}" for one, other in child.on)


def _told_by_key(parent: Followed, child: Child) -> bool:
    """Whether the parent's keys of an epoch find all rows of the child that go with them."""
    return {other for _, other in child.on} <= {*parent.key_names} and parent.told_by_key


def _keys_table(number: int) -> str:
    return f"pg_temp.converge_keys_{number}"


def _asked_table(number: int) -> str:
    return f"pg_temp.converge_asked_{number}"


def _rows_table(number: int) -> str:
    return f"pg_temp.converge_rows_{number}"


def _orphans_table(number: int) -> str:
    return f"pg_temp.converge_orphans_{number}"
