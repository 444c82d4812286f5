"""Spatial values as well-known binary, with their SRID where they have one, or as PostGIS's geometry.

A value is stored as a 4-byte SRID and then its WKB with longitude first (MySQL 8.0 manual, "Internal
Geometry Storage Format"). A value of SRID 0 arrives as WKB, any other as PostGIS's EWKB: a bit in the
type says that the SRID follows it. Nothing is lost, and PostGIS reads both: a geometry's input takes
their hex digits, and its cast to bytea gives the same bytes back.
"""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_text
from converge.types.base import Family, Form, Length, Value
from converge.types.sql import base_name
from converge.types.traps import Trap

_MOST_BYTES = 2**32
# PostGIS silently replaces a higher SRID (its manual, "Spatial Reference Systems").
_HIGHEST_SRID = 998_999
# The names that differ; MySQL 8.0.15 says GEOMETRYCOLLECTION, later versions GEOMCOLLECTION.
_SHAPES = {"geometrycollection": ("GEOMETRYCOLLECTION", "GEOMCOLLECTION")}


class Spatial(Family):
    types = frozenset(
        {
            "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
            "geomcollection", "geometrycollection",
        }
    )  # fmt: skip
    targets = frozenset({"bytea", "geometry"})

    def most(self, column: Column) -> int:
        return _MOST_BYTES

    def form(self, value: Value) -> Form:
        digits, is_bytea = wkb(value.sql), value.to == "bytea"
        return Form(
            read=f"CONCAT('\\\\x',{digits})" if is_bytea else digits,
            source_text=f"MD5(UNHEX({digits}))",
            target_text="md5({}::bytea)".format,
            source_value=f"LOWER({digits})",
            target_value="encode({}::bytea,'hex')".format,
            traps=() if is_bytea else (_other_shape(value),),
            special=is_bytea,
            length=Length(f"(2*LENGTH({value.sql})+3)"),
        )


def _other_shape(value: Value) -> Trap:
    shape, srid = _wanted(value.to)
    other = [f"ST_SRID({value.sql})" + (f"<>{srid}" if srid.strip("0") else f">{_HIGHEST_SRID}")]
    if shape != "geometry":
        names = ",".join(map(my_text, _SHAPES.get(shape, (shape.upper(),))))
        other.append(f"ST_GeometryType({value.sql}) NOT IN ({names})")
    return Trap("other_shape", " OR ".join(other))


def _wanted(to: str) -> tuple[str, str]:
    """``geometry(Point,4326)`` → shape and SRID in lower case; geometry and 0 or nothing stand for any."""
    shape, _, srid = to.lower().partition("(")[2].removesuffix(")").partition(",")
    return shape.strip() or base_name(to), srid.strip()


def wkb(value: str) -> str:
    """MySQL expression: the hex digits of a value's WKB or EWKB."""
    digits = f"HEX({value})"
    srid = f"SUBSTRING({digits},1,8)"
    order_and_type = f"SUBSTRING({digits},9,8),'20'"
    extended = f"CONCAT({order_and_type},{srid},SUBSTRING({digits},19))"
    return f"IF({srid}='00000000',SUBSTRING({digits},9),{extended})"
