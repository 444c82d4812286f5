"""JSON. Both servers sort keys alike (length, then bytes) and print the same separators and escapes.

Only numbers written with an exponent (1e300 against 301 digits) and -0.0 differ, so a table whose
digests differ is judged by the values in the drill-down. As text it is what MySQL prints.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Length, Value
from converge.types.forms import AsText, Written
from converge.types.parsed import MOST_JSONB_BYTES, json_nul
from converge.types.sql import base_name, escapes
from converge.types.traps import Trap

_MOST_BYTES = 2**32
_LARGE_BYTES = 65_536
# A control character is one byte stored and six of text, so a smaller document has no longer text.
_LEAST_STORED = MOST_JSONB_BYTES // 6


class Json(Written):
    types = frozenset({"json"})
    targets = frozenset({"json", "jsonb"}) | AsText.targets

    def text(self, value: Value) -> str:
        # Of the bare column a text beyond max_allowed_packet would be '', of an expression it is NULL.
        return value.changed or f"CAST(JSON_EXTRACT({value.sql},'$') AS CHAR)"

    def judge(self, value: Value) -> str:
        return "text" if _plain(value) else "json"

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if _plain(value):
            return super().traps(value)
        return (json_nul(self.text(value)), self._size(value)) if value.to == "jsonb" else ()

    def _size(self, value: Value) -> Trap:
        large = f"LENGTH({self.text(value)})>{MOST_JSONB_BYTES}"
        stored = "" if value.changed else f"JSON_STORAGE_SIZE({value.sql})>{_LEAST_STORED} AND "
        return Trap("json_size", f"({stored}{large})")

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS CHAR)"

    def most(self, column: Column) -> int:
        return _MOST_BYTES

    def length(self, value: Value) -> Length:
        text = self.text(value)
        if value.changed:
            return Length(f"LENGTH({text})", escapes(text))
        # The stored size is near enough for what is small, and costs no text.
        stored = f"JSON_STORAGE_SIZE({value.sql})"
        return Length(f"IF({stored}>{_LARGE_BYTES},LENGTH({text}),{stored})", escapes(text))

    def source_text(self, value: Value) -> str:
        # A digest, because a length before the text would make both servers print it twice.
        return super().source_text(value) if _plain(value) else f"MD5({self.text(value)})"

    def target_text(self, reference: str, value: Value) -> str:
        return super().target_text(reference, value) if _plain(value) else f"md5({reference}::text)"


def _plain(value: Value) -> bool:
    return base_name(value.to) in AsText.targets
