"""Reads what `doctor` shows of the source: a handful of queries that write nothing."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from contextlib import suppress
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.model.facts import SourceFacts, Tls, Verified
from converge.mysql.capabilities import capabilities
from converge.mysql.privileges import Privileges, known_privileges, possible_snapshot
from converge.mysql.query import fetch, record, rows
from converge.providers import Provider
from converge.resources import sql

_SHOWN = 3
_SNAPSHOTS = ("InnoDB", "")
_STATUS = "SHOW STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher', 'Threads_connected')"


def read_facts(connection: Connection[Any], own: Privileges, provider: Provider | None) -> SourceFacts:
    """The source as it is. The connection may be one without a database."""
    server = record(connection, sql("converge.mysql", "server"))
    sizes = rows(connection, "sizes", own.name)
    tables = [row for row in sizes if row[1] == "BASE TABLE"]
    status = dict(fetch(connection, _STATUS))
    return SourceFacts(
        **server,
        account=own.account,
        plugin=_plugin(connection),
        roles=own.roles,
        idle_roles=own.idle_roles,
        grants=own.lines,
        rights=known_privileges(own, show_routine=capabilities(server["version"]).show_routine),
        tls=Tls(status.get("Ssl_version", ""), status.get("Ssl_cipher", ""), _verified(connection)),
        snapshot=possible_snapshot(own, provider),
        provider=provider.name if provider else "",
        tables=len(tables),
        views=len(sizes) - len(tables),
        rows=sum(int(row[3]) for row in tables),
        data_bytes=sum(int(row[4]) for row in tables),
        index_bytes=sum(int(row[5]) for row in tables),
        largest=tuple((row[0], int(row[4] + row[5])) for row in tables[:_SHOWN]),
        unsafe_engines=tuple(sorted(Counter(row[2] for row in tables if row[2] not in _SNAPSHOTS).items())),
        connections=int(status["Threads_connected"]),
        longest_statement=(
            int(rows(connection, "statements")[0][0]) if own.may_on_server("PROCESS") else None
        ),
    )


def _verified(connection: Connection[Any]) -> Verified:
    """What the driver has checked of the server's certificate."""
    context = getattr(connection, "ctx", None)
    if context is None or context.verify_mode != ssl.CERT_REQUIRED:
        return "nothing"
    return "certificate and name" if context.check_hostname else "certificate"


def _plugin(connection: Connection[Any]) -> str:
    """The account's authentication plugin; the statement's hash stays secret and is not kept."""
    # Anonymous accounts and some managed servers do not tell.
    with suppress(pymysql.err.MySQLError):
        ((statement,),) = fetch(connection, "SHOW CREATE USER CURRENT_USER()")
        if match := re.search(r" IDENTIFIED WITH '([^']+)'", statement):
            return match[1]
    return ""
