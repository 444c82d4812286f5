"""Applications that ship schemas for both servers: their maps load them, and the plan finds their traps."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from support import converge, load_dump
from test_load import found, load, plan, shape, written

from converge.postgres.script import run_script
from converge.sandbox import Server

TABLES = {"gammu": 6, "kea": 63, "ruoyi": 48}
"""Keycloak, which has a shipped map, is in test_applications."""
App = Callable[[str], tuple[str, str, str]]


@pytest.fixture
def app(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
) -> App:
    """Makes the source with its rows and the target by the application's own script; both with the map."""

    def made(name: str) -> tuple[str, str, str]:
        folder = shared_data.parent / "apps" / name
        if not folder.is_dir():
            pytest.skip(f"no applications in {folder.parent}")
        source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
        load_dump(source, folder / "mysql.sql.gz")
        with gzip.open(folder / "pg.sql.gz") as lines, psycopg.connect(target, autocommit=True) as connection:
            run_script(connection, lines, name)
        return source, target, str(folder / "map.toml")

    return made


@pytest.mark.parametrize("name", TABLES)
def test_its_map_loads_it(app: App, name: str) -> None:
    source, target, map_ = app(name)
    before = shape(target)
    ran = load(source, target, "--map", map_)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert (len(ran.json["tables"]), found(ran, "L050")) == (TABLES[name], [])
    assert shape(target) == before
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert again.json["verdict"] == "verified", again.err


def test_labels_make_the_hints_of_gammu(app: App) -> None:
    """ENUM('false','true') needs none, ENUM('yes','no') gets its own labels."""
    source, target, _ = app("gammu")
    hints = {one["object"]: one["hint"] for one in found(plan(source, target), "L003")}
    assert hints.keys() == {"phones.Send", "phones.Receive"}
    assert all("using = \"IF({}='yes','true','false')\"" in hint for hint in hints.values())


def test_a_merge_of_keycloak_is_found_to_fail(app: App, tmp_path: Path) -> None:
    """Its realm `master` has another id on each side, and seeded rows refer to it."""
    source, target, _ = app("keycloak")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "*" }\nrows = "merge"\n')
    messages = [one["message"] for one in found(plan(source, target, "--map", map_), "L019")]
    assert any("REALM loses the rows" in message for message in messages)
