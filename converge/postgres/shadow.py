"""Temporary databases on the target's server: what a revision does is seen there, and nowhere else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import ConvergeError, TargetError
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.postgres.query import rows, value

_PREFIX = "converge_shadow_"
_MAINTENANCE = ("postgres", "template1")
_LOOKS, _PAUSE = 10, 0.05
"""Our own session before may need a moment to be gone; seconds."""


@dataclass(frozen=True, slots=True)
class Database:
    """What CREATE DATABASE needs to make another one like it."""

    name: str
    options: str
    """As CREATE DATABASE has them."""
    settings: list[str]
    """``name=value`` of ALTER DATABASE … SET, as far as any session may set them."""


@contextmanager
def shadow(endpoint: Endpoint) -> Iterator[Endpoint]:
    """An empty database like this one on the same server; it is dropped in the end, whatever happens.

    Raises TargetError (T043) for a role that may not make databases.
    """
    with ExitStack() as stack:
        here = stack.enter_context(closing(connect(endpoint)))
        like = Database(*rows(here, "database")[0])
        try:
            name = stack.enter_context(_made(here, f"TEMPLATE template0 {like.options}"))
        except psycopg.Error as error:
            raise _refused(error, endpoint, here.info.user) from error
        yield stack.enter_context(_settled(endpoint, like, name))


def is_temporary(endpoint: Endpoint) -> bool:
    """Whether it is a database of `shadow` or `twin`."""
    return endpoint.database.startswith(_PREFIX)


@contextmanager
def twin(endpoint: Endpoint) -> Iterator[Endpoint | None]:
    """A copy of the database, which the server makes from its files; dropped in the end.

    None where the server does not: somebody else is connected (PostgreSQL manual, "Template Databases"), the
    role does not own the database, or there is no second one from which to ask.
    """
    with ExitStack() as stack:
        with closing(connect(endpoint)) as there:
            like = Database(*rows(there, "database")[0])
        here = _elsewhere(endpoint, like.name)
        if here is None:
            yield None
            return
        stack.enter_context(closing(here))
        if _in_use(here, like.name):
            yield None
            return
        try:
            name = stack.enter_context(_made(here, f"TEMPLATE {pg_name(like.name)}"))
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
            yield None
            return
        yield stack.enter_context(_settled(endpoint, like, name))


@contextmanager
def _made(here: psycopg.Connection[Any], options: str) -> Iterator[str]:
    """The name of a new database. Whatever a killed process has left of its own goes first."""
    for (left,) in rows(here, "shadows_left"):
        here.execute(f"DROP DATABASE IF EXISTS {pg_name(left)}".encode())
    name = f"{_PREFIX}{int(time.time())}_{secrets.token_hex(4)}"
    here.execute(f"CREATE DATABASE {pg_name(name)} {options}".encode())
    try:
        yield name
    finally:
        here.execute(f"DROP DATABASE IF EXISTS {pg_name(name)} WITH (FORCE)".encode())


@contextmanager
def _settled(endpoint: Endpoint, like: Database, name: str) -> Iterator[Endpoint]:
    """The new database with the old one's settings, and a session in it: nobody takes it for a left one."""
    place = replace(endpoint, database=name)
    with closing(connect(place)) as connection:
        for setting in like.settings:
            option, _, value = setting.partition("=")
            connection.execute("SELECT set_config(%s, %s, false)", [option, value])
            alter = f"ALTER DATABASE {pg_name(name)} SET {pg_name(option)} FROM CURRENT"
            connection.execute(alter.encode())
        yield place


def _elsewhere(endpoint: Endpoint, name: str) -> psycopg.Connection[Any] | None:
    """A session in another database of the server: the one to be copied must have none."""
    for other in _MAINTENANCE:
        if other != name:
            with suppress(TargetError):
                return connect(replace(endpoint, database=other))
    return None


def _in_use(here: psycopg.Connection[Any], name: str) -> bool:
    """Whether others stay connected. CREATE DATABASE itself would wait five seconds for them to go."""
    query = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s)"
    for _ in range(_LOOKS):
        if not value(here, query, [name]):
            return False
        time.sleep(_PAUSE)
    return True


def _refused(error: psycopg.Error, endpoint: Endpoint, role: str) -> ConvergeError:
    if not isinstance(error, psycopg.errors.InsufficientPrivilege):
        return explain(error, endpoint)
    return TargetError(
        f"PostgreSQL at {endpoint} does not let the role make a temporary database",
        code=Code.T043,
        hint=f"ALTER ROLE {pg_name(role)} CREATEDB;",
    )
