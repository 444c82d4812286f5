"""`converge rollback`: what the application has changed in the target comes back, value for value."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import validate
from judge import compare
from support import ENVIRONMENT, Ran, converge, mysql, postgres
from test_server_settings import settings

from tools.schemas import schemas

KINDS = r"""
SET sql_mode = '';
CREATE TABLE kinds (
    id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, tiny TINYINT, flag TINYINT(1), small SMALLINT UNSIGNED,
    y YEAR, exact DECIMAL(20,4), f FLOAT, d DOUBLE, bits BIT(11), bit1 BIT(1), c CHAR(10),
    latin VARCHAR(50) CHARACTER SET latin1, body TEXT, uuid BINARY(16), raw VARBINARY(40), big BLOB,
    e ENUM('a','b c','it''s'), s SET('x','y','z'), doc JSON, day DATE, at DATETIME(3), seen TIMESTAMP(6) NULL,
    took TIME(2), place POINT, other GEOMETRY SRID 4326, size INT AS (CHAR_LENGTH(body)) STORED);
INSERT INTO kinds
    (tiny, flag, small, y, exact, f, d, bits, bit1, c, latin, body, uuid, raw, big, e, s, doc, day, at, seen,
     took, place, other)
VALUES
    (1, 1, 65535, 1999, 1.5, 0.1, 1e300, b'10101010101', 1, 'abc', 'é', 'x\\y\n',
     UNHEX('00112233445546778899AABBCCDDEEFF'), UNHEX('00FF27'), UNHEX('5C27'), 'it''s', 'x,z',
     '{"a": [1, 2.50, "q\\"x"]}', '2020-02-29', '2020-01-01 10:00:00.123', '2020-06-01 00:00:00.123456',
     '-838:59:59', ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POINT(1 2)', 4326)),
    (-5, 0, 0, 1901, -1.5, -0.1, -1e-300, 0, 0, '', '', '', NULL, NULL, NULL, 'a', '', '[]', '1000-01-01',
     '9999-12-31 23:59:59.999', NULL, '00:00:00', NULL, NULL);
CREATE TABLE account (
    id INT PRIMARY KEY, email VARCHAR(50) NOT NULL UNIQUE, lost POINT, born DATE, shout VARCHAR(20),
    name VARCHAR(20), changed TIMESTAMP DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP);
INSERT INTO account (id, email, lost, born, shout) VALUES
    (1, 'a', ST_GeomFromText('POINT(1 2)'), '0000-00-00', 'x'), (2, 'b', NULL, '2020-01-01', 'y'),
    (3, 'c', NULL, NULL, NULL);
CREATE TABLE child (
    a INT, b VARCHAR(20), parent INT, PRIMARY KEY (a, b),
    FOREIGN KEY (parent) REFERENCES account (id) ON DELETE CASCADE);
INSERT INTO child VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3);
CREATE TABLE keyless (a INT, b VARCHAR(10), doc JSON, born DATE, lost INT);
INSERT INTO keyless (a, b, doc, born, lost) VALUES
    (1, 'a', '{"n": 1.50}', '0000-00-00', 7), (1, 'a', NULL, NULL, NULL), (2, NULL, NULL, NULL, NULL);
CREATE TABLE emptied (a INT PRIMARY KEY, b TEXT);
INSERT INTO emptied VALUES (1, 'a'), (2, 'b');
CREATE TABLE quiet (id INT PRIMARY KEY, b TEXT);
INSERT INTO quiet VALUES (1, 'as it was');
"""
MAP = """
[[column]]
match = { table = "account", column = "born" }
policy = { zero_date = "null" }

[[column]]
match = { table = "keyless", column = "born" }
policy = { zero_date = "null" }

[[column]]
match = { table = "keyless", column = "lost" }
skip = true

[[column]]
match = { table = "account", column = "lost" }
skip = true

[[column]]
match = { table = "account", column = "shout" }
using = "UPPER({})"
to = "text"

[[column]]
match = { table = "kinds", column = "uuid" }
to = "uuid"
"""
CHANGES = (
    "UPDATE kinds SET tiny = 7, flag = false, d = 0.1, f = 3.5, y = 2001, exact = -0.0001, "
    "bits = B'00000000011', bit1 = false, c = 'z', latin = 'ü', body = E'tab\\t\\\\ ''q''', raw = '\\x', "
    "uuid = 'ffeeddcc-bbaa-4988-9766-554433221100', big = '\\x00', e = 'b c', s = '{y,z}', "
    'doc = \'{"k": 1e10, "ü": null, "n": [0.12345678901234567890, -12345678901234567890123, 1e300, '
    "true, \"q''\", {}]}', day = '2021-01-01', at = '2021-05-05 01:02:03.5', "
    "seen = '2021-05-05 01:02:03.000001', took = '100:00:01.5', place = NULL WHERE id = 1",
    "INSERT INTO kinds (tiny, bit1, flag, y, place, other) "
    "SELECT -128, true, true, 2155, place, other FROM kinds ORDER BY id DESC",
    "INSERT INTO kinds (place, other) VALUES (decode('0101000000000000000000f03f0000000000000040', 'hex'), "
    "decode('0101000020e6100000000000000000f03f0000000000000040', 'hex'))",
    "DELETE FROM kinds WHERE id = 2",
    "UPDATE account SET email = 'tmp' WHERE id = 1",
    "UPDATE account SET email = 'a' WHERE id = 2",
    "UPDATE account SET email = 'b' WHERE id = 1",
    "UPDATE account SET id = 30 WHERE id = 3 AND NOT EXISTS (SELECT FROM child WHERE parent = 3)",
    "DELETE FROM account WHERE id = 3",
    "INSERT INTO account (id, email, shout, changed) VALUES (31, 'c', 'Z', '2001-01-01')",
    "SET session_replication_role = replica; UPDATE account SET name = 'b' WHERE id = 1; "
    "UPDATE account SET changed = '2001-01-01'",
    "DELETE FROM child WHERE a = 2",
    "INSERT INTO child VALUES (5, 'new', 31), (5, 'New!', NULL)",
    "DELETE FROM keyless WHERE b IS NULL",
    "INSERT INTO keyless (a, b, doc) VALUES (9, 'n', '{\"n\": 2.50}'), (NULL, NULL, NULL)",
    "TRUNCATE emptied",
    "INSERT INTO emptied VALUES (2, 'again'), (7, E'q\\n')",
)


def rollback(ends: tuple[str, str], *more: str) -> Ran:
    return converge("rollback", "--source", ends[0], "--target", ends[1], "--json", *more)


def prepared(ends: tuple[str, str], sql: str, *maps: str) -> Ran:
    """A run of these tables, then `rollback --prepare`."""
    mysql(ends[0], sql)
    ran = converge("migrate", "--source", ends[0], "--target", ends[1], *maps)
    assert ran.code == 0, ran.err
    ran = rollback(ends, "--prepare")
    assert ran.code == 0, ran.err
    return ran


@pytest.fixture
def kinds(both_databases: tuple[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Every kind of value, after which the application has changed rows in the target."""
    (tmp_path / "map.toml").write_text(MAP)
    ran = prepared(both_databases, KINDS, "--map", str(tmp_path / "map.toml"))
    found = {(one["object"], one["severity"]) for one in ran.json["findings"] if one["code"] == "V130"}
    lossy = {"account.born", "account.lost", "account.shout", "keyless.born", "keyless.lost"}
    assert found == {*((name, "lossy") for name in lossy), ("keyless", "note")}
    # What a policy has made of single values comes last.
    losses = [one["message"] for one in ran.json["findings"] if one["code"] == "V130"]
    assert losses[-1].startswith("a value that is changed in the target goes back as it is there: "), losses
    for statement in CHANGES:
        postgres(both_databases[1], statement)
    yield both_databases


