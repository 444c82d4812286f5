"""Rows straight from MySQL's packets: one text field a row, no row objects.

A naive driver decodes every field of every row; here the SELECT has already joined a row's columns
into one field, so a row costs one slice. The framing is the text protocol's (MySQL Source Code
Documentation, "Client/Server Protocol"): a header of three bytes length and one byte sequence
number, then the row's only field as a length-encoded string; 16 MB - 1 bytes mean that the next
packet goes on; 0xFB is NULL, 0xFF an error, a short 0xFE packet the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from struct import Struct
from typing import Any

from pymysql.constants import COMMAND
from pymysql.err import OperationalError, raise_mysql_exception

from converge.mysql.watched import WatchedConnection

READ_BYTES = 256 * 1024
_HEADER = Struct("<I")
_LONGEST = 0xFFFFFF


class NullRow(Exception):
    """The joined row was longer than max_allowed_packet, so the server made it NULL."""


def stream(connection: WatchedConnection, query: str) -> Iterator[list[bytes]]:
    """Runs a query that has one text column and yields its values in lists of about 256 KB.

    The generator must be read to its end, or the connection closed. Memory: one read, or the
    largest row. Raises pymysql errors and NullRow.
    """
    # pymysql has no public door to its packets; these names have not changed since 0.7 (2015).
    driver: Any = connection
    driver._execute_command(COMMAND.COM_QUERY, query)
    fields = driver._read_packet()
    for _ in range(fields.read_length_encoded_integer() + 1):
        driver._read_packet()
    try:
        yield from _rows(driver)
    finally:
        driver._next_seq_id = 0


def _rows(connection: WatchedConnection) -> Iterator[list[bytes]]:
    driver: Any = connection
    reader: BufferedReader = driver._rfile
    rest = b""
    while True:
        data = connection.waited(reader.read1, READ_BYTES)
        if not data:
            raise OperationalError(2013, "Lost connection to MySQL server during query")
        buffer = rest + data if rest else data
        rows, position, ended = _whole(buffer)
        if rows:
            yield rows
        if ended:
            return
        rest = buffer[position:]
        if len(rest) > 4:
            # A row that is longer than one read: take all of it at once instead of growing by steps.
            length = _HEADER.unpack_from(rest)[0] & _LONGEST
            if length == _LONGEST:
                long_row, rest = _long_row(reader, rest)
                yield [long_row]
            elif 4 + length > len(rest) + READ_BYTES:
                rest += _exactly(reader, 4 + length - len(rest))


def _whole(buffer: bytes) -> tuple[list[bytes], int, bool]:
    """The rows of all whole packets, where the first that is not whole begins, and whether it was the end."""
    header = _HEADER.unpack_from
    end = len(buffer)
    position = 0
    rows: list[bytes] = []
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


def _long_row(reader: BufferedReader, rest: bytes) -> tuple[bytes, bytes]:
    """Joins the packets of a row of 16 MB or more; returns the row and what was read behind it."""
    parts: list[bytes] = []
    while True:
        if len(rest) < 4:
            rest += _exactly(reader, 4 - len(rest))
        length = _HEADER.unpack_from(rest)[0] & _LONGEST
        if len(rest) < 4 + length:
            rest += _exactly(reader, 4 + length - len(rest))
        parts.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
        if length < _LONGEST:
            break
    prefix = {0xFC: 3, 0xFD: 4, 0xFE: 9}[parts[0][0]]
    parts[0] = parts[0][prefix:]
    return b"".join(parts), rest


def _exactly(reader: BufferedReader, count: int) -> bytes:
    data = reader.read(count)
    if len(data) < count:
        raise OperationalError(2013, "Lost connection to MySQL server during query")
    return data


def _refuse(packet: bytes) -> None:
    if packet[0] == 0xFF:
        raise_mysql_exception(packet)
    if packet[0] == 0xFB:
        raise NullRow
    raise OperationalError(2027, "Malformed packet")
