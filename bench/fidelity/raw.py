"""Bytes of every value and length, and all kinds of geometry as MySQL stores them: SRID, then WKB."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from bench.fidelity.tables import Column, Make, Table

_EVERY = bytes(range(256))
_BYTES = (
    b"", b"\0", b"\xff", b" ", b"\\N", b"\xff\xfe\xfd\xfc", b"\t\n\r|;~", b"a\0", b"\0a", b"\\x41", b"~",
    b"NULL", b"\xc3\xa9", b"0;",
)  # fmt: skip


def _bytes(most: int) -> Make:
    return lambda rng: f"x'{rng.randbytes(rng.randint(0, most)).hex()}'"


def _binary(kind: str, most: int) -> Column:
    extremes = [one for one in (*_BYTES, _EVERY) if len(one) <= most]
    return Column(kind, _bytes(most), tuple(f"x'{one.hex()}'" for one in extremes))


BINARIES = Table(
    "binaries",
    (
        _binary("BINARY(1)", 1), _binary("BINARY(10)", 10), _binary("BINARY(10) NOT NULL", 10),
        _binary("BINARY(255)", 60), _binary("VARBINARY(30)", 30), _binary("VARBINARY(300) NOT NULL", 300),
        _binary("TINYBLOB", 40), _binary("BLOB", 300), _binary("BLOB NOT NULL", 20),
        _binary("MEDIUMBLOB", 40), _binary("LONGBLOB", 40), _binary("VARCHAR(20) CHARACTER SET binary", 20),
        _binary("CHAR(20) CHARACTER SET binary NOT NULL", 20),
    ),
)  # fmt: skip

Shape = Callable[[Random], bytes]
_GRID = (0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -0.0, 5e-324)


def _number(rng: Random) -> float:
    return rng.choice(_GRID) if rng.random() < 0.2 else rng.uniform(-1000, 1000)


def _place(rng: Random) -> bytes:
    return struct.pack("<dd", _number(rng), _number(rng))


def _on_earth(rng: Random) -> bytes:
    return struct.pack("<dd", rng.uniform(-179, 179), rng.uniform(-89, 89))


def _geometry(kind: int, parts: list[bytes] | None, body: bytes = b"") -> bytes:
    counted = b"" if parts is None else struct.pack("<I", len(parts)) + b"".join(parts)
    return struct.pack("<BI", 1, kind) + counted + body


def point(rng: Random) -> bytes:
    return _geometry(1, None, _place(rng))


def line(rng: Random) -> bytes:
    return _geometry(2, [_place(rng) for _ in range(rng.randint(2, 6))])


def _ring(rng: Random) -> bytes:
    x, y, size = rng.uniform(-1000, 1000), rng.uniform(-1000, 1000), rng.uniform(0.5, 90)
    corners = ((x, y), (x + size, y), (x + size, y + size), (x, y + size / 3), (x, y))
    return struct.pack("<I", len(corners)) + b"".join(struct.pack("<dd", *corner) for corner in corners)


def polygon(rng: Random) -> bytes:
    return _geometry(3, [_ring(rng) for _ in range(rng.randint(1, 3))])


def _several(kind: int, part: Shape) -> Shape:
    return lambda rng: _geometry(kind, [part(rng) for _ in range(rng.randint(1, 4))])


def collection(rng: Random, depth: int = 2) -> bytes:
    kinds = (*_SIMPLE, collection) if depth else _SIMPLE
    parts = [kind(rng) for kind in rng.choices(kinds, k=rng.randint(0, 3))]
    return _geometry(7, parts)


multipoint, multiline, multipolygon = _several(4, point), _several(5, line), _several(6, polygon)
_SIMPLE = (point, line, polygon, multipoint, multiline, multipolygon)


def _stored(shape: Shape, *srids: int) -> Make:
    def make(rng: Random) -> str:
        return f"x'{(struct.pack('<I', rng.choice(srids)) + shape(rng)).hex()}'"

    return make


def _earth_point(rng: Random) -> bytes:
    return _geometry(1, None, _on_earth(rng))


def _earth_line(rng: Random) -> bytes:
    return _geometry(2, [_on_earth(rng) for _ in range(rng.randint(2, 5))])


def _any(rng: Random) -> bytes:
    return rng.choice((*_SIMPLE, collection))(rng)


SHAPES = Table(
    "shapes",
    (
        Column("GEOMETRY", _stored(_any, 0, 3857)),
        Column("GEOMETRY NOT NULL", _stored(_any, 0)),
        Column("POINT", _stored(point, 0, 3857)),
        Column("LINESTRING", _stored(line, 0)),
        Column("POLYGON", _stored(polygon, 0)),
        Column("MULTIPOINT", _stored(multipoint, 0, 3857)),
        Column("MULTILINESTRING", _stored(multiline, 0)),
        Column("MULTIPOLYGON", _stored(multipolygon, 0)),
        Column("GEOMETRYCOLLECTION", _stored(collection, 0)),
        Column("POINT SRID 4326", _stored(_earth_point, 4326)),
        Column("POINT NOT NULL SRID 4326", _stored(_earth_point, 4326)),
        Column("GEOMETRY SRID 4326", _stored(lambda rng: rng.choice((_earth_point, _earth_line))(rng), 4326)),
    ),
)
