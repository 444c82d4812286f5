"""Long rows and wide tables: what arrives, what is found in the plan, and how a difference is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import NewDatabase
from support import converge, postgres, relations
from support import mysql as run

from converge.codes import Code
from converge.mapping.read import load
from converge.model.catalog import Catalog, Check, Column, ForeignKey, Index, IndexPart, Table
from converge.model.evidence import Count, Evidence, Search, TableFacts
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions, make_plan
from converge.sandbox import Server

MEGABYTES = 40


@contextmanager
def packets(server: Server, size: int) -> Iterator[None]:
    """New sessions of the server have this max_allowed_packet."""
    ((before,),) = run(server.url, "SELECT @@GLOBAL.max_allowed_packet")
    run(server.url, f"SET GLOBAL max_allowed_packet = {size}")
    try:
        yield
    finally:
        run(server.url, f"SET GLOBAL max_allowed_packet = {before}")


def findings(source: str, target: str, code: str, *options: str) -> list[dict[str, Any]]:
    ran = converge("plan", "--source", source, "--target", target, "--json", *options)
    return [finding for finding in ran.json["findings"] if finding["code"] == code]


def verified(source: str, target: str, *options: str) -> None:
    ran = converge("migrate", "--source", source, "--target", target, "--yes", "--json", *options)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"


LONG_ROWS = f"""
CREATE TABLE long_rows (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, c LONGTEXT CHARACTER SET latin1);
INSERT INTO long_rows VALUES (1, 'x', 'y', 'z'), (3, NULL, NULL, NULL);
INSERT INTO long_rows SELECT 2, REPEAT(RANDOM_BYTES(1000), {MEGABYTES}000), NULL, NULL;
INSERT INTO long_rows SELECT 4, NULL, REPEAT('\\t\\n\\r\\\\N\\\\.ä', {MEGABYTES * 200_000}),
  REPEAT('ü', 5000000);
