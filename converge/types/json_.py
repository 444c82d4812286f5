"""JSON. Both servers sort keys alike (length, then bytes) and print the same separators and escapes.

Only numbers written with an exponent (1e300 against 301 digits) and -0.0 differ, so a table whose
digests differ is judged by the values in the drill-down.
"""

from __future__ import annotations

import json

from converge.model.catalog import Column
from converge.model.quote import my_text
from converge.types.base import Family, Length, Value
from converge.types.text import as_bytes, escapes
from converge.types.traps import Trap

# JSON text holds no control character, so this one can stand for a pair of backslashes.
_PAIR = "CHAR(1 USING utf8mb4)"

_MOST_BYTES = 2**32
_LARGE_BYTES = 65_536
# The members of one jsonb object or array, their headers included, take less than 256 MB (JENTRY_OFFLENMASK
# in jsonb.h). Short numbers take more room there than as text, up to four times: only a trial tells.
_MOST_JSONB_BYTES = 2**28 - 2**20
# A control character is one byte stored and six of text, so a smaller document has no longer text.
_LEAST_STORED = _MOST_JSONB_BYTES // 6


class Json(Family):
    types = frozenset({"json"})
    targets = frozenset({"json", "jsonb"})
    judge = "json"

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return (_json_nul(_text(value)), _json_size(value)) if value.to == "jsonb" else ()

    def whole(self, value: Value) -> str:
        return _text(value)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS CHAR)"

    def read(self, value: Value) -> str:
        return as_bytes(_text(value))

    def most(self, column: Column) -> int:
        return _MOST_BYTES

    def length(self, value: Value) -> Length:
        text = _text(value)
        if value.changed:
            return Length(f"LENGTH({text})", escapes(text))
        # The stored size is near enough for what is small, and costs no text.
        stored = f"JSON_STORAGE_SIZE({value.sql})"
        return Length(f"IF({stored}>{_LARGE_BYTES},LENGTH({text}),{stored})", escapes(text))

    def special(self, value: Value) -> bool:
        return True

    def source_text(self, value: Value) -> str:
        # A digest, because a length before the text would make both servers print it twice.
        return f"MD5({_text(value)})"

    def target_text(self, reference: str, value: Value) -> str:
        return f"md5({reference}::text)"

    def source_value(self, value: Value) -> str:
        return _text(value)

    def target_value(self, reference: str, value: Value) -> str:
        return reference


def _text(value: Value) -> str:
    return value.changed or f"CAST({value.sql} AS CHAR)"


def _json_size(value: Value) -> Trap:
    large = f"LENGTH({_text(value)})>{_MOST_JSONB_BYTES}"
    stored = "" if value.changed else f"JSON_STORAGE_SIZE({value.sql})>{_LEAST_STORED} AND "
    return Trap("json_size", f"({stored}{large})")


def _json_nul(text: str) -> Trap:
    """The escape of U+0000, and not a backslash that is followed by u0000: pairs of backslashes go first."""
    pair, escape = my_text("\\\\"), my_text("\\u0000")

    def without(substitute: str) -> str:
        kept = f"REPLACE(REPLACE({text},{pair},{_PAIR}),{escape},{my_text(substitute)})"
        return f"REPLACE({kept},{_PAIR},{pair})"

    where = f"INSTR({as_bytes(text)},'u0000')>0 AND INSTR(REPLACE({text},{pair},''),{escape})>0"
    return Trap("json_nul", where, {"strip": without("")}, lambda wanted: without(json.dumps(wanted)[1:-1]))
