"""Spatial values as well-known binary.

A value is stored as a 4-byte SRID and then its WKB with longitude first (MySQL 8.0 manual, "Internal
Geometry Storage Format"); the WKB is kept.
"""

from __future__ import annotations

from converge.types.base import Family, Value


class Spatial(Family):
    types = frozenset(
        {
            "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
            "geomcollection", "geometrycollection",
        }
    )  # fmt: skip
    targets = frozenset({"bytea"})

    def read(self, value: Value) -> str:
        return f"CONCAT('\\\\x',{_wkb(value)})"

    def special(self, value: Value) -> bool:
        return True

    def source_text(self, value: Value) -> str:
        return f"MD5(UNHEX({_wkb(value)}))"

    def target_text(self, reference: str, value: Value) -> str:
        return f"md5({reference})"

    def source_value(self, value: Value) -> str:
        return f"LOWER({_wkb(value)})"

    def target_value(self, reference: str, value: Value) -> str:
        return f"encode({reference},'hex')"


def _wkb(value: Value) -> str:
    """Hex digits of the value without its SRID."""
    return f"SUBSTRING(HEX({value.sql}),9)"
