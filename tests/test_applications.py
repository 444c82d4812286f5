"""The shipped maps of applications: each loads an application's own schema, and makes one that it can use.

A case has the functions that make the application's schemas (`SCHEMAS`), and a file of `applications/`:

    tables    how many tables a load fills
    rows      MySQL's statements that insert rows, at least one of each kind of value that the map treats
    reads     queries of the target, and the rows that they give after both modes
    broken    for each check of the map a statement after which it fails in the target
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from artifacts import files
from conftest import NewDatabase
from support import Ran, converge, load_dump, mysql, postgres
from test_load import found, load, shape

from converge.postgres.script import run_script
from converge.sandbox import Server


@dataclass(frozen=True)
class Schemas:
    """What makes the application's own tables in an empty database of each server."""

    source: Callable[[str], None]
    target: Callable[[str], None]


def artifact(name: str, mysql_files: tuple[str, ...], postgres_files: tuple[str, ...]) -> Schemas:
    """Scripts of a Maven artifact; a path may begin with another artifact and '!'."""

    def scripts(paths: tuple[str, ...]) -> Iterator[Path]:
        for path in paths:
            of, _, inside = path.rpartition("!")
            yield from files(of or name, inside)

    def source(url: str) -> None:
        for path in scripts(mysql_files):
            load_dump(url, path)

    def target(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for path in scripts(postgres_files):
                with path.open("rb") as lines:
                    run_script(connection, lines, path.name)

    return Schemas(source, target)


QUARTZ = "org/quartz/impl/jdbcjobstore/tables_"

SCHEMAS = {
    "quartz": artifact(
        "org.quartz-scheduler:quartz:2.5.0", (f"{QUARTZ}mysql_innodb.sql",), (f"{QUARTZ}postgres.sql",)
    ),
}

App = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module", params=SCHEMAS)
def app(request: pytest.FixtureRequest, mysql_8033: Server) -> Iterator[App]:
    """The name of an application's map, a source with its rows, and its case."""
    name = request.param
    case = tomllib.loads((Path(__file__).parent / "applications" / f"{name}.toml").read_text("utf-8"))
    source = mysql_8033.create_database(f"app_{name}")
    SCHEMAS[name].source(source)
    mysql(source, case["rows"])
    yield name, source, case
    mysql_8033.drop_database(f"app_{name}")


def test_it_loads_the_applications_own_tables(
    app: App, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    name, source, case = app
    target = new_postgres_database(postgres_175)
    SCHEMAS[name].target(target)
    before = shape(target)
    ran = load(source, target, "--map", name)
    _is_right(ran, target, case)
    assert (len(ran.json["tables"]), found(ran, "L050")) == (case["tables"], [])
    assert shape(target) == before
    checks = {one["name"] for one in ran.json["checks"]}
    assert checks == case["broken"].keys()
    for statement in case["broken"].values():
        postgres(target, statement)
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert {one["name"] for one in again.json["checks"] if one["state"] == "differs"} == checks, again.err


def test_it_makes_tables_that_the_application_can_use(
    app: App, postgres_14: Server, new_postgres_database: NewDatabase
) -> None:
    name, source, case = app
    target = new_postgres_database(postgres_14)
    ran = converge("migrate", "--source", source, "--target", target, "--map", name, "--json")
    _is_right(ran, target, case)


def _is_right(ran: Ran, target: str, case: dict[str, Any]) -> None:
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [one["name"] for one in ran.json["checks"] if one["state"] != "ok"] == []
    assert [postgres(target, one["query"]) for one in case["reads"]] == [
        [tuple(row) for row in one["gives"]] for one in case["reads"]
    ]
