"""CHAR, VARCHAR and the TEXT types: the same code points, '' and NULL kept apart.

MySQL turns a character that has no Unicode mapping (GBK 0xA2A0, ASCII 0xFF) into '?', and a text that is no
Unicode at all (UCS-2 0xD800) into NULL, without a word. Such a value is read as a byte that is no
UTF-8, so that the target refuses it.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family

# Character sets whose bytes are already UTF-8: converting them again would only cost time.
# ASCII is not among them: MySQL 8.0.15 lets bytes above 0x7F into such a column (tried).
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8"})
# Character sets all of whose bytes have a Unicode mapping.
_MAPPED = frozenset({"latin1"})
_NO_UTF8 = "0xC0"


class Text(Family):
    types = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
    targets = frozenset({"varchar", "text", "character varying"})

    def read(self, column: Column, to: str) -> str:
        text = as_bytes(utf8(column))
        if column.charset in _UTF8 | _MAPPED:
            return text
        name = my_name(column.name)
        kept = f"CHAR_LENGTH(REPLACE({utf8(column)},'?',''))=CHAR_LENGTH(REPLACE({name},'?',''))"
        return f"IF({name} IS NULL OR {kept},{text},{_NO_UTF8})"

    def special(self, column: Column, to: str) -> bool:
        return True

    def delimited(self, column: Column) -> bool:
        return True

    def source_text(self, column: Column, to: str) -> str:
        return utf8(column)


def utf8(column: Column) -> str:
    """The column's text in UTF-8, converted by the server where it is stored in another set."""
    name = my_name(column.name)
    return name if column.charset in _UTF8 else f"CONVERT({name} USING utf8mb4)"


def as_bytes(text: str) -> str:
    """The bytes of a UTF-8 expression, so that joining it with marks that are no UTF-8 is exact."""
    return f"CAST({text} AS BINARY)"
