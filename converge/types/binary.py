"""BINARY, VARBINARY and the BLOB types: the same bytes, or what they mean where a map says so."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Family, Length, Value
from converge.types.text import as_bytes, escapes, is_utf8, nul
from converge.types.traps import Trap
from converge.types.uuid import canonical, swapped

# COPY writes two hex digits for a byte, and takes a line of less than 1 GB (tried on 14 and 17.5).
_MOST_BYTES = 536_870_000


class Binary(Family):
    types = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
    targets = frozenset({"bytea", "text", "uuid"})

    def accepts(self, column: Column) -> frozenset[str]:
        return self.targets if column.length == 16 else self.targets - {"uuid"}

    def suggestions(self, column: Column) -> tuple[str, ...]:
        return ("uuid",) if column.type == "binary" and column.length == 16 else ()

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if value.to == "uuid":
            short = (Trap("not_uuid", f"LENGTH({value.sql})<>16"),) if value.column.type != "binary" else ()
            return (*short, swapped(value.sql))
        if value.to == "text":
            broken = Trap("not_utf8", f"{value.sql} IS NOT NULL AND NOT {is_utf8(value.sql)}")
            return broken, nul(_decoded(value))
        return (
            (Trap("too_big", f"LENGTH({value.sql})>{_MOST_BYTES}"),)
            if value.column.type == "longblob"
            else ()
        )

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS BINARY)"

    def read(self, value: Value) -> str:
        if value.to == "uuid":
            return as_bytes(f"HEX({value.sql})")
        return as_bytes(_decoded(value)) if value.to == "text" else f"CONCAT('\\\\x',HEX({value.sql}))"

    def most(self, column: Column) -> int:
        return 2 * (column.length or 0) + 3

    def length(self, value: Value) -> Length:
        if value.to == "text":
            return Length(f"LENGTH({value.sql})", escapes(value.sql))
        return Length(f"(2*LENGTH({value.sql})+3)")

    def special(self, value: Value) -> bool:
        return value.to != "uuid"

    def delimited(self, value: Value) -> bool:
        return value.to == "text"

    def source_text(self, value: Value) -> str:
        if value.to == "uuid":
            return canonical(f"HEX({value.sql})")
        return _decoded(value) if value.to == "text" else f"MD5({value.sql})"

    def source_value(self, value: Value) -> str:
        return f"LOWER(HEX({value.sql}))" if value.to == "bytea" else self.source_text(value)

    def default(self, literal: str, value: Value) -> str | None:
        if literal == "0x" and value.column.type == "varbinary":
            # information_schema cuts a binary default at its first 0x00; '' itself is printed as ''.
            return None
        digits = literal[2:] if literal.startswith("0x") else literal.encode().hex()
        if value.column.type == "binary":
            digits = digits.ljust(2 * (value.column.length or 1), "0")
        return f"'\\x{digits}'::bytea" if value.to == "bytea" else None


def _decoded(value: Value) -> str:
    """The bytes as UTF-8 text; NULL where they are none."""
    return f"CONVERT({value.sql} USING utf8mb4)"
