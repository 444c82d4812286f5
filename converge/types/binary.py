"""BINARY, VARBINARY and the BLOB types: the same bytes, or what they mean where a map or a table says so."""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.types.base import Family, Form, Length, Value, only_where
from converge.types.forms import ANY_TEXT, swapped, text_form
from converge.types.sql import escapes, is_utf8
from converge.types.traps import Trap

# COPY writes two hex digits for a byte, and takes a line of less than 1 GB (tried on 14 and 17.5).
_MOST_BYTES = 536_870_000
_UUID_BYTES = 16
_UUID_DIGITS = 32


class Binary(Family):
    types = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
    targets = frozenset({"bytea", "uuid", "json", "jsonb"}) | ANY_TEXT
    labelled = True

    def accepts(self, column: Column) -> frozenset[str]:
        length = column.length or 0
        return self.targets if length == _UUID_BYTES or length >= _UUID_DIGITS else self.targets - {"uuid"}

    def suggestions(self, column: Column) -> tuple[str, ...]:
        return ("uuid",) if column.type == "binary" and column.length == _UUID_BYTES else ()

    def adopted(self, expression: str, column: Column) -> str:
        return f"CAST({expression} AS BINARY)"

    def most(self, column: Column) -> int:
        return 2 * (column.length or 0) + 3

    def form(self, value: Value) -> Form:
        data, column = value.sql, value.column
        hexadecimal = Length(f"(2*LENGTH({data})+3)")
        if value.to == "bytea":
            big = Trap("too_big", f"LENGTH({data})>{_MOST_BYTES}")
            form = replace(text_form(data, value), traps=(big,) * (column.type == "longblob"))
            return replace(form, default=lambda literal: f"'\\x{literal.removeprefix('0x')}'::bytea")
        if value.to == "uuid" and column.length == _UUID_BYTES:
            # The bytes are a UUID themselves, and not its text.
            short = Trap("not_uuid", f"LENGTH({data})<>{_UUID_BYTES}")
            traps = (*(short,) * (column.type != "binary"), swapped(data))
            form = text_form(f"HEX({data})", value)
            return replace(form, whole=data, length=hexadecimal, traps=traps, default=_no_default)
        # Of bytes that are not UTF-8 it is NULL.
        form = text_form(f"CONVERT({data} USING utf8mb4)", value)
        broken = Trap("not_utf8", f"{data} IS NOT NULL AND NOT {is_utf8(data)}")
        length = hexadecimal if value.to == "uuid" else Length(f"LENGTH({data})", escapes(data))
        form = replace(form, whole=data, length=length, traps=(broken, *form.traps), default=_no_default)
        # Such bytes would be cut or become NULL without a word.
        return form if "not_utf8" in value.handled else only_where(is_utf8(data), data, form)


def _no_default(literal: str) -> None:
    """Bytes that were read as something else."""
