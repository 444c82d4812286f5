"""Canonical texts of two result columns that the servers describe themselves: of views and expressions.

A view's column has no declared pair of types, so the kinds of both sides decide. What is compared is the
value: 1.50 is 1.5, 1 is true, midnight is its day. A text stays a text, digit for digit.
"""

from __future__ import annotations

from dataclasses import dataclass

from converge.types.field import Field
from converge.types.floating import double_text, shortest, stored_text
from converge.types.forms import array_text
from converge.types.spatial import wkb
from converge.types.sql import as_bytes, bare_number

_BINARY_CHARSET = 63
_ZEROFILL = 64
_ENUM = 256
_SOURCE_KINDS = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13, 16), "integer"), 0: "number", 246: "number", 4: "double", 5: "double",
    7: "moment", 12: "moment", 10: "date", 14: "date", 11: "time", 245: "json", 255: "spatial",
}  # fmt: skip
"""By the type codes of the protocol; what is not listed is a text or bytes."""
_PADDED = (13, 16)
"""YEAR and BIT: only arithmetic gives their number."""
_TARGET_KINDS = {
    16: "boolean", 20: "number", 21: "number", 23: "number", 1700: "number", 700: "double", 701: "double",
    17: "bytes", 114: "json", 3802: "json", 1082: "date", 1114: "moment", 1184: "instant", 1083: "time",
    1186: "time", 1560: "bits", 1562: "bits", 2950: "uuid", 1009: "array",
}  # fmt: skip
"""By the OIDs of PostgreSQL's own types; what is not listed is compared as text."""
_PLAIN = frozenset(
    {"integer", "number", "double", "boolean", "bits", "date", "moment", "instant", "time", "uuid"}
)
"""Kinds whose texts hold no ``|`` and are short."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of a result, as MySQL's protocol describes it."""

    name: str
    reference: str
    code: int
    charset: int
    digits: int
    flags: int

    @property
    def kind(self) -> str:
        return _SOURCE_KINDS.get(self.code) or ("bytes" if self.charset == _BINARY_CHARSET else "text")


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """The same of PostgreSQL."""

    name: str
    reference: str
    oid: int

    @property
    def kind(self) -> str:
        return _TARGET_KINDS.get(self.oid, "text")


def field(source: SourceColumn, target: TargetColumn) -> Field:
    """How a column is compared."""
    here, there, judge = _pair(source, target)
    shown = as_bytes(here), f"({there})::text"
    if judge == "double":
        shown = as_bytes(shortest(f"({source.reference}*1e0)")), f"({target.reference})::float8::text"
    if source.kind in _PLAIN and target.kind in _PLAIN:
        here, there = f"IFNULL({here},'~')", f"coalesce({there},'~')"
    else:
        # What the server cannot give, because it is too long, is not taken for NULL.
        here = f"IF({source.reference} IS NULL,'~',IFNULL(MD5({as_bytes(here)}),'cut'))"
        there = f"CASE WHEN {target.reference} IS NULL THEN '~' ELSE md5({there}) END"
    collated = source.kind == "text" and not source.flags & _ENUM
    return Field(source.name, here, there, *shown, f"{source.reference} IS NULL", judge, collated)


def _pair(source: SourceColumn, target: TargetColumn) -> tuple[str, str, str]:
    here, there = source.reference, target.reference
    match source.kind, target.kind:
        case "integer", "bits":
            return f"TRIM(LEADING '0' FROM BIN({here}+0))", f"ltrim({there}::text,'0')", "text"
        case ("integer" | "number" | "double") as kind, ("number" | "double" | "boolean") as other:
            if other == "boolean":
                there = f"({there}::int)"
            if kind == "double":
                return double_text(f"({here}*1e0)"), stored_text(there), "double"
            # Straight to numeric it would have 15 digits.
            digits = f"{there}::text" if other == "double" else there
            return _number(source), f"trim_scale({digits}::numeric)::text", "text"
        case "json", "json":
            return f"CAST({here} AS CHAR)", f"{there}::jsonb::text", "json"
        case "text", "json":
            meant = f"CAST(CAST({here} AS JSON) AS CHAR)"
            return f"IF(JSON_VALID({here}),{meant},{here})", f"{there}::jsonb::text", "json"
        case "spatial", _:
            return f"LOWER({wkb(here)})", f"encode({there}::bytea,'hex')", "text"
        case ("text" | "bytes") as kind, ("bytes" | "uuid") as other:
            return *_hex(kind, other, here, there), "text"
        case "bytes", "text":
            return f"LOWER(HEX({here}))", f"encode(convert_to({there}::text,'UTF8'),'hex')", "text"
        case (("date" | "moment"), ("date" | "moment" | "instant")):
            return (*_moment(source, target), "text")
        case "time", "time":
            return _bare(source), _clock(there), "text"
    return _text(source), _target_text(target), "text"


def _number(source: SourceColumn) -> str:
    if source.code in _PADDED or source.flags & _ZEROFILL:
        return f"({source.reference}+0)"
    return source.reference if source.kind == "integer" else _bare(source)


def _bare(source: SourceColumn) -> str:
    """Without zeros behind the point, which IF and CASE leave out where their branch has none: ``10``."""
    if not source.digits:
        return source.reference
    return f"IF(LOCATE('.',{source.reference}),{bare_number(source.reference)},{source.reference})"


def _hex(kind: str, other: str, here: str, there: str) -> tuple[str, str]:
    """Bytes or a text beside bytes or a UUID."""
    if other == "uuid":
        digits = f"HEX({here})" if kind == "bytes" else f"REPLACE({here},'-','')"
        return f"LOWER({digits})", f"replace({there}::text,'-','')"
    value = here if kind == "bytes" else f"CONVERT({here} USING utf8mb4)"
    return f"LOWER(HEX({value}))", f"encode({there},'hex')"


def _moment(source: SourceColumn, target: TargetColumn) -> tuple[str, str]:
    there = target.reference
    if target.kind == "instant":
        there = f"({there} AT TIME ZONE 'UTC')"
    if source.kind == "date" and target.kind == "date":
        return source.reference, f"{there}::text"
    midnight = f"CONCAT({source.reference},' 00:00:00')"
    return midnight if source.kind == "date" else _bare(source), f"{there}::timestamp::text"


def _clock(reference: str) -> str:
    """A time or an interval as MySQL prints it: hours may be many, and a sign goes before them."""
    seconds = f"extract(epoch from {reference}::interval)"
    text = f"to_char(make_interval(secs=>abs({seconds})::float8),'HH24:MI:SS.US')"
    return f"CASE WHEN {seconds}<0 THEN '-' ELSE '' END||rtrim(rtrim({text},'0'),'.')"


def _text(source: SourceColumn) -> str:
    return f"CONVERT({source.reference} USING utf8mb4)" if source.kind == "text" else source.reference


def _target_text(target: TargetColumn) -> str:
    match target.kind:
        case "boolean":
            return f"{target.reference}::int::text"
        case "array":
            return array_text(target.reference)
        case "time":
            return _clock(target.reference)
    return f"{target.reference}::text"
