"""A schema with one of every object: each ends in its expected state, and is there as it should be."""

from __future__ import annotations

import re
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server

# What MySQL 8.0.15 does not know (CHECK is parsed and dropped, functional indexes came with 8.0.13).
OLD = """
CREATE TABLE parent (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'the key''s comment',
  code VARCHAR(20) NOT NULL DEFAULT '',
  a INT NOT NULL DEFAULT 7, b INT DEFAULT '-3',
  made DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  seen TIMESTAMP NULL DEFAULT NULL,
  zero DATE NOT NULL DEFAULT '0000-00-00',
  flag TINYINT(1) NOT NULL DEFAULT '0', bits BIT(4) DEFAULT b'0101',
  price DECIMAL(8,2) UNSIGNED DEFAULT '1.50', padded INT(8) ZEROFILL,
  kind ENUM('b','a','it''s') NOT NULL DEFAULT 'a', kinds SET('x','y') NOT NULL DEFAULT 'x,y',
  bin BINARY(3) DEFAULT 'a', uid CHAR(36) DEFAULT (UUID()), doc JSON DEFAULT (JSON_OBJECT('a', 1)),
  at_night DATETIME DEFAULT (NOW()), odd INT DEFAULT (FLOOR(RAND() * 10)),
  total DECIMAL(12,2) GENERATED ALWAYS AS (price * 2) STORED,
  twice INT GENERATED ALWAYS AS (a + b) VIRTUAL, strange BIGINT GENERATED ALWAYS AS (CRC32(code)) VIRTUAL,
  ctid INT, `order` INT, `Mixed Case "q"` VARCHAR(9),
  UNIQUE KEY code (code), UNIQUE KEY ab (a, b), KEY down (a DESC, b), KEY hidden (b) INVISIBLE COMMENT 'why',
  KEY prefix (code(5)), KEY `expression` ((a + b)), FULLTEXT KEY words (code)
) COMMENT='a table''s comment' AUTO_INCREMENT=41;
CREATE TABLE child (
  parent_id INT UNSIGNED, n INT NOT NULL, up INT, name VARCHAR(300), blobby BLOB,
  PRIMARY KEY (n), KEY down (name), UNIQUE KEY cut (name(10)), UNIQUE KEY bytes (blobby(4)),
  CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT to_self FOREIGN KEY (up) REFERENCES child (n) ON DELETE CASCADE,
  CONSTRAINT to_code FOREIGN KEY (name) REFERENCES parent (code) ON DELETE RESTRICT
);
CREATE TABLE left_ (id INT PRIMARY KEY, r INT NOT NULL);
CREATE TABLE right_ (id INT PRIMARY KEY, l INT NOT NULL,
  CONSTRAINT r_l FOREIGN KEY (l) REFERENCES left_ (id));
ALTER TABLE left_ ADD CONSTRAINT l_r FOREIGN KEY (r) REFERENCES right_ (id);
CREATE TABLE pair (x INT, y INT, PRIMARY KEY (x, y));
CREATE TABLE of_pair (x INT, y INT,
  CONSTRAINT both_ FOREIGN KEY (y, x) REFERENCES pair (x, y) ON DELETE NO ACTION);
CREATE TABLE keyless (a INT, b TEXT);
CREATE TABLE parted (id INT PRIMARY KEY, t INT) PARTITION BY HASH (id) PARTITIONS 3;
CREATE TABLE mapped (id INT PRIMARY KEY, p POINT NOT NULL SRID 4326, SPATIAL INDEX where_ (p));
CREATE TABLE isam (id INT PRIMARY KEY) ENGINE=MyISAM;
CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT, k INT, PRIMARY KEY (k, id), KEY (id));
CREATE TABLE of_big (id INT PRIMARY KEY, big BIGINT UNSIGNED,
  CONSTRAINT to_big FOREIGN KEY (big) REFERENCES big (id));
CREATE TABLE `69 bytes ääääääääääääääääääääääääääääää`
  (id INT PRIMARY KEY, KEY down (id));
CREATE TABLE parent_kind (id INT PRIMARY KEY);
CREATE TABLE parent_id_seq (id INT PRIMARY KEY);
CREATE VIEW plain AS SELECT id, code, IF(flag, 'yes', 'no') AS flagged FROM parent WHERE a > 1;
CREATE VIEW on_view AS SELECT flagged, COUNT(*) AS n FROM plain GROUP BY flagged;
CREATE VIEW strange_view AS SELECT CRC32(code) AS c FROM parent;
CREATE TRIGGER before_insert BEFORE INSERT ON child FOR EACH ROW SET NEW.name = UPPER(NEW.name);
CREATE PROCEDURE count_up(IN n INT) SELECT n + 1;
CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM keyless
"""
ROWS = """
INSERT INTO parent (id, code, b, price, kind, kinds, zero) VALUES
  (5, 'ABC', 1, 1.25, 'b', 'y', '2024-01-01'), (6, 'DEF', NULL, NULL, 'it''s', '', '2024-01-02');
INSERT INTO child VALUES (5, 1, NULL, 'abc', 0x00FF), (NULL, 2, 1, NULL, NULL), (6, 3, 3, 'def', 0x00FE);
INSERT INTO right_ VALUES (1, 1); INSERT INTO left_ VALUES (1, 1); INSERT INTO pair VALUES (1, 2);
INSERT INTO of_pair VALUES (2, 1), (NULL, 9); INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
INSERT INTO parted VALUES (1, 1), (2, 2); INSERT INTO isam VALUES (3);
INSERT INTO mapped VALUES (1, ST_GeomFromText('POINT(10 20)', 4326));
INSERT INTO big VALUES (7, 1), (8, 1); INSERT INTO of_big VALUES (1, 8), (2, NULL)
"""
NEW = """
CREATE TABLE checked (
  id INT PRIMARY KEY, n INT CHECK (n > 0), t VARCHAR(9), hidden INT INVISIBLE,
  CONSTRAINT either CHECK (n < 10 OR t IN ('x', 'y')), CONSTRAINT off CHECK (n <> 5) NOT ENFORCED,
  CONSTRAINT odd CHECK (CRC32(t) > 0)
);
INSERT INTO checked (id, n, t, hidden) VALUES (1, 5, 'x', 8)
"""

