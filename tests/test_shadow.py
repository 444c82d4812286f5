"""Temporary databases: like the one they stand for, gone afterwards, and only ever our own."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg
import pytest
from conftest import NewDatabase
from sqlalchemy import create_engine, text
from support import postgres as ask

from converge.errors import TargetError
from converge.model.endpoint import Endpoint, parse
from converge.postgres.connect import connect
from converge.postgres.engine import address
from converge.postgres.query import rows
from converge.postgres.shadow import shadow, twin
from converge.sandbox import Server

SHADOWS = "SELECT datname FROM pg_database WHERE datname LIKE 'converge_shadow%'"


def like(endpoint: Endpoint) -> object:
    with closing(connect(endpoint)) as connection:
        _, options, settings = rows(connection, "database")[0]
    return options, settings


def test_a_shadow_is_empty_and_like_its_database(
    postgres_any: Server, new_postgres_database: NewDatabase
) -> None:
    url = new_postgres_database(postgres_any)
    name = parse(url).database
    ask(url, "CREATE TABLE t (a int)")
    ask(url, f"""ALTER DATABASE "{name}" SET search_path = "Odd name", public""")
    ask(url, f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'")
    with shadow(parse(url)) as made:
        assert like(made) == like(parse(url))
        with psycopg.connect(url, dbname=made.database) as plain:
            assert plain.execute("SHOW search_path").fetchone() == ('"Odd name", public',)
            assert plain.execute("SHOW timezone").fetchone() == ("Asia/Tokyo",)
            assert plain.execute("SELECT to_regclass('public.t')").fetchone() == (None,)
    assert ask(url, SHADOWS) == []


def test_an_option_that_names_the_database_is_none_of_the_shadow(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """Its sessions, and those of Alembic, would otherwise be in the real database."""
    url = new_postgres_database(postgres_175)
    server, _, name = url.rpartition("/")
    with shadow(parse(f"{server}?dbname={name}")) as made:
        assert made.database != name
        with closing(connect(made)) as connection:
            assert connection.info.dbname == made.database
        with create_engine(address(made)).connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar() == made.database


@pytest.mark.parametrize(
    "options",
    ["ICU_LOCALE 'de' LOCALE_PROVIDER icu LOCALE 'C'", "BUILTIN_LOCALE 'C.UTF-8' LOCALE_PROVIDER builtin"],
)
def test_other_providers_of_collations(options: str, postgres_175: Server) -> None:
    admin = postgres_175.database_url("postgres")
    ask(admin, f"CREATE DATABASE provided TEMPLATE template0 ENCODING 'UTF8' {options}")
    place = parse(postgres_175.database_url("provided"))
    try:
        with shadow(place) as made:
            assert like(made) == like(place)
    finally:
        postgres_175.drop_database("provided")


def test_a_twin_has_the_rows(postgres_any: Server, new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database(postgres_any)
    ask(url, "CREATE TABLE t AS SELECT generate_series(1, 3) AS a")
    with twin(parse(url)) as made:
        assert made is not None
        with closing(connect(made)) as connection:
            connection.execute(b"DELETE FROM public.t")
    assert ask(url, "SELECT count(*) FROM t") == [(3,)]
    assert ask(url, SHADOWS) == []


def test_no_twin_of_a_database_in_use(postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database(postgres_175)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1")
        with twin(parse(url)) as made:
            assert made is None


def test_a_shadow_goes_when_its_user_fails(postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database(postgres_175)
    with pytest.raises(ZeroDivisionError), shadow(parse(url)):
        assert len(ask(url, SHADOWS)) == 1
        _ = 1 / 0
    assert ask(url, SHADOWS) == []


def test_what_a_kill_has_left_goes_with_the_next(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """But neither what is young, nor what somebody uses, nor what only looks alike."""
    url = new_postgres_database(postgres_175)
    old, now = int(time.time()) - 100, int(time.time())
    names = [f"converge_shadow_{old}_00", f"converge_shadow_{now}_00", f"converge_shadow_{old}_01"]
    names.append("converge_shadow_of_mine")
    for name in names:
        postgres_175.create_database(name)
    try:
        with psycopg.connect(url, dbname=names[2]), shadow(parse(url)) as made:
            there = {name for (name,) in ask(url, SHADOWS)}
        assert there == {*names[1:], made.database}
    finally:
        for name in names:
            postgres_175.drop_database(name)


def test_a_role_that_makes_no_databases(postgres_any: Server, new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database(postgres_any)
    ask(url, "DROP ROLE IF EXISTS maker")
    ask(url, "CREATE ROLE maker LOGIN")
    plain = parse(url.replace("postgres@", "maker@"))
    with pytest.raises(TargetError) as refused, shadow(plain):
        pass
    assert refused.value.code == "T043"
    assert refused.value.hint == 'ALTER ROLE "maker" CREATEDB;'
    with twin(plain) as made:
        assert made is None
    ask(url, refused.value.hint)
    with shadow(plain) as made:
        assert like(made) == like(plain)
    # Another's database is no template for it.
    with twin(plain) as made:
        assert made is None
    ask(url, "DROP ROLE maker")
