"""Texts that PostgreSQL parses: JSON, numbers, booleans, dates, times and network addresses.

Only a text that PostgreSQL would print again as it stands is taken for a number, a time or an address: '7'
is an integer, '007' and ' 7' are none. So nothing of it is lost, and the comparison is one of texts.

Of json, which keeps texts, and jsonb, which keeps what they mean: both servers print a document of jsonb's
order alike, so MySQL's own JSON is the canonical text. But MySQL reads numbers as doubles: one of more
digits would lose some, and 1.10 is printed in another way. So the count of the text's digits stands beside
it. Where either differs, the drill-down judges by the text itself. MySQL takes no document for JSON that is
nested deeper than 100, nor a number beyond a double's range.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

from converge.model.quote import my_text, pg_text
from converge.types.as_number import INTEGERS, ends
from converge.types.base import Form, Value, of_text
from converge.types.sql import as_bytes, base_name, digits_of, sizes
from converge.types.traps import Trap

_DIGITS = "0123456789"
_HALF = "\\ud"
"""How the escape of half a pair of surrogates begins."""
# JSON text holds no control character, so this one can stand for a pair of backslashes.
_PAIR = "CHAR(1 USING utf8mb4)"
# The members of one jsonb object or array, their headers included, take less than 256 MB (JENTRY_OFFLENMASK
# in jsonb.h). Short numbers take more room there than as text, up to four times: only a trial tells.
MOST_JSONB_BYTES = 2**28 - 2**20
# MySQL gives up a regular expression that takes too long: a longer text is none of these anyway.
_LONGEST = 1000
_DAY = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DATED = frozenset({"date", "timestamp", "timestamp with time zone"})


def json_form(text: str, value: Value) -> Form:
    return of_text(
        text,
        source_text=f"MD5({text})",
        target_text="md5({}::text)".format,
        source_value=text,
        target_value=str,
        traps=(_not_json(text),),
        default=_json_default,
        delimited=False,
    )


def jsonb_form(text: str, value: Value) -> Form:
    bare = as_bytes(text)
    for digit in _DIGITS:
        bare = f"REPLACE({bare},'{digit}','')"
    meant = f"CONCAT(MD5(CAST(CAST({text} AS JSON) AS CHAR)),LENGTH({text})-LENGTH({bare}))"
    size = Trap("json_size", f"LENGTH({text})>{MOST_JSONB_BYTES}")
    return replace(
        json_form(text, value),
        # What no scan has looked at may be none, for which MySQL would end the comparison.
        source_text=f"IF(JSON_VALID({text}),{meant},MD5({text}))",
        target_text=_jsonb_text,
        traps=(_not_json(text), json_nul(text), size),
        judge="json",
    )


def _jsonb_text(reference: str) -> str:
    text = f"{reference}::text"
    return f"md5({text})||(octet_length({text})-octet_length(translate({text},'{_DIGITS}','')))"


def _json_default(literal: str) -> str | None:
    try:
        json.loads(literal)
    except ValueError:
        return None
    return pg_text(literal)


def json_nul(text: str) -> Trap:
    """The escape of U+0000, and not a backslash that is followed by u0000: pairs of backslashes go first."""
    pair, escape = my_text("\\\\"), my_text("\\u0000")

    def without(substitute: str) -> str:
        kept = f"REPLACE(REPLACE({text},{pair},{_PAIR}),{escape},{my_text(substitute)})"
        return f"REPLACE({kept},{_PAIR},{pair})"

    where = f"INSTR({as_bytes(text)},'u0000')>0 AND INSTR(REPLACE({text},{pair},''),{escape})>0"
    return Trap("json_nul", where, {"strip": without("")}, lambda wanted: without(json.dumps(wanted)[1:-1]))


def _not_json(text: str) -> Trap:
    # MySQL 8.0.15 takes the second half of a pair of surrogates alone; never the first half.
    plain = f"REPLACE(LOWER({text}),{my_text(chr(92) * 2)},'')"
    first, second = ("+".join(_times(plain, half) for half in halves) for halves in ("89ab", "cdef"))
    alone = f"INSTR(LOWER({text}),{my_text(_HALF)})>0 AND {second}>{first}"
    return Trap("not_json", f"NOT JSON_VALID({text}) OR ({alone})")


def _times(text: str, half: str) -> str:
    """MySQL expression: the bytes that this kind of surrogate's escapes take."""
    return f"LENGTH({text})-LENGTH(REPLACE({text},{my_text(_HALF + half)},''))"


PRINTED = frozenset({*INTEGERS, "numeric", "boolean", "time"}) | _DATED
"""Base names of the types that take a text which is just what they print."""


def printed_form(text: str, value: Value) -> Form:
    wrong = [f"LENGTH({text})>{_LONGEST}", f"NOT {_matches(text, _pattern(value.to))}"]
    if base_name(value.to) in _DATED:
        # A 30th of February is NULL.
        wrong.append(f"{text} IS NOT NULL AND CAST(LEFT({text},10) AS DATE) IS NULL")
    found = [Trap("not_canonical", " OR ".join(wrong))]
    if value.to in INTEGERS:
        number = f"CAST({text} AS DECIMAL(65))"
        least, most = ends(value.to)
        found.append(Trap("out_of_range", f"{number}<{least} OR {number}>{most}"))
    return of_text(text, traps=tuple(found), default=partial(printed_default, value.to))


def printed_default(to: str, literal: str) -> str | None:
    """A literal as SQL where the type prints it so."""
    return pg_text(literal) if re.fullmatch(_pattern(to), literal) else None


def address_form(text: str, value: Value) -> Form:
    """inet and cidr. Both servers print addresses alike, but MySQL shortens a single zero of an IPv6 one."""
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
    return of_text(
        text,
        # The cast of an inet to text adds a mask of all bits.
        target_text=("abbrev({})" if value.to == "inet" else "{}::text").format,
        traps=(Trap("not_canonical", " OR ".join(wrong)),),
        default=lambda literal: None,
    )


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
