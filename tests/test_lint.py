"""What bites after the cutover: found before it, with SQL that the target takes and that cures it."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from support import converge, load_dump, mysql, postgres

from converge.postgres.script import run_script
from converge.sandbox import Server
from converge.sandbox.server import connect_mysql

_SOURCE = """
CREATE TABLE customer (
  id int AUTO_INCREMENT PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, city varchar(40), note text,
  code varchar(20) COLLATE utf8mb4_bin UNIQUE, kind enum('A', 'b') UNIQUE, KEY (city, id)
) AUTO_INCREMENT = 2000000000;
CREATE TABLE purchase (customer int, payload json, FOREIGN KEY (customer) REFERENCES customer (id));
CREATE TABLE upper_key (`Key` varchar(700) PRIMARY KEY);
CREATE VIEW half AS SELECT id / 2 AS h, UUID_SHORT() AS u FROM customer;
INSERT INTO customer VALUES
  (1, 'ada@x.org', 'Oslo', NULL, 'a', 'A'), (2, 'Bob@x.org', 'oslo', NULL, 'b', 'b'),
  (3, 'c@x.org', 'Rom', '', 'c', NULL);
"""
_MAP = """
[map]
name = "lint"
about = "a json column, and no index for the foreign key"
[[column]]
match = { table = "purchase", column = "payload" }
to = "json"
[[index]]
match = { table = "purchase", index = "customer" }
skip = true
"""


@pytest.fixture
def findings(databases: tuple[str, str], tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    """What the report of a verified run says of this source, by code."""
    source, target = databases
    mysql(source, _SOURCE)
    (tmp_path / "lint.toml").write_text(_MAP)
    with ExitStack() as held:
        for _ in range(int(postgres(target, "SHOW max_connections")[0][0])):
            held.enter_context(closing(connect_mysql(source)))
    map_ = str(tmp_path / "lint.toml")
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found: dict[str, list[dict[str, str]]] = {}
    for one in ran.json["findings"]:
        if one["code"].startswith("F"):
            found.setdefault(one["code"], []).append(one)
    return found


def _statements(hint: str) -> list[str]:
    """The SQL of a hint, without comments."""
    return [line for line in hint.splitlines() if line.endswith(";") and not line.startswith("--")]


def test_create_mode(findings: dict[str, list[dict[str, str]]], databases: tuple[str, str]) -> None:
    _, target = databases
    assert " ".join(findings) == "F001 F002 F004 F003 F011 F010 F012 F005 F006 F008 F009"
    texts = {one["object"]: (one["message"].partition(": ")[2], one["evidence"]) for one in findings["F001"]}
    assert list(texts.items()) == [
        ("upper_key", ("case and accents in Key (primary key)", "")),
        (
            "customer",
            (
                "case and accents in email (unique), city (index)",
                "email: 1 of 3 rows has capital letters; city: 2 of 3 rows have capital letters; "
                "city: 2 rows are equal to others in MySQL alone",
            ),
        ),
    ]
    assert findings["F003"][0]["object"] == "purchase" and "(customer)" in findings["F003"][0]["message"]
    assert "customer.code (unique; trailing spaces)" in findings["F004"][0]["message"]
    assert "customer.note" in findings["F002"][0]["message"]
    assert findings["F010"][0]["object"] == "customer.id"
    assert "purchase" in findings["F011"][0]["hint"]
    assert "half" in findings["F008"][0]["message"]
    before = len(postgres(target, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"))
    for code in ("F003", "F005", "F010", "F011"):
        for statement in _statements(findings[code][0]["hint"]):
            postgres(target, statement)
    for one in findings["F001"]:
        for statement in _statements(one["hint"]):
            postgres(target, statement)
    assert len(postgres(target, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")) == before + 4
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "INSERT INTO customer (email) VALUES ('ADA@x.org')")


def test_a_map_that_keeps_the_comparison_leaves_nothing_to_cure(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (a varchar(9) PRIMARY KEY, b varchar(9) UNIQUE)")
    rule = '[[column]]\nmatch = {{ table = "t", column = "{}" }}\n{}\n'
    rules = rule.format("a", 'collation = "source"') + rule.format("b", 'to = "citext"')
    (tmp_path / "same.toml").write_text(f'[map]\nname = "same"\nabout = "texts compare as before"\n{rules}')
    ran = converge(
        "plan", "--source", source, "--target", target, "--map", str(tmp_path / "same.toml"), "--json"
    )
    assert not {one["code"] for one in ran.json["findings"]} & {"F001", "F002", "F004"}, ran.out


def test_load_mode_of_an_application(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
) -> None:
    """Exactly the foreign keys that no index serves, and the keys whose texts MySQL finds in any case."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    load_dump(source, shared_data / "alkemio" / "mysql.sql.gz")
    schema = shared_data / "alkemio" / "pg_schema.sql"
    with schema.open("rb") as lines, psycopg.connect(target, autocommit=True) as connection:
        run_script(connection, lines, "alkemio")
    ran = converge(
        "plan", "--source", source, "--target", target, "--mode", "load", "--map", "alkemio", "--json"
    )
    found = [one for one in ran.json["findings"] if one["code"].startswith("F")]
    # The server may have had more connections in other tests.
    assert {one["code"] for one in found} - {"F009"} == {"F001", "F002", "F003", "F005", "F006"}
    created = [line for one in found if one["code"] == "F003" for line in _statements(one["hint"])]
    planned = {table["source"] for table in ran.json["tables"]}
    wanted = {(table, column) for table, column in postgres(target, _UNINDEXED) if table in planned}
    names = re.compile(r'CREATE INDEX CONCURRENTLY ON "public"."(.+)" \("(.+)"\);')
    assert {match.groups() for line in created if (match := names.fullmatch(line))} == wanted
    assert len(created) == len(wanted) > 40
    loose = {one["object"] for one in found if one["code"] == "F001"}
    assert loose == {row[0] for row in mysql(source, _LOOSE)}
    for line in created:
        postgres(target, line)
    assert not set(postgres(target, _UNINDEXED)) & wanted


_UNINDEXED = """
SELECT r.relname::text, a.attname::text FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND NOT EXISTS (
   SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indkey[0] = c.conkey[1])
"""
_LOOSE = """
SELECT DISTINCT c.TABLE_NAME FROM information_schema.COLUMNS c JOIN information_schema.STATISTICS s
    ON (s.TABLE_SCHEMA, s.TABLE_NAME, s.COLUMN_NAME) = (c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME)
 WHERE c.TABLE_SCHEMA = DATABASE() AND c.COLLATION_NAME LIKE '%\\_ci' AND c.DATA_TYPE = 'varchar'
"""
