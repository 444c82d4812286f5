"""What applications' own schemas have shown of load mode: each a defect once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres
from test_load import found, load, plan, written


def blocks(source: str, target: str, *options: str) -> set[tuple[str, str]]:
    ran = plan(source, target, *options)
    return {(one["code"], one["object"]) for one in ran.json["findings"] if one["severity"] == "block"}


def test_a_sequence_that_is_named_in_a_text(databases: tuple[str, str]) -> None:
    """Roundcube: nothing in the catalog depends on it."""
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO a VALUES (5)")
    postgres(
        target, "CREATE SEQUENCE a_seq; CREATE TABLE a (id int PRIMARY KEY DEFAULT nextval('a_seq'::text))"
    )
    assert load(source, target).json["verdict"] == "verified"
    assert postgres(target, "SELECT nextval('a_seq')") == [(6,)]


def test_a_sequence_that_two_tables_share(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO a VALUES (50)")
    mysql(source, "CREATE TABLE b (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO b VALUES (7)")
    postgres(
        target,
        "CREATE SEQUENCE s; CREATE TABLE a (id int PRIMARY KEY DEFAULT nextval('s'));"
        "CREATE TABLE b (id int PRIMARY KEY DEFAULT nextval('s'))",
    )
    assert load(source, target).json["verdict"] == "verified"
    assert postgres(target, "SELECT nextval('s')") == [(51,)]


def test_an_auto_increment_without_a_sequence_is_said(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY)")
    assert [one["severity"] for one in found(plan(source, target), "L024")] == ["lossy"]


def test_a_parent_that_differs_by_case(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (k VARCHAR(9) PRIMARY KEY) COLLATE utf8mb4_general_ci; INSERT INTO p VALUES ('ABC');"
        "CREATE TABLE c (id INT PRIMARY KEY, k VARCHAR(9)) COLLATE utf8mb4_general_ci;"
        "INSERT INTO c VALUES (1, 'abc')",
    )
    postgres(
        target,
        "CREATE TABLE p (k varchar(9) PRIMARY KEY);"
        "CREATE TABLE c (id int PRIMARY KEY, k varchar(9) REFERENCES p)",
    )
    assert blocks(source, target) == {("V030", "c.c_k_fkey")}


def test_a_parent_that_is_left_out_and_empty(databases: tuple[str, str], tmp_path: Path) -> None:
    """Found by the plan: the key would refuse the rows when all is copied."""
    source, target = databases
    mysql(source, "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1)")
    mysql(source, "CREATE TABLE c (id INT PRIMARY KEY, p INT NOT NULL REFERENCES p(id))")
    mysql(source, "ALTER TABLE c ADD CONSTRAINT c_p_fkey FOREIGN KEY (p) REFERENCES p (id)")
    mysql(source, "INSERT INTO c VALUES (1, 1)")
    postgres(target, "CREATE TABLE p (id int PRIMARY KEY)")
    postgres(target, "CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p)")
    assert blocks(source, target) == set()
    assert blocks(source, target, "--include", "c") == {("L029", "c.c_p_fkey")}
    (finding,) = found(plan(source, target, "--include", "c"), "L029")
    map_ = written(tmp_path, finding["hint"].partition("\n")[2])
    assert blocks(source, target, "--include", "c", "--map", map_) == set()
    postgres(target, "INSERT INTO p VALUES (1)")
    assert load(source, target, "--include", "c").json["verdict"] == "verified"


EQUAL = {
    "cut": (
        "v VARCHAR(20) UNIQUE", "('abcdefgh1'), ('abcdefgh2')", "v varchar(8) UNIQUE", 'too_long = "cut"',
    ),
    "rounded": (
        "v DATETIME(6) UNIQUE", "('2024-01-01 00:00:00.1'), ('2024-01-01 00:00:00.2')",
        "v timestamp(0) UNIQUE", 'fraction = "cut"',
    ),
    "trimmed": (
        "v VARCHAR(9) COLLATE utf8mb4_bin", "('y'), ('y ')", "v char(9) UNIQUE", 'trailing_space = "trim"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EQUAL)
def test_values_that_a_policy_makes_equal(databases: tuple[str, str], tmp_path: Path, case: str) -> None:
    source, target = databases
    ours, values, theirs, policy = EQUAL[case]
    mysql(source, f"CREATE TABLE t ({ours}, id INT PRIMARY KEY AUTO_INCREMENT)")
    mysql(source, f"INSERT INTO t (v) VALUES {values}")
    postgres(target, f"CREATE TABLE t ({theirs}, id serial PRIMARY KEY)")
    map_ = written(
        tmp_path, f'[[column]]\nmatch = {{ table = "t", column = "v" }}\npolicy = {{ {policy} }}\n'
    )
    assert blocks(source, target, "--map", map_) == {("L007", "t.t_v_key")}


def test_seeds_with_other_ids_and_the_same_names_are_merged(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE role (id INT PRIMARY KEY, name VARCHAR(20))")
    mysql(source, "INSERT INTO role VALUES (1, 'admin'), (2, 'user')")
    postgres(
        target,
        "CREATE TABLE role (id int PRIMARY KEY, name varchar(20) UNIQUE);"
        "INSERT INTO role VALUES (10, 'user'), (11, 'guest'), (2, 'taken'), (12, NULL)",
    )
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "role" }\nrows = "merge"\n')
    ran = load(source, target, "--map", map_)
    assert ran.code == 0, ran.err
    rows = [(1, "admin"), (2, "user"), (11, "guest"), (12, None)]
    assert postgres(target, "SELECT * FROM role ORDER BY id") == rows


def test_seeds_that_a_partial_key_displaces(databases: tuple[str, str], tmp_path: Path) -> None:
    """Such a key is away during the load: what it would refuse must not come back."""
    source, target = databases
    mysql(source, "CREATE TABLE role (id INT PRIMARY KEY, name VARCHAR(20), gone INT NOT NULL)")
    mysql(source, "INSERT INTO role VALUES (1, 'admin', 0), (2, 'user', 1)")
    postgres(
        target,
        "CREATE TABLE role (id int PRIMARY KEY, name varchar(20), gone int NOT NULL);"
        "CREATE UNIQUE INDEX role_name ON role (name) WHERE gone = 0;"
        "INSERT INTO role VALUES (10, 'admin', 0), (11, 'admin', 1), (12, 'user', 0)",
    )
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "role" }\nrows = "merge"\n')
    ran = load(source, target, "--map", map_)
    assert ran.json["verdict"] == "verified", ran.err
    assert [one["severity"] for one in found(ran, "L011")] == ["lossy"]
    rows = [(1, "admin"), (2, "user"), (11, "admin"), (12, "user")]
    assert postgres(target, "SELECT id, name FROM role ORDER BY id") == rows


def test_rows_that_stay_and_refer_to_rows_that_go(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO u VALUES (1)")
    postgres(
        target,
        "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE audit (id int, u int REFERENCES u);"
        "INSERT INTO u VALUES (1), (9); INSERT INTO audit VALUES (1, 9), (2, 1)",
    )
    map_ = written(
        tmp_path,
        '[[table]]\nmatch = { table = "u" }\nrows = "source"\n'
        '[[target]]\nmatch = { table = "audit" }\nkeep = true\n',
    )
    assert blocks(source, target, "--map", map_) == {("L019", "audit_u_fkey")}


def test_a_key_that_a_loose_collation_makes_equal_is_asked_about(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) COLLATE utf8mb4_bin UNIQUE)")
    postgres(
        target,
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
        "CREATE TABLE t (id int PRIMARY KEY, v varchar(9) COLLATE ci UNIQUE)",
    )
    mysql(source, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    assert blocks(source, target) == set()
    mysql(source, "INSERT INTO t VALUES (3, 'Ä')")
    assert blocks(source, target) == {("L007", "t.t_v_key")}


def test_values_that_may_be_too_long_for_an_index(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source, "CREATE TABLE g (id INT PRIMARY KEY, v LONGTEXT); INSERT INTO g VALUES (1, REPEAT('x', 9000))"
    )
    postgres(target, "CREATE TABLE g (id int PRIMARY KEY, v text); CREATE INDEX long ON g (v)")
    assert [one["object"] for one in found(plan(source, target), "L026")] == ["g.long"]


def test_a_type_that_cannot_be_is_one_finding_with_a_way_out(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """MediaWiki: BINARY(14) that is a timestamp in the target."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT PRIMARY KEY, t BINARY(14)); INSERT INTO a VALUES (1, '20240229235959')",
    )
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY, t timestamptz)")
    assert blocks(source, target) == {("L003", "a.t")}
    said = converge("explain", "a.t", "--mode", "load", "--source", source, "--target", target)
    assert (said.code, said.out.startswith("a.t is not migrated\n  blocker  L003")) == (0, True), said.err
    hint = found(plan(source, target), "L003")[0]["hint"]
    assert load(source, target, "--map", written(tmp_path, hint)).json["verdict"] == "verified"
    assert postgres(target, "SELECT t::text FROM a") == [("2024-02-29 23:59:59+00",)]


