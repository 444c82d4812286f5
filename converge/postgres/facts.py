"""Reads what `doctor` shows of the target: a handful of queries that write nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import Conninfo
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool

from converge.model.endpoint import Endpoint
from converge.model.facts import Disk, OwnSetting, Setting, TargetFacts, Tls, Verified
from converge.postgres import tls
from converge.postgres.connect import connect
from converge.postgres.history import last_run
from converge.postgres.privileges import known_rights
from converge.postgres.target import Target, query

_VERIFIED: dict[str, Verified] = {"verify-full": "certificate and name", "verify-ca": "certificate"}
_VALUES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
"""libpq's names of an endpoint's values."""
_USED = ("citext", "pg_trgm", "postgis")
"""Extensions that a map can ask for."""
_SAME_SECONDS = 10
"""The server notes its start a little before it says that it is up."""


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


def free_space(data: str, place: str, started: int) -> Disk | None:
    """The disk under `place`, if the server with the folder `data` runs here; None where nobody can tell.

    No SQL tells how much room there is. A folder of that name may be another server's, behind a tunnel or a
    container, so the process that holds it must have started when ours did (seconds since 1970).
    """
    if not data or not place:
        return None
    try:
        # Third line: the time of the start (PostgreSQL's src/include/utils/pidfile.h).
        noted = int(Path(data, "postmaster.pid").read_text("utf-8").splitlines()[2])
        free = shutil.disk_usage(place).free
    except (OSError, ValueError, IndexError):
        return None
    return Disk(place, free) if abs(noted - started) <= _SAME_SECONDS else None


DRIVER = "postgresql+psycopg"
# What decides how a revision's own statements are read: as the server has it for any other client.
_THEIRS = ("search_path", "TimeZone", "DateStyle", "IntervalStyle")


def engine(endpoint: Endpoint) -> Engine:
    """An engine whose connections are converge's, with transactions."""
    return create_engine(f"{DRIVER}://", creator=lambda: _transactional(endpoint), poolclass=NullPool)


def users_engine(endpoint: Endpoint) -> Engine:
    """The same, with the server's own settings of what statements mean."""

    def made() -> psycopg.Connection[Any]:
        connection = _transactional(endpoint)
        for name in _THEIRS:
            connection.execute(f"RESET {name}".encode())
        connection.commit()
        return connection

    return create_engine(f"{DRIVER}://", creator=made, poolclass=NullPool)


def address(endpoint: Endpoint) -> str:
    """The address as SQLAlchemy reads it, password and all: never to be printed."""
    url = URL.create(
        DRIVER,
        username=endpoint.user or None,
        password=endpoint.password or None,
        host=None if endpoint.host.startswith("/") else endpoint.host or None,
        port=endpoint.port,
        database=endpoint.database or None,
        query=dict(endpoint.options)
        | tls.arguments(endpoint)
        | ({"host": endpoint.host} if endpoint.host.startswith("/") else {}),
    )
    return url.render_as_string(hide_password=False)


def without_password(text: str, endpoint: Endpoint) -> str:
    """The text with stars for this address's password, as it is and as an URL has it."""
    if not endpoint.password:
        return text
    url = URL.create(DRIVER, password=endpoint.password, username="u", host="h")
    encoded = url.render_as_string(hide_password=False).removeprefix(f"{DRIVER}://u:").removesuffix("@h")
    return text.replace(encoded, "***").replace(endpoint.password, "***")


def _transactional(endpoint: Endpoint) -> psycopg.Connection[Any]:
    connection = connect(endpoint)
    connection.autocommit = False
    return connection
