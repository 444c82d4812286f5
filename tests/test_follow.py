"""`follow`: the target is the source at an instant, whatever its writers have done, and however often it
stops."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from judge import compare
from support import Ran, begun, converge, migrated, mysql, postgres, relations
from test_server_settings import settings

from converge.errors import TargetError
from converge.following.follow import opened
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.work import DigestTask
from converge.mysql.log import writers
from converge.run.options import Options
from converge.sandbox.server import connect_mysql

SOURCE = """
CREATE TABLE top (
    id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, place INT UNIQUE, note TEXT,
    size INT AS (CHAR_LENGTH(note)) VIRTUAL);
CREATE TABLE middle (
    top_id INT NOT NULL, number SMALLINT UNSIGNED NOT NULL, note VARCHAR(30), PRIMARY KEY (top_id, number),
    FOREIGN KEY (top_id) REFERENCES top (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE leaf (
    id BINARY(16) PRIMARY KEY, top_id INT NOT NULL, number SMALLINT UNSIGNED NOT NULL, document JSON,
    FOREIGN KEY (top_id, number) REFERENCES middle (top_id, number) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE loose (
    id BIGINT UNSIGNED PRIMARY KEY, code VARCHAR(20), boss BIGINT UNSIGNED,
    FOREIGN KEY (code) REFERENCES top (code) ON DELETE SET NULL ON UPDATE CASCADE,
    FOREIGN KEY (boss) REFERENCES loose (id) ON DELETE SET NULL);
CREATE TABLE two (id INT PRIMARY KEY);
CREATE TABLE three (id INT PRIMARY KEY, two INT, FOREIGN KEY (two) REFERENCES two (id) ON DELETE CASCADE);
CREATE TABLE four (
    id INT PRIMARY KEY, three INT, FOREIGN KEY (three) REFERENCES three (id) ON DELETE CASCADE);
CREATE TABLE keyless (number INT, body VARCHAR(200));
CREATE TABLE old (id INT PRIMARY KEY) ENGINE = MyISAM;
CREATE TABLE preset (region INT DEFAULT 7, id INT, PRIMARY KEY (region, id));
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, body VARCHAR(20));
CREATE TABLE parted (id INT PRIMARY KEY, body VARCHAR(20)) PARTITION BY RANGE (id) (
    PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20),
    PARTITION p2 VALUES LESS THAN (30));
CREATE TABLE plain (id INT PRIMARY KEY, body VARCHAR(20));
INSERT INTO parted VALUES (1, 'a'), (2, 'b'), (11, 'c'), (21, 'd');
INSERT INTO plain VALUES (3, 'e');
INSERT INTO top (id, code, place, note) VALUES
    (1, 'a', 10, 'one'), (2, 'b', 20, NULL),
    (3, 'c', 30, 'tab\\there'), (4, 'd', NULL, ''), (5, 'e', 50, 'x');
INSERT INTO middle
    SELECT id, n, CONCAT(id, n) FROM top, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 65535) AS m;
INSERT INTO leaf
    SELECT UNHEX(MD5(CONCAT(top_id, '-', number))), top_id, number, JSON_OBJECT('n', number) FROM middle;
INSERT INTO loose VALUES
    (1, 'a', NULL), (2, 'b', 1), (3, 'c', 2), (18446744073709551615, 'd', 1), (5, NULL, 3);