def test_texts_that_are_booleans_in_the_target(databases: tuple[str, str], tmp_path: Path) -> None:
    """Quartz: '0' and '1'."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE j (id INT PRIMARY KEY, d VARCHAR(1) NOT NULL); INSERT INTO j VALUES (1, '0'), (2, '1')",
    )
    postgres(target, "CREATE TABLE j (id int PRIMARY KEY, d bool NOT NULL)")
    (finding,) = found(plan(source, target), "V041")
    assert "to =" not in finding["hint"]
    assert load(source, target, "--map", written(tmp_path, finding["hint"])).json["verdict"] == "verified"
    assert postgres(target, "SELECT d FROM j ORDER BY id") == [(False,), (True,)]


def test_times_without_a_zone_are_said_to_be_utc(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, at DATETIME)")
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, at timestamptz)")
    (finding,) = found(plan(source, target), "L025")
    assert "CONVERT_TZ" in finding["hint"]


def test_whole_numbers_are_said_to_be_microseconds(both_databases: tuple[str, str]) -> None:
    """As Django keeps a DurationField in MySQL. A day is 24 hours, so equal intervals are equal numbers."""
    source, target = both_databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, v BIGINT, u BIGINT UNSIGNED)")
    values = {1: 0, 2: 34560000000001, 3: -1500000, 4: -(2**63), 5: 2**63 - 1, 6: None, 7: 86399999999}
    for key, value in values.items():
        mysql(source, "INSERT INTO d VALUES (%s, %s, %s)", key, value, 2**64 - key)
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, v interval, u interval(6))")
    (finding,) = found(plan(source, target), "L033")
    assert "microseconds: v, u" in finding["message"] and 'using = "{} * 1000000"' in finding["hint"]
    ran = load(source, target)
    assert ran.json["verdict"] == "verified", ran.err
    asked = "SELECT id, round(extract(epoch FROM v) * 1000000), round(extract(epoch FROM u) * 1000000) FROM d"
    assert {key: (v, u) for key, v, u in postgres(target, asked)} == {
        key: (value, 2**64 - key) for key, value in values.items()
    }
    shown = postgres(target, "SELECT v::text FROM d WHERE id < 4 ORDER BY id")
    assert [text for (text,) in shown] == ["00:00:00", "400 days 00:00:00.000001", "-00:00:01.5"]
    postgres(target, "UPDATE d SET v = v + interval '1 microsecond' WHERE id = 2")
    again = converge("verify", "--source", source, "--target", target, "--json")
    (difference,) = again.json["differences"]
    assert (difference["column"], again.json["verdict"]) == ("v", "differs")


def test_whole_seconds_become_an_interval_by_a_map(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, v BIGINT)")
    mysql(source, "INSERT INTO d VALUES (1, 90061), (2, 34560000), (3, NULL)")
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, v interval)")
    map_ = written(tmp_path, '[[column]]\nmatch = { column = "v" }\nusing = "{} * 1000000"\n')
    ran = load(source, target, "--map", map_)
    assert ran.json["verdict"] == "verified", ran.err
    rows = postgres(target, "SELECT v::text FROM d ORDER BY id")
    assert rows == [("1 day 01:01:01",), ("400 days",), (None,)]


def test_points_in_time_without_a_zone_are_said_to_be_utc(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, at TIMESTAMP NULL, p TIMESTAMP NULL, day DATETIME)")
    mysql(source, "SET time_zone = '+02:00'; INSERT INTO d VALUES (1, '2025-07-01 12:00', NULL, NULL)")
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, at timestamp, p timestamptz, day timestamp)")
    (finding,) = found(plan(source, target), "L034")
    assert finding["object"] == "d" and finding["message"].endswith(": at")
    map_ = written(tmp_path, finding["hint"].replace("Europe/Amsterdam", "+02:00"))
    ran = load(source, target, "--map", map_)
    assert (ran.json["verdict"], found(ran, "L034")) == ("verified", []), ran.err
    assert postgres(target, "SELECT at::text FROM d") == [("2025-07-01 12:00:00",)]


def test_a_text_that_is_parsed_loses_its_spelling(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, v TEXT)")
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, v jsonb)")
    assert [one["severity"] for one in found(plan(source, target), "L027")] == ["lossy"]


def test_a_type_in_a_map_is_said_to_count_for_nothing(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE d (id INT PRIMARY KEY, v INT)")
    postgres(target, "CREATE TABLE d (id int PRIMARY KEY, v int)")
    map_ = written(tmp_path, '[[column]]\nmatch = { table = "d", column = "v" }\nto = "bigint"\n')
    assert [one["object"] for one in found(plan(source, target, "--map", map_), "L028")] == ["d.v"]


def test_what_a_map_leaves_out_is_a_loss(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, t INT); INSERT INTO a VALUES (1, 2)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY)")
    map_ = written(tmp_path, '[[column]]\nmatch = { table = "a", column = "t" }\nskip = true\n')
    assert [one["severity"] for one in found(plan(source, target, "--map", map_), "P027")] == ["lossy"]


def test_a_hint_for_nulls_can_be_pasted(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE n (id INT PRIMARY KEY, t VARCHAR(9)); INSERT INTO n VALUES (1, NULL)")
    postgres(target, "CREATE TABLE n (id int PRIMARY KEY, t varchar(9) NOT NULL DEFAULT 'other')")
    hint = found(plan(source, target), "L006")[0]["hint"]
    assert load(source, target, "--map", written(tmp_path, hint)).json["verdict"] == "verified"
    assert postgres(target, "SELECT t FROM n") == [("other",)]


def test_a_null_for_a_not_null_target_is_not_too_long(databases: tuple[str, str]) -> None:
    """Found with Mattermost's PropertyValues."""
    source, target = databases
    mysql(source, "CREATE TABLE n (id INT PRIMARY KEY, doc JSON, scan LONGBLOB)")
    mysql(source, "INSERT INTO n (id) VALUES (1)")
    postgres(target, "CREATE TABLE n (id int PRIMARY KEY, doc jsonb NOT NULL, scan bytea NOT NULL)")
    findings = plan(source, target).json["findings"]
    blocks = {(one["code"], one["object"]) for one in findings if one["severity"] == "block"}
    assert blocks == {("L006", "n.doc"), ("L006", "n.scan")}


