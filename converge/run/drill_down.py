"""The drill-down: from rows whose digests differ to key, column and both values.

Both servers send the digests of all rows, of key and values, which are compared here (`run.unlike`), so that
all rows that differ are counted, and collations and page order do not matter. Of a large table the rows fall
into buckets by the digest of their key first (of the whole row where there is no key): both servers sum every
bucket, and only the rows of differing buckets are sent.
Values are fetched of the first ones, and of all where a file gets them or where only the values can judge;
of a long value only its digest comes, and of long JSON that differs a few at once. Memory: one batch of
values.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import SourceError
from converge.model.plan import TablePlan
from converge.model.result import MOST_DIFFERENCES as MOST_DIFFERENCES
from converge.model.result import Difference
from converge.model.words import counted, said
from converge.model.work import Counts, Drilled, RecordsTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.mysql.rows import stream
from converge.postgres.digest import page_ranges, pages_of
from converge.run.relation import (
    Relation,
    Row,
    as_text,
    first_difference,
    identities_at_once,
    identity_digests,
    of_table,
    row_digests,
    row_text,
    sums,
    unequal,
    window,
)
from converge.run.unlike import NONE, Digests, Parts, Records, cut, unlike
from converge.types.field import Field, is_cut, is_long, shown, size_of_long

_FETCH_BYTES = 16_000_000
"""Values of about this size are fetched at once: each time both servers read the whole table."""
_MOST_FETCHED = 10_000
_LONG_BYTES = 65_536
"""A value of more bytes than this stays on the servers."""
_PARSED_BYTES = 4_000_000
"""JSON that is parsed at once, on both sides together; one value may be longer."""
_LEAST_LONG_BYTES = 1024
"""The same for the values of very wide rows."""
WHOLE_ROWS = 20_000_000
"""A table of fewer rows sends the digests of all: 64 bytes a row."""
_MOST_ROWS = 10_000_000
"""Rows of which digests are sent at once, and kept in files here: less than a gigabyte."""
_MOST_BUCKETS = 50_000
"""Of one statement, which takes less than half a megabyte."""
_PAGE_ROWS = 60
"""Of narrow rows; a page of PostgreSQL has 8 kB."""
_KEYS_AT_ONCE = 50_000
_MOST_JUDGED = 10
"""Batches of rows whose values are fetched before all are taken to differ."""
_SHOWN_BYTES = 1000
_BEFORE_BYTES = 40
_ROWS = "(rows)"
_NUMBERS = re.compile(r"(\d+)")

Order = list[tuple[bool, int, str]]
Tell = Callable[[list[Difference]], None]
Rows = dict[str, list[Row]]
"""Rows by their identity."""


@dataclass(frozen=True, slots=True)
class Side:
    """One server's rows."""

    ask: Callable[[str], Iterable[tuple[Any, ...]]]
    records: Callable[[str], Records]
    """The digests of all rows that a condition takes."""
    place: str
    """What stands in FROM."""
    identity: str
    row: str
    """The digest of its values."""
    total: str
    """The sum of these digests."""
    key: str
    """As people read it."""
    values: tuple[str, ...]

    def buckets(self, digits: int) -> dict[str | None, tuple[int, int]]:
        """Rows and the sum of their digests, by so many digits of their identity."""
        bucket = f"substr({self.identity},1,{digits})"
        rows = self.ask(f"SELECT {bucket},count(*),{self.total} FROM {self.place} GROUP BY 1")
        return {bucket: (count, int(total or 0)) for bucket, count, total in rows}

    def records_of(self, digits: int, buckets: Sequence[str]) -> Records:
        """The digests of the rows of these buckets, or of all without any."""
        listed = ",".join(f"'{bucket}'" for bucket in buckets)
        return self.records(f"substr({self.identity},1,{digits}) IN ({listed})" if buckets else "1=1")

    def keys(self, identities: Sequence[str]) -> dict[str, str]:
        """Their keys, as people read them, as far as this side has them."""
        chosen = ",".join(f"'{identity}'" for identity in identities)
        query = f"SELECT {self.identity},{self.key} FROM {self.place} WHERE {self.identity} IN ({chosen})"
        return {str(as_text(identity)): as_text(key) or "" for identity, key in self.ask(query)}

    def rows(self, identities: Sequence[str], most: int | None) -> Rows:
        """The rows with these identities, at most so many."""
        chosen = ",".join(f"'{identity}'" for identity in identities)
        limit = "" if most is None else f" LIMIT {most}"
        listed = ",".join([self.identity, *self.values])
        found: Rows = defaultdict(list)
        for identity, *values in self.ask(
            f"SELECT {listed} FROM {self.place} WHERE {self.identity} IN ({chosen}){limit}"
        ):
            found[identity].append(tuple(map(as_text, values)))
        return found

    def piece(self, value: str, identity: str, start: int, size: int) -> bytes:
        """A part of the bytes of one row's value."""
        (row,) = self.ask(
            f"SELECT SUBSTR({value},{start + 1},{size}) FROM {self.place} "
            f"WHERE {self.identity}='{identity}' LIMIT 1"
        )
        return bytes(row[0])


