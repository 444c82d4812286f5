"""Rows that only the target has, and what refers to them: they are back before foreign keys are checked."""

from __future__ import annotations

from pathlib import Path

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
