"""Texts as numbers, booleans, dates, times and network addresses.

Only a text that PostgreSQL would print again as it stands is taken: '7' is an integer, '007' and ' 7' are
none. So nothing of it is lost, and the comparison is one of texts.
"""

from __future__ import annotations

import re

from converge.model.quote import my_text
from converge.types.as_number import INTEGERS, ends
from converge.types.base import Value
from converge.types.form import Form
from converge.types.names import base_name, digits_of, sizes
from converge.types.sql import as_bytes
from converge.types.traps import Trap

# MySQL gives up a regular expression that takes too long: a longer text is none of these anyway.
_LONGEST = 1000
_DAY = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DATED = frozenset({"date", "timestamp", "timestamp with time zone"})


class AsShape(Form):
    targets = frozenset({*INTEGERS, "numeric", "boolean", "time"}) | _DATED

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        wrong = [f"LENGTH({text})>{_LONGEST}", f"NOT {_matches(text, _pattern(value.to))}"]
        if base_name(value.to) in _DATED:
            # A 30th of February is NULL.
            wrong.append(f"{text} IS NOT NULL AND CAST(LEFT({text},10) AS DATE) IS NULL")
        found = [Trap("not_canonical", " OR ".join(wrong))]
        if value.to in INTEGERS:
            number = f"CAST({text} AS DECIMAL(65))"
            least, most = ends(value.to)
            found.append(Trap("out_of_range", f"{number}<{least} OR {number}>{most}"))
        return tuple(found)

    def default(self, literal: str, value: Value) -> str | None:
        return super().default(literal, value) if re.fullmatch(_pattern(value.to), literal) else None


class AsAddress(Form):
    """inet and cidr. Both servers print addresses alike, but MySQL shortens a single zero of an IPv6 one."""

    targets = frozenset({"inet", "cidr"})

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        address = f"SUBSTRING_INDEX({text},'/',1)"
        wrong = [f"LENGTH({text})>{_LONGEST}", f"NOT ({_printed(address)})"]
        if value.to == "cidr":
            wrong.append(f"NOT {_matches(text, '[^/]+/(0|[1-9][0-9]{0,2})')} OR {_host_bits(text, address)}")
        else:
            # A mask of all bits is not printed.
            wrong.append(
                f"INSTR({text},'/')>0 AND (NOT {_matches(text, '[^/]+/(0|[1-9][0-9]?|1[01][0-9]|12[0-7])')}"
                f" OR {_mask(text)}>={_bits(address)})"
            )
        return (Trap("not_canonical", " OR ".join(wrong)),)

    def target_text(self, reference: str, value: Value) -> str:
        # The cast of an inet to text adds a mask of all bits.
        return f"abbrev({reference})" if value.to == "inet" else f"{reference}::text"

    def default(self, literal: str, value: Value) -> str | None:
        return None


def _matches(text: str, pattern: str) -> str:
    """MySQL condition: the whole text is like the pattern, in its case."""
    return f"REGEXP_LIKE({text},{my_text(f'^({pattern})' + chr(92) + 'z')},'c')"


def _pattern(to: str) -> str:
    """What PostgreSQL prints of a type, as MySQL and Python both understand it."""
    base = base_name(to)
    if base in INTEGERS:
        return "0|-?[1-9][0-9]{0,18}"
    if base == "numeric":
        return _numeric(to)
    if base == "boolean":
        return "true|false"
    digits = digits_of(to)
    clock = _CLOCK + (f"([.][0-9]{{0,{digits - 1}}}[1-9])?" if digits else "")
    zone = "[+]00" if base.endswith("zone") else ""
    return {"date": _DAY, "time": f"24:00:00|{clock}"}.get(base, f"{_DAY} {clock}{zone}")


def _numeric(to: str) -> str:
    # Zero has no sign there.
    signed = "(?!-[0.]+$)-?"
    if not sizes(to):
        return f"{signed}(0|[1-9][0-9]*)([.][0-9]+)?"
    precision, scale = (*sizes(to), 0)[:2]
    whole = f"(0|[1-9][0-9]{{0,{precision - scale - 1}}})" if precision > scale else "0"
    return f"{signed}{whole}" + (f"[.][0-9]{{{scale}}}" if scale else "")


def _printed(address: str) -> str:
    """MySQL condition: PostgreSQL prints the address as it stands."""
    group = "(0|[1-9a-f][0-9a-f]{0,3})"
    whole = f"(?!.*(^|:)0:0(:|$)){group}(:{group}){{7}}"
    one_left_out = "(?=.*::):*([0-9a-f]+:+){6}[0-9a-f]+:*"
    same = f"{as_bytes(f'INET6_NTOA(INET6_ATON({address}))')}<=>{as_bytes(address)}"
    return f"{_matches(address, whole)} OR ({same} AND NOT {_matches(address, one_left_out)})"


def _bits(address: str) -> str:
    return f"(8*LENGTH(INET6_ATON({address})))"


def _mask(text: str) -> str:
    return f"CAST(SUBSTRING_INDEX({text},'/',-1) AS UNSIGNED)"


def _host_bits(text: str, address: str) -> str:
    """MySQL condition: the mask is longer than the address, or leaves out bits that are set."""
    digits, mask = f"HEX(INET6_ATON({address}))", _mask(text)
    partly = f"CONV(SUBSTRING({digits},{mask} DIV 4+1,1),16,10)&(15>>({mask}%4))"
    rest = f"TRIM(LEADING '0' FROM SUBSTRING({digits},{mask} DIV 4+2))"
    return f"({mask}>{_bits(address)} OR {partly}<>0 OR {rest}<>'')"
