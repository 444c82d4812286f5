"""A value's way back: what the target is asked for, and what MySQL makes the column's own value of.

The way there is made by `types`; the way back needs no such care, because each row that was written back is
compared with the target's by the comparison's own texts, in the transaction that writes it. As an example, of
`flag bit(3)` that has become `bit(3)`:

    PostgreSQL   ("flag")::text          101
    MySQL        CAST(CONV('101',2,10) AS UNSIGNED)
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from converge.model.quote import my_name, my_text, pg_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.types.forms import array_text
from converge.types.sql import base_name

_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_SPATIAL = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geomcollection", "geometrycollection",
    }
)  # fmt: skip
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?")
_EWKB_SRID = 0x20
"""The bit of a type's highest byte that says that an SRID follows (PostGIS manual, "Geometry Data Type")."""
_UUID_BYTES = 16
_DECIMAL_DIGITS, _DECIMAL_SCALE = 65, 30
"""The most of a DECIMAL (MySQL 8.0 manual, "DECIMAL Data Type Characteristics")."""


def one_way(column: ColumnPlan) -> str:
    """Why no value of the column goes back; empty where they do."""
    if column.generated is not None:
        return ""
    if any(change.trap == "using" for change in column.changes):
        return "a map's expression makes its values"
    return column.uncompared


def partly_lost(column: ColumnPlan) -> str:
    """Which values of the column arrived as others, and come back where they change; empty for none."""
    return "; ".join(f"rows that {one.words} (policy {one.policy})" for one in column.changes)


def noted_by(table: TablePlan) -> tuple[ColumnPlan, ...]:
    """The key by which a changed row is noted, and found again in the source; empty: the table as a whole.

    No literal is equal to what a FLOAT has stored.
    """
    lost = table.by_prefix or any(one_way(one) or _base(one) == "float" for one in table.keys)
    return () if lost else table.keys


def given(column: ColumnPlan) -> str:
    """PostgreSQL expression of the text that `taken` expects."""
    name, source, target = pg_name(column.target), _base(column), base_name(column.target_type)
    if source in _SPATIAL or target == "bytea":
        return f"encode({name}::bytea,'hex')"
    if target == "boolean" and source in _NUMBERS:
        return f"{name}::int::text"
    if target == "interval" and source in _NUMBERS:
        return f"round(extract(epoch FROM {name})*1000000)::bigint::text"
    if target == "text[]":
        return array_text(name)
    if target == "timestamp with time zone" and source in ("datetime", "timestamp", "date"):
        return f"({name} AT TIME ZONE 'UTC')::text"
    return f"{name}::text"


def taken(column: ColumnPlan, text: str | None) -> str:
    """MySQL expression of the value that `given` has printed."""
    if text is None:
        return "NULL"
    source, target = _base(column), base_name(column.target_type)
    if source in _SPATIAL:
        return f"x'{_internal(text)}'"
    if target == "bytea":
        # Of a text column in its own character set.
        return f"x'{text}'" if source in _BYTES | {"bit"} else f"CONVERT(x'{text}' USING utf8mb4)"
    if target == "uuid" and _length(column) == _UUID_BYTES:
        swapped = any(change.trap == "swapped_uuid" for change in column.changes)
        return f"UUID_TO_BIN('{text}',1)" if swapped else f"x'{text.replace('-', '')}'"
    if target == "uuid" and _length(column) == 2 * _UUID_BYTES:
        return my_text(text.replace("-", ""))
    if source == "bit":
        bits = target in ("bit", "bit varying")
        return f"CAST(CONV('{text}',2,10) AS UNSIGNED)" if bits else f"CAST({my_text(text)} AS UNSIGNED)"
    if source == "year":
        # '0' would be 2000, and 0 is 0000 (MySQL 8.0 manual, "The YEAR Type").
        return f"({my_text(text)}+0)"
    return _document(text) if source == "json" else my_text(text)


def found_by(column: ColumnPlan, text: str) -> str:
    """MySQL expression of a key's value, of the column's own type.

    A text would be compared with a number or a time as doubles where no index is used: many decimals of more
    than 15 digits are equal then (MySQL 8.0 manual, "Type Conversion in Expression Evaluation").
    """
    source = _base(column)
    if source in ("date", "time"):
        return f"CAST({my_text(text)} AS {source.upper()}{'(6)' * (source == 'time')})"
    if source in ("datetime", "timestamp"):
        return f"CAST({my_text(text)} AS DATETIME(6))"
    if source in (_NUMBERS | {"decimal", "double"}) - {"bit"} and _NUMBER.fullmatch(text):
        return f"{text}e0" if source == "double" and "e" not in text else text
    return taken(column, text)


def own_key(column: ColumnPlan) -> tuple[ColumnPlan, str]:
    """The column as `found_by` expects it of the source's own value, whatever has arrived of that, and the
    MySQL expression of that value's text.
    """
    name, source = my_name(column.source), _base(column)
    if source in _BYTES:
        return replace(column, target_type="bytea"), f"HEX({name})"
    text = f"{name}+0" if source in _NUMBERS else name
    return replace(column, target_type="text"), f"CONVERT({text} USING utf8mb4)"


def _document(text: str) -> str:
    """MySQL expression of a JSON document: its text, or where that has a number of which MySQL would make
    another DOUBLE, the document made of its parts, with that number as a DECIMAL. As an example:

        {"n": [0.12345678901234567890]}    JSON_OBJECT('n',JSON_ARRAY(0.12345678901234567890))
    """
    numbers = list[Decimal]()

    def number(digits: str) -> Decimal:
        numbers.append(Decimal(digits))
        return numbers[-1]

    document = json.loads(text, parse_int=number, parse_float=number)
    return _made(document) if any(map(_needs_decimal, numbers)) else my_text(text)


def _needs_decimal(number: Decimal) -> bool:
    """Whether a DOUBLE, or an integer of MySQL's, would be printed in another way, and a DECIMAL as it is."""
    digits = f"{number.copy_abs():f}"
    whole, _, scale = digits.partition(".")
    kept = repr(float(digits)) == digits if scale else -(2**63) <= number < 2**64
    return not kept and len(whole + scale) <= _DECIMAL_DIGITS and len(scale) <= _DECIMAL_SCALE


def _made(part: Any) -> str:
    if isinstance(part, dict):
        return f"JSON_OBJECT({','.join(f'{my_text(key)},{_made(one)}' for key, one in part.items())})"
    if isinstance(part, list):
        return f"JSON_ARRAY({','.join(map(_made, part))})"
    if isinstance(part, Decimal):
        whole = part == part.to_integral_value() and -(2**63) <= part < 2**64
        # With an exponent it is a DOUBLE, as in the text of a document.
        return f"{part:f}" if whole or _needs_decimal(part) else f"{part:e}"
    return my_text(part) if isinstance(part, str) else json.dumps(part)


def _base(column: ColumnPlan) -> str:
    return column.source_type.partition("(")[0].split()[0].lower()


def _length(column: ColumnPlan) -> int:
    digits = column.source_type.partition("(")[2].partition(")")[0]
    return int(digits) if digits.isdigit() else 0


def _internal(digits: str) -> str:
    """EWKB or WKB in hex as MySQL stores it: four bytes of SRID, then WKB (manual, "Internal Geometry
    Storage Format"). ``0101000020e6100000…`` → ``e61000000101000000…``.
    """
    if int(digits[8:10], 16) & _EWKB_SRID:
        flag = f"{int(digits[8:10], 16) & ~_EWKB_SRID:02x}"
        return digits[10:18] + digits[:8] + flag + digits[18:]
    return "00000000" + digits
