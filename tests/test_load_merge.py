"""Rows that only the target has, and what refers to them: they are back before foreign keys are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import converge, mysql, postgres

OWN = """
CREATE TABLE role (id int PRIMARY KEY, name text);
CREATE TABLE member (id int PRIMARY KEY, role_id int NOT NULL REFERENCES role, elder int REFERENCES member);
CREATE TABLE outside (role_id int REFERENCES role);
INSERT INTO role VALUES (1, 'seeded'), (9, 'own');
INSERT INTO member VALUES (7, 9, 8), (8, 9, NULL);
INSERT INTO outside VALUES (9);
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''never''; END';
CREATE TRIGGER emptied BEFORE TRUNCATE ON role EXECUTE FUNCTION never();
CREATE TRIGGER filled BEFORE INSERT ON role EXECUTE FUNCTION never();
"""
MAP = """
[[table]]
match = { table = "*" }
rows = "merge"
[[target]]
match = { table = "outside" }
keep = true
"""


def test_rows_that_only_the_target_has_keep_what_refers_to_them(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE role (id INT PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1, 'one'), (2, 'two');"
        "CREATE TABLE member (id INT PRIMARY KEY, role_id INT NOT NULL, elder INT);"
        "INSERT INTO member VALUES (1, 2, 1)",
    )
    for part in OWN.split(";\n"):
        postgres(target, part)
    (tmp_path / "map.toml").write_text(MAP)
    ran = converge(
        "migrate", "--source", source, "--target", target, "--mode", "load", "--map",
        str(tmp_path / "map.toml"), "--json",
    )  # fmt: skip
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT * FROM role ORDER BY id") == [(1, "one"), (2, "two"), (9, "own")]
    assert postgres(target, "SELECT id FROM member ORDER BY id") == [(1,), (7,), (8,)]
    assert postgres(target, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'saved%%' AND relnamespace <> 11"
    assert postgres(target, left) == []


LARGE = """
CREATE TABLE role (id int PRIMARY KEY, name varchar(20), {key});
CREATE TABLE member (id int PRIMARY KEY, role_id int REFERENCES role);
CREATE TABLE badge (id int PRIMARY KEY, role_id int REFERENCES role);
INSERT INTO role SELECT n, 'own ' || n FROM generate_series(20001, 40000) AS n;
INSERT INTO role VALUES (50000, 'name 7');
"""


def large(source: str, target: str, key: str = "UNIQUE (name)") -> None:
    """Tables with more rows than are read one by one; one of the target's is displaced by another key."""
    mysql(
        source,
        "SET SESSION cte_max_recursion_depth = 100000;"
        "CREATE TABLE role (id INT PRIMARY KEY, name VARCHAR(20));"
        "INSERT INTO role WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 20100) "
        "SELECT n, CONCAT('name ', n) FROM r;"
        "CREATE TABLE member (id INT PRIMARY KEY, role_id INT); INSERT INTO member VALUES (1, 2);"
        "CREATE TABLE badge (id INT PRIMARY KEY, role_id INT)",
    )
    for part in LARGE.format(key=key).split(";\n"):
        postgres(target, part)