def counts(ran: Ran) -> dict[str, tuple[int, int, int]]:
    assert ran.code == 0, ran.err
    return {one["source"]: (one["inserted"], one["updated"], one["deleted"]) for one in ran.json["tables"]}


def test_all_kinds_of_values_come_back(kinds: tuple[str, str], tmp_path: Path) -> None:
    source, target = kinds
    others = {"autocommit": "0", "sql_safe_updates": "1", "default_tmp_storage_engine": "MEMORY"}
    with settings(source, others):
        done = rollback(kinds, "--apply", "--yes")
    assert counts(done) == {
        "kinds": (3, 1, 1), "account": (1, 2, 1), "child": (2, 0, 2), "keyless": (2, 0, 1),
        "emptied": (1, 1, 1),
    }  # fmt: skip
    validate(done.json, schemas()["rollback.schema.json"])
    assert done.json["verdict"] == "verified"
    # What has no place in the target, and what the map has made NULL of, stays where the row has not lost it.
    rows = mysql(
        source, "SELECT id, email, ST_AsText(lost), CAST(born AS CHAR), shout FROM account ORDER BY id"
    )
    assert rows == [
        (1, "b", "POINT(1 2)", "0000-00-00", "x"), (2, "a", None, "2020-01-01", "y"),
        (31, "c", None, None, None),
    ]  # fmt: skip
    judged = compare(source, target)
    assert judged.equal or {one.table for one in judged.differences} <= {"account", "keyless"}, str(judged)
    assert counts(rollback(kinds, "--apply", "--yes")) == {}
    assert postgres(target, "SELECT count(*) FROM converge.changed") == [(0,)]
    # Later changes are noted, too.
    postgres(target, "UPDATE child SET parent = 1 WHERE a = 5")
    assert counts(rollback(kinds, "--apply", "--yes")) == {"child": (0, 2, 0)}


def test_the_script_does_the_same(kinds: tuple[str, str], tmp_path: Path) -> None:
    source, _ = kinds
    script = tmp_path / "back.sql"
    before = mysql(source, "CHECKSUM TABLE kinds, account, child, keyless, emptied, quiet")
    wanted = counts(rollback(kinds, "--sql", str(script)))
    assert mysql(source, "CHECKSUM TABLE kinds, account, child, keyless, emptied, quiet") == before
    assert script.stat().st_mode & 0o077 == 0
    mysql(source, script.read_text("utf-8"))
    assert sum(map(sum, wanted.values())) == 19
    done = rollback(kinds, "--apply", "--yes")
    assert counts(done) == {}


def test_the_application_needs_no_privilege_and_may_print_as_it_likes(databases: tuple[str, str]) -> None:
    source, target = databases
    prepared(databases, "CREATE TABLE t (at DATETIME(6), d DOUBLE, PRIMARY KEY (at, d)); "
             "INSERT INTO t VALUES ('2020-01-02 03:04:05.678901', 0.1)")  # fmt: skip
    postgres(
        target,
        "CREATE ROLE app; GRANT ALL ON t TO app; SET ROLE app; SET datestyle = 'German'; "
        "SET extra_float_digits = -3; UPDATE t SET d = 0.30000000000000004; "
        "INSERT INTO t VALUES ('2021-03-04 05:06:07', 1e-7); RESET ROLE; DROP OWNED BY app; DROP ROLE app",
    )
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (2, 0, 1)}
    assert compare(source, target).equal
    assert converge("verify", "--source", source, "--target", target).code == 0


def test_what_does_not_fit_the_source_changes_nothing(databases: tuple[str, str]) -> None:
    source, target = databases
    ran = prepared(
        databases,
        "CREATE TABLE a (id INT PRIMARY KEY, at DATETIME, n VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE, "
        "s SET('x','z'), d DOUBLE(6,2)); "
        "CREATE TABLE b (id INT PRIMARY KEY, took TIME); "
        "INSERT INTO a VALUES (1, '2020-01-01', 'x', 'x', 1.5)",
    )
    found = [one for one in ran.json["findings"] if one["code"] == "V130"]
    assert [(one["object"], one["severity"]) for one in found] == [("a.d", "lossy")]
    assert "more than 2 decimals" in found[0]["message"]
    for change, words, row in (
        ("UPDATE a SET at = 'infinity'", "infinity", "a (1)"),
        ("INSERT INTO a VALUES (2, NULL, 'X')", "Duplicate entry", "a (2)"),
        ("UPDATE a SET at = '0044-03-15 BC'", "BC", "a (1)"),
        (
            "INSERT INTO a VALUES (3), (4), (5), (6); UPDATE a SET at = 'infinity' WHERE id = 5",
            "'infinity' for column 'at'; nothing has been changed",
            "a (5)",
        ),
    ):
        postgres(target, f"INSERT INTO b VALUES (1, '01:00'); {change}")
        ran = rollback(databases, "--apply", "--yes")
        assert (ran.code, "error[V132]" in ran.err) == (4, True), ran.err
        assert "MySQL refuses a row: " in ran.err and words in ran.err and f"{row}\n" in ran.err, ran.err
        assert mysql(source, "SELECT COUNT(*) FROM b") == [(0,)]
        postgres(target, "DELETE FROM b; DELETE FROM a WHERE id > 1; UPDATE a SET at = '2020-01-01'")
    # MySQL takes it, and has another value.
    postgres(target, "INSERT INTO b VALUES (1, '01:00'); UPDATE a SET d = 1.005")
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "a (1): d is (1" in ran.err, "1.005) in the target" in ran.err) == (4, True, True), (
        ran.err
    )
    assert mysql(source, "SELECT COUNT(*) FROM b") == [(0,)]
    # Rows that the role does not see are not gone.
    role = "CREATE ROLE few_rows LOGIN; GRANT ALL ON SCHEMA public, converge TO few_rows; "
    postgres(target, role + "GRANT ALL ON ALL TABLES IN SCHEMA public, converge TO few_rows; "
             "UPDATE a SET s = NULL; ALTER TABLE a ENABLE ROW LEVEL SECURITY")  # fmt: skip
    ran = rollback((source, target.replace("postgres@", "few_rows@")), "--apply", "--yes")
    postgres(target, "DROP OWNED BY few_rows; DROP ROLE few_rows")
    assert (ran.code, "V115" in ran.err) == (3, True), ran.err


