"""Keys and CHECKs are asked about before the copy as the target will hold and compare the values."""

from __future__ import annotations

import random
from pathlib import Path
from string import ascii_letters, digits

from conftest import NewDatabase
from support import converge, mysql, postgres, relations
from test_load import load, plan, shape

from converge.sandbox import Server

CI, UNPADDED = "COLLATE utf8mb4_general_ci", "COLLATE utf8mb4_0900_ai_ci"
SOURCE = f"""
CREATE TABLE accent (k VARCHAR(10) {UNPADDED} PRIMARY KEY);
CREATE TABLE accented (id INT PRIMARY KEY, k VARCHAR(10) {UNPADDED},
  CONSTRAINT accented FOREIGN KEY (k) REFERENCES accent (k));
INSERT INTO accent VALUES ('Foo'), ('é');
INSERT INTO accented VALUES (1, 'foo'), (2, NULL), (3, 'e');
CREATE TABLE blank (s VARCHAR(10) {CI} PRIMARY KEY);
CREATE TABLE blanks (id INT PRIMARY KEY, s VARCHAR(10) {CI},
  CONSTRAINT blanks FOREIGN KEY (s) REFERENCES blank (s));
INSERT INTO blank VALUES ('Foo');
INSERT INTO blanks VALUES (1, 'FOO'), (2, 'foo ');
CREATE TABLE moved (id INT PRIMARY KEY);
CREATE TABLE stays (id INT PRIMARY KEY);
INSERT INTO stays VALUES (1);
CREATE TABLE refers (id INT PRIMARY KEY, moved INT, other INT,
  CONSTRAINT refers FOREIGN KEY (moved) REFERENCES moved (id),
  CONSTRAINT stays FOREIGN KEY (moved) REFERENCES stays (id));
INSERT INTO moved VALUES (1), (2);
CREATE TABLE padded (k CHAR(3) PRIMARY KEY);
CREATE TABLE pads (id INT PRIMARY KEY, k CHAR(3), CONSTRAINT pads FOREIGN KEY (k) REFERENCES padded (k));
INSERT INTO padded VALUES ('x');
INSERT INTO pads VALUES (1, 'X'), (2, 'x');
INSERT INTO refers VALUES (1, 1, 1), (2, NULL, 1);
CREATE TABLE tree (id INT PRIMARY KEY, up INT, CONSTRAINT up FOREIGN KEY (up) REFERENCES tree (id));
INSERT INTO tree VALUES (1, NULL), (2, 1);
CREATE TABLE narrow (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET utf8 {CI.replace("mb4", "")} UNIQUE,
  e ENUM('b', 'a') CHARACTER SET utf8);
INSERT INTO narrow VALUES (1, 'a', 'a'), (2, 'b', 'b');
"""
MAP = """
[[column]]
match = { table = "accent*", column = "k" }
to = "citext"
[[column]]
match = { table = "blank*", column = "s" }
collation = "source"
[[column]]
match = { table = "pad*", column = "k" }
to = "character(3)"
[[column]]
match = { table = "moved", column = "id" }
using = "{} + 1000"
[[column]]
match = { table = "tree" }
using = "{} + 1000"
[[column]]
match = { table = "narrow", column = "v" }
collation = "source"
"""


def _found(findings: list[dict[str, str]], *codes: str) -> dict[tuple[str, str], str]:
    return {(one["code"], one["object"]): one["severity"] for one in findings if one["code"] in codes}


def test_rows_without_a_parent_in_the_target(both_databases: tuple[str, str], tmp_path: Path) -> None:
    """Types and collations that tell more apart, and expressions of one side, are seen in the plan."""
    source, target = both_databases
    mysql(source, SOURCE)
    map_ = tmp_path / "map.toml"
    map_.write_text(MAP)
    ends = ("--source", source, "--target", target, "--map", str(map_), "--json")
    planned = converge("plan", *ends)
    orphans = {"accented.accented": "3", "blanks.blanks": "2", "refers.refers": "1", "pads.pads": "1"}
    found = [one for one in planned.json["findings"] if one["severity"] == "block"]
    assert {one["object"]: one["evidence"].removeprefix("rows id ") for one in found} == orphans, planned.err
    assert {one["code"] for one in found} == {"V030"}
    assert converge("migrate", *ends).code == 3
    assert relations(target) == []
    mysql(source, "UPDATE accented SET k = 'É' WHERE id = 3; UPDATE blanks SET s = 'fOO' WHERE id = 2; "
                  "UPDATE refers SET moved = NULL; DELETE FROM pads WHERE id = 1")  # fmt: skip
    ran = converge("migrate", *ends)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT id, up FROM tree ORDER BY id") == [(1001, None), (1002, 1001)]


