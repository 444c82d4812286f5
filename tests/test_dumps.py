"""A dump as a source: the files as mysqldump writes them, one database of them, and the runs over them."""

from __future__ import annotations

import gzip
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import ENVIRONMENT, converge, mysql, postgres

from converge.errors import UsageError
from converge.sandbox import Server, dump_files, packages
from converge.sandbox.dump_files import name_of, streams_of
from converge.sandbox.dump_load import Loader
from converge.sandbox.dump_split import Splitter
from converge.sandbox.dump_text import Header, Joined, decompressed
from converge.sandbox.dump_words import Databases, as_own
from converge.sandbox.dumped import Dump, dumped, release_for
from converge.sandbox.server import DumpError, SandboxError

HEADER = (
    "-- MySQL dump 10.13  Distrib 8.0.33\n--\n-- Host: localhost    Database: {}\n-- Server version\t8.0.33\n"
)
END = "\n-- Dump completed on 2026-01-01  1:02:03\n"


FINISHED = """# Started dump at: 2026-01-01 01:02:03
[config]
quote-character = BACKTICK

[`my-shop`.`t`]
real_table_name=t
rows = 2
data_checksum = 3119812626

[`my-shop`.`odd_1`]
real_table_name=o`dd
Rows = 7

[`my-shop`]
schema_checksum = FDF2173B
# Finished dump at: 2026-01-01 01:02:03
"""


def zstd_packed(data: bytes) -> bytes:
    from backports import zstd

    return zstd.compress(data)


TRUST = "SET GLOBAL log_bin_trust_function_creators = "


@pytest.fixture
def load(mysql_8033: Server) -> Iterator[Callable[..., Loader]]:
    """`load(files, wanted)` loads a dump as `dumped` does, and drops what it made in the end."""
    loaders: list[Loader] = []

    def run(files: list[Path], wanted: str = "") -> Loader:
        streams = streams_of(files)
        loader = new_loader(mysql_8033, wanted, keep_triggers=len(streams) > 1)
        loaders.append(loader)
        for stream in streams:
            loader.load(stream, stream.database or "plain")
        loader.make_triggers()
        return loader

    mysql(mysql_8033.url, TRUST + "ON")
    yield run
    mysql(mysql_8033.url, TRUST + "OFF")
    for loader in loaders:
        if loader.made:
            mysql_8033.drop_database(loader.made)
        loader.close()


def new_loader(server: Server, wanted: str = "", *, keep_triggers: bool = False) -> Loader:
    return Loader(server, wanted, "a", lambda message: None, keep_triggers=keep_triggers)


def rows(server: Server, database: str, table: str = "t") -> int:
    ((count,),) = mysql(server.database_url(database), f"SELECT count(*) FROM `{table}`")
    return int(count)


def write(folder: Path, **texts: str) -> None:
    """Files by their names, with __ for the dot."""
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_counted_over_pieces(size: int) -> None:
    dump = b"-- a\nINSERT INTO t VALUES ('aaa\nb'),(2);\n\n  SELECT 1;\n"
    found = Splitter(io.BytesIO(dump), piece=size)
    assert [statement.line for statement in found] == [2, 5]


@pytest.mark.parametrize("size", [1, 7, 64, 100, 150, 1000])
def test_a_comment_over_pieces_is_no_part_of_a_statement(size: int) -> None:
    comment = b"/* " + b"-- 'x; " * 20 + b"*/"
    dump = b"SET a = 1;\n" + comment + b" USE b;\n" + comment + b"\n-- c\n/*!40101 SET b = 1 */;" + comment
    texts = [statement.text for statement in Splitter(io.BytesIO(dump), piece=size)]
    assert texts == [b"SET a = 1", b"USE b", b"/*!40101 SET b = 1 */"]


def test_parts_are_put_together_and_a_missing_one_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(b"SELECT 1;\n" * 50)
    for number, mark in enumerate(("aa", "ab", "ac")):
        (tmp_path / f"all.sql.gz.{mark}").write_bytes(packed[number * 20 : number * 20 + 20])
    (tmp_path / "all.sql.gz.ac").write_bytes(packed[40:])
    for one in ("all.sql.gz", "all.sql.gz.aa"):
        (stream,) = streams_of([tmp_path / one])
        assert stream.name == "all.sql.gz"
        with decompressed("x", Joined(stream.paths)) as file:
            assert len(list(Splitter(file))) == 50
    named = [tmp_path / f"all.sql.gz.{mark}" for mark in ("aa", "ab", "ac")]
    assert streams_of(named) == streams_of([tmp_path / "all.sql.gz"])
    assert name_of(named, streams_of(named)) == "all.sql.gz"
    named[1].unlink()
    with pytest.raises(UsageError, match=r"a part of all\.sql\.gz is missing before all\.sql\.gz\.ac"):
        streams_of([tmp_path / "all.sql.gz"])
    for number in (0, 1, 2, 9, 10):
        (tmp_path / f"n.sql.{number}").touch()
    with pytest.raises(UsageError, match=r"missing before n\.sql\.9"):
        streams_of([tmp_path / "n.sql.0"])


def test_a_folder_has_its_schema_first(tmp_path: Path) -> None:
    names = [
        "metadata", "shop-schema-create.sql", "shop.a-schema.sql.gz", "shop.z-schema.sql", "shop.a.00000.sql",
        "shop.a.00001.sql", "shop.v-schema-view.sql", "shop.a-schema-triggers.sql", "shop-schema-post.sql",
    ]  # fmt: skip
    for name in reversed(names):
        (tmp_path / name).touch()
    found = streams_of([tmp_path])
    assert [stream.name for stream in found] == names[1:]
    assert {stream.database for stream in found} == {"shop"}
    other = tmp_path / "by-hand"
    other.mkdir()
    for name in ("data.sql", "schema.sql", "triggers.sql", "views.sql", "README.md"):
        (other / name).touch()
    assert [stream.name for stream in streams_of([other])] == [
        "schema.sql", "data.sql", "views.sql", "triggers.sql",
    ]  # fmt: skip
    # A table's rows are rows, whatever its name.
    (other / "events.sql").write_text("INSERT INTO events VALUES (1);")
    (other / "routines.sql").write_text(
        "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN\nINSERT INTO events VALUES (2);\nEND;;\n"
    )
    assert [stream.name for stream in streams_of([other])] == [
        "schema.sql", "data.sql", "events.sql", "views.sql", "triggers.sql", "routines.sql",
    ]  # fmt: skip
    (other / "triggers.sql").write_text("CREATE TRIGGER t")
    with pytest.raises(DumpError) as raised:
        streams_of([other])
    assert raised.value.message.startswith("triggers.sql: the file ends inside of the statement")
    (other / "data.txt").touch()
    with pytest.raises(UsageError, match="--tab"):
        streams_of([other])
    with pytest.raises(UsageError, match="not there"):
        streams_of([tmp_path / "nowhere.sql"])


