"""What a version of PostgreSQL has: the list against real servers, and plans that ask for more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from support import converge, mysql, relations
from support import postgres as ask

from converge import sandbox
from converge.model.endpoint import parse
from converge.postgres.capabilities import CAPABILITIES, FUNCTIONS, lacking_for, major
from converge.sandbox import Server


def test_every_example_works_from_its_version_on_and_is_known_by_its_pattern(postgres_any: Server) -> None:
    with psycopg.connect(postgres_any.database_url("postgres"), autocommit=True) as connection:
        version = connection.info.parameter_status("server_version") or ""
        for one in CAPABILITIES:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(one.example.encode())
                works = True
            except psycopg.Error:
                works = False
            assert works == (one.since <= major(version)), (version, one)
            named = one in [found for _, found in lacking_for(one.example, version)]
            assert named == (not works), (version, one)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'MERGE INTO x', E'it\\'s regexp_count(1)', $a$ uuidv7() $a$ -- JSON_TABLE (",
        'CREATE TABLE "NULLS NOT DISTINCT" ("uuidv7" int, "json_value" text) /* IS JSON */',
        "SELECT mine.uuidv7(), mine.json_value(1), casefold FROM t",
        "SELECT json_object('{a,1}'), json_object(ARRAY['a']::text[]), random(), x AS merge",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN any_value(1); END$$",
        "SELECT 0.5, 12e3, 100, a1_000 FROM t",
        "INSERT INTO t VALUES (1) RETURNING older.a",
    ],
)
def test_what_only_looks_like_a_newer_feature(sql: str) -> None:
    assert list(lacking_for(sql, "14.23")) == []


def test_functions_that_an_older_server_has_all_the_same() -> None:
    ((what, one),) = lacking_for("SELECT pg_catalog.uuidv7(), UuidV7 ()", "17.5")
    assert (what, one.since) == ("uuidv7()", 18)
    assert not list(lacking_for("SELECT uuidv7()", "17.5", {"uuidv7"}))
    assert list(lacking_for("SELECT uuidv7(), uuidv4()", "17.5", {"uuidv7"}))
    assert "uuidv7" in FUNCTIONS


MAP = """
[[column]]
match = { table = "note", column = "words" }
default = "regexp_count('a', 'a')"

[[check]]
name = "labels"
target = "SELECT any_value(text) FROM note"
equals = "a"

