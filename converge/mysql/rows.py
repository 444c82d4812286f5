"""Rows of a chunk, as text for COPY: the SELECT that makes it, and the packets in which it comes.

The SELECT joins a row's columns into one field. Where no column can hold a tab, a line end or a backslash,
MySQL writes COPY's own text. Otherwise every field ends in one of four bytes that are in no UTF-8 text, so
that the client can escape a whole block at once and still tell the server's marks from the data: see
`postgres.copy`. As an example, of `id INT NOT NULL, name TEXT`, where `name` can hold a tab:

    SELECT CONCAT(`id`,0xFF,IF(`name` IS NULL,0xFC,CONCAT(`name`,0xFD))) FROM `t`
    (1, 'a<tab>b')    comes as   1 FF a <tab> b FD    and goes to COPY as   1 <tab> a \\t b <line end>
    (2, NULL)         comes as   2 FF FC              and goes to COPY as   2 <tab> \\N <line end>

A naive driver decodes every field of every row; here a row costs one slice of a packet. The framing is the
text protocol's (MySQL Source Code Documentation, "Client/Server Protocol"): a header of three bytes length
and one byte sequence number, then the row's only field as a length-encoded string; 16 MB - 1 bytes mean that
the next packet goes on; 0xFB is NULL, 0xFF an error, a short 0xFE packet the end. The row of three bytes
above, and one of 300 bytes:

    04 00 00 05   03         32 FF FC    packet 5 has 4 bytes; its field has 3
    2F 01 00 06   FC 2C 01   ...         packet 6 has 303 bytes; its field's length, 300, is in two bytes

A row that is longer than one read is passed on in pieces: nobody ever holds the whole of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from struct import Struct, iter_unpack
from typing import Any

from pymysql.constants import COMMAND
from pymysql.cursors import SSCursor
from pymysql.err import OperationalError, raise_mysql_exception

from converge.model.extent import Range
from converge.model.quote import my_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.mysql.connect import WatchedConnection

# (value ends, NULL ends) inside the row, then at its end.
PLAIN = ("'\\t'", "'\\\\N\\t'", "'\\n'", "'\\\\N\\n'")
MARKED = ("0xFF", "0xFE", "0xFD", "0xFC")


def select_text(table: TablePlan) -> str:
    """The SELECT without its range: one column that holds the whole row."""
    return f"SELECT {row_text(table)} FROM {my_name(table.source)}"


def row_text(table: TablePlan) -> str:
    """The expression of a row's text."""
    columns = table.copied
    if not columns:
        # The target computes every column of it, so a row is an empty line.
        return "'\\n'"
    value, null, last_value, last_null = MARKED if table.marked else PLAIN
    fields = [_field(column, value, null) for column in columns[:-1]]
    fields.append(_field(columns[-1], last_value, last_null))
    return f"CONCAT({','.join(fields)})"


def where(key: Sequence[str], part: Range) -> str:
    """The WHERE clause of a chunk: low < key <= high, in the source's own order of keys.

    Only the primary key's index is used: one of a key's prefix may miss rows (`Table.indexed_whole`).
    """
    conditions = []
    if part.low is not None:
        conditions.append(f"({_beyond(key, part.low)})")
    if part.high is not None:
        conditions.append(f"NOT ({_beyond(key, part.high)})")
    return f" FORCE INDEX (PRIMARY) WHERE {' AND '.join(conditions)}" if conditions else ""


def _field(column: ColumnPlan, value: str, null: str) -> str:
    # A text that the server cannot make is NULL: so is the whole row then, which ends the copy.
    text = f"{column.read},{value}"
    return f"IF({column.is_null},{null},CONCAT({text}))" if column.is_null else text


def _beyond(key: Sequence[str], bound: Sequence[str]) -> str:
    """key > bound, spelled out column by column because the optimizer reads no row comparisons."""
    steps = []
    for place, literal in enumerate(bound):
        equal = [f"{my_name(name)}={same}" for name, same in zip(key[:place], bound[:place], strict=True)]
        steps.append("(" + " AND ".join([*equal, f"{my_name(key[place])}>{literal}"]) + ")")
    return " OR ".join(steps)


READ_BYTES = 256 * 1024
_HEADER = Struct("<I")
_LONGEST = 0xFFFFFF
# The packet that ends a result: 0xFE, the number of warnings, the server's status.
_WARNINGS = Struct("<xH")
_END_BYTES = 5
# ER_WARN_ALLOWED_PACKET_OVERFLOWED (MySQL 8.0 Error Reference).
_CUT = 1301
_PREFIXES = {0xFD: 4, 0xFE: 9}
"""Bytes of the field's own length, where a row is longer than a read."""
_LONGEST_PREFIX = 4 + 9

Read = tuple[int, list[bytes]]
"""How many rows end in it, and their text: one item a row, or a piece of a row that is longer than a read."""


class NullRow(Exception):
    """The server could not make the text of a row or of a value, which is longer than max_allowed_packet."""