TRANSLATED, NOTED, NOT = "translated", "translated with a note", "not migrated"
STATES = {
    ("column", "parent.id"): TRANSLATED,
    ("column", "parent.zero"): NOTED,
    ("column", "parent.padded"): NOTED,
    ("column", "parent.odd"): NOTED,
    ("column", "parent.total"): TRANSLATED,
    ("column", "parent.twice"): NOTED,
    ("column", "parent.strange"): NOTED,
    ("column", "parent.ctid"): NOTED,
    ("column", "parent.order"): TRANSLATED,
    ("column", "mapped.p"): NOTED,
    ("table", "parent"): TRANSLATED,
    ("table", "parent_kind"): TRANSLATED,
    ("table", "parent_id_seq"): TRANSLATED,
    ("table", "parted"): NOTED,
    ("table", "isam"): NOTED,
    ("table", "69 bytes ääääääääääääääääääääääääääääää"): NOTED,
    ("index", "parent.hidden"): NOTED,
    ("index", "parent.prefix"): TRANSLATED,
    ("index", "parent.expression"): TRANSLATED,
    ("index", "parent.down"): TRANSLATED,
    ("index", "parent.words"): NOT,
    ("index", "mapped.where_"): NOT,
    ("index", "child.cut"): NOTED,
    ("foreign key", "child.to_parent"): TRANSLATED,
    ("foreign key", "child.to_self"): TRANSLATED,
    ("foreign key", "left_.l_r"): TRANSLATED,
    ("foreign key", "of_pair.both_"): TRANSLATED,
    ("foreign key", "of_big.to_big"): NOT,
    ("view", "strange_view"): NOT,
    ("trigger", "before_insert"): NOT,
    ("procedure", "count_up"): NOT,
    ("function", "one"): NOT,
    ("event", "nightly"): NOT,
}
NEW_STATES = {
    ("check", "checked.either"): NOTED,
    ("check", "checked.off"): NOT,
    ("check", "checked.odd"): NOT,
    ("column", "checked.hidden"): NOTED,
}


