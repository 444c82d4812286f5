"""BINARY, VARBINARY, the BLOB types and spatial values, all as bytea.

A spatial value is stored as a 4-byte SRID and then its WKB with longitude first (MySQL 8.0 manual,
"Internal Geometry Storage Format"); the WKB is kept.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name
from converge.types.base import Family


class Binary(Family):
    types = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
    targets = frozenset({"bytea"})

    def read(self, column: Column, to: str) -> str:
        return f"CONCAT('\\\\x',HEX({my_name(column.name)}))"

    def special(self, column: Column, to: str) -> bool:
        return True

    def source_text(self, column: Column, to: str) -> str:
        # The digest of a digest keeps long values out of the concatenated row.
        return f"MD5({my_name(column.name)})"

    def target_text(self, reference: str, column: Column, to: str) -> str:
        return f"md5({reference})"

    def source_value(self, column: Column, to: str) -> str:
        return f"LOWER(HEX({my_name(column.name)}))"

    def target_value(self, reference: str, column: Column, to: str) -> str:
        return f"encode({reference},'hex')"

    def default(self, value: str, column: Column, to: str) -> str | None:
        if value == "0x" and column.type == "varbinary":
            # information_schema cuts a binary default at its first 0x00; '' itself is printed as ''.
            return None
        digits = value[2:] if value.startswith("0x") else value.encode().hex()
        if column.type == "binary":
            digits = digits.ljust(2 * (column.length or 1), "0")
        return f"'\\x{digits}'::bytea"


class Spatial(Binary):
    types = frozenset(
        {
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geomcollection",
            "geometrycollection",
        }
    )

    def read(self, column: Column, to: str) -> str:
        return f"CONCAT('\\\\x',SUBSTRING(HEX({my_name(column.name)}),9))"

    def source_text(self, column: Column, to: str) -> str:
        return f"MD5(UNHEX(SUBSTRING(HEX({my_name(column.name)}),9)))"

    def source_value(self, column: Column, to: str) -> str:
        return f"LOWER(SUBSTRING(HEX({my_name(column.name)}),9))"
