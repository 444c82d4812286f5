"""Which table stands behind a name: RENAME or EXCHANGE PARTITION puts other rows behind the same definition.

Most InnoDB tables and partitions have a tablespace of their own, whose number everyone may see. Those in a
shared one have a number that PROCESS shows. Otherwise there is the time of creation, to the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.resources import sql

Identity = tuple[str, ...]
"""The time of creation, then the numbers of the table and of its partitions, where they are to be had."""
_DENIED = 1227


def read_identities(connection: Connection[Any], database: str, tables: Iterable[str]) -> dict[str, Identity]:
    """What these tables are now, by their names; one that is gone is left out."""
    created = dict(cast(list[tuple[str, str]], _rows(connection, "created", database)))
    numbers = _numbers(_rows(connection, "tablespaces", database))
    wanted = [name for name in tables if name in created]
    if any(name.casefold() not in numbers for name in wanted):
        numbers = _numbers(_shared(connection, database)) | numbers
    return {name: (created[name], *sorted(numbers.get(name.casefold(), ()))) for name in wanted}


def known_by_time(identities: dict[str, Identity]) -> list[str]:
    """The tables that only their time of creation tells from others."""
    return [name for name, identity in identities.items() if len(identity) == 1]


def _shared(connection: Connection[Any], database: str) -> list[tuple[str, ...]]:
    try:
        found = _rows(connection, "shared_tablespaces", _encoded(database))
    except pymysql.err.MySQLError as error:
        if error.args[0] != _DENIED:
            raise
        return []
    return [(_decoded(name), number) for name, number in found]


def _numbers(rows: Iterable[tuple[str, ...]]) -> dict[str, list[str]]:
    """By table: ``partition number``, from names like ``shop/film#p#p0``."""
    found: dict[str, list[str]] = {}
    for name, number in rows:
        table, _, partition = name.partition("/")[2].casefold().partition("#p#")
        found.setdefault(table, []).append(f"{partition} {number}")
    return found


def _rows(connection: Connection[Any], name: str, database: str) -> list[tuple[str, ...]]:
    query = sql("converge.mysql", name)
    with connection.cursor() as cursor:
        cursor.execute(query, [database] * query.count("%s"))
        return cast(list[tuple[str, ...]], [tuple(map(_text, row)) for row in cursor.fetchall()])


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _encoded(name: str) -> str:
    """The name as InnoDB writes it ("Mapping of Identifiers to File Names"); not of letters outside ASCII."""
    return re.sub(r"[^A-Za-z0-9_]", lambda match: f"@{ord(match[0]):04x}", name)


def _decoded(name: str) -> str:
    return re.sub(r"@([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), name)
