"""`verify --repair`: what differs is replaced in one transaction, and nothing of others goes unasked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from judge import compare
from support import Ran, converge, mysql, postgres

from converge.sandbox import Server

SOURCE = """
CREATE TABLE parent (
    id INT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, above INT, body TEXT, doc JSON,
    size INT AS (CHAR_LENGTH(body)) STORED, changed TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP,
    FOREIGN KEY (above) REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE child (
    parent_id INT NOT NULL, `Number` INT, bits BIT(5), raw VARBINARY(9), PRIMARY KEY (parent_id, `Number`),
    FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE keyless (number INT, body VARCHAR(200));
CREATE TABLE still (id INT PRIMARY KEY, doc JSON);
CREATE TRIGGER shout BEFORE INSERT ON parent FOR EACH ROW SET NEW.body = UPPER(NEW.body);
INSERT INTO parent (id, code, above, body, doc, changed) VALUES
    (1, 'a', NULL, 'tab\\there', '{"a": 1e300}', '2001-01-01'), (2, 'b', 1, NULL, NULL, NULL),
    (3, 'c', 2, 'x\\ny', '[]', NULL), (4, 'd', NULL, '\\\\N', 'null', NULL);
UPDATE parent SET body = LOWER(body), changed = '2002-02-02 02:02:02';
INSERT INTO child VALUES (1, 1, b'10101', 0x00FF), (2, 1, NULL, ''), (3, 7, b'1', NULL);
INSERT INTO keyless VALUES (1, 'one'), (1, 'one'), (1, 'one'), (2, NULL), (NULL, NULL);
INSERT INTO still VALUES (1, '{"z": 1.0, "b": 2}');
"""
MOVES = """
UPDATE parent SET code = 'x' WHERE id = 1;
UPDATE parent SET code = 'a' WHERE id = 2;
UPDATE parent SET code = 'b', body = 'new' WHERE id = 1;
SET FOREIGN_KEY_CHECKS = 0;
UPDATE child SET parent_id = 4 WHERE parent_id = 3;
UPDATE parent SET id = 30, above = 4 WHERE id = 3;
SET FOREIGN_KEY_CHECKS = 1;
INSERT INTO parent (id, code, above, body) VALUES (500, 'it''s', 30, 'emoji \\U0001f600');
INSERT INTO child VALUES (500, -1, b'0', 0x5C0A);
DELETE FROM child WHERE parent_id = 1;
DELETE FROM keyless WHERE number = 1 LIMIT 2;
INSERT INTO keyless VALUES (2, NULL), (7, 'seven');
""".replace("\\U0001f600", "\U0001f600")
PLANTED = (
    "UPDATE parent SET body = 'planted', doc = '{}' WHERE id = 4",
    "DELETE FROM keyless WHERE number IS NULL",
    "UPDATE child SET bits = B'00000', raw = '\\x01' WHERE parent_id = 2",
)


def verify(ends: tuple[str, str], *more: str) -> Ran:
    return converge("verify", "--source", ends[0], "--target", ends[1], "--json", *more)


def _found(ran: Ran, code: str) -> dict[str, str]:
    found: dict[str, str]
    (found,) = (one for one in ran.json["findings"] if one["code"] == code)
    return found


@pytest.fixture
def pair(databases: tuple[str, str]) -> tuple[str, str]:
    """A verified run, after which both sides have changed."""
    source, target = databases
    mysql(source, SOURCE)
    ran = converge("migrate", "--source", source, "--target", target)
    assert ran.code == 0, ran.err
    mysql(source, MOVES)
    for statement in PLANTED:
        postgres(target, f"SET session_replication_role = replica; {statement}")
    return databases


def test_rows_of_all_kinds_are_replaced(pair: tuple[str, str]) -> None:
    source, target = pair
    still = postgres(target, "SELECT xmin::text FROM still")
    refused = verify(pair, "--repair")
    assert (refused.code, "U181" in refused.err) == (2, True), refused.err
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    assert _found(ran, "V118")["evidence"] == (
        "child: 2 inserted, 1 replaced, 2 deleted; keyless: 3 inserted, 2 deleted; "
        "parent: 2 inserted, 3 replaced, 1 deleted"
    )
    judged = compare(source, target)
    assert judged.equal, str(judged)
    assert postgres(target, "SELECT xmin::text FROM still") == still
    # What was away is back: keys, triggers, and the next value.
    assert verify(pair).json["verdict"] == "verified"
    query = "INSERT INTO parent (code, body) VALUES ('next', 'low') RETURNING id, body"
    assert postgres(target, query) == [(501, "LOW")]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        postgres(target, "INSERT INTO child VALUES (77, 1)")
    # Rows that a repair has written are the run's, for a later repair and for sync.
    mysql(source, "DELETE FROM parent WHERE id = 500")
    postgres(target, "DELETE FROM parent WHERE code = 'next'")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    mysql(source, "UPDATE parent SET body = 'sync' WHERE id = 4")
    ran = converge("sync", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out


def test_a_script_does_the_same(pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    file = tmp_path / "repair.sql"
    ran = verify(pair, "--repair", "--sql", str(file))
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out
    assert _found(ran, "V118")["message"].startswith("to be repaired: 3 tables")
    assert postgres(target, "SELECT body FROM parent WHERE id = 4") == [("planted",)]
    subprocess.run(["psql", "-qX", "-d", target, "-f", file], check=True, stdout=subprocess.DEVNULL)
    assert verify(pair).json["verdict"] == "verified"
    judged = compare(source, target)
    assert judged.equal, str(judged)


def test_rows_of_others_stay_unless_named(pair: tuple[str, str]) -> None:
    _, target = pair
    postgres(target, "INSERT INTO parent (id, code) VALUES (900, 'theirs')")
    postgres(target, "INSERT INTO child VALUES (900, 1)")
    postgres(target, "INSERT INTO keyless VALUES (9, 'theirs')")
    postgres(target, "CREATE TABLE theirs (parent_id int REFERENCES parent ON DELETE CASCADE)")
    postgres(target, "INSERT INTO theirs VALUES (4)")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out
    kept = _found(ran, "V119")
    assert kept["evidence"] == "child: 1; keyless: 1; parent: 1"
    assert {(one["rows_missing"], one["rows_different"]) for one in ran.json["tables"]} == {(0, 0)}
    assert postgres(target, "SELECT parent_id FROM theirs") == [(4,)]
    ran = verify(pair, "--repair", "--yes", *kept["hint"].split())
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    wrong = verify(pair, "--repair", "--delete-extra", "perent")
    assert (wrong.code, "did you mean 'parent'" in wrong.err) == (2, True), wrong.err


def test_the_targets_own_columns_keep_their_values(pair: tuple[str, str]) -> None:
    _, target = pair
    postgres(
        target,
        "ALTER TABLE parent ADD seen int NOT NULL DEFAULT 0, "
        "ADD half int GENERATED ALWAYS AS (id / 2) STORED",
    )
    postgres(target, "SET session_replication_role = replica; UPDATE parent SET seen = 40 + id")
    # The ALTER TABLE has written all rows anew, so it does not show that this one was the run's.
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "Key (code)=(c) already exists" in ran.err) == (3, True), ran.err
    ran = verify(pair, "--repair", "--yes", "--delete-extra", "parent")
    assert {one["verified"] for one in ran.json["tables"]} == {True}, ran.out
    seen = "SELECT id, seen, half FROM parent ORDER BY id"
    assert postgres(target, seen) == [(1, 41, 0), (2, 42, 1), (4, 44, 2), (30, 0, 15), (500, 0, 250)]


def test_what_is_refused_changes_nothing(pair: tuple[str, str]) -> None:
    _, target = pair
    postgres(target, "ALTER TABLE parent ADD CONSTRAINT few CHECK (id < 500)")
    before = postgres(target, "SELECT p.*, p.xmin::text FROM parent p ORDER BY id")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "few" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT p.*, p.xmin::text FROM parent p ORDER BY id") == before
    assert postgres(
        target,
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    ) == [(2,)]
    postgres(target, "UPDATE converge.run SET state = 'interrupted'")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "V123" in ran.err) == (3, True), ran.err
    for options in (["--sql", "x.sql"], ["--repair", "--level", "counts"]):
        assert verify(pair, *options).code == 2


def test_tables_of_the_application(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    own = tmp_path / "own.toml"
    own.write_text('[[target]]\nmatch = { table = "a", column = "own" }\nkeep = true\n')
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, b INT); INSERT INTO a VALUES (1, 1), (2, 2)")
    postgres(
        target,
        "CREATE TABLE a (id int PRIMARY KEY, b int, own text DEFAULT 'own');"
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;"
        "CREATE TRIGGER never BEFORE DELETE ON a FOR EACH ROW EXECUTE FUNCTION no();"
        "CREATE MATERIALIZED VIEW total AS SELECT sum(b) FROM a",
    )
    ends = source, target
    ran = converge("migrate", "--source", source, "--target", target, "--mode", "load", "--map", str(own))
    assert ran.code == 0, ran.err
    postgres(target, "UPDATE a SET own = 'kept'")
    mysql(source, "UPDATE a SET b = 5 WHERE id = 1; DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (3, 3)")
    ran = verify(ends, "--repair", "--yes")
    # The application has written to the row that the source no longer has.
    assert (ran.code, _found(ran, "V119")["evidence"]) == (1, "a: 1"), ran.out
    ran = verify(ends, "--repair", "--yes", "--delete-extra", "*")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    assert postgres(target, "SELECT * FROM a ORDER BY 1") == [(1, 5, "kept"), (3, 3, "own")]
    assert postgres(target, "SELECT * FROM total") == [(8,)]
    with pytest.raises(psycopg.errors.RaiseException):
        postgres(target, "DELETE FROM a")