INSERT INTO two VALUES (1); INSERT INTO three VALUES (1, 1); INSERT INTO four VALUES (1, 1), (2, 1);
INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (2, 'y');
INSERT INTO old VALUES (1), (2);
INSERT INTO log (body) VALUES ('1'), ('2'), ('3');
"""
ROUNDS = (
    # Values of unique keys are swapped.
    "UPDATE top SET place = 99 WHERE id = 1; UPDATE top SET place = 10 WHERE id = 2; "
    "UPDATE top SET place = 20 WHERE id = 1; "
    # As a dump has them.
    "/*!40000 ALTER TABLE plain DISABLE KEYS */; /*!50001 DROP VIEW IF EXISTS nothing*/; "
    "-- As migrations have it\n# ALTER\nDROP VIEW IF EXISTS nothing",
    # Three levels of cascades, by a changed key and by a row that is gone and comes back.
    "UPDATE top SET id = 7 WHERE id = 3; DELETE FROM top WHERE id = 4; "
    "INSERT INTO top (id, code) VALUES (4, 'd')",
    "UPDATE top SET code = 'z' WHERE code = 'a'; UPDATE top SET note = 'only this' WHERE id = 2",
    "DELETE FROM loose WHERE id = 2; DELETE FROM top WHERE id = 5",
    "INSERT INTO keyless VALUES (3, 'z'); DELETE FROM keyless WHERE number = 1 LIMIT 1",
    # A row gets another parent, and goes with it and its own children, of which no event tells.
    "INSERT INTO two VALUES (9); UPDATE three SET two = 9 WHERE id = 1; DELETE FROM two WHERE id = 9",
    # Nothing of it is left, or all of it is new.
    "TRUNCATE log; INSERT INTO log (body) VALUES ('new'); TRUNCATE TABLE /* all */ `old`",
    # A part of the key that the log does not have.
    "SET binlog_row_image = MINIMAL; INSERT INTO preset (id) VALUES (1)",
    "BEGIN; INSERT INTO top (id, code) VALUES (50, 'gone'); ROLLBACK; DELETE FROM middle WHERE number = 1",
    "REPLACE INTO top (id, code) VALUES (1, 'y'); INSERT INTO middle VALUES (1, 3, 'x')",
    "ALTER TABLE parted EXCHANGE PARTITION p0 WITH TABLE plain; DELETE FROM plain WHERE id = 1; "
    "ALTER TABLE parted TRUNCATE PARTITION p1; INSERT INTO parted VALUES (12, 'new')",
    # As gh-ost ends, then pt-online-schema-change, whose triggers write to the new table.
    "CREATE TABLE _log_gho LIKE log; INSERT INTO _log_gho VALUES (1, 'g'), (5, 'h'); "
    "RENAME TABLE log TO _log_del, _log_gho TO log; UPDATE log SET body = 'i' WHERE id = 1; "
    "DROP TABLE _log_del",
    "CREATE TABLE _plain_new LIKE plain; CREATE TRIGGER pt_osc AFTER INSERT ON plain "
    "FOR EACH ROW REPLACE INTO _plain_new VALUES (NEW.id, NEW.body); INSERT INTO plain VALUES (90, 'x'); "
    "INSERT IGNORE INTO _plain_new SELECT * FROM plain; "
    "RENAME TABLE plain TO _plain_old, _plain_new TO plain; DROP TABLE _plain_old",
    # The same tables in the end, whose rows have changed under other names.
    "RENAME TABLE log TO away; UPDATE away SET body = 'away'; RENAME TABLE away TO log; "
    "ALTER TABLE plain RENAME TO away; DELETE FROM away; ALTER TABLE away RENAME TO plain",
    "SET @a = 1 /*!80020 , SESSION binlog_transaction_compression = ON */; "
    "UPDATE log SET body = 'compressed'; UPDATE top SET note = REPEAT('much', 10000)",
    "XA START 'a'; INSERT INTO log (body) VALUES ('xa'); XA END 'a'; XA PREPARE 'a'",
    "INSERT INTO two VALUES (70); XA COMMIT 'a'",
)


LEFT = ("V111", "V112")
"""Keys that are not valid, and sequences that are too low."""
UTC = "SET time_zone = '+00:00'"
KEYS = {
    "a": ("INT ZEROFILL", "1", "4000000000"),
    "b": ("MEDIUMINT", "-8388608", "7"),
    "c": ("BIGINT UNSIGNED", "1", "18446744073709551615"),
    "d": ("VARCHAR(20) CHARACTER SET latin1", "'é'", "'É '"),
    "e": ("CHAR(255) CHARACTER SET utf8mb3", "'a  b'", "'ü'"),
    "f": ("VARCHAR(9) COLLATE utf8mb4_general_ci", "'x'", "'X'"),
    "g": ("BINARY(4)", "'a'", "x'ff000000'"),
    "h": ("VARBINARY(300)", "x'00'", "x'0000'"),
    "i": ("DECIMAL(23,11)", "-0.5", "123456789012.00000000001"),
    "j": ("DECIMAL(9,0)", "-999999999", "0"),
    "k": ("DATE", "'1000-01-01'", "'9999-12-31'"),
    "l": ("DATETIME(3)", "'2020-02-29 23:59:59.999'", "'1000-01-01'"),
    "m": ("TIMESTAMP(6) NOT NULL", "'1970-01-01 00:00:01.5'", "'2038-01-19 03:14:07.999999'"),
    "n": ("TIME(1)", "'00:00:00.1'", "'23:59:58'"),
    "o": ("YEAR", "1901", "2155"),
    "p": ("ENUM('one', 'zwölf', 'tab\\t')", "'zwölf'", "'tab\\t'"),
    "q": ("BIT(11)", "b'1'", "b'10000000001'"),
    "r": ("BIT(1)", "0", "1"),
    "s": ("TINYINT(1)", "0", "1"),
    "t": ("VARCHAR(200) CHARACTER SET cp932", "'表'", "'x'"),
    "u": ("DATETIME", "'2000-01-01'", "'2000-01-02 01:02:03'"),
    "v": ("SET('x','y')", "'x,y'", "''"),
    "w": ("DOUBLE", "0.1", "2"),
}
"""Types of keys, each with two values."""


@pytest.fixture
def pair(both_databases: tuple[str, str]) -> tuple[str, str]:
    """A run that has ended."""
    return migrated(both_databases, SOURCE)


def follow(pair: tuple[str, str], *more: str) -> Ran:
    return converge("follow", "--once", "--source", pair[0], "--target", pair[1], "--json", *more)


def test_the_target_is_the_source_after_each_epoch(pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    file = tmp_path / "rows.txt"
    file.write_text("700\tloaded\n800\tloaded\n", "utf-8")
    with connect_mysql(source, local_infile=True) as loader, loader.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile = ON")
        for table in ("log", "keyless"):
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table}")
    for statements in ROUNDS:
        mysql(source, statements)
        ran = follow(pair)
        assert (ran.code, ran.json["verdict"]) == (0, "migrated"), ran.err
        judged = compare(source, target)
        assert judged.equal, f"{statements}\n{judged}"


def test_a_statement_replaces_the_tables_that_it_names(databases: tuple[str, str]) -> None:
    names = ("t", "user", "import$", "größe", "a`b", "a-b", "two words")
    pair = migrated(
        databases,
        ";".join(f"CREATE TABLE `{name.replace('`', '``')}` (id INT PRIMARY KEY)" for name in names)
        + ";CREATE TABLE user_import (id INT); CREATE TABLE `großer` (id INT)",
    )
    for statement, whole in (
        ("TRUNCATE TABLE user_import", ["user_import"]),
        ("CREATE USER not_t@t_user; RENAME USER not_t@t_user TO other@t_user; DROP USER other@t_user", []),
        ("RENAME TABLE`user`TO`away`; RENAME TABLE`away`TO/**/user", ["user"]),
        ("TRUNCATE TABLE`import$`", ["import$"]),
        ("TRUNCATE `a``b`; TRUNCATE t", ["a`b", "t"]),
        ("TRUNCATE `two words`; TRUNCATE `a-b`", ["a-b", "two words"]),
        # The character set of a statement is not told.
        ("TRUNCATE größe", ["größe", "großer"]),
    ):
        mysql(pair[0], statement)
        ran = follow(pair)
        message = ran.json["findings"][-1]["message"]
        named = message.partition("; as a whole: ")[2].split(", ")
        assert (ran.code, sorted(filter(None, named))) == (0, sorted(whole)), f"{statement}: {message}"


def test_keys_of_every_type(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    migrated(
        both_databases,
        f"{UTC};"
        + "".join(
            f"CREATE TABLE {name} (k {type_} NOT NULL, n TINYINT, v INT, d JSON, PRIMARY KEY (n, k));"
            f"INSERT INTO {name} VALUES ({one}, 1, 1, '[]'), ({other}, 2, 1, NULL);"
            for name, (type_, one, other) in KEYS.items()
        ),
    )
    changes = (
        "UPDATE {0} SET v = 2 WHERE n = 1; DELETE FROM {0} WHERE n = 2; "
        "INSERT INTO {0} VALUES ({2}, 3, 3, NULL)",
        "UPDATE {0} SET k = {2}, d = NULL WHERE n = 1; "
        "INSERT INTO {0} SELECT k, 4, v, d FROM {0} WHERE n = 3",
    )
    for image in ("FULL", "MINIMAL", "NOBLOB"):
        for change in changes:
            for name, (_, *values) in KEYS.items():
                statements = change.format(name, *values)
                mysql(source, f"{UTC}, binlog_row_image = {image}; {statements}")
            ran = follow(both_databases)
            assert ran.code == 0, ran.err
            judged = compare(source, target)
            assert judged.equal, str(judged)
        for name, (_, one, other) in KEYS.items():
            mysql(source, f"{UTC}; DELETE FROM {name}; "
                  f"INSERT INTO {name} VALUES ({one}, 1, 1, '[]'), ({other}, 2, 1, NULL)")  # fmt: skip
    # Those of a SET or a number of floating point are replaced as a whole.
    assert [one["evidence"] for one in ran.json["findings"] if one["code"] == "W008"] == ["v, w"]


def test_it_stops_where_the_log_does_not_tell(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair = migrated(databases, SOURCE)
    banner = f"{'#' * 80} SET\n-- set, or drop /* x\n/* begin */ /*!99999 ALTER */"
    mysql(source, f"SET binlog_format = STATEMENT; {banner} UPDATE log SET body = '*/ SET' WHERE id = 1")
    ran = follow(pair)
    assert (ran.code, "W005" in ran.err, "#### SET" in ran.err) == (4, True, True), ran.err
    assert postgres(target, "SELECT epoch FROM converge.follow") == [(0,)]
    # A comparison of all rows needs no log, and notes where it goes on.
    ran = converge("sync", "--source", source, "--target", target)
    assert ran.code == 0, ran.err
    # A file that is begun within an epoch is none of another log.
    time.sleep(1.1)
    mysql(source, "FLUSH BINARY LOGS; UPDATE log SET body = 'by its row' WHERE id = 2")
    for _ in range(2):
        ran = follow(pair)
        assert ran.code == 0, ran.err
    judged = compare(source, target)
    assert judged.equal, str(judged)
    # Its rows come back by a file.
    ((place, database),) = mysql(source, "SELECT @@datadir, DATABASE()")
    with connect_mysql(source) as connection, connection.cursor() as cursor:
        cursor.execute("FLUSH TABLES log FOR EXPORT")
        for end in ("ibd", "cfg"):
            shutil.copy2(Path(place, database, f"log.{end}"), tmp_path)
    mysql(source, "UPDATE log SET body = 'newer'")
    assert follow(pair).code == 0
    mysql(source, "ALTER TABLE log DISCARD TABLESPACE")
    for end in ("ibd", "cfg"):
        # Of whoever the server runs as.
        Path(shutil.copy(tmp_path / f"log.{end}", Path(place, database))).chmod(0o666)
    mysql(source, "ALTER TABLE log IMPORT TABLESPACE")
    assert follow(pair).code == 0
    judged = compare(source, target)
    assert judged.equal, str(judged)
    mysql(source, "ALTER TABLE log ADD more INT; ALTER TABLE log DROP more; UPDATE log SET body = 'back'")
    ran = follow(pair)
    assert (ran.code, "log" in ran.json["findings"][-1]["message"]) == (0, True), ran.err
    assert compare(source, target).equal
    mysql(source, "ALTER TABLE log ADD more INT")
    ran = follow(pair)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    mysql(source, "ALTER TABLE log DROP more")
    postgres(target, 'UPDATE converge.follow SET log = log || \'{"file": "binlog.000000"}\'')
    ran = follow(pair)
    assert (ran.code, "W003" in ran.err) == (4, True), ran.err
    postgres(target, 'UPDATE converge.follow SET log = log || \'{"server": "another"}\'')
    ran = follow(pair)
    assert (ran.code, "W003" in ran.err) == (4, True), ran.err
    postgres(target, "DELETE FROM converge.follow")
    ran = follow(pair)
    assert (ran.code, "W001" in ran.err) == (3, True), ran.err


def test_a_list_that_is_not_made_anew_says_nothing(databases: tuple[str, str]) -> None:
    """InnoDB makes its list of transactions anew only when nobody has read it for a tenth of a second."""
    source, stop = databases[0], Event()
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")

    def monitor() -> None:
        with connect_mysql(source) as connection, connection.cursor() as cursor:
            while not stop.wait(0.02):
                cursor.execute("SELECT COUNT(*) FROM information_schema.INNODB_TRX")

    thread = Thread(target=monitor)
    with connect_mysql(source) as writer, connect_mysql(source) as reader, writer.cursor() as cursor:
        thread.start()
        try:
            time.sleep(0.3)
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO t VALUES (1)")
            beside = writers(reader)
        finally:
            stop.set()
            thread.join()
        assert beside is None
        assert writers(reader)


def test_cascades_that_the_target_would_not_see(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (code VARCHAR(9) PRIMARY KEY, n INT);"
        "CREATE TABLE c (id INT PRIMARY KEY, code VARCHAR(9), "
        "CONSTRAINT f FOREIGN KEY (code) REFERENCES p (code) ON DELETE CASCADE);"
        "INSERT INTO p VALUES ('a', 1), ('b', 2); INSERT INTO c VALUES (1, 'A'), (2, 'b')",
    )
    ends = ("--source", source, "--target", target)
    (tmp_path / "map.toml").write_text(
        '[[foreign_key]]\nmatch = { table = "c" }\nvalidate = false\n', "utf-8"
    )
    ran = converge("migrate", *ends, "--map", str(tmp_path / "map.toml"))
    assert ran.code == 0, ran.err
    mysql(source, "DELETE FROM p WHERE code = 'a'")
    ran = follow(databases)
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT id FROM c") == [(2,)]
    ran = converge("migrate", *ends, "--exclude", "p", "--recreate", "--yes")
    assert ran.code == 0, ran.err
    ran = follow(databases)
    assert (ran.code, "W007" in ran.err, "f changes its rows" in ran.err) == (3, True, True), ran.err


def test_a_parent_that_comes_and_goes_takes_its_orphans_along(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """The target never has that parent, and the log has no event of the rows that go or change with it."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY, code INT UNIQUE);"
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE "
        "ON UPDATE CASCADE);"
        "CREATE TABLE d (id INT PRIMARY KEY, code INT, FOREIGN KEY (code) REFERENCES p (code) "
        "ON DELETE SET NULL ON UPDATE CASCADE);"
        "CREATE TABLE b (k VARBINARY(20) PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) "
        "ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1, 10), (2, 20), (3, 30); INSERT INTO b VALUES ('u1', 1), ('u2', 2);"
        "SET foreign_key_checks = 0;"
        "INSERT INTO c VALUES (1, 7), (2, 8), (3, 1); INSERT INTO d VALUES (1, 70), (2, 80), (3, 20)",
    )
    ends = ("--source", source, "--target", target)
    (tmp_path / "map.toml").write_text(
        '[[foreign_key]]\nmatch = { table = "[cd]" }\nvalidate = false\n'
        '[[column]]\nmatch = { table = "b", column = "k" }\nto = "text"\n',
        "utf-8",
    )
    ran = converge("migrate", *ends, "--map", str(tmp_path / "map.toml"))
    assert ran.code == 0, ran.err
    mysql(
        source,
        "INSERT INTO p VALUES (7, 70); DELETE FROM p WHERE id = 7;"
        "UPDATE p SET id = 8 WHERE id = 3; UPDATE p SET id = 9 WHERE id = 8;"
        "UPDATE p SET code = 80 WHERE id = 2; UPDATE p SET code = 81 WHERE id = 2;"
        "DELETE FROM p WHERE id = 1",
    )
    ran = follow(databases)
    assert ran.code == 0, ran.err
    for query in ("SELECT * FROM c ORDER BY id", "SELECT * FROM d ORDER BY id", "SELECT count(*) FROM b"):
        assert postgres(target, query) == mysql(source, query), query