def test_rows_without_a_key_that_mean_the_same_go_back_one_by_one(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Documents that are equal may have several texts, by each of which rows are found."""
    source, target = databases
    rows = """INSERT INTO log VALUES ('{"a": 1}'), ('{"a": 1.0}'), ('{"a": 1.0}')"""
    prepared(databases, f"CREATE TABLE log (doc JSON); {rows}")
    postgres(target, "DELETE FROM log")
    script = tmp_path / "back.sql"
    assert rollback(databases, "--sql", str(script)).code == 0
    assert [script.read_text("utf-8").count(f"LIMIT {number};") for number in (1, 2, 3)] == [1, 1, 0]
    assert counts(rollback(databases, "--apply", "--yes")) == {"log": (0, 0, 3)}
    postgres(target, rows)
    assert counts(rollback(databases, "--apply", "--yes")) == {"log": (3, 0, 0)}
    found = mysql(source, "SELECT CAST(doc AS CHAR), COUNT(*) FROM log GROUP BY 1 ORDER BY 1")
    assert found == [('{"a": 1.0}', 2), ('{"a": 1}', 1)]


def test_a_set_is_the_same_in_any_order(databases: tuple[str, str]) -> None:
    source, target = databases
    prepared(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY, s SET('new','sale'));"
        "CREATE TABLE keyless (s SET('new','sale'));"
        "CREATE TABLE of_sets (s SET('new','sale') PRIMARY KEY, v INT);"
        "INSERT INTO t VALUES (1, 'new'), (2, 'new,sale');"
        "INSERT INTO keyless VALUES ('new,sale'), ('new,sale')",
    )
    postgres(target, "UPDATE t SET s = '{sale,new}'; UPDATE keyless SET s = '{sale,new}'")
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (0, 1, 0)}
    postgres(target, "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)")
    assert counts(rollback(databases, "--apply", "--yes")) == {"keyless": (0, 0, 1)}
    assert mysql(source, "SELECT s FROM t ORDER BY id") == [("new,sale",), ("new,sale",)]
    # Two keys of the target, and one of the source.
    postgres(target, "INSERT INTO of_sets VALUES ('{new,sale}', 1), ('{sale,new}', 2)")
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "error[V132]" in ran.err) == (4, True), ran.err


def test_what_is_in_the_way_is_said_first(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, b INT); CREATE TABLE log (id INT PRIMARY KEY)")
    addresses = ("--source", source, "--target", target)
    assert converge("migrate", *addresses).code == 0
    for wrong, words in (([], "say what rollback is to do"), (["--prepare", "--apply"], "one thing")):
        ran = rollback(databases, *wrong)
        assert (ran.code, "error[U113]" in ran.err, words in ran.err) == (2, True, True)
    for early in (["--apply", "--yes"], ["--sql", "/dev/null"]):
        ran = rollback(databases, *early)
        assert (ran.code, "error[V133]" in ran.err) == (3, True), ran.err
    assert rollback(databases, "--prepare").code == 0
    postgres(target, "INSERT INTO t VALUES (1, 1)")
    ran = rollback(databases, "--apply")
    assert (ran.code, "--yes" in ran.err) == (2, True), ran.err
    mysql(source, "CREATE TRIGGER noted AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id)")
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "error[V131]: 1 trigger of the source would act" in ran.err) == (3, True), ran.err
    assert "SHOW CREATE TRIGGER `noted`; -- keep it, " in ran.err and "DROP TRIGGER `noted`;" in ran.err
    mysql(source, "DROP TRIGGER noted")
    assert rollback(databases, "--prepare").code == 0  # again: what was noted stays
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (1, 0, 0)}
    # What no trigger has noted: the table is written anew, then its triggers are off for a while.
    for unnoticed, now in (
        ("ALTER TABLE t ALTER b TYPE int USING b + 1", 2),
        ("ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET b = 3; ALTER TABLE t ENABLE TRIGGER USER", 3),
    ):
        postgres(target, unnoticed)
        assert rollback(databases, "--prepare").code == 0
        assert rollback(databases, "--apply", "--yes").code == 0
        assert mysql(source, "SELECT b FROM t") == [(now,)]
    postgres(target, "DELETE FROM t")
    ran = rollback(databases, "--remove")
    assert (ran.code, "forget changes of 1 table with 1 row" in ran.err) == (2, True), ran.err
    assert rollback(databases, "--remove", "--yes").code == 0
    assert postgres(target, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    postgres(target, "INSERT INTO t VALUES (1, 3)")
    assert converge("verify", *addresses).code == 0


def test_kills_lose_nothing(databases: tuple[str, str]) -> None:
    source, target = databases
    prepared(
        databases,
        "CREATE TABLE p (id INT PRIMARY KEY, n INT UNIQUE, body TEXT); "
        "CREATE TABLE c (a INT, b INT, p INT, PRIMARY KEY (a, b), "
        "FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE); "
        "INSERT INTO p WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 900) "
        "SELECT n, n, REPEAT('x', 500) FROM s; INSERT INTO c SELECT id % 30, id, id FROM p",
    )
    chance = random.Random(20)
    for _ in range(300):
        one, other = chance.randrange(1, 1000), chance.randrange(1, 1000)
        statement = chance.choice(
            (
                f"INSERT INTO p VALUES ({one}, {other}, 'new') ON CONFLICT DO NOTHING",
                f"DELETE FROM p WHERE id = {one}",
                f"UPDATE p SET id = {other + 1000} WHERE id = {one} "
                f"AND NOT EXISTS (SELECT FROM p WHERE id = {other + 1000})",
                f"UPDATE p SET n = -n WHERE id BETWEEN {one} AND {one + 20}",
                f"UPDATE p SET n = n + 5000, body = 'b{other}' WHERE id % 97 = {one % 97} AND n < 5000",
            )
        )
        postgres(target, statement)
    command = [sys.executable, "-m", "converge", "rollback", "--source", source, "--target", target]
    for _ in range(6):
        process = subprocess.Popen([*command, "--apply", "--yes"], env=ENVIRONMENT, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        time.sleep(chance.uniform(0.6, 1.6))
        process.kill()
        process.wait()
    assert rollback(databases, "--apply", "--yes").code == 0
    judged = compare(source, target)
    assert judged.equal, str(judged)


KEYS = """
CREATE TABLE big (d DECIMAL(30,0) PRIMARY KEY, v INT);
SET SESSION cte_max_recursion_depth = 2000;
INSERT INTO big WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 500)
    SELECT 1234567890123456789000 + n, 1 FROM s;
