"""How a pair of columns is read and understood; a pair that is not listed here is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg import sql

from . import values
from .catalog import Column
from .documents import document
from .errors import JudgeError

Parse = Callable[[Any], Any]

_SOURCE_KINDS = {
    "integer": "tinyint smallint mediumint int bigint year",
    "decimal": "decimal",
    "float": "float double",
    "bit": "bit",
    "text": "char varchar tinytext text mediumtext longtext enum",
    "set": "set",
    "date": "date",
    "moment": "datetime timestamp",
    "time": "time",
    "json": "json",
    "binary": "binary varbinary tinyblob blob mediumblob longblob",
    "geometry": "geometry point linestring polygon multipoint multilinestring multipolygon geomcollection "
    "geometrycollection",
}
_TARGET_KINDS = {
    "integer": "int2 int4 int8",
    "numeric": "numeric",
    "float": "float4 float8",
    "boolean": "bool",
    "bits": "bit varbit",
    "text": "text varchar bpchar citext enum",
    "array": "_text _varchar _enum",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "time": "time",
    "interval": "interval",
    "json": "json jsonb",
    "bytea": "bytea",
    "uuid": "uuid",
}
_SOURCE = {name: kind for kind, names in _SOURCE_KINDS.items() for name in names.split()}
_TARGET = {name: kind for kind, names in _TARGET_KINDS.items() for name in names.split()}

_PARSERS: dict[tuple[str, str], tuple[Parse, Parse]] = {
    ("integer", "integer"): (int, int),
    ("integer", "numeric"): (int, values.whole),
    ("integer", "boolean"): (values.truth, values.boolean),
    ("decimal", "numeric"): (values.decimal_digits, values.decimal_digits),
    ("decimal", "integer"): (values.decimal_digits, values.decimal_digits),
    ("float", "float"): (float, float),
    ("bit", "bits"): (values.same, values.same),
    ("bit", "boolean"): (values.bit_truth, values.boolean),
    ("bit", "integer"): (values.bit_number, int),
    ("bit", "numeric"): (values.bit_number, values.whole),
    ("text", "text"): (values.same, values.same),
    ("text", "uuid"): (values.uuid_text, values.uuid_text),
    ("text", "bytea"): (values.utf8, values.same),
    ("set", "array"): (values.labels, values.array),
    ("set", "text"): (values.labels, values.labels),
    ("date", "date"): (values.calendar_date, values.calendar_date),
    ("moment", "timestamp"): (values.moment, values.moment),
    ("moment", "timestamptz"): (values.moment, values.moment),
    ("time", "time"): (values.duration, values.duration),
    ("time", "interval"): (values.duration, values.duration),
    ("json", "json"): (document, document),
    ("json", "text"): (document, document),
    ("binary", "bytea"): (values.same, values.same),
    ("binary", "text"): (values.same, values.utf8),
    ("binary", "uuid"): (values.uuid_bytes, values.uuid_text),
    ("geometry", "bytea"): (values.wkb, values.same),
}

_TARGET_SQL: dict[str, sql.SQL] = {
    "float": sql.SQL("{}::float8::text"),
    "timestamptz": sql.SQL("({} AT TIME ZONE 'UTC')::text"),
    "array": sql.SQL("{}::text[]"),
    "bytea": sql.SQL("{}"),
}


@dataclass(frozen=True)
class Rule:
    """One pair of columns: the expressions to select and the parsers of what comes back."""

    source_name: str
    source_sql: str
    source_parse: Parse
    target_sql: sql.Composable
    target_parse: Parse


def make_rule(table: str, source: Column, target: Column) -> Rule:
    source_kind, target_kind = _SOURCE.get(source.kind, ""), _TARGET.get(target.kind, "")
    parsers = _PARSERS.get((source_kind, target_kind))
    if parsers is None:
        raise JudgeError(f"{table}.{source.name}: cannot judge MySQL {source.kind} against {target.kind}")
    source_parse, target_parse = parsers
    if target_kind == "bits":
        source_parse = partial(values.bit_string, width=source.width)
    name = quote_source(source.name)
    return Rule(
        source.name,
        f"{name}*1e0" if source_kind == "float" else name,
        source_parse,
        _TARGET_SQL.get(target_kind, sql.SQL("{}::text")).format(sql.Identifier(target.name)),
        target_parse,
    )


def quote_source(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
