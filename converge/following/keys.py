"""Key values, as MySQL literals: from the bytes of the binary log, and from the target's texts.

Nothing is decoded but numbers and times: texts stay bytes under the name of their character set, so that the
server alone says which key they are. A literal has its column's type, because the expressions that the plan
has for the column are carried out on it (formats: MySQL 8.0 Source Code Documentation, "Table_map_event", and
strings/decimal.cc, my_time.cc).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from converge.model.catalog import Column

Literal = Callable[[bytes], str | None]
"""Makes None of a value that no literal finds."""
OfText = Callable[[str], str]

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_BINARY, _TEXT = frozenset({"binary", "varbinary"}), frozenset({"char", "varchar"})
_DECIMAL_BYTES: tuple[int, ...] = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""Of so many digits that fill no whole group of nine."""
_NINE = 9


def literal_of(column: Column) -> Literal | None:
    """What makes a literal of a value in the log; None for a type that keys are not followed by."""
    if column.type in _INTEGERS:
        signed = not column.unsigned
        return lambda data: str(int.from_bytes(data, "little", signed=signed))
    if column.type in _TEXT:
        return lambda data: _text(column, data)
    if column.type == "binary":
        # The log leaves the padding out.
        return lambda data: f"X'{data.ljust(column.length or 0, bytes(1)).hex()}'"
    if column.type == "varbinary":
        return lambda data: f"X'{data.hex()}'"
    if column.type == "enum":
        return lambda data: _label(column, int.from_bytes(data, "little"))
    simple: dict[str, Literal] = {
        "decimal": lambda data: decimal(data, column.precision or 0, column.scale or 0),
        "year": lambda data: str(data[0] + 1900 if data[0] else 0),
        "bit": lambda data: str(int.from_bytes(data, "big")),
        "date": lambda data: _typed(column, _date(int.from_bytes(data, "little"))),
        "datetime": lambda data: _typed(column, _datetime(data)),
        "timestamp": lambda data: _timestamp(column, data),
        "time": lambda data: _typed(column, _time(data)),
    }
    return simple.get(column.type)


def of_text(column: Column, target_type: str) -> OfText | None:
    """What makes a literal of the target's text of a value; None where only the source could."""
    if column.type in _INTEGERS:
        booleans = {"true": "1", "false": "0"}
        return booleans.__getitem__ if target_type == "boolean" else str
    if column.type in _TEXT:
        collate = f" USING {column.charset}) COLLATE {column.collation}"
        return lambda text: f"CONVERT(_utf8mb4 X'{text.encode().hex()}'{collate}"
    if column.type in _BINARY and target_type in ("bytea", "uuid"):
        return lambda text: f"X'{re.sub('[^0-9a-f]', '', text.removeprefix(chr(92) + 'x'))}'"
    if column.type in ("decimal", "date", "datetime", "timestamp"):
        return lambda text: _typed(column, text.removesuffix("+00"))
    return None


def _text(column: Column, data: bytes) -> str:
    return f"_{column.charset} X'{data.hex()}' COLLATE {column.collation}"


def _label(column: Column, number: int) -> str | None:
    if not number and "" in column.labels:
        # In an index, the text of the error value finds the label.
        return None
    label = column.labels[number - 1] if number else ""
    return f"_utf8mb4 X'{label.encode().hex()}'"


def _typed(column: Column, text: str) -> str:
    # A TIMESTAMP is what the session's time zone, UTC, makes a DATETIME of.
    name = "datetime" if column.type == "timestamp" else column.type
    size = f"({column.precision},{column.scale})" if column.type == "decimal" else f"({column.fsp})"
    return f"CAST('{text}' AS {name}{'' if name == 'date' else size})"


def decimal(data: bytes, precision: int, scale: int) -> str:
    """A literal of a DECIMAL: groups of nine digits in four bytes, big-endian, the sign in the first bit."""
    negative = not data[0] & 0x80
    plain = bytes([data[0] ^ 0x80]) + data[1:]
    if negative:
        plain = bytes(one ^ 0xFF for one in plain)
    whole, place = precision - scale, 0
    digits = ""
    # The odd digits stand before the whole part's groups, and behind the fraction's.
    sizes = [whole % _NINE, *[_NINE] * (whole // _NINE), -1, *[_NINE] * (scale // _NINE), scale % _NINE]
    for size in sizes:
        if size == -1:
            digits += "."
        elif size:
            length = _DECIMAL_BYTES[size]
            digits += str(int.from_bytes(plain[place : place + length], "big")).zfill(size)
            place += length
    text = f"{'-' if negative else ''}{digits.removesuffix('.') or '0'}"
    return f"CAST('{text}' AS DECIMAL({precision},{scale}))"


def decimal_bytes(precision: int, scale: int) -> int:
    """How many bytes a DECIMAL takes."""
    parts = (precision - scale, scale)
    return sum(4 * (part // _NINE) + _DECIMAL_BYTES[part % _NINE] for part in parts)


def _date(packed: int) -> str:
    return f"{packed >> 9:04}-{packed >> 5 & 15:02}-{packed & 31:02}"


def _fraction(data: bytes) -> int:
    """Microseconds, of one to three bytes of two digits each."""
    return int(int.from_bytes(data, "big") * 10 ** (6 - 2 * len(data)))


def _datetime(data: bytes) -> str:
    packed = int.from_bytes(data[:5], "big") - (1 << 39)
    month, rest = packed >> 22, packed & (1 << 22) - 1
    day = f"{month // 13:04}-{month % 13:02}-{rest >> 17:02}"
    return f"{day} {rest >> 12 & 31:02}:{rest >> 6 & 63:02}:{rest & 63:02}.{_fraction(data[5:]):06}"


def _timestamp(column: Column, data: bytes) -> str:
    seconds = int.from_bytes(data[:4], "big")
    if not seconds:
        return _typed(column, "0000-00-00 00:00:00")
    fraction = f".{_fraction(data[4:]):06}"
    start = "CAST('1970-01-01' AS DATETIME(6))"
    return f"CAST({start} + INTERVAL '{seconds}{fraction}' SECOND_MICROSECOND AS DATETIME({column.fsp}))"


def _time(data: bytes) -> str:
    """Its sign is that of the whole number, fraction included."""
    bits = 8 * (len(data) - 3)
    packed = int.from_bytes(data, "big") - (1 << 23 + bits)
    whole, rest = abs(packed) >> bits, abs(packed) & (1 << bits) - 1
    micro = rest * 10 ** (6 - bits // 4)
    sign = "-" if packed < 0 else ""
    return f"{sign}{whole >> 12 & 1023:02}:{whole >> 6 & 63:02}:{whole & 63:02}.{micro:06}"