CREATE TABLE pair (t INT, id BIGINT, v INT UNIQUE, PRIMARY KEY (t, id));
INSERT INTO pair VALUES (1, 1234567890123456788, 1), (1, 1234567890123456789, 2), (1, 7, 3);
CREATE TABLE span (t INT, at TIME(3), d DOUBLE, v INT, PRIMARY KEY (t, at, d));
INSERT INTO span VALUES (1, '-10:00:00.5', 0.1, 1), (1, '10:00:00', 0.1, 2), (2, '-10:00:00.25', 1e300, 3);
CREATE TABLE real4 (f FLOAT PRIMARY KEY, v INT);
INSERT INTO real4 VALUES (0.1, 1), (0.3, 2), (1e10, 3);
CREATE TABLE moment (at TIMESTAMP(2), day DATE, y YEAR, b BIT(9), raw BINARY(3), e ENUM('x','y'), v INT,
    PRIMARY KEY (at, day, y, b, raw, e));
INSERT INTO moment VALUES ('2020-01-01 00:00:00.25', '2020-01-01', 2020, b'101', 'a', 'y', 1),
    ('2020-01-01 00:00:00.50', '2020-01-01', 2020, b'101', 'a', 'y', 2);
CREATE TABLE spelled (`a%b` VARCHAR(20) PRIMARY KEY, v INT, g VARCHAR(20) AS (UPPER(v)) STORED UNIQUE);
INSERT INTO spelled (`a%b`, v) VALUES ('a', 1), ('c', 2), ('b', 3);
CREATE TABLE prefix (t INT, b TEXT, v INT UNIQUE, PRIMARY KEY (t, b(10)));
INSERT INTO prefix VALUES (1, 'abc', 1), (1, 'abd', 2);
"""


def test_keys_of_all_types_find_their_rows_and_no_others(databases: tuple[str, str]) -> None:
    source, target = databases
    prepared(databases, KEYS, "--map", "friendly")
    for change in (
        "DELETE FROM big WHERE d NOT IN (1234567890123456789100, 1234567890123456789101)",
        "DELETE FROM pair WHERE id = 1234567890123456789; UPDATE pair SET v = v + 10",
        "UPDATE pair SET v = CASE v WHEN 11 THEN 3 ELSE 1 END",
        "DELETE FROM span WHERE v = 1; UPDATE span SET v = 7 WHERE v = 3",
        "DELETE FROM real4 WHERE f < 0.2; UPDATE real4 SET v = 9 WHERE f > 1",
        "DELETE FROM moment WHERE v = 1; UPDATE moment SET v = 5",
        'UPDATE spelled SET "a%b" = upper("a%b") WHERE v = 1; UPDATE spelled SET v = 4 WHERE v = 2',
        "UPDATE spelled SET v = 2 WHERE v = 3; UPDATE spelled SET v = 3 WHERE v = 4",
        "UPDATE prefix SET v = v + 5; UPDATE prefix SET v = 1 WHERE b = 'abd'",
    ):
        postgres(target, change)
    counts(rollback(databases, "--apply", "--yes"))
    judged = compare(source, target)
    assert judged.equal, str(judged)


def test_changes_that_were_not_noted_are_no_reason_to_pass(databases: tuple[str, str]) -> None:
    _, target = databases
    prepared(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), z DATE); "
        "INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'); CREATE TABLE other (id INT PRIMARY KEY)",
    )
    for unnoticed, again in (
        ("DROP TRIGGER converge_update ON t", None),
        ("ALTER TABLE t DISABLE TRIGGER USER; ALTER TABLE t ENABLE TRIGGER USER", None),
        ("ALTER TABLE t RENAME TO gone; CREATE TABLE t (LIKE gone INCLUDING ALL)", "DROP TABLE t; "
         "ALTER TABLE gone RENAME TO t"),
        ("CREATE TABLE heir () INHERITS (t)", "DROP TABLE heir"),
    ):  # fmt: skip
        postgres(target, unnoticed)
        ran = rollback(databases, "--apply", "--yes")
        assert (ran.code, "error[V133]" in ran.err and '"public"."t"' in ran.err) == (3, True), ran.err
        postgres(target, again or "SELECT 1")
        assert rollback(databases, "--prepare").code == 0
    # Written anew, the table is compared as a whole.
    postgres(target, "ALTER TABLE t ALTER v TYPE varchar(20) USING upper(v)")
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (0, 2, 0)}
    assert counts(rollback(databases, "--apply", "--yes")) == {}


def test_tables_without_transactions(databases: tuple[str, str]) -> None:
    """Their changes end --apply, up to the statements of the hint."""
    source, target = databases
    ran = prepared(
        databases,
        "CREATE TABLE hits (id INT PRIMARY KEY, v INT) ENGINE = MyISAM;"
        "CREATE TABLE numbers (a INT, id INT AUTO_INCREMENT, PRIMARY KEY (a, id)) ENGINE = MyISAM",
    )
    found = [one for one in ran.json["findings"] if one["code"] == "V136"]
    assert [(one["object"], one["severity"]) for one in found] == [("hits", "lossy"), ("numbers", "lossy")]
    assert all("a change of this table ends --apply" in one["message"] for one in found)
    assert all(one["hint"].startswith("after the cutover, before rollback --apply: ") for one in found)
    postgres(target, "INSERT INTO hits VALUES (1, 1); INSERT INTO numbers VALUES (1, 1)")
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "error[V136]: hits: MyISAM" in ran.err) == (3, True), ran.err
    for one in found:
        mysql(source, one["hint"].partition(": ")[2])
    assert counts(rollback(databases, "--apply", "--yes")) == {"hits": (1, 0, 0), "numbers": (1, 0, 0)}


def test_tables_that_were_not_prepared_in_time_are_compared_as_a_whole(databases: tuple[str, str]) -> None:
    source, target = databases
    addresses = ("--source", source, "--target", target)
    tables = "CREATE TABLE {0} (id INT PRIMARY KEY, v INT); INSERT INTO {0} VALUES (1, 1);"
    prepared(databases, "".join(map(tables.format, ("rebuilt", "quiet"))))
    mysql(source, tables.format("new"))
    assert converge("sync", *addresses).code == 0
    mysql(source, "UPDATE quiet SET v = 0")  # stays: nothing lets all of its rows be read
    postgres(
        target,
        "UPDATE new SET v = 2; CREATE TABLE other (LIKE rebuilt INCLUDING ALL); "
        "INSERT INTO other VALUES (1, 2); DROP TABLE rebuilt; ALTER TABLE other RENAME TO rebuilt",
    )
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "error[V133]" in ran.err) == (3, True), ran.err
    ran = rollback(databases, "--prepare")
    assert ran.err.count("all of its rows are compared") == 2, ran.err
    assert counts(rollback(databases, "--apply", "--yes")) == {"new": (0, 1, 0), "rebuilt": (0, 1, 0)}
    mysql(source, "UPDATE quiet SET v = 1")
    # After the cutover nothing tells when the application began to write.
    assert rollback(databases, "--remove", "--yes").code == 0
    ran = converge("cutover", *addresses, "--yes")
    assert ran.code == 0, ran.err
    postgres(target, "UPDATE quiet SET v = 2")
    assert rollback(databases, "--prepare").code == 0
    assert counts(rollback(databases, "--apply", "--yes")) == {"quiet": (0, 1, 0)}


def test_definitions_that_change_values_are_seen(databases: tuple[str, str]) -> None:
    source, target = databases
    own = {"labels": "kind", "domains": "letter", "names": "text", "again": "text", "quiet": "text"}
    kinds = {"labels": "ENUM('a','b')", "domains": "ENUM('a','b')"}
    postgres(target, "CREATE TYPE kind AS ENUM ('a', 'b'); CREATE DOMAIN letter AS kind")
    for name, kind in own.items():
        postgres(target, f"CREATE TABLE {name} (id int PRIMARY KEY, v {kind}, w text)")
    prepared(
        databases,
        "".join(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v {kinds.get(name, 'TEXT')}, w TEXT); "
            f"INSERT INTO {name} VALUES (1, 'a', 'b'), (2, 'b', 'a');"
            for name in own
        ),
        *("--mode", "load"),
    )
    mysql(source, "UPDATE quiet SET v = 'here'")  # stays: nothing lets all of its rows be read
    for was, becomes in (("a", "c"), ("b", "a"), ("c", "b")):
        postgres(target, f"ALTER TYPE kind RENAME VALUE '{was}' TO '{becomes}'")
    postgres(
        target,
        "ALTER TABLE names RENAME v TO c; ALTER TABLE names RENAME w TO v; ALTER TABLE names RENAME c TO w; "
        "ALTER TABLE again DROP v; ALTER TABLE again ADD v text DEFAULT 'z'; "
        "ALTER TABLE quiet ADD more int DEFAULT 1",
    )
    done = rollback(databases, "--apply", "--yes")
    assert counts(done) == {name: (0, 2, 0) for name in own if name != "quiet"}
    assert mysql(source, "SELECT v FROM domains UNION ALL SELECT v FROM again ORDER BY v") == [
        ("a",), ("b",), ("z",), ("z",),
    ]  # fmt: skip
    assert counts(rollback(databases, "--apply", "--yes")) == {}


def test_columns_that_one_side_computes_come_back(databases: tuple[str, str]) -> None:
    source, target = databases
    columns = (
        "(id int PRIMARY KEY, u int UNIQUE, g text, v text, d text GENERATED ALWAYS AS (upper(v)) STORED)"
    )
    postgres(target, f"CREATE TABLE t {columns}; CREATE TABLE keyless (u int, g text); "
             "CREATE TABLE keyed (g varchar(20) PRIMARY KEY, v text, u int UNIQUE)")  # fmt: skip
    ran = prepared(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, g TEXT AS (CONCAT('g', u)) STORED, v TEXT, "
        "d TEXT); "
        "CREATE TABLE keyless (u INT, g TEXT AS (CONCAT('g', u)) VIRTUAL); "
        "CREATE TABLE keyed (g VARCHAR(20) AS (CONCAT('g', v)) STORED PRIMARY KEY, v VARCHAR(20), "
        "u INT UNIQUE); INSERT INTO t (id, u, v, d) VALUES (1, 1, 'a', 'A'), (2, 2, 'b', 'B'); "
        "INSERT INTO keyless (u) VALUES (1); INSERT INTO keyed (v, u) VALUES ('a', 1), ('b', 2)",
        *("--mode", "load"),
    )
    lossy = {one["object"] for one in ran.json["findings"] if one["severity"] == "lossy"}
    assert lossy == {"t.g", "keyless.g", "keyed.g"}
    for change in (
        "UPDATE t SET u = 5 - u; UPDATE t SET u = u - 2",  # the unique values 1 and 2 change places
        "UPDATE t SET g = 'g' || u, v = 'c' WHERE id = 1; INSERT INTO t VALUES (3, 3, 'g3', 'e')",
        "INSERT INTO keyless VALUES (7, 'g7')",
        "UPDATE keyed SET u = 5 - u; UPDATE keyed SET u = u - 2; INSERT INTO keyed VALUES ('gc', 'c', 3)",
    ):
        postgres(target, change)
    done = counts(rollback(databases, "--apply", "--yes"))
    assert done == {"t": (1, 2, 0), "keyless": (1, 0, 0), "keyed": (1, 2, 0)}
    postgres(target, "UPDATE t SET g = 'g' || u")
    judged = compare(source, target)
    assert judged.equal, str(judged)
    # What only the target has is said before, and stops nothing.
    postgres(target, "UPDATE t SET g = 'other', v = 'x' WHERE id = 1")
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (0, 1, 0)}


def test_tables_of_one_side_are_left_out(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    addresses = ("--source", source, "--target", target)
    names = ("t", "gone_here", "gone_there")
    mysql(source, "".join(f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY);" for name in names))
    assert converge("migrate", *addresses).code == 0
    mysql(source, "DROP TABLE gone_here")
    postgres(target, "DROP TABLE gone_there")

    def left_out(ran: Ran) -> list[tuple[str, str]]:
        assert ran.code == 0, ran.err
        return [(one["object"], one["severity"]) for one in ran.json["findings"] if one["code"] == "V130"]

    both = [("gone_here", "lossy"), ("gone_there", "lossy")]
    ran = rollback(databases, "--prepare")
    assert (left_out(ran), [one["source"] for one in ran.json["tables"]]) == (both, ["t"])
    postgres(target, "TRUNCATE t; INSERT INTO t VALUES (1)")
    script = tmp_path / "back.sql"
    for more in (["--sql", str(script)], ["--apply", "--yes"]):
        ran = rollback(databases, *more)
        assert (left_out(ran), counts(ran)) == (both, {"t": (1, 0, 0)})
    postgres(target, "INSERT INTO t VALUES (2)")
    mysql(source, "RENAME TABLE t TO away")
    for more in (["--prepare"], ["--sql", str(script)], ["--apply", "--yes"]):
        ran = rollback(databases, *more)
        assert (ran.code, "error[V115]" in ran.err, "1 changed row" in ran.err) == (3, True, True), ran.err
    mysql(source, "RENAME TABLE away TO t; ALTER TABLE t RENAME COLUMN id TO other")
    ran = rollback(databases, "--prepare")
    assert (ran.code, ran.json["verdict"], "no longer has the column" in ran.out) == (3, "blocked", True)


def test_a_reader_is_told_what_a_writer_needs(databases: tuple[str, str]) -> None:
    source, target = databases
    prepared(databases, "CREATE TABLE t (id INT PRIMARY KEY)")
    postgres(target, "TRUNCATE t; INSERT INTO t VALUES (1)")
    name = source.rpartition("/")[2]
    mysql(source, f"CREATE USER reader; GRANT SELECT, TRIGGER, SHOW VIEW ON {name}.* TO reader")
    try:
        ran = rollback((source.replace("root@", "reader@"), target), "--apply", "--yes")
    finally:
        mysql(source, "DROP USER reader")
    grant = f"GRANT INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON `{name}`.* TO 'reader'@'%';"
    assert (ran.code, "error[S004]" in ran.err, grant in ran.err) == (4, True, True), ran.err
    mysql(source, "SET GLOBAL super_read_only = ON")
    try:
        ran = rollback(databases, "--apply", "--yes")
    finally:
        mysql(source, "SET GLOBAL super_read_only = OFF, read_only = OFF")
    assert (ran.code, "SET GLOBAL super_read_only = OFF, read_only = OFF;" in ran.err) == (4, True), ran.err
    assert counts(rollback(databases, "--apply", "--yes")) == {"t": (1, 0, 0)}
    # Neither our triggers nor what they note of the table's file are a difference.
    ran = converge("verify", "--source", source, "--target", target)
    assert ran.code == 0, ran.err


def test_numbers_that_the_role_may_not_read_are_named(databases: tuple[str, str], tmp_path: Path) -> None:
    """The source would give them out again."""
    source, target = databases
    prepared(databases, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)")
    postgres(target, "INSERT INTO t DEFAULT VALUES; SELECT setval('t_id_seq', 77)")
    role = f"{target.rpartition('/')[2]}_returner"
    postgres(target, f"CREATE ROLE {role} LOGIN")
    script = ("--sql", str(tmp_path / "back.sql"))

    def next_number() -> dict[str, str]:
        ran = rollback((source, target.replace("postgres@", f"{role}@")), *script)
        (told,) = (one for one in ran.json["findings"] if one["code"] == "V135")
        return {name: str(told[name]) for name in ("object", "message", "hint")}

    try:
        for schema in ("public", "converge"):
            postgres(target, f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            postgres(target, f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
        grant = f'GRANT SELECT ON SEQUENCE "public"."t_id_seq" TO {role};'
        assert (next_number()["object"], next_number()["hint"]) == ("t.id", grant)
        postgres(target, grant)
        assert "78" in next_number()["message"]
    finally:
        postgres(target, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_tables_of_other_runs_go_back_by_their_own(databases: tuple[str, str]) -> None:
    source, target = databases
    both = ("--source", source, "--target", target)
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT PRIMARY KEY)")
    assert converge("migrate", *both, "--exclude", "b").code == 0
    assert converge("migrate", *both, "--include", "b").code == 0
    refused = rollback(databases, "--prepare")
    assert refused.code == 3 and "error[V133]" in refused.err, refused.err
    assert "a: run 1" in refused.err and "--run 2" in refused.err
    for run in "12":
        assert rollback(databases, "--prepare", "--run", run).code == 0
    postgres(target, "INSERT INTO a VALUES (1)")
    postgres(target, "INSERT INTO b VALUES (1)")
    assert rollback(databases, "--apply", "--yes").code == 3
    for run in "12":
        ran = rollback(databases, "--apply", "--yes", "--run", run)
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert mysql(source, "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == [(1, 1)]


def test_keys_that_the_target_lets_be_null_do_not_go_back_unsaid(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (5, 1), (6, 1)")
    postgres(target, "CREATE TABLE a (id int UNIQUE, v int)")
    addresses = ("--source", source, "--target", target)
    ran = converge("migrate", *addresses, "--mode", "load")
    assert ran.code == 0, ran.err
    assert rollback(databases, "--prepare").code == 0
    for change in ("INSERT INTO a VALUES (NULL, 7)", "UPDATE a SET id = NULL WHERE id = 5"):
        postgres(target, change)
        ran = rollback(databases, "--apply", "--yes")
        assert (ran.code, "V132" in ran.err) == (4, True), ran.err
        assert mysql(source, "SELECT * FROM a ORDER BY id") == [(5, 1), (6, 1)]
        postgres(target, "DELETE FROM a WHERE id IS NULL")
    assert counts(rollback(databases, "--apply", "--yes")) == {"a": (0, 0, 1)}


def test_columns_that_are_called_as_variables_are_noted(databases: tuple[str, str]) -> None:
    """The application's own statements fail where the function that notes its changes does."""
    names = ("found", "new", "old", "tg_op")
    columns = ", ".join(f"`{name}` INT" for name in names)
    keys = ", ".join(f"`{name}`" for name in names)
    prepared(databases, f"CREATE TABLE lost ({columns}, v INT, PRIMARY KEY ({keys}))")
    postgres(databases[1], "INSERT INTO lost VALUES (1, 2, 3, 4, 5); UPDATE lost SET v = 6")
    assert counts(rollback(databases, "--apply", "--yes")) == {"lost": (1, 0, 0)}
    assert mysql(databases[0], "SELECT * FROM lost") == [(1, 2, 3, 4, 6)]