def test_materialized_views_are_refreshed(databases: tuple[str, str]) -> None:
    """Each after those that it reads, of another schema too; one without rows, or of other tables, stays."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE SCHEMA other; CREATE TABLE other.kept (id int); "
        "CREATE VIEW v AS SELECT id FROM t; CREATE MATERIALIZED VIEW z AS SELECT id FROM v; "
        "CREATE MATERIALIZED VIEW other.a AS SELECT count(*) AS n FROM z; "
        "CREATE MATERIALIZED VIEW empty AS SELECT id FROM t WITH NO DATA; "
        "CREATE MATERIALIZED VIEW apart AS SELECT count(*) AS n FROM other.kept; "
        "INSERT INTO other.kept VALUES (1)",
    )
    ran = load(source, target, "--json")
    assert ran.json["verdict"] == "verified", ran.err
    assert [one["object"] for one in ran.json["findings"] if one["code"] == "L150"] == ["public.z", "other.a"]
    assert postgres(target, "SELECT a.n, apart.n FROM other.a, apart") == [(2, 0)]


def test_functions_of_the_target_find_what_they_call(databases: tuple[str, str], tmp_path: Path) -> None:
    """By the role's own search_path, as in the application: on each way that rows take into the table."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, title VARCHAR(9) NOT NULL); INSERT INTO t VALUES (1, 'New')",
    )
    postgres(
        target,
        "CREATE FUNCTION g(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'; "
        "CREATE FUNCTION slug(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT g($1)'; "
        "CREATE DOMAIN word AS text CHECK (slug(VALUE) <> 'never'); "
        "CREATE TABLE t (id int PRIMARY KEY, title word NOT NULL CHECK (slug(title) <> 'no'), "
        "slug text GENERATED ALWAYS AS (slug(title)) STORED); "
        "INSERT INTO t VALUES (1, 'Old'), (9, 'Mine')",
    )
    keeps = '[[target]]\nmatch = { table = "t", column = "slug" }\nkeep = true\n'
    merge = keeps + '[[table]]\nmatch = { table = "t" }\nrows = "merge"\n'
    fails = f'{merge}[[hook]]\nphase = "after_copy"\nsql = "SELECT 1/0"\n'
    ran = load(source, target, "--map", written(tmp_path, fails))
    assert "division by zero" in ran.err, ran.err
    ran = converge("recover", "--yes", "--target", target)
    assert ran.code == 0, ran.err
    rows = "SELECT id, title, slug FROM t ORDER BY id"
    assert postgres(target, rows) == [(1, "Old", "old"), (9, "Mine", "mine")]
    ran = load(source, target, "--map", written(tmp_path, merge), "--max-rejects", "1")
    assert ran.json["verdict"] == "verified", ran.err
    assert postgres(target, rows) == [(1, "New", "new"), (9, "Mine", "mine")]
    mysql(source, "UPDATE t SET title = 'Newer'")
    ran = converge("sync", "--source", source, "--target", target)
    assert postgres(target, rows) == [(1, "Newer", "newer"), (9, "Mine", "mine")], ran.err
    load(source, target, "--map", written(tmp_path, keeps), "--truncate", "--yes")
    mysql(source, "UPDATE t SET title = 'Newest'")
    ran = converge("follow", "--source", source, "--target", target, "--once")
    assert postgres(target, rows) == [(1, "Newest", "newest")], ran.err


