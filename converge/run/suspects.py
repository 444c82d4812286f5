"""Which rows of a relation differ by digest: what both servers are asked for, and in which portions.

Both send the digests of all rows, of key and values, which are compared here (`run.unlike`), so that all rows
that differ are counted, and collations and page order do not matter. Of a large table the rows fall into
buckets by the digest of their key first (of the whole row where there is no key): both servers sum every
bucket, and only the rows of differing buckets are sent.
"""

from __future__ import annotations

from binascii import unhexlify
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import SourceError
from converge.model.table_plan import TablePlan
from converge.model.words import said
from converge.model.work import RecordsTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.mysql.rows import stream
from converge.postgres.digest import page_ranges
from converge.run.relation import Relation, Row, as_text, identity_digests, of_table, row_digests, sums
from converge.run.unlike import NONE, Parts, Records, Unlike, unlike

WHOLE_ROWS = 20_000_000
"""A table of fewer rows sends the digests of all: 64 bytes a row."""
_MOST_ROWS = 10_000_000
"""Rows of which digests are sent at once, and kept in files here: less than a gigabyte."""
_MOST_BUCKETS = 50_000
"""Of one statement, which takes less than half a megabyte."""
_PAGE_ROWS = 60
"""Of narrow rows; a page of PostgreSQL has 8 kB."""
_PAGES = 512
"""Whose records come at once: of the narrowest rows 4 MB."""
_STREAMED = 10_000
"""Records of a view in one block."""

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

    def rows(self, identities: Sequence[str], most: int | None, places: Sequence[str] = ()) -> Rows:
        """The rows with these identities, at most so many; of the target those at these `places` (ctid)."""
        chosen = ",".join(f"'{identity}'" for identity in identities)
        there = ",".join(f'"{place}"' for place in places)
        within = f"ctid = ANY ('{{{there}}}') AND " if places else ""
        limit = "" if most is None else f" LIMIT {most}"
        listed = ",".join([self.identity, *self.values])
        found: Rows = defaultdict(list)
        for identity, *values in self.ask(
            f"SELECT {listed} FROM {self.place} WHERE {within}{self.identity} IN ({chosen}){limit}"
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
        self.sides = (
            Side(
                lambda query: fetch(source, query),
                lambda condition: _of_source(source, relation, f" WHERE {condition}"),
                relation.source, identity[0], row[0],
                totals[0], f"CONCAT_WS(',',{here_key})", tuple(here for here, _ in values),
            ),
            Side(
                lambda query: target.execute(query.encode()),
                lambda condition: _of_target(target, relation, condition, pages),
                relation.target, identity[1], row[1],
                totals[1], f"concat_ws(',',{there_key})", tuple(there for _, there in values),
            ),
        )  # fmt: skip

    def __iter__(self) -> Iterator[Unlike]:
        """Rows of an identity that differ on both sides. Both connections are free when one is given."""
        for one in self._parts.unlike() if self._parts else self._asked():
            if one.identity == NONE:
                raise self.no_digest(one.source.total())
            yield one

    def _asked(self) -> Iterator[Unlike]:
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


def records(
    source: WatchedConnection, target: psycopg.Connection[Any], task: RecordsTask
) -> tuple[int, Records]:
    """The side of a task, and the digests of its rows."""
    relation = of_table(task.schema, task.table)
    if task.part is not None:
        return 0, _of_source(source, relation, task.part)
    return 1, _of_target(target, relation, "true", task.pages)


def _of_source(source: WatchedConnection, relation: Relation, condition: str) -> Records:
    none = NONE.hex()
    identity, row = identity_digests(relation)[0], row_digests(relation.fields)[0]
    record = f"CONCAT(IFNULL({identity},'{none}'),IFNULL({row},'{none}'))"
    query = f"SELECT {record} FROM {relation.source}{condition}"
    # MySQL's UNHEX() takes a fifth of what both digests take.
    return (unhexlify(b"".join(read)) for _, read in stream(source, query, may_cut=True))


def _of_target(
    target: psycopg.Connection[Any], relation: Relation, condition: str, pages: Sequence[str]
) -> Records:
    cursor = target.cursor(binary=True)
    identity, row = identity_digests(relation)[1], row_digests(relation.fields)[1]
    # A view's rows have no place.
    place = "tidsend(ctid)" if pages else "'\\x000000000000'::bytea"
    record = f"decode({identity}||{row},'hex')||{place}"
    if not pages:
        rows = cursor.stream(f"SELECT {record} FROM {relation.target} WHERE {condition}".encode())
        while block := b"".join(one for (one,) in islice(rows, _STREAMED)):
            yield block
    for page in pages:
        query = f"SELECT string_agg({record},'') FROM {relation.target}{page or ' WHERE true'}"
        ((block,),) = cursor.execute(f"{query} AND {condition}".encode()).fetchall()
        yield block or b""


def pages_at_once(pages: int) -> Iterator[str]:
    """Conditions that split a table of the target, of so many pages."""
    return page_ranges(pages, _PAGES)


def about_rows(table: TablePlan, pages: int) -> int:
    """Of a table that has so many pages in the target: statistics may know nothing of most rows."""
    return max(table.rows_estimate, pages * _PAGE_ROWS)


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
