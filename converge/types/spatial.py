"""Spatial values as well-known binary, with their SRID where they have one.

A value is stored as a 4-byte SRID and then its WKB with longitude first (MySQL 8.0 manual, "Internal
Geometry Storage Format"). A value of SRID 0 arrives as WKB, any other as PostGIS's EWKB: a bit in the
type says that the SRID follows it. Nothing is lost, and PostGIS reads both.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.types.base import Family, Length, Value

_MOST_BYTES = 2**32


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

    def most(self, column: Column) -> int:
        return _MOST_BYTES

    def length(self, value: Value) -> Length:
        return Length(f"(2*LENGTH({value.sql})+3)")

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
    """Hex digits of the value's WKB or EWKB."""
    digits = f"HEX({value.sql})"
    srid = f"SUBSTRING({digits},1,8)"
    order_and_type = f"SUBSTRING({digits},9,8),'20'"
    extended = f"CONCAT({order_and_type},{srid},SUBSTRING({digits},19))"
    return f"IF({srid}='00000000',SUBSTRING({digits},9),{extended})"
