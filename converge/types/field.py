"""A column of rows that are compared: its expressions on both servers, and what its values mean.

Equal values give equal texts, whose digests decide. Where only the value decides, it is fetched: JSON is
compared by what it means, and a list without an order as a set. Of a long value come its size, its digest and
its beginning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from hashlib import md5
from itertools import chain
from typing import Any

from converge.model.quote import my_text, pg_text

_NUMERALS = "0123456789.eE+-"
_INSIDE, _OUTSIDE = re.compile(rb'"|\\.|[^"\\]+', re.DOTALL), re.compile(rb'"|-?[0-9][0-9.eE+-]*|[^"0-9-]+')
"""Tokens of a JSON text, in a string and between them."""
_ALL_DIGITS = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
# Begins what stands for a long value. A value that begins like this is only shown in another way.
_WHOLE = 2**31 - 1
"""Characters of LEFT() that leave any text as it is."""
_MARK = "\U0010fffe long value "
_CUT = "\U0010fffe longer than the source's max_allowed_packet"
"""Stands for a value that the source cannot give, and is equal to none."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column, as each server is asked for it."""

    name: str
    source_text: str
    """Equal for equal values."""
    target_text: str
    source_value: str
    """As people read it."""
    target_value: str
    is_null: str
    """MySQL condition: `source_value` is NULL because there is none, and not because it is too long."""
    judge: str
    """How values are compared whose texts differ: text, json, double or list; or size, a list of which only
    the size is known where it is long, because its order is open."""
    collated: bool = False
    """The source sorts it by a collation."""
    separator: str = ""
    """Of a list."""
    doubled: bool = True
    """Of JSON: a key may be there twice, as in a text, and the last one counts."""
    longest: int = 0
    """Bytes up to which a value is fetched; 0: as many as the rows leave room for."""

    def identity(self) -> tuple[str, str]:
        """Texts that are equal for equal values and mostly for no others, on both servers."""
        if self.judge == "text":
            return self.source_text, self.target_text
        if self.judge != "json":
            return "'0'", "'0'"
        # 1e300 and its 301 digits are one number. A text that became JSON may have another order.
        text = f"CONVERT({self.source_value} USING utf8mb4)"
        here = f"IF(JSON_VALID({text}),CAST(CAST({text} AS JSON) AS CHAR),{text})"
        there = f"({self.target_value})::text"
        for char in _NUMERALS:
            here = f"REPLACE({here},'{char}','')"
        return (
            f"IF({self.is_null},'~',MD5({here}))",
            f"coalesce(md5(translate({there},'{_NUMERALS}','')),'~')",
        )

    def fetched(self, most: int) -> tuple[str, str]:
        """Expressions of the value, or of what stands for one of more than `most` bytes."""
        most = self.longest or most
        value = self.source_value
        # Characters, as PostgreSQL's, also of a text in bytes: the same value has the same stand-in. MD5() of
        # MySQL 9.6 takes no numbers, and CONCAT() gives nothing as long as a packet.
        beginning = f"LEFT(CONVERT({value} USING utf8mb4),40)"
        parts = (my_text(_MARK), f"MD5(LEFT({value},{_WHOLE}))", "' '", f"LENGTH({value})", "' '", beginning)
        # As bytes: MySQL 8.0.15 finds no collation for some of these side by side.
        stand_in = ",".join(f"CAST({part} AS BINARY)" for part in parts)
        here = f"IF(LENGTH({value})>{most},CONCAT({stand_in}),CAST(CONCAT({value}) AS BINARY))"
        value = f"({self.target_value})::text"
        size = f"octet_length({value})"
        stand_in = f"{pg_text(_MARK)}||md5({value})||' '||{size}||' '||\"left\"({value},40)"
        return (
            f"IF({self.is_null},NULL,IFNULL({here},{my_text(_CUT)}))",
            f"CASE WHEN {size}>{most} THEN {stand_in} ELSE {value} END",
        )

    def meaning(self, value: str | None) -> Hashable:
        """The value in a form in which equal things are equal."""
        if value is None or self.judge == "text":
            return value
        if value.startswith(_MARK[0]):
            return size_of_long(value) if self.judge == "size" and is_long(value) else value
        match self.judge:
            case "json":
                members = dict if self.doubled else _distinct
                try:
                    return _frozen(
                        json.loads(value, parse_float=_Number, parse_int=_Number, object_pairs_hook=members)
                    )
                except ValueError:
                    return value  # a text that is not such JSON, where the target has JSON
            case "double":
                return float(value)
        return tuple(sorted(value.split(self.separator) if self.separator else value))


def document_digest(pieces: Iterable[bytes]) -> str:
    """The digest of a JSON text of which neither whole nor tree is in memory, with each number as its value:
    all else both servers print alike."""
    digest, rest, token, inside = md5(usedforsecurity=False), b"", b"", False
    for piece in chain(pieces, [b""]):
        rest, end = rest + piece, 0
        while match := (_INSIDE if inside else _OUTSIDE).match(rest, end):
            token = match[0]
            number = not inside and token[:1] in b"-0123456789"
            if number and match.end() == len(rest) and piece:
                break  # it may go on in the next piece
            inside ^= token == b'"'
            if number:
                # 1e20 and its 21 digits, 1.0 and 1, -0 and 0 are one number.
                token = str(_ALL_DIGITS.normalize(Decimal(token.decode()) or 0)).encode()
            digest.update(token)
            end = match.end()
        rest = rest[end:]
    digest.update(rest)
    return digest.hexdigest()


class _Number(str):
    """A JSON number's text: a class of its own, so that it is not a JSON string."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object; raises ValueError where jsonb has kept one of two of the same key."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _frozen(value: Any) -> Hashable:
    """A parsed JSON value, hashable; 1e300 and its 301 digits are one number, and 1 is not true."""
    if isinstance(value, _Number):
        return ("number", Decimal(value))
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(_frozen(inner) for inner in value))
    return (type(value).__name__, value)


def is_long(value: str | None) -> bool:
    """Whether this stands for a long value; two such are equal where their values are."""
    return value is not None and value.startswith(_MARK)


def is_cut(value: str | None) -> bool:
    """Whether this stands for a value that the source cannot give."""
    return value == _CUT


def shown(value: str) -> str:
    """A value, or of a long one its size and its beginning."""
    if is_cut(value):
        return f"({value[2:]})"
    if not is_long(value):
        return value
    beginning = value.removeprefix(_MARK).split(" ", 2)[2]
    return f"{beginning}… ({size_of_long(value):,} bytes)"


def size_of_long(value: str) -> int:
    """The bytes of the value that this stands for."""
    return int(value.removeprefix(_MARK).split(" ", 2)[1])
