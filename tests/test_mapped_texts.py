"""Views, CHECKs and generated columns over ENUMs, bytes and texts that a map makes or compares its own way.

What arrives shows the same rows, in the same order, also of rows that are written later; the rest is named.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psycopg
import pymysql
import pytest
from support import Ran, converge, mysql, postgres

from converge.model.quote import my_text, pg_text

ENUMS = """
SELECT id FROM t ORDER BY e, id
SELECT id FROM t ORDER BY e DESC, id LIMIT 2
SELECT DISTINCT e FROM t ORDER BY e
SELECT e, COUNT(*) AS n FROM t GROUP BY e ORDER BY e
SELECT id, ROW_NUMBER() OVER (ORDER BY e, id) AS r, RANK() OVER (ORDER BY e) AS k FROM t ORDER BY id
SELECT id, FIRST_VALUE(id) OVER (ORDER BY e, id) AS f, LAG(id) OVER (ORDER BY e, id) AS l FROM t ORDER BY id
SELECT id, COUNT(*) OVER (ORDER BY e, id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM t ORDER BY id
SELECT GROUP_CONCAT(id ORDER BY e, id) AS l FROM t WHERE e IS NOT NULL
SELECT GROUP_CONCAT(DISTINCT e ORDER BY e) AS l FROM t
SELECT q.e FROM (SELECT e, id FROM t) q ORDER BY q.e, q.id
SELECT e FROM t UNION SELECT e FROM t ORDER BY e
SELECT e AS x FROM t UNION SELECT NULL ORDER BY x
SELECT q.x FROM (SELECT FIRST_VALUE(e) OVER (PARTITION BY id) AS x FROM t) q ORDER BY q.x
SELECT NULLIF(e, 'q') AS x FROM t ORDER BY x
SELECT ANY_VALUE(e) AS x FROM t GROUP BY id ORDER BY x
SELECT MAX(e) AS x FROM t
SELECT (SELECT q.e FROM t q WHERE q.id = t.id) AS x FROM t ORDER BY x
SELECT id FROM t WHERE e < 'm' ORDER BY id
SELECT id, e = 'SMALL' AS same, CONCAT(e, '!') AS c FROM t ORDER BY id
SELECT e, f FROM t ORDER BY f, id
SELECT DISTINCT st FROM t ORDER BY st
""".strip().split("\n")
KEPT = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19)
"""Places of those that arrive whatever the ENUM becomes."""
ROWS = "(1, 'small', '10', 'b'), (2, 'Medium', '9', 'a'), (3, 'large', '10', 'a,b'), (4, 'zzz', '9', ''), " \
       "(5, NULL, NULL, NULL)"  # fmt: skip


@pytest.mark.parametrize("to", ["text", "varchar(20)", "citext", "character(20)", ""])
def test_enums_are_sorted_in_the_order_of_their_labels(
    to: str,
    both_databases: tuple[str, str],
    tmp_path: Path,
) -> None:
    source, target = both_databases
    mysql(
        source,
        "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, e ENUM('small', 'Medium', 'large'), "
        f"f ENUM('10', '9'), st SET('b', 'a')); INSERT INTO t VALUES {ROWS}",
    )
    rules = '[[column]]\nmatch = { column = "f" }\nto = "integer"\n'
    rules += '[[column]]\nmatch = { column = "e" }\npolicy = { empty_label = "keep" }\n'
    ran = _migrated(source, target, ENUMS, rules + (f'to = "{to}"\n' if to else ""), tmp_path)
    missing = _compare(source, target, ENUMS)
    refused = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9} if to == "character(20)" else set()
    assert not set(KEPT) - {18, 19} - refused & missing, ran.err
    assert 20 in missing, "a SET is sorted by its number"


TEXTS = """
SELECT COUNT(*) AS n FROM t GROUP BY a ORDER BY n
SELECT COUNT(DISTINCT a) AS n FROM t
SELECT id FROM t WHERE a = 'x' ORDER BY id
SELECT id FROM t WHERE a IN ('x', 'bad') ORDER BY id
SELECT id FROM t WHERE a LIKE 'X%' ORDER BY id
SELECT id FROM t WHERE a < 'm' ORDER BY id
SELECT id, CASE a WHEN 'x' THEN 1 ELSE 0 END AS c, NULLIF(a, 'x') IS NULL AS d FROM t ORDER BY id
SELECT id, CHAR_LENGTH(a) AS n, HEX(UPPER(a)) AS h FROM t ORDER BY id
SELECT id, LOCATE('x', a) AS n, REPLACE(a, 'x', 'y') AS r FROM t ORDER BY id
SELECT t.id AS x, u.id AS y FROM t JOIN u ON t.a = u.s ORDER BY x, y
SELECT t.id FROM t WHERE t.a IN (SELECT u.s FROM u) ORDER BY id
SELECT id FROM t WHERE CONCAT(a, '!') = 'x!' ORDER BY id
SELECT id FROM t WHERE IF(id > 0, a, 'q') = 'x' ORDER BY id
SELECT id FROM t WHERE a COLLATE utf8mb4_bin = 'x' ORDER BY id
SELECT MAX(a) AS m FROM t
SELECT COUNT(*) AS n FROM (SELECT a FROM t UNION SELECT s FROM u) q
""".strip().split("\n")
COLUMNS = {
    "bin": ("VARCHAR(20) COLLATE utf8mb4_bin", 'collation = "source"'),
    "general": ("VARCHAR(20) COLLATE utf8mb4_general_ci", 'collation = "source"'),
    "cs": ("VARCHAR(20) COLLATE utf8mb4_0900_as_cs", 'collation = "source"'),
    "by bytes": ("VARCHAR(20) COLLATE utf8mb4_general_ci", 'collation = "C"'),
    "citext, padded": ("VARCHAR(20) COLLATE utf8mb4_general_ci", 'to = "citext"'),
    "citext of bin": ("VARCHAR(20) COLLATE utf8mb4_0900_bin", 'to = "citext"'),
    "bytes": ("VARBINARY(20)", 'to = "text"'),
    "blob": ("BLOB", 'to = "citext"'),
    "fixed": ("BINARY(4)", 'to = "text"\npolicy = { nul = "strip" }'),
}  # fmt: skip
SAME = {"bin": 13, "general": 11, "citext, padded": 10, "bytes": 9}
"""How many of the views arrive at least."""
VALUES = ("x", "X", "x ", "bad", "BAD", "bad ", "y", "xy")


@pytest.mark.parametrize("kind", COLUMNS)
def test_texts_are_compared_as_the_source_compares_them(
    kind: str,
    both_databases: tuple[str, str],
    tmp_path: Path,
) -> None:
    source, target = both_databases
    declared, rule = COLUMNS[kind]
    if kind == "citext of bin" and str(mysql(source, "SELECT VERSION()")[0][0]).startswith("8.0.15"):
        declared = declared.replace("0900_bin", "bin")
    mysql(
        source,
        f"CREATE TABLE t (id INT PRIMARY KEY, a {declared}, c INT AS (IF(a = 'x', 1, 0)) STORED, "
        f"CONSTRAINT no CHECK (a <> 'bad')); CREATE TABLE u (id INT PRIMARY KEY, s VARCHAR(20)); "
        "INSERT INTO u VALUES (1, 'X'), (2, 'x '), (3, 'y')",
    )
    rules = f'[[column]]\nmatch = {{ column = "a" }}\n{rule}\n'
    rules += '[[column]]\nmatch = { column = "s" }\ncollation = "source"\n'
    _migrated(source, target, TEXTS, rules, tmp_path)
    checked = postgres(target, "SELECT 1 FROM pg_constraint WHERE contype = 'c' AND conname = 'no'")
    for number, value in enumerate(VALUES):
        row = f"INSERT INTO t (id, a) VALUES ({number}, {{}})"
        taken = _written(source, row.format(my_text(value)))
        if checked or taken:
            assert _written_too(target, row.format(pg_text(value))) == taken, value
    if postgres(target, "SELECT 1 FROM pg_attribute WHERE attgenerated = 's'"):
        rows = "SELECT id, c FROM t ORDER BY id"
        assert mysql(source, rows) == postgres(target, rows)
    missing = _compare(source, target, TEXTS)
    assert len(TEXTS) - len(missing) >= SAME.get(kind, 0)


def test_a_set_with_the_collation_of_its_source_is_compared(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    """Before PostgreSQL 18 no text of a nondeterministic collation is searched for a comma."""
    source, target = both_databases
    collation = mysql(source, "SELECT @@collation_database")[0][0]
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9), tags SET('a', 'B', 'c') NOT NULL)")
    mysql(source, "INSERT INTO t VALUES (1, 'x', 'a,c'), (2, 'X', ''), (3, 'y', 'B')")
    rules = f'[[type]]\nmatch = {{ collation = "{collation}" }}\ncollation = "source"\n'
    _migrated(source, target, [], rules, tmp_path)
    assert postgres(target, "SELECT id FROM t WHERE name = 'X' ORDER BY id") == [(1,), (2,)]
    postgres(target, "UPDATE t SET tags = '{b}' WHERE id = 3")
    ran = converge("verify", "--source", source, "--target", target, "--json")
    assert [one["key"] for one in ran.json["differences"]] == ["id=3"], ran.out + ran.err


def _migrated(source: str, target: str, views: list[str], rules: str, folder: Path) -> Ran:
    for number, select in enumerate(views):
        # Some texts have a collation that MySQL itself does not compare so.
        with suppress(pymysql.err.OperationalError):
            mysql(source, f"CREATE VIEW v{number} AS {select}")
    map_ = folder / "map.toml"
    map_.write_text(rules, "utf-8")
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    return ran


def _compare(source: str, target: str, views: list[str]) -> set[int]:
    """Asserts that views show the same rows in the same order; gives the places of those not migrated."""
    query = "SELECT table_name FROM information_schema.views WHERE table_schema = 'public'"
    there = {name for (name,) in postgres(target, query)}
    for number, select in enumerate(views):
        if f"v{number}" in there:
            here = [_plain(row) for row in mysql(source, f"SELECT * FROM v{number}")]
            got = [_plain(row) for row in postgres(target, f"SELECT * FROM v{number}")]
            sql = postgres(target, f"SELECT pg_get_viewdef('v{number}'::regclass)")
            assert got == here, (select, sql)
    return {number for number in range(len(views)) if f"v{number}" not in there}


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    shown = (one.decode() if isinstance(one, bytes) else one for one in row)
    return tuple(one if one is None else str(int(one) if isinstance(one, bool) else one) for one in shown)


def _written(source: str, sql: str) -> bool:
    try:
        mysql(source, sql)
    except pymysql.err.Error:
        return False
    return True


def _written_too(target: str, sql: str) -> bool:
    try:
        postgres(target, sql)
    except psycopg.errors.CheckViolation:
        return False
    return True
