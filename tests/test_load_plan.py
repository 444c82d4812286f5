"""What would stop a load at its end, or would be said without need: the plan says it, or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres
from test_load import found, load, plan, shape, written
from test_load_field import blocks
from test_load_values import columns

from converge.errors import UsageError
from converge.mapping.using import expression


def test_an_index_that_would_be_printed_in_other_words_stays(databases: tuple[str, str]) -> None:
    """`IN` over varchar: the server reads what it has printed as other casts."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, status VARCHAR(20) NOT NULL, n INT)")
    mysql(source, "INSERT INTO t VALUES (1, 'open', 1), (2, 'done', 3)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, status varchar(20) NOT NULL, n int);"
        "CREATE INDEX many ON t (n) WHERE status IN ('open', 'waiting');"
        "CREATE UNIQUE INDEX \"one ON it\" ON t (n, (status IN ('open', 'waiting')));"
        "CREATE INDEX plain ON t (lower(status)) WHERE n > 0 AND status = 'open'; CREATE INDEX n ON t (n)",
    )
    before = shape(target)
    assert {one["object"] for one in found(plan(source, target), "L014")} == {"t.many", "t.one ON it"}
    ran = load(source, target)
    assert (ran.json["verdict"], found(ran, "L050")) == ("verified", []), ran.err
    assert shape(target) == before


def test_a_role_that_may_not_try_indexes(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX few ON t (n) WHERE n > 0;"
        "CREATE ROLE no_temp LOGIN; ALTER TABLE t OWNER TO no_temp; CREATE SCHEMA converge AUTHORIZATION "
        "no_temp; DO $$ BEGIN EXECUTE format('REVOKE TEMP ON DATABASE %I FROM public', current_database()); "
        "EXECUTE format('GRANT CREATE ON DATABASE %I TO no_temp', current_database()); END $$",
    )
    try:
        role = target.replace("postgres@", "no_temp@")
        assert [one["object"] for one in found(plan(source, role), "L014")] == ["t.few"]
    finally:
        postgres(target, "DROP OWNED BY no_temp; DROP ROLE no_temp")


def test_what_only_the_target_has_is_a_note_where_it_is_empty(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE empty (id int); CREATE TABLE full_ (id int);"
        "INSERT INTO full_ VALUES (1); CREATE TABLE parts (id int) PARTITION BY LIST (id);"
        'CREATE TABLE "DATABASECHANGELOG" (id int); INSERT INTO "DATABASECHANGELOG" VALUES (1)',
    )
    told = {one["object"]: one["severity"] for one in found(plan(source, target), "L004")}
    assert told == {"empty": "note", "full_": "block", "parts": "block", "DATABASECHANGELOG": "note"}


def test_a_key_over_a_column_without_a_conversion_blocks(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id BINARY(16) PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, x BINARY(16), "
        "UNIQUE (x), FOREIGN KEY (x) REFERENCES p (id)); INSERT INTO p VALUES ('1');"
        "INSERT INTO c VALUES (1, '1')",
    )
    postgres(
        target,
        "CREATE TABLE p (id macaddr PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY, x macaddr UNIQUE REFERENCES p (id))",
    )
    assert blocks(source, target) == {
        ("L003", "p.id"), ("L003", "c.x"), ("P004", "p"), ("L029", "c.c_x_fkey")
    }  # fmt: skip


def test_two_tables_for_one_of_the_target(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    for name in "ab":
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY)")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "b" }\nrename = "a"\n')
    assert blocks(source, target, "--map", map_) == {("L160", "b")}


def test_a_table_whose_rows_stay_asks_for_nothing(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, gone INT, other BINARY(3), n INT)")
    mysql(source, "INSERT INTO t VALUES (1, 1, 'abc', NULL)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, other inet, n int NOT NULL, more int NOT NULL);"
                     "INSERT INTO t VALUES (1, NULL, 1, 1)")  # fmt: skip
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "t" }\nrows = "target"\n')
    assert blocks(source, target, "--map", map_) == set()
    assert load(source, target, "--map", map_).code == 0
    assert postgres(target, "SELECT n, more FROM t") == [(1, 1)]


def test_one_cause_is_one_finding(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, a DATETIME, b DATETIME, c INT, d INT, e INT, f INT)")
    postgres(
        target,
        "CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE TABLE t (id int PRIMARY KEY, a timestamptz, "
        "b timestamptz, c small, d small, e int GENERATED ALWAYS AS (id + 1) STORED, "
        "f int GENERATED ALWAYS AS (id + 2) STORED)",
    )
    findings = plan(source, target).json["findings"]
    told = {one["code"]: one["message"] for one in findings if one["code"] in ("L015", "L016", "L025")}
    assert [one["object"] for one in findings if one["code"] in told] == ["t"] * 3
    assert all(text in told["L025"] for text in ("a", "b"))
    assert "c (public.small over integer), d (public.small over integer)" in told["L016"]
    assert told["L015"].endswith("e, f")


def test_a_weaker_target_is_a_loss(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, n INT UNIQUE, p INT, "
        "FOREIGN KEY (p) REFERENCES p (id))",
    )
    postgres(target, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, n int, p int)")
    findings = plan(source, target).json["findings"]
    assert {one["severity"] for one in findings if one["code"] in ("L017", "L018")} == {"lossy"}


def test_the_counter_that_the_application_asks_is_named(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (41)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY); CREATE SEQUENCE t_seq")
    (finding,) = found(plan(source, target), "L024")
    postgres(target, finding["hint"])
    assert postgres(target, "SELECT nextval('t_seq')") == [(42,)]


def test_functions_that_are_also_statements(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9), c INT)")
    mysql(source, "INSERT INTO t VALUES (1, 'abc', 'abc', 4)")
    ways = {"a": "REPLACE({}, 'a', 'b')", "b": "insert ({}, 1, 1, 'x')", "c": "({}) + (1)"}
    map_ = columns(tmp_path, ways)
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT a, b, c FROM t") == [("bbc", "xbc", 5)]
    for using in (
        "1) UNION SELECT (2",
        "1), (2",
        "1) FROM t WHERE (1",
        "1) INTO OUTFILE ('/x'",
        "REPLACE INTO t",
    ):
        with pytest.raises(UsageError):
            expression(using, "c")