@pytest.mark.parametrize("state", ["45000", "P0001", "42501"])
def test_functions_of_the_target_may_refuse_a_row_with_any_sqlstate(
    databases: tuple[str, str], state: str
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
    postgres(
        target,
        "CREATE FUNCTION fits(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF $1 = 2 THEN "
        f"RAISE 'not this one' USING ERRCODE = '{state}'; END IF; RETURN true; END $$; "
        "CREATE TABLE t (id int PRIMARY KEY CHECK (fits(id)))",
    )
    ran = load(source, target)
    assert ran.code == 5 and "not this one" in ran.err and "--on-bad-row reject" in ran.err, ran.err
    assert "None" not in ran.err
    assert converge("recover", "--yes", "--target", target).code == 0
    ran = load(source, target, "--on-bad-row", "reject", "--json")
    assert [(one["key"], one["sqlstate"]) for one in ran.json["rejects"]] == [("id=2", state)], ran.err
    assert postgres(target, "SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_a_materialized_view_that_cannot_be_refreshed_is_said(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE MATERIALIZED VIEW empty AS SELECT id FROM t; "
        "CREATE MATERIALIZED VIEW over_it AS SELECT id FROM empty; "
        "REFRESH MATERIALIZED VIEW empty WITH NO DATA",
    )
    ran = load(source, target)
    assert ran.json["verdict"] == "verified", ran.err
    assert "has not been populated" in found(ran, "P052")[0]["message"]


def test_what_the_target_refuses_is_found_by_the_plan_or_said(databases: tuple[str, str]) -> None:
    """MATCH FULL is asked about; casts that change values, and exclusion constraints, are left to COPY."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (a INT, b INT, PRIMARY KEY (a, b)); INSERT INTO p VALUES (1, 1);"
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, d DECIMAL(10,2), "
        "FOREIGN KEY (a, b) REFERENCES p (a, b));"
        "INSERT INTO t VALUES (1, 1, NULL, 1.5), (2, 7, NULL, 2), (3, NULL, NULL, 3), (4, 1, 1, 4)",
    )
    postgres(
        target,
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); "
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int, d numeric(10,2), "
        "CHECK (d::int <> 9), CONSTRAINT lone EXCLUDE USING btree (d WITH =), "
        "FOREIGN KEY (a, b) REFERENCES p (a, b) MATCH FULL);"
        "CREATE UNIQUE INDEX once ON t (a) WHERE d::int = 2",
    )
    ran = plan(source, target)
    (key,) = found(ran, "L019")
    assert (key["object"], key["evidence"]) == ("t.t_a_b_fkey", "rows id 1, 2")
    (noted,) = found(ran, "L013")
    assert "(d)::integer <> 9" in noted["message"] and "EXCLUDE USING btree (d WITH =)" in noted["message"]
    assert "t.once" in {one["object"] for one in found(ran, "L012")}


def test_keys_of_a_nondeterministic_collation_are_merged(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source, "CREATE TABLE p (id VARCHAR(10) PRIMARY KEY, x INT); INSERT INTO p VALUES ('a', 1), ('b', 2)"
    )
    postgres(
        target,
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE p (id varchar(10) COLLATE ci PRIMARY KEY, x int); INSERT INTO p VALUES ('C', 9)",
    )
    merged = written(tmp_path, '[[table]]\nmatch = { table = "p" }\nrows = "merge"\n')
    assert load(source, target, "--map", merged).json["verdict"] == "verified"
    assert postgres(target, "SELECT id FROM p ORDER BY id") == [("a",), ("b",), ("C",)]


def test_only_a_default_that_is_the_next_value_is_numbering(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT); INSERT INTO a VALUES (5)")
    postgres(target, "CREATE SEQUENCE z; CREATE TABLE a (id int PRIMARY KEY DEFAULT nextval('z') + 1)")
    assert len(found(plan(source, target), "L024")) == 1
    postgres(target, "ALTER TABLE a ALTER id SET DEFAULT nextval('z'); ALTER SEQUENCE z MAXVALUE 3 CYCLE")
    ran = load(source, target)
    assert (ran.json["verdict"], len(found(ran, "P158"))) == ("verified", 1)
    # What the run itself has declared is no difference.
    assert converge("verify", "--source", source, "--target", target, "--json").json["verdict"] == "verified"


def test_a_unique_key_that_ignores_case_is_asked_about(databases: tuple[str, str]) -> None:
    """Devise's index on lower(email), of rows that are not deleted, too; other expressions are not asked."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE u (id INT PRIMARY KEY, org INT, email VARCHAR(50), nick CHAR(9), gone DATETIME) "
        "COLLATE utf8mb4_bin; INSERT INTO u VALUES (1, 1, 'É@x.org', 'a', NULL), "
        "(2, 1, 'é@X.org', 'A', NULL), (3, 2, 'é@x.org', NULL, '2024-01-01'), (4, 1, NULL, NULL, NULL), "
        "(5, 1, NULL, NULL, NULL)",
    )
    postgres(
        target,
        "CREATE TABLE u (id int PRIMARY KEY, org int, email varchar(50), nick text, gone timestamp);"
        "CREATE UNIQUE INDEX whole ON u (lower(email)); CREATE UNIQUE INDEX nicks ON u (org, upper(nick));"
        "CREATE UNIQUE INDEX live ON u (org, lower(email)) WHERE gone IS NULL;"
        "CREATE UNIQUE INDEX dead ON u (lower(email)) WHERE gone IS NOT NULL;"
        "CREATE UNIQUE INDEX other ON u (lower(btrim(email)))",
    )
    ran = plan(source, target)
    assert {one["object"]: one["evidence"] for one in found(ran, "L007")} == {
        "u.whole": "rows id 1, 2, 3", "u.nicks": "rows id 1, 2", "u.live": "rows id 1, 2",
    }  # fmt: skip
    assert [one["message"] for one in found(ran, "L007") if one["object"] == "u.live"] == [
        "2 rows have the same org, lower(email) as others, which the target's unique key refuses"
    ]
    assert [one["object"] for one in found(ran, "L012")] == ["u.other"]
    mysql(source, "UPDATE u SET email = id, nick = id WHERE email IS NOT NULL")
    postgres(target, "DROP INDEX other")
    ran = load(source, target)
    assert (ran.json["verdict"], found(ran, "L012")) == ("verified", [])


