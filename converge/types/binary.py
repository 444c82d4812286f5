"""BINARY, VARBINARY and the BLOB types: the same bytes, or what they mean where a map or a table says so."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Length, Value
from converge.types.forms import AsText, Written, swapped
from converge.types.parsed import AsJson, AsJsonb
from converge.types.sql import escapes, is_utf8, refused, unequalled
from converge.types.traps import Trap

# COPY writes two hex digits for a byte, and takes a line of less than 1 GB (tried on 14 and 17.5).
_MOST_BYTES = 536_870_000
_UUID_BYTES = 16
_UUID_DIGITS = 32


class Binary(Written):
    types = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
    targets = frozenset({"bytea", "uuid"}) | AsText.targets | AsJson.targets | AsJsonb.targets
    labelled = True

    def accepts(self, column: Column) -> frozenset[str]:
        length = column.length or 0
        return self.targets if length == _UUID_BYTES or length >= _UUID_DIGITS else self.targets - {"uuid"}

    def suggestions(self, column: Column) -> tuple[str, ...]:
        return ("uuid",) if column.type == "binary" and column.length == _UUID_BYTES else ()

    def text(self, value: Value) -> str:
        if _raw_uuid(value):
            return f"HEX({value.sql})"
        # Of bytes that are no UTF-8 it is NULL.
        return value.sql if value.to == "bytea" else f"CONVERT({value.sql} USING utf8mb4)"

    def whole(self, value: Value) -> str:
        return value.sql

    # Bytes that are no UTF-8 would be cut or become NULL without a word: the copy gives a text that the
    # target refuses, and the comparison one that it cannot hold.

    def read(self, value: Value) -> str:
        text = super().read(value)
        return _unless_broken(value, text, refused(value.sql)) if _may_be_broken(value) else text

    def source_text(self, value: Value) -> str:
        text = super().source_text(value)
        return _unless_broken(value, text, unequalled(value.sql)) if _may_be_broken(value) else text

    def traps(self, value: Value) -> tuple[Trap, ...]:
        if _raw_uuid(value):
            short = Trap("not_uuid", f"LENGTH({value.sql})<>{_UUID_BYTES}")
            return (*(short,) * (value.column.type != "binary"), swapped(value.sql))
        if value.to == "bytea":
            big = Trap("too_big", f"LENGTH({value.sql})>{_MOST_BYTES}")
            return (big,) if value.column.type == "longblob" else ()
        broken = Trap("not_utf8", f"{value.sql} IS NOT NULL AND NOT {is_utf8(value.sql)}")
        return (broken, *super().traps(value))

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS BINARY)"

    def most(self, column: Column) -> int:
        return 2 * (column.length or 0) + 3

    def length(self, value: Value) -> Length:
        if value.to in ("bytea", "uuid"):
            return Length(f"(2*LENGTH({value.sql})+3)")
        return Length(f"LENGTH({value.sql})", escapes(value.sql))

    def default(self, literal: str, value: Value) -> str | None:
        return f"'\\x{literal.removeprefix('0x')}'::bytea" if value.to == "bytea" else None


def _raw_uuid(value: Value) -> bool:
    """Whether the bytes are a UUID themselves, and not its text."""
    return value.to == "uuid" and value.column.length == _UUID_BYTES


def _may_be_broken(value: Value) -> bool:
    """Whether the bytes are read as a text, and no policy takes care of those that are none."""
    return not _raw_uuid(value) and value.to != "bytea" and "not_utf8" not in value.handled


def _unless_broken(value: Value, text: str, other: str) -> str:
    return f"IF({value.sql} IS NULL OR {is_utf8(value.sql)},{text},{other})"
