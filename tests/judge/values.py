"""From a server's text or bytes to one typed, hashable value; two values are the same iff Python says `==`.

A value that has no Python form (a zero date, 'infinity', a broken uuid) stays the server's own text.
"""

from __future__ import annotations

import re
import struct
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_DATETIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_CLOCK = re.compile(r"(?:([-+]?\d+) days?)?(?:^| |$)(?:([-+]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?")
_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def same(raw: Any) -> Any:
    return raw


def whole(text: str) -> int | str:
    """An integer held by a numeric: its scale is of no interest, but a fraction is."""
    number = Decimal(text)
    return int(number) if number.is_finite() and number == int(number) else text


def decimal_digits(text: str) -> str:
    """All digits with the scale: '1.50' is not '1.5'; ZEROFILL's zeros and the sign of zero are dropped."""
    number = Decimal(text)
    return format(number.copy_abs() if number.is_zero() else number, "f")


def truth(number: int | str) -> bool | int:
    """0 and 1 are booleans, every other number stays one, so it equals neither."""
    value = int(number)
    return bool(value) if value in (0, 1) else value


def boolean(text: str) -> bool:
    return {"true": True, "false": False}[text]


def bit_number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def bit_truth(raw: bytes) -> bool | int:
    return truth(bit_number(raw))


def bit_string(raw: bytes, width: int) -> str:
    return format(bit_number(raw), f"0{width}b")


def utf8(text: str) -> bytes:
    return text.encode()


def labels(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def array(items: list[Any]) -> tuple[Any, ...]:
    return tuple(array(item) if isinstance(item, list) else item for item in items)


def calendar_date(text: str) -> date | str:
    found = _DATE.fullmatch(text)
    try:
        return date(*map(int, found.groups())) if found else text
    except ValueError:
        return text


def moment(text: str) -> datetime | str:
    found = _DATETIME.fullmatch(text)
    if not found:
        return text
    *parts, fraction = found.groups()
    year, month, day, hour, minute, second = map(int, parts)
    try:
        return datetime(year, month, day, hour, minute, second, _microseconds(fraction))
    except ValueError:
        return text


def duration(text: str) -> timedelta | str:
    """MySQL's TIME, PostgreSQL's time and its interval without months ('-34 days -22:59:59.5')."""
    found = _CLOCK.fullmatch(text)
    if not found or not text:
        return text
    days, sign, hours, minutes, seconds, fraction = found.groups()
    clock = timedelta(
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=_microseconds(fraction),
    )
    return timedelta(days=int(days or 0)) + (-clock if sign == "-" else clock)


def uuid_text(text: str) -> UUID | str:
    return UUID(text) if _UUID.fullmatch(text) else text


def uuid_bytes(raw: bytes) -> UUID | bytes:
    return UUID(bytes=raw) if len(raw) == 16 else raw


def wkb(raw: bytes) -> bytes:
    """MySQL's geometry (SRID, then WKB) as WKB, or as EWKB where it has an SRID.

    EWKB is WKB whose type has the bit 0x20000000 and is followed by the SRID.
    """
    srid, order = struct.unpack_from("<IB", raw)
    if srid == 0:
        return raw[4:]
    (kind,) = struct.unpack_from("<I", raw, 5)
    return struct.pack("<BII", order, kind | 0x20000000, srid) + raw[9:]


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "").ljust(6, "0"))