def stream(connection: WatchedConnection, query: str, *, may_cut: bool = False) -> Iterator[Read]:
    """Runs a query that has one text column and yields its values as they come, about 256 KB at a time.

    The generator must be read to its end, or the connection closed. Memory: one read, however long a row
    is. Raises pymysql errors and NullRow, which can come after the last row; not for what is only a part of a
    value, and has become NULL there, where the query expects that (`may_cut`).
    """
    # pymysql has no public door to its packets; these names have not changed since 0.7 (2015).
    driver: Any = connection
    driver._execute_command(COMMAND.COM_QUERY, query)
    fields = driver._read_packet()
    for _ in range(fields.read_length_encoded_integer() + 1):
        driver._read_packet()
    try:
        warnings = yield from _reads(connection)
    finally:
        driver._next_seq_id = 0
    if warnings and not may_cut:
        require_uncut(connection)


def require_uncut(connection: WatchedConnection) -> None:
    """Raises NullRow where the last query has made NULL of something that is longer than max_allowed_packet.

    Inside a map's expression nothing else tells such a NULL from one that is meant.
    """
    with connection.cursor(SSCursor) as cursor:
        cursor.execute("SHOW WARNINGS")
        cut = any(code == _CUT for _, code, _ in cursor)
    if cut:
        raise NullRow


def _reads(connection: WatchedConnection) -> Generator[Read, None, int]:
    """Returns how many warnings the server has."""
    rest = b""
    while True:
        buffer = rest + _some(connection, READ_BYTES) if rest else _some(connection, READ_BYTES)
        rows, position, ended = _whole(buffer)
        if rows:
            yield len(rows), rows
        if ended:
            return int(_WARNINGS.unpack_from(buffer, position - _END_BYTES)[0])
        rest = buffer[position:]
        if len(rest) >= 4 and _length(rest) > READ_BYTES:
            rest = yield from _pieces(connection, rest)


def whole_rows(reads: Iterable[Read]) -> Iterator[list[bytes]]:
    """The same rows, none of them in pieces."""
    pieces: list[bytes] = []
    for count, parts in reads:
        if count == len(parts):
            yield parts
            continue
        pieces += parts
        if count:
            yield [b"".join(pieces)]
            pieces = []


def _whole(buffer: bytes) -> tuple[list[bytes], int, bool]:
    """The rows of all whole packets, where the first that is not whole begins, and whether it was the end.

    The field's length is not decoded: what is behind it is the rest of the packet.
    """
    header = _HEADER.unpack_from
    end = len(buffer)
    rows, position = _alike(buffer)
    append = rows.append
    while end - position > 4:
        length = header(buffer, position)[0] & _LONGEST
        stop = position + 4 + length
        if stop > end or length == _LONGEST:
            break
        first = buffer[position + 4]
        if first == length - 1 and first < 0xFB:
            append(buffer[position + 5 : stop])
        elif first == 0xFC:
            append(buffer[position + 7 : stop])
        elif first == 0xFD:
            append(buffer[position + 8 : stop])
        elif first == 0xFE and length < 9:
            return rows, stop, True
        else:
            _refuse(buffer[position + 4 : stop])
        position = stop
    return rows, position, False


def _alike(buffer: bytes) -> tuple[list[bytes], int]:
    """The rows of the first packets where all are short and as long as the first, such as digests; else none.

    A tenth of the time that a look at each packet takes.
    """
    if len(buffer) < 5 or not buffer[0] or buffer[4] != buffer[0] - 1 or buffer[4] >= 0xFB:
        return [], 0
    step = 4 + buffer[0]
    count = len(buffer) // step
    position = count * step
    # A header's fourth byte is the packet's number.
    if any(buffer[place:position:step] != buffer[place : place + 1] * count for place in (0, 1, 2, 4)):
        return [], 0
    return [row for (row,) in iter_unpack(f"5x{step - 5}s", buffer[:position])], position


def _pieces(connection: WatchedConnection, rest: bytes) -> Generator[Read, None, bytes]:
    """One row that is longer than a read, piece by piece; returns what was read behind it."""
    rest = _at_least(connection, rest, _LONGEST_PREFIX)
    length = _length(rest)
    skipped = _PREFIXES[rest[4]]
    left, rest = length - skipped, rest[4 + skipped :]
    while True:
        while left:
            piece = rest[:left] or _some(connection, min(left, READ_BYTES))
            rest = rest[left:]
            left -= len(piece)
            yield 0, [piece]
        if length < _LONGEST:
            yield 1, []
            return rest
        rest = _at_least(connection, rest, 4)
        left = length = _length(rest)
        rest = rest[4:]


def _length(packet: bytes) -> int:
    return int(_HEADER.unpack_from(packet)[0] & _LONGEST)


def _at_least(connection: WatchedConnection, rest: bytes, count: int) -> bytes:
    while len(rest) < count:
        rest += _some(connection, count - len(rest))
    return rest


def _some(connection: WatchedConnection, most: int) -> bytes:
    driver: Any = connection
    data = connection.waited(driver._rfile.read1, most)
    if not data:
        raise OperationalError(2013, "Lost connection to MySQL server during query")
    return data


def _refuse(packet: bytes) -> None:
    if packet[0] == 0xFF:
        raise_mysql_exception(packet)
    if packet[0] == 0xFB:
        raise NullRow
    raise OperationalError(2027, "Malformed packet")