[[check]]
name = "of another application"
where_source_has = ["nowhere"]
target = "SELECT * FROM JSON_TABLE('[1]'::jsonb, '$[*]' COLUMNS (a int PATH '$'))"
equals = 1
"""


@pytest.fixture
def source(mysql_8033: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8033)
    mysql(url, "CREATE TABLE note (id INT PRIMARY KEY, text VARCHAR(20), words INT);"
               "INSERT INTO note VALUES (1, 'a', 1)")  # fmt: skip
    return url


def test_a_feature_of_a_newer_version_blocks_exactly_the_older_target(
    source: str,
    postgres_14: Server,
    postgres_175: Server,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    (tmp_path / "new.toml").write_text(MAP)
    old, new = new_postgres_database(postgres_14), new_postgres_database(postgres_175)
    arguments = ("--source", source, "--map", str(tmp_path / "new.toml"), "--json")
    ran = converge("migrate", *arguments, "--target", old)
    assert (ran.code, relations(old)) == (3, [])
    assert "T040 note.words: regexp_count(), which PostgreSQL has from 15 on" in ran.err
    planned = converge("plan", *arguments, "--target", old)
    found = [one for one in planned.json["findings"] if one["code"] == "T040"]
    assert [(one["severity"], one["object"]) for one in found] == [
        ("block", "note.words"),
        ("block", "new [[check]] #1"),
    ]
    for one, since in zip(found, (15, 16), strict=True):
        assert f"which PostgreSQL has from {since} on; the target runs 14." in one["message"]
        assert f"; or a target of PostgreSQL {since} or newer" in one["hint"]
    assert "regexp_matches" in found[0]["hint"]
    ran = converge("migrate", *arguments, "--target", new)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err

    # Somebody has made the functions in the old server.
    for name, result in (("any_value(text)", "$1"), ("regexp_count(text, text)", "1")):
        kind = "text" if result == "$1" else "int"
        ask(old, f"CREATE FUNCTION public.{name} RETURNS {kind} LANGUAGE sql AS 'SELECT {result}'")
    planned = converge("plan", *arguments, "--target", old)
    assert [one for one in planned.json["findings"] if one["code"] == "T040"] == []


def test_doctor_shows_what_the_version_has_and_what_migrations_would_meet(
    postgres_14: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    (tmp_path / "new.toml").write_text(MAP)
    target = new_postgres_database(postgres_14)
    name = parse(target).database
    admin = postgres_14.database_url("postgres")
    ask(admin, f"ALTER DATABASE {name} SET statement_timeout = '7s'")
    ask(admin, f"ALTER DATABASE {name} SET lock_timeout = 0")
    ask(admin, f"ALTER ROLE postgres IN DATABASE {name} SET default_transaction_read_only = on")
    try:
        ran = converge("doctor", "-v", "--target", target, "--map", str(tmp_path / "new.toml"))
        assert ran.code == 3
        assert "from 15   no  NULLS NOT DISTINCT, MERGE" in ran.out
        assert "check 'labels' asks for any_value()" in ran.out
        document = converge("doctor", "--target", target, "--json").json
    finally:
        ask(admin, f"ALTER ROLE postgres IN DATABASE {name} RESET ALL")
    hints = {one["hint"] for one in document["findings"] if one["code"] == "T041"}
    assert hints == {
        f"ALTER ROLE postgres IN DATABASE {name} RESET default_transaction_read_only;",
        f"ALTER DATABASE {name} RESET statement_timeout;",
    }
    assert {one["here"] for one in document["compatibility"]} == {False}


def test_a_lock_table_that_is_too_small_is_found_before_anything_is_emptied(
    mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    source = new_mysql_database(mysql_8033)
    names = [f"t{number}" for number in range(60)]
    mysql(source, "".join(f"CREATE TABLE {name} (id INT PRIMARY KEY, a TEXT);" for name in names))
    small = {"postgres": {"max_locks_per_transaction": "10", "max_connections": "20"}}
    with sandbox.start("postgres:17.5", settings=small) as (server,):
        if server.provider == "url":
            pytest.skip("the server is not ours to set")
        target = server.create_database("small")
        with psycopg.connect(target, autocommit=True) as connection:
            for name in names:
                connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, a text)".encode())
            connection.execute("INSERT INTO t0 VALUES (1, 'stays')")
        load = ("migrate", "--mode", "load", "--source", source, "--target", target, "--truncate", "--yes")
        ran = converge(*load)
        assert (ran.code, "error[T042]" in ran.err) == (3, True), ran.err
        assert "takes 240 locks of tables and indexes; the server has room for 200" in ran.err
        assert "ALTER SYSTEM SET max_locks_per_transaction = 12;" in ran.err
        assert ask(target, "SELECT a FROM t0") == [("stays",)]
        ran = converge(*load, "--include", "t1*")
        assert "T042" not in ran.err, ran.err


@pytest.mark.parametrize(
    "before",
    [
        "SELECT '', ",
        "SELECT '''', ",
        """SELECT '"', "'", """,
        "SELECT 'a' -- it's\n, ",
        "SELECT /*'*/ ",
        r"SELECT E'\'', ",
        "SELECT $a$'$a$, ",
        'SELECT """", ',
    ],
)
def test_a_quote_of_any_kind_hides_nothing_behind_it(before: str) -> None:
    assert [what for what, _ in lacking_for(f"{before}uuidv7(), ''", "17.5")] == ["uuidv7()"]
    assert not list(lacking_for(f"{before}'uuidv7()', \"uuidv7()\"", "17.5"))
