"""Reads the source's catalog: a few queries, and one a table that has something to be looked at."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from pymysql.connections import Connection

from converge.model.catalog import (
    Catalog,
    Check,
    Column,
    ForeignKey,
    Index,
    IndexPart,
    Parameter,
    Routine,
    RoutineKind,
    Table,
)
from converge.model.quote import mysql_members
from converge.mysql.capabilities import capabilities
from converge.mysql.definitions import (
    merge_view,
    next_values,
    read_views,
    server_zone,
    utc_offsets,
    with_defaults,
    with_sources,
    with_zone,
)
from converge.mysql.privileges import Privileges
from converge.mysql.query import fetch
from converge.mysql.query import rows as read_rows

Row = tuple[Any, ...]
_DEFAULTS = {"div_precision_increment": "4", "default_week_format": "0", "lc_time_names": "en_US"}
"""Settings on which the values of expressions depend."""


def read_catalog(connection: Connection[Any], own: Privileges, only: Container[str] | None = None) -> Catalog:
    """What the user may read of the database of the privileges.

    With `only` it is these tables alone, without the numbers that their next rows get, nor routines' sources.
    """
    database = own.name
    query = "SELECT VERSION(), @@character_set_database, @@max_allowed_packet, @@GLOBAL.sql_mode"
    version, charset, max_packet, sql_mode = fetch(connection, query)[0]

    def rows(name: str) -> list[Row]:
        return read_rows(connection, name, database)

    checks = rows("checks") if capabilities(version).check_constraints else []
    columns = _group(rows("columns"), _column)
    indexes = _groups(rows("indexes"), _indexes)
    spelled = {(table, column.name.lower()): column.name for table in columns for column in columns[table]}
    keys = _foreign_keys(rows("foreign_key_columns"), rows("foreign_key_rules"), own.name, spelled)
    checks_of = _group(checks, lambda row: Check(row[1], unescape(row[2]), row[3] == "YES"))
    partitions = _group(rows("partitions"), lambda row: f"{row[1]} {row[2]}({row[3]}) {row[4]}".rstrip())
    # Of other tables some columns may be invisible.
    described = [row for row in rows("tables") if own.may_read(row[0]) and (only is None or row[0] in only)]
    numbered = [row[0] for row in described if any(column.auto_increment for column in columns[row[0]])]
    next_value = next_values(connection, numbered) if only is None else {}
    zone = server_zone(connection)
    tables = tuple(
        Table(
            name=name,
            engine=engine or "",
            columns=with_zone(with_defaults(connection, name, columns[name]), zone),
            indexes=indexes[name],
            foreign_keys=keys[name],
            checks=checks_of[name],
            partitions=partitions[name],
            rows_estimate=count or 0,
            data_bytes=data or 0,
            index_bytes=index or 0,
            next_value=next_value.get(name),
            collation=collation or "",
            comment=comment,
        )
        for name, engine, count, data, index, collation, comment in described
    )
    views = read_views(
        connection, rows("views"), {name: [one.name for one in columns[name]] for name in columns}
    )
    merged = [table for table in tables if table.engine == "MRG_MYISAM"]
    views += tuple(merge_view(connection, table, tables) for table in merged)
    tables = tuple(table for table in tables if table not in merged)
    parameters = _group(rows("parameters"), lambda row: Parameter(row[-1], _column(row[:-1])))
    routines = tuple(
        replace(Routine(cast(RoutineKind, kind), name, *rest), parameters=parameters[f"{kind} {name}"])
        for kind, name, *rest in rows("routines")
    )
    routines = with_sources(connection, routines) if only is None else routines
    return Catalog(
        database, version, charset, tables, views, routines, own.account, own.unreadable, max_packet,
        _used_connections(connection), _settings(connection), strict="STRICT_" in sql_mode,
        time_zone=zone, utc_offsets=utc_offsets(connection, zone),
    )  # fmt: skip


def _used_connections(connection: Connection[Any]) -> int:
    """MySQL 8.0 manual, "Server Status Variables"."""
    return int(fetch(connection, "SHOW GLOBAL STATUS LIKE 'Max_used_connections'")[0][1])


def _settings(connection: Connection[Any]) -> tuple[str, ...]:
    """MySQL 8.0 manual, "Server System Variables"; the sessions of `connect` have the defaults."""
    columns = ", ".join(f"@@GLOBAL.{name}" for name in _DEFAULTS)
    values = map(str, fetch(connection, f"SELECT {columns}")[0])
    pairs = zip(_DEFAULTS.items(), values, strict=True)
    return tuple(f"{name} = {value}" for (name, default), value in pairs if value != default)


def _group(rows: Iterable[Row], one: Callable[[Row], Any]) -> defaultdict[str, tuple[Any, ...]]:
    """Rows that are sorted by their first column, made into one tuple of values a table."""
    return _groups(rows, lambda group: tuple(one(row) for row in group))


def _groups(
    rows: Iterable[Row], many: Callable[[list[Row]], tuple[Any, ...]]
) -> defaultdict[str, tuple[Any, ...]]:
    groups: defaultdict[str, tuple[Any, ...]] = defaultdict(tuple)
    for name, group in groupby(rows, key=lambda row: cast(str, row[0])):
        groups[name] = many(list(group))
    return groups


def _column(row: Row) -> Column:
    (_, name, raw, kind, nullable, length, precision, scale, fsp, default, extra, generation, charset,
     collation, srid, comment) = row  # fmt: skip
    extra = extra.lower()
    expression = "default_generated" in extra
    now = default is not None and default.upper().startswith("CURRENT_TIMESTAMP")
    return Column(
        name=name,
        raw_type=raw,
        type=kind,
        nullable=nullable == "YES",
        length=length,
        precision=precision,
        scale=scale,
        fsp=fsp or 0,
        labels=mysql_members(raw) if kind in ("enum", "set") else (),
        unsigned="unsigned" in raw.rpartition(")")[2] or raw.endswith("unsigned"),
        zerofill=raw.endswith("zerofill"),
        default=unescape(default) if expression and default else default,
        default_is_expression=expression and not now,
        auto_increment="auto_increment" in extra,
        on_update_now="on update" in extra,
        generated=unescape(generation) or None,
        generated_stored="stored generated" in extra,
        invisible="invisible" in extra,
        charset=charset,
        collation=collation,
        srid=srid,
        comment=comment,
    )


def _indexes(rows: list[Row]) -> tuple[Index, ...]:
    found = []
    for name, group in groupby(rows, key=lambda row: cast(str, row[1])):
        parts = list(group)
        _, _, non_unique, kind, visible, comment = parts[0][:6]
        found.append(
            Index(
                name=name,
                unique=not int(non_unique),
                kind=kind,
                parts=tuple(
                    IndexPart(column, unescape(expression or "") or None, prefix, order == "D")
                    for *_, column, expression, prefix, order in parts
                ),
                visible=visible == "YES",
                comment=comment,
            )
        )
    return tuple(found)


def _foreign_keys(
    columns: list[Row], rules: list[Row], database: str, spelled: Mapping[tuple[str, str], str]
) -> defaultdict[str, tuple[ForeignKey, ...]]:
    """The keys of each table, with the columns of parents as these are `spelled`.

    The server keeps them as they were typed where the parent was made after its child (8.0.33), as in a dump
    with foreign_key_checks off.
    """
    actions = {(table, name): (delete, update) for table, name, delete, update in rules}
    keys: defaultdict[str, tuple[ForeignKey, ...]] = defaultdict(tuple)
    for (table, name), group in groupby(columns, key=lambda row: (row[0], row[1])):
        parts = list(group)
        keys[table] += (
            ForeignKey(
                name,
                tuple(part[2] for part in parts),
                parts[0][3],
                parts[0][4],
                tuple(_spelled(part, database, spelled) for part in parts),
                *actions[table, name],
            ),
        )
    return keys


def _spelled(part: Row, database: str, spelled: Mapping[tuple[str, str], str]) -> str:
    _, _, _, parent_database, parent, column = part
    known: str = spelled.get((parent, column.lower()), column) if parent_database == database else column
    return known


def unescape(expression: str) -> str:
    """An expression as it was before information_schema printed it.

    Quotes and backslashes got a backslash before them, and the text's UTF-8 bytes were taken for latin1
    (tried on 8.0.15 and 8.0.33). What does not come back as UTF-8 is not what somebody wrote: U+FFFD says so.
    """
    text = re.sub(r"\\(['\\])", r"\1", expression)
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return re.sub(r"[^\x00-\x7f]", "\ufffd", text)