def test_an_orphan_of_an_earlier_epoch_goes_with_a_parent_between_two(databases: tuple[str, str]) -> None:
    """Also of keys that were checked by the run: epochs let orphans in, as the source does."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY, code INT UNIQUE); CREATE TABLE q (code VARCHAR(9) PRIMARY KEY);"
        "CREATE TABLE c (id INT PRIMARY KEY, code INT, FOREIGN KEY (code) REFERENCES p (code) "
        "ON DELETE CASCADE);"
        "CREATE TABLE d (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES q (code) "
        "ON DELETE CASCADE);",
    )
    assert converge("migrate", "--source", source, "--target", target).code == 0
    mysql(source, "SET foreign_key_checks = 0; INSERT INTO c VALUES (1, 70); INSERT INTO d VALUES (1, 'abc')")
    assert follow(databases).code == 0
    mysql(
        source,
        "INSERT INTO p VALUES (7, 70); DELETE FROM p; INSERT INTO p VALUES (8, 70);"
        "INSERT INTO c VALUES (2, 70);"
        "INSERT INTO q VALUES ('ABC'); DELETE FROM q; INSERT INTO q VALUES ('abc');"
        "INSERT INTO d VALUES (2, 'abc')",
    )
    ran = follow(databases, "--prove-share", "0")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT id FROM c UNION ALL SELECT id FROM d") == [(2,), (2,)]
    # The source takes them for equal, and the target has the parent in its other spelling.
    mysql(source, "SET foreign_key_checks = 0; UPDATE q SET code = 'ABC'")
    assert follow(databases).code == 0
    mysql(source, "DELETE FROM q; INSERT INTO q VALUES ('abc')")
    assert mysql(source, "SELECT COUNT(*) FROM d") == [(0,)]
    ran = follow(databases, "--prove-share", "0")
    assert (ran.code, postgres(target, "SELECT * FROM d")) == (0, []), ran.err


def test_rows_are_sought_among_orphans_not_in_the_whole_table(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE q (code VARCHAR(9) PRIMARY KEY);"
        "CREATE TABLE d (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES q (code) "
        "ON DELETE CASCADE); INSERT INTO q VALUES ('a'), ('b'), ('c');"
        "INSERT INTO q SELECT a.help_topic_id * 100 + b.help_topic_id FROM mysql.help_topic AS a, "
        "mysql.help_topic AS b WHERE a.help_topic_id < 500 AND b.help_topic_id < 100;"
        "INSERT INTO d SELECT code, code FROM q WHERE code NOT IN ('a', 'b', 'c')",
    )
    assert converge("migrate", "--source", source, "--target", target).code == 0
    # By whichever way they are read.
    read = (
        "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'd') + "
        "(SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'd')"
    )
    time.sleep(1)
    before = postgres(target, read)[0][0]
    mysql(source, "DELETE FROM q WHERE code = 'a'")
    assert follow(databases, "--prove-share", "0").code == 0
    time.sleep(1)
    assert postgres(target, read)[0][0] - before < 25000
    # An orphan that stays is looked at again, by its key.
    mysql(source, "SET foreign_key_checks = 0; INSERT INTO d VALUES (-1, 'none'), (-2, 'B')")
    for code in "bc":
        mysql(source, f"DELETE FROM q WHERE code = '{code}'")
        ran = follow(databases, "--prove-share", "0")
        assert (ran.code, "as a whole" in ran.json["findings"][-1]["message"]) == (0, False), ran.err
        assert postgres(target, "SELECT id FROM d WHERE id < 0") == [(-1,)]


def test_orphans_of_a_key_that_is_a_domain(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE q (code VARCHAR(9) PRIMARY KEY);"
        "CREATE TABLE d (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES q (code) "
        "ON DELETE CASCADE); INSERT INTO q VALUES ('abc'); INSERT INTO d VALUES (1, 'abc')",
    )
    postgres(
        target,
        "CREATE DOMAIN name_ AS text; CREATE TABLE q (code name_ PRIMARY KEY);"
        "CREATE TABLE d (id int PRIMARY KEY, code name_ REFERENCES q ON DELETE CASCADE)",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--mode", "load")
    assert ran.code == 0, ran.err
    mysql(source, "SET foreign_key_checks = 0; UPDATE q SET code = 'ABC'")
    assert follow(databases).code == 0
    mysql(source, "DELETE FROM q; INSERT INTO q VALUES ('abc')")
    ran = follow(databases, "--prove-share", "0")
    assert (ran.code, postgres(target, "SELECT * FROM d")) == (0, []), ran.err


def test_keys_are_equal_as_their_type_says(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE par (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE);"
        "CREATE TABLE chd (id INT PRIMARY KEY, code VARCHAR(20), "
        "  FOREIGN KEY (code) REFERENCES par (code) ON DELETE CASCADE ON UPDATE CASCADE);"
        "CREATE TABLE away (id INT PRIMARY KEY); CREATE TABLE num (id INT AUTO_INCREMENT PRIMARY KEY);"
        "CREATE TABLE own (code VARCHAR(20), n INT, PRIMARY KEY (code, n));"
        "INSERT INTO par VALUES (1, 'abc'), (2, 'def'); INSERT INTO chd VALUES (1, 'ABC'), (2, 'DEF');"
        "INSERT INTO own VALUES ('Abc', 1)",
    )
    postgres(target, "CREATE EXTENSION citext")
    map_ = tmp_path / "citext.toml"
    map_.write_text(
        '[[column]]\nmatch = { table = "*", column = "code" }\nto = "citext"\n'
        '[[table]]\nmatch = { table = "away" }\nskip = true\n',
        "utf-8",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_))
    assert ran.code == 0, ran.err
    mysql(
        source,
        "DELETE FROM par WHERE id = 1; UPDATE par SET code = 'new' WHERE id = 2; UPDATE own SET code = 'aBC';"
        "INSERT INTO num VALUES (NULL)",
    )
    ran = follow(databases, "--prove-share", "0")
    assert (ran.code, [one["name"] for one in ran.json["not_migrated"]]) == (0, ["away"]), ran.err
    mysql(source, "DROP TABLE away")
    judged = compare(source, target)
    assert judged.equal, str(judged)
    # What an epoch has left to the cutover is no difference.
    for command in ("verify", "sync"):
        ran = converge(command, "--source", source, "--target", target, "--json")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        left = [(one["code"], one["severity"]) for one in ran.json["findings"] if one["code"] in LEFT]
        assert left == ([(code, "note") for code in LEFT] if command == "verify" else []), ran.err
    ran = converge("cutover", "--source", source, "--target", target, "--stop", "true")
    assert ran.code == 0, ran.err
    ran = converge("verify", "--source", source, "--target", target, "--json")
    assert not {one["code"] for one in ran.json["findings"]}.intersection(LEFT), ran.err


def test_a_new_table_is_followed_from_the_next_start_on(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(
        databases, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)"
    )
    mysql(
        source,
        "CREATE TABLE fresh (id INT PRIMARY KEY, t_id INT NOT NULL, FOREIGN KEY (t_id) REFERENCES t (id)"
        " ON DELETE CASCADE); INSERT INTO t VALUES (2), (3); INSERT INTO fresh VALUES (1, 2), (2, 3)",
    )
    ran = follow(pair)
    assert (ran.code, "as a whole: fresh" in ran.json["findings"][-1]["message"]) == (0, True), ran.err
    assert compare(source, target).equal
    mysql(source, "DELETE FROM t WHERE id = 2; INSERT INTO fresh VALUES (3, 1)")
    assert follow(pair).code == 0
    assert compare(source, target).equal
    # A table that is gone is left out from the next start on, and stays in the target.
    mysql(source, "DROP TABLE fresh; INSERT INTO t VALUES (4)")
    ran = follow(pair)
    assert (ran.code, "1 table is no longer in the source" in ran.out) == (0, True), ran.err
    assert postgres(target, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM fresh)") == [(3, 2)]


def test_a_new_table_and_a_key_that_was_validated_are_recorded_together(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY);"
        "CREATE TABLE c (id INT PRIMARY KEY, p_id INT, CONSTRAINT late FOREIGN KEY (p_id) REFERENCES p (id))",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text('[[foreign_key]]\nmatch = { foreign_key = "late" }\nvalidate = false\n', "utf-8")
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(map_))
    assert ran.code == 0, ran.err
    postgres(target, "ALTER TABLE c VALIDATE CONSTRAINT late")
    new = "(id INT AUTO_INCREMENT PRIMARY KEY, p_id INT, code INT, UNIQUE KEY once (code), "
    mysql(
        source,
        f"CREATE TABLE fresh {new}CONSTRAINT soon FOREIGN KEY (p_id) REFERENCES p (id));"
        "INSERT INTO p VALUES (1); INSERT INTO fresh VALUES (1, 1, 1); INSERT INTO c VALUES (1, 1)",
    )
    ran = converge("cutover", *ends, "--stop", "true")
    assert ran.code == 0, ran.err
    valid = "SELECT conname, convalidated FROM pg_constraint WHERE conname IN ('late', 'soon') ORDER BY 1"
    assert postgres(target, valid) == [("late", True), ("soon", True)]
    numbers = "SELECT json_object_keys(made->'next_values') FROM converge.plan"
    assert postgres(target, numbers) == [('"public"."fresh_id_seq"',)]
    postgres(target, "ALTER TABLE fresh DROP CONSTRAINT once")
    ran = converge("verify", *ends, "--json")
    gone = {one["object"] for one in ran.json["findings"] if one["code"] == "V111"}
    assert "constraint once on public.fresh" in gone, ran.out


ROLLING = """
CREATE TABLE wide (id INT PRIMARY KEY, body VARCHAR(20));
INSERT INTO wide SELECT a.help_topic_id * 100 + b.help_topic_id, 'x'
    FROM mysql.help_topic AS a, mysql.help_topic AS b WHERE a.help_topic_id < 60 AND b.help_topic_id < 100;