FAMILY = (
    "CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE);"
    "CREATE TABLE audit (id INT PRIMARY KEY, user_id INT, "
    "  FOREIGN KEY by_user (user_id) REFERENCES users (id) ON DELETE CASCADE);"
    "CREATE TABLE named (id INT PRIMARY KEY, name VARCHAR(20), "
    "  FOREIGN KEY by_name (name) REFERENCES users (name));"
    "INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO audit VALUES (1, 1), (2, NULL);"
    "INSERT INTO named VALUES (1, 'b'), (2, NULL)"
)


@pytest.mark.parametrize(
    ("options", "change", "orphan"),
    [
        (["--exclude", "audit"], "DELETE FROM users WHERE id = 1", "audit.user_id (1): 1 row"),
        (["--exclude", "audit"], "UPDATE users SET id = 4 WHERE id = 1", "audit.user_id (1): 1 row"),
        (["--exclude", "audit"], "TRUNCATE users CASCADE", "audit.user_id (1): 1 row"),
        (["--exclude", "named"], "UPDATE users SET name = 'z' WHERE id = 2", "named.name (b): 1 row"),
        (["--exclude", "users"], "INSERT INTO audit VALUES (5, 7), (6, 1)", "audit.user_id (7): 1 row"),
        (["--exclude", "users"], "UPDATE named SET name = 'y'", "named.name (y): 2 rows"),
    ],
)
def test_no_row_loses_its_parent(
    databases: tuple[str, str], tmp_path: Path, options: list[str], change: str, orphan: str
) -> None:
    """Orphans of before are none of the rollback's."""
    source, target = databases
    mysql(source, FAMILY)
    if "named" not in options:
        mysql(source, "SET foreign_key_checks = 0; INSERT INTO audit VALUES (3, 99)")
    ran = converge("migrate", "--source", source, "--target", target, *options)
    assert ran.code == 0, ran.err
    ran = rollback(databases, "--prepare")
    found = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "V130"}
    assert any("foreign key" in words for words in found.values()), ran.out
    harmless = "audit VALUES (8, 2)" if "users" in options else "users VALUES (9, 'i')"
    postgres(target, f"INSERT INTO {harmless}")
    assert rollback(databases, "--apply", "--yes").code == 0
    before = mysql(source, "CHECKSUM TABLE users, audit, named")
    postgres(target, change)
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "error[V132]" in ran.err, orphan in ran.err) == (4, True, True), ran.err
    assert mysql(source, "CHECKSUM TABLE users, audit, named") == before
    script = tmp_path / "back.sql"
    assert rollback(databases, "--sql", str(script)).code == 0
    with pytest.raises(Exception, match="rows without a parent"):
        mysql(source, script.read_text("utf-8"))
    assert mysql(source, "CHECKSUM TABLE users, audit, named") == before


