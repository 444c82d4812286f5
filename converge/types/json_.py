"""JSON. Both servers sort keys alike (length, then bytes) and print the same separators and escapes.

Only numbers written with an exponent (1e300 against 301 digits) and -0.0 differ, so a table whose
digests differ is judged by the values in the drill-down. As text it is what MySQL prints.
"""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.types.base import Family, Form, Length, Value
from converge.types.forms import ANY_TEXT, text_form
from converge.types.parsed import MOST_JSONB_BYTES, json_nul
from converge.types.sql import base_name, escapes
from converge.types.traps import Trap

_MOST_BYTES = 2**32
_LARGE_BYTES = 65_536
# A control character is one byte stored and six of text, so a smaller document has no longer text.
_LEAST_STORED = MOST_JSONB_BYTES // 6


class Json(Family):
    types = frozenset({"json"})
    targets = frozenset({"json", "jsonb"}) | ANY_TEXT

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS CHAR)"

    def most(self, column: Column) -> int:
        return _MOST_BYTES

    def form(self, value: Value) -> Form:
        # Of the bare column a text beyond max_allowed_packet would be '', of an expression it is NULL.
        text = value.changed or f"CAST(JSON_EXTRACT({value.sql},'$') AS CHAR)"
        form, large = text_form(text, value), f"LENGTH({text})>{MOST_JSONB_BYTES}"
        if not value.changed:
            # The stored size is near enough for what is small, and costs no text.
            stored = f"JSON_STORAGE_SIZE({value.sql})"
            large = f"{stored}>{_LEAST_STORED} AND {large}"
            size = Length(f"IF({stored}>{_LARGE_BYTES},LENGTH({text}),{stored})", escapes(text))
            form = replace(form, length=size)
        if base_name(value.to) in ANY_TEXT:
            return form
        return replace(
            form,
            # A digest, because a length before the text would make both servers print it twice.
            source_text=f"MD5({text})",
            target_text="md5({}::text)".format,
            traps=(json_nul(text), Trap("json_size", f"({large})")) if value.to == "jsonb" else (),
            judge="json",
        )
