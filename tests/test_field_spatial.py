"""Found in the field (sakila's address.location): a spatial value is more than its WKB."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server

PLACES = (
    "CREATE TABLE place (id INT PRIMARY KEY, at GEOMETRY NOT NULL); INSERT INTO place VALUES "
    "(1, ST_GeomFromText('POINT(1 2)', 4326)), (2, ST_GeomFromText('POINT(2 1)', 0))"
)


@pytest.fixture
def source(mysql_8033: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8033)
    mysql(url, PLACES)
    return url


def test_an_srid_is_kept(source: str, postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    """A place on Earth and a point of a plane are not the same bytes: PostGIS reads both as what they are."""
    target = new_postgres_database(postgres_175)
    assert converge("migrate", "--source", source, "--target", target).code == 0
    two_one = "0000000000000040000000000000f03f"
    rows = postgres(target, "SELECT encode(at, 'hex') FROM place ORDER BY id")
    # POINT(1 2) in 4326 is latitude 1, longitude 2, and is stored with the longitude first.
    assert rows == [("0101000020e6100000" + two_one,), ("0101000000" + two_one,)]


def test_a_written_map_keeps_the_note_of_a_rule(source: str, tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    plain = converge("plan", "--source", source, "--json", "--write-map", str(file)).json["plan"]
    again = converge("plan", "--source", source, "--json", "--map", str(file)).json["plan"]
    # What a map decides would be tried on a target, and none is named.
    told = [f["object"] for f in again["findings"] if f["code"] != "P054"]
    assert told == [f["object"] for f in plain["findings"]]
    assert again["digest"] == plain["digest"]
