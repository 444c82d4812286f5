"""`verify --repair`: what differs is replaced in one transaction, and nothing of others goes unasked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from judge import compare
from support import Ran, converge, migrated, mysql, postgres

from converge.errors import BlockedError
from converge.model.endpoint import parse
from converge.model.recorded import Recorded
from converge.model.work import Differing, FindTask
from converge.postgres.connect import connect
from converge.postgres.recorded import last_recorded
from converge.run.choose import choose
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
    source, target = migrated(databases, SOURCE)
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
        "child: 2 inserted, 1 replaced, 2 deleted, 1 overwritten; keyless: 3 inserted, 2 deleted; "
        "parent: 2 inserted, 3 replaced, 1 deleted, 1 overwritten"
    )
    judged = compare(source, target)
    assert judged.equal, str(judged)
    assert postgres(target, "SELECT xmin::text FROM still") == still
    # What was away is back: keys, triggers, and the next value; it is mended also where no row differs.
    postgres(target, "SELECT setval('parent_id_seq', 2)")
    low = converge("verify", "--source", source, "--target", target).out
    assert re.search(r"differs +V112 parent\.id: .*\n *hint +SELECT setval\('.*id_seq.*, 501, false\);", low)
    ran = verify(pair, "--repair")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
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
    if (psql := shutil.which("psql")) is None:
        pytest.skip("no psql here")
    file = tmp_path / "repair.sql"
    ran = verify(pair, "--repair", "--sql", str(file))
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out
    assert _found(ran, "V118")["message"].startswith("to be repaired: 3 tables")
    # Of a row that others have written since it says so, and changes nothing.
    postgres(target, "SET session_replication_role = replica; UPDATE parent SET body = 'again' WHERE id = 4")
    before = postgres(target, "SELECT * FROM parent ORDER BY id")
    command = [psql, "-qX", "-d", target, "-f", str(file)]
    moved = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (moved.returncode, "parent: rows have been written" in moved.stderr) == (3, True), moved.stderr
    assert postgres(target, "SELECT * FROM parent ORDER BY id") == before
    assert verify(pair, "--repair", "--sql", str(file)).code == 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
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
    # The same command would leave them again.
    assert ran.json["next"].endswith(f" {kept['hint']}"), ran.json["next"]
    postgres(target, "DELETE FROM keyless WHERE number = 9; DELETE FROM child WHERE parent_id = 900")
    ran = verify(pair, "--repair", "--yes")
    assert _found(ran, "V119")["message"].startswith("1 row was not written by the run and stays; "), ran.out
    postgres(target, "INSERT INTO child VALUES (900, 1)")
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


def test_what_is_refused_changes_nothing(pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    postgres(target, "ALTER TABLE parent ADD CONSTRAINT few CHECK (id < 500)")
    before = postgres(target, "SELECT p.*, p.xmin::text FROM parent p ORDER BY id")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "few" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT p.*, p.xmin::text FROM parent p ORDER BY id") == before
    assert postgres(
        target,
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    ) == [(2,)]
    # Rows of a published table without a key cannot go, and who refuses DDL refuses the keys' return.
    postgres(
        target,
        "ALTER TABLE parent DROP CONSTRAINT few; CREATE PUBLICATION all_of FOR ALL TABLES;"
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL'; END$$",
    )
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "ALTER TABLE public.keyless REPLICA IDENTITY FULL;" in ran.err) == (3, True), ran.err
    postgres(
        target,
        "ALTER TABLE keyless REPLICA IDENTITY FULL;"
        "CREATE EVENT TRIGGER never ON ddl_command_start EXECUTE FUNCTION no()",
    )
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "ALTER EVENT TRIGGER never DISABLE;" in ran.err) == (3, True), ran.err
    assert "V123" in ran.err and "no DDL" in ran.err
    postgres(target, "DROP EVENT TRIGGER never; DROP PUBLICATION all_of")
    assert postgres(target, "SELECT p.*, p.xmin::text FROM parent p ORDER BY id") == before
    postgres(target, "UPDATE converge.run SET state = 'interrupted'")
    ran = verify(pair, "--repair", "--yes")
    assert (ran.code, "V123" in ran.err) == (3, True), ran.err
    for options in (["--sql", "x.sql"], ["--repair", "--level", "counts"]):
        assert verify(pair, *options).code == 2
    # A row is gone, or another one is in its place, before the tables are locked.
    with connect(parse(target)) as connection:
        run = last_recorded(connection, parse(source), None)
        assert isinstance(run, Recorded)
        task = FindTask("public", run.plan.table("still"), str(tmp_path / "keys"), (), False, False)
        for place in ("(0,9)", "(0,1)"):
            with pytest.raises(BlockedError, match="1 key has been written in the target meanwhile"):
                choose(connection, task, iter([Differing("0" * 32, 1, (place,))]))


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


ODD_SOURCE = """
CREATE TABLE events (d JSON); INSERT INTO events VALUES ('{"n": 1}');
CREATE TABLE first (id INT PRIMARY KEY, v INT); INSERT INTO first VALUES (1, 1), (2, 2);
CREATE TABLE second (id INT PRIMARY KEY, v INT); INSERT INTO second VALUES (1, 1), (2, 2);
CREATE TABLE parts (id INT PRIMARY KEY, v INT); INSERT INTO parts VALUES (1, 1);
"""
ODD_TARGET = """
INSERT INTO events VALUES ('{"n": 7}');
ALTER TABLE first ADD own int; ALTER TABLE second ADD own int;
INSERT INTO second VALUES (3, 33);
CREATE TABLE whole (id int, parts_id int REFERENCES parts (id)) PARTITION BY RANGE (id);
CREATE TABLE piece PARTITION OF whole FOR VALUES FROM (0) TO (100);
INSERT INTO whole VALUES (1, 1);
"""
ODD_MOVES = """
INSERT INTO events VALUES ('{"n": 8}');
DELETE FROM first WHERE id = 2; UPDATE second SET v = 5 WHERE id = 1; INSERT INTO second VALUES (3, 3);
UPDATE parts SET v = 2;
"""


def test_a_sync_leaves_what_others_have_written(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, ODD_SOURCE)
    ends = ("--source", source, "--target", target, "--json")
    assert converge("migrate", *ends).code == 0
    for statement in ODD_TARGET.split(";\n"):
        postgres(target, statement)
    mysql(source, ODD_MOVES)
    looked = converge("sync", *ends, "--dry-run")
    ran = converge("sync", *ends)
    assert _found(ran, "V119")["evidence"] == _found(looked, "V119")["evidence"] == "events: 1; second: 1"
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out
    assert postgres(target, "SELECT d ->> 'n' FROM events ORDER BY 1") == [("1",), ("7",), ("8",)]
    assert postgres(target, "SELECT * FROM first") == [(1, 1, None)]
    assert postgres(target, "SELECT * FROM second ORDER BY 1") == [(1, 5, None), (2, 2, None), (3, 33, None)]
    assert postgres(target, "SELECT * FROM parts") == [(1, 2)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        postgres(target, "INSERT INTO whole VALUES (2, 9)")
    ran = verify(databases, "--repair", "--yes", "--delete-extra", "*")
    assert (ran.code, "1 of the replaced ones" in _found(ran, "V118")["message"]) == (0, True), ran.out
    # The ledger of a database that was restored knows nobody's transactions.
    mysql(source, "DELETE FROM first")
    postgres(target, "UPDATE converge.chunk SET rows = rows; UPDATE converge.repair SET xid = xid")
    assert _found(converge("sync", *ends), "V119")["evidence"] == "first: 1"


def test_foreign_keys_that_check_little(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO a VALUES (1), (2), (3)")
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends).code == 0
    postgres(
        target,
        "CREATE TABLE c (aid int); INSERT INTO c VALUES (2), (77);"
        "ALTER TABLE c ADD CONSTRAINT c_fk FOREIGN KEY (aid) REFERENCES a (id) ON DELETE CASCADE NOT VALID",
    )
    mysql(source, "DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (500)")
    ran = converge("sync", *ends)
    assert (ran.code, "would lose their parent" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT nextval('a_id_seq')") == [(4,)]
    for table in "ac":
        postgres(target, f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for command in (("sync",), ("follow", "--once")):
            ran = converge(*command, *ends)
            words = ran.err.replace('"', "")
            assert (ran.code, "c_fk on public.c is switched off" in words) == (3, True), ran.err
            assert f"ALTER TABLE public.{table} ENABLE TRIGGER ALL;" in words
        postgres(target, f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    postgres(target, "DELETE FROM c WHERE aid = 2")
    with psycopg.connect(target) as other:
        other.execute("SELECT * FROM a")
        ran = converge("sync", *ends)
        assert (ran.code, "idle in transaction: SELECT * FROM a" in ran.err) == (3, True), ran.err
    assert converge("sync", *ends).code == 0
    assert postgres(target, "SELECT aid FROM c") == [(77,)]
    # A sequence that others have renamed is the column's still.
    postgres(target, "ALTER SEQUENCE a_id_seq RENAME TO renamed")
    mysql(source, "INSERT INTO a VALUES (600)")
    ran = converge("sync", *ends)
    assert (ran.code, "V111 sequence public.a_id_seq: is gone" in ran.out) == (1, True), ran.out + ran.err
    assert postgres(target, "SELECT nextval('renamed')") == [(601,)]


def test_a_key_that_a_merge_has_kept(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE s (id INT PRIMARY KEY, v TEXT); INSERT INTO s VALUES (1, 'a'), (5, 'b')")
    postgres(target, "CREATE TABLE s (id int PRIMARY KEY, v text)")
    postgres(target, "INSERT INTO s VALUES (5, 'own'), (6, 'own'), (7, 'own')")
    rules = tmp_path / "own.toml"
    rules.write_text('[[table]]\nmatch = { table = "s" }\nrows = "merge"\n')
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends, "--mode", "load", "--map", str(rules)).code == 0
    mysql(source, "UPDATE s SET v = 'new' WHERE id = 1; INSERT INTO s VALUES (6, 'c'), (8, 'd')")
    # What somebody has deleted meanwhile is not kept either.
    postgres(target, 'INSERT INTO converge."kept public.s" VALUES (8)')
    mysql(source, "SET GLOBAL max_allowed_packet = 1048576")
    try:
        ran = converge("sync", *ends)
    finally:
        mysql(source, "SET GLOBAL max_allowed_packet = DEFAULT")
    assert ran.code == 0, ran.out + ran.err
    assert postgres(target, "SELECT * FROM s ORDER BY 1") == [
        (1, "new"), (5, "b"), (6, "c"), (7, "own"), (8, "d"),
    ]  # fmt: skip


def test_a_key_that_does_not_arrive_whole_tells_no_rows_apart(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Rows have the same values in what is left of it: none stands for the others."""
    map_ = tmp_path / "part.toml"
    map_.write_text('[[column]]\nmatch = { column = "b" }\nskip = true\n')
    part = ("--map", str(map_))
    source, target = databases
    rows = ", ".join(f"(1, {number}, 'v{number}', '{{\"n\": {number}}}')" for number in range(20))
    mysql(
        source,
        "CREATE TABLE t (a INT, b INT, v TEXT, doc JSON, PRIMARY KEY (a, b)); "
        "CREATE TABLE plain (a INT, b INT, v TEXT, PRIMARY KEY (a, b)); "
        f"INSERT INTO t VALUES {rows}; INSERT INTO plain SELECT a, b, v FROM t",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--yes", *part)
    assert ran.code == 0, ran.err
    for place in (0, 7, 19):
        postgres(target, "UPDATE t SET v = v || '!' WHERE v = %s", f"v{place}")
        postgres(target, "UPDATE plain SET v = v || '!' WHERE v = %s", f"v{place}")
        told = str(tmp_path / f"{place}.jsonl")
        for more in ((), ("--differences", told)):
            found = verify(databases, *more)
            assert (found.code, found.json["verdict"]) == (1, "differs"), found.out
            assert {one["table"] for one in found.json["differences"]} == {"t", "plain"}
        repaired = verify(databases, "--repair", "--yes", "--delete-extra", "*")
        assert (repaired.code, repaired.json["verdict"]) == (0, "verified"), repaired.err
        assert postgres(target, "SELECT count(*), count(DISTINCT v) FROM t WHERE v !~ '!'") == [(20, 20)]
    mysql(source, "UPDATE t SET v = 'moved' WHERE b = 5")
    moved = converge("sync", "--source", source, "--target", target, "--json")
    assert moved.json["verdict"] == "verified", moved.err
    assert postgres(target, "SELECT count(*) FROM t WHERE v = 'moved'") == [(1,)]
