"""The source's binary log, as far as it is written: events as the server sends them to a replica.

The server is asked as `mysqlbinlog` asks it, without waiting at the end (BINLOG_DUMP_NON_BLOCK), and each
time from a place between two transactions; so nothing is registered there, and a lost connection costs
nothing. An event of a kind that is not listed here ends the reading: what it says would be lost (facts: MySQL
8.0 Source Code Documentation, "Binary log events", "COM_BINLOG_DUMP").

    header   time 4, kind 1, server 4, length 4, end of the event in its file 4, flags 2
    body     of the kind; then 4 bytes of a checksum, where the file has them
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import closing
from struct import Struct, pack
from typing import Any

import pymysql
from pymysql.constants import COMMAND
from pymysql.err import OperationalError, raise_mysql_exception

from converge.codes import Code
from converge.errors import SourceError
from converge.model.endpoint import Endpoint
from converge.model.log import LogPosition
from converge.mysql.connect import WatchedConnection, connect
from converge.mysql.log import grants
from converge.mysql.query import fetch
from converge.mysql.rows import READ_BYTES
from converge.mysql.snapshot import require_marked
from converge.resources import zstd

QUERY, STOP, ROTATE, FORMAT, XID, TABLE_MAP, PAYLOAD, XA_PREPARE = 2, 3, 4, 15, 16, 19, 40, 38
WRITE, UPDATE, DELETE = (23, 30), (24, 31, 39), (25, 32)
ROWS = frozenset({*WRITE, *UPDATE, *DELETE})
# HEARTBEAT, IGNORABLE, ROWS_QUERY, GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS, TRANSACTION_CONTEXT,
# VIEW_CHANGE, HEARTBEAT_V2, GTID_TAGGED: they change no row.
_SILENT = frozenset({STOP, 27, 28, 29, 33, 34, 35, 36, 37, 41, 42})
_KNOWN = _SILENT | ROWS | {QUERY, ROTATE, FORMAT, XID, TABLE_MAP, PAYLOAD, XA_PREPARE}
_NAMES = {
    5: "INTVAR",
    13: "RAND",
    14: "USER_VAR",
    17: "BEGIN_LOAD_QUERY",
    18: "EXECUTE_LOAD_QUERY",
    26: "INCIDENT",
}
_HEADER = Struct("<IBIIIH")
_LENGTH = Struct("<I")
_NON_BLOCK = 1
_LONGEST = 0xFFFFFF
_CREATED = Struct("<52xI")
"""In a FORMAT event, behind the versions: when the server started; 0 in a file that it began later."""
_CHECKSUM_BYTES = 4
_MOST_BYTES = 0xFFFFFFFF
_DENIED, _NO_LOG = 1227, 1236

Event = tuple[int, bytes, int]
"""Kind, body without the checksum, and where the next one begins in the file."""


class Log:
    """One reading of the log, from a place to its end; `come` says how far it has come."""

    def __init__(self, source: Endpoint, start: LogPosition, marked: str | None = None) -> None:
        """`marked`: the server's `snapshot.mark`."""
        self._source, self._start, self._marked = source, start, marked
        self.file, self.position = start.file, start.position
        self.crashed = ""
        """The last file that the server began after an end without a STOP. What InnoDB had not flushed is
        gone then; the log has it (MySQL 8.0 manual, "innodb_flush_log_at_trx_commit")."""
        self._begun = start.at
        self._has_checksum = False
        self._last = 0

    @property
    def come(self) -> LogPosition:
        """Where another reading goes on: the file there may have been begun since the first place was
        noted."""
        return LogPosition(self._start.server, self.file, self.position, self._begun)

    def __iter__(self) -> Iterator[Event]:
        """Raises SourceError for a log that no longer has the place, or an event that cannot be followed."""
        # The server ends the connection with the log.
        with closing(connect(self._source)) as connection:
            if self._marked is not None:
                require_marked(connection, self._marked)
            ((name,),) = fetch(connection, "SELECT @@GLOBAL.binlog_checksum")
            self._has_checksum = name == "CRC32"
            # Both names: each version knows one of them, and the other harms nobody.
            fetch(connection, f"SET @source_binlog_checksum='{name}', @master_binlog_checksum='{name}'")
            if self.position > _MOST_BYTES:
                raise self._too_long()
            place = pack("<IHI", self.position, _NON_BLOCK, 0) + self.file.encode()
            driver: Any = connection
            try:
                driver._execute_command(COMMAND.COM_BINLOG_DUMP, place)
                for packet in _packets(connection):
                    yield from self._event(packet)
            except pymysql.err.MySQLError as error:
                raise self._explained(error) or error from error

    def _event(self, packet: bytes) -> Iterator[Event]:
        time, kind, _, _, end, _ = _HEADER.unpack_from(packet)
        if kind == FORMAT:
            self._has_checksum = packet[-5] == 1
            self._begin(time)
        if self._has_checksum:
            stored = _LENGTH.unpack_from(packet, len(packet) - _CHECKSUM_BYTES)[0]
            packet = packet[:-_CHECKSUM_BYTES]
            if zlib.crc32(packet) != stored:
                raise SourceError(
                    f"{self.file}:{self.position}: an event has another checksum", code=Code.W005
                )
        body = packet[_HEADER.size :]
        if kind == FORMAT and self.file != self._start.file and self._last != STOP:
            (started,) = _CREATED.unpack_from(body)
            self.crashed = self.file if started else self.crashed
        if kind == ROTATE:
            self.position, self.file = _rotated(body)
            return
        if end < self.position and end:
            raise self._too_long()
        self.position, self._last = end or self.position, kind
        if kind not in _KNOWN:
            raise refused(f"{self.file}:{self.position}", kind)
        if kind == PAYLOAD:
            for inner, content in _unpacked(body):
                if inner not in _KNOWN:
                    raise refused(f"{self.file}:{self.position}", inner)
                yield inner, content, self.position
        elif kind not in _SILENT:
            yield kind, body, self.position

    def _begin(self, time: int) -> None:
        """A file that the log goes on in is newer than the place that was noted; that place's own is not."""
        if self.file != self._start.file:
            self._begun = max(self._begun, time)
        elif time > self._begun:
            reset = f"{self.file} was begun after the place {self._start} was noted: the log was reset"
            raise _gone(reset, "-- where the server's clock was set back: FLUSH BINARY LOGS;")

    def _too_long(self) -> SourceError:
        """A transaction is never split, so a file may become longer than an event can say."""
        return SourceError(
            f"{self.file}: the file of the binary log has more than 4 GB, which its events cannot count",
            code=Code.W005,
            hint="FLUSH BINARY LOGS; then converge sync, and converge follow",
        )

    def _explained(self, error: pymysql.err.MySQLError) -> SourceError | None:
        if error.args[0] == _DENIED:
            message = "the source user lacks the privilege REPLICATION SLAVE"
            return SourceError(message, code=Code.W004, hint=grants(self._source.user))
        return _gone(str(error.args[1])) if error.args[0] == _NO_LOG else None