@pytest.mark.parametrize(
    ("server", "release"),
    [
        ("8.0.33-0ubuntu0.20.04.2", "8.0.33"), ("8.0.15", "8.0.15"), ("8.0.16", "8.0.33"), ("", "8.0.33"),
        ("5.7.44-log", "8.0.15"), ("8.4.3", "8.0.33"), ("10.6.12-MariaDB", "8.0.33"),
    ],
)  # fmt: skip
def test_the_nearest_mysql_is_chosen(server: str, release: str) -> None:
    assert release_for(server) == release
    assert bool(Header(server=server).foreign) == (server[:2] in ("5.", "10"))


def test_what_is_not_about_the_chosen_database_is_left_out() -> None:
    databases = Databases("b")
    databases.begin("plain")
    assert databases.admits(b"/*!40101 SET NAMES utf8mb4 */")
    for text, meant in [
        (b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */", False),
        (b"USE `a`", False), (b"CREATE TABLE t (a int)", False), (b"use b", True), (b"INSERT INTO t", True),
        (b"ALTER DATABASE `b` CHARACTER SET latin1", True),
        (b"/*!40000 DROP DATABASE IF EXISTS `a`*/", False),
        (b"USE mysql", False), (b"INSERT INTO user VALUES ('root')", False),
        (b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5'", False), (b"CHANGE MASTER TO a = 1", False),
        (b"SET @@SESSION.SQL_LOG_BIN= 0", True),
    ]:  # fmt: skip
        assert databases.admits(text) == meant, text
    assert databases.names == ["a", "b"]


def test_a_dump_without_use_is_about_the_database_that_it_makes() -> None:
    databases = Databases()
    databases.begin("plain")
    assert databases.admits(b"CREATE DATABASE `shop`")
    assert databases.current == ""
    assert databases.admits(b"CREATE TABLE `shop`.`t` (a int)")
    assert (databases.current, databases.names) == ("shop", ["shop"])
    with pytest.raises(UsageError, match="the dump has several databases: shop, other"):
        databases.admits(b"CREATE DATABASE `other`")


SEVERAL = """
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `first` /*!40100 DEFAULT CHARACTER SET latin1 */;
USE `first`;
CREATE TABLE t (a int);
INSERT INTO t VALUES (1);
CREATE DATABASE `it's ``2` ;
USE `it's ``2`;
CREATE TABLE t (a int);
INSERT INTO t VALUES (1),(2);
USE `mysql`;
DROP TABLE `user`;
"""


def test_one_of_several_databases_is_loaded(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    write(tmp_path, all__sql=SEVERAL)
    loader = load([tmp_path / "all.sql"], "it's `2")
    assert (loader.made, loader.databases.names) == ("it's `2", ["first", "it's `2"])
    assert rows(mysql_8033, "it's `2") == 2
    with pytest.raises(UsageError, match="the dump has several databases: first, it's `2"):
        load([tmp_path / "all.sql"])
    with pytest.raises(SandboxError, match="has a database it's `2 already"):
        load([tmp_path / "all.sql"], "it's `2")


def test_objects_of_accounts_that_are_gone_work(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = """
    CREATE TABLE t (a int); INSERT INTO t VALUES (1);
    /*!50001 CREATE ALGORITHM=UNDEFINED */
    /*!50013 DEFINER=`left_us`@`10.%` SQL SECURITY DEFINER */
    /*!50001 VIEW `v` AS select `t`.`a` AS `a` from `t` */;
    DELIMITER ;;
    /*!50003 CREATE*/ /*!50017 DEFINER=`left_us`@`10.%`*/ /*!50003 TRIGGER b BEFORE INSERT ON t
    FOR EACH ROW BEGIN SET NEW.a = NEW.a + 1; END */;;
    DELIMITER ;
    INSERT INTO t VALUES (2);
    """
    write(tmp_path, definer__sql=text)
    load([tmp_path / "definer.sql"])
    assert rows(mysql_8033, "plain", "v") == 2


@pytest.mark.parametrize(
    ("text", "code", "words", "hint"),
    [
        ("CREATE TABLE t (a int);\n\nSET sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER';",
         "X008", "line 3: an sql_mode of MySQL 5.7", "sed -i 's/,\\?NO_AUTO_CREATE_USER//g' bad.sql"),
        ("CREATE TABLE t (a text COLLATE utf8mb4_uca1400_ai_ci);", "X008", "a collation of MariaDB",
         "s/utf8mb4_uca1400_[a-z_]*/utf8mb4_0900_ai_ci/g"),
        ("CREATE TABLE t (a int) ENGINE=Aria DEFAULT CHARSET=utf8mb4;", "X008", "storage engine",
         "ENGINE=InnoDB"),
        ("CREATE TABLE t (a int) ENGINE=InnoDB PAGE_CHECKSUM=1;", "X008", "MariaDB's Aria", "PAGE_CHECKSUM"),
        ("CREATE TABLE t (a int) WITH SYSTEM VERSIONING;", "X008", "system-versioned",
         "DROP SYSTEM VERSIONING"),
        ("CREATE TABLE `t` (`id` uuid NOT NULL);", "X008", "a type of MariaDB", "char(36)"),
        ("CREATE SEQUENCE `s` start with 1;", "X008", "a sequence of MariaDB", "--ignore-table"),
        ("CREATE TABLE t (a char(36) DEFAULT uuid());", "X008", "wants in brackets", "DEFAULT (uuid())"),
        ("SET @@SESSION.wsrep_on = 1;", "X008", "a setting that MySQL 8 does not have",
         "sed -i '1d' bad.sql"),
        ("INSERT INTO nowhere VALUES (1);", "X008", "rows of a table that no CREATE TABLE has made",
         "--source-dump SCHEMA.sql before"),
        ("SET NAMES gbk;", "X008", "line 1: the character set gbk", "--default-character-set=utf8mb4"),
        ('CREATE TABLE "t" ("id" UUID NOT NULL);', "X008", "a name in double quotes", "ANSI_QUOTES"),
        ("CREATE TABLE t (a int);\nINSERT INTO t VALUES (1),(2)", "X006",
         "ends inside of the statement that begins in line 2", "make it"),
        ("SELEKT 1;", "X007", "line 1: You have an error in your SQL syntax", ""),
        (HEADER + "CREATE TABLE t (a int);\nINSERT INTO t VALUES (1),\n",
         "X006", 'ends in line 6 without mysqldump\'s last line, "-- Dump completed"', "tail -c 200"),
        ("CREATE TABLE t (a int);\nINSERT INTO t VALUES ('a", "X006",
         "inside of the statement that begins in line 2", "tail"),
    ],
)  # fmt: skip
def test_what_mysql_refuses_is_named_with_its_line_and_fix(
    text: str, code: str, words: str, hint: str, load: Callable[..., Loader], tmp_path: Path
) -> None:
    write(tmp_path, bad__sql=text)
    with pytest.raises(DumpError) as raised:
        load([tmp_path / "bad.sql"])
    assert raised.value.code == code
    assert raised.value.message.startswith("bad.sql")
    assert words in raised.value.message
    assert hint in (raised.value.hint or "")
    assert raised.value.exit_code == 4


def test_a_folder_as_mydumper_writes_it_loads(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    for name, text in {
        "metadata": FINISHED,
        "my-shop-schema-create.sql": "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `my-shop`;",
        "my-shop.t-schema.sql": "/*!40101 SET NAMES binary*/;\nCREATE TABLE `t` (`a` int);",
        "my-shop.t.00000.sql": "/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES (1),(2);",
        "my-shop.v-schema-view.sql": "CREATE VIEW `v` AS SELECT `a` FROM `t`;",
    }.items():
        (tmp_path / name).write_text(text)
    assert load([tmp_path]).made == "my-shop"
    assert rows(mysql_8033, "my-shop", "v") == 2


def test_rows_of_any_table_come_before_the_triggers(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    """Of a folder of mydumper 0.9, whose files of rows have no numbers."""
    tables = "events", "user_event", "x_triggers", "functions", "procedures", "x_schema_migrations", "views"
    texts = {"metadata": FINISHED, "my-schema-db-schema-create.sql": "CREATE DATABASE `my-schema-db`;"}
    for table in tables:
        texts |= {
            f"my-schema-db.{table}-schema.sql": f"CREATE TABLE `{table}` (`a` int);",
            f"my-schema-db.{table}.sql": f"INSERT INTO `{table}` VALUES (1);",
            f"my-schema-db.{table}-schema-triggers.sql": (
                f"CREATE TRIGGER `of_{table}` BEFORE INSERT ON `{table}` FOR EACH ROW SET NEW.a = 2;"
            ),
        }
    texts["my-schema-db-schema-post.sql"] = (
        "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t;"
    )
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert load([tmp_path]).made == "my-schema-db"
    source = mysql_8033.database_url("my-schema-db")
    assert [mysql(source, f"SELECT a FROM {table}") for table in tables] == [[(1,)]] * len(tables)
    triggers = "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()"
    assert mysql(source, triggers) == [(len(tables),)]


MYDUMPER = "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n"


def test_files_that_set_no_mode_keep_their_values(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    for name, text in {
        "shop-schema-create.sql": "CREATE DATABASE `shop`;",
        "shop.t-schema.sql": MYDUMPER + "CREATE TABLE `t` (`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,"
        "`d` date NOT NULL DEFAULT '0000-00-00', `at` timestamp NULL) AUTO_INCREMENT=57;",
        "shop.t.sql": MYDUMPER + "INSERT INTO `t` VALUES (0,'0000-00-00','2026-07-01 12:00:00');",
        "shop.u-schema.sql": MYDUMPER + "CREATE TABLE `u` (`a` varchar(3));",
    }.items():
        (tmp_path / name).write_text(text)
    try:
        # A server that was given may have any; the zone is the machine's on a temporary one.
        mysql(mysql_8033.url, "SET GLOBAL time_zone = '+05:00', GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'")
        load([tmp_path])
    finally:
        mysql(mysql_8033.url, "SET GLOBAL time_zone = DEFAULT, GLOBAL sql_mode = DEFAULT")
    query = "SELECT id, cast(d AS char), unix_timestamp(at) FROM t"
    assert mysql(mysql_8033.database_url("shop"), query) == [(0, "0000-00-00", 1782907200)]
    mysql_8033.drop_database("shop")
    (tmp_path / "shop.u.sql").write_text(MYDUMPER + "INSERT INTO `u` VALUES ('long');")
    with pytest.raises(DumpError, match="Data truncated for column 'a'"):
        load([tmp_path])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (b"INSERT INTO `t` VALUES (1,'','','0000-00-00','\xff\xfe',1.5),"
         b"(2,'M\xc3\xbcll','a','2024-01-01','',2)", ""),
        (b"INSERT INTO `t` VALUES (1,'M\xfcll','a','2024-01-01','',2)", "Incorrect string value"),
        (b"INSERT INTO t VALUES (1,'','a','2024-01-01','','3x')", "Data truncated for column 'n'"),
        (b"INSERT INTO `t` (`n`, `d`, `e`, `a`) VALUES (1,'2024-01-01','',2)", "Field 'v' doesn't"),
        (b"INSERT INTO `t` VALUES (1,'','a','2023-02-31','',2)", "Out of range value for column 'd'"),
        (b"INSERT INTO `t` VALUES (1,'','a','2024-01-01','',2.125)", "Data truncated for column 'n'"),
        (b"INSERT IGNORE INTO t VALUES (1,'','a','2024-01-01','',2),(1,'','a','2024-01-01','',2)", "Dupl"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["", "SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';\n", "SET SQL_MODE='';\n"])
def test_no_value_is_changed_by_a_mode_that_is_not_strict(
    mode: str, rows: bytes, words: str, load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = "CREATE TABLE `t` (`a` int PRIMARY KEY, `v` varchar(4) NOT NULL, `e` enum('a','b') NOT NULL, "
    text += "`d` date NOT NULL, `b` blob, `n` decimal(5,2));\n"
    (tmp_path / "old.sql").write_bytes(f"SET NAMES utf8mb4;\n{mode}{text}".encode() + rows + b";\n")
    if words:
        with pytest.raises(DumpError, match=rf"line \d: MySQL would not store what the dump has: {words}"):
            load([tmp_path / "old.sql"])
    else:
        loader = load([tmp_path / "old.sql"])
        query = "SELECT a, v, cast(e + 0 AS signed), cast(d AS char), hex(b), n FROM t ORDER BY a"
        found = [tuple(map(str, row)) for row in mysql(mysql_8033.database_url(loader.made), query)]
        assert found == [("1", "", "0", "0000-00-00", "FFFE", "1.50"),
                         ("2", "Müll", "1", "2024-01-01", "", "2.00")]  # fmt: skip


INSERTS = """
INSERT INTO `t` VALUES (1,'')
INSERT INTO `plain`.`t` VALUES (1,'')
INSERT INTO plain.t VALUES (1,'')
insert into t(a,e) values (1,'')
INSERT INTO `plain` . `t`(`a`,`e`) VALUES (1,'')
INSERT t VALUES (1,'')
INSERT `t`(a, e) VALUES (1,'')
REPLACE INTO `t` VALUES (1,'')
REPLACE t VALUES (1,'')
INSERT  IGNORE INTO `t` VALUES (1,'')
INSERT LOW_PRIORITY INTO t VALUES (1,'')
INSERT DELAYED INTO `t` VALUES (1,'')
REPLACE DELAYED plain.t VALUES (1,'')
""".strip().splitlines()


def test_an_enums_empty_text_loads_however_the_table_is_named(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = "SET SQL_MODE='';\nCREATE TABLE `t` (`a` int, `e` enum('a','b') NOT NULL);\n"
    write(tmp_path, plain__sql=text + ";\n".join(INSERTS) + ";\n")
    load([tmp_path / "plain.sql"])
    assert rows(mysql_8033, "plain") == len(INSERTS)


def test_what_generated_columns_make_of_the_rows_is_not_the_dumps(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = """SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';
    CREATE TABLE t (
        a int, n decimal(7,3), v varchar(9), half decimal(5,1) AS (n / 2) STORED, i int AS (v) STORED,
        short varchar(2) AS (v) STORED, more double AS (v + 1) STORED, part double AS (a / 0) STORED,
        day date AS (v) STORED, one char(1) AS (CAST(n AS CHAR(1))) STORED, ip int AS (INET_ATON(v)) STORED,
        KEY ((v + 1)), KEY ((CAST(v AS DECIMAL(2, 1)))), KEY ((CAST(n * 999 AS DECIMAL(2, 1)))),
        CHECK (v + 1 < 9));
    INSERT INTO t (a, n, v) VALUES (1, 1.125, '3 abc');
    """
    write(tmp_path, plain__sql=text)
    load([tmp_path / "plain.sql"])
    query = "SELECT half, i, short, more FROM t"
    assert [tuple(map(str, row)) for row in mysql(mysql_8033.database_url("plain"), query)] == [
        ("0.6", "3", "3 ", "4.0")
    ]
    mysql_8033.drop_database("plain")
    write(tmp_path, plain__sql=text.replace("1.125", "1.1255"))
    with pytest.raises(DumpError, match="Data truncated for column 'n'"):
        load([tmp_path / "plain.sql"])


def test_triggers_of_a_schema_do_not_fire_for_the_rows_of_another_file(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    """`mysqldump --no-data` writes the triggers, and `--no-create-info` once more."""
    schema = """CREATE TABLE t (a int, n int); CREATE TABLE u (a int);
    /*!50003 SET character_set_client = latin1 */; SET sql_mode = 'ANSI_QUOTES';
    DELIMITER ;;
    /*!50003 CREATE*/ /*!50017 DEFINER=`left us`@`10.%`*/ /*!50003 TRIGGER "b" BEFORE INSERT ON t
    FOR EACH ROW BEGIN SET NEW.n = NEW.n + 1; END */;;
    DELIMITER ;
    """
    again = """
    INSERT INTO `t` VALUES (1, 1);
    /*!50003 SET sql_mode = '' */ ;
    DELIMITER ;;
    /*!50003 CREATE*/ /*!50017 DEFINER=`left us`@`10.%`*/ /*!50003 TRIGGER b BEFORE INSERT ON t
    FOR EACH ROW BEGIN SET NEW.n = NEW.n + 2; END */;;
    DELIMITER ;
    INSERT INTO `u` VALUES (1);
    INSERT INTO `t` VALUES (2, 1);
    """
    write(tmp_path, schema__sql=schema, rows__sql="INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 1);")
    write(tmp_path, again__sql=again)
    loader = load([tmp_path / "schema.sql", tmp_path / "rows.sql"])
    at = mysql_8033.database_url(loader.made)
    assert mysql(at, "SELECT sum(n) FROM t") == [(2,)]
    query = "SELECT sql_mode, character_set_client FROM information_schema.triggers WHERE trigger_schema = "
    assert mysql(at, query + "database()") == [("ANSI_QUOTES", "latin1")]
    mysql(at, "INSERT INTO t VALUES (3, 1)")
    assert mysql(at, "SELECT n FROM t WHERE a = 3") == [(2,)]
    mysql_8033.drop_database(loader.made)
    load([tmp_path / "schema.sql", tmp_path / "again.sql"])
    assert mysql(at, "SELECT sum(n) FROM t") == [(2,)]
    mysql(at, "INSERT INTO t VALUES (3, 1)")
    assert mysql(at, "SELECT n FROM t WHERE a = 3") == [(3,)]


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ("/*!50032 DROP TRIGGER IF EXISTS b */; DROP TRIGGER plain.`d e`;", "f"),
        (
            "DROP TRIGGER `plain` . `b`; CREATE TRIGGER plain.b AFTER UPDATE ON u FOR EACH ROW SET @x = 1;",
            "b,d e,f",
        ),
        ("DROP TABLE IF EXISTS `t`; CREATE TABLE `t` (a int);", "f"),
        ("/*!40000 DROP TABLE u, plain.t*/; CREATE TABLE t (a int);", ""),
    ],
)
def test_triggers_that_a_later_file_drops_are_not_made(
    later: str, left: str, load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    schema = """CREATE TABLE t (a int); CREATE TABLE u (a int); SET sql_mode = 'ANSI_QUOTES';
    CREATE TRIGGER "b" BEFORE INSERT ON "t" FOR EACH ROW SET NEW.a = 1;
    CREATE TRIGGER plain."d e" AFTER DELETE ON plain.t FOR EACH ROW SET @x = 1;
    CREATE TRIGGER f BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 2;
    """
    write(tmp_path, plain__sql=schema, later__sql=later)
    loader = load([tmp_path / "plain.sql", tmp_path / "later.sql"])
    query = "SELECT group_concat(trigger_name ORDER BY 1) FROM information_schema.triggers WHERE "
    found = mysql(mysql_8033.database_url(loader.made), query + "trigger_schema = database()")
    assert found == [(left or None,)]


def test_no_index_is_cut_by_a_mode_that_is_not_strict(load: Callable[..., Loader], tmp_path: Path) -> None:
    text = "SET SQL_MODE='';\nCREATE TABLE t (a varchar(2000), KEY k (a)) CHARSET utf8mb4;\n"
    write(tmp_path, long__sql=text)
    with pytest.raises(DumpError, match="Specified key was too long"):
        load([tmp_path / "long.sql"])


def test_rows_that_mydumper_has_counted_must_be_there(
    mysql_8033: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        metadata=FINISHED,
        my_shop__t__00001__sql="INSERT INTO `t` VALUES (2);",
    )
    (tmp_path / "my-shop-schema-create.sql").write_text("CREATE DATABASE `my-shop`;")
    (tmp_path / "my-shop.t-schema.sql").write_text("CREATE TABLE `t` (`a` int);")
    (tmp_path / "my_shop.t.00001.sql").rename(tmp_path / "my-shop.t.00001.sql")
    monkeypatch.setenv("CONVERGE_SANDBOX_MYSQL_8_0_33", mysql_8033.url)

    def loaded() -> list[str]:
        said: list[str] = []
        with dumped(Dump((tmp_path,), release="8.0.33"), said.append) as at:
            assert at.database == "my-shop"
        return said

    with pytest.raises(DumpError, match="t has 1 row, mydumper's metadata 2") as raised:
        loaded()
    assert raised.value.code == "X006"
    (tmp_path / "my-shop.t.00000.sql").write_text("INSERT INTO `t` VALUES (1);")
    with pytest.raises(DumpError, match="o`dd has 0 rows, mydumper's metadata 7"):
        loaded()
    (tmp_path / "my-shop.t.00000.sql").unlink()
    (tmp_path / "metadata").unlink()
    assert any("has no file my-shop.t.00000" in said for said in loaded())
    assert ("my-shop",) not in mysql(mysql_8033.url, "SHOW DATABASES")


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        ({"metadata": FINISHED}, False),
        ({"metadata": "Started dump at: x\nSHOW MASTER STATUS:\n\nFinished dump at: x\n"}, False),
        ({"metadata": ""}, False),  # go-mydumper
        ({}, False),
        ({"metadata": FINISHED, "metadata.partial.0": ""}, False),  # --stream
        ({"metadata.partial": "Started dump at: x"}, True),
        ({"metadata.partial": "# Started dump at: x", "metadata": FINISHED}, True),
        ({"metadata.partial.0": "[`a`.`b`]"}, True),
        ({"metadata": "Started dump at: x\nSHOW MASTER STATUS:\n"}, True),
        ({"metadata": FINISHED.partition("# Finished")[0]}, True),
    ],
)
def test_a_folder_that_mydumper_has_not_finished_is_refused(
    files: dict[str, str], refused: bool, tmp_path: Path
) -> None:
    for name, text in (files | {"a.t-schema.sql": "CREATE TABLE t (a int);"}).items():
        (tmp_path / name).write_text(text)
    if not refused:
        assert streams_of([tmp_path])
        return
    with pytest.raises(DumpError, match="is not finished") as raised:
        streams_of([tmp_path])
    assert raised.value.code == "X006"


def test_what_mydumper_says_of_rows_and_files(tmp_path: Path) -> None:
    for name in ("a.t.00000.sql", "a.t.00003.sql.gz", "a.u.00001.00000.sql", "a.v.00000.00002.sql", "a.w.sql",
                 "my-shop.t.00001.sql", "a.t-schema.sql"):  # fmt: skip
        (tmp_path / name).touch()
    assert dump_files.rows_of(tmp_path) == {}
    names = "a.t.00001, a.u.00000, my-shop.t.00000"
    assert f"has no file {names}, and its metadata" in dump_files.unproven(tmp_path)
    (tmp_path / "metadata").write_text(FINISHED)
    assert dump_files.rows_of(tmp_path) == {("my-shop", "t"): 2, ("my-shop", "o`dd"): 7}
    assert "has no file a.t.00001, a.u.00000, and its metadata" in dump_files.unproven(tmp_path)
    (tmp_path / "metadata").write_text(FINISHED.replace("`", '"'))
    assert dump_files.rows_of(tmp_path)["my-shop", "t"] == 2


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("CREATE DEFINER=`a``b`@`10.%` PROCEDURE p() SELECT 1", "CREATE DEFINER={} PROCEDURE p() SELECT 1"),
        ("CREATE DEFINER=ghost@nowhere.example VIEW v", "CREATE DEFINER={} VIEW v"),
        ("CREATE DEFINER='it''s'@'no where' VIEW v", "CREATE DEFINER={} VIEW v"),
        ('create or replace algorithm = MERGE definer = "a"@"%" view',
         "create or replace algorithm = MERGE definer = {} view"),
        ("/*!50003 CREATE*/ /*!50017 DEFINER=ghost@`x`*/ /*!50003 TRIGGER b",
         "/*!50003 CREATE*/ /*!50017 DEFINER={}*/ /*!50003 TRIGGER b"),
        ("/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a`@`b` SQL",
         "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER={} SQL"),
        ("CREATE DEFINER=everywhere FUNCTION f()", "CREATE DEFINER={} FUNCTION f()"),
        ("CREATE DEFINER=CURRENT_USER() VIEW v", "CREATE DEFINER={} VIEW v"),
        ("CREATE TABLE t (a int) COMMENT 'DEFINER=a@b'", "CREATE TABLE t (a int) COMMENT 'DEFINER=a@b'"),
    ],
)  # fmt: skip
def test_objects_are_made_as_those_of_the_loading_account(text: str, own: str) -> None:
    assert as_own(text.encode()).decode() == own.replace("{}", "CURRENT_USER")


ORDINARY = """
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (`a` int);
LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
INSERT INTO `t` VALUES (1);
UNLOCK TABLES;
FLUSH PRIVILEGES;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` FUNCTION `f`() RETURNS int RETURN 1 ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `p`() BEGIN SELECT 1; END ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`gone`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 */ ;;
DELIMITER ;
CREATE DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `v` AS SELECT `a`, f() AS b FROM `t`;
SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
"""
LEAVING = """
SET @x = 1, GLOBAL general_log_file = '/tmp/converge-left'
SET @x = 1, @@GLOBAL.general_log = ON
SET PERSIST max_connections = 9
PREPARE s FROM 'SET GLOBAL general_log = ON'; EXECUTE s
DROP TABLE kept.t
INSERT INTO kept.t VALUES (2)
CREATE TABLE keptt.t (a int)
CREATE VIEW w AS SELECT * FROM kept.t
CREATE VIEW w AS SELECT * FROM mysql.user
SELECT 'x' INTO OUTFILE '/tmp/converge-left'
LOAD DATA INFILE '/etc/passwd' INTO TABLE t
LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t
CREATE TABLE u (a int) DATA DIRECTORY = '/tmp'
CREATE USER evil
GRANT ALL ON *.* TO CURRENT_USER()
ALTER USER root@localhost IDENTIFIED BY 'x'
CREATE FUNCTION g RETURNS INT SONAME 'x.so'
INSTALL PLUGIN x SONAME 'x.so'
CREATE DEFINER/**/=root@localhost PROCEDURE q() SET GLOBAL general_log = ON
CREATE DEFINER = root@localhost PROCEDURE q() SET GLOBAL general_log = ON; CALL q()
CREATE DEFINER = 'mysql.session'@localhost PROCEDURE q() SET GLOBAL general_log = ON; CALL q()
SHUTDOWN
""".strip().splitlines()


@pytest.mark.parametrize("version", ["mysql_8015", "mysql_8033"])
def test_no_dump_leaves_its_database(request: pytest.FixtureRequest, tmp_path: Path, version: str) -> None:
    """By privileges, not by a list of statements; and what dumps ordinarily hold still loads."""
    server: Server = request.getfixturevalue(version)
    mysql(server.url, TRUST + "ON")
    for name in ("kept", "ke_t"):
        server.create_database(name)
    mysql(server.database_url("kept"), "CREATE TABLE t (a int)")
    mysql(server.database_url("kept"), "INSERT INTO t VALUES (1)")
    server.drop_database("ke_t")
    accounts = "SELECT user, host, authentication_string FROM mysql.user ORDER BY 1, 2"
    users = mysql(server.url, accounts)
    loaders: list[Loader] = []

    def loaded(text: str) -> Loader:
        loader = new_loader(server)
        loaders.append(loader)
        (tmp_path / "a.sql").write_text(text)
        (stream,) = streams_of([tmp_path / "a.sql"])
        loader.load(stream, "ke_t")
        return loader

    try:
        url = loaded(ORDINARY).url()
        assert mysql(url, "SELECT * FROM v") == [(1, 1)]
        assert len(mysql(url, "SHOW PROCEDURE STATUS WHERE db = 'ke_t'")) == 1
        server.drop_database("ke_t")
        for text in LEAVING:
            with pytest.raises(DumpError):
                loaded(f"CREATE TABLE t (a int); {text};")
            server.drop_database("ke_t")
        assert mysql(server.database_url("kept"), "SELECT * FROM t") == [(1,)]
        assert mysql(server.url, "SELECT @@general_log, @@max_connections > 9") == [(0, 1)]
    finally:
        for loader in loaders:
            loader.close()
        for name in ("kept", "ke_t"):
            server.drop_database(name)
        mysql(server.url, TRUST + "OFF")
    assert (
        mysql(server.url, "SELECT user, host, authentication_string FROM mysql.user ORDER BY 1, 2") == users
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "not SQL text"), (b'{"a": 1}', "not SQL text"),
        (gzip.compress(b"SELECT 1;\0"), "not SQL text"), (b"<html>", "not SQL text"),
        (gzip.compress(b"a.sql".ljust(257, b"\0") + b"ustar"), "a tar archive"),
        (b'<?xml version="1.0"?>\n<mysqldump', "mysqldump --xml"),
        (b"--\n-- PostgreSQL database dump\n--\n", "a dump of PostgreSQL"),
    ],
    ids=["PNG", "JSON", "packed bytes", "HTML", "packed tar", "XML", "PostgreSQL"],
)  # fmt: skip
def test_what_is_no_sql_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(data)
    with (
        pytest.raises(UsageError, match=words) as raised,
        decompressed("a.sql", Joined((tmp_path / "a.sql",))),
    ):
        pass
    assert raised.value.code == "U017"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd_packed])
@pytest.mark.parametrize(
    "text", [b"", b"\n\n/*M!999999\\- enable */;", b"(SELECT 1);", b"\xef\xbb\xbf-- \xc3\xa9\n", b"# a\n"]
)
def test_texts_are_read_without_the_mark_of_an_editor(
    text: bytes, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (tmp_path / "a.sql").write_bytes(pack(text))
    with decompressed("a.sql", Joined((tmp_path / "a.sql",))) as file:
        assert file.read() == text.removeprefix(b"\xef\xbb\xbf")


def test_pipes_and_empty_names_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")
    for given_, words in ((tmp_path / "pipe.sql", "not a regular file"), ("", "is empty")):
        with pytest.raises(UsageError, match=words) as raised:
            streams_of([given_])
        assert raised.value.code == "U017"


def test_strings_without_escapes_are_followed(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = (
        "SET @old = @@sql_mode; SET sql_mode = 'NO_BACKSLASH_ESCAPES'; CREATE TABLE t (a varchar(9));"
        "INSERT INTO t VALUES ('c:\\'),(';'); SET sql_mode = @old; INSERT INTO t VALUES ('\\';');"
    )
    write(tmp_path, plain__sql=text)
    load([tmp_path / "plain.sql"])
    assert mysql(mysql_8033.database_url("plain"), "SELECT a FROM t") == [("c:\\",), (";",), ("';",)]


def test_a_statement_that_the_server_does_not_take_is_named(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    ((limit,),) = mysql(mysql_8033.url, "SELECT @@max_allowed_packet")
    text = f"CREATE TABLE t (a longtext);\nINSERT INTO t VALUES ('{'a' * (3 << 20)}');\n"
    write(tmp_path, large__sql=text)
    try:
        mysql(mysql_8033.url, f"SET GLOBAL max_allowed_packet = {2 << 20}")
        with pytest.raises(DumpError, match="line 2: a statement that is larger than the server") as raised:
            load([tmp_path / "large.sql"])
    finally:
        mysql(mysql_8033.url, f"SET GLOBAL max_allowed_packet = {limit}")
    assert (raised.value.code, "max_allowed_packet =" in str(raised.value.hint)) == ("X008", True)


def test_zstd_without_its_module_names_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sql.zst").write_bytes(zstd_packed(b"SELECT 1;"))
    monkeypatch.setattr("converge.resources.find_spec", lambda name: None)
    raw = Joined((tmp_path / "a.sql.zst",))
    with (
        pytest.raises(UsageError, match="this Python cannot decompress") as raised,
        decompressed("a.sql.zst", raw),
    ):
        pass
    assert (raised.value.code, "converge-pg[sandbox]" in str(raised.value.hint)) == ("U019", True)


def test_every_code_of_dumps_is_documented() -> None:
    folder = Path(__file__).parents[1]
    documented = set(re.findall(r"^\| ([UX]\d{3}) ", (folder / "docs/dumps.md").read_text(), re.MULTILINE))
    modules = ("cli/source_dump", "sandbox/dump_files", "sandbox/dump_load", "sandbox/dump_split",
               "sandbox/dump_text", "sandbox/dumped", "sandbox/dialect")  # fmt: skip
    used = {
        code
        for module in modules
        for code in re.findall(r"Code\.([UX]\d{3})", (folder / f"converge/{module}.py").read_text())
    }
    assert used == documented


def test_events_do_not_run_on_a_server_that_was_given(
    mysql_8033: Server, load: Callable[..., Loader], tmp_path: Path
) -> None:
    write(tmp_path, event__sql="CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1;")
    (stream,) = streams_of([tmp_path / "event.sql"])
    with (
        closing(new_loader(replace(mysql_8033, provider="url"))) as loader,
        pytest.raises(SandboxError, match="would run them") as raised,
    ):
        loader.load(stream, "with_events")
    assert raised.value.code == "X011"
    assert ("with_events",) not in mysql(mysql_8033.url, "SHOW DATABASES")


def test_packed_dumps_load_and_cut_ones_are_refused(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    text = b"CREATE TABLE t (a text); INSERT INTO t VALUES ('%s');" % os.urandom(3000).hex().encode()
    for name, data in (("a.sql.gz", gzip.compress(text)), ("a.sql.zst", zstd_packed(text))):
        (tmp_path / name).write_bytes(data)
        loader = load([tmp_path / name])
        assert rows(mysql_8033, "plain") == 1
        mysql_8033.drop_database(loader.made)
        (tmp_path / name).write_bytes(data[:-9])
        with pytest.raises(DumpError, match="cut short or damaged"):
            load([tmp_path / name])
        mysql_8033.drop_database("plain")
    (tmp_path / "wide.sql").write_bytes("-- MySQL dump".encode("utf-16"))
    with pytest.raises(UsageError, match="PowerShell"):
        load([tmp_path / "wide.sql"])


def test_the_last_rows_of_a_dump_without_autocommit_stay(
    load: Callable[..., Loader], mysql_8033: Server, tmp_path: Path
) -> None:
    write(tmp_path, a__sql="CREATE TABLE t (a int); SET autocommit = 0; INSERT INTO t VALUES (1);")
    load([tmp_path / "a.sql"])
    assert rows(mysql_8033, "plain") == 1


def test_a_dump_without_tables_is_refused(mysql_8033: Server, tmp_path: Path) -> None:
    write(tmp_path, a__sql="CREATE DATABASE no_tables; USE no_tables; SET @a = 1;")
    ran = converge(
        "plan", "--source-dump", str(tmp_path / "a.sql"), "--target", "postgresql://a@127.0.0.1:1/b",
        CONVERGE_SANDBOX_MYSQL_8_0_33=mysql_8033.url,
    )  # fmt: skip
    assert (ran.code, "error[X010]: the dump makes no table" in ran.err) == (4, True), ran.err
    assert ("no_tables",) not in mysql(mysql_8033.url, "SHOW DATABASES")


def mysqldump(server: Server, *arguments: str) -> bytes:
    """What the real program writes; the tests that need it are skipped where it is not in the cache."""
    program = next(packages.cache_folder().glob(f"mysql-{server.version}-*/bin/mysqldump"), None)
    if program is None:
        pytest.skip("no mysqldump of this MySQL here")
    port = server.url.rpartition(":")[2]
    command = [str(program), "--host=127.0.0.1", f"--port={port}", "--user=root", *arguments]
    libraries = {"LD_LIBRARY_PATH": ":".join(map(str, packages.cache_folder().glob("*/lib*")))}
    return subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT | libraries).stdout


def test_one_database_of_a_split_dump_of_all_is_planned_migrated_and_verified(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    first, second = (new_mysql_database(mysql_8033) for _ in range(2))
    for number, url in enumerate((first, second), 1):
        mysql(
            url,
            "CREATE TABLE t (id int PRIMARY KEY, a text, b blob, c int CHECK (c > 0), d int INVISIBLE);"
            f"INSERT INTO t (id, a, b, c) VALUES ({number}, 'x\\ty\\\\', x'00ff27', 5);"
            "CREATE VIEW v AS SELECT id FROM t;"
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.c = NEW.c + 1;"
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END;",
        )
    names = [url.rpartition("/")[2] for url in (first, second)]
    name = names[1]
    text = mysqldump(mysql_8033, "--routines", "--events", "--source-data=1", "--databases", "mysql", *names)
    for one in names:
        mysql_8033.drop_database(one)
    packed = gzip.compress(text)
    half = len(packed) // 2
    for mark, part in (("aa", packed[:half]), ("ab", packed[half:])):
        (tmp_path / f"all.sql.gz.{mark}").write_bytes(part)
    target = new_postgres_database(postgres_175)
    dump = ("--source-dump", str(tmp_path / "all.sql.gz.aa"))
    # On a server that runs already: the databases are made there and dropped in the end.
    mysql(mysql_8033.url, TRUST + "ON")
    run = partial(converge, CONVERGE_SANDBOX_MYSQL_8_0_33=mysql_8033.url)
    unclear = run("plan", *dump, "--target", target)
    assert unclear.code == 2
    assert "error[U018]: the dump has several databases:" in unclear.err
    assert "--dump-database" in unclear.err
    addresses = (*dump, "--dump-database", name, "--target", target)
    ran = run("migrate", *addresses, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["source"]["url"] == f"dump:all.sql.gz/{name}"
    assert postgres(target, "SELECT id, a, encode(b, 'hex'), c FROM t") == [(2, "x\ty\\", "00ff27", 5)]
    verified = run("verify", *addresses, "--json")
    assert (verified.code, verified.json["verdict"]) == (0, "verified"), verified.err
    assert converge("status", "--target", target, "--json").json["run"]["source"] == f"dump:all.sql.gz/{name}"
    left = mysql(mysql_8033.url, "SHOW DATABASES")
    assert not {(one,) for one in names} & set(left)
    mysql(mysql_8033.url, f"CREATE DATABASE {name}")
    refused = run("plan", *addresses)
    assert (refused.code, "error[X009]" in refused.err) == (1, True), refused.err
    mysql(mysql_8033.url, TRUST + "OFF")
    assert mysql(mysql_8033.url, "SELECT user FROM mysql.user WHERE user LIKE 'converge%'") == []


COPIED = """
SET SESSION cte_max_recursion_depth = 100000;
CREATE FUNCTION unsafe() RETURNS double RETURN rand();
CREATE TABLE ticks (id int primary key);
/*!50106 CREATE*/ /*!50117 DEFINER=`gone`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 SECOND
    DO INSERT INTO ticks SELECT coalesce(max(id), 0) + 1 FROM ticks */;
{}
"""
TABLE = """
CREATE TABLE t{0} (id int primary key, a text);
INSERT INTO t{0} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
    SELECT i, REPEAT(MD5(i), 40) FROM n;
"""


def test_a_killed_run_over_a_dump_goes_on_and_sees_what_the_dump_has_now(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    file = tmp_path / "copied.sql"
    text = COPIED.format("".join(TABLE.format(number) for number in range(4)))
    file.write_text(text)
    target = new_postgres_database(postgres_175)
    addresses = ("--source-dump", str(file), "--mysql", "8.0.15", "--target", target, "--jobs", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "converge", "migrate", *addresses],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    done = 0
    while not done and process.poll() is None and time.monotonic() < deadline:
        if postgres(target, "SELECT to_regclass('converge.chunk') IS NOT NULL") == [(True,)]:
            ((done,),) = postgres(target, "SELECT count(done_at) FROM converge.chunk")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert done
    changed = "UPDATE t{0} SET a = 'changed' WHERE id = 17;"
    file.write_text(text + "".join(changed.format(number) for number in range(4)))
    ran = converge("migrate", *addresses, "--resume", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["verdict"], ran.json["source"]["url"]) == ("verified", "dump:copied.sql")
    # The dump's event has not run.
    assert postgres(target, "SELECT count(*) FROM ticks") == [(0,)]
    assert [finding for finding in ran.json["findings"] if finding["code"] == "V002"]
    union = " UNION ALL ".join(f"SELECT a FROM t{number} WHERE id = 17" for number in range(4))
    assert postgres(target, union) == [("changed",)] * 4


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    target = ("--target", "postgresql://a@127.0.0.1:1/b")
    for arguments in (
        ("--source-dump", "a.sql", "--source", "mysql://a@b/c"),
        ("--dump-database", "a"),
        ("--mysql", "8.0.33", "--source", "mysql://a@b/c"),
    ):
        ran = converge("plan", *arguments, *target)
        assert (ran.code, ran.err.startswith("error[U016]")) == (2, True), ran.err
    # What changes the source, or reads its log, needs the server itself.
    ran = converge("migrate", "--follow", "--source-dump", "a.sql", *target)
    assert (ran.code, ran.err.startswith("error[U016]")) == (2, True), ran.err
    for command in (("follow",), ("cutover", "--dry-run"), ("rollback", "--apply", "--yes")):
        ran = converge(*command, "--source-dump", "a.sql", *target)
        assert (ran.code, "No such option '--source-dump'" in ran.err) == (2, True), ran.err
    (tmp_path / "a.sql").write_text("SELECT 1;")
    for dump, code in (
        ([str(tmp_path / "no.sql")], "U017"),
        ([""], "U017"),
        ([str(tmp_path / "a.sql"), "--mysql", "banana"], "X001"),
        ([str(tmp_path / "a.sql"), "--dump-database", "mysql"], "U018"),
    ):
        ran = converge("verify", "--source-dump", *dump, *target)
        assert (ran.code, ran.err.startswith(f"error[{code}]")) == (2, True), ran.err