def test_letters_of_which_the_target_knows_one_case(databases: tuple[str, str]) -> None:
    """With LC_CTYPE C, lower() and citext change ASCII letters alone: É and é are two letters of a unique
    index. Of a text the column's own collation decides."""
    source, target = databases[0], f"{databases[1]}_c"
    name = target.rpartition("/")[2]
    mysql(
        source,
        "CREATE TABLE u (id INT PRIMARY KEY, name VARCHAR(9), code VARCHAR(9), kind VARCHAR(9)) "
        "COLLATE utf8mb4_bin; INSERT INTO u VALUES (1, 'Émile', 'É', 'é'), (2, 'émile', 'é', 'É'), "
        "(3, 'a', 'a', 'a'), (4, 'A', 'A', 'b'), (5, 'ÉMILE', 'x', 'c')",
    )
    own = (
        "CREATE TABLE u (id int PRIMARY KEY, name text COLLATE {}, code citext UNIQUE, kind text COLLATE {});"
        "CREATE UNIQUE INDEX one ON u (lower(name)); CREATE UNIQUE INDEX two ON u (upper(kind))"
    )
    postgres(databases[1], f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING 'UTF8'")
    try:
        postgres(target, "CREATE EXTENSION citext;" + own.format('"default"', '"und-x-icu"'))
        postgres(databases[1], "CREATE EXTENSION citext;" + own.format('"C"', '"default"'))
        few, all_ = "rows id 3, 4", "rows id 1, 2, 3, 4"
        for to, codes in ((target, few), (databases[1], all_)):
            ran = plan(source, to)
            assert {one["object"]: one["evidence"] for one in found(ran, "L007")} == {
                "u.one": "rows id 1, 3, 4, 5", "u.u_code_key": codes, "u.two": "rows id 1, 2",
            }  # fmt: skip
        mysql(source, "DELETE FROM u WHERE id > 3; UPDATE u SET kind = id")
        assert load(source, target).json["verdict"] == "verified"
    finally:
        postgres(databases[1], f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    ("source_key", "target_key", "serves"),
    [
        ("(LOWER(name))", "lower(name)", True),
        ("(LOWER(name)), n", "n, lower(name)", True),
        ("(UPPER(name))", "upper(name)", True),
        ("(LOWER(name))", "upper(name)", False),
        ("(LOWER(name))", "lower(name), n", False),
        ("(LOWER(name))", "lower(name)) WHERE (n > 0", False),
        ("(LOWER(name))", "lower(more)", False),
        ("(LOWER(name))", "lower(left(name, 2))", False),
        ("name, (LOWER(LEFT(more, 5)))", "lower(name)", True),
    ],
)
def test_lower_of_a_column_is_compared(
    databases: tuple[str, str], source_key: str, target_key: str, serves: bool
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), more VARCHAR(9), n INT, "
        f"UNIQUE once ({source_key}))",
    )
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), more text, n int)")
    postgres(target, f"CREATE UNIQUE INDEX once ON t ({target_key})")
    assert [one["object"] for one in found(plan(source, target), "L017")] == ([] if serves else ["t.once"])


def test_a_sequence_of_another_role_is_met_before_the_rows(databases: tuple[str, str]) -> None:
    """Numbers may be drawn from it, which is not enough to set it behind the rows."""
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO film VALUES (7)")
    role = f"{target.rpartition('/')[2]}_loader"
    postgres(
        target,
        "CREATE SEQUENCE numbers; CREATE TABLE film (id int PRIMARY KEY DEFAULT nextval('numbers'));"
        f"CREATE ROLE {role} LOGIN; ALTER TABLE film OWNER TO {role};"
        f"GRANT USAGE ON SEQUENCE numbers TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role};"
        f"GRANT CREATE ON DATABASE {target.rpartition('/')[2]} TO {role}",
    )
    limited = target.replace("postgres@", f"{role}@")
    try:
        for grant in (f"GRANT SELECT ON SEQUENCE numbers TO {role}", None):
            (finding,) = found(plan(source, limited), "T004")
            assert (finding["object"], finding["severity"]) == ("film.id", "block")
            postgres(target, grant or finding["hint"])
        ran = load(source, limited)
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out + ran.err
        assert postgres(target, "SELECT nextval('numbers')") == [(8,)]
    finally:
        postgres(target, f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")
