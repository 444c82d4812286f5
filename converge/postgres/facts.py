"""Reads what `doctor` shows of the target: a handful of queries that write nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.pq import Conninfo

from converge.model.endpoint import Endpoint
from converge.model.facts import OwnSetting, Setting, TargetFacts, Tls, Verified
from converge.postgres.disk import free_space
from converge.postgres.history import last_run
from converge.postgres.rights import known_rights
from converge.postgres.target import Target, query

_VERIFIED: dict[str, Verified] = {"verify-full": "certificate and name", "verify-ca": "certificate"}
_VALUES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
"""libpq's names of an endpoint's values."""
_USED = ("citext", "pg_trgm", "postgis")
"""Extensions that a map can ask for."""


def read_facts(connection: psycopg.Connection[Any], target: Target, endpoint: Endpoint) -> TargetFacts:
    """The target as it is."""
    (login, superuser, collation, tls, cipher, relations, used, most, own, locks, size, extensions, triggers,
     place, data, started) = query(connection, "server", target.schema)[0]  # fmt: skip
    settings = query(connection, "settings", target.schema)
    return TargetFacts(
        version=target.version,
        database=target.database,
        role=target.role,
        login=login,
        superuser=superuser,
        authentication=_authentication(connection),
        origins=tuple(_origins(connection, endpoint)),
        tls=Tls(tls, cipher, _verified(connection) if tls else "nothing"),
        encoding=target.encoding,
        collation=collation,
        schema=target.schema,
        relations=relations,
        ledger=_ledger(connection, target),
        rights=tuple(known_rights(target)),
        settings=tuple(Setting(name, value) for name, value in settings),
        extensions=tuple(extensions),
        installable=tuple(name for name in _USED if target.extensions.get(name) == ""),
        own_settings=tuple(OwnSetting(*row) for row in query(connection, "own_settings", target.schema)),
        event_triggers=tuple(triggers),
        connections=used,
        max_connections=most,
        role_connections=own,
        locks=locks,
        database_bytes=size,
        disk=free_space(data or "", place, started),
    )


def _authentication(connection: psycopg.Connection[Any]) -> str:
    if connection.info.server_version < 160000:
        return "password" if connection.pgconn.used_password else "no password"
    row = connection.execute("SELECT coalesce(split_part(SYSTEM_USER, ':', 1), 'trust')").fetchone()
    return str(row[0]) if row else ""


def _verified(connection: psycopg.Connection[Any]) -> Verified:
    """What libpq has checked of the server's certificate."""
    modes = [option.val for option in connection.pgconn.info if option.keyword == b"sslmode"]
    return _VERIFIED.get((modes[0] or b"").decode(), "nothing")


def _origins(connection: psycopg.Connection[Any], endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Where libpq took the values that the address leaves open."""
    for option in Conninfo.get_defaults():
        name = _VALUES.get(option.keyword.decode())
        if name is None or name in endpoint.sources:
            continue
        variable = (option.envvar or b"").decode()
        if os.environ.get(variable):
            yield name, variable
        elif name == "password":
            if connection.pgconn.used_password:
                yield name, ".pgpass"
        elif os.environ.get("PGSERVICE") and option.val != option.compiled:
            yield name, f"service {os.environ['PGSERVICE']}"
        else:
            yield name, "libpq's default"


def _ledger(connection: psycopg.Connection[Any], target: Target) -> str:
    if target.ledger is None:
        return "none yet"
    if not target.ledger.usable or target.ledger.closed:
        return "another role's"
    run = last_run(connection)
    return f"run {run['id']} from {run['source']}: {run['state']}" if run else "no run yet"
