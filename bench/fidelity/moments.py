"""Dates, instants and times of all years and all fractional digits, and those that leaps and zones touch."""

from __future__ import annotations

from datetime import date
from random import Random

from bench.fidelity.tables import Column, Make, Table

_LAST_DAY = date.max.toordinal()
_DAY = 86_400_000_000
_LIMIT = (838 * 3600 + 59 * 60 + 59) * 1_000_000
_POWERS = (1, 10, 100, 1_000, 10_000, 100_000)
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_STAMP = 2**31 - 1
_DATES = (
    "0001-01-01", "0004-02-29", "0999-12-31", "1000-01-01", "1582-10-04", "1582-10-10", "1582-10-15",
    "1900-02-28", "1900-03-01", "1969-12-31", "1970-01-01", "2000-02-29", "2024-02-29", "2038-01-19",
    "9999-12-31",
)  # fmt: skip


def _day(rng: Random) -> str:
    dice = rng.random()
    if dice < 0.5:
        return date.fromordinal(rng.randint(1, _LAST_DAY)).isoformat()
    if dice < 0.8:
        return date.fromordinal(rng.randint(693_596, 767_009)).isoformat()
    year = rng.randint(1, 9999)
    return f"{year:04}-{rng.choice(('01-01', '02-28', '03-01', '12-31', '12-30', '06-30'))}"


def _clock(micros: int, fsp: int) -> str:
    """A time of so many microseconds with `fsp` fractional digits; the others are cut off."""
    seconds, rest = divmod(abs(micros), 1_000_000)
    fraction = f".{rest:06}"[: fsp + 1] if fsp else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _micros(rng: Random) -> int:
    """Of a day; hours that zones take away or give twice, round fractions, the day's ends more often."""
    dice = rng.random()
    if dice < 0.5:
        return rng.randrange(_DAY)
    if dice < 0.7:
        return rng.randint(0, 4 * 3600) * 1_000_000 + rng.choice((0, 1, 10, 999_999, 500_000, 100_000))
    if dice < 0.9:
        return rng.randrange(_DAY // 1_000_000) * 1_000_000 + rng.randrange(10) * rng.choice(_POWERS)
    return rng.choice((0, 1, _DAY - 1, _DAY - 1_000_000, _DAY // 2, 3_600_000_000))


def _switch(rng: Random) -> str:
    """A Sunday in a month in which clocks are moved."""
    day = date(rng.randint(1916, 2037), rng.choice((3, 4, 9, 10, 11)), rng.randint(1, 30))
    return date.fromordinal(day.toordinal() // 7 * 7).isoformat()


def _moment(fsp: int) -> Make:
    def make(rng: Random) -> str:
        day = _switch(rng) if rng.random() < 0.2 else _day(rng)
        return f"'{day} {_clock(_micros(rng), fsp)}'"

    return make


def _stamp(fsp: int) -> Make:
    def make(rng: Random) -> str:
        seconds = rng.randint(1, _LAST_STAMP - 1)
        day = date.fromordinal(_EPOCH + seconds // 86_400).isoformat()
        if rng.random() < 0.2:
            day = max(_switch(rng), "1970-01-02")
        return f"'{day} {_clock(seconds % 86_400 * 1_000_000 + _micros(rng) % 1_000_000, fsp)}'"

    return make


def _time(fsp: int) -> Make:
    def make(rng: Random) -> str:
        micros = rng.randint(0, _LIMIT) if rng.random() < 0.6 else _micros(rng)
        sign = "-" if rng.getrandbits(1) else ""
        return f"'{sign}{_clock(micros, fsp)}'"

    return make


def _time_of_day(fsp: int) -> Make:
    return lambda rng: f"'{_clock(_micros(rng), fsp)}'"


def _moments(fsp: int, more: str = "") -> Column:
    ends = [f"'{day} {_clock(micros, fsp)}'" for day in _DATES for micros in (0, 1, _DAY - 1)]
    return Column(f"DATETIME({fsp}){more}", _moment(fsp), tuple(ends))


def _stamps(fsp: int, more: str) -> Column:
    ends = ("1970-01-01 " + _clock(1_000_000, fsp), "2038-01-19 " + _clock(11_646_999_999, fsp))
    return Column(f"TIMESTAMP({fsp}) {more}", _stamp(fsp), tuple(f"'{end}'" for end in ends))


def _times(fsp: int, more: str = "") -> Column:
    ends = [
        f"'{sign}{_clock(micros, fsp)}'" for sign in ("", "-") for micros in (_LIMIT, _LIMIT - 1, _DAY, 1)
    ]
    return Column(f"TIME({fsp}){more}", _time(fsp), tuple(ends))


def _times_of_day(fsp: int, more: str = "") -> Column:
    ends = tuple(f"'{_clock(micros, fsp)}'" for micros in (0, 1, _DAY - 1))
    return Column(f"TIME({fsp}){more}", _time_of_day(fsp), ends)


DATES = Table(
    "dates",
    tuple(
        Column(f"DATE{more}", lambda rng: f"'{_day(rng)}'", tuple(f"'{day}'" for day in _DATES))
        for more in ("", " NOT NULL", "", " NOT NULL", "", "")
    ),
)
MOMENTS = Table(
    "moments",
    (
        *(_moments(fsp) for fsp in range(7)),
        *(_stamps(fsp, "NULL") for fsp in range(7)),
        *(_moments(fsp, " NOT NULL") for fsp in (0, 3, 6)),
        _stamps(6, "NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"),
    ),
)
TIMES = Table(
    "times",
    (
        *(_times(fsp) for fsp in range(7)),
        *(_times_of_day(fsp) for fsp in range(7)),
        _times(6, " NOT NULL"),
        _times_of_day(6, " NOT NULL"),
    ),
)
