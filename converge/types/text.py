"""CHAR, VARCHAR and the TEXT types: the same code points, '' and NULL kept apart.

MySQL turns a character that has no Unicode mapping into '?' (GBK 0xA2A0, ASCII 0xFF) or U+FFFD (BIG5 0xA15A),
and a text that is no Unicode at all (UCS-2 0xD800) into NULL, without a word. Such a value is read as one
that the target refuses, and compared as one that it cannot hold, where no policy says otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family, Form, Value, only_where
from converge.types.forms import MADE, text_form
from converge.types.sql import as_bytes, is_utf8
from converge.types.traps import Trap

# Character sets whose bytes are already UTF-8: converting them again would only cost time.
# ASCII is not among them: MySQL 8.0.15 lets bytes above 0x7F into such a column (tried).
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8"})
# Character sets all of whose bytes have a Unicode mapping.
_MAPPED = frozenset({"latin1"})
_REPLACED = frozenset({"big5", "tis620"})
"""Character sets without U+FFFD, some of whose codes MySQL turns into it (tried, as `SEVERAL_CODES`)."""
_REPLACEMENT = "_utf8mb4 X'EFBFBD'"
SEVERAL_CODES = frozenset({"armscii8", "cp932", "eucjpms", "sjis", "ujis"})
"""Character sets of which several characters become the same one of Unicode: of cp932 both 0x81CA and 0xFA54
are U+FFE2 (tried, all codes of one and two bytes of all sets)."""
# A field of PostgreSQL is smaller than 1 GB; COPY's escapes come on top, and are counted with the whole row.
_MOST_BYTES = 1_073_740_000
# A character of one byte can have three in UTF-8, and one of four bytes has four.
_UTF8_GROWTH = 3
_CHARACTER_BYTES = 4


class Text(Family):
    types = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
    targets = MADE
    labelled = True

    def suggestions(self, column: Column) -> tuple[str, ...]:
        return ("uuid",) if column.type == "char" and column.length in (32, 36) else ()

    def adopted(self, expression: str, column: Column) -> str:
        return f"CONVERT({expression} USING utf8mb4)"

    def most(self, column: Column) -> int:
        growth = _CHARACTER_BYTES if column.type in ("char", "varchar") else _UTF8_GROWTH
        return growth * (column.length or 0)

    def form(self, value: Value) -> Form:
        column, text = value.column, utf8(value)
        form, found = text_form(text, value), []
        if column.charset not in _UTF8 | _MAPPED:
            found.append(_unmapped(value))
            # No UUID has a ?.
            if "unmapped" not in value.handled and value.to != "uuid":
                form = only_where(_kept(column), my_name(column.name), form)
        if column.charset == "latin1" and not value.changed:
            found.append(_latin1_utf8(value))
        if column.type == "longtext":
            most = _MOST_BYTES // 2 if value.to == "bytea" else _MOST_BYTES
            found.append(Trap("too_big", f"LENGTH({text})>{most}"))
        return replace(form, traps=(*found, *form.traps))


def repaired(literal: str) -> str:
    """A latin1 text as the policy `repair` reads it: the text that its bytes are in UTF-8, where they are."""
    # MySQL's latin1 is cp1252, with a control character for each byte that has no character there.
    stored = b"".join(
        char.encode("latin1" if "\x80" <= char <= "\x9f" else "cp1252", "replace") for char in literal
    )
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return literal


def utf8(value: Value) -> str:
    """The text in UTF-8, converted by the server where it is stored in another set."""
    plain = value.changed or value.column.charset in _UTF8
    return value.sql if plain else f"CONVERT({value.sql} USING utf8mb4)"


def _kept(column: Column) -> str:
    """MySQL condition: every character of the column has a Unicode mapping."""
    name = my_name(column.name)
    text = f"CONVERT({name} USING utf8mb4)"
    if column.charset == "ascii":
        # UTF-8 has the same bytes, but for those above 0x7F. REPLACE would cost two to three times as much.
        return f"IFNULL({as_bytes(text)}={as_bytes(name)},0)"
    mapped = f"REPLACE({text},'?','')"
    if column.charset in _REPLACED:
        mapped = f"REPLACE({mapped},{_REPLACEMENT},'')"
    return f"IFNULL(CHAR_LENGTH({mapped})=CHAR_LENGTH(REPLACE({name},'?','')),0)"


def _unmapped(value: Value) -> Trap:
    name = my_name(value.column.name)
    # Text that is no Unicode at all is cut there, or becomes NULL, on the way.
    text = f"CONVERT({name} USING utf8mb4)"
    if value.column.charset in _REPLACED:
        text = f"REPLACE({text},{_REPLACEMENT},'?')"
    marked = f"RPAD(IFNULL({text},''),CHAR_LENGTH({name}),'?')"
    where = f"{name} IS NOT NULL AND NOT {_kept(value.column)}"
    return Trap("unmapped", where, {"question_mark": marked})


def _latin1_utf8(value: Value) -> Trap:
    text = utf8(value)
    meant = f"CONVERT(CAST({value.sql} AS BINARY) USING utf8mb4)"
    where = f"LENGTH({text})<>LENGTH({value.sql}) AND {is_utf8(value.sql)}"
    return Trap("latin1_utf8", where, {"repair": f"IF({where},{meant},{text})"})
