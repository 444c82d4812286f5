"""A value as a column of the target stores it: the conversion that MySQL makes when it assigns."""

from __future__ import annotations

import re

from converge.model.catalog import Column
from converge.model.quote import pg_array
from converge.translate import convert
from converge.translate.errors import Untranslatable
from converge.translate.terms import Terms
from converge.translate.values import NUMBERS, TEMPORAL, Value
from converge.types import TEXTS, base_name

_TIMES = {"interval": frozenset({"time", "clock", "text"}), "time": frozenset({"clock"})}
_INTEGERS = frozenset({"smallint", "integer", "bigint"})


def stored(value: Value, to: str, terms: Terms, column: Column | None = None) -> str:
    """The value as SQL of the PostgreSQL type `to`. Raises Untranslatable when the servers may differ."""
    base = base_name(to)
    if value.kind == "null":
        return "NULL"
    if base in _INTEGERS | {"numeric", "real", "double precision", "boolean"}:
        return _number(value, to, base, column)
    if base in TEXTS:
        return _text(value, to, terms, column)
    if base == "date" and (value.kind in TEMPORAL or value.literal):
        return _date(value, terms)
    if base.startswith("timestamp") and (value.kind in TEMPORAL or value.literal):
        return _time(value, to, terms)
    if base in ("interval", "time") and value.kind in _TIMES[base]:
        return f"{convert.time(value) if base == 'interval' else value.sql}::{to}"
    if base == "bytea" and value.kind in ("bytes", "text"):
        return _bytes(value, column)
    if base in ("json", "jsonb") and value.kind in ("json", "text"):
        return value.sql if (base, value.kind) == ("jsonb", "json") else f"{value.sql}::{base}"
    if base == "uuid":
        return _uuid(value)
    if base == "text[]" and value.kind == "text" and value.literal is not None:
        return pg_array(tuple(value.literal.split(",")) if value.literal else ())
    if column is not None and column.type == "enum" and value.literal in column.labels:
        return value.sql
    raise Untranslatable(f"a {value.kind} is stored as {to}")


def _number(value: Value, to: str, base: str, column: Column | None) -> str:
    if value.kind not in NUMBERS:
        raise Untranslatable(f"a {value.kind} is stored as {to}")
    if base == "boolean":
        if value.kind == "bool" or value.literal in ("0", "1"):
            return convert.truth(value)
        raise Untranslatable("a number that may be neither 0 nor 1 is stored as boolean")
    if column is not None and column.type == "year":
        # 70 is 1970.
        written = value.literal is not None and len(value.literal) == 4
        if not (written or value.source == "year" or value.sql.startswith("extract(year ")):
            raise Untranslatable("a number that may have two digits is stored as YEAR")
    if value.kind == "double" and base == "numeric":
        raise Untranslatable("an approximate number is stored as an exact one")
    if base in ("real", "double precision") and column is not None and column.scale is not None:
        raise Untranslatable(f"{column.raw_type} rounds what it stores")
    return f"{convert.number(value)}::{to}"


def _text(value: Value, to: str, terms: Terms, column: Column | None) -> str:
    if value.kind == "decimal" and value.computed:
        raise Untranslatable("a calculated number is stored as text, with digits that depend on the row")
    sql = convert.text(value, terms)
    if column is not None and column.type == "char":
        sql = f"rtrim({sql}, ' ')"
    return sql if to == "text" and value.literal is None else f"{sql}::{to}"


def _date(value: Value, terms: Terms) -> str:
    """MySQL rounds a time to whole seconds before it leaves it out."""
    value = convert.temporal(value)
    return f"({convert.rounded(value, 0, terms)})::date" if value.scale else convert.day(value, terms)


def _time(value: Value, to: str, terms: Terms) -> str:
    if "with time zone" in to:
        if value.kind == "instant":
            return f"{value.sql}::{to}"
        terms.depends("a wall-clock time becomes an instant")
    digits = re.search(r"\((\d)\)", to)
    return f"{convert.rounded(value, int(digits[1]) if digits else 6, terms)}::{to}"


def _bytes(value: Value, column: Column | None) -> str:
    if value.kind == "text":
        if value.literal is None:
            raise Untranslatable("a text is stored as bytes")
        value = Value(f"'\\x{value.literal.encode().hex()}'::bytea", "bytes")
    if column is None or column.type != "binary":
        return value.sql
    length = column.length or 1
    if length == 16 and value.sql.startswith("uuid_send("):
        return value.sql
    # BINARY(n) is filled up with zero bytes.
    return f"decode(rpad(encode({value.sql}, 'hex'), {2 * length}, '0'), 'hex')"


def _uuid(value: Value) -> str:
    if value.kind == "uuid":
        return value.sql
    if value.kind == "bytes":
        return f"encode({value.sql}, 'hex')::uuid"
    if value.kind == "text":
        return f"{value.sql}::uuid"
    raise Untranslatable(f"a {value.kind} is stored as uuid")
