"""Which rows the binary log says have changed: their keys, and nothing else of them.

A row of an event is walked column by column, by the types that the event's table map has, and only the bytes
of the key are taken; those of columns that foreign keys refer to are looked at, whether they have changed. As
an example, an UPDATE of `(id INT, name VARCHAR(10))`, with both columns before and after:

    2 FF FF   00  01 00 00 00  01 78   00  05 00 00 00  01 78
    columns   NULL id = 1     'x'     NULL id = 5     'x'        the keys 1 and 5, and the key has changed
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from converge.codes import Code
from converge.errors import SourceError
from converge.following.events import (
    QUERY,
    ROWS,
    TABLE_MAP,
    UPDATE,
    WRITE,
    XA_PREPARE,
    Event,
    length_encoded,
)
from converge.following.keys import decimal_bytes
from converge.model.log import place_order

Key = tuple[bytes, ...]
Place = tuple[str, int]
"""A file of the log, and where in it."""
# Bytes of a value by its type's number: MYSQL_TYPE_TINY …, as in the table map.
_FIXED = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 7: 4, 8: 8, 9: 3, 10: 3, 11: 3, 12: 8, 13: 1, 14: 3}
# With the seconds' digits as metadata: TIMESTAMP2, DATETIME2, TIME2.
_TIMES = {17: 4, 18: 5, 19: 3}
_VARCHAR, _BIT, _DECIMAL, _ENUM, _SET, _STRING = 15, 16, 246, 247, 248, 254
_LONG = frozenset({242, 245, 252, 255})
"""VECTOR, JSON, BLOB and GEOMETRY: the metadata says how many bytes their length has."""
_TWO = frozenset({_VARCHAR, _BIT, _DECIMAL, _ENUM, _SET, _STRING})
_ONE = frozenset({4, 5, *_TIMES, *_LONG})
_JSON = 245
_PARTIAL_UPDATE, _FIRST_V2 = 39, 30
_ABSENT = b"\0\xff absent \xff\0"
"""In place of a value that the row of an event does not have; None is NULL."""
# Without a row, or with rows that the identity of the table tells of (`following.epoch`). Dumps have theirs
# in comments that every server of MySQL 8 carries out: /*!40000 ALTER TABLE t DISABLE KEYS */. In others
# nothing is looked for.
_STATEMENTS = re.compile(
    r"(?:/\*!(?:0?[0-7]\d{4}(?!\d)|(?!\d))|/\*.*?\*/|(?:--(?=\s)|\#)[^\n]*|\s)*+"
    r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|XA|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|REVOKE|SET"
    r"|ANALYZE|OPTIMIZE|REPAIR|FLUSH|INSTALL|UNINSTALL|IMPORT|USE|START|CHECK|CACHE)\b",
    re.DOTALL | re.IGNORECASE,
)
_TRANSACTIONAL = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA"})
_ANEW = re.compile(r"\b(?:(?:DISCARD|IMPORT)\b.*\bTABLESPACE|RENAME|EXCHANGE)\b", re.DOTALL | re.IGNORECASE)
"""What ALTER TABLE does to rows without an event, or lets others do under another name."""
_WORD = re.compile(r"[\w$]+")
_UNQUOTED = dict.fromkeys(map(ord, '`"'))
"""Names in the text of a statement may have quotes, doubled quotes, and a character set that is not told.
Most are a word of it: TRUNCATE `user_import` is not one of `user`."""
_XA_END = re.compile(r"XA (COMMIT|ROLLBACK) (.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose rows are followed, by the places of its columns."""

    number: int
    columns: int
    key: tuple[int, ...]
    referred: tuple[int, ...]
    """Columns that foreign keys of others refer to, whose rows the server changes without a word in the
    log."""


