"""Triggers that only set columns: the same statements store the same rows on both servers."""

from __future__ import annotations

import re

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server
from converge.translate import Untranslatable
from converge.translate.assignments import Assignment, Choice, parse_assignments

COLUMNS = """id INT PRIMARY KEY, a INT, b BIGINT, u INT UNSIGNED, d DECIMAL(10,3), e DECIMAL(12,2), f DOUBLE,
  flag TINYINT(1) DEFAULT 1, s VARCHAR(20), t TEXT, c CHAR(6), n VARCHAR(40) NOT NULL, day DATE,
  at DATETIME(3), kind ENUM('a', 'b'), doc JSON, raw VARBINARY(20), y YEAR, `order` INT,
  total DECIMAL(14,2), up INT, `by` INT DEFAULT 0"""
CASES: dict[str, tuple[str, ...]] = {
    # table of a case: BEFORE INSERT or UPDATE, and its triggers in the order in which they are fired
    "texts": (
        "INSERT",
        "SET NEW.s = LOWER(NEW.t), NEW.t = CONCAT(NEW.s, '-', NEW.c, '-', NEW.a), "
        "NEW.n = COALESCE(NEW.n, CONCAT_WS('/', NEW.c, NEW.day, NEW.flag), 'none')",
    ),
    "numbers": (
        "INSERT",
        "SET NEW.total = NEW.d * NEW.a + NEW.e, NEW.e = NEW.d / 3, NEW.a = NEW.d, NEW.b = NEW.a * 2 - NEW.b, "
        "NEW.f = NEW.b * 1.5, NEW.d = ROUND(NEW.total, 1), NEW.n = IFNULL(CONCAT('n', NEW.u), '-'), "
        "NEW.flag = (NEW.a = NEW.b) <> (NEW.u < 5) XOR NOT NEW.a > 2 IS NULL AND NEW.d BETWEEN -9 AND 9",
    ),
    "nulls": (
        "INSERT",
        "BEGIN IF NEW.n IS NULL OR CHAR_LENGTH(NEW.n) = 0 THEN SET NEW.n = 'made'; END IF; "
        "IF NEW.a IS NULL THEN SET NEW.a = -1, NEW.s = NULL; ELSEIF NEW.a > 5 THEN SET NEW.s = 'large'; "
        "IF NEW.flag THEN SET NEW.`order` = 7; END IF; ELSE SET NEW.s = IFNULL(NEW.s, 'x'); END IF; END",
    ),
    "dates": (
        "INSERT",
        "SET NEW.day = DATE(NEW.at), NEW.at = NEW.day + INTERVAL 1 MONTH, NEW.y = YEAR(NEW.day), "
        "NEW.n = IFNULL(DATE_FORMAT(NEW.day, '%Y-%m'), '-'), NEW.a = DATEDIFF(NEW.at, NEW.day)",
    ),
    "unixtimes": ("INSERT", "SET NEW.at = FROM_UNIXTIME(NEW.u), NEW.day = FROM_UNIXTIME(NEW.u * 10)"),
    "literals": (
        "INSERT",
        "BEGIN -- a comment; FOR\n SET NEW.order = CASE WHEN NEW.a > 1 THEN 1 WHEN NEW.b IS NULL THEN 2 "
        "ELSE 3 END, NEW.n = 'it''s \\'x\\'; \U0001f600 ä', NEW.kind = 'b', "
        "NEW.doc = '{\"a\": [1e2, 1.50, -7, 18446744073709551615]}', NEW.raw = 'bytes'; "
        "/* and */ SET new.c := 'ab '; END",
    ),
    "old": (
        "UPDATE",
        "SET NEW.b = IFNULL(OLD.a, 0) + IFNULL(NEW.a, 0), NEW.s = CONCAT(OLD.n, '>', NEW.n), "
        "NEW.n = IF(OLD.a <=> NEW.a, OLD.n, NEW.n)",
    ),
    # Their names sort otherwise than they are fired.
    "order": ("INSERT", "SET NEW.n = CONCAT(NEW.n, 1)", "SET NEW.n = CONCAT(NEW.n, 2)"),
    # A foreign key's cascade fires no trigger.
    "cascade": ("UPDATE", "SET NEW.`by` = OLD.`by` + 1"),
    "nothing": ("INSERT", "BEGIN END"),
}
ROWS = (
    "1, 7, 8, 9, 12.345, 6.78, 1.5, TRUE, 'Abc', 'D', 'x', 'n', '2024-01-31', '2024-01-31 23:59:59.999', 1",
    "2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, 1",
    "3, -7, 0, 0, -12.5, -0.01, -0.5, FALSE, '', ' a ', 'q', 'x', '1999-12-31', '2000-02-29 00:00:00', 2",
    "4, 2, 2, 4000000000, 0.005, 99999, 0, TRUE, 'Ä', 'Ü', '', 'n', '2024-02-29', '2024-02-29 12:00:00.5', 2",
)
INSERT = "INSERT INTO {} (id, a, b, u, d, e, f, flag, s, t, c, n, day, at, up) VALUES ({})"
STATEMENTS = (
    "INSERT INTO {} (id, a, t, n) VALUES (5, 3, 'unset', 'x')",
    "UPDATE {} SET a = 5, n = 'new' WHERE id = 1",
    "UPDATE {} SET n = 'again' WHERE id IN (2, 3)",
)


