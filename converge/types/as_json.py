"""Texts as json, which keeps them, and jsonb, which keeps what they mean.

Both servers print a document of jsonb's order alike, so MySQL's own JSON is the canonical text. But MySQL
reads numbers as doubles: one of more digits would lose some, and 1.10 is printed in another way. So the
count of the text's digits stands beside it. Where either differs, the drill-down judges by the text itself.
MySQL takes no document for JSON that is nested deeper than 100, nor a number beyond a double's range.
"""

from __future__ import annotations

import json

from converge.model.quote import my_text
from converge.types.base import Value
from converge.types.form import Form
from converge.types.sql import as_bytes
from converge.types.traps import Trap

_DIGITS = "0123456789"
_HALF = "\\ud"
"""How the escape of half a pair of surrogates begins."""
# JSON text holds no control character, so this one can stand for a pair of backslashes.
_PAIR = "CHAR(1 USING utf8mb4)"
# The members of one jsonb object or array, their headers included, take less than 256 MB (JENTRY_OFFLENMASK
# in jsonb.h). Short numbers take more room there than as text, up to four times: only a trial tells.
MOST_JSONB_BYTES = 2**28 - 2**20


class AsJson(Form):
    targets = frozenset({"json"})
    delimited = False

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (_not_json(text),)

    def source_text(self, text: str) -> str:
        return f"MD5({text})"

    def target_text(self, reference: str, value: Value) -> str:
        return f"md5({reference}::text)"

    def source_value(self, text: str) -> str:
        return text

    def target_value(self, reference: str, value: Value) -> str:
        return reference

    def default(self, literal: str, value: Value) -> str | None:
        try:
            json.loads(literal)
        except ValueError:
            return None
        return super().default(literal, value)


class AsJsonb(AsJson):
    targets = frozenset({"jsonb"})
    judge = "json"

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (_not_json(text), json_nul(text), Trap("json_size", f"LENGTH({text})>{MOST_JSONB_BYTES}"))

    def source_text(self, text: str) -> str:
        bare = as_bytes(text)
        for digit in _DIGITS:
            bare = f"REPLACE({bare},'{digit}','')"
        meant = f"CONCAT(MD5(CAST(CAST({text} AS JSON) AS CHAR)),LENGTH({text})-LENGTH({bare}))"
        # What no scan has looked at may be none, for which MySQL would end the comparison.
        return f"IF(JSON_VALID({text}),{meant},MD5({text}))"

    def target_text(self, reference: str, value: Value) -> str:
        text = f"{reference}::text"
        digits = f"octet_length({text})-octet_length(translate({text},'{_DIGITS}',''))"
        return f"md5({text})||({digits})"


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