class Suspects:
    """The rows of a relation that differ by digest, on one pair of connections."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        relation: Relation,
        long: int,
        rows: int,
        pages: Sequence[str] = (),
        parts: Parts | None = None,
    ) -> None:
        """Values of more than `long` bytes stay on the servers.

        `rows` is about how many there are; `pages` are conditions that split a table of the target. Where
        `parts` have the digests already, they are not asked for.
        """
        self._name, self._rows, self._parts = relation.name, rows, parts
        # Some tens of rows a bucket: few of those of a large table differ where few rows do.
        self._digits = 0 if rows < WHOLE_ROWS else 5
        identity = identity_digests(relation)
        row = row_digests(relation.fields)
        totals = sums(row)
        values = [field.fetched(long) for field in relation.fields]
        here_key = ",".join(["''", *(field.source_value for field in relation.key)])
        there_key = ",".join(["''", *(f"{field.target_value}::text" for field in relation.key)])
        none = NONE.hex()
        records = [
            f"CONCAT(COALESCE({one},'{none}'),COALESCE({other},'{none}'))"
            for one, other in zip(identity, row, strict=True)
        ]

        def of_source(condition: str) -> Records:
            query = f"SELECT UNHEX({records[0]}) FROM {relation.source} WHERE {condition}"
            return (read for _, read in stream(source, query, may_cut=True))

        def of_target(condition: str) -> Records:
            cursor = target.cursor(binary=True)
            record = f"decode({records[1]},'hex')"
            if not pages:
                query = f"SELECT {record} FROM {relation.target} WHERE {condition}"
                yield from cursor.stream(query.encode())
            for page in pages:
                query = f"SELECT string_agg({record},'') FROM {relation.target}{page or ' WHERE true'}"
                ((block,),) = cursor.execute(f"{query} AND {condition}".encode()).fetchall()
                yield cut(block or b"")

        self.sides = (
            Side(
                lambda query: fetch(source, query), of_source, relation.source, identity[0], row[0],
                totals[0], f"CONCAT_WS(',',{here_key})", tuple(here for here, _ in values),
            ),
            Side(
                lambda query: target.execute(query.encode()), of_target, relation.target, identity[1], row[1],
                totals[1], f"concat_ws(',',{there_key})", tuple(there for _, there in values),
            ),
        )  # fmt: skip

    def __iter__(self) -> Iterator[tuple[str, Digests, Digests]]:
        """Identities of rows with other digests on each side, with the digests of all of their rows.

        Both connections are free when one is given.
        """
        for identity, left, right in self._parts.unlike() if self._parts else self._asked():
            if identity == NONE:
                raise self.no_digest(left.total())
            yield identity.hex(), left, right

    def _asked(self) -> Iterator[tuple[bytes, Digests, Digests]]:
        for buckets in self._batches():
            here, there = (side.records_of(self._digits, buckets) for side in self.sides)
            yield from unlike(here, there, min(self._rows, _MOST_ROWS))

    def no_digest(self, rows: int) -> SourceError:
        """Rows that cannot be compared."""
        words = "are longer than the source's max_allowed_packet and have no digest"
        return SourceError(
            f"{self._name}: {said(rows, words)}",
            code=Code.V003,
            hint="SET GLOBAL max_allowed_packet = 1073741824; on the source, then verify again",
        )

    def _batches(self) -> Iterator[list[str]]:
        """Differing buckets, together about as many rows as fit a batch; an empty one stands for all rows."""
        if not self._digits:
            yield []
            return
        left, right = (side.buckets(self._digits) for side in self.sides)
        if None in left:
            raise self.no_digest(left[None][0])
        sizes = {
            bucket: max(side.get(bucket, (0, 0))[0] for side in (left, right))
            for bucket in sorted(filter(None, left.keys() | right.keys()))
            if left.get(bucket) != right.get(bucket)
        }
        for batch in by_size(sizes, _MOST_ROWS):
            for start in range(0, len(batch), _MOST_BUCKETS):
                yield batch[start : start + _MOST_BUCKETS]


class Drill:
    """The drill-down of one table on one pair of connections."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        schema: str,
        table: TablePlan,
        parts: Parts | None = None,
    ) -> None:
        row_bytes = table.data_bytes // max(1, table.rows_estimate) + 1
        self._fetched = max(MOST_DIFFERENCES, min(_MOST_FETCHED, _FETCH_BYTES // row_bytes))
        most = _FETCH_BYTES // MOST_DIFFERENCES // len(table.columns)
        long = max(_LEAST_LONG_BYTES, min(_LONG_BYTES, most))
        self._at_once = identities_at_once(source, _KEYS_AT_ONCE)
        self._piece = min(_FETCH_BYTES, int(fetch(source, "SELECT @@max_allowed_packet DIV 4")[0][0]))
        self._relation = of_table(schema, table)
        fields = self._relation.fields
        self._key = [fields.index(field) for field in self._relation.key]
        (size,) = pages_of(target, schema, [table])
        pages = list(page_ranges(size))
        self._suspects = Suspects(source, target, self._relation, long, about_rows(table, size), pages, parts)
        # JSON of more than this is taken for other than JSON that is written in another way.
        whole = [field.fetched(self._piece if field.judge == "json" else long) for field in fields]
        self._whole = [
            replace(side, values=values)
            for side, values in zip(self._suspects.sides, zip(*whole, strict=True), strict=True)
        ]

    def run(self, tell: Tell | None) -> Drilled:
        """Counts all rows that differ, and gives those of the lowest keys; `tell` gets every one of them."""
        counts = Counts()
        by_value = tell is not None or any(field.judge != "text" for field in self._relation.fields)

        def by_digest() -> Iterator[str]:
            nonlocal counts
            for identity, left, right in self._suspects:
                # A row without a digest is longer than max_allowed_packet, and may be equal.
                if by_value or "" in left:
                    spool.write(f"{identity}\n")
                else:
                    counts += _counted(left, right)
                    yield identity

        # There may be as many suspects as rows.
        with TemporaryFile("w+") as spool:
            lowest = self._lowest(by_digest())
            first = self._judge(lowest)[1] if lowest else []
            spool.seek(0)
            while batch := [line.rstrip() for line in islice(spool, self._fetched)]:
                more, found, _ = self._judge(batch)
                counts += more
                if tell is not None:
                    tell(found)
                first = _first(first + found)
        return Drilled(self._relation.name, counts, tuple(_first(first)))

    def _lowest(self, identities: Iterator[str]) -> list[str]:
        """Those of the lowest keys."""
        lowest: list[tuple[Order, str]] = []
        while batch := list(islice(identities, self._at_once)):
            here, there = (side.keys(batch) for side in self._suspects.sides)
            found = ((_natural(key), identity) for identity, key in (here | there).items())
            lowest = nsmallest(MOST_DIFFERENCES, chain(lowest, found))
        return [identity for _, identity in lowest]

    def differing(self) -> Iterator[tuple[str, int, int]]:
        """The identities that differ by meaning, each with its number of rows in source and target.

        Of a table without a key they are the digests of whole rows.
        """
        count = 0
        with TemporaryFile("w+") as spool:
            for line in self._lines():
                spool.write(line)
                count += 1
            spool.seek(0)
            # To replace many rows costs less than to look which of them mean the same.
            few = count <= _MOST_JUDGED * self._fetched
            by_meaning = few and any(field.judge != "text" for field in self._relation.fields)
            while batch := [line.split() for line in islice(spool, self._fetched)]:
                meant = self._judge([*{identity for identity, *_ in batch}])[2] if by_meaning else None
                for identity, digest, here, there in batch:
                    if meant is None or identity in meant:
                        yield digest, int(here), int(there)

    def _lines(self) -> Iterator[str]:
        for identity, left, right in self._suspects:
            if self._relation.key:
                yield f"{identity} {identity} {left.total()} {right.total()}\n"
                continue
            for digest in sorted(left.keys() | right.keys()):
                if not digest:
                    raise self._suspects.no_digest(left[digest] + right[digest])
                if left[digest] != right[digest]:
                    yield f"{identity} {digest} {left[digest]} {right[digest]}\n"

    def _judge(self, identities: Sequence[str]) -> tuple[Counts, list[Difference], set[str]]:
        """Compares the values of these rows by meaning; long JSON a few megabytes at a time.

        The last are the identities that differ.
        """
        source, target = (side.rows(identities, None) for side in self._suspects.sides)
        large = {one: self._json_bytes(source.get(one, []), target.get(one, [])) for one in identities}
        counts, found, meant = self._compare([one for one in identities if not large[one]], source, target)
        del source, target
        for batch in by_size({one: size for one, size in large.items() if size}, _PARSED_BYTES):
            more, differences, others = self._compare(
                batch, *(side.rows(batch, None) for side in self._whole)
            )
            counts += more
            found += differences
            meant |= others
        return counts, found, meant

    def _json_bytes(self, *sides: list[Row]) -> int:
        """The bytes of the JSON of these rows that is on the servers only."""
        places = [place for place, field in enumerate(self._relation.fields) if field.judge == "json"]
        values = (row[place] for rows in sides for row in rows for place in places)
        return sum(size_of_long(value) for value in values if value is not None and is_long(value))

    def _compare(
        self, identities: Sequence[str], source: Rows, target: Rows
    ) -> tuple[Counts, list[Difference], set[str]]:
        counts, found, name = Counts(), list[Difference](), self._relation.name
        meant = set[str]()
        if not self._relation.key:
            left, right = list[Row](), list[Row]()
            for identity in identities:
                # Rows that mean the same have the same identity.
                here, there, _ = unequal(
                    self._relation.fields, source.get(identity, []), target.get(identity, [])
                )
                left += here
                right += there
                meant |= {identity} if here or there else set()
            for row, count in Counter(left).items():
                found.append(Difference(name, f"({counted(count, 'row')})", None, row_text(row), None))
            for row, count in Counter(right).items():
                found.append(Difference(name, f"({counted(count, 'row')})", None, None, row_text(row)))
            return Counts(len(left), len(right)), found, meant
        for identity in identities:
            here, there = source.get(identity, []), target.get(identity, [])
            pair = list(self._pair(identity, here, there))
            found += pair
            meant |= {identity} if pair else set()
            values = any(one.column not in (None, _ROWS) for one in pair)
            more = len(there) - len(here)
            counts += Counts(max(0, -more), max(0, more), int(values))
        return counts, found, meant

    def _pair(self, identity: str, source: list[Row], target: list[Row]) -> Iterator[Difference]:
        name, fields = self._relation.name, self._relation.fields
        row = (source or target or [()])[0]
        key = ", ".join(f"{fields[place].name}={row[place]}" for place in self._key)
        if not source or not target:
            whole = row_text(row)
            yield Difference(name, key, None, whole if source else None, None if source else whole)
            return
        if len(source) != len(target):
            yield Difference(name, key, _ROWS, str(len(source)), str(len(target)))
        for field, left, right in zip(fields, source[0], target[0], strict=True):
            if field.meaning(left) == field.meaning(right) and not is_cut(left):
                continue
            if None not in (left, right) and not is_cut(left) and (is_long(left) or is_long(right)):
                differ = self._long_window(field, identity)
            else:
                differ = window(left and shown(left), right and shown(right))
            yield Difference(name, key, field.name, *differ)

    def _long_window(self, field: Field, identity: str) -> tuple[str | None, str | None]:
        """The place where two long values begin to differ, of each about a thousand bytes."""
        here, there = self._suspects.sides
        values = (
            f"CAST({field.source_value} AS BINARY)",
            f"convert_to({field.target_value}::text,'UTF8')",
        )

        def pieces(start: int, size: int) -> tuple[bytes, bytes]:
            return (
                here.piece(values[0], identity, start, size),
                there.piece(values[1], identity, start, size),
            )

        low = 0
        left, right = pieces(low, self._piece)
        while left == right and left:
            low += self._piece
            left, right = pieces(low, self._piece)
        place = low + first_difference(left, right)
        start = max(0, place - _BEFORE_BYTES)
        mark = f"[byte {place + 1:,}] "
        left, right = pieces(start, _BEFORE_BYTES + _SHOWN_BYTES)
        return mark + left.decode("utf-8", "replace"), mark + right.decode("utf-8", "replace")


def about_rows(table: TablePlan, pages: int) -> int:
    """Of a table that has so many pages in the target: statistics may know nothing of most rows."""
    return max(table.rows_estimate, pages * _PAGE_ROWS)


def records(
    source: WatchedConnection, target: psycopg.Connection[Any], task: RecordsTask
) -> tuple[int, Records]:
    """The side of a task, and the digests of its rows."""
    pages = [] if task.page is None else [task.page]
    suspects = Suspects(source, target, of_table(task.schema, task.table), 0, 0, pages)
    side = int(task.part is None)
    return side, suspects.sides[side].records(task.part or "1=1")


def by_size(sizes: dict[str, int], most: int) -> Iterator[list[str]]:
    """Identities in batches of together at most so many; one alone may have more."""
    batch: list[str] = []
    total = 0
    for identity, size in sizes.items():
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(identity)
        total += size
    if batch:
        yield batch


def _counted(left: Digests, right: Digests) -> Counts:
    """What digests alone say of the rows of one identity."""
    here, there = (left - right).total(), (right - left).total()
    different = min(here, there)
    return Counts(here - different, there - different, different)


def _first(differences: list[Difference]) -> list[Difference]:
    """Those of the lowest keys."""
    return nsmallest(MOST_DIFFERENCES, differences, key=lambda one: _natural(one.key))


def _natural(text: str) -> Order:
    """Sorts numbers by their size, as keys are."""
    return [
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in _NUMBERS.split(text)
    ]