def test_every_object_has_its_state(
    mysql_any: Server,
    postgres_any: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_any), new_postgres_database(postgres_any)
    new = mysql_any.version != "8.0.15"
    _make(source, new=new)
    plan = converge("plan", "--source", source, "--target", target, "--json")
    assert plan.code == 0, [one for one in plan.json["findings"] if one["severity"] == "block"]
    outcomes = plan.json["plan"]["outcomes"]
    states = {(one["kind"], one["name"]): one["state"] for one in outcomes}
    expected = STATES | (NEW_STATES if new else {})
    assert {key: states.get(key) for key in expected} == expected
    # The three states part the catalog: every object has exactly one, and each has a reason.
    assert Counter((one["kind"], one["name"]) for one in outcomes) == Counter(_objects(source, new=new))
    assert {one["state"] for one in outcomes} == {TRANSLATED, NOTED, NOT}
    assert all(one["why"] for one in outcomes)
    named = {one["object"] for one in plan.json["findings"]}
    assert {one["name"] for one in outcomes if one["state"] == NOT} <= named
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.json["verdict"] == "verified", ran.err + ran.out
    assert {one["severity"] for one in ran.json["findings"]} == {"lossy", "note"}
    lost = {one["object"] for one in ran.json["findings"] if one["severity"] == "lossy"}
    assert {one["name"] for one in outcomes if one["state"] == NOT} - lost <= {"checked.off"}
    _there(target, new=new)


def _make(source: str, *, new: bool) -> None:
    for statement in (OLD + ";" + ROWS + (";" + NEW if new else "")).split(";\n"):
        mysql(source, "SET SESSION sql_mode = '', foreign_key_checks = 0; " + statement)


def _objects(source: str, *, new: bool) -> list[tuple[str, str]]:
    """Every object as information_schema has it."""
    own = "FROM information_schema.{} WHERE {} = DATABASE()"
    queries = {
        "table": f"SELECT table_name {own.format('tables', 'table_schema')} AND table_type = 'BASE TABLE'",
        "column": "SELECT CONCAT(c.table_name, '.', column_name) FROM information_schema.columns c JOIN "
        "information_schema.tables t USING (table_schema, table_name) WHERE table_schema = DATABASE() "
        "AND table_type = 'BASE TABLE'",
        "index": "SELECT DISTINCT CONCAT(table_name, '.', index_name) "
        f"{own.format('statistics', 'table_schema')}",
        "foreign key": f"SELECT CONCAT(table_name, '.', constraint_name) "
        f"{own.format('referential_constraints', 'constraint_schema')}",
        "view": f"SELECT table_name {own.format('views', 'table_schema')}",
        "trigger": f"SELECT trigger_name {own.format('triggers', 'trigger_schema')}",
        "event": f"SELECT event_name {own.format('events', 'event_schema')}",
        "procedure": f"SELECT routine_name {own.format('routines', 'routine_schema')} "
        "AND routine_type = 'PROCEDURE'",
        "function": f"SELECT routine_name {own.format('routines', 'routine_schema')} "
        "AND routine_type = 'FUNCTION'",
    }  # fmt: skip
    if new:
        queries["check"] = (
            "SELECT CONCAT(table_name, '.', constraint_name) FROM information_schema.table_constraints "
            "WHERE constraint_schema = DATABASE() AND constraint_type = 'CHECK'"
        )
    return [(kind, name) for kind, query in queries.items() for (name,) in mysql(source, query)]