def test_parents_of_other_databases_and_runs(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    both, name = ("--source", source, "--target", target), source.rpartition("/")[2]
    mysql(source, f"{FAMILY}; CREATE DATABASE {name}_x; CREATE TABLE {name}_x.far (u INT, "
          f"FOREIGN KEY (u) REFERENCES {name}.users (id)); INSERT INTO {name}_x.far VALUES (2)")  # fmt: skip
    try:
        assert converge("migrate", *both, "--exclude", "audit").code == 0
        assert converge("migrate", *both, "--include", "audit").code == 0
        postgres(
            target,
            "ALTER TABLE audit ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE NOT VALID; "
            "ALTER TABLE named DROP CONSTRAINT named_ibfk_1",
        )
        found = []
        for run in "12":
            ran = rollback(databases, "--prepare", "--run", run)
            found.append({one["object"] for one in ran.json["findings"] if one["code"] == "V130"})
        far = f"{name}_x.far.u"
        assert found == [{"audit.user_id", far, "named.name"}, {"audit.user_id"}]
        postgres(
            target, "ALTER TABLE audit VALIDATE CONSTRAINT audit_user_id_fkey; DELETE FROM users WHERE id = 2"
        )
        ran = rollback(databases, "--apply", "--yes", "--run", "1")
        assert (ran.code, f"{far} (2): 1 row" in ran.err, "named.name (b): 1 row" in ran.err) == (
            4,
            True,
            True,
        )
        # Each of both runs has rows that need the other's.
        postgres(target, "INSERT INTO users VALUES (2, 'b'), (7, 'g'); DELETE FROM users WHERE id = 1; "
                 "INSERT INTO audit VALUES (7, 7)")  # fmt: skip
        for run in "21":
            assert rollback(databases, "--apply", "--yes", "--run", run).code == 0
        assert mysql(source, "SELECT id, user_id FROM audit ORDER BY id") == [(2, None), (7, 7)]
        assert mysql(source, "SELECT id FROM users ORDER BY id") == [(2,), (3,), (7,)]
    finally:
        mysql(source, f"DROP DATABASE {name}_x")


def test_foreign_keys_that_the_cutover_validates_are_held(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, FAMILY)
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends).code == 0
    mysql(source, "INSERT INTO users VALUES (4, 'd'); INSERT INTO audit VALUES (4, 4)")
    assert converge("follow", "--once", *ends).code == 0
    unchecked = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
    assert postgres(target, unchecked) == [(2,)]
    ran = rollback(databases, "--prepare")
    assert (ran.code, [one["object"] for one in ran.json["findings"]]) == (0, []), ran.err
    assert converge("cutover", *ends, "--stop", "true").code == 0
    postgres(target, "DELETE FROM users WHERE id = 4")
    assert counts(rollback(databases, "--apply", "--yes")) == {"users": (0, 0, 1), "audit": (0, 0, 1)}