def test_the_same_statements_store_the_same_rows(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    mysql(source, "CREATE TABLE upper (id INT PRIMARY KEY); INSERT INTO upper VALUES (1), (2), (3)")
    names = []
    for name, (event, *bodies) in CASES.items():
        mysql(source, f"CREATE TABLE `{name}` ({COLUMNS}, FOREIGN KEY (up) REFERENCES upper (id) "
                      "ON UPDATE CASCADE ON DELETE SET NULL)")  # fmt: skip
        for number, body in enumerate(bodies):
            names.append(f"{9 - number} of {name}")
            mysql(source, f"CREATE TRIGGER `{names[-1]}` BEFORE {event} ON `{name}` FOR EACH ROW {body}")
        # What the triggers have made is copied as it is.
        mysql(source, INSERT.format(f"`{name}`", ROWS[0]))
    addresses = ("--source", source, "--target", target)
    ran = converge("migrate", *addresses, "--json")
    assert ran.json["verdict"] == "verified", ran.err + ran.out
    assert ran.json["not_migrated"] == []
    assert {one["object"] for one in ran.json["findings"] if one["code"] == "P084"} == set(names)
    # Also when more rows are copied by a run that has made the triggers.
    for name in CASES:
        mysql(source, INSERT.format(f"`{name}`", ROWS[1]))
    ran = converge("sync", *addresses, "--json")
    assert ran.json["verdict"] == "verified", ran.err + ran.out

    for name in CASES:
        for statement in (*(INSERT.format("{}", row) for row in ROWS[2:]), *STATEMENTS):
            mysql(source, statement.format(f"`{name}`"))
            postgres(target, statement.format(f'"{name}"'))
    for url in (source, target):
        for statement in ("UPDATE upper SET id = 4 WHERE id = 1", "DELETE FROM upper WHERE id = 2"):
            (mysql if url == source else postgres)(url, statement)
    assert postgres(target, "SELECT id, by FROM cascade ORDER BY id") == [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 0),
        (5, 0),
    ]
    compared = converge("verify", *addresses, "--json")
    assert compared.json["verdict"] == "verified", compared.out
    # Without the triggers they would not be the same.
    dropped = "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger " \
              "WHERE tgname ~ 'of' AND NOT tgisinternal"  # fmt: skip
    for (statement,) in postgres(target, dropped):
        postgres(target, statement)
    changed = converge("verify", *addresses)
    assert (changed.code, changed.out.count("V111")) == (1, len(names)), changed.out