OWN = """
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE EXTENSION citext;
CREATE TABLE accent (k citext PRIMARY KEY);
CREATE TABLE accented (id int PRIMARY KEY, k citext CONSTRAINT accented REFERENCES accent (k));
CREATE TABLE blank (s varchar(10) COLLATE ci PRIMARY KEY);
CREATE TABLE blanks (id int PRIMARY KEY, s varchar(10) COLLATE ci CONSTRAINT blanks REFERENCES blank (s));
CREATE TABLE moved (id int PRIMARY KEY);
CREATE TABLE stays (id numeric PRIMARY KEY);
CREATE TABLE padded (k character(3) PRIMARY KEY);
CREATE TABLE pads (id int PRIMARY KEY, k varchar(3) CONSTRAINT pads REFERENCES padded (k));
CREATE TABLE refers (id int PRIMARY KEY, moved int CONSTRAINT refers REFERENCES moved (id)
  CONSTRAINT stays REFERENCES stays (id), other int CONSTRAINT others REFERENCES moved (id));
CREATE TABLE tree (id int PRIMARY KEY, up int CONSTRAINT up REFERENCES tree (id));
CREATE TABLE narrow (id int PRIMARY KEY, v varchar(20) COLLATE ci UNIQUE, e text COLLATE ci UNIQUE);
"""


