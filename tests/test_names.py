"""Names that converge makes, or that MySQL keeps apart, do not collide in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from conftest import NewDatabase
from support import converge, mysql, postgres
from test_load import written

from converge import sandbox
from converge.sandbox import Server

SOURCE = """
CREATE TABLE job (id INT PRIMARY KEY, run_at TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, v INT);
CREATE TABLE job_run (id INT PRIMARY KEY, at TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, v INT,
  kind ENUM('a', 'it''s') NOT NULL, KEY job_run_kind (kind), KEY a_pkey (v));
CREATE TABLE `job_run_kind` (id INT AUTO_INCREMENT PRIMARY KEY, KEY job (id));
CREATE TABLE a (id INT, b DECIMAL(5,2) UNSIGNED, kind ENUM('x', 'y'), PRIMARY KEY (id),
  UNIQUE KEY one (b), CONSTRAINT one FOREIGN KEY (id) REFERENCES job (id),
  UNIQUE KEY b_check (kind), KEY plain (v), v INT, CONSTRAINT plain FOREIGN KEY (v) REFERENCES job_run (id));
CREATE TABLE a_kind (id INT PRIMARY KEY, UNIQUE KEY a_pkey (id), UNIQUE KEY {long} (id));
INSERT INTO job VALUES (1, NULL, 1);
INSERT INTO job_run VALUES (1, NULL, 1, 'it''s');
INSERT INTO job_run_kind VALUES (7);
INSERT INTO a VALUES (1, 1.5, 'x', 1);
INSERT INTO a_kind VALUES (1);
CREATE VIEW v AS SELECT id FROM a
"""
CHECKS = """
ALTER TABLE a ADD CONSTRAINT one CHECK (b < 900), ADD CONSTRAINT b_check CHECK (b < 800)
"""
TABLES = "a, job, job_run, job_run_kind, a_kind"


def test_every_namespace(databases: tuple[str, str]) -> None:
    """One name for a key, a foreign key and a CHECK; functions, sequences, types, keys of converge."""
    source, target = databases
    mysql(source, SOURCE.format(long="u" * 64))
    mysql(source, CHECKS)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    said = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "P150"}
    assert said["a"].endswith("index b_check is a_b_check, index one is a_one, foreign key one is one_fkey")
    assert "u" * 64 in said["a_kind"]
    constraints = postgres(
        target,
        "SELECT conname::text, contype::text FROM pg_constraint WHERE conrelid = 'a'::regclass "
        "AND contype <> 'n' ORDER BY 1, 2",
    )
    assert constraints == [
        ("a_b_check", "u"), ("a_one", "u"), ("a_pkey", "p"), ("b_check", "c"), ("b_check_2", "c"),
        ("one", "c"), ("one_fkey", "f"), ("plain", "f"),
    ]  # fmt: skip
    postgres(target, "UPDATE job SET v = 2; UPDATE job_run SET v = 2")
    assert postgres(target, "SELECT count(run_at) FROM job UNION ALL SELECT count(at) FROM job_run") == [
        (1,),
        (1,),
    ]


def test_tables_that_were_dropped_by_hand(databases: tuple[str, str], tmp_path: Path) -> None:
    """What is left of an earlier run, its types and functions, is in nobody's way; what others made stays."""
    source, target = databases
    mysql(source, SOURCE.format(long="u" * 64))
    mysql(source, "CREATE TABLE c (id INT PRIMARY KEY, t VARCHAR(9)); INSERT INTO c VALUES (1, 'x')")
    map_ = tmp_path / "map.toml"
    map_.write_text('[[type]]\nmatch = { type = "varchar" }\nto = "text"\ncollation = "source"\n')
    addresses = ("--source", source, "--target", target, "--map", str(map_), "--json")
    assert converge("migrate", *addresses).code == 0
    names = "SELECT typname::text FROM pg_type WHERE typtype = 'e' ORDER BY 1"
    functions = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    before = postgres(target, names), postgres(target, functions)
    postgres(target, f"DROP TABLE {TABLES}, c CASCADE")
    again = converge("migrate", *addresses)
    assert (again.code, again.json["verdict"]) == (0, "verified"), again.err
    assert (postgres(target, names), postgres(target, functions)) == before
    assert "P151" in {one["code"] for one in again.json["findings"]}
    # Altered by hand, used by others, or made by others: no longer converge's.
    postgres(
        target,
        f"DROP TABLE {TABLES}, c CASCADE; ALTER TYPE job_run_kind_2 ADD VALUE 'mine'; "
        "CREATE TABLE theirs (k a_kind_2[]); "
        "CREATE OR REPLACE FUNCTION job_run_at_on_update() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN OLD; END'",
    )
    third = converge("migrate", *addresses)
    assert (third.code, third.json["verdict"]) == (0, "verified"), third.err
    assert set(postgres(target, names)) > set(before[0])
    assert set(postgres(target, functions)) > set(before[1])


