"""Reads what `doctor` shows of the target: a handful of queries that write nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import Conninfo

from converge.model.endpoint import Endpoint
from converge.model.facts import Disk, TargetFacts, Verified
from converge.model.recorded import decode
from converge.postgres.history import last_run
from converge.postgres.privileges import known_privileges
from converge.postgres.query import lock_room, record, value
from converge.postgres.target import Target
from converge.providers import Provider

_VERIFIED: dict[str, Verified] = {"verify-full": "certificate and name", "verify-ca": "certificate"}
_VALUES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
"""libpq's names of an endpoint's values."""
_USED = ("citext", "pg_trgm", "postgis")
"""Extensions that a map can ask for."""
_SAME_SECONDS = 10
"""The server notes its start a little before it says that it is up."""


def read_facts(
    connection: psycopg.Connection[Any], target: Target, endpoint: Endpoint, provider: Provider | None
) -> TargetFacts:
    """The target as it is."""
    server = record(connection, "server", schema=target.schema)
    disk = free_space(server.pop("data_directory"), server.pop("place"), server.pop("started"))
    verified = _verified(connection) if server["tls"]["version"] else "nothing"
    shared = {name: getattr(target, name) for name in ("version", "database", "role", "encoding", "schema")}
    return decode(
        TargetFacts,
        shared
        | server
        | {
            "provider": provider.name if provider else "",
            "tls": server["tls"] | {"verified": verified},
            "authentication": _authentication(connection),
            "origins": tuple(_origins(connection, endpoint)),
            "ledger": _ledger(connection, target),
            "rights": tuple(known_privileges(target)),
            "installable": tuple(name for name in _USED if target.extensions.get(name) == ""),
            "locks": lock_room(connection),
            "disk": disk,
        },
    )


def _authentication(connection: psycopg.Connection[Any]) -> str:
    if connection.info.server_version < 160000:
        return "password" if connection.pgconn.used_password else "no password"
    return str(value(connection, "SELECT coalesce(split_part(SYSTEM_USER, ':', 1), 'trust')"))


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
