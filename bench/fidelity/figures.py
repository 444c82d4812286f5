"""Integers, decimals, doubles, bits: all extremes, and every length of a number as often as another."""

from __future__ import annotations

import math
import struct
from random import Random

from bench.fidelity.tables import Column, Make, Table

_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def _integer(low: int, high: int) -> Make:
    bits = high.bit_length()

    def make(rng: Random) -> str:
        if rng.random() < 0.5:
            return str(rng.randint(low, high))
        number = rng.getrandbits(rng.randint(1, bits))
        return str(-number if low < 0 and number & 2 else number)

    return make


def _integers(kind: str, *, unsigned: bool, more: str = "") -> Column:
    bits = _BITS[kind.partition("(")[0]]
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    extremes = (low, low + 1, 0, 1, high - 1, high, high // 2)
    sign = " UNSIGNED" if unsigned else ""
    return Column(f"{kind}{sign}{more}", _integer(low, high), tuple(map(str, extremes)))


INTEGERS = Table(
    "integers",
    (
        *(_integers(kind, unsigned=False) for kind in _BITS),
        *(_integers(kind, unsigned=True) for kind in _BITS),
        _integers("TINYINT(1)", unsigned=False),
        Column("TINYINT(1)", lambda rng: str(rng.getrandbits(1))),
        Column("TINYINT(1) NOT NULL", lambda rng: str(rng.getrandbits(1))),
        _integers("INT(10)", unsigned=True, more=" ZEROFILL"),
        _integers("BIGINT(20)", unsigned=True, more=" ZEROFILL NOT NULL"),
        _integers("INT", unsigned=False, more=" NOT NULL"),
        _integers("BIGINT", unsigned=True, more=" NOT NULL"),
        Column("YEAR", lambda rng: str(rng.randint(1901, 2155)), ("0", "1901", "2155")),
        Column("YEAR NOT NULL", lambda rng: str(rng.randint(1901, 2155)), ("0", "1901", "2155")),
    ),
)

_SIZES = (
    (1, 0), (1, 1), (5, 5), (9, 0), (9, 9), (10, 2), (18, 9), (19, 0), (20, 10), (30, 30), (38, 10), (65, 0),
    (65, 30), (64, 15),
)  # fmt: skip


def _point(digits: str, scale: int) -> str:
    digits = digits.rjust(scale + 1, "0")
    return f"{digits[: len(digits) - scale]}.{digits[len(digits) - scale :]}" if scale else digits


def _decimal(precision: int, scale: int, *, unsigned: bool = False, more: str = "") -> Column:
    most = 10**precision - 1

    def make(rng: Random) -> str:
        # Every number of digits as often as another, and zeros at the end now and then.
        number = rng.randint(0, 10 ** rng.randint(1, precision) - 1)
        if rng.random() < 0.1:
            number = number // 10**scale * 10**scale
        sign = "-" if not unsigned and rng.getrandbits(1) else ""
        return sign + _point(str(number), scale)

    signs = ("",) if unsigned else ("", "-")
    extremes = tuple(sign + _point(str(number), scale) for number in (most, most - 1, 1, 0) for sign in signs)
    kind = f"DECIMAL({precision},{scale}){' UNSIGNED' * unsigned}{more}"
    return Column(kind, make, extremes)


DECIMALS = Table(
    "decimals",
    (
        *(_decimal(*size) for size in _SIZES),
        _decimal(10, 2, unsigned=True),
        _decimal(65, 30, unsigned=True, more=" NOT NULL"),
        _decimal(12, 4, unsigned=True, more=" ZEROFILL"),
        _decimal(40, 20, more=" NOT NULL"),
    ),
)

_DOUBLES = (
    "0", "-0e0", "1", "-1", "0.1e0", "0.30000000000000004", "1e-4", "9.999999999999999e-5", "1e15",
    "999999999999999.9", "1e16", "1e22", "1e23", "9.999999999999999e22", "1.7976931348623157e308",
    "-1.7976931348623157e308", "2.2250738585072014e-308", "2.2250738585072009e-308", "5e-324", "-5e-324",
    "9007199254740993", "1.0000000000000002", "0.00012345678901234567", "4.35", "2.675", "1e300",
)  # fmt: skip


def _double(rng: Random) -> str:
    """Any double that is finite; the smallest, the neighbours of powers, and short decimals more often."""
    dice = rng.random()
    if dice < 0.4:
        value = _unpack("<d", rng.getrandbits(64).to_bytes(8, "little"))
    elif dice < 0.5:
        value = _unpack("<d", rng.getrandbits(rng.randint(1, 52)).to_bytes(8, "little"))
    elif dice < 0.65:
        power = 2.0 ** rng.randint(-1022, 1023) if rng.getrandbits(1) else 10.0 ** rng.randint(-307, 308)
        value = math.nextafter(power, math.inf if rng.getrandbits(1) else 0.0)
    elif dice < 0.8:
        value = rng.uniform(-1e15, 1e15) * 10.0 ** rng.randint(-20, 1)
    else:
        value = round(rng.uniform(-1e6, 1e6), rng.randint(0, 10))
    # A literal without an exponent would be a DECIMAL of the server, whose way to a double is longer.
    return f"{value!r}e0" if "e" not in repr(value) else repr(value)


def _single(rng: Random) -> str:
    bits = rng.getrandbits(32 if rng.random() < 0.8 else rng.randint(1, 23))
    return repr(_unpack("<f", bits.to_bytes(4, "little")))


def _unpack(layout: str, raw: bytes) -> float:
    value: float = struct.unpack(layout, raw)[0]
    return value if math.isfinite(value) else 0.5


def _positive(make: Make) -> Make:
    return lambda rng: make(rng).removeprefix("-")


_SINGLES = (
    "0", "-0e0", "0.1", "16777216", "16777215", "33554434", "1.401298464324817e-45", "1e10", "0.00001",
    "1.1754942106924411e-38", "1.1754943508222875e-38", "3.4028234663852886e38", "-3.4028234663852886e38",
)  # fmt: skip

FLOATING = Table(
    "floating",
    (
        Column("DOUBLE", _double, _DOUBLES),
        Column("DOUBLE NOT NULL", _double, _DOUBLES),
        Column("DOUBLE PRECISION", _double, _DOUBLES),
        Column("DOUBLE UNSIGNED", _positive(_double)),
        Column("DOUBLE ZEROFILL", _positive(_double)),
        Column("DOUBLE(20,3)", lambda rng: f"{rng.uniform(-1e16, 1e16) * 10.0 ** -rng.randint(0, 16)!r}"),
        Column("FLOAT", _single, _SINGLES),
        Column("FLOAT NOT NULL", _single, _SINGLES),
        Column("FLOAT UNSIGNED", _positive(_single)),
        Column("FLOAT(7,2)", lambda rng: f"{rng.uniform(-99999, 99999):.3f}"),
        Column("FLOAT(9,3) ZEROFILL", lambda rng: f"{rng.uniform(0, 999999):.4f}"),
    ),
)


def _bit(width: int, more: str = "") -> Column:
    return Column(
        f"BIT({width}){more}",
        lambda rng: str(rng.getrandbits(rng.randint(1, width))),
        tuple(map(str, (0, 1, 2**width - 1, 2 ** (width - 1)))),
    )


BITS = Table(
    "bits",
    (*(_bit(width) for width in (1, 2, 7, 8, 9, 16, 31, 32, 33, 63, 64)), _bit(1, " NOT NULL"),
     _bit(5, " NOT NULL"), _bit(64, " NOT NULL")),
)  # fmt: skip
