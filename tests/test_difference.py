"""The difference between two schemas brings one to the other, keeps what stays, and leads back again."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from definitions_support import Seen, converted, seen
from mutations import MUTATIONS, SCHEMA
from support import postgres

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
def test_there_and_back(name: str, origin: str, former: Seen) -> None:
    wanted, url = copied(origin, "wanted"), copied(origin, "changed")
    postgres(wanted, MUTATIONS[name])
    before = rows(url)
    assert len(before["parent"]) == len(before["child"]) == 9
    assert converted(url, seen(wanted)), "no difference seen"
    assert rows(url) == {table: rows for table, rows in before.items() if table == "parent" or name != LESS}
    converted(url, former)