def test_names_of_others(databases: tuple[str, str]) -> None:
    """Indexes, sequences, types and functions that are in the schema already, and of an extension."""
    source, target = databases
    mysql(source, SOURCE.format(long="u" * 64))
    postgres(
        target,
        "CREATE TABLE theirs (id int CONSTRAINT a_pkey PRIMARY KEY); CREATE SEQUENCE job_run_kind_id_seq; "
        "CREATE TYPE a_kind_2 AS ENUM ('z'); CREATE DOMAIN b_check AS text; CREATE TYPE a_one AS (x int); "
        "CREATE FUNCTION job_run_at_on_update() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    postgres(target, "SELECT job_run_at_on_update(), nextval('job_run_kind_id_seq')")
    assert postgres(target, "INSERT INTO job_run_kind DEFAULT VALUES RETURNING id") == [(8,)]


def test_a_tables_name_that_something_else_has(databases: tuple[str, str]) -> None:
    """Nothing is written, and what has the name is said."""
    source, target = databases
    mysql(
        source, "CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT); CREATE VIEW v AS SELECT 1 AS x"
    )
    postgres(
        target,
        "CREATE TYPE t AS ENUM ('z'); CREATE TABLE o (i int); CREATE INDEX u ON o (i); "
        "CREATE VIEW v AS SELECT",
    )
    ran = converge("migrate", "--source", source, "--target", target)
    assert (ran.code, "T005" in ran.err) == (3, True), ran.err
    for words in (
        "public.t is the name of a type",
        "public.u is the name of an index",
        "public.v is the name of a view",
    ):
        assert words in ran.err


LOWER = """
[[table]]
match = { table = "Q_*" }
names = "lower"

[[column]]
match = { table = "Q_ITEM", column = "KIND" }
rename = "Sort"
"""
UPPER = """
CREATE TABLE Q_ITEM (ID INT AUTO_INCREMENT PRIMARY KEY, KIND ENUM('a'), SIZE ENUM('b'),
  AT TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP, N DECIMAL(5,2) UNSIGNED,
  G DECIMAL(9,2) GENERATED ALWAYS AS (N * 2) VIRTUAL,
  UNIQUE KEY ONE (N), KEY LOG (SIZE), CONSTRAINT FEW CHECK (N < 5));
CREATE TABLE `LOG` (Id INT PRIMARY KEY, ITEM INT, KEY `Two` (ITEM),
  CONSTRAINT `Of` FOREIGN KEY (ITEM) REFERENCES Q_ITEM (ID));
CREATE TABLE Q_LINE (ID INT PRIMARY KEY, CONSTRAINT `Of_Log` FOREIGN KEY (ID) REFERENCES `LOG` (Id));
CREATE TABLE q_line (ID INT PRIMARY KEY);
CREATE VIEW V AS SELECT ID, KIND FROM Q_ITEM;
INSERT INTO Q_ITEM (KIND, SIZE, N) VALUES ('a', 'b', 1);
INSERT INTO `LOG` VALUES (1, 1);
"""


def test_names_in_lower_case(databases: tuple[str, str], tmp_path: Path) -> None:
    """All names of a table, and of no other; which of two gets a number is said."""
    source, target = databases
    mysql(source, UPPER)
    ran = converge(
        "migrate", "--source", source, "--target", target, "--map", written(tmp_path, LOWER), "--json"
    )
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    said = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] in ("P021", "P070")}
    assert said.keys() == {"Q_ITEM.KIND", "q_line"} and "q_line_2" in said["q_line"]
    names = postgres(
        target,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION "
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
        " UNION "
        "SELECT attname FROM pg_attribute WHERE attrelid = 'q_item'::regclass AND attnum > 0 UNION "
        "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e' UNION "
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    )
    assert sorted(name for (name,) in names) == [
        "LOG", "LOG_pkey", "Of", "Sort", "Two", "V", "at", "few", "g", "id", "log", "n", "n_check", "of_log",
        "one", "q_item", "q_item_at_on_update", "q_item_id_seq", "q_item_kind", "q_item_pkey", "q_item_size",
        "q_line", "q_line_2", "q_line_2_pkey", "q_line_pkey", "size",
    ]  # fmt: skip
    assert postgres(target, 'SELECT "ID", "KIND"::text FROM "V"') == [(1, "a")]


