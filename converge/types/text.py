"""CHAR, VARCHAR and the TEXT types: the same code points, '' and NULL kept apart.

MySQL turns a character that has no Unicode mapping (GBK 0xA2A0, ASCII 0xFF) into '?', and a text that is no
Unicode at all (UCS-2 0xD800) into NULL, without a word. Such a value is read as a byte that is no
UTF-8, so that the target refuses it where no policy says otherwise.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name, my_text
from converge.types.base import Family, Length, Value, base_name, sizes
from converge.types.traps import Trap
from converge.types.uuid import canonical, not_uuid

# Character sets whose bytes are already UTF-8: converting them again would only cost time.
# ASCII is not among them: MySQL 8.0.15 lets bytes above 0x7F into such a column (tried).
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8"})
# Character sets all of whose bytes have a Unicode mapping.
_MAPPED = frozenset({"latin1"})
_NO_UTF8 = "0xC0"
# A field of PostgreSQL is smaller than 1 GB; COPY's escapes come on top, and are counted with the whole row.
_MOST_BYTES = 1_073_740_000
# A character of one byte can have three in UTF-8, and one of four bytes has four.
_UTF8_GROWTH = 3
_CHARACTER_BYTES = 4


TEXTS = frozenset({"text", "varchar", "character varying", "citext"})
"""Base names of the types that compare by a collation."""


class Text(Family):
    types = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
    targets = TEXTS | {"bytea", "uuid"}

    def suggestions(self, column: Column) -> tuple[str, ...]:
        return ("uuid",) if column.type == "char" and column.length in (32, 36) else ()

    def traps(self, value: Value) -> tuple[Trap, ...]:
        text = utf8(value)
        found = []
        if value.column.charset not in _UTF8 | _MAPPED:
            found.append(_unmapped(value))
        if value.column.charset == "latin1" and not value.changed:
            found.append(_latin1_utf8(value))
        if value.to == "uuid":
            return (*found, not_uuid(text))
        limit = sizes(value.to)[0] if sizes(value.to) else None
        if limit is not None and limit < (value.column.length or 0):
            found.append(Trap("too_long", f"CHAR_LENGTH({text})>{limit}", {"cut": f"LEFT({text},{limit})"}))
        if value.column.type == "longtext":
            most = _MOST_BYTES // 2 if value.to == "bytea" else _MOST_BYTES
            found.append(Trap("too_big", f"LENGTH({text})>{most}"))
        return tuple(found) if value.to == "bytea" else (*found, nul(text))

    def whole(self, value: Value) -> str:
        return utf8(value)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CONVERT({expression} USING utf8mb4)"

    def read(self, value: Value) -> str:
        if value.to == "bytea":
            return f"CONCAT('\\\\x',HEX({utf8(value)}))"
        text = as_bytes(utf8(value))
        mapped = value.column.charset in _UTF8 | _MAPPED or "unmapped" in value.handled
        if mapped or value.to == "uuid":
            return text
        name = my_name(value.column.name)
        return f"IF({name} IS NULL OR {_kept(value.column)},{text},{_NO_UTF8})"

    def most(self, column: Column) -> int:
        growth = _CHARACTER_BYTES if column.type in ("char", "varchar") else _UTF8_GROWTH
        return growth * (column.length or 0)

    def length(self, value: Value) -> Length:
        text = utf8(value)
        size = f"LENGTH({text})"
        if text.startswith("CONVERT("):
            # A text that becomes longer than max_allowed_packet becomes NULL.
            size = f"IFNULL({size},{_UTF8_GROWTH}*LENGTH({value.sql}))"
        return Length(f"(2*{size}+3)") if value.to == "bytea" else Length(size, escapes(text))

    def special(self, value: Value) -> bool:
        return value.to != "uuid"

    def delimited(self, value: Value) -> bool:
        return value.to not in ("uuid", "bytea")

    def source_text(self, value: Value) -> str:
        if value.to == "uuid":
            return canonical(utf8(value))
        return f"MD5({utf8(value)})" if value.to == "bytea" else utf8(value)

    def source_value(self, value: Value) -> str:
        return f"LOWER(HEX({utf8(value)}))" if value.to == "bytea" else self.source_text(value)

    def default(self, literal: str, value: Value) -> str | None:
        if value.to == "bytea":
            return f"'\\x{literal.encode().hex()}'::bytea"
        if base_name(value.to) == "uuid" and len(literal.replace("-", "")) != 32:
            return None
        return super().default(literal, value)


def utf8(value: Value) -> str:
    """The text in UTF-8, converted by the server where it is stored in another set."""
    plain = value.changed or value.column.charset in _UTF8
    return value.sql if plain else f"CONVERT({value.sql} USING utf8mb4)"


def as_bytes(text: str) -> str:
    """The bytes of a UTF-8 expression, so that joining it with marks that are no UTF-8 is exact."""
    return f"CAST({text} AS BINARY)"


def escapes(text: str) -> str:
    """MySQL expression: how many bytes of a text COPY wants escaped."""
    bare = as_bytes(text)
    for char in "\\", "\n", "\r", "\t":
        bare = f"REPLACE({bare},{my_text(char)},'')"
    return f"(LENGTH({text})-LENGTH({bare}))"


def is_utf8(value: str) -> str:
    """MySQL condition: the bytes are UTF-8. What is none is cut or becomes NULL, depending on sql_mode."""
    return f"IFNULL({as_bytes(f'CONVERT({as_bytes(value)} USING utf8mb4)')}={as_bytes(value)},0)"


def nul(text: str) -> Trap:
    """NUL inside a UTF-8 expression. As bytes, because most collations ignore a NUL."""

    def without(substitute: str) -> str:
        return f"CONVERT(REPLACE({as_bytes(text)},0x00,{as_bytes(substitute)}) USING utf8mb4)"

    return Trap(
        "nul",
        f"INSTR({as_bytes(text)},0x00)>0",
        {"strip": without("''")},
        lambda wanted: without(my_text(wanted)),
    )


def _kept(column: Column) -> str:
    """MySQL condition: every character of the column has a Unicode mapping."""
    name = my_name(column.name)
    text = f"CONVERT({name} USING utf8mb4)"
    return f"IFNULL(CHAR_LENGTH(REPLACE({text},'?',''))=CHAR_LENGTH(REPLACE({name},'?','')),0)"


def _unmapped(value: Value) -> Trap:
    name = my_name(value.column.name)
    # Text that is no Unicode at all is cut there, or becomes NULL, on the way.
    marked = f"RPAD(IFNULL(CONVERT({name} USING utf8mb4),''),CHAR_LENGTH({name}),'?')"
    where = f"{name} IS NOT NULL AND NOT {_kept(value.column)}"
    return Trap("unmapped", where, {"question_mark": marked})


def _latin1_utf8(value: Value) -> Trap:
    text = utf8(value)
    meant = f"CONVERT(CAST({value.sql} AS BINARY) USING utf8mb4)"
    where = f"LENGTH({text})<>LENGTH({value.sql}) AND {is_utf8(value.sql)}"
    return Trap("latin1_utf8", where, {"repair": f"IF({where},{meant},{text})"})