def _gone(why: str, *before: str) -> SourceError:
    sync = "converge sync brings the target up to date and notes a new place; then converge follow"
    return SourceError(
        f"the source's binary log no longer goes on where the target stands: {why}",
        code=Code.W003,
        hint="\n".join((*before, sync)),
    )


def refused(place: str, kind: int) -> SourceError:
    """The error of an event that says something which cannot be followed."""
    return SourceError(
        f"{place}: the binary log has an event of kind {_NAMES.get(kind, kind)}, which cannot be followed",
        code=Code.W005,
        hint="converge sync brings the target up to date and notes a new place; then converge follow",
    )


def _rotated(body: bytes) -> tuple[int, str]:
    return int.from_bytes(body[:8], "little"), body[8:].decode()


def length_encoded(body: bytes, place: int) -> tuple[int, int]:
    """A number of one, two, three or eight bytes, and what follows it."""
    first = body[place]
    if first < 0xFB:
        return first, place + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(body[place + 1 : place + 1 + size], "little"), place + 1 + size


def _unpacked(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The events of a compressed transaction, which have no checksums of their own."""
    place, fields = 0, dict[int, int]()
    while (field := body[place]) != 0:
        length, place = length_encoded(body, place + 1)
        fields[field], _ = length_encoded(body, place)
        place += length
    content = body[place + 1 :]
    if fields.get(2) == 0:
        module = zstd()
        if module is None:
            raise SourceError(
                "the binary log has compressed transactions, which this Python cannot decompress",
                code=Code.W005,
                hint="pip install 'converge-pg[follow]'",
            )
        content = module.ZstdDecompressor().decompress(content)
    place = 0
    while place < len(content):
        _, kind, _, length, _, _ = _HEADER.unpack_from(content, place)
        yield kind, content[place + _HEADER.size : place + length]
        place += length


def _packets(connection: WatchedConnection) -> Iterator[bytes]:
    """The contents of the server's packets, each an event, up to the one that says that there are no more.

    As `mysql.rows` reads rows: a driver's own reader takes longer for a packet than what is done with it.
    """
    driver: Any = connection
    rest, pieces = b"", list[bytes]()
    while True:
        data = connection.waited(driver._rfile.read1, READ_BYTES)
        if not data:
            raise OperationalError(2013, "Lost connection to MySQL server during query")
        rest += data
        place = 0
        while len(rest) - place >= 4:
            length = _LENGTH.unpack_from(rest, place)[0] & _LONGEST
            stop = place + 4 + length
            if stop > len(rest):
                break
            packet = rest[place + 4 : stop]
            place = stop
            if pieces or length == _LONGEST:
                pieces.append(packet)
                if length == _LONGEST:
                    continue
                packet = b"".join(pieces)
                pieces = []
            if packet[0] == 0xFF:
                raise_mysql_exception(packet)
            if packet[0] == 0xFE and len(packet) < 9:
                return
            yield packet[1:]
        rest = rest[place:]