@dataclass
class _Mapped:
    """A table map: how the rows of the events behind it are to be read."""

    table: Watched
    sizes: tuple[int, ...]
    """Of each column's values; below 0 that of the length before them."""
    json: int
    """How many columns of JSON it has."""
    walks: dict[bytes, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By the columns that a row has: number in the row, size, and place in what is taken, or -1."""

    @property
    def taken(self) -> tuple[int, ...]:
        return (*self.table.key, *self.table.referred)

    def row(self, body: bytes, place: int, present: bytes) -> tuple[list[bytes | None], int]:
        """What is taken of the row that begins here, and where the next one does."""
        walk = self.walks.get(present)
        if walk is None:
            walk = self.walks[present] = self._walk(present)
        values: list[bytes | None] = [_ABSENT] * len(self.taken)
        length = (len(walk) + 7) // 8
        nulls = int.from_bytes(body[place : place + length], "little")
        place += length
        for number, size, slot in walk:
            if nulls >> number & 1:
                if slot >= 0:
                    values[slot] = None
                continue
            if size < 0:
                begin = place - size
                end = begin + int.from_bytes(body[place:begin], "little")
            else:
                begin, end = place, place + size
            if slot >= 0:
                values[slot] = body[begin:end]
            place = end
        return values, place

    def _walk(self, present: bytes) -> list[tuple[int, int, int]]:
        there = [one for one in range(len(self.sizes)) if present[one // 8] >> one % 8 & 1]
        taken = self.taken
        return [
            (number, self.sizes[one], taken.index(one) if one in taken else -1)
            for number, one in enumerate(there)
        ]


class Changes:
    """Reads events; `add` gets each key of a followed table, and whether rows that refer to it may have
    changed."""

    def __init__(
        self,
        tables: Mapping[tuple[str, str], Watched],
        fold: Callable[[str], str],
        add: Callable[[int, Key, bool], None],
        start: Place,
        since: Place,
    ) -> None:
        """Reads from `start`, which may be before the place of which all is known."""
        self._tables, self._fold, self._add = tables, fold, add
        self._maps: dict[bytes, _Mapped | None] = {}
        self.altered = False
        """Whether a statement has been there that may have changed the schema."""
        self.unprepared = ""
        """What XA has committed that was prepared before the start, with its place; empty for nothing."""
        self.open: dict[str, Place] = {}
        """Transactions that XA has prepared and not ended, each with the place where it begins."""
        self._spans: list[tuple[Place, Place]] = []
        """Where those that it has ended begin and end."""
        self._begun = self._ended = start
        self._since = place_order(since)

    def take(self, event: Event, place: Place) -> None:
        """`place` is where the event ends. Raises SourceError for what cannot be followed."""
        kind, body, _ = event
        if kind in ROWS:
            mapped = self._maps.get(body[:6])
            if mapped is not None:
                self._rows(kind, body, mapped)
        elif kind == TABLE_MAP:
            self._maps[body[:6]] = self._mapped(body)
        elif kind == QUERY:
            self._query(body, place)
        elif kind == XA_PREPARE and not body[0]:
            self.open[_xid(body)] = self._begun
        self._ended = place

    def whole_before(self, place: Place) -> Place:
        """The last place, not behind this one, that stands between the halves of no transaction of XA."""
        while True:
            order = place_order(place)
            halves = [begin for begin, end in self._spans if place_order(end) > order]
            first = min([place, *halves, *self.open.values()], key=place_order)
            if first == place:
                return place
            place = first

    def _rows(self, kind: int, body: bytes, mapped: _Mapped) -> None:
        place = 8
        if kind >= _FIRST_V2:
            place += int.from_bytes(body[8:10], "little")
        count, place = length_encoded(body, place)
        length = (count + 7) // 8
        before = after = body[place : place + length]
        place += length
        if kind in UPDATE:
            after = body[place : place + length]
            place += length
        keys, add, table = len(mapped.table.key), self._add, mapped.table.number
        while place < len(body):
            values, place = mapped.row(body, place, before)
            key = tuple(values[:keys])
            if kind in UPDATE:
                if kind == _PARTIAL_UPDATE:
                    place = _after_options(body, place, mapped)
                others, place = mapped.row(body, place, after)
                # An image may have only what has changed.
                new = [one if two is _ABSENT else two for one, two in zip(values, others, strict=True)]
                moved = new != values
                add(table, tuple(new[:keys]), moved)  # type: ignore[arg-type]
                if not moved:
                    continue
            else:
                moved = kind not in WRITE
                if _ABSENT in key:
                    # An image of an insert may leave out what has the column's default.
                    key = ()
            add(table, key, moved)  # type: ignore[arg-type]

    def _mapped(self, body: bytes) -> _Mapped | None:
        schema, place = _name(body, 8)
        name, place = _name(body, place)
        table = self._tables.get((self._fold(schema), self._fold(name)))
        if table is None:
            return None
        count, place = length_encoded(body, place)
        types = body[place : place + count]
        _, place = length_encoded(body, place + count)
        if count < table.columns:
            # It has been altered since, and maybe back.
            self._add(table.number, (), True)
            return None
        sizes = []
        for one in types:
            width = 2 if one in _TWO else 1 if one in _ONE else 0
            sizes.append(_size(one, body[place : place + width]))
            place += width
        return _Mapped(table, tuple(sizes), types.count(_JSON))

    def _query(self, body: bytes, place: Place) -> None:
        schema, variables = body[8], int.from_bytes(body[11:13], "little")
        text = body[13 + variables + schema + 1 :].decode("utf-8", "replace")
        found = _STATEMENTS.match(text)
        if found is None and place_order(place) <= self._since:
            return
        if found is None:
            raise SourceError(
                f"{place[0]}:{place[1]}: the binary log has a statement in place of rows: {text[:100]}",
                code=Code.W005,
                hint="binlog_format = ROW for every session; then converge sync, and converge follow",
            )
        word = found[1].upper()
        if word == "BEGIN" or (word == "XA" and text[3:8].upper() == "START"):
            # A transaction's GTID, which is silent, stands before it.
            self._begun = self._ended
        elif ended := _XA_END.match(text):
            begun = self.open.pop(ended[2].lower(), None)
            if begun is not None:
                self._spans.append((begun, place))
            elif ended[1].upper() == "COMMIT" and place_order(place) > self._since:
                self.unprepared = f"{place[0]}:{place[1]}: {text[:100]}"
        self.altered = self.altered or word not in _TRANSACTIONAL
        if word in ("TRUNCATE", "RENAME") or (word == "ALTER" and _ANEW.search(text)):
            self._replace_named(text)

    def _replace_named(self, text: str) -> None:
        """Rows have changed in a way that the identity of a table does not always show. A table of the same
        name in another database costs time, and nothing else."""
        folded = self._fold(text)
        words, unquoted = {*_WORD.findall(folded)}, folded.translate(_UNQUOTED)
        for (_, name), table in self._tables.items():
            named = name in words if _WORD.fullmatch(name) else name.translate(_UNQUOTED) in unquoted
            if named or not (name.isascii() or text.isascii()):
                self._add(table.number, (), True)


def _size(kind: int, metadata: bytes) -> int:
    """Bytes of a value; below 0 those of its length."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _TIMES:
        return _TIMES[kind] + (metadata[0] + 1) // 2
    if kind in _LONG:
        return -metadata[0]
    if kind == _VARCHAR:
        return -1 if int.from_bytes(metadata, "little") < 256 else -2
    if kind == _DECIMAL:
        return decimal_bytes(*metadata)
    if kind == _BIT:
        return metadata[1] + (metadata[0] > 0)
    if kind in (_ENUM, _SET):
        return metadata[1]
    if kind == _STRING:
        real, length = metadata
        if real in (_ENUM, _SET):
            return length
        # Lengths from 256 on lend two bits of the type.
        return -1 if length | ((real & 0x30) ^ 0x30) << 4 < 256 else -2
    raise SourceError(f"the binary log has values of an unknown type, {kind}", code=Code.W005)


def _name(body: bytes, place: int) -> tuple[str, int]:
    end = place + 1 + body[place]
    return body[place + 1 : end].decode("utf-8", "surrogateescape"), end + 1


def _after_options(body: bytes, place: int, mapped: _Mapped) -> int:
    """Behind the options of an update that has only parts of JSON values; those have lengths of their own."""
    options, place = length_encoded(body, place)
    return place + (mapped.json + 7) // 8 if options & 1 else place


def _xid(body: bytes) -> str:
    """As `XA COMMIT` names it."""
    number, first, second = (int.from_bytes(body[place : place + 4], "little") for place in (1, 5, 9))
    return f"x'{body[13 : 13 + first].hex()}',x'{body[13 + first : 13 + first + second].hex()}',{number}"