def test_a_database_in_the_server_s_own_case(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """With lower_case_table_names = 1 an address may spell it as it likes; foreign keys name it as it is."""
    target = new_postgres_database(postgres_175)
    with sandbox.start("mysql:8.0.33", settings={"mysql": {"lower_case_table_names": "1"}}) as (server,):
        source = server.create_database("shop").replace("/shop", "/Shop")
        mysql(
            source,
            "CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1), (2);"
            "CREATE TABLE audit (id INT PRIMARY KEY, user INT, FOREIGN KEY (user) REFERENCES users (id));"
            "CREATE TABLE named (user INT PRIMARY KEY, FOREIGN KEY (user) REFERENCES users (id));"
            "INSERT INTO audit VALUES (1, 1); INSERT INTO named VALUES (2)",
        )
        ends = ("--source", source, "--target", target)
        ran = converge("migrate", *ends, "--exclude", "audit", "--json")
        assert ran.code == 0 and "P040" not in {one["code"] for one in ran.json["findings"]}, ran.out
        query = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'named'::regclass"
        (keys,) = postgres(target, query)
        assert keys == (1,)
        assert converge("rollback", *ends, "--prepare").code == 0
        postgres(target, "TRUNCATE users CASCADE")
        # A row of a table that was left out would lose its parent.
        ran = converge("rollback", *ends, "--apply", "--yes")
        assert (ran.code, "error[V132]" in ran.err) == (4, True), ran.out + ran.err


def test_a_key_that_spells_its_parents_column_in_another_case(databases: tuple[str, str]) -> None:
    """The server keeps what was typed where the child is made first, as in a dump."""
    source, target = databases
    mysql(
        source,
        "SET foreign_key_checks = 0;"
        "CREATE TABLE child (id INT PRIMARY KEY, p BIGINT UNSIGNED NOT NULL, "
        "FOREIGN KEY (p) REFERENCES parent (p_id));"
        "CREATE TABLE parent (P_ID BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY);"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)",
    )
    ends = ("--source", source, "--target", target)
    for more in ((), ("--no-scan", "--recreate", "--yes")):
        ran = converge("migrate", *ends, *more, "--json")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        key = (
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
        )
        assert postgres(target, key) == [("child", "parent")]
        types = "SELECT DISTINCT data_type FROM information_schema.columns WHERE lower(column_name) ~ '^p'"
        assert postgres(target, f"{types} AND table_schema = 'public'") == [("bigint",)]
