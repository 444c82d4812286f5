"""A login whose session begins as another role, as with Vault: it still looks after its own sessions.

The server shows what a session does, and lets it be ended, by the privileges of the current role on the
login's (PostgreSQL manual, "The Cumulative Statistics System").
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from conftest import NewDatabase
from support import postgres

from converge import watch
from converge.model.endpoint import Endpoint, parse
from converge.postgres.connect import backend, connect, end
from converge.postgres.lock import BUILDER, end_leftovers
from converge.sandbox import Server


@pytest.fixture
def login(postgres_175: Server, new_postgres_database: NewDatabase) -> Iterator[Endpoint]:
    """Of a role that becomes the database's owner at the login."""
    target = new_postgres_database(postgres_175)
    name = parse(target).database
    postgres(
        target,
        f"CREATE ROLE {name}_owner; CREATE ROLE {name}_login LOGIN IN ROLE {name}_owner;"
        f"ALTER ROLE {name}_login SET role = {name}_owner; ALTER DATABASE {name} OWNER TO {name}_owner",
    )
    yield parse(target.replace("postgres@", f"{name}_login@"))
    postgres(target, f"ALTER DATABASE {name} OWNER TO postgres; DROP OWNED BY {name}_owner;"
             f"DROP ROLE {name}_login; DROP ROLE {name}_owner")  # fmt: skip


def test_a_long_statement_is_not_cut(login: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENT_SECONDS", 0.5)
    with connect(login) as connection:
        connection.execute("SELECT pg_sleep(5)")


def test_a_long_statement_is_not_cut_where_nothing_is_tracked(
    postgres_175: Server, new_postgres_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = new_postgres_database(postgres_175)
    postgres(target, f"ALTER DATABASE {parse(target).database} SET track_activities = off")
    monkeypatch.setattr(watch, "SILENT_SECONDS", 0.5)
    with connect(parse(target)) as connection:
        connection.execute("SELECT pg_sleep(5)")


def test_what_is_left_of_a_lost_session_is_ended(login: Endpoint) -> None:
    with connect(login) as connection, connect(login) as lost, connect(login) as other:
        role = connection.execute("SELECT current_user").fetchall()
        end(connection, backend(lost))
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")
        other.execute("SELECT set_config('application_name', %s, false)", (BUILDER,))
        connection.execute("CREATE SCHEMA converge CREATE TABLE chunk () CREATE TABLE step ()")
        with connection.transaction():
            end_leftovers(connection)
            assert connection.execute("SELECT current_user").fetchall() == role
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