def test_orphans_of_before_end_nothing(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1), (2);"
        "CREATE TABLE audit (id INT PRIMARY KEY, u INT, note TEXT, FOREIGN KEY (u) REFERENCES users (id));"
        "CREATE TABLE log (u INT, note TEXT, FOREIGN KEY (u) REFERENCES users (id));"
        "INSERT INTO log VALUES (1, 'x'), (2, 'x'); INSERT INTO audit VALUES (1, 1, 'x');"
        "SET foreign_key_checks = 0; INSERT INTO audit VALUES (9, 99, 'x'); INSERT INTO log VALUES (98, 'x')",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--exclude", "users")
    assert ran.code == 0, ran.err
    assert rollback(databases, "--prepare").code == 0
    postgres(target, "UPDATE audit SET note = 'y'; UPDATE log SET note = 'y' WHERE u <> 2")
    assert counts(rollback(databases, "--apply", "--yes")) == {"audit": (0, 2, 0), "log": (2, 0, 2)}
    postgres(target, "UPDATE audit SET note = 'z'; INSERT INTO log VALUES (2, 'z'), (98, 'z')")
    script = tmp_path / "back.sql"
    for options in (["--apply", "--yes"], ["--sql", str(script)]):
        ran = rollback(databases, *options)
    with pytest.raises(Exception, match="log: rows without a parent"):
        mysql(source, script.read_text("utf-8"))
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, "1 row of the source would" in ran.err, "log.u (98): 1 row" in ran.err) == (
        4,
        True,
        True,
    )


