"""What a server has of the wanted databases and roles, and the making of what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError
from converge.model.endpoint import Endpoint
from converge.model.provision import Cluster, DatabaseFacts, RoleFacts, Step, Wanted
from converge.model.quote import pg_name, pg_text
from converge.postgres.connect import connect, explain
from converge.resources import sql

_SET_GRANTS = 160000
# Locales and encodings that do not go together, or that the template does not let in.
_NO_SUCH_DATABASE = ("22023", "42809", "0A000")


def read_cluster(connection: psycopg.Connection[Any], admin: Endpoint, wanted: Sequence[Wanted]) -> Cluster:
    """The server's facts; writes nothing. Existing databases that want extensions are looked into."""
    parameters = {
        "roles": [one.role for one in wanted],
        "databases": [name for one in wanted for name in (one.database, one.template)],
        "extensions": [name for one in wanted for name in one.extensions],
    }

    def rows(name: str, **more: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql("converge.postgres", name).encode(), parameters | more).fetchall()

    ((version, number, role, superuser, databases, roles),) = rows("cluster")
    become = "SET" if number >= _SET_GRANTS else "MEMBER"
    looked_into = {one.database for one in wanted if one.extensions}
    return Cluster(
        version=version.split()[0],
        number=number,
        admin=role,
        superuser=superuser,
        may_create_databases=databases,
        may_create_roles=roles,
        roles={name: RoleFacts(*rest) for name, *rest in rows("cluster_roles", become=become)},
        databases={
            name: DatabaseFacts(*rest, *([_extensions(admin, name)] if name in looked_into else []))
            for name, *rest in rows("cluster_databases")
        },
        extensions=dict(rows("cluster_extensions")),
        encodings={one.encoding: _encoding(connection, one.encoding) for one in wanted},
    )


def carry_out(admin: Endpoint, steps: Sequence[Step]) -> None:
    """Makes what is not there, a statement at a time: the next call goes on where one failed.

    Raises TargetError.
    """
    for step in steps:
        if step.sql:
            place = replace(admin, database=step.database) if step.database else admin
            with closing(connect(place, search_path="public")) as connection:
                _make(connection, place, step)


def _make(connection: psycopg.Connection[Any], place: Endpoint, step: Step) -> None:
    try:
        if step.role:
            connection.execute(f"SET ROLE {pg_name(step.role)}".encode())
        connection.execute(f"{step.sql}{_password(connection, step)}".encode())
    except psycopg.Error as error:
        if error.sqlstate in _NO_SUCH_DATABASE:
            raise TargetError(
                f"{step.what}: {error.diag.message_primary}",
                code=Code.T032,
                details=[line for line in (error.diag.message_detail,) if line],
                hint='template = "template0" takes every encoding and locale that the server has',
            ) from error
        raise explain(error, place) from error


def _password(connection: psycopg.Connection[Any], step: Step) -> str:
    """A verifier made here, so that no log and no list of the server's statements has the password."""
    if not step.password:
        return ""
    made = connection.pgconn.encrypt_password(step.password.encode(), step.owner.encode())
    return f" PASSWORD {pg_text(made.decode())}"


def _extensions(admin: Endpoint, database: str) -> frozenset[str]:
    with closing(connect(replace(admin, database=database))) as connection:
        return frozenset(name for (name,) in connection.execute("SELECT extname::text FROM pg_extension"))


def _encoding(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT pg_encoding_to_char(pg_char_to_encoding(%s))::text", (name,)).fetchone()
    return row[0] if row else ""
