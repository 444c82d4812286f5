"""What bites after the cutover: found before it, with SQL that the target takes and that cures it."""

from __future__ import annotations

import re
import tomllib
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pymysql
import pytest
from conftest import NewDatabase
from support import converge, load_dump, mysql, postgres

from converge.postgres.script import run_script
from converge.sandbox import Server
from converge.sandbox.server import connect_mysql

_SOURCE = """
CREATE TABLE customer (
  id int AUTO_INCREMENT PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, city varchar(40), note text,
  code varchar(20) COLLATE utf8mb4_bin UNIQUE, kind enum('A', 'b') UNIQUE, KEY (city, id)
) AUTO_INCREMENT = 2000000000;
CREATE TABLE purchase (customer int, payload json, FOREIGN KEY (customer) REFERENCES customer (id));
CREATE TABLE upper_key (`Key` varchar(700) PRIMARY KEY);
CREATE VIEW half AS SELECT id / 2 AS h, UUID_SHORT() AS u FROM customer;
INSERT INTO customer VALUES
  (1, 'ada@x.org', 'Oslo', NULL, 'a', 'A'), (2, 'Bob@x.org', 'oslo', NULL, 'b', 'b'),
  (3, 'c@x.org', 'Rom', '', 'c', NULL);
"""
_MAP = """
[map]
name = "lint"
about = "a json column, and no index for the foreign key"
[[column]]
match = { table = "purchase", column = "payload" }
to = "json"
[[index]]
match = { table = "purchase", index = "customer" }
skip = true
"""