CREATE TABLE no_key (b LONGBLOB NOT NULL);
INSERT INTO no_key SELECT b FROM long_rows WHERE id = 2;
INSERT INTO no_key SELECT b FROM long_rows WHERE id = 2;
"""


def test_rows_beyond_the_packets_are_found_in_the_plan_and_arrive_when_it_is_followed(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    with packets(mysql_8033, 1 << 30):
        run(source, LONG_ROWS)
    with packets(mysql_8033, 64 << 20):
        stopped = converge("migrate", "--source", source, "--target", target, "--yes")
        assert (stopped.code, relations(target)) == (3, []), stopped.err
        found = findings(source, target, "V035")
        assert {one["object"]: one["evidence"].partition(";")[0] for one in found} == {
            "long_rows": "rows id 2, 4",
            "no_key": f"bytes of COPY text of the longest values: b {MEGABYTES * 2_000_000 + 3:,}",
        }
        fix = found[0]["hint"].partition(";")[0]
    with packets(mysql_8033, 64 << 20):
        run(source, fix)
        assert findings(source, target, "V035") == []
        verified(source, target, "--jobs", "2")
    query = "SELECT id, md5(b) FROM long_rows WHERE b IS NOT NULL ORDER BY id"
    assert postgres(target, query) == run(source, query)
    query = "SELECT id, md5(t) FROM long_rows WHERE t IS NOT NULL ORDER BY id"
    assert postgres(target, query) == run(source, query)


def test_the_reckoned_length_is_that_of_the_text(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """A row over a limit that no test can afford is found by the same sums as one over a small packet."""
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    run(
        source,
        "CREATE TABLE rows_ (id INT PRIMARY KEY, j JSON, t MEDIUMTEXT CHARACTER SET utf16, b LONGBLOB);"
        "INSERT INTO rows_ VALUES (1, JSON_OBJECT('a', REPEAT('\\\\', 300000)), NULL, NULL),"
        "(2, NULL, REPEAT('\u20ac', 400000), NULL), (3, NULL, NULL, REPEAT('b', 600000)),"
        "(4, JSON_ARRAY(REPEAT('x', 500000)), REPEAT('\u20ac', 200000), NULL),"
        "(5, NULL, REPEAT('x', 1000000), NULL)",
    )
    with packets(mysql_8015, 1 << 20):
        (found,) = findings(source, target, "V035")
        assert found["message"].startswith("3 rows are longer than the source's max_allowed_packet")
        longest = "b 1,200,003, t 1,200,000, j 600,009"
        assert found["evidence"] == f"rows id 2, 3, 4; bytes of COPY text of the longest values: {longest}"


def test_limits_that_no_test_can_afford_are_found_with_a_fix() -> None:
    """The values themselves are in `bench.limits`."""
    columns = (Column("j", "json", "json", True), Column("b", "longblob", "longblob", True, length=2**32 - 1))
    table = Table("docs", "InnoDB", columns, rows_estimate=2)
    inputs = Inputs(Catalog("db", "8.0.33", "utf8mb4", (table,), max_packet=1 << 30), load())
    (questions,) = all_questions(inputs)
    asked = (*questions.conditions, *(one.condition for one in questions.oversize))
    counts = {condition: Count(1) for condition in asked}
    facts = TableFacts(2, counts=counts, longest={"b": 600_000_000, "j": 400_000_000})
    plan = make_plan(replace(inputs, evidence=Evidence({"docs": facts})))
    fixes = {finding.code: finding.hint.splitlines()[2:] for finding in plan.blocks}
    assert fixes[Code.V018] == ['policy = { too_big = "null" }']
    assert fixes[Code.V029] == ['policy = { json_size = "null" }', '# or: to = "json"']
    assert fixes[Code.V033] == ['using = "IF(LENGTH({})>150000000,NULL,{})"', "# or: skip = true"]


def test_questions_about_many_columns_are_few(tmp_path: Path) -> None:
    """They are asked once for each value that the data may decide for, not for each type that has it."""
    names = [f"f{number}" for number in range(28)]
    flags = tuple(Column(name, "tinyint(1)", "tinyint", False) for name in names)
    times = tuple(Column(f"t{number}", "time", "time", False) for number in range(15))
    text = Column("s", "varchar(9)", "varchar", False, length=9, charset="latin1", collation="latin1_bin")
    keyed = tuple(column.name for column in (*times, text))
    unique = Index("keyed", True, "BTREE", tuple(map(IndexPart, keyed)))
    any_of = Check("any_of", " or ".join(f"(`{name}` = 1)" for name in names), True)
    parent = Table("parent", "InnoDB", (*times, text), (unique,))
    key = ForeignKey("key", keyed, "db", "parent", keyed, "NO ACTION", "NO ACTION")
    child = Table("child", "InnoDB", (*flags, *times, text), (unique,), (key,), (any_of,))
    catalog = Catalog("db", "8.0.33", "utf8mb4", (parent, child))

    def questions(map_: str) -> tuple[list[str], list[Search]]:
        path = tmp_path / "map.toml"
        path.write_text(map_)
        asked = {one.table: one for one in all_questions(Inputs(catalog, load([str(path)])))}
        child = asked["child"]
        return [one for one in child.conditions if one.startswith("NOT (")], [*child.searches]

    citext = '[[column]]\nmatch = { column = "s" }\nto = "citext"\n'
    changed = '[[column]]\nmatch = { column = "f0" }\nto = "smallint"\nusing = "1 - {}"\n'
    ((condition,), _), (_, searches) = questions(changed), questions(citext)
    assert "(1 - `f0`)" in condition
    assert [one.name.split(" ", 1)[0] for one in searches] == ["key", "equal"]
    # Each of the flags may become one of two values.
    trues = '[[column]]\nmatch = { type = "tinyint" }\npolicy = { not_boolean = "true" }\n'
    conditions, _ = questions(trues)
    assert 1 < len(conditions) <= 256


def test_rows_too_wide_for_a_page_are_found(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """The plan's sum is PostgreSQL's own: what it lets through is loaded, and the next larger row is not."""
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    columns = ",".join(f"c{number} DECIMAL(12,4)" for number in range(1, 1000))
    run(source, f"CREATE TABLE wide (id INT PRIMARY KEY, {columns})")
    # The header, the key, and nine bytes for a number of three groups of digits.
    values = ["10000.5", "1.5", "0", "-9999", "0.0001", "120000"] * 200
    rows: dict[int, list[str | None]] = {
        1: [None] * 999,
        2: [*values[:999]],
        3: ["12345678.1234"] * 800 + [None] * 199,
        4: ["12345678.1234"] * 889 + [None] * 110,
        5: ["12345678.1234"] * 890 + [None] * 109,
        6: ["12345678.1234"] * 999,
    }
    for key, row in rows.items():
        texts = ",".join("NULL" if value is None else value for value in row)
        run(source, f"INSERT INTO wide VALUES ({key},{texts})")
    (found,) = findings(source, target, "V034")
    assert found["evidence"] == "rows id 5, 6"
    assert converge("migrate", "--source", source, "--target", target, "--yes").code == 3
    fix = tmp_path / "fix.toml"
    fix.write_text('[[column]]\nmatch = { table = "wide", column = "c9??" }\nskip = true\n', encoding="utf-8")
    assert findings(source, target, "V034", "--map", str(fix)) == []
    verified(source, target, "--map", str(fix))
    run(source, "DELETE FROM wide WHERE id > 4")
    verified(source, target, "--recreate", "--yes")
    postgres(target, "DROP TABLE wide")
    run(source, f"INSERT INTO wide VALUES (5,{','.join(['12345678.1234'] * 890)}{',NULL' * 109})")
    late = converge("migrate", "--source", source, "--target", target, "--yes", "--no-scan", "--recreate")
    assert late.code == 5
    assert "error[D001]" in late.err
    assert "row is too big: size 8168, maximum size 8160" in late.err


KEYS = ", ".join(f"k{number} SMALLINT NOT NULL" for number in range(16))
COLUMNS = [
    *[("INT", "7"), ("DATE", "'2024-02-29'"), ("TINYINT", "-1"), ("FLOAT", "1.5"), ("TIME", "'26:00:00'")]
    * 180,
    *[("TINYTEXT", "'a|b'"), ("JSON", "'{}'")] * 50,
]
NAMES = [f"{'n' * 60}{number:03}" for number in range(1000)]


def test_as_many_columns_keys_and_indexes_as_mysql_has(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    wide = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(NAMES, COLUMNS, strict=True))
    indexes = ", ".join(f"KEY {'i' * 60}{number:03} ({NAMES[number * 5]})" for number in range(63))
    key = ",".join(f"k{number}" for number in range(16))
    run(source, f"CREATE TABLE wide ({KEYS}, {wide}, PRIMARY KEY ({key}), {indexes})")
    row = ",".join(value for _, value in COLUMNS)
    for number in range(3):
        run(source, f"INSERT INTO wide VALUES ({','.join(['1'] * 15)},{number},{row})")
    run(source, "CREATE TABLE child AS SELECT " + key + " FROM wide")
    run(source, f"ALTER TABLE child ADD FOREIGN KEY ({key}) REFERENCES wide ({key})")
    verified(source, target, "--jobs", "2")
    assert postgres(target, "SELECT count(*) FROM pg_indexes WHERE tablename = 'wide'") == [(64,)]
    assert postgres(target, f'SELECT k15, "{NAMES[-1]}"::text FROM wide ORDER BY 1') == [
        (n, "{}") for n in range(3)
    ]
    postgres(target, f"UPDATE wide SET \"{NAMES[-1]}\" = '[1]', \"{NAMES[-2]}\" = 'a' WHERE k15 = 1")
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert [(one["column"], one["source"], one["target"]) for one in again.json["differences"]] == [
        (NAMES[-2], "a|b", "a"),
        (NAMES[-1], "{}", "[1]"),
    ]


def test_a_difference_in_a_long_value_is_shown_where_it_is(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    run(
        source,
        "CREATE TABLE docs (id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB, j JSON);"
        "INSERT INTO docs VALUES (1, REPEAT('ä€', 1000000), REPEAT('b', 5000000), NULL),"
        "(2, 'short', REPEAT('b', 100000), JSON_ARRAY(1e300, REPEAT('x', 200000))),"
        "(3, NULL, NULL, JSON_ARRAY(1e300, REPEAT('x', 200000)))",
    )
    verified(source, target)
    postgres(target, "UPDATE docs SET t = overlay(t placing 'o' from 1500000), b = b || 'c' WHERE id = 1")
    postgres(target, "UPDATE docs SET t = repeat('z', 70000), b = NULL WHERE id = 2")
    postgres(target, "UPDATE docs SET j = jsonb_set(j, '{0}', '2e300') WHERE id = 3")
    ran = converge("verify", "--source", source, "--target", target, "--json")
    differences = {(one["key"], one["column"]): one for one in ran.json["differences"]}
    assert sorted(differences) == [("id=1", "b"), ("id=1", "t"), ("id=2", "b"), ("id=2", "t"), ("id=3", "j")]
    text = differences["id=1", "t"]
    assert text["source"].startswith("[byte 3,749,998] ") and text["source"].count("ä€") > 100
    assert text["target"].startswith("[byte 3,749,998] ") and text["target"].count("€äoä€") == 1
    assert len(ran.out) < 40_000
    assert differences["id=1", "b"]["source"].startswith("[byte 10,000,001] 6262")
    assert differences["id=2", "b"]["source"].endswith("… (200,000 bytes)")
    assert differences["id=2", "t"]["source"] == "[byte 1] short"


def test_a_long_row_on_one_side_only(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    run(source, "CREATE TABLE a (id INT PRIMARY KEY, t LONGTEXT); CREATE TABLE b (t LONGTEXT)")
    run(source, "INSERT INTO a VALUES (1, REPEAT('a', 100000)); INSERT INTO b VALUES (REPEAT('b', 100000))")
    verified(source, target)
    postgres(target, "DELETE FROM a")
    postgres(target, "UPDATE b SET t = t || 'c'")
    ran = converge("verify", "--source", source, "--target", target, "--json")
    shown = [(one["table"], one["source"], one["target"]) for one in ran.json["differences"]]
    assert shown == [
        ("a", f"(1, {'a' * 40})", None),
        ("b", f"({'b' * 40})", None),
        ("b", None, f"({'b' * 40})"),
    ]


def test_json_beyond_what_is_fetched_is_compared_by_meaning(
    mysql_8033: Server, databases: tuple[str, str]
) -> None:
    """A quarter of a packet is fetched at once, and numbers stand across its ends."""
    source, target = databases
    with packets(mysql_8033, 2 << 20):
        run(source, "CREATE TABLE j (id INT PRIMARY KEY, doc JSON)")
        for number in range(3):
            many = ", ".join(
                f'1e{10 + place % 30}, -0.0, "1e20 \\"1e5", {{"1.50": 1.5e-7}}' for place in range(20_000)
            )
            run(source, f"INSERT INTO j VALUES ({number}, %s)", f'[{number}, {many}, "1e5"]')
        done = converge("migrate", "--source", source, "--target", target, "--json")
        assert (done.code, done.json["verdict"]) == (0, "verified"), done.out
        postgres(target, "UPDATE j SET doc = jsonb_set(doc, '{50000}', '1') WHERE id = 1")
        postgres(target, """UPDATE j SET doc = jsonb_set(doc, '{-1}', '"100000"') WHERE id = 2""")
        done = converge("verify", "--source", source, "--target", target, "--json")
    found = [(one["key"], one["column"]) for one in done.json["differences"]]
    assert found == [("id=1", "doc"), ("id=2", "doc")], done.out


def test_long_json_that_prints_in_another_way_is_compared_by_meaning(databases: tuple[str, str]) -> None:
    source, target = databases
    run(source, "CREATE TABLE j (id INT PRIMARY KEY, doc JSON); CREATE TABLE keyless (doc JSON)")
    for number in range(4):
        document = f"JSON_ARRAY(1e20, {number}, REPEAT('x', 1000000))"
        run(source, f"INSERT INTO j SELECT {number}, {document}; INSERT INTO keyless SELECT {document}")
    done = converge("migrate", "--source", source, "--target", target, "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.out
    postgres(target, "UPDATE j SET doc = jsonb_set(doc, '{1}', '7') WHERE id = 2")
    postgres(target, "UPDATE keyless SET doc = jsonb_set(doc, '{1}', '7') WHERE doc->>1 = '2'")
    done = converge("verify", "--source", source, "--target", target, "--json")
    assert (done.code, done.json["verdict"]) == (1, "differs"), done.out
    found = [(one["table"], one["key"], one["column"]) for one in done.json["differences"]]
    assert found == [("j", "id=2", "doc"), *[("keyless", "(1 row)", None)] * 2]
