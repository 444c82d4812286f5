"""Reads what `doctor` shows of the source: a handful of queries that write nothing."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.model.catalog import Column
from converge.model.facts import Right, SourceFacts, Tls, Verified
from converge.model.quote import my_name, my_text
from converge.mysql.capabilities import capabilities
from converge.mysql.privileges import Rights, known_rights, possible_snapshot
from converge.resources import sql

_SHOWN = 3
_SNAPSHOTS = ("InnoDB", "")


def read_facts(connection: Connection[Any], rights: Rights) -> SourceFacts:
    """The source as it is. The connection may be one without a database."""
    (version, distribution, login, mode, zone, server_charset, database_charset, packet, log, gtid, most,
     own) = _query(connection, "server")[0]  # fmt: skip
    sizes = _query(connection, "sizes", rights.name)
    tables = [row for row in sizes if row[1] == "BASE TABLE"]
    known = known_rights(rights, show_routine=capabilities(version).show_routine)
    engines = Counter(row[2] for row in tables if row[2] not in _SNAPSHOTS)
    status = _status(connection)
    return SourceFacts(
        version=version,
        distribution=distribution,
        account=rights.account,
        login=login,
        plugin=_plugin(connection),
        roles=rights.roles,
        idle_roles=rights.idle_roles,
        grants=rights.lines,
        rights=known,
        tls=Tls(status.get("Ssl_version", ""), status.get("Ssl_cipher", ""), _verified(connection)),
        sql_mode=mode,
        time_zone=zone,
        server_charset=server_charset,
        database_charset=database_charset,
        max_allowed_packet=packet,
        binary_log=log,
        gtid_mode=gtid,
        snapshot=possible_snapshot(rights),
        tables=len(tables),
        views=len(sizes) - len(tables),
        rows=sum(int(row[3]) for row in tables),
        data_bytes=sum(int(row[4]) for row in tables),
        index_bytes=sum(int(row[5]) for row in tables),
        largest=tuple((row[0], int(row[4] + row[5])) for row in tables[:_SHOWN]),
        unsafe_engines=tuple(sorted(engines.items())),
        connections=int(status["Threads_connected"]),
        max_connections=most,
        user_connections=own,
        longest_statement=_longest_statement(connection, known),
    )


def table_names(connection: Connection[Any], database: str) -> list[str]:
    """The tables that the user sees."""
    return sorted(row[0] for row in _query(connection, "sizes", database) if row[1] == "BASE TABLE")


def _query(connection: Connection[Any], name: str, *parameters: str) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql("converge.mysql", name), parameters or None)
        return cast(Sequence[tuple[Any, ...]], cursor.fetchall())


def _status(connection: Connection[Any]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SHOW STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher', 'Threads_connected')"
        )
        return dict(cast(Sequence[tuple[str, str]], cursor.fetchall()))


def _verified(connection: Connection[Any]) -> Verified:
    """What the driver has checked of the server's certificate."""
    context = getattr(connection, "ctx", None)
    if context is None or context.verify_mode != ssl.CERT_REQUIRED:
        return "nothing"
    return "certificate and name" if context.check_hostname else "certificate"


def _plugin(connection: Connection[Any]) -> str:
    """The account's authentication plugin; the statement's hash stays secret and is not kept."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SHOW CREATE USER CURRENT_USER()")
        except pymysql.err.MySQLError:
            # Anonymous accounts and some managed servers do not tell.
            return ""
        (statement,) = cast(tuple[str], cursor.fetchone())
    match = re.search(r" IDENTIFIED WITH '([^']+)'", statement)
    return match[1] if match else ""


def _longest_statement(connection: Connection[Any], rights: Sequence[Right]) -> int | None:
    if not any(right.name == "PROCESS" and right.held for right in rights):
        return None
    return int(_query(connection, "statements")[0][0])


_UTC = frozenset({"UTC", "Etc/UTC", "+00:00"})
_NAME_OR_TEXT = re.compile(r"'(?:[^'\\]|\\.|'')*'|`((?:[^`]|``)+)`", re.DOTALL)


def server_zone(connection: Connection[Any]) -> str:
    """The time zone in which sessions begin; empty for UTC."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.time_zone, @@system_time_zone")
        zone, system = cast(tuple[str, str], cursor.fetchone())
    return "" if zone in _UTC or (zone == "SYSTEM" and system in _UTC) else zone


def with_zone(columns: Sequence[Column], zone: str) -> tuple[Column, ...]:
    """The columns, with an expression for those whose values hang on the session's zone."""
    by_name = {column.name: column for column in columns}
    return tuple(replace(column, zoned=_zoned(column, by_name, zone)) for column in columns)


def _zoned(column: Column, columns: Mapping[str, Column], zone: str) -> str:
    """The column's expression in the server's zone; empty where none is needed."""
    if not zone or not column.generated or column.generated_stored or column.type == "timestamp":
        return ""

    def there(found: re.Match[str]) -> str:
        other = columns.get((found[1] or "").replace("``", "`"))
        if other is None:
            return found[0]
        if other.type == "timestamp":
            return f"CONVERT_TZ({my_name(other.name)},'+00:00',{my_text(zone)})"
        inner = _zoned(other, columns, zone)
        return f"({inner})" if inner else found[0]

    text = _NAME_OR_TEXT.sub(there, column.generated)
    return "" if text == column.generated else text