def test_a_merge_of_large_tables_is_compared_before(databases: tuple[str, str], tmp_path: Path) -> None:
    """All of it is known in the plan: what is equal, what goes, and what would have no parent then."""
    source, target = databases
    large(source, target)
    postgres(target, "INSERT INTO member VALUES (9, 50000)")
    postgres(target, "INSERT INTO badge VALUES (1, 50000), (2, 30000), (3, 20050)")
    (tmp_path / "map.toml").write_text(
        '[[table]]\nmatch = { table = "role" }\nrows = "merge"\n'
        '[[table]]\nmatch = { table = "member" }\nrows = "merge"\n'
        '[[table]]\nmatch = { table = "badge" }\nrows = "target"\n'
    )
    both = ("--source", source, "--target", target, "--mode", "load", "--map", str(tmp_path / "map.toml"))
    findings = converge("plan", *both, "--json").json["findings"]
    role = next(one for one in findings if (one["code"], one["object"]) == ("L011", "role"))
    assert (role["severity"], "more than 10,000 rows" in role["message"]) == ("lossy", True)
    assert role["evidence"] == (
        "by key: 0 equal, 100 differ, 20,000 only in the source, 19,901 only in the target, "
        "1 of them displaced by another unique key"
    )
    left = {one["object"]: one["message"] for one in findings if one["code"] == "L019"}
    assert {name: words.split()[0] for name, words in left.items()} == {
        "member_role_id_fkey": "1", "badge_role_id_fkey": "1",
    }  # fmt: skip
    assert converge("migrate", *both).code == 3
    assert postgres(target, "SELECT count(*) FROM role WHERE name LIKE 'own%%'") == [(20000,)]
    postgres(target, "DELETE FROM member; DELETE FROM badge WHERE id = 1")
    ran = converge("migrate", *both, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT count(*), sum(id) FROM role") == [(40000, 40000 * 40001 // 2)]
    assert converge("verify", *both[:4], "--json").json["verdict"] == "verified"


def test_a_merge_without_temporary_tables_is_refused(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    large(source, target)
    (tmp_path / "map.toml").write_text('[[table]]\nmatch = { table = "*" }\nrows = "merge"\n')
    postgres(target, "CREATE ROLE nobody_temporary LOGIN")
    try:
        name = target.rpartition("/")[2]
        postgres(target, f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        for table in ("role", "member", "badge"):
            postgres(target, f"ALTER TABLE {table} OWNER TO nobody_temporary")
        postgres(target, f"GRANT CREATE ON DATABASE {name} TO nobody_temporary")
        own = target.replace("postgres@", "nobody_temporary@")
        ran = converge(
            "plan", "--source", source, "--target", own, "--mode", "load", "--map",
            str(tmp_path / "map.toml"), "--json",
        )  # fmt: skip
        found = [one for one in ran.json["findings"] if one["code"] == "L030"]
        assert [(one["severity"], one["object"]) for one in found] == [("block", "role")], ran.err
    finally:
        for table in ("role", "member", "badge"):
            postgres(target, f"ALTER TABLE {table} OWNER TO postgres")
        postgres(target, "DROP OWNED BY nobody_temporary; DROP ROLE nobody_temporary")


def test_rows_that_only_the_server_knows_to_be_equal_are_displaced(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """A key over an expression and an exclusion constraint: no merge fails by them at its end."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE role (id INT PRIMARY KEY, name VARCHAR(20), slot INT);"
        "INSERT INTO role VALUES (1, 'one', 1), (2, 'two', 2);"
        "CREATE TABLE later (id INT PRIMARY KEY, name VARCHAR(20)); INSERT INTO later VALUES (1, 'one')",
    )
    for part in (
        "CREATE TABLE role (id int PRIMARY KEY, name varchar(20), slot int)",
        "ALTER TABLE role ADD EXCLUDE USING hash (slot WITH =)",
        "CREATE UNIQUE INDEX ON role (lower(name))",
        "INSERT INTO role VALUES (7, 'ONE', 7), (8, 'eight', 2), (9, 'nine', 9)",
        "CREATE TABLE later (id int PRIMARY KEY, name varchar(20) UNIQUE DEFERRABLE)",
        "INSERT INTO later VALUES (2, 'one'), (3, 'three')",
    ):
        postgres(target, part)
    (tmp_path / "map.toml").write_text('[[table]]\nmatch = { table = "*" }\nrows = "merge"\n')
    both = ("--source", source, "--target", target)
    ran = converge("migrate", *both, "--mode", "load", "--map", str(tmp_path / "map.toml"), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert {one["severity"] for one in ran.json["findings"] if one["code"] == "L011"} == {"lossy"}
    assert postgres(target, "SELECT id FROM role ORDER BY id") == [(1,), (2,), (9,)]
    assert postgres(target, "SELECT id FROM later ORDER BY id") == [(1,), (3,)]
    assert converge("verify", *both, "--json").json["verdict"] == "verified"


def test_a_merge_that_keeps_nothing_leaves_no_table(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE role (id INT PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1, 'one')")
    postgres(target, "CREATE TABLE role (id int PRIMARY KEY, name text); INSERT INTO role VALUES (1, 'own')")
    (tmp_path / "map.toml").write_text('[[table]]\nmatch = { table = "*" }\nrows = "merge"\n')
    both = ("--source", source, "--target", target)
    ran = converge("migrate", *both, "--mode", "load", "--map", str(tmp_path / "map.toml"), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    kept = "SELECT relname FROM pg_class WHERE relname LIKE 'kept%%' AND relnamespace <> 11"
    assert postgres(target, kept) == []
    assert converge("verify", *both, "--json").json["verdict"] == "verified"
    postgres(target, "INSERT INTO role VALUES (2, 'later')")
    assert converge("verify", *both, "--json").json["verdict"] == "differs"


def test_rows_that_are_merged_are_not_loaded_again(databases: tuple[str, str], tmp_path: Path) -> None:
    """A row of both sides goes in the source after the merge: the target's own would not come back."""
    source, target = databases
    rows = "CREATE TABLE role (id INT PRIMARY KEY, name VARCHAR(20)); INSERT INTO role VALUES (2, 'two'){}"
    mysql(source, rows.format(", (1, 'one')"))
    postgres(target, rows.format(", (9, 'nine')"))
    postgres(target, "CREATE TABLE gate (id int)")
    (tmp_path / "map.toml").write_text(
        '[[table]]\nmatch = { table = "*" }\nrows = "merge"\n'
        '[[hook]]\nphase = "after_finish"\nsql = "SELECT 1 / (SELECT count(*) FROM gate)"\n'
    )
    both = ("--source", source, "--target", target)
    ran = converge("migrate", *both, "--mode", "load", "--map", str(tmp_path / "map.toml"))
    assert ran.code == 5 and "division by zero" in ran.err, ran.err
    mysql(source, "DELETE FROM role WHERE id = 2")
    postgres(target, "INSERT INTO gate VALUES (1)")
    ran = converge("migrate", *both, "--resume")
    assert ran.code == 3 and "error[T019]" in ran.err, ran.err
    assert converge("recover", "--target", target, "--yes").code == 0
    assert postgres(target, "SELECT * FROM role ORDER BY id") == [(2, "two"), (9, "nine")]


@pytest.mark.parametrize("tables", ["category", "*"])
def test_truncate_leaves_rows_that_are_merged(
    databases: tuple[str, str], tmp_path: Path, tables: str
) -> None:
    source, target = databases
    make = (
        "CREATE TABLE category (id INT PRIMARY KEY, name VARCHAR(9)); CREATE TABLE item (id INT PRIMARY KEY);"
    )
    mysql(source, make + "INSERT INTO category VALUES (1, 'source'); INSERT INTO item VALUES (1)")
    postgres(target, make + "INSERT INTO category VALUES (1, 'target'), (900, 'seed')")
    postgres(target, "INSERT INTO item VALUES (7)")
    (tmp_path / "map.toml").write_text(f'[[table]]\nmatch = {{ table = "{tables}" }}\nrows = "merge"\n')
    how = ("--mode", "load", "--map", str(tmp_path / "map.toml"), "--source", source, "--target", target)
    asked = converge("migrate", *how, "--truncate")
    if tables == "category":
        assert asked.code == 2 and "item" in asked.err and "category" not in asked.err, asked.err
        ran = converge("migrate", *how, "--truncate", "--yes")
    else:  # nothing to remove, nothing to ask
        ran = asked
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT * FROM category ORDER BY 1") == [(1, "source"), (900, "seed")]
    assert postgres(target, "SELECT id FROM item ORDER BY 1") == [(1,)] + [(7,)] * (tables == "*")