CREATE TABLE turned (id INT PRIMARY KEY);
INSERT INTO turned SELECT id FROM wide;
CREATE TABLE pair (id INT, name VARCHAR(20), body INT, PRIMARY KEY (id, name));
INSERT INTO pair SELECT id % 100, CONCAT('n', id), id FROM wide;
CREATE TABLE named (name VARCHAR(20) PRIMARY KEY, document JSON);
INSERT INTO named VALUES ('a', '{"n": 1e300}'), ('B', '{"n": 1}');
CREATE TABLE keyless (number INT);
INSERT INTO keyless VALUES (1), (1);
CREATE TABLE bare (id INT PRIMARY KEY);
"""
PROVEN = (
    "SELECT source_table, (proof->>'epoch')::int, (proof->>'rows')::int, "
    "replaced - (proof->>'replaced')::int FROM converge.proven ORDER BY source_table"
)


def test_rows_are_proven_while_they_are_followed(both_databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = both_databases
    mysql(source, ROLLING)
    turned = tmp_path / "turned.toml"
    turned.write_text(
        '[[column]]\nmatch = { table = "turned", column = "id" }\nusing = "7000 - {}"\n', "utf-8"
    )
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(turned))
    assert ran.code == 0, ran.err
    rows = {"bare": 0, "keyless": 2, "named": 2, "pair": 6000, "turned": 6000, "wide": 6000}
    # What the migration has compared counts.
    assert follow(both_databases, "--prove-share", "0").code == 0
    assert postgres(target, PROVEN) == [(name, 0, count, 0) for name, count in rows.items()]
    # In parts, of which none may be all of a table, until all is newer than the first epoch.
    began = postgres(target, "SELECT epoch FROM converge.follow")[0][0]
    for _ in range(40):
        assert follow(both_databases, "--prove-share", "0.03").code == 0
        if all(epoch > began for _, epoch, _, _ in postgres(target, PROVEN)):
            break
    assert [(name, count) for name, _, count, _ in postgres(target, PROVEN)] == [*rows.items()]
    shown = converge("status", "--target", target, "--json").json["run"]["follow"]["proof"]
    assert (shown["tables"], shown["verified"], shown["epoch"] > began) == (6, 6, True)
    shown = converge("status", "--target", target, "--watch").out
    assert "proof     verified, " in shown and " s ago; verified, " in shown, shown
    assert "follow is not at work; epoch " in shown and "follow    not at work: " in shown, shown


def test_the_rolling_proof_finds_what_no_log_tells(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(databases, ROLLING)
    changes = (
        ("UPDATE wide SET body = '{}' WHERE id = 5999", "other", "x", "id=5999", "body"),
        # Beyond the last keys, on both sides.
        ("UPDATE wide SET id = {} WHERE body = 'x' AND id IN (0, -5)", "-5", "0", "id=-5", None),
        ("UPDATE wide SET id = {} WHERE id IN (5999, 100000)", "100000", "5999", "id=100000", None),
        ("UPDATE named SET document = '{}' WHERE name = 'B'", '{"n": 2}', '{"n": 1}', "name=B", "document"),
        ("UPDATE keyless SET number = {}", "2", "1", "(2 rows)", None),
    )
    for statement, other, right, key, column in changes:
        postgres(target, statement.replace("{}", other))
        ran = follow(pair, "--prove-share", "1", "--interval", "20")
        assert (ran.code, ran.json["verdict"]) == (1, "differs"), f"{statement}\n{ran.err}"
        assert (key, column) in [(one["key"], one["column"]) for one in ran.json["differences"]]
        # It is looked at first, until it is right.
        ran = converge("cutover", "--source", source, "--target", target, "--dry-run")
        assert ran.code == 1, ran.err
        postgres(target, statement.replace("{}", right))
    assert follow(pair, "--prove-share", "1", "--interval", "20").code == 0
    began = postgres(target, "SELECT epoch FROM converge.follow")[0][0]
    assert {epoch for _, epoch, _, _ in postgres(target, PROVEN)} == {began}
    # An epoch compares what it replaces; where only the values can tell, the proof does it anew.
    mysql(source, "UPDATE wide SET body = 'y' WHERE id < 5; UPDATE named SET name = 'c' WHERE name = 'a';"
          "INSERT INTO keyless VALUES (3)")  # fmt: skip
    assert follow(pair, "--prove-share", "0").code == 0
    assert postgres(target, PROVEN) == [
        ("bare", began, 0, 0), ("keyless", began + 1, 3, 0), ("named", None, None, None),
        ("pair", began, 6000, 0), ("turned", began, 6000, 0), ("wide", began, 6000, 5),
    ]  # fmt: skip
    assert "5 of 6 tables verified" in converge("status", "--target", target).out
    assert follow(pair).code == 0
    assert ("named", began + 2, 2, 0) in postgres(target, PROVEN)


def test_what_cannot_be_followed_is_said_before_anything_is_copied(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    user = f"only_{parse(source).database}"
    mysql(source, f"CREATE USER {user}@'%%'; GRANT SELECT ON *.* TO {user}@'%%'")
    reader = source.replace("root@", f"{user}@")
    ran = converge("migrate", "--source", reader, "--target", target, "--follow")
    mysql(source, f"DROP USER {user}@'%%'")
    assert (ran.code, "W004" in ran.err, "GRANT REPLICATION SLAVE" in ran.err) == (4, True, True), ran.err
    assert relations(target) == []


def test_what_to_do_where_there_is_nothing_to_follow(databases: tuple[str, str]) -> None:
    """The command of the hint goes on with the run that there is."""
    assert "converge migrate --follow --source " in follow(databases).err
    pair = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY)")
    for state, hint in (
        ("interrupted", "converge migrate --resume --follow"),
        ("recovering", "converge recover"),
        ("recovered", "converge migrate --follow"),
    ):
        postgres(pair[1], f"UPDATE converge.run SET state = '{state}'")
        ran = follow(pair)
        assert (ran.code, f"{hint} --" in ran.err, "error[T010]" in ran.err) == (2, True, True), ran.err


def test_only_the_runs_own_comparison_is_a_proof(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1, 1), (2, 2);"
        "CREATE TABLE b (id INT PRIMARY KEY)",
    )
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--verify", "none")
    assert ran.code == 0, ran.err
    loose = tmp_path / "loose.toml"
    loose.write_text('[[column]]\nmatch = { table = "a", column = "v" }\nskip = true\n', "utf-8")
    postgres(target, "UPDATE a SET v = 99 WHERE id = 2")
    ran = converge("verify", *ends, "--map", str(loose), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert converge("status", "--target", target, "--json").json["run"]["verification"] is None
    assert converge("report", "--target", target, "--verify", "-o", str(tmp_path / "verify.md")).code == 0
    assert follow(databases, "--prove-share", "0").code == 0
    assert postgres(target, PROVEN) == [("a", None, None, None), ("b", None, None, None)]
    postgres(target, "UPDATE a SET v = 2 WHERE id = 2")
    assert converge("sync", *ends).code == 0
    assert follow(databases, "--prove-share", "0").code == 0
    assert postgres(target, PROVEN) == [("a", 0, 2, 0), ("b", 0, 0, 0)]
    # Nor does an older proof outlive a comparison that finds other rows.
    assert follow(databases).code == 0
    proven = [("a", 2, 2, 0), ("b", 2, 0, 0)]
    assert postgres(target, PROVEN) == proven
    assert converge("verify", *ends, "--level", "counts").code == 0
    assert postgres(target, PROVEN) == proven
    postgres(target, "UPDATE a SET v = 99 WHERE id = 2")
    assert converge("verify", *ends).code == 1
    assert postgres(target, PROVEN) == [("a", None, None, None), ("b", 2, 0, 0)]
    assert converge("verify", *ends, "--map", str(loose)).code == 0
    assert converge("status", "--target", target, "--json").json["verdict"] == "differs"
    # Numbers of rows are equal, and say nothing of the values.
    assert converge("verify", *ends, "--level", "counts").code == 0
    shown = converge("status", "--target", target).out
    assert "verdict   differs" in shown and shown.count("\nverify  ") == 2, shown
    postgres(target, "DROP TABLE b")
    for command in (("follow", "--once"), ("cutover", "--dry-run")):
        ran = converge(*command, *ends)
        assert (ran.code, "W007" in ran.err, "no longer has the table b" in ran.err) == (3, True, True), (
            ran.err
        )


def test_rows_whose_key_is_null_are_in_a_part(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT PRIMARY KEY);"
        "INSERT INTO a SELECT help_topic_id FROM mysql.help_topic WHERE help_topic_id < 600;"
        "INSERT INTO a SELECT 600 + id FROM a; INSERT INTO a SELECT 1200 + id FROM a",
    )
    postgres(target, "CREATE TABLE a (id int UNIQUE)")
    ran = converge("migrate", "--source", source, "--target", target, "--mode", "load")
    assert ran.code == 0, ran.err
    postgres(target, "INSERT INTO a VALUES (NULL)")
    # So short that the first part is not the last.
    for _ in range(3):
        ran = follow(databases, "--prove-share", "0.01")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err


def test_a_stop_wins_over_the_errors_that_it_causes(databases: tuple[str, str]) -> None:
    """It may meet a connection in the middle of an answer, which is of no use for the ROLLBACK then."""
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    waits = (
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata%'"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        process = begun(source, target, "--interval", "0", command="follow")
        deadline = time.monotonic() + 30
        with connect_mysql(source) as holder, holder.cursor() as cursor:
            while "epoch" not in (process.stderr.readline() if process.stderr else ""):
                assert time.monotonic() < deadline
            cursor.execute("LOCK TABLES t WRITE")
            while mysql(source, waits) == [(0,)]:
                assert time.monotonic() < deadline
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        assert (process.returncode, "error[R130]" in err, "again in" in err) == (130, True, False), err


def test_a_server_that_is_lost_is_not_hidden_by_an_unread_answer(databases: tuple[str, str]) -> None:
    """The rolling proof asks both servers at once: `follow` ended instead of connecting again."""
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    task = DigestTask("t", "SELECT COUNT(*), 0 FROM t", "SELECT pg_terminate_backend(pg_backend_pid()), 0")
    with (
        pytest.raises(TargetError) as caught,
        opened(parse(source), parse(target), Options(), silent) as open_,
        open_.epochs.next(),
    ):
        open_.proof.workers.digest(task)
    assert caught.value.lost


def test_a_key_that_the_target_gets_meanwhile_takes_no_rows(databases: tuple[str, str]) -> None:
    """A row is deleted before it comes again, and keys that are known are away by then."""
    source, target = pair = migrated(
        databases,
        "CREATE TABLE p (id INT PRIMARY KEY, n INT); CREATE TABLE c (id INT PRIMARY KEY, p INT); "
        "INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)",
    )
    with opened(parse(source), parse(target), Options(), silent) as open_:
        with open_.epochs.next():
            pass
        postgres(target, "ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE")
        mysql(source, "UPDATE p SET n = 2")
        with pytest.raises(TargetError) as caught, open_.epochs.next():
            pass
        assert caught.value.lost
    assert follow(pair).code == 0
    assert postgres(target, "SELECT n, (SELECT count(*) FROM c) FROM p") == [(2, 1)]


def test_a_table_that_no_view_holds_still_is_proven_when_it_rests(databases: tuple[str, str]) -> None:
    source, target = migrated(databases, "CREATE TABLE hits (id INT PRIMARY KEY) ENGINE = MyISAM")
    with opened(parse(source), parse(target), Options(), silent) as open_:
        for number in (1, 2):
            with open_.epochs.next() as epoch:
                mysql(source, f"INSERT INTO hits VALUES ({number})")
                assert open_.proof.step(epoch, 5) is None
            assert open_.proof.missing == {"hits"}
        with open_.epochs.next() as epoch:
            assert open_.proof.step(epoch, 5) is None
        assert ({*epoch.rows}, open_.proof.missing) == ({"hits"}, {"hits"})
        with open_.epochs.next() as epoch:
            assert open_.proof.step(epoch, 5) is None
        assert (open_.proof.missing, open_.proof.unsettled) == (set(), [])


def test_another_engine_is_no_other_schema(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(
        databases,
        "CREATE TABLE hits (id INT AUTO_INCREMENT PRIMARY KEY, v INT) COMMENT 'old' ENGINE = MyISAM",
    )
    mysql(source, "ALTER TABLE hits ENGINE = InnoDB; INSERT INTO hits (v) VALUES (2)")
    ran = follow(pair)
    assert ran.code == 0, ran.err
    assert compare(source, target).equal
    # What is another schema is named, whatever it is.
    mysql(source, "ALTER TABLE hits COMMENT 'new'")
    ran = follow(pair)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    words = "hits: COMMENT ON TABLE public.hits IS 'old' → COMMENT ON TABLE public.hits IS 'new'"
    assert words in ran.err.replace('"', ""), ran.err


def test_a_value_that_the_target_refuses_is_named(databases: tuple[str, str]) -> None:
    pair = migrated(
        databases,
        "CREATE TABLE gifts (shop INT, id VARCHAR(9), is_gift TINYINT(1), PRIMARY KEY (shop, id));"
        "INSERT INTO gifts VALUES (1, 'a', 1), (1, 'b', 0), (1, 'c', 0)",
    )
    mysql(databases[0], "UPDATE gifts SET is_gift = 1; UPDATE gifts SET is_gift = 2 WHERE id = 'b'")
    ran = follow(pair)
    assert (ran.code, "error[D001]: gifts.is_gift, shop=1, id=b: PostgreSQL cannot" in ran.err) == (
        5,
        True,
    ), ran.err
    assert "converge_rows" not in ran.err, ran.err


def test_uuids_in_text_are_found_by_each_spelling(databases: tuple[str, str], tmp_path: Path) -> None:
    """Nobody looks for others in all rows when following begins: it would take as long as the table is."""
    source, target = databases
    mysql(
        source,
        "SET cte_max_recursion_depth = 5000; "
        "CREATE TABLE t (k CHAR(36), l VARCHAR(40), v INT, PRIMARY KEY (k, l), KEY (v));"
        "INSERT INTO t WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000) "
        "SELECT UUID(), UPPER(UUID()), n FROM n; ANALYZE TABLE t",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { type = "*char" }\nto = "uuid"\n', "utf-8")
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_))
    assert ran.code == 0, ran.err
    read = (
        "SELECT VARIABLE_VALUE + 0 FROM performance_schema.global_status "
        "WHERE VARIABLE_NAME = 'Innodb_rows_read'"
    )
    ((before,),) = mysql(source, read)
    with opened(parse(source), parse(target), Options(), silent) as open_:
        mysql(source, "UPDATE t SET k = UPPER(k) WHERE v < 9")
        with open_.epochs.next() as epoch:
            assert epoch.whole == ()
        ((after,),) = mysql(source, read)
        assert after - before < 25000
        plain = "REPLACE(k, '-', ''), REPLACE(l, '-', '')"
        insert = f"INSERT INTO t SELECT {plain}, 0 FROM t WHERE v = 1"
        # The row of the same key that stays has no event.
        mysql(source, f"{insert}; DELETE FROM t WHERE v = 0")
        with open_.epochs.next() as epoch:
            judged = compare(source, target)
        assert (judged.equal, epoch.whole) == (True, ()), str(judged)
        mysql(source, insert)
        with pytest.raises(psycopg.errors.UniqueViolation), open_.epochs.next():
            pass
    mysql(source, "DELETE FROM t WHERE v = 1")
    assert follow((source, target)).code == 0
    judged = compare(source, target)
    assert judged.equal, str(judged)


REFUSED = {
    "a": ("CHAR(36)", "UUID()", "'smoke-test'"),
    "b": ("TINYINT(1)", "1", "5"),
    "c": ("DATE", "'2020-01-01'", "'0000-00-00'"),
    "d": ("DATETIME", "'2020-01-01'", "'2020-00-00'"),
    "e": ("VARCHAR(20)", "'x'", "'a\\0b'"),
    "f": ("ENUM('x', 'y')", "'x'", "0"),
    "g": ("TIME", "'10:00:00'", "'100:00:00'"),
    "h": ("VARCHAR(45)", "'127.0.0.1'", "'host'"),
    "i": ("TIMESTAMP NOT NULL", "'2020-01-01'", "0"),
    "j": ("VARBINARY(40)", "'x'", "x'ff'"),
    "k": ("INT", "1", "70000"),
    "l": ("VARCHAR(20)", "'x'", "'longer'"),
}
"""Types of keys, each with a value, and with one that the target does not hold."""
REFUSED_MAP = """
[[column]]
match = { table = "a", column = "k" }
to = "uuid"
[[column]]
match = { table = "h", column = "k" }
to = "inet"
[[column]]
match = { table = "j", column = "k" }
to = "text"
[[column]]
match = { table = "k", column = "k" }
to = "smallint"
[[column]]
match = { table = "l", column = "k" }
to = "varchar(3)"
"""


def test_a_key_that_has_gone_again_stops_nothing(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    anything = "SET sql_mode = 'ALLOW_INVALID_DATES'"
    mysql(
        source,
        "".join(
            f"CREATE TABLE {name} (k {type_}, n INT, PRIMARY KEY (k, n));"
            f"INSERT INTO {name} VALUES ({good}, 1);"
            for name, (type_, good, _) in REFUSED.items()
        ),
    )
    map_ = tmp_path / "map.toml"
    map_.write_text(REFUSED_MAP, "utf-8")
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_))
    assert ran.code == 0, ran.err
    for name, (_, good, bad) in REFUSED.items():
        mysql(source, f"{anything}; INSERT INTO {name} VALUES ({good}, 2), ({bad}, 3), ({good}, 4); "
              f"DELETE FROM {name} WHERE n = 3")  # fmt: skip
    with opened(parse(source), parse(target), Options(), silent) as open_, open_.epochs.next() as epoch:
        assert epoch.whole == ()
    assert converge("verify", "--source", source, "--target", target).code == 0
    # While its row is there, it is refused.
    for name, (_, _, bad) in REFUSED.items():
        mysql(source, f"{anything}; INSERT INTO {name} VALUES ({bad}, 3)")
        ran = follow(databases)
        assert ran.code != 0, name
        mysql(source, f"DELETE FROM {name} WHERE n = 3")
    assert follow(databases).code == 0


@pytest.mark.parametrize("policy", ["", "[[column]]\npolicy = { empty_label = 'keep' }\n"])
def test_enum_keys_with_an_empty_label(databases: tuple[str, str], tmp_path: Path, policy: str) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE own (e ENUM('', 'net', 'web', 'x'), n INT, v INT, PRIMARY KEY (e, n));"
        "INSERT INTO own VALUES ('net', 1, 1), ('web', 1, 1), ('', 2, 1);"
        "CREATE TABLE other (e ENUM('net', 'web', 'x'), n INT, v INT, PRIMARY KEY (e, n));"
        "INSERT INTO other VALUES ('net', 1, 1), ('web', 1, 1)",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text(policy, "utf-8")
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_))
    assert ran.code == 0, ran.err
    changes = (
        *(
            f"UPDATE {name} SET v = 2 WHERE e = 'net'; DELETE FROM {name} WHERE e = 'web'; "
            f"INSERT INTO {name} VALUES ('x', 1, 1)"
            for name in ("own", "other")
        ),
        "UPDATE own SET v = 3 WHERE e = ''",
    )
    with opened(parse(source), parse(target), Options(), silent) as open_:
        for change in changes:
            mysql(source, f"SET sql_mode = ''; {change}")
            with open_.epochs.next() as epoch:
                judged = compare(source, target)
            assert (judged.equal, epoch.whole) == (True, ()), str(judged)
        # An error value is another key than the label, and looks like it.
        for change in (
            "INSERT INTO own VALUES (0, 2, 9); DELETE FROM own WHERE v = 9",
            "INSERT INTO own VALUES (0, 3, 1), (0, 4, 1)",
            "INSERT INTO own VALUES ('', 3, 2); DELETE FROM own WHERE v = 2",
            "DELETE FROM own WHERE n = 4",
        ):
            mysql(source, f"SET sql_mode = ''; {change}")
            with open_.epochs.next():
                judged = compare(source, target)
            assert judged.equal, str(judged)


@pytest.mark.parametrize("between", ["DO 0", "FLUSH BINARY LOGS"])
def test_what_xa_prepared_before_the_copy_is_followed(databases: tuple[str, str], between: str) -> None:
    """Where it was rolled back, nothing is to be known of it."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)")
    mysql(source, "SET binlog_format = STATEMENT; UPDATE t SET v = 3 WHERE id = 2")
    for xid, statement in (("a", "UPDATE t SET v = 9 WHERE id = 1"), ("b", "DELETE FROM t WHERE id = 2")):
        mysql(source, f"XA START '{xid}'; {statement}; XA END '{xid}'; XA PREPARE '{xid}'")
    mysql(source, between)
    try:
        ran = converge("migrate", "--source", source, "--target", target)
        assert ran.code == 0, ran.err
        mysql(source, "XA ROLLBACK 'b'; INSERT INTO t VALUES (3, 3)")
        for end in ("DO 0", "XA COMMIT 'a'", "INSERT INTO t VALUES (4, 4)"):
            mysql(source, end)
            ran = follow(databases)
            assert ran.code == 0, ran.err
            judged = compare(source, target)
            assert judged.equal, str(judged)
        mysql(source, "XA START 'c'; INSERT INTO t VALUES (5, 5); XA END 'c'; XA PREPARE 'c'")
        for _ in range(2):
            mysql(source, "FLUSH BINARY LOGS")
        assert converge("sync", "--source", source, "--target", target).code == 0
        mysql(source, "XA COMMIT 'c'")
        ran = follow(databases)
        assert (ran.code, "W005" in ran.err) == (4, True), ran.err
        assert converge("sync", "--source", source, "--target", target).code == 0
        assert follow(databases).code == 0
    finally:
        for *_, xid in mysql(source, "XA RECOVER"):
            mysql(source, f"XA ROLLBACK '{xid}'")


