"""JSON. Both servers sort keys alike (length, then bytes) and print the same separators and escapes.

Only numbers written with an exponent differ (1e300 against 301 digits), so a table whose digests
differ is judged by the values in the drill-down.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family
from converge.types.text import as_bytes


class Json(Family):
    types = frozenset({"json"})
    targets = frozenset({"json", "jsonb"})
    judge = "json"

    def read(self, column: Column, to: str) -> str:
        return as_bytes(f"CAST({my_name(column.name)} AS CHAR)")

    def special(self, column: Column, to: str) -> bool:
        return True

    def source_text(self, column: Column, to: str) -> str:
        # A digest, because a length before the text would make both servers print it twice.
        return f"MD5(CAST({my_name(column.name)} AS CHAR))"

    def target_text(self, reference: str, column: Column, to: str) -> str:
        return f"md5({reference}::text)"

    def source_value(self, column: Column, to: str) -> str:
        return f"CAST({my_name(column.name)} AS CHAR)"

    def target_value(self, reference: str, column: Column, to: str) -> str:
        return reference
