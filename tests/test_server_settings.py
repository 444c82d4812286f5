"""Settings of the servers change neither how many rows are read nor what their values are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support import converge, mysql, postgres

TABLES = """
CREATE TABLE a (id INT PRIMARY KEY, x INT, y INT);
INSERT INTO a VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4);
CREATE TABLE b (id INT PRIMARY KEY, aid INT, UNIQUE (aid), FOREIGN KEY (aid) REFERENCES a (id));
INSERT INTO b VALUES (1, 1), (2, 2);
CREATE TABLE c (id INT); INSERT INTO c VALUES (1), (2), (2);
CREATE PROCEDURE p1() SELECT 1; CREATE PROCEDURE p2() SELECT 1;
CREATE VIEW v AS SELECT id, x / 3 AS third, week('2024-01-01') AS w FROM a;
SET sql_generate_invisible_primary_key = 1; CREATE TABLE d (x INT); INSERT INTO d VALUES (1), (1)
"""
SETTINGS = {
    "sql_select_limit": "1", "max_join_size": "1", "sql_auto_is_null": "1", "div_precision_increment": "0",
    "default_week_format": "3", "completion_type": "2",
    "show_gipk_in_create_table_and_information_schema": "0",
}  # fmt: skip


@contextmanager
def settings(url: str, values: dict[str, str]) -> Iterator[None]:
    """The server's own, for a while."""
    before = {name: mysql(url, f"SELECT @@GLOBAL.{name}")[0][0] for name in values}
    try:
        for name, value in values.items():
            mysql(url, f"SET GLOBAL {name} = {value}")
        yield
    finally:
        for name, value in before.items():
            mysql(url, f"SET GLOBAL {name} = {value}")


def test_a_server_that_gives_few_rows_loses_none(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, TABLES)
    database = target.rpartition("/")[2]
    postgres(target, f"ALTER DATABASE {database} SET quote_all_identifiers = on")
    with settings(source, SETTINGS):
        ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    written = {one["source"]: one["rows_written"] for one in ran.json["tables"]}
    assert written == {"a": 4, "b": 2, "c": 3, "d": 2}
    assert postgres(target, "SELECT my_row_id, x FROM d ORDER BY 1") == [(1, 1), (2, 1)]
    assert {one["name"] for one in ran.json["not_migrated"]} == {"p1", "p2"}
    # The application's own sessions calculate otherwise.
    said = {one["message"].partition(":")[0] for one in ran.json["findings"] if one["code"] == "P169"}
    assert said == {"div_precision_increment = 0", "default_week_format = 3"}
    assert postgres(target, "SELECT third, w FROM v WHERE id = 1") == [
        (postgres(target, "SELECT 0.3333")[0][0], 0)
    ]
    # How the target spells names is no difference.
    postgres(target, f"ALTER DATABASE {database} RESET quote_all_identifiers")
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert again.json["verdict"] == "verified", again.out