def test_many_long_keys_fit_the_packets_of_the_source(databases: tuple[str, str]) -> None:
    source, target = migrated(databases, "CREATE TABLE t (k VARCHAR(700), v INT, PRIMARY KEY (k))")
    with settings(source, {"max_allowed_packet": str(1024 * 1024)}):
        mysql(
            source,
            "SET cte_max_recursion_depth = 3000; INSERT INTO t WITH RECURSIVE n (n) AS "
            "(SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000) SELECT RPAD(n, 700, '\\t'), n FROM n",
        )
        ran = follow((source, target))
    assert ran.code == 0, ran.err
    judged = compare(source, target)
    assert judged.equal, str(judged)


def test_labels_that_a_map_makes_another_keys_take_no_row(databases: tuple[str, str], tmp_path: Path) -> None:
    """Once their row is gone, only the log's key says that the other row has to come back."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (e ENUM('legacy', 'active'), n INT, PRIMARY KEY (e, n));"
        "INSERT INTO t VALUES ('active', 1)",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text(
        '[[column]]\nmatch = { table = "t", column = "e" }\nto = "text"\n'
        "using = \"IF({} = 'legacy', 'active', {})\"\n",
        "utf-8",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_))
    assert ran.code == 0, ran.err
    with opened(parse(source), parse(target), Options(), silent) as open_:
        mysql(source, "INSERT INTO t VALUES ('legacy', 1); DELETE FROM t WHERE e = 'legacy'")
        with open_.epochs.next():
            assert postgres(target, "SELECT * FROM t") == [("active", 1)]
