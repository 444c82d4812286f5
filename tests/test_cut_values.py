"""Texts beyond max_allowed_packet, of which the server makes NULL or '': never taken for a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, postgres
from support import mysql as run
from test_wide import packets

from converge.sandbox import Server

LARGE, SMALL = 64 << 20, 1 << 20
POINTS = 40_000

# The third row's text is longer than a small packet, though the stored value is not.
TABLES = {
    "latin1_text": ("v LONGTEXT CHARACTER SET latin1", "REPEAT('é', 600000)"),
    "latin1_required": ("v LONGTEXT CHARACTER SET latin1 NOT NULL", "REPEAT('é', 600000)"),
    "greek_text": ("v LONGTEXT CHARACTER SET greek", "REPEAT('\u03b1', 600000)"),
    "utf16_text": ("v LONGTEXT CHARACTER SET utf16", "REPEAT('€', 400000)"),
    "bytes": ("v LONGBLOB", "REPEAT('b', 600000)"),
    "document": ("v JSON", "JSON_ARRAY(REPEAT(CHAR(1 USING utf8mb4), 300000))"),
    "document_text": ("v JSON", "JSON_ARRAY(REPEAT(CHAR(1 USING utf8mb4), 300000))"),
    "shape": (
        "v GEOMETRY",
        f"ST_GeomFromText(CONCAT('LINESTRING(0 0', REPEAT(',1 1,0 0', {POINTS // 2}), ')'))",
    ),
    "expression": ("v LONGTEXT", "REPEAT('x', 600000)"),
    "expression_required": ("v LONGTEXT NOT NULL", "REPEAT('x', 600000)"),
    "made_bytes": ("v JSON", "JSON_ARRAY(REPEAT('x', 600000))"),
    "policy": ("v LONGTEXT", "REPEAT(CHAR(0), 300000)"),
    "computed": (
        "o LONGTEXT CHARACTER SET latin1, "
        "v LONGTEXT CHARACTER SET latin1 AS (REPLACE(INSERT(o, 1, 0, 'é'), ' ', 'é'))",
        "REPEAT(' ', 600000)",
    ),
}
SHORT = {"document": "JSON_ARRAY(1)", "document_text": "JSON_ARRAY('')", "made_bytes": "'[]'"}
COPIED = ("latin1_text", "document_text", "expression", "made_bytes", "policy", "computed")
"""One of each kind."""
# Without a key, or with an expression of the map, nothing tells which row it is.
UNCOMPARED = ("made_bytes", "no_key")
MAP = r"""
[[column]]
match = { table = "document_text", column = "v" }
to = "text"

[[column]]
match = { table = "expression*", column = "v" }
using = "CONCAT({}, {})"

[[column]]
match = { table = "made_bytes", column = "v" }
to = "bytea"
using = "CONCAT({}, {})"
policy = { no_result = "null" }

[[column]]
match = { table = "nothing", column = "v" }
using = "NULLIF({}, 2)"

[[column]]
match = { table = "policy", column = "v" }
policy = { nul = { replace = "four" } }
"""


def database() -> str:
    lines = []
    for table, (columns, long) in TABLES.items():
        name = "o" if table == "computed" else "v"
        short = SHORT.get(table, "ST_GeomFromText('POINT(1 2)')" if table == "shape" else "'a'")
        lines.append(f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns})")
        lines.append(f"INSERT INTO {table} (id, {name}) VALUES (1, {short})")
        if "NOT NULL" not in columns:
            lines.append(f"INSERT INTO {table} (id) VALUES (2)")
        lines.append(f"INSERT INTO {table} (id, {name}) SELECT 3, {long}")
    lines.append("CREATE TABLE no_key (v LONGTEXT CHARACTER SET latin1)")
    lines.append("INSERT INTO no_key VALUES ('a'), (NULL), (REPEAT('é', 600000))")
    return ";\n".join(lines)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A map of one more table's columns, where the values are of another kind."""
    (tmp_path / "map.toml").write_text(MAP)
    return ["--map", str(tmp_path / "map.toml"), "--json"]