def test_rows_without_a_parent_in_the_targets_own_tables(databases: tuple[str, str], tmp_path: Path) -> None:
    """Also for keys that the source does not have, and between collations that MySQL does not mix."""
    source, target = databases
    mysql(source, SOURCE)
    mysql(source, "ALTER TABLE accented DROP FOREIGN KEY accented, DROP KEY accented, "
                  "MODIFY k VARCHAR(10) COLLATE utf8mb4_general_ci")  # fmt: skip
    postgres(target, OWN)
    map_ = tmp_path / "map.toml"
    map_.write_text(MAP)
    before = shape(target)
    planned = plan(source, target, "--map", str(map_))
    blocks = {(one["code"], one["object"]) for one in planned.json["findings"] if one["severity"] == "block"}
    orphans = {"accented.accented", "blanks.blanks", "refers.refers", "refers.others", "pads.pads"}
    assert blocks == {("V030", key) for key in orphans}, planned.err
    mysql(source, "UPDATE accented SET k = 'É' WHERE id = 3; UPDATE blanks SET s = 'fOO' WHERE id = 2; "
                  "UPDATE refers SET moved = NULL, other = NULL; DELETE FROM pads WHERE id = 1")  # fmt: skip
    ran = load(source, target, "--map", str(map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert shape(target) == before


def test_what_an_enums_type_promised_ends_with_an_expression(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """No CHECK of labels, or of a sign, over other values; a native type has no others."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, word ENUM('a', 'b'), upper_ ENUM('a', 'b'), cut ENUM('abc'), "
        "kept ENUM('a', 'b'), sign DECIMAL(5, 2) UNSIGNED, native ENUM('a', 'b')); "
        "INSERT INTO t VALUES (1, 'a', 'a', 'abc', 'a', 1.5, 'a'), (2, 'b', 'b', NULL, 'b', NULL, 'b')",
    )
    map_ = tmp_path / "map.toml"
    entries = {
        "word": "using = \"IF({} = 'a', 'x', 'y')\"\nto = \"text\"",
        "upper_": 'using = "UPPER({})"\nto = "varchar(5)"',
        "cut": 'to = "varchar(2)"\npolicy = { too_long = "cut" }',
        "kept": 'to = "text"',
        "sign": 'using = "-{}"',
        "native": "using = \"IF({} = 'a', 'b', 'a')\"",
    }
    lines = [f'[[column]]\nmatch = {{ column = "{name}" }}\n{entry}' for name, entry in entries.items()]
    map_.write_text("\n".join(lines))
    ends = ("--source", source, "--target", target, "--map", str(map_), "--json")
    ran = converge("migrate", *ends)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    noted = {("P168", f"t.{name}"): "note" for name in ("word", "upper_", "cut", "sign")}
    assert _found(ran.json["findings"], "P168") == noted
    assert postgres(target, "SELECT word, upper_, cut, sign::text, native::text FROM t WHERE id = 1") == [
        ("x", "A", "ab", "-1.50", "b")
    ]
    map_.write_text("[[column]]\nmatch = { column = \"native\" }\nusing = \"IF({} = 'a', 'c', 'a')\"")
    blocked = _found(converge("plan", *ends).json["findings"], "V044")
    assert blocked == {("V044", "t.native"): "block"}


CHECKS = """
CREATE TABLE t (id INT PRIMARY KEY, n INT, m INT, s VARCHAR(10), latin VARCHAR(10) CHARACTER SET latin1,
  cut VARCHAR(10), kind VARCHAR(10),
  CONSTRAINT few CHECK (n < 10), CONSTRAINT many CHECK (n < 100 OR n IS NULL), CONSTRAINT same CHECK (m < 10),
  CONSTRAINT word CHECK (s <> 'BAD'), CONSTRAINT `it's` CHECK (latin IN ('it''s', 'o')),
  CONSTRAINT length_ CHECK (char_length(cut) > 3), CONSTRAINT sum_ CHECK (n + m < 5),
  CONSTRAINT negative CHECK (n > -5));
INSERT INTO t VALUES (1, 1, 1, 'x', 'o', 'abcdef', '1'), (2, 2, 2, 'y', 'it''s', 'abcde', '2');
"""
CHANGED = """
[[column]]
match = { table = "t", column = "n" }
using = "{} * 10"
[[column]]
match = { table = "t", column = "s" }
using = "IF({} = 'x', 'bad', {})"
[[column]]
match = { table = "t", column = "latin" }
using = "LOWER({})"
[[column]]
match = { table = "t", column = "cut" }
to = "varchar(3)"
policy = { too_long = "cut" }
"""


def test_checks_over_values_that_a_map_changes(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """The plan names those that the rows break; what cannot be asked is said to be only tried."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(source, CHECKS)
    map_ = tmp_path / "map.toml"
    map_.write_text(CHANGED)
    ends = ("--source", source, "--target", target, "--map", str(map_), "--json")
    planned = converge("plan", *ends)
    lost = {("V175", f"t.{name}"): "lossy" for name in ("few", "word", "length_")}
    assert _found(planned.json["findings"], "V175", "V176") == {**lost, ("V176", "t.sum_"): "note"}, (
        planned.err
    )
    ran = converge("migrate", *ends)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    made = postgres(
        target,
        "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c' ORDER BY 1",
    )
    assert [name for (name,) in made] == ["it's", "many", "negative", "same"]
    assert _found(ran.json["findings"], "P052") == {("P052", "t"): "lossy"}


def test_values_that_optional_indexes_have_no_room_for(databases: tuple[str, str], tmp_path: Path) -> None:
    """The run goes on without these indexes and their comments, and all rows are there."""
    source, target = databases
    chance = random.Random(7)
    token = "".join(chance.choices(ascii_letters + digits, k=2900))
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, token VARCHAR(3000) CHARACTER SET ascii, body MEDIUMTEXT, "
        "title VARCHAR(9), KEY token (token) COMMENT 'too long', KEY title (title) COMMENT 'it''s; short', "
        "FULLTEXT words (body) COMMENT 'too many', FULLTEXT words_of_title (title) COMMENT 'few')",
    )
    words = " ".join("".join(chance.choices(ascii_letters, k=11)) for _ in range(110_000))
    mysql(source, "INSERT INTO t VALUES (1, %s, %s, 'a b')", token, words)
    map_ = tmp_path / "map.toml"
    map_.write_text('[[index]]\nmatch = { table = "t", index = "words*" }\nmethod = "gin"\n')
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    refused = [one["message"] for one in ran.json["findings"] if one["code"] == "P052"]
    assert len(refused) == 2, refused
    assert "tsvector" in "".join(refused)
    comments = postgres(
        target,
        "SELECT c.relname, obj_description(c.oid) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid "
        "WHERE i.indrelid = 't'::regclass AND NOT i.indisprimary ORDER BY 1",
    )
    assert comments == [("title", "it's; short"), ("words_of_title", "few")]


def test_the_targets_checks_over_values_that_a_map_changes(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """NOT VALID ones too: they are asked of every new row."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, m INT, k VARCHAR(9), v VARCHAR(9), cut VARCHAR(9), "
        "e INT); "
        "INSERT INTO t VALUES (1, 1, 1, 'BAD', 'BAD', 'abc', 5), (2, 2, 2, 'x', 'x', 'ab', NULL)",
    )
    postgres(
        target,
        "CREATE EXTENSION citext;"
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE t (id int PRIMARY KEY, n int CONSTRAINT few CHECK (n < 10) "
        "CONSTRAINT many CHECK (n < 100), m int, k citext CONSTRAINT caseless CHECK (k <> 'bad') "
        "CONSTRAINT exact CHECK (k::text <> 'bad'),"
        "v text COLLATE ci CONSTRAINT loose CHECK (v NOT IN ('bad', 'worse')) "
        "CONSTRAINT other CHECK (v <> 'b'), cut varchar(2) CONSTRAINT cut CHECK (cut <> 'ab'),"
        "e int CONSTRAINT filled CHECK (e IS NOT NULL));"
        "ALTER TABLE t ADD CONSTRAINT late CHECK (m > 1) NOT VALID;"
        "ALTER TABLE t ADD CONSTRAINT held CHECK (m > 0) NO INHERIT NOT VALID",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text(
        '[[column]]\nmatch = { column = "n" }\nusing = "{} * 10"\n'
        '[[column]]\nmatch = { column = "e" }\nusing = "COALESCE({}, 0)"\n'
        '[[column]]\nmatch = { column = "cut" }\npolicy = { too_long = "cut" }\n'
    )
    findings = plan(source, target, "--map", str(map_)).json["findings"]
    broken = ("few", "caseless", "loose", "cut", "late")
    assert _found(findings, "L013", "L023") == {("L023", f"t.{name}"): "block" for name in broken}