def test_times_and_random_values(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    mysql(source, "CREATE TABLE made (id INT PRIMARY KEY AUTO_INCREMENT,code CHAR(36), at DATETIME(6), n INT,"
                  "touched TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6));"
                  "CREATE TABLE stamped (id INT PRIMARY KEY, n INT, m INT, at TIMESTAMP NULL ON UPDATE "
                  "CURRENT_TIMESTAMP, seen DATETIME NULL);"
                  "CREATE TRIGGER made BEFORE INSERT ON made FOR EACH ROW SET NEW.at=NOW(6), NEW.code=UUID();"
                  "CREATE TRIGGER `a b` BEFORE UPDATE ON stamped FOR EACH ROW BEGIN SET NEW.seen = NEW.at, "
                  "NEW.m = 5; IF NEW.n = 7 THEN SET NEW.at = '2001-02-03 04:05:06'; END IF; END")  # fmt: skip
    mysql(source, "INSERT INTO stamped (id, n) VALUES (1, 1), (2, 2), (3, 3)")
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.json["verdict"] == "verified", ran.err + ran.out
    recent = "now() - at < interval '5 s', at <= clock_timestamp()"
    made = f"INSERT INTO made (n) VALUES (1), (2) RETURNING length(code), {recent}"
    assert postgres(target, made) == [(36, True, True)] * 2
    assert postgres(target, "SELECT count(DISTINCT code) FROM made") == [(2,)]
    refused = [one["message"] for one in ran.json["findings"] if one["code"] == "P081"]
    if "8.0.15" in ran.json["source"]["version"]:
        assert refused == [
            "its code is not translated: "
            "this version may set columns with ON UPDATE CURRENT_TIMESTAMP after it"
        ]
        return
    assert refused == []
    for url in (source, target):
        for statement in ("n = n WHERE id = 1", "n = 5 WHERE id = 2", "n = 7 WHERE id = 3"):
            (mysql if url == source else postgres)(url, f"UPDATE stamped SET {statement}")
    times = "at IS NULL, at < '2010-01-01', seen IS NULL, seen > '2010-01-01'"
    shown = f"SELECT id, n, m, {times} FROM stamped ORDER BY id"
    assert postgres(target, shown) == mysql(source, shown)


REFUSED = {
    # body of a BEFORE INSERT trigger (or what stands before it): a part of the reason
    "SET NEW.s = (SELECT MAX(t) FROM t)": "not on the list",
    "SET @x = NEW.a": "it sets @, which is not a column of the new row",
    "BEGIN DECLARE x INT; SET NEW.a = 1; END": "it does more than set columns of the new row: DECLARE",
    "IF NEW.a > 1 THEN SIGNAL SQLSTATE '45000'; END IF": "it does more than set columns of the new row: SIG",
    "label: BEGIN SET NEW.a = 1; END": "it does more than set columns of the new row: LABEL",
    "SET NEW.a = NEW.id": "id gets its number before the trigger in the target",
    "SET NEW.a = NEW.g": "g is a generated column",
    "SET NEW.s = IFNULL(NEW.implied, 'null')": "implied gets its default before the trigger in the target",
    "SET NEW.a = CHAR_LENGTH(NEW.r)": "it reads r, whose default the target has not",
    "SET NEW.s = IF(NEW.s = 'x', 'y', 'z')": "ignores case and accents",
    "SET NEW.a = NEW.a = NEW.d < 5": "a comparison of a comparison, without parentheses",
    "SET NEW.a = NEW.a > 1 BETWEEN 0 AND 1": "a comparison of a comparison, without parentheses",
    "SET NEW.a = NEW.a NOT IN (1, 2) = NEW.d": "a comparison of a comparison, without parentheses",
    "SET NEW.a = NEW.a IS NULL = NEW.d < 1": "a comparison of a comparison, without parentheses",
    "SET NEW.a = NEW.s": "a text is stored as integer",
    "SET NEW.a = NEW.s + 1": "is taken for a number",
    "SET NEW.j = NEW.s": "a text is stored as JSON",
    "SET NEW.j = '[1, 12345678901234567890123]'": "JSON that MySQL rounds: 12345678901234567890123",
    "SET NEW.j = '[0.1234567890123456789]'": "numbers of JSON that MySQL rounds: 0.1234567890123456789",
    "SET NEW.j = '[-0.0]'": "numbers of JSON that MySQL rounds: -0.0",
    "SET NEW.j = '[1'": "is not JSON",
    "SET NEW.f = POW(NEW.a, 2)": "the last digit of POW can differ",
    "SET NEW.d = NEW.f": "an approximate number is stored as an exact one",
    "SET NEW.e = LOWER('A')": "something else than one of its labels is stored in an ENUM",
    "SET NEW.e = 'A'": "something else than one of its labels is stored in an ENUM",
    "SET NEW.n = 1": "something else than one of its labels is stored in an ENUM",
    "SET NEW.k = 'y,x'": "it sets k, a SET",
    "SET NEW.s = NEW.k": "the target keeps a set as it is inserted",
    "SET NEW.b = UUID_TO_BIN(UUID()), NEW.s = HEX(NEW.b)": "the target keeps a binary as it is inserted",
    "SET NEW.f = NEW.rounded": "rounds what is inserted",
    "SET NEW.s = CONCAT(CURRENT_USER(), 'x')": "is not on the list",
    "sql_mode=''": "without strict mode MySQL cuts values that do not fit",
    "sql_mode='STRICT_ALL_TABLES,PIPES_AS_CONCAT'": "its sql_mode has PIPES_AS_CONCAT",
}  # fmt: skip


def test_what_may_store_another_row_is_refused(
    mysql_8033: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    postgres_14: Server,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    for number, text in enumerate(REFUSED):
        mode, body = (f"SET SESSION {text}; ", "SET NEW.a = 1") if text.startswith("sql_mode") else ("", text)
        mysql(source, f"CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT, a INT, s VARCHAR(40), "
                      "g INT AS (a + 1) STORED, r VARCHAR(40) DEFAULT (UUID()), d DECIMAL(5,2), f DOUBLE, "
                      "e ENUM('a', 'b'), n ENUM('10', '1'), k SET('x', 'y'), b BINARY(16), "
                      "rounded FLOAT(7,2), j JSON, implied ENUM('a') NOT NULL)")  # fmt: skip
        body = body.replace("FROM t)", f"FROM t{number})").replace("MAX(t)", "MAX(a)")
        mysql(source, f"{mode}CREATE TRIGGER g{number} BEFORE INSERT ON t{number} FOR EACH ROW {body}")
    # One that cannot be translated takes along what is fired by the same rows, and nothing else.
    mysql(source, "CREATE TABLE several (id INT PRIMARY KEY, a INT) ENGINE=InnoDB;"
                  "CREATE TABLE isam (id INT PRIMARY KEY, a INT) ENGINE=MyISAM;"
                  "CREATE TRIGGER s1 BEFORE INSERT ON several FOR EACH ROW SET NEW.a = 1;"
                  "CREATE TRIGGER s2 BEFORE INSERT ON several FOR EACH ROW SET @a = 1;"
                  "CREATE TRIGGER s3 BEFORE UPDATE ON several FOR EACH ROW SET NEW.a = 1;"
                  "CREATE TRIGGER s4 AFTER INSERT ON several FOR EACH ROW SET @a = 1;"
                  "CREATE TRIGGER i1 BEFORE INSERT ON isam FOR EACH ROW SET NEW.a = 1;"
                  "CREATE TABLE slugs (id INT PRIMARY KEY, s VARCHAR(9), "
                  "g VARCHAR(9) COLLATE utf8mb4_general_ci, CHECK (s <> ''), CHECK (g <> ''), "
                  "k VARCHAR(9) AS (s LIKE '1%') STORED);"
                  "CREATE TRIGGER slug BEFORE INSERT ON slugs FOR EACH ROW BEGIN "
                  "IF NEW.s = '' THEN SET NEW.s = 'x'; ELSEIF NEW.g = '-' THEN SET NEW.g = 'y'; END IF; END;"
                  "CREATE VIEW slugged AS SELECT id FROM slugs WHERE s IN ('1', '') AND g = '1'")  # fmt: skip
    ran = converge("plan", "--source", source, "--target", target, "--json")
    said = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "P081"}
    for number, (text, reason) in enumerate(REFUSED.items()):
        assert reason in said.get(f"g{number}", ""), (text, said.get(f"g{number}"))
    assert said["s1"].endswith("the trigger s2, which is fired by the same rows, is not translated")
    assert said["s4"] == "its code is not translated"
    assert "not transactional" in said["i1"]
    assert [one["object"] for one in ran.json["findings"] if one["code"] == "P084"] == ["s3", "slug"]
    invisible = [one for one in ran.json["findings"] if "takes wide" in one["message"]]
    assert [(one["code"], one["object"], one["severity"]) for one in invisible] == [
        ("P029", "slugs.k", "note"), ("P062", "slugs.slugs_chk_1", "note"), ("P161", "slug", "lossy"),
        ("P053", "slugged", "note"),
    ]  # fmt: skip
    assert {one["name"] for one in ran.json["plan"]["ports"]} == said.keys()
    shown = converge("explain", "s3", "--source", source).out
    assert re.search(r'trigger s3 → s3\n.*NEW\."a" := 1', shown, re.DOTALL), shown
    assert 'CREATE TRIGGER "s3" BEFORE UPDATE' in shown


def test_statements_of_triggers_are_parsed() -> None:
    head = "CREATE DEFINER=`a`@`%` TRIGGER `for` BEFORE INSERT ON `t` FOR EACH ROW FOLLOWS `x` "
    assert parse_assignments(head + "SET NEW.`a``b` := f((1, 2), ';'), NEW.b=1;") == (
        Assignment("a`b", "f((1, 2), ';')"), Assignment("b", "1")
    )  # fmt: skip
    assert parse_assignments(head + "IF CASE WHEN a THEN b END THEN SET NEW.a = 1; END IF") == (
        Choice((("CASE WHEN a THEN b END", (Assignment("a", "1"),)),)),
    )
    for broken in ("", "SET", "SET NEW", "SET NEW.", "SET NEW.a", "SET NEW.a =", "SET NEW.a = 1; SET NEW.b=2",
                   "BEGIN SET NEW.a = 1 END", "BEGIN SET NEW.a = 1;", "IF 1 THEN SET NEW.a = 1;",
                   "IF 1 SET NEW.a = 1; END IF", "SET NEW.a = 'x"):  # fmt: skip
        with pytest.raises(Untranslatable):
            parse_assignments(head + broken)
    with pytest.raises(Untranslatable, match="does not show its text"):
        parse_assignments("SET NEW.a = 1")


def test_letters_that_the_target_does_not_know(
    databases: tuple[str, str],
) -> None:
    """With LC_CTYPE C, LOWER and UPPER change ASCII letters alone, so only such texts are translated."""
    source, target = databases[0], f"{databases[1]}_c"
    name = target.rpartition("/")[2]
    made = f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING 'UTF8'"
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(9) CHECK (LOWER(s) <> 'a'), "
                  "l VARCHAR(9) AS (LOWER(s)) STORED, d VARCHAR(9) DEFAULT (LCASE('Ä')), KEY k ((UPPER(s))), "
                  "a CHAR(9) CHARACTER SET ascii);"
                  "CREATE VIEW v AS SELECT UPPER(s) FROM t;"
                  "CREATE VIEW w AS SELECT LOWER(a), LOWER('Bc'), LOWER(id) FROM t;"
                  "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.s = UPPER(NEW.s)")  # fmt: skip
    plain = converge("plan", "--source", source, "--target", databases[1], "--json")
    postgres(databases[1], made)
    try:
        ran = converge("plan", "--source", source, "--target", target, "--json")
    finally:
        postgres(databases[1], f"DROP DATABASE {name}")
    why = "LC_CTYPE C"
    lost = {one["object"] for one in ran.json["findings"] if why in one["message"]}
    assert lost == {"t.t_chk_1", "t.l", "t.d", "t.k", "v", "g"}
    assert why not in plain.out