def test_no_copy_takes_a_cut_text_for_a_value(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    options: list[str],
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    with packets(mysql_8033, LARGE):
        run(source, database())
    addresses = ["--source", source, "--target", target, *options]
    with packets(mysql_8033, SMALL):
        for table in COPIED:
            where = ["--include", table, "--schema", f"of_{table}", "--no-scan"]
            ran = converge("migrate", *addresses, "--yes", *where)
            found = [one["message"] for one in ran.json["findings"] if one["code"] == "D002"]
            assert (table, ran.code, len(found)) == (table, 4, 1), ran.out
            assert postgres(target, f"SELECT count(*) FROM of_{table}.{table}") == [(0,)], table
        # What an expression makes NULL of is something else: the target refuses it, and the plan finds it.
        run(source, "CREATE TABLE nothing (v INT NOT NULL); INSERT INTO nothing VALUES (1), (2)")
        ran = converge("migrate", *addresses, "--yes", "--include", "nothing", "--no-scan")
        assert [one["code"] for one in ran.json["findings"] if one["severity"] == "block"] == ["D001"]
        scanned = converge("plan", *addresses)
    # What may be NULL by an expression of the map is not measured.
    unseen = {"expression", "made_bytes"}
    found = [one["object"] for one in scanned.json["findings"] if one["code"] == "V035"]
    assert sorted(found) == sorted({*TABLES, "no_key"} - unseen)


@pytest.mark.parametrize(
    ("mysql_name", "postgres_name"), [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")]
)
def test_no_comparison_takes_a_cut_text_for_a_value(
    request: pytest.FixtureRequest,
    mysql_name: str,
    postgres_name: str,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    options: list[str],
) -> None:
    """Whatever the target has in the place of what the source cannot give."""
    server = request.getfixturevalue(mysql_name)
    source = new_mysql_database(server)
    target = new_postgres_database(request.getfixturevalue(postgres_name))
    addresses = ["--source", source, "--target", target, *options]
    unheard = [table for table in (*TABLES, "no_key") if "expression" in table or table in UNCOMPARED]
    lost = [table for table in TABLES if not table.endswith("_required")]
    with packets(server, LARGE):
        run(source, database())
        ran = converge("migrate", *addresses, "--yes")
        assert ran.json["verdict"] == "verified", ran.out
        for table in lost:
            nothing = "''" if table == "document_text" else "NULL"
            postgres(target, f"UPDATE {table} SET v = {nothing} WHERE id = 3")
    with packets(server, SMALL):
        others = [option for table in unheard for option in ("--exclude", table)]
        ran = converge("verify", *addresses, *others)
        assert ran.code == 1, ran.out
        assert {one["table"] for one in ran.json["differences"]} == {*lost} - {*unheard}
        for table in unheard:
            ran = converge("verify", *addresses, "--include", table)
            assert [one["code"] for one in ran.json["findings"] if one["severity"] == "block"] == ["V003"]


def test_a_cut_text_behind_many_warnings_is_found(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """The server lists the first 1,024 warnings of a query where the session does not say otherwise."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    (tmp_path / "map.toml").write_text(
        '[[column]]\nmatch = { table = "t", column = "v" }\nusing = "CONCAT({}, {}, CAST({} AS SIGNED))"\n'
    )
    addresses = ["--source", source, "--target", target, "--map", str(tmp_path / "map.toml"), "--json"]
    with packets(mysql_8033, LARGE):
        run(
            source,
            "SET SESSION cte_max_recursion_depth = 10000; CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT);"
            "INSERT INTO t WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3000) "
            "SELECT n, 'a' FROM r; INSERT INTO t SELECT 4000, REPEAT('x', 600000)",
        )
        ran = converge("migrate", *addresses)
        assert ran.json["verdict"] == "verified", ran.out
        postgres(target, "UPDATE t SET v = NULL WHERE id = 4000")
    with packets(mysql_8033, SMALL):
        ran = converge("verify", *addresses[:4], "--json")
    assert [one["code"] for one in ran.json["findings"] if one["severity"] == "block"] == ["V003"]