def _there(target: str, *, new: bool) -> None:
    """The target's own word on what it has."""
    indexes = dict(postgres(target, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    assert indexes["parent_pkey"].endswith("(id)")
    assert re.search(r"\(a DESC, b\)$", indexes["parent_down"])
    assert {"child_down", "hidden", "expression", "prefix"} <= indexes.keys()
    assert '"left"((name)::text, 10)' in indexes["cut"]
    assert "substr(blobby, 1, 4)" in indexes["bytes"] or "SUBSTRING" in indexes["bytes"].upper()
    assert indexes["prefix"].endswith("(code)")
    keys = dict(
        postgres(
            target,
            "SELECT conname, pg_get_constraintdef(oid) || CASE WHEN convalidated THEN '' ELSE '!' END "
            "FROM pg_constraint WHERE contype IN ('f', 'c') AND connamespace = 'public'::regnamespace",
        )
    )
    assert keys["to_parent"] == (
        "FOREIGN KEY (parent_id) REFERENCES parent(id) ON UPDATE CASCADE ON DELETE SET NULL"
    )
    assert keys["both_"] == "FOREIGN KEY (y, x) REFERENCES pair(x, y)"
    assert {"to_self", "to_code", "l_r", "r_l"} <= keys.keys()
    assert keys["price_check"] == "CHECK ((price >= (0)::numeric))"
    assert postgres(target, "SELECT total, twice, strange FROM parent ORDER BY id") == [
        (2.5, 8, zlib.crc32(b"ABC")), (None, None, zlib.crc32(b"DEF"))
    ]  # fmt: skip
    generated = "SELECT column_name FROM information_schema.columns WHERE is_generated = 'ALWAYS' ORDER BY 1"
    assert postgres(target, generated) == [("total",), ("twice",)]
    # A row of defaults, by the target's own means, and the next value of the source.
    row = postgres(
        target,
        "INSERT INTO parent (code, zero) VALUES ('n', '2024-01-01') RETURNING id, a, b, flag, bits::text, "
        "price, kind::text, kinds, bin, length(uid), doc, odd, total, made > now() - interval '1 hour'",
    )
    assert row == [(41, 7, -3, False, "0101", 1.5, "a", ["x", "y"], b"a\0\0", 36, {"a": 1}, None, 3, True)]
    assert postgres(target, "SELECT enum_range(NULL::parent_kind_2)::text") == [("{b,a,it's}",)]
    comments = postgres(
        target,
        "SELECT obj_description('parent'::regclass), col_description('parent'::regclass, 1), "
        "obj_description('hidden'::regclass)",
    )
    assert comments == [("a table's comment", "the key's comment", "why")]
    assert postgres(target, "SELECT * FROM on_view ORDER BY flagged") == [("no", 3)]
    names = {name for (name,) in postgres(target, "SELECT relname FROM pg_class")}
    cut = next(name for name in names if name.startswith("69 bytes"))
    assert len(cut.encode()) <= 63
    assert postgres(target, "SELECT nextval(pg_get_serial_sequence('big', 'id'))") == [(9,)]
    touched = postgres(target, "UPDATE parent SET b = 2 WHERE id = 5 RETURNING made > now() - interval '1 h'")
    assert touched == [(True,)]
    if new:
        with pytest.raises(Exception, match="either"):
            postgres(target, "INSERT INTO checked (id, n, t) VALUES (2, 11, 'z')")


def test_a_map_renames_skips_and_replaces(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    mysql(
        source,
        "CREATE TABLE old_name (id INT PRIMARY KEY, gone INT, was VARCHAR(9) DEFAULT 'x', d INT DEFAULT 1, "
        "t TEXT, ci VARCHAR(9) COLLATE utf8mb4_general_ci, KEY on_gone (gone), KEY hashed (d), "
        "KEY no (t(3)), cit VARCHAR(9) UNIQUE, "
        "UNIQUE KEY ci (ci), FULLTEXT KEY ft (t));"
        "CREATE TABLE ref (id INT PRIMARY KEY, o INT, FOREIGN KEY fk (o) REFERENCES old_name (id));"
        "CREATE TABLE left_out (id INT PRIMARY KEY);"
        "INSERT INTO old_name VALUES (1, 2, ' a ', 4, 'some words', 'Ab', 'Cd'), (2, 3, '', NULL, NULL, "
        "NULL, NULL);"
        "INSERT INTO ref VALUES (1, 1)",
    )
    rules = tmp_path / "mine.toml"
    rules.write_text(MAP)
    written = tmp_path / "written.toml"
    common = ("--source", source, "--target", target, "--json")
    plan = converge("plan", *common, "--map", str(rules), "--write-map", str(written))
    assert plan.code == 0, plan.err + plan.out
    again = converge("plan", *common, "--map", str(written))
    assert again.json["plan"]["digest"] == plan.json["plan"]["digest"]
    ran = converge("migrate", *common, "--map", str(written))
    assert ran.json["verdict"] == "verified", ran.err + ran.out
    assert [(one["trap"], one["column"], one["rows"]) for one in ran.json["changes"]] == [("using", "was", 1)]
    assert postgres(target, "SELECT id, becomes, d FROM new_name ORDER BY id") == [(1, "a", 4), (2, "", None)]
    assert postgres(target, "INSERT INTO new_name (id) VALUES (3) RETURNING becomes, d") == [("y", None)]
    assert postgres(target, "SELECT id FROM new_name WHERE ci = 'aB'") == [(1,)]
    for column, value in (("ci", "AB"), ("cit", "cD")):
        with pytest.raises(Exception, match="unique constraint"):
            postgres(target, f"INSERT INTO new_name (id, {column}) VALUES (4, '{value}')")
    indexes = dict(postgres(target, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    assert "USING hash" in indexes["hashed"]
    assert "USING gin (to_tsvector(" in indexes["ft"]
    assert indexes.keys() & {"no", "on_gone"} == set()
    assert "left_out" not in {name for (name,) in postgres(target, "SELECT relname FROM pg_class")}
    foreign = postgres(target, "SELECT convalidated FROM pg_constraint WHERE contype = 'f' "
                               "AND connamespace = 'public'::regnamespace")  # fmt: skip
    assert foreign == [(False,)]


MAP = """
[[table]]
match = { table = "old_name" }
rename = "new_name"
[[table]]
match = { table = "left_*" }
skip = true
[[column]]
match = { table = "old_name", column = "gone" }
skip = true
[[column]]
match = { column = "was" }
rename = "becomes"
using = "TRIM({})"
default = "'y'"
[[column]]
match = { column = "cit" }
to = "citext"
[[column]]
match = { column = "d" }
default = false
[[type]]
match = { collation = "*_general_ci" }
collation = "source"
[[index]]
match = { index = "hashed" }
method = "hash"
[[index]]
match = { index = "no" }
skip = true
[[index]]
match = { kind = "FULLTEXT" }
method = "gin"
[[foreign_key]]
match = { table = "ref" }
validate = false
"""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("[[colum]]", "did you mean 'column'?"),
        ("[[column]]\nmatch = { colunm = 'x' }\nto = 'text'", "did you mean 'column'?"),
        ("[[column]]\npolicy = { zero_dat = 'null' }", "did you mean 'zero_date'?"),
        ("[[column]]\npolicy = { zero_date = 'nul' }", "did you mean 'null'?"),
        ("[[column]]\npolicy = { nul = { replac = 'x' } }", "{ replace = … }"),
        ("[[column]]\nmatch = { column = 'x' }", "sets no option"),
        ("[[column]]\nto = 7", "to must be a string, not 7"),
        ("[column]\nto = 'text'", "write [[column]], not [column]"),
        ("[[index]]\nmethod = 'brinn'", "method must be 'btree', 'hash' or 'gin', not 'brinn'"),
        ("[map]\nextends = ['frendly']", "did you mean 'friendly'?"),
        ("[[column]]\nto = 'numeric({digits})'", "{precision}"),
        ("[[column]]\nusing = '{}; DROP TABLE t'", "is not an expression"),
        ("[[column]]\nusing = 'SLEEP({})'", "SLEEP may not stand in a map"),
        ("[[column]]\nusing = '(SELECT 1)'", "must be one expression"),
        ("[[column]]\nusing = '{} + other'", "may read no other column"),
        ("[[column]]\ndefault = 'pg_sleep(9)'", "may not stand in a map"),
        ("[[column]]\nto = 'numeric(9,2)); DROP TABLE x; --'", "error[M002]"),
        (
            "[[column]]\npolicy = { zero_date = { replace = 'soon' } }",
            "replaced by 'soon', which is not a date\n",
        ),
    ],
)
def test_a_map_that_means_nothing_is_refused(
    lines: str, words: str, mysql_8033: Server, new_mysql_database: NewDatabase, tmp_path: Path
) -> None:
    source = new_mysql_database(mysql_8033)
    mysql(source, "CREATE TABLE t (d DATE, n DECIMAL(5,2))")
    rules = tmp_path / "mine.toml"
    rules.write_text(lines, "utf-8")
    ran = converge("plan", "--source", source, "--map", str(rules))
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_the_scan_is_bounded_and_can_be_left_out(mysql_8033: Server, new_mysql_database: NewDatabase) -> None:
    source = new_mysql_database(mysql_8033)
    mysql(source, "SET SESSION cte_max_recursion_depth = 1000000; CREATE TABLE t (id INT PRIMARY KEY, "
                  "yes TINYINT(1), x VARCHAR(2000)); INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION "
                  "ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 1, REPEAT('x', 2000) "
                  "FROM n")  # fmt: skip
    for option, code in (("--no-scan", "V026"), ("--scan-seconds=0.001", "V027")):
        ran = converge("plan", "--source", source, "--json", option)
        assert ran.code == 0
        assert code in {one["code"] for one in ran.json["findings"]}
        columns = {one["source"]: one["target_type"] for one in ran.json["plan"]["tables"][0]["columns"]}
        assert columns["yes"] == "smallint"
    ran = converge("plan", "--source", source, "--json")
    columns = {one["source"]: one["target_type"] for one in ran.json["plan"]["tables"][0]["columns"]}
    assert columns["yes"] == "boolean"
    # The server has a moment to end the query of the scan's last connection.
    left = "SELECT INFO FROM information_schema.PROCESSLIST WHERE DB LIKE 'test%' AND ID <> CONNECTION_ID()"
    give_up = time.monotonic() + 5
    while sessions := mysql(source, left):
        assert time.monotonic() < give_up, sessions
        time.sleep(0.05)
