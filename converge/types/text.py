"""CHAR, VARCHAR and the TEXT types: the same code points, '' and NULL kept apart."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family

# Character sets whose bytes are already UTF-8: converting them again would only cost time.
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})


class Text(Family):
    types = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
    targets = frozenset({"varchar", "text", "character varying"})

    def read(self, column: Column, to: str) -> str:
        return as_bytes(utf8(column))

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
