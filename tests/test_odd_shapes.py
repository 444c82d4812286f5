"""Databases and tables with less in them than one expects: no table, no row, no column to copy."""

from __future__ import annotations

from conftest import NewDatabase
from support import Ran, converge, postgres
from support import mysql as run

from converge.sandbox import Server


def migrated(source: str, target: str, *options: str) -> Ran:
    ran = converge("migrate", "--source", source, "--target", target, "--yes", "--json", *options)
    assert ran.code == 0, ran.err
    return ran


def test_an_empty_database_is_said_to_be_one(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    ran = migrated(new_mysql_database(mysql_8015), new_postgres_database(postgres_175))
    assert ran.json["verdict"] == "verified"
    assert [finding["code"] for finding in ran.json["findings"]] == ["P083"]


def test_a_database_of_views_only(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    run(
        source, "CREATE VIEW one AS SELECT 1 AS n, 'x' AS word; CREATE VIEW two AS SELECT n + 1 AS m FROM one"
    )
    migrated(source, target)
    assert postgres(target, "SELECT n, word, m FROM one, two") == [(1, "x", 2)]


ONE_COLUMN = """
CREATE TABLE plain (v VARCHAR(10));
INSERT INTO plain VALUES ('a'), (NULL), (''), ('tab\\tline\\n'), ('\\\\N'), ('\\\\.'), (NULL);
CREATE TABLE numbers (n INT);
INSERT INTO numbers VALUES (1), (NULL), (1);
CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY);
INSERT INTO counted VALUES (3), (7);
CREATE TABLE computed (v INT AS (7) STORED);
INSERT INTO computed () VALUES (), (), ();
CREATE TABLE computed_key (v INT AS (40 + 2) STORED PRIMARY KEY);
INSERT INTO computed_key () VALUES ();
CREATE TABLE keyed (id INT PRIMARY KEY, twice INT AS (id * 2), word VARCHAR(9) AS (CONCAT('no ', id)) STORED);
INSERT INTO keyed (id) VALUES (1), (2);
CREATE TABLE none (v INT AS (1) VIRTUAL);
"""


def test_tables_of_one_column_or_of_none_to_copy(
    mysql_any: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_any), new_postgres_database(postgres_175)
    run(source, ONE_COLUMN)
    assert migrated(source, target).json["verdict"] == "verified"
    for table in ("plain", "numbers", "counted", "computed", "computed_key", "keyed", "none"):
        there = postgres(target, f"SELECT * FROM {table}")
        assert sorted(map(repr, there)) == sorted(map(repr, run(source, f"SELECT * FROM {table}"))), table
    assert postgres(target, "INSERT INTO counted DEFAULT VALUES RETURNING id") == [(8,)]
    postgres(target, "DELETE FROM counted WHERE id = 8")
    postgres(target, "INSERT INTO computed DEFAULT VALUES")
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert again.code == 1
    assert [difference["table"] for difference in again.json["differences"]] == ["computed"]


EVERY_TYPE = """
CREATE TABLE every (
  a TINYINT, b TINYINT(1), c SMALLINT UNSIGNED, d MEDIUMINT, e INT UNSIGNED, f BIGINT UNSIGNED ZEROFILL,
  g FLOAT, h DOUBLE, i DECIMAL(65,30), j BIT(1), k BIT(64), l YEAR, m DATE, n TIME(6), o DATETIME(3),
  p TIMESTAMP NULL, q CHAR(3), r VARCHAR(20) CHARACTER SET latin1, s TINYTEXT, t MEDIUMTEXT, u LONGTEXT,
  v BINARY(4), w VARBINARY(9), x TINYBLOB, y LONGBLOB, z JSON, aa ENUM('a','b'), ab SET('x','y'),
  ac GEOMETRY, ad POINT
)
"""


def test_no_rows_of_every_type(
    mysql_any: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_any), new_postgres_database(postgres_14)
    run(source, EVERY_TYPE)
    ran = migrated(source, target)
    assert ran.json["verdict"] == "verified"
    assert postgres(
        target, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 0"
    ) == [(30,)]
    run(source, "INSERT INTO every () VALUES ()")
    verified = converge("verify", "--source", source, "--target", target)
    assert verified.code == 1 and "next      `converge verify --repair --source " in verified.out
    migrated(source, target, "--recreate", "--yes")
    assert postgres(target, "SELECT every IS NULL FROM every") == [(True,)]