@pytest.fixture
def findings(databases: tuple[str, str], tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    """What the report of a verified run says of this source, by code."""
    source, target = databases
    mysql(source, _SOURCE)
    (tmp_path / "lint.toml").write_text(_MAP)
    with ExitStack() as held:
        for _ in range(int(postgres(target, "SHOW max_connections")[0][0])):
            held.enter_context(closing(connect_mysql(source)))
    map_ = str(tmp_path / "lint.toml")
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found: dict[str, list[dict[str, str]]] = {}
    for one in ran.json["findings"]:
        if one["code"].startswith("F"):
            found.setdefault(one["code"], []).append(one)
    return found


def _statements(hint: str) -> list[str]:
    """The SQL of a hint, without comments."""
    return [line for line in hint.splitlines() if line.endswith(";") and not line.startswith("--")]


def test_create_mode(findings: dict[str, list[dict[str, str]]], databases: tuple[str, str]) -> None:
    _, target = databases
    assert " ".join(findings) == "F001 F002 F004 F016 F003 F011 F010 F014 F012 F005 F006 F008 F009"
    texts = {one["object"]: (one["message"].partition(": ")[2], one["evidence"]) for one in findings["F001"]}
    assert list(texts.items()) == [
        ("upper_key", ("case and accents in Key (primary key)", "")),
        (
            "customer",
            (
                "case and accents in email (unique), city (index)",
                "email: 1 of 3 rows has capital letters; city: 2 of 3 rows have capital letters; "
                "city: 2 rows are equal to others in MySQL alone",
            ),
        ),
    ]
    assert findings["F003"][0]["object"] == "purchase" and "(customer)" in findings["F003"][0]["message"]
    assert "customer.code (unique; trailing spaces)" in findings["F004"][0]["message"]
    assert "customer.note" in findings["F002"][0]["message"]
    assert findings["F010"][0]["object"] == "customer.id"
    assert "purchase" in findings["F011"][0]["hint"]
    assert "half" in findings["F008"][0]["message"]
    likewise = {one["object"]: "(for the first column here, and" in one["hint"] for one in findings["F001"]}
    assert likewise == {"upper_key": False, "customer": True}
    before = len(postgres(target, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"))
    for code in ("F003", "F005", "F010", "F011"):
        for statement in _statements(findings[code][0]["hint"]):
            postgres(target, statement)
    for one in findings["F001"]:
        for statement in _statements(one["hint"]):
            postgres(target, statement)
    assert len(postgres(target, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")) == before + 4
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "INSERT INTO customer (email) VALUES ('ADA@x.org')")


def test_a_map_that_keeps_the_comparison_leaves_nothing_to_cure(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    columns = "a varchar(9) PRIMARY KEY, b varchar(9) COLLATE utf8mb4_0900_as_ci UNIQUE"
    mysql(source, f"CREATE TABLE t ({columns}, c char(9) COLLATE utf8mb4_0900_bin)")
    rule = '[[column]]\nmatch = {{ table = "t", column = "{}" }}\n{}\n'
    rules = rule.format("[ab]", 'collation = "source"') + rule.format("c", 'to = "char(9)"')
    (tmp_path / "same.toml").write_text(f'[map]\nname = "same"\nabout = "texts compare as before"\n{rules}')
    ran = converge(
        "plan", "--source", source, "--target", target, "--map", str(tmp_path / "same.toml"), "--json"
    )
    assert not {one["code"] for one in ran.json["findings"]} & {"F001", "F002", "F004"}, ran.out


_MAPPED = """
CREATE TABLE t (
  id int AUTO_INCREMENT PRIMARY KEY, a varchar(9) COLLATE utf8mb4_general_ci UNIQUE,
  b varchar(9) COLLATE utf8mb4_general_ci UNIQUE, c char(9) COLLATE utf8mb4_0900_ai_ci UNIQUE,
  d char(9) COLLATE utf8mb4_0900_bin UNIQUE, e varchar(9) COLLATE utf8mb4_bin, f varchar(9), g varchar(9),
  h char(9) COLLATE utf8mb4_0900_bin, i varchar(9) COLLATE utf8mb4_0900_bin
)
"""
_HALF = """
[map]
name = "half"
about = "types and collations that ignore a part of what MySQL ignores"
[[column]]
match = { table = "t", column = "[af]" }
to = "citext"
[[column]]
match = { table = "t", column = "b" }
collation = "source"
"""


def test_what_a_map_leaves_to_be_seen_is_said(databases: tuple[str, str], tmp_path: Path) -> None:
    """citext ignores case alone, a collation of ICU no trailing spaces; and CHAR stores none in MySQL."""
    source, target = databases
    mysql(source, _MAPPED)
    (tmp_path / "half.toml").write_text(_HALF)
    map_ = str(tmp_path / "half.toml")
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found = {one["code"]: one["message"].partition(": ")[2] for one in ran.json["findings"]}
    assert found["F001"] == "case, accents and trailing spaces in c (unique)"
    assert found["F004"] == (
        "t.a (unique; accents and trailing spaces), t.b (unique; trailing spaces), "
        "t.d (unique; trailing spaces)"
    )
    # What only a trailing space tells apart is said of keys alone.
    assert found["F002"] == "accents in t.f; case and accents in t.g"
    for column, first, second in [
        ("a", "José", "jose "), ("b", "José", "jose "), ("c", "x", "x "), ("d", "x", "x "),
    ]:  # fmt: skip
        insert = f"INSERT INTO t ({column}) VALUES (%s), (%s)"
        with pytest.raises(pymysql.err.IntegrityError):
            mysql(source, insert, first, second)
        with psycopg.connect(target, autocommit=True) as connection:
            connection.execute(insert.encode(), (first, second))


_LABELS = """
CREATE TABLE job (
  id int PRIMARY KEY, status enum('open', 'done'), kind enum('a', 'b') UNIQUE, flags set('x', 'y'),
  exact enum('A', 'B') COLLATE utf8mb4_bin, plain enum('u', 'v')
);
INSERT INTO job VALUES (1, 'open', 'a', 'x,y', 'A', 'u')
"""


def test_labels_are_found_in_one_spelling(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, _LABELS)
    rule = '[[column]]\nmatch = { table = "job", column = "plain" }\nto = "text"\n'
    (tmp_path / "plain.toml").write_text(f'[map]\nname = "plain"\nabout = "an ENUM as text"\n{rule}')
    map_ = str(tmp_path / "plain.toml")
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found = {one["code"]: one["message"].partition(": ")[2] for one in ran.json["findings"]}
    assert found["F002"] == (
        "another spelling is an error in job.status, job.kind; case and accents in job.flags, job.plain"
    )
    (hint,) = (one["hint"] for one in ran.json["findings"] if one["code"] == "F002")
    assert hint == "ENUM and SET: each label in its own spelling"
    assert not found.keys() & {"F001", "F004"}
    assert mysql(source, "SELECT id FROM job WHERE status = 'OPEN' AND plain = 'U'") == [(1,)]
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        postgres(target, "SELECT id FROM job WHERE status = 'OPEN'")
    assert postgres(target, "SELECT id FROM job WHERE plain = 'U'") == []


def test_the_hint_for_texts_without_an_index_is_by_their_kind(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id int PRIMARY KEY, s varchar(9) COLLATE utf8mb4_general_ci, e enum('open'),"
        "  bin varchar(9) COLLATE utf8mb4_bin, c char(9) COLLATE utf8mb4_bin); "
        "INSERT INTO t VALUES (1, 'Open ', 'open', 'x ', 'x')",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    (found,) = (one for one in ran.json["findings"] if one["code"] == "F002")
    assert found["message"].partition(": ")[2] == (
        "case, accents and trailing spaces in t.s; another spelling is an error in t.e"
    )
    query, labels = found["hint"].splitlines()
    assert (query, labels.partition(":")[0]) == (
        "WHERE lower(rtrim(name)) = lower(rtrim($1))",
        "ENUM and SET",
    )
    query = f"SELECT id FROM t {query.replace('name', 's').replace('$1', '%s')}"
    for spelling in ("Open", "OPEN ", "open"):
        assert mysql(source, "SELECT id FROM t WHERE s = %s", spelling) == [(1,)]
        with psycopg.connect(target) as connection:
            assert connection.execute(query.encode(), (spelling,)).fetchall() == [(1,)]


_NUMBERED = """
CREATE TABLE a (`Id` int AUTO_INCREMENT PRIMARY KEY, x int);
CREATE TABLE b (id bigint AUTO_INCREMENT PRIMARY KEY);
CREATE TABLE c (id int PRIMARY KEY);
INSERT INTO a VALUES (5, 1)
"""


def test_a_number_that_an_insert_gives_does_not_move_the_sequence(both_databases: tuple[str, str]) -> None:
    """MySQL goes on after it. The target gives it again until the statement of the hint has run."""
    source, target = both_databases
    mysql(source, _NUMBERED)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    (found,) = (one for one in ran.json["findings"] if one["code"] == "F014")
    assert found["message"].endswith(": a.Id, b.id") and found["severity"] == "note"
    assert found["hint"].startswith("-- after such an INSERT into a, and likewise for the others:")
    (move,) = re.findall("SELECT setval.*;", found["hint"])
    insert = "INSERT INTO a (x) VALUES (2)"
    mysql(source, f"INSERT INTO a VALUES (6, 1); {insert}")
    postgres(target, "INSERT INTO a VALUES (6, 1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, insert)
    postgres(target, move)
    assert postgres(target, f'{insert} RETURNING "Id"') == [(7,)]
    # A number that was given before does not come again.
    postgres(target, f"DELETE FROM a; {move}")
    assert postgres(target, f'{insert} RETURNING "Id"') == [(8,)]


_EXPRESSIONS = """
CREATE TABLE acct (
  id int PRIMARY KEY, k varchar(40) COLLATE utf8mb4_bin, doc json, name varchar(40), n varchar(40),
  UNIQUE KEY a_k ((k COLLATE utf8mb4_0900_ai_ci)), UNIQUE KEY email ((CAST(doc->>'$.email' AS CHAR(64))), k),
  UNIQUE KEY exact ((CAST(doc->>'$.code' AS CHAR(64)) COLLATE utf8mb4_bin)), UNIQUE KEY name ((LOWER(name))),
  KEY spaces ((name COLLATE utf8mb4_bin)), KEY size ((CHAR_LENGTH(n)))
);
INSERT INTO acct VALUES (1, 'Bob@x', '{"email": "Bob@x", "code": "C"}', 'Bob', 'x')
"""


def test_expressions_of_keys_have_a_collation_of_their_own(both_databases: tuple[str, str]) -> None:
    """Not the collation of the columns that they read, and none where they give a number."""
    source, target = both_databases
    mysql(source, _EXPRESSIONS)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found = {one["code"]: one for one in ran.json["findings"]}
    email = "cast(json_unquote(json_extract(`doc`,_utf8mb4'$.email')) as char(64) charset utf8mb4)"
    code = "cast(json_unquote(json_extract(`doc`,_utf8mb4'$.code')) as char(64) charset utf8mb4)"
    assert found["F001"]["message"].partition(": ")[2] == (
        f"case and accents in (`k` collate utf8mb4_0900_ai_ci) (unique), {email} (unique)"
    )
    assert found["F004"]["message"].partition(": ")[2] == (
        f"acct.k (unique; trailing spaces), acct.({code} collate utf8mb4_bin) (unique; trailing spaces), "
        "acct.lower(`name`) (unique; accents), acct.(`name` collate utf8mb4_bin) (index; trailing spaces)"
    )
    assert found["F002"]["message"].endswith(": case and accents in acct.name, acct.n")
    for statement in _statements(found["F001"]["hint"]):
        postgres(target, statement)
    with pytest.raises(pymysql.err.IntegrityError):
        mysql(source, "INSERT INTO acct (id, k) VALUES (2, 'bob@x')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "INSERT INTO acct (id, k) VALUES (2, 'bob@x')")


_TERMS = """
CREATE TABLE acct (
  id int PRIMARY KEY, s varchar(40), at datetime, i int,
  UNIQUE KEY refused ((CONCAT(s, at))), UNIQUE KEY pair ((CONCAT(s, '-')), (CAST(at AS CHAR(30)))),
  UNIQUE KEY month ((CONCAT(s, DATE_FORMAT(at, '%Y-%m')))), KEY mixed ((CONCAT(LOWER(s), 'X'))),
  UNIQUE KEY hash ((MD5(s))), UNIQUE KEY sha ((SHA2(s, 256))), UNIQUE KEY hex ((HEX(s))),
  KEY id_hex ((HEX(i))), UNIQUE KEY number ((CAST(i AS CHAR(20)))), UNIQUE KEY trimmed ((TRIM(LOWER(s)))),
  UNIQUE KEY filled ((IFNULL(UPPER(s), ''))), UNIQUE KEY extended ((CONCAT(LEFT(LOWER(s), 9), 'x-')))
)
"""


def test_expressions_are_told_where_an_index_has_them_and_their_spelling_varies(
    databases: tuple[str, str],
) -> None:
    """None of a key that is not migrated, of a hash or a number; and no case where all is folded."""
    source, target = databases
    mysql(source, _TERMS)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found = {one["code"]: one for one in ran.json["findings"] if one["code"].startswith("F")}
    assert found["F001"]["message"].partition(": ")[2] == (
        "case and accents in concat(`s`,date_format(`at`,_utf8mb4'%Y-%m')) (unique), "
        "concat(lower(`s`),_utf8mb4'X') (index)"
    )
    assert found["F004"]["message"].partition(": ")[2] == (
        "acct.concat(left(lower(`s`),9),_utf8mb4'x-') (unique; accents), "
        "acct.ifnull(upper(`s`),_utf8mb4'') (unique; accents), acct.trim(lower(`s`)) (unique; accents)"
    )
    for statement in _statements(found["F001"]["hint"]):
        postgres(target, statement)


_LIMITS = """
CREATE TABLE item (
  id int unsigned AUTO_INCREMENT PRIMARY KEY, stock int unsigned NOT NULL, ratio float unsigned,
  big bigint unsigned, price decimal(9,2) unsigned, debt int, hash binary(4), raw varbinary(8), any_size blob,
  made varbinary(4) AS (UNHEX(LEFT(MD5(price), 8))) STORED, gross double(8,2), net float(8,2), free double
);
CREATE TABLE line (id int PRIMARY KEY, item int unsigned, FOREIGN KEY (item) REFERENCES item (id));
INSERT INTO item (stock, gross, net) VALUES
  (1, 19.987, 19.987), (2, 123456.78, 0.1), (3, -0.005, -7), (4, 2.47, 7.1)
"""


def test_limits_that_the_types_of_the_target_do_not_have(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    """One finding, without the numbers that a sequence or a foreign key gives, and what has a CHECK."""
    source, target = both_databases
    mysql(source, _LIMITS)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    limits, digits = (one for one in ran.json["findings"] if one["code"] == "F013")
    assert limits["message"] == (
        "the target takes what MySQL refuses: negative numbers in item.stock, item.ratio, item.big; "
        "more bytes than declared in item.hash, item.raw"
    )
    for statement in _statements(limits["hint"]):
        postgres(target, statement)
    for values in (
        "(stock) VALUES (-1)",
        "(stock, big) VALUES (1, -1)",
        "(stock, raw) VALUES (1, '123456789')",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            postgres(target, f"INSERT INTO item {values}")
    assert digits["message"] == "the target does not round to the digits of item.gross, item.net"
    map_ = tmp_path / "map.toml"
    hint = r'to = "numeric\(8,2\)"\nusing = "ROUND\(\{\}, 2\)"'
    assert len(re.findall(hint, digits["hint"])) == 2, digits["hint"]
    plain = re.sub("\nusing.*", "", digits["hint"])
    map_.write_text(plain)
    ran = converge("plan", "--source", source, "--target", target, "--recreate", "--map", str(map_), "--json")
    ways = {one["object"]: one["hint"] for one in ran.json["findings"] if one["code"] == "V046"}
    assert ways.keys() == {"item.gross", "item.net"}
    for way in ways.values():
        assert way.splitlines()[2:4] == ['using = "ROUND({}, 2)"', '# or: policy = { fraction = "null" }']
    map_.write_text(digits["hint"])
    again = ("--source", source, "--target", target, "--recreate", "--yes", "--map", str(map_), "--json")
    ran = converge("migrate", *again)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert "digits" not in "".join(one["message"] for one in ran.json["findings"] if one["code"] == "F013")
    assert not [one for one in ran.json["findings"] if one["code"] == "V162"], "they are what MySQL shows"
    # 7.1 is what it was, whether MySQL prints it as 7.10 or not.
    assert [(one["column"], one["rows"]) for one in ran.json["changes"]] == [("gross", 1), ("net", 3)]
    stored = mysql(source, "SELECT CAST(gross AS CHAR), CAST(net AS CHAR) FROM item ORDER BY id")
    assert postgres(target, "SELECT gross::text, net::text FROM item ORDER BY id") == stored
    postgres(target, "INSERT INTO item (stock, gross) VALUES (5, 0.126)")
    assert postgres(target, "SELECT gross::text FROM item WHERE stock = 5") == [("0.13",)]


def test_digits_of_a_float_that_the_target_shows(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE item (id INT PRIMARY KEY, price FLOAT(7,2), free FLOAT, same FLOAT(7,2), half DOUBLE)",
    )
    mysql(source, "INSERT INTO item VALUES (1, 19.99, 19.99, 19.99, 19.99)")
    columns = "price float8, free float8, same real, half float8"
    postgres(target, f"CREATE TABLE item (id int PRIMARY KEY, {columns})")
    ends = ("--mode", "load", "--source", source, "--target", target, "--json")
    planned = converge("plan", *ends)
    (told,) = (one for one in planned.json["findings"] if one["code"] == "F013")
    assert told["severity"] == "note" and told["message"].endswith(
        "1.1 as 1.100000023841858: item.price, item.free"
    )
    entry, statement = told["hint"].split("\n# a migration of the application instead: ")
    map_ = tmp_path / "map.toml"
    map_.write_text(entry)
    assert "ROUND({}, 2)" in entry and entry.count("[[column]]") == 1
    postgres(target, statement)
    ran = converge("migrate", *ends, "--map", str(map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [one["code"] for one in ran.json["findings"] if one["code"] in ("F013", "V162")] == []
    rows = "SELECT price::text, free::text, same::text, half::text FROM item"
    assert postgres(target, rows) == [("19.99",) * 4]


_ROUNDED = """
CREATE TABLE item (id int PRIMARY KEY, net double(8,2), gross double(8,2), tax double(8,2), free double(8,2),
  twice double AS (gross * 2) STORED, CONSTRAINT some CHECK (tax + 1 > 1));
CREATE VIEW v AS SELECT net + 1 AS more FROM item
"""


def test_what_calculates_with_a_rounded_column_is_told_before_its_type_is_another(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, _ROUNDED)
    planned = converge("plan", "--source", source, "--target", target, "--json")
    (digits,) = (one for one in planned.json["findings"] if one["code"] == "F013")
    entries = digits["hint"].split("[[column]]")[1:]
    warned = {tomllib.loads(one)["match"]["column"] for one in entries if "# Then" in one}
    assert warned == {"net", "gross", "tax"}
    map_ = tmp_path / "map.toml"
    map_.write_text(digits["hint"])
    mapped = converge("plan", "--source", source, "--target", target, "--map", str(map_), "--json")
    lost = {one["code"] for one in mapped.json["findings"] if one["severity"] == "lossy"}
    assert lost == {"P024", "P051", "P061"}


_SAID = """
CREATE TABLE Customers (
  id int PRIMARY KEY, UserName varchar(9) COLLATE utf8mb4_bin, newsletter tinyint(1), flag bit(1),
  small tinyint, `order` int
);
CREATE TABLE user (id int PRIMARY KEY);
CREATE VIEW Own AS SELECT id FROM user;
INSERT INTO Customers VALUES (1, 'a', 1, b'1', 1, 1), (2, 'b', 0, b'0', 0, 2)
"""


def test_what_the_sql_of_the_application_has_to_say_otherwise(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    """Conditions and sums over numbers that become boolean, and names that need quotes."""
    source, target = both_databases
    mysql(source, _SAID)
    map_ = tmp_path / "map.toml"
    map_.write_text("")

    def said() -> dict[str, dict[str, str]]:
        again = ("--source", source, "--target", target, "--recreate", "--yes", "--map", str(map_), "--json")
        ran = converge("migrate", *again)
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        return {one["code"]: one for one in ran.json["findings"] if one["code"] in ("F015", "F016")}

    found = said()
    assert {one["severity"] for one in found.values()} == {"note"}
    assert ": Customers.newsletter, Customers.flag" in found["F015"]["message"]
    assert found["F016"]["message"] == (
        "5 names need quotes in PostgreSQL: the reserved words user, Customers.order; "
        "capital letters in Customers, Customers.UserName, Own"
    )
    for query in ('SELECT newsletter = 1 FROM "Customers"', "SELECT id FROM user"):
        with pytest.raises(psycopg.ProgrammingError):
            postgres(target, query)
    map_.write_text(f"{found['F015']['hint']}\n{found['F016']['hint']}")
    found = said()
    assert "F015" not in found
    assert found["F016"]["message"].endswith("reserved words user, customers.order; capital letters in Own")
    assert found["F016"]["hint"].startswith("-- ")
    sums = "SELECT sum(newsletter), sum(flag) FROM customers WHERE newsletter = 1 AND UserName = 'a'"
    assert postgres(target, sums) == [(1, 1)]
    map_.write_text('[[type]]\nmatch = { type = "bit" }\nto = "boolean"\n')
    message = said()["F015"]["message"]
    assert ": Customers.newsletter" in message and "flag" not in message, "a map wants it so"


def test_load_mode_of_an_application(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
) -> None:
    """Exactly the foreign keys that no index serves, and the keys whose texts MySQL finds in any case."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    load_dump(source, shared_data / "alkemio" / "mysql.sql.gz")
    schema = shared_data / "alkemio" / "pg_schema.sql"
    with schema.open("rb") as lines, psycopg.connect(target, autocommit=True) as connection:
        run_script(connection, lines, "alkemio")
    ran = converge(
        "plan", "--source", source, "--target", target, "--mode", "load", "--map", "alkemio", "--json"
    )
    found = [one for one in ran.json["findings"] if one["code"].startswith("F")]
    # The server may have had more connections in other tests.
    assert {one["code"] for one in found} - {"F009"} == {"F001", "F002", "F003", "F005", "F006"}
    created = [line for one in found if one["code"] == "F003" for line in _statements(one["hint"])]
    planned = {table["source"] for table in ran.json["tables"]}
    wanted = {(table, column) for table, column in postgres(target, _UNINDEXED) if table in planned}
    names = re.compile(r'CREATE INDEX CONCURRENTLY ON "public"."(.+)" \("(.+)"\);')
    assert {match.groups() for line in created if (match := names.fullmatch(line))} == wanted
    assert len(created) == len(wanted) > 40
    loose = {one["object"] for one in found if one["code"] == "F001"}
    assert loose == {row[0] for row in mysql(source, _LOOSE)}
    for line in created:
        postgres(target, line)
    assert not set(postgres(target, _UNINDEXED)) & wanted


_UNINDEXED = """
SELECT r.relname::text, a.attname::text FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND NOT EXISTS (
   SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indkey[0] = c.conkey[1])
"""
_LOOSE = """
SELECT DISTINCT c.TABLE_NAME FROM information_schema.COLUMNS c JOIN information_schema.STATISTICS s
    ON (s.TABLE_SCHEMA, s.TABLE_NAME, s.COLUMN_NAME) = (c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME)
 WHERE c.TABLE_SCHEMA = DATABASE() AND c.COLLATION_NAME LIKE '%\\_ci' AND c.DATA_TYPE = 'varchar'
"""


_IN_THE_WAY = """
CREATE TABLE doc (
  id int AUTO_INCREMENT PRIMARY KEY, body text, name varchar(20), UNIQUE px (name(3)), KEY (body(50))
) AUTO_INCREMENT = 2000000000;
CREATE TABLE parent (code varchar(20) PRIMARY KEY);
CREATE TABLE child (code varchar(20), FOREIGN KEY up (code) REFERENCES parent (code));
CREATE TABLE seen (name varchar(20) UNIQUE, other varchar(20), pad char(9), n int, KEY (other));
CREATE TABLE made (name varchar(20) UNIQUE, twice varchar(40) AS (CONCAT(name, name)) STORED);
CREATE TABLE documents (clean json, odd json, shown json);
CREATE TABLE spelled (name varchar(20) COLLATE utf8mb4_0900_as_ci UNIQUE);
INSERT INTO spelled VALUES ('resume'), ('résumé');
CREATE TABLE looked (email varchar(20) PRIMARY KEY, CHECK (email LIKE '%@%'));
CREATE TABLE tree (id smallint AUTO_INCREMENT PRIMARY KEY, up smallint, FOREIGN KEY (up) REFERENCES tree (id))
    AUTO_INCREMENT = 30001;
CREATE VIEW over_all AS SELECT id, seen.name, shown, pad FROM doc, seen, documents;
INSERT INTO doc VALUES (1, CONCAT('a', REPEAT(UUID(), 600)), 'ab');
INSERT INTO documents (clean, odd, shown) VALUES ('[1]', '{"a": "\\\\u0000"}', '[1]');
"""
_AS_JSON = """
[[column]]
match = { table = "documents", type = "json" }
to = "json"
[[column]]
match = { table = "seen", column = "pad" }
to = "char(9)"
"""


def test_only_sql_that_the_target_takes(databases: tuple[str, str], tmp_path: Path) -> None:
    """No index over a prefix's whole column; what a view, a generated column or a key uses is named first."""
    source, target = databases
    mysql(source, _IN_THE_WAY)
    (tmp_path / "json.toml").write_text(_AS_JSON)
    ran = converge(
        "migrate", "--source", source, "--target", target, "--map", str(tmp_path / "json.toml"), "--json"
    )
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    hints = {(one["code"], one["object"]): one["hint"] for one in ran.json["findings"]}
    for hint in (hint for (code, _), hint in hints.items() if code.startswith("F")):
        for statement in _statements(hint):
            if not statement.startswith("ALTER SYSTEM"):
                postgres(target, statement)
    assert "INDEX" not in hints["F001", "doc"] and "TYPE citext" in hints["F001", "doc"]
    assert "drop first: foreign key child_ibfk_1 of child" in hints["F001", "parent"], hints["F001", "parent"]
    assert "drop first: foreign key" in hints["F001", "child"]
    assert "drop first: view over_all" in hints["F001", "seen"] and "lower(" in hints["F001", "seen"]
    assert "drop first: generated column twice" in hints["F001", "made"]
    assert "drop first: view over_all" in hints["F010", "doc.id"]
    assert "-- drop first: CHECK constraint" in hints["F001", "looked"], hints["F001", "looked"]
    assert postgres(target, "SELECT pg_typeof(up)::text FROM tree RIGHT JOIN (SELECT 1) AS one ON true") == [
        ("bigint",)
    ]
    assert "drop first: view over_all" in hints["F007", "public"]
    types = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'documents'"
    assert dict(postgres(target, types)) == {
        "clean": "jsonb", "odd": "json", "shown": "json"
    }  # fmt: skip


_KEYS = """
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (id int PRIMARY KEY, k0 int, k1 int, k2 int, k3 int, gone int);
CREATE TABLE d (id int AUTO_INCREMENT PRIMARY KEY, t text, KEY (t(9))) AUTO_INCREMENT = 2000000000
"""
_OWN_KEYS = """
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (id int PRIMARY KEY, k0 int REFERENCES p, k1 int REFERENCES p, k2 int REFERENCES p,
  k3 int REFERENCES p, gone int);
CREATE INDEX ON c (k0) WHERE gone IS NOT NULL;
CREATE INDEX ON c (k1) WHERE k1 IS NOT NULL;
CREATE INDEX ON c (k2) WHERE k2 IS NOT NULL AND gone IS NOT NULL;
CREATE INDEX ON c (k3, gone) WHERE gone IS NOT NULL AND k3 IS NOT NULL;
CREATE TABLE d (id serial PRIMARY KEY, t text);
CREATE VIEW by_id AS SELECT t FROM d;
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER fires BEFORE UPDATE OF t ON d FOR EACH ROW EXECUTE FUNCTION no();
CREATE POLICY sees ON d USING (t > 'a')
"""


def test_a_partial_index_serves_where_it_leaves_out_no_key(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, _KEYS)
    postgres(target, _OWN_KEYS)
    ran = converge("plan", "--source", source, "--target", target, "--mode", "load", "--json")
    found = {(one["code"], one["object"]): one for one in ran.json["findings"]}
    assert "on (k0), (k2), (k3):" in found["F003", "c"]["message"]
    assert "INDEX" not in found["L031", "d"]["hint"]
    hint = found["F001", "d"]["hint"]
    assert "drop first: policy sees on public.d, trigger fires on public.d, view public.by_id" in hint, hint
    for statement in _statements(found["F010", "d.id"]["hint"]):
        postgres(target, statement)
    assert postgres(target, "SELECT max_value > 2^31 FROM pg_sequences") == [(True,)]


_MAPPED_KEYS = """
CREATE TABLE acct (
  id int PRIMARY KEY, k varchar(40) COLLATE utf8mb4_bin, n varchar(40), cc varchar(40),
  b varchar(40) COLLATE utf8mb4_bin, s varchar(40),
  UNIQUE KEY u_k ((k COLLATE utf8mb4_0900_ai_ci)), UNIQUE KEY u_n ((n COLLATE utf8mb4_bin)),
  UNIQUE KEY u_c ((cc COLLATE utf8mb4_bin)), UNIQUE KEY u_b ((IFNULL(b, ''))), KEY u_s ((IFNULL(s, '')))
);
INSERT INTO acct VALUES (1, 'Bob', 'Bob', 'Bob', 'Bob', 's'), (2, 'Ann', 'bob', 'bob', 'bob', 'S')
"""
_KEYS_MAP = """
[[column]]
match = { column = "k" }
collation = "source"
[[column]]
match = { column = "n" }
collation = "source"
[[column]]
match = { column = "cc" }
to = "citext"
[[column]]
match = { table = "acct", column = "b" }
to = "citext"
[[column]]
match = { table = "acct", column = "s" }
collation = "C"
"""


def test_a_collation_in_a_key_goes_before_the_one_of_a_map(
    both_databases: tuple[str, str], tmp_path: Path
) -> None:
    """Whether it tells more texts apart than the column's or fewer."""
    source, target = both_databases
    mysql(source, _MAPPED_KEYS)
    map_ = tmp_path / "map.toml"
    map_.write_text(_KEYS_MAP)
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    found = {one["code"]: one["message"] for one in ran.json["findings"]}
    assert found["F001"].endswith(
        ": case and accents in (`k` collate utf8mb4_0900_ai_ci) (unique), ifnull(`s`,_utf8mb4'') (index)"
    )
    assert postgres(target, "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'u%'") == [(5,)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres(target, "INSERT INTO acct (id, b) VALUES (3, 'bob')")


def test_a_cure_keeps_the_length_and_bookkeeping_needs_none(databases: tuple[str, str]) -> None:
    """Rails' own tables were the first, and the worst, of twelve."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY); INSERT INTO schema_migrations "
        "VALUES ('2024'); CREATE TABLE users (id int PRIMARY KEY, email varchar(50) UNIQUE)",
    )
    ran = converge("plan", "--source", source, "--target", target, "--json")
    (finding,) = [one for one in ran.json["findings"] if one["code"] == "F001"]
    assert finding["object"] == "users"
    assert 'TYPE varchar(50) COLLATE "public"."utf8mb4_0900_ai_ci";' in finding["hint"]
    assert '-- citext has no length: CHECK (char_length("email") <= 50)\n' in finding["hint"]
