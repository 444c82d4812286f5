"""A schema written as DDL gives the same catalog in an empty database, and its reverse an empty one again."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import own_schema
import pytest
from conftest import NewDatabase
from definitions_schema import SCHEMA, UNWRITTEN
from definitions_support import defined, run, shape
from support import converge, load_dump, postgres

from converge.demo import fill
from converge.model.definitions import NOTHING
from converge.model.existing import differences
from converge.planner.difference import compared, difference
from converge.planner.difference.statements import RANKS
from converge.sandbox import Server


def there_and_back(wanted: str, empty: str, schema: str = "public", *, places: bool = True) -> None:
    """The schema of one database is made in an empty one, and removed from it."""
    nothing = shape(empty, schema)
    definitions = defined(wanted, schema)
    assert difference(definitions, definitions) == ()
    run(empty, difference(NOTHING, definitions))
    made = defined(empty, schema)
    assert compared(definitions, made) == ()
    assert made.digest == definitions.digest
    assert differences(shape(wanted, schema, places=places), shape(empty, schema, places=places)) == []
    run(empty, difference(made, NOTHING))
    assert shape(empty, schema) == nothing
    assert not defined(empty, schema).objects
    assert postgres(empty, "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'") == []


def test_every_kind_of_object_is_written_and_removed(
    postgres_any: Server, new_postgres_database: NewDatabase
) -> None:
    wanted, empty = new_postgres_database(postgres_any), new_postgres_database(postgres_any)
    postgres(wanted, SCHEMA)
    definitions = defined(wanted, "App s")
    assert definitions.left_out == ()
    assert "alembic_version" not in definitions.tables
    assert "author" in definitions.tables
    kinds = {one.kind for one in definitions.objects.values()}
    assert kinds == set(RANKS)
    there_and_back(wanted, empty, "App s")


def test_an_applications_schema_with_what_only_15_knows(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    wanted, empty = new_postgres_database(postgres_175), new_postgres_database(postgres_175)
    # Rights, and what other schemas have, are no part of it.
    own = own_schema.SCHEMA[: own_schema.SCHEMA.index("CREATE TABLE other.outside")]
    postgres(wanted, own + own_schema.SINCE_15[: own_schema.SINCE_15.index("INSERT")])
    there_and_back(wanted, empty, "app")


@pytest.mark.parametrize("name, server", [("alkemio", "postgres_14"), ("kratos", "postgres_16")])
def test_real_schemas(
    name: str,
    server: str,
    new_postgres_database: NewDatabase,
    shared_data: Path,
    request: pytest.FixtureRequest,
) -> None:
    wanted, empty = (new_postgres_database(request.getfixturevalue(server)) for _ in range(2))
    postgres(wanted, (shared_data / name / "pg_schema.sql").read_text("utf-8"))
    # Kratos has dropped columns.
    there_and_back(wanted, empty, places=name != "kratos")


@pytest.mark.parametrize("name, server", [("sakila", "postgres_175"), ("demo", "postgres_15")])
def test_what_migrate_makes(
    name: str,
    server: str,
    mysql_8033: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    request: pytest.FixtureRequest,
) -> None:
    from_ = new_mysql_database(mysql_8033)
    target, empty = (new_postgres_database(request.getfixturevalue(server)) for _ in range(2))
    if name == "demo":
        fill.fill(from_, rows=fill.LEAST_ROWS)
    else:
        load_dump(from_, request.getfixturevalue("shared_data") / name / "mysql.sql.gz")
    ran = converge("migrate", "--source", from_, "--target", target, "--verify", "none")
    assert ran.code == 0, ran.err
    there_and_back(target, empty)


def test_what_cannot_be_written_is_named(postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    url, empty = new_postgres_database(postgres_175), new_postgres_database(postgres_175)
    postgres(url, SCHEMA + UNWRITTEN)
    definitions = defined(url, "App s")
    assert definitions.left_out == (
        'inheriting table "App s".heir',
        'partition "App s".part',
        'partitioned table "App s".parted',
        'view "App s".of_parted (needs what is left out)',
    )
    run(empty, difference(NOTHING, definitions))
    assert defined(empty, "App s").digest == replace(definitions, unwritten={}).digest


EXTENSIONS = """
CREATE EXTENSION citext SCHEMA apart;
CREATE EXTENSION cube;
CREATE EXTENSION earthdistance;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION hstore;
CREATE TABLE t (word apart.citext, radius float8 DEFAULT earth());
CREATE FUNCTION secret() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN crypt(''a'', gen_salt(''bf'')); END';
"""


@pytest.mark.parametrize("place", ["apart", "pg_catalog"])  # where converge makes citext
def test_extensions_come_when_they_are_used(
    postgres_175: Server, new_postgres_database: NewDatabase, place: str
) -> None:
    wanted, empty = new_postgres_database(postgres_175), new_postgres_database(postgres_175)
    there = "" if place == "pg_catalog" else "CREATE SCHEMA apart;"
    postgres(wanted, there + EXTENSIONS.replace("apart", place))
    # What they have brought is theirs, as earthdistance's domain with its constraints. Nothing uses hstore.
    assert set(defined(wanted).objects) == {
        "extension citext", "extension cube", "extension earthdistance", "extension pgcrypto",
        "table public.t", "column public.t.word", "column public.t.radius",
        "default of column public.t.radius", "function public.secret()",
    }  # fmt: skip
    run(empty, difference(NOTHING, defined(wanted)))
    assert defined(empty).digest == defined(wanted).digest
    run(empty, difference(defined(empty), NOTHING))
    assert postgres(empty, "SELECT extname FROM pg_extension") == [("plpgsql",)]


CIRCLES = """
import pickle, sys
from converge.model.definitions import NOTHING
from converge.planner.difference import difference
found = pickle.load(sys.stdin.buffer)
for step in (*difference(NOTHING, found), *difference(found, NOTHING)):
    print(step)
"""


def test_circles_are_broken_at_the_same_place_in_every_process(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    url = new_postgres_database(postgres_175)
    tables = [f"t{number}" for number in range(9)]
    postgres(url, ";".join(f"CREATE TABLE {name} (id int PRIMARY KEY, a int, b int)" for name in tables))
    for place, name in enumerate(tables):
        for column, step in (("a", 1), ("b", 4)):
            other = tables[(place + step) % len(tables)]
            postgres(url, f"ALTER TABLE {name} ADD FOREIGN KEY ({column}) REFERENCES {other}")
    given = pickle.dumps(defined(url))
    command = [sys.executable, "-c", CIRCLES]
    texts = {
        subprocess.run(
            command, input=given, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
    assert texts.pop().count(b"DROP TABLE") == len(tables)
