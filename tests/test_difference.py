"""The difference between two schemas brings one to the other, keeps what stays, and leads back again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from definitions_support import Seen, convert, seen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, PAIRS, SCHEMA
from support import postgres

from converge.model.quote import pg_name
from converge.planner.difference import compared, difference
from converge.sandbox import Server

KEPT = {"parent": ("id", "name", "born"), "child": ("id", "parent_id", "code")}
"""Columns whose values no mutation drops; but LESS drops the child."""
LESS = "a table more, one less"


@pytest.fixture(scope="module")
def origin(postgres_175: Server) -> Iterator[str]:
    url = postgres_175.create_database("difference")
    postgres(url, SCHEMA)
    yield url
    for name in ("difference", "wanted", "changed"):
        postgres_175.drop_database(name)


@pytest.fixture(scope="module")
def former(origin: str) -> Seen:
    return seen(origin)


def copied(origin: str, name: str) -> str:
    """A new copy of a database on its server."""
    server, database = origin.rsplit("/", 1)
    postgres(f"{server}/postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    postgres(f"{server}/postgres", f'CREATE DATABASE "{name}" TEMPLATE "{database}"')
    return f"{server}/{name}"


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    with psycopg.connect(url) as connection:
        for table, columns in KEPT.items():
            if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,):
                listed = ", ".join(f"{column}::text" for column in columns)
                query = f"SELECT {listed} FROM {table} ORDER BY 1"
                found[table] = connection.execute(query.encode()).fetchall()
    return found


@pytest.mark.parametrize("name", MUTATIONS)
def test_back_and_there(name: str, origin: str, former: Seen) -> None:
    url = copied(origin, "changed")
    before = rows(url)
    assert len(before["parent"]) == len(before["child"]) == 9
    postgres(url, MUTATIONS[name])
    changed = seen(url)
    assert compared(former.definitions, changed.definitions), "no difference seen"
    convert(url, changed, former)
    stay = {table: found for table, found in before.items() if table == "parent" or name != LESS}
    assert {**rows(url), **stay} == rows(url)
    convert(url, former, changed)
    assert rows(url) == stay


@pytest.fixture(scope="module")
def two(postgres_175: Server) -> Iterator[tuple[str, str]]:
    names = ("pairs", "pairs after")
    first, second = (postgres_175.create_database(name) for name in names)
    yield first, second
    for name in names:
        postgres_175.drop_database(name)


@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back(name: str, two: tuple[str, str]) -> None:
    """Each in a schema of its own, in both databases."""
    schema = f"the {name}"
    for database, statements in zip(two, PAIRS[name], strict=True):
        postgres(database, f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"; {statements}')
    url, _ = two
    before, after = (seen(database, schema) for database in two)
    full = counts(url, before)
    convert(url, before, after, schema)
    kept = counts(url, after)
    assert {table: full.get(table, 0) for table in kept} == kept
    convert(url, after, before, schema)
    assert {table: kept.get(table, 0) for table in full} == counts(url, before)


LONGER = """
CREATE TABLE t (a varchar({a}) PRIMARY KEY, b numeric({n},2) CHECK (b > 0), c varbit({a}), d {d}, e {d}
    CHECK (e <> ''));
CREATE INDEX "by a" ON t (lower(a)) WHERE a <> '';
CREATE INDEX "by b" ON t (b DESC, c); COMMENT ON INDEX "by b" IS 'b'; ALTER TABLE t CLUSTER ON "by b";
CREATE INDEX "by d" ON t (d);
CREATE INDEX "by e" ON t ((e || 'x'));
CREATE INDEX "with statistics" ON t ((a || 'x'));
ALTER INDEX "with statistics" ALTER COLUMN 1 SET STATISTICS 7;
CREATE TABLE u (a varchar({a}) REFERENCES t);
CREATE VIEW v AS SELECT a, b FROM t;
INSERT INTO t VALUES ('x', 1, '1', 'y', 'z')
"""


def test_what_the_server_keeps_when_a_column_gets_longer(two: tuple[str, str]) -> None:
    schema = "the longer"
    for database, sizes in zip(two, ((9, 5, "varchar(9)"), (20, 7, "text")), strict=True):
        statements = LONGER.format(a=sizes[0], n=sizes[1], d=sizes[2])
        postgres(database, f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"; {statements}')
    before, after = (seen(database, schema) for database in two)
    steps = difference(before.definitions, after.definitions)
    again = {one.object for one in steps if one.object.split()[0] in ("index", "constraint", "foreign")}
    # The expressions of `e` are written in another way over text.
    indexes = {f'index "{schema}"."{name}"' for name in ("by e", "with statistics")}
    assert again == {*indexes, f'constraint t_e_check on "{schema}".t'}
    files = f"SELECT relname, relfilenode FROM pg_class WHERE relnamespace = '\"{schema}\"'::regnamespace"
    was = dict(postgres(two[0], files))
    convert(two[0], before, after, schema)
    rebuilt = {name for name, file in postgres(two[0], files) if was[name] != file}
    # The server itself builds indexes with expressions again.
    assert rebuilt == {"by a", "by e", "with statistics"}
    convert(two[0], after, before, schema)


def counts(url: str, schema: Seen) -> dict[str, int]:
    """The rows of each table."""
    asked = ((name, pg_name(schema.definitions.schema, name)) for name in schema.definitions.tables)
    return {name: postgres(url, f"SELECT count(*) FROM {quoted}")[0][0] for name, quoted in asked}


def test_a_new_sequence_goes_on_behind_the_rows(origin: str, former: Seen) -> None:
    url = copied(origin, "changed")
    postgres(url, MUTATIONS["serial to identity"])
    changed = seen(url)
    add = "INSERT INTO child (parent_id) VALUES (1) RETURNING id"
    convert(url, changed, former)
    assert postgres(url, add) == [(10,)]
    convert(url, former, changed)
    assert postgres(url, add) == [(11,)]
    postgres(url, "TRUNCATE child")
    convert(url, changed, former)
    assert postgres(url, add) == [(1,)]


some = st.lists(st.sampled_from(list(MUTATIONS)), max_size=7)


@given(first=some, second=some)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changes_to_any_others(origin: str, first: list[str], second: list[str]) -> None:
    wanted, url = copied(origin, "wanted"), copied(origin, "changed")
    for database, names in ((wanted, first), (url, second)):
        postgres(database, "TRUNCATE parent, child")
        for name in names:
            # Not every change is possible after the others.
            with suppress(psycopg.Error):
                postgres(database, MUTATIONS[name])
    before, after = seen(url), seen(wanted)
    convert(url, before, after)
    convert(url, after, before)


def test_drift_is_told_by_object(origin: str, former: Seen) -> None:
    url = copied(origin, "changed")
    postgres(url, "ALTER TABLE child DROP COLUMN code; CREATE TABLE more (); COMMENT ON VIEW cheap IS 'x'")
    found = {one.object: one for one in compared(former.definitions, seen(url).definitions)}
    assert list(found) == [
        "column public.child.code",
        "constraint child_code_key on public.child",
        "table public.more",
        "view public.cheap",
    ]
    assert found["table public.more"].before == ""
    assert found["column public.child.code"].after == ""
    assert '"type": "text"' in found["column public.child.code"].before
    assert '"comment": "x"' in found["view public.cheap"].after
