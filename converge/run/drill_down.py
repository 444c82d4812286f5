"""The drill-down: from rows whose digests differ to key, column and both values.

`run.suspects` tells which rows differ. Values are fetched of the first ones, and of all where a file gets
them or where only the values can judge; of a long value only its digest comes, and of long JSON that differs
a few at once. Memory: one batch of values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import chain, islice, zip_longest
from tempfile import TemporaryFile
from typing import Any

import psycopg

from converge.model.result import MOST_DIFFERENCES as MOST_DIFFERENCES
from converge.model.result import Difference
from converge.model.table_plan import TablePlan
from converge.model.words import counted
from converge.model.work import Counts, Differing, Drilled
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.postgres.digest import pages_of
from converge.run.relation import (
    Row,
    first_difference,
    identities_at_once,
    of_table,
    row_text,
    unequal,
    window,
)
from converge.run.suspects import Rows, Suspects, about_rows, by_size, pages_at_once
from converge.run.unlike import Digests, Parts
from converge.types.field import Field, document_digest, is_cut, is_long, shown, size_of_long

_FETCH_BYTES = 16_000_000
"""Values of about this size are fetched at once: each time both servers read the whole table."""
_MOST_FETCHED = 10_000
_LONG_BYTES = 65_536
"""A value of more bytes than this stays on the servers."""
_PARSED_BYTES = 4_000_000
"""JSON that is parsed at once, on both sides together; one value may be longer."""
_LEAST_LONG_BYTES = 1024
"""The same for the values of very wide rows."""
_KEYS_AT_ONCE = 50_000
_MOST_JUDGED = 10
"""Batches of rows whose values are fetched before all are taken to differ."""
_SHOWN_BYTES = 1000
_BEFORE_BYTES = 40
_ROWS = "(rows)"
_NUMBERS = re.compile(r"(\d+)")

Order = list[tuple[bool, int, str]]
Tell = Callable[[list[Difference]], None]


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
        pages = list(pages_at_once(size))
        self._suspects = Suspects(source, target, self._relation, long, about_rows(table, size), pages, parts)
        # Longer JSON is not parsed: `_same_document` reads it piece by piece.
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
            for one in self._suspects:
                # A row without a digest is longer than max_allowed_packet, and may be equal.
                if by_value or "" in one.source:
                    spool.write(f"{one.identity.hex()}\n")
                else:
                    counts += _counted(one.source, one.target)
                    yield one.identity.hex()

        # There may be as many suspects as rows.
        with TemporaryFile("w+") as spool:
            lowest = self._lowest(by_digest())
            first = self._judge(lowest)[1] if lowest else []
            spool.seek(0)
            while batch := [line.rstrip() for line in islice(spool, self._fetched)]:
                more, found, _ = self._judge(batch)
                counts += more
                if tell is not None and found:
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

    def differing(self) -> Iterator[Differing]:
        """What differs by meaning: of a table without a key by whole rows, and not by identities."""
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
                both = {identity for identity, _, rows, *places in batch if rows != "0" and places}
                # Rows of one side alone differ, and those of a table without a key are told by their values.
                asked = both if self._relation.key else {identity for identity, *_ in batch}
                # Without a key equal rows belong to an identity, too, and no batch has their places.
                keyed = batch if self._relation.key else []
                places = [place for identity, _, _, *places in keyed if identity in both for place in places]
                same = asked - self._judge([*asked], places)[2] if by_meaning and asked else set()
                for identity, digest, rows, *places in batch:
                    if identity not in same:
                        yield Differing(digest, int(rows), tuple(places))

    def _lines(self) -> Iterator[str]:
        for one in self._suspects:
            identity = one.identity.hex()
            if self._relation.key:
                places = " ".join(chain.from_iterable(one.places.values()))
                yield f"{identity} {identity} {one.source.total()} {places}\n"
                continue
            for digest in sorted(one.source.keys() | one.target.keys()):
                if not digest:
                    raise self._suspects.no_digest(one.source[digest] + one.target[digest])
                if one.source[digest] != one.target[digest]:
                    yield f"{identity} {digest} {one.source[digest]} {' '.join(one.places[digest])}\n"

    def _judge(
        self, identities: Sequence[str], places: Sequence[str] = ()
    ) -> tuple[Counts, list[Difference], set[str]]:
        """Compares the values of these rows by meaning; long JSON a few megabytes at a time.

        Where their `places` are known, the target is not searched for them. The last are the identities that
        differ.
        """
        here, there = self._suspects.sides
        source, target = here.rows(identities, None), there.rows(identities, None, places)
        large = {one: self._json_bytes(source.get(one, []), target.get(one, [])) for one in identities}
        counts, found, meant = self._compare([one for one in identities if not large[one]], source, target)
        del source, target
        for batch in by_size({one: size for one, size in large.items() if size}, _PARSED_BYTES):
            here, there = self._whole
            more, differences, others = self._compare(
                batch, here.rows(batch, None), there.rows(batch, None, places)
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
            more, several = len(there) - len(here), len(here) > 1 or len(there) > 1
            pair = list(self._rows(here, there))
            if several:
                # No key of the target keeps them apart, such as keys that a policy has made equal.
                here, there, _ = unequal(self._relation.fields, here, there)
            pairs = zip(here, there, strict=False)
            unlike = [list(self._values(identity, *both, alone=not several)) for both in pairs]
            pair += chain.from_iterable(unlike)
            found += pair
            meant |= {identity} if pair else set()
            counts += Counts(max(0, -more), max(0, more), sum(map(bool, unlike)))
        return counts, found, meant

    def _rows(self, source: list[Row], target: list[Row]) -> Iterator[Difference]:
        """Where one side has more rows of this key than the other."""
        if source and target and len(source) != len(target):
            key = self._named(source[0])
            yield Difference(self._relation.name, key, _ROWS, str(len(source)), str(len(target)))
        elif source and not target:
            yield Difference(self._relation.name, self._named(source[0]), None, row_text(source[0]), None)
        elif target and not source:
            yield Difference(self._relation.name, self._named(target[0]), None, None, row_text(target[0]))

    def _named(self, row: Row) -> str:
        return ", ".join(f"{self._relation.fields[place].name}={row[place]}" for place in self._key)

    def _values(self, identity: str, source: Row, target: Row, *, alone: bool) -> Iterator[Difference]:
        """Where two rows have other values; `alone`: no others have this identity."""
        for field, left, right in zip(self._relation.fields, source, target, strict=True):
            if field.meaning(left) == field.meaning(right) and not is_cut(left):
                continue
            if None not in (left, right) and not is_cut(left) and (is_long(left) or is_long(right)):
                if alone and self._same_document(field, identity):
                    continue
                differ = self._long_window(field, identity)
            else:
                differ = window(left and shown(left), right and shown(right))
            yield Difference(self._relation.name, self._named(source), field.name, *differ)

    def _same_document(self, field: Field, identity: str) -> bool:
        """Whether two documents mean the same; only of JSON columns, whose keys both servers order alike."""
        if field.judge != "json" or field.doubled:
            return False
        left, right = (document_digest(self._pieces(side, field, identity)) for side in (0, 1))
        return left == right

    def _pieces(self, side: int, field: Field, identity: str) -> Iterator[bytes]:
        start = 0
        while piece := self._piece_of(side, field, identity, start, self._piece):
            yield piece
            start += self._piece

    def _piece_of(self, side: int, field: Field, identity: str, start: int, size: int) -> bytes:
        """Some bytes of a long value of the source (0) or the target (1)."""
        values = f"CAST({field.source_value} AS BINARY)", f"convert_to({field.target_value}::text,'UTF8')"
        return self._suspects.sides[side].piece(values[side], identity, start, size)

    def _long_window(self, field: Field, identity: str) -> tuple[str | None, str | None]:
        """The place where two long values begin to differ, of each about a thousand bytes."""
        low, left, right = 0, b"", b""
        both = zip_longest(*(self._pieces(side, field, identity) for side in (0, 1)), fillvalue=b"")
        for left, right in both:
            if left != right:
                break
            low += len(left)
        place = low + first_difference(left, right)
        start = max(0, place - _BEFORE_BYTES)
        mark = f"[byte {place + 1:,}] "
        size = _BEFORE_BYTES + _SHOWN_BYTES
        left, right = (self._piece_of(side, field, identity, start, size) for side in (0, 1))
        return mark + left.decode("utf-8", "replace"), mark + right.decode("utf-8", "replace")


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