def test_rows_of_a_table_without_a_key_lose_no_parent(databases: tuple[str, str]) -> None:
    """Whatever the order of the tables: what is an orphan by the rollback was none before."""
    tables = (
        "CREATE TABLE {0}p (id INT PRIMARY KEY); CREATE TABLE {1}c (u INT, v INT, "
        "CONSTRAINT {1}f FOREIGN KEY (u) REFERENCES {0}p (id));"
        "INSERT INTO {0}p VALUES (1); INSERT INTO {1}c VALUES (1, 1), (1, 1);"
    )
    prepared(databases, tables.format("a", "b") + tables.format("d", "c"))
    for parent, child in ("ap", "bc"), ("dp", "cc"):
        foreign_key = f"ALTER TABLE {child} DROP CONSTRAINT {child[0]}f"
        postgres(databases[1], f"{foreign_key}; DELETE FROM {parent}; UPDATE {child} SET v = 2")
    ran = rollback(databases, "--apply", "--yes")
    assert (ran.code, *(f"{one}.u (1): 2 rows" in ran.err for one in ("bc", "cc"))) == (4, True, True), (
        ran.err
    )


def test_servers_that_ask_for_keys_and_other_texts_take_what_comes_back(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """The values of both sides of a foreign key are noted, of which the parent's may be longer."""
    source, target = databases
    mysql(source, f"ALTER DATABASE {source.rpartition('/')[2]} CHARACTER SET latin1")
    prepared(
        databases,
        "CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(64) UNIQUE) CHARACTER SET utf8mb4;"
        "CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(32), "
        "  CONSTRAINT `ж` FOREIGN KEY (code) REFERENCES p (code)) CHARACTER SET utf8mb4;"
        "INSERT INTO p VALUES (1, REPEAT('x', 64)), (2, 'a'); INSERT INTO c VALUES (1, 'a')",
    )
    script = tmp_path / "back.sql"
    with settings(source, {"sql_require_primary_key": "1"}):
        postgres(target, "UPDATE p SET code = repeat('ю', 64) WHERE id = 1; INSERT INTO c VALUES (2, 'a')")
        assert counts(rollback(databases, "--apply", "--yes")) == {"p": (0, 1, 0), "c": (1, 0, 0)}
        postgres(target, "DELETE FROM p WHERE id = 1; INSERT INTO c VALUES (3, 'a')")
        assert rollback(databases, "--sql", str(script)).code == 0
        mysql(source, script.read_text("utf-8"))
    assert mysql(source, "SELECT id FROM p UNION ALL SELECT id FROM c") == [(2,), (1,), (2,), (3,)]


def test_parents_that_are_not_there_or_not_readable(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    name = source.rpartition("/")[2]
    mysql(
        source,
        f"CREATE DATABASE {name}_x; CREATE TABLE {name}_x.far (id INT PRIMARY KEY);"
        "SET foreign_key_checks = 0;"
        "CREATE TABLE c (id INT PRIMARY KEY, a INT, b INT, FOREIGN KEY (a) REFERENCES nowhere (id), "
        f"CONSTRAINT far FOREIGN KEY (b) REFERENCES {name}_x.far (id)); INSERT INTO c VALUES (1, 7, NULL); "
        f"INSERT INTO {name}_x.far VALUES (8); "
        f"CREATE USER {name}_u; GRANT ALL ON {name}.* TO {name}_u; GRANT RELOAD, PROCESS ON *.* TO {name}_u",
    )
    user = source.replace("root@", f"{name}_u@")
    assert user != source
    ends = (user, target)
    try:
        ran = converge("migrate", "--source", source, "--target", target)
        assert ran.code == 0, ran.err
        ran = rollback(ends, "--prepare")
        found = {(one["code"], one["object"]): one for one in ran.json["findings"]}
        assert "does not exist" in found["V130", "c.a"]["message"], ran.out
        grant = f"GRANT SELECT ON `{name}_x`.`far` TO '{name}_u'@'%';"
        assert found["V134", "c.b"]["hint"] == grant, ran.out
        postgres(target, "INSERT INTO c VALUES (2, 7, 8)")
        ran = rollback(ends, "--apply", "--yes")
        assert (ran.code, "error[S004]" in ran.err, grant in ran.err) == (4, True, True), ran.err
        mysql(source, grant)
        assert counts(rollback(ends, "--apply", "--yes")) == {"c": (1, 0, 0)}
        # A child of which the user may see nothing, and a parent in a database that is not there.
        mysql(
            source,
            f"CREATE TABLE {name}_x.note (c INT, CONSTRAINT of_c FOREIGN KEY (c) REFERENCES {name}.c (id));"
            f"INSERT INTO {name}_x.note VALUES (2); SET foreign_key_checks = 0;"
            f"ALTER TABLE c ADD CONSTRAINT away FOREIGN KEY (a) REFERENCES {name}_y.far (id)",
        )
        postgres(target, "DELETE FROM c WHERE id = 2")
        grant = f"GRANT SELECT ON `{name}_x`.`note` TO '{name}_u'@'%';"
        for how in (("--apply", "--yes"), ("--sql", str(tmp_path / "back.sql"))):
            ran = rollback(ends, *how)
            assert (ran.code, "error[S004]" in ran.err, grant in ran.err) == (4, True, True), ran.err
        assert not [*tmp_path.iterdir()]
        ran = rollback((source, target), "--apply", "--yes", "--schema", "public")
        assert (ran.code, "error[V132]" in ran.err, "_x.note.c (2)" in ran.err) == (4, True, True), ran.err
    finally:
        mysql(source, f"DROP TABLE {name}_x.note; DROP TABLE c; DROP USER {name}_u; DROP DATABASE {name}_x")
