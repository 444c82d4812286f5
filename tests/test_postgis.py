"""Types of extensions: PostGIS's geometry and citext, wherever their schema is."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres, relations

from converge.sandbox import Server

SHAPES = """
POINT(2 1) | 0
LINESTRING(0 0, 1 1.5) | 3857
POLYGON((0 0, 0 9, 9 9, 0 0), (1 2, 1 3, 2 3, 1 2)) | 4326
MULTIPOINT(1 2, 3 4) | 0
MULTIPOLYGON(((0 0, 0 9, 9 9, 0 0))) | 4326
GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(0 0, 1 1)) | 0
GEOMETRYCOLLECTION EMPTY | 4326
"""
PLACES = (
    "CREATE TABLE place (id INT AUTO_INCREMENT PRIMARY KEY, at POINT NOT NULL SRID 4326, shape GEOMETRY,"
    " SPATIAL KEY near (at)); "
    "INSERT INTO place (at, shape) VALUES "
    + ", ".join(
        f"(ST_GeomFromText('POINT(-89.5 179.25)', 4326), ST_GeomFromText('{shape}', {srid}))"
        for shape, _, srid in (line.partition(" | ") for line in SHAPES.strip().split("\n"))
    )
    + ", (ST_GeomFromText('POINT(1 2)', 4326), NULL)"
)
MAP = """
[[column]]
match = { column = "at" }
to = "geometry(point,4326)"
[[column]]
match = { column = "shape" }
to = "geometry"
"""


@pytest.fixture
def ends(
    mysql_8033: Server,
    postgres_15: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> tuple[str, str]:
    """An empty source, and an empty target that has PostGIS in reach."""
    target = new_postgres_database(postgres_15)
    if not postgres(target, "SELECT name FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this PostgreSQL 15 has no PostGIS: apt-get install postgresql-15-postgis-3")
    return new_mysql_database(mysql_8033), target


def _map(tmp_path: Path, text: str) -> str:
    file = tmp_path / "map.toml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("schema", ["", "gis"])
def test_spatial_values_become_geometries(schema: str, ends: tuple[str, str], tmp_path: Path) -> None:
    """The extension is made where it is missing, and found where it is; a damaged value is found, too."""
    source, target = ends
    mysql(source, PLACES)
    if schema:
        postgres(target, f"CREATE SCHEMA {schema}")
        postgres(target, f"CREATE EXTENSION postgis SCHEMA {schema}")
    addresses = ("--source", source, "--target", target, "--map", _map(tmp_path, MAP), "--json")
    ran = converge("migrate", *addresses)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    at = schema or "public"
    rows = postgres(
        target,
        f"SELECT {at}.ST_X(at), {at}.ST_Y(at), {at}.ST_SRID(at) FROM place WHERE id > 6 ORDER BY id DESC",
    )
    assert rows == [(2.0, 1.0, 4326), (179.25, -89.5, 4326)]
    assert postgres(target, f"SELECT {at}.ST_AsEWKT(shape) FROM place WHERE id = 2") == [
        ("SRID=3857;LINESTRING(0 0,1 1.5)",)
    ]
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'place' AND indexname = 'near'"
    assert "USING gist (at)" in postgres(target, indexes)[0][0]
    postgres(target, f"UPDATE place SET shape = {at}.ST_SetSRID(shape, 4326) WHERE id = 1")
    verified = converge("verify", *addresses)
    assert verified.code == 1, verified.err
    assert [(one["key"], one["column"]) for one in verified.json["differences"]] == [("id=1", "shape")]


def test_another_shape_or_srid_stops_the_run(ends: tuple[str, str], tmp_path: Path) -> None:
    """With the keys, before anything is written; a policy makes NULL of such values, and counts them."""
    source, target = ends
    mysql(source, PLACES)
    for type_, keys in (("Point", "2, 3, 4, 5, 6, …"), ("Geometry,4326", "1, 2, 4, 6")):
        map_ = _map(tmp_path, MAP.replace('to = "geometry"', f'to = "geometry({type_})"'))
        ran = converge("migrate", "--source", source, "--target", target, "--map", map_)
        assert (ran.code, "V028" in ran.err, "place.shape" in ran.err) == (3, True, True), ran.err
        assert f"rows id {keys}" in ran.err
    assert relations(target) == []
    policy = 'to = "geometry(Geometry,4326)"\npolicy = { other_shape = "null" }'
    map_ = _map(tmp_path, MAP.replace('to = "geometry"', policy))
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [(one["trap"], one["rows"]) for one in ran.json["changes"]] == [("other_shape", 4)]
    assert postgres(target, "SELECT id FROM place WHERE shape IS NULL ORDER BY id") == [
        (1,), (2,), (4,), (6,), (8,)
    ]  # fmt: skip


def test_without_postgis_in_reach(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, PLACES)
    ran = converge("migrate", "--source", source, "--target", target, "--map", _map(tmp_path, MAP))
    assert (ran.code, "postgis" in ran.err) == (3, True), ran.err
    assert relations(target) == []


def test_citext_that_is_installed_elsewhere(databases: tuple[str, str], tmp_path: Path) -> None:
    """Its type is found there; what compares it is listed, as its operators are not in reach of names."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, word VARCHAR(9) UNIQUE); "
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'); "
        "CREATE VIEW v AS SELECT id FROM t WHERE word = 'A'",
    )
    postgres(target, "CREATE SCHEMA app")
    postgres(target, "CREATE EXTENSION citext SCHEMA app")
    map_ = _map(tmp_path, '[[column]]\nmatch = { column = "word" }\nto = "citext"\n')
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT pg_typeof(word)::text FROM t LIMIT 1") == [("app.citext",)]
    assert [one["name"] for one in ran.json["not_migrated"]] == ["v"]
