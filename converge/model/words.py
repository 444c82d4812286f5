"""Numbers of things and times in words."""

from __future__ import annotations

from datetime import UTC, datetime

_SINGULAR = {"are": "is", "were": "was", "have": "has", "do": "does"}


def utc_now() -> str:
    """The current time in UTC: ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def counted(count: int, one: str, more: str = "") -> str:
    """``1 table``, ``2 tables``; `more` for a plural that does not end in s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def said(count: int, words: str, one: str = "row", more: str = "", *, of: str = "") -> str:
    """``3 rows hold …``, ``1 row holds …``, or ``1 of 20 rows holds …``; `words` begin with a plural verb."""
    verb, _, rest = words.partition(" ")
    if count == 1:
        verb = _SINGULAR.get(verb, verb + "s")
    what = f"{count:,} of {of} {one if of == '1' else more or one + 's'}" if of else counted(count, one, more)
    return f"{what} {verb} {rest}"
