"""The plan: every object accounted for once, the same for the same inputs, fast for large schemas."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NewDatabase
from jsonschema import ValidationError, validate
from support import converge, load_dump, mysql, postgres

from converge.cli import COMMANDS
from converge.errors import UsageError
from converge.mapping.grammar import check, json_schema
from converge.mapping.read import load
from converge.model.catalog import Catalog, Column, ForeignKey, Index, IndexPart, Table
from converge.model.endpoint import parse
from converge.model.evidence import Evidence, TableFacts
from converge.model.plan import Plan, digest
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import connect
from converge.mysql.privileges import read_privileges
from converge.planner.inputs import Inputs, Selection
from converge.planner.plan import make_plan
from converge.planner.sizes import sized
from converge.sandbox import Server
from converge.types import FAMILIES
from tools.types_page import types_markdown, types_of


def plan(catalog: Catalog, *, selection: Selection | None = None) -> Plan:
    return make_plan(Inputs(catalog, load(), selection=selection or Selection()))


def read(url: str) -> Catalog:
    at = parse(url)
    with connect(at) as connection:
        return read_catalog(connection, read_privileges(connection, at.database))


def column(name: str, raw: str, **more: object) -> Column:
    return Column(name=name, raw_type=raw, type=raw.split("(")[0].split()[0], nullable=False, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sakila", "alkemio", "kratos"])
def test_the_three_states_partition_the_catalog(
    name: str, mysql_8015: Server, new_mysql_database: NewDatabase, shared_data: Path
) -> None:
    url = new_mysql_database(mysql_8015)
    load_dump(url, shared_data / name / "mysql.sql.gz")
    catalog = read(url)
    made = plan(catalog)
    objects = Counter(catalog.objects())
    assert Counter((outcome.kind, outcome.name) for outcome in made.outcomes) == objects
    assert set(objects.values()) == {1}
    assert all(outcome.why for outcome in made.outcomes)
    assert {outcome.state for outcome in made.outcomes} <= {
        "translated",
        "translated with a note",
        "not migrated",
    }
    some = catalog.tables[0].name
    part = plan(catalog, selection=Selection(include=(f"{some[0]}*",), exclude=(some,)))
    assert Counter((outcome.kind, outcome.name) for outcome in part.outcomes) == objects


def test_the_catalog_is_read_in_as_many_queries_for_many_tables_as_for_one(
    mysql_8015: Server, new_mysql_database: NewDatabase
) -> None:
    url = new_mysql_database(mysql_8015)
    counts = []
    for number in range(41):
        mysql(url, f"CREATE TABLE t{number} (id INT AUTO_INCREMENT PRIMARY KEY, n INT, KEY (n))")
        if number in (0, 40):
            with connect(parse(url)) as connection, connection.cursor() as cursor:
                read_catalog(connection, read_privileges(connection, parse(url).database))
                cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
                counts.append(cursor.fetchall())
    assert counts[0] == counts[1]


def test_a_bracket_in_a_name_makes_no_prefix_of_a_key() -> None:
    key = Index("PRIMARY", True, "BTREE", (IndexPart("a(b"),))
    planned = plan(
        Catalog("db", "8.0.33", "utf8mb4", (Table("t", "InnoDB", (column("a(b", "int"),), (key,)),))
    )
    (sql,) = (statement.sql for statement in planned.statements if statement.phase == "index")
    assert sql.endswith('PRIMARY KEY ("a(b")')
    assert "P047" not in {finding.code for finding in planned.findings}


def test_foreign_key_components_share_one_type() -> None:
    """A bigint unsigned that AUTO_INCREMENT makes an integer takes along all that is joined to it."""
    big = "bigint(20) unsigned"
    parent = Table(
        "parent",
        "InnoDB",
        (column("id", big, unsigned=True, auto_increment=True),),
        indexes=(Index("PRIMARY", True, "BTREE", (IndexPart("id"),)),),
        next_value=7,
    )
    child = Table(
        "child",
        "InnoDB",
        (column("parent_id", big, unsigned=True), column("free", big, unsigned=True)),
        foreign_keys=(ForeignKey("fk", ("parent_id",), "db", "parent", ("id",), "CASCADE", "RESTRICT"),),
    )
    made = plan(Catalog("db", "8.0.33", "utf8mb4", (child, parent)))
    types = {(t.source, c.source): c.target_type for t in made.tables for c in t.columns}
    assert types == {
        ("parent", "id"): "bigint",
        ("child", "parent_id"): "bigint",
        ("child", "free"): "numeric(20,0)",
    }


def test_names_are_unique_and_fit() -> None:
    long = "ä" * 40
    index = Index("by_a", False, "BTREE", (IndexPart("ctid"),))
    tables = tuple(
        Table(name, "InnoDB", (column("ctid", "int(11)"),), indexes=(index,))
        for name in ("one", "by_a", long)
    )
    made = plan(Catalog("db", "8.0.33", "utf8mb4", tables))
    targets = [table.target for table in made.tables]
    assert len(set(targets)) == 3
    assert all(len(name.encode()) <= 63 for name in targets)
    assert {c.target for t in made.tables for c in t.columns} == {"ctid_"}
    indexes = [s.sql.split('"')[1] for s in made.statements if s.phase == "index"]
    assert len({*indexes, *targets}) == 6


def test_unknown_types_block_before_anything_is_written() -> None:
    made = plan(Catalog("db", "9.0.0", "utf8mb4", (Table("t", "InnoDB", (column("v", "vector(3)"),)),)))
    assert [finding.code for finding in made.blocks] == ["P001", "P004"]


@pytest.mark.parametrize(
    ("estimate", "counted", "megabytes"),
    [(1000, 1000, 10), (1000, 10_000, 100), (0, 50, 10), (5, 10_000, 1000)],
)
def test_sizes_follow_the_rows_that_are_counted(estimate: int, counted: int, megabytes: int) -> None:
    """InnoDB's statistics may be of before a load: a page then counts as a hundred rows."""
    table = Table(
        "t", "InnoDB", (column("v", "int"),), rows_estimate=estimate, data_bytes=10_000_000, index_bytes=0
    )
    found = sized(table, TableFacts(counted))
    assert (found.rows_estimate, found.data_bytes) == (counted, megabytes * 1_000_000)
    evidence = Evidence({"t": TableFacts(counted)})
    made = make_plan(Inputs(Catalog("db", "8.0.33", "utf8mb4", (table,)), load(), evidence=evidence))
    assert made.forecast is not None and made.forecast.target_bytes == pytest.approx(megabytes * 1_100_000)
    assert made.tables[0].data_bytes == megabytes * 1_000_000
    late = sized(table, TableFacts(0, unseen="the scan stopped after 1 s"))
    assert late == table


def test_the_digest_is_stable_and_notices_changes() -> None:
    one = Catalog(
        "db", "8.0.33", "utf8mb4", (Table("t", "InnoDB", (column("v", "int(11)"),), rows_estimate=5),)
    )
    same = Catalog(
        "db", "8.0.33", "utf8mb4", (Table("t", "InnoDB", (column("v", "int(11)"),), rows_estimate=9),)
    )
    other = Catalog("db", "8.0.33", "utf8mb4", (Table("t", "InnoDB", (column("v", "bigint(20)"),)),))
    assert plan(one).digest == plan(same).digest != plan(other).digest
    made = plan(one)
    patched = replace(made, source_version="8.0.36-0ubuntu0.22.04.1", target_version="17.9")
    assert digest(patched) == digest(replace(made, target_version="17.4"))
    assert digest(patched) != digest(replace(made, target_version="16.9"))
    assert digest(patched) != digest(replace(patched, source_version="8.4.0"))


def test_the_plan_can_be_read_and_its_sql_runs(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    load_dump(source, shared_data / "sakila" / "mysql.sql.gz")
    sql = tmp_path / "plan.sql"
    ran = converge("plan", "--source", source, "--target", target, "--sql", str(sql), "-v")
    assert ran.code == 0, ran.err
    assert "ready to migrate" in ran.out
    assert "film → public.film" in ran.out
    document = converge("plan", "--source", source, "--target", target, "--json").json
    assert (document["verdict"], document["exit_code"]) == ("ready", 0)
    assert len(document["tables"]) == 16
    # All but the views that are only tried.
    views = [s["sql"] + ";" for s in document["plan"]["statements"] if s["optional"] and s["phase"] == "view"]
    text = sql.read_text()
    for view in views:
        text = text.replace(view, "")
    postgres(target, text)
    assert postgres(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(16,)]


def test_explain_names_the_rule(mysql_8015: Server, new_mysql_database: NewDatabase) -> None:
    source = new_mysql_database(mysql_8015)
    mysql(source, "CREATE TABLE film (id INT AUTO_INCREMENT PRIMARY KEY, rating ENUM('G', 'R') DEFAULT 'G')")
    ran = converge("explain", "film.rating", "--source", source)
    assert ran.code == 0, ran.err
    assert "rating enum('G','R') → rating" in ran.out
    assert "a native type in declaration order" in ran.out
    assert "default  G → 'G'" in ran.out
    assert "CREATE TABLE" in converge("explain", "film", "--source", source).out
    wrong = converge("explain", "film.ratings", "--source", source)
    assert (wrong.code, "did you mean 'rating'?" in wrong.err) == (2, True)


def test_the_table_of_types_is_what_the_rules_say() -> None:
    document = Path(__file__).parents[1] / "docs" / "types.md"
    assert document.read_text("utf-8") == types_markdown(load())
    ruled = {name for rule in load().rules for name in types_of(rule)}
    assert ruled == {name for family in FAMILIES for name in family.types}


def test_the_schema_of_maps_is_what_the_grammar_says() -> None:
    maps = Path(__file__).parents[1] / "schema_maps"
    assert json.loads((maps / "map.schema.json").read_text("utf-8")) == json_schema()
    for path in maps.glob("*.toml"):
        document = tomllib.loads(path.read_text("utf-8"))
        if "map" in document:
            validate(document, json_schema())
            check(path.name, document)
    wrong = {"column": [{"match": {"colum": "x"}, "to": "text"}]}
    with pytest.raises(ValidationError):
        validate(wrong, json_schema())
    with pytest.raises(UsageError):
        check("wrong", wrong)


def test_every_command_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert all(f"`converge {name}" in readme for name in COMMANDS)
    assert set(COMMANDS) == set(converge("--help").out.split()) & set(COMMANDS)


def test_a_column_rule_and_another_schema(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    mysql(
        source,
        'CREATE TABLE post (id INT PRIMARY KEY, is_open TINYINT(1) NOT NULL DEFAULT 1, `sel"ect` TEXT); '
        "INSERT INTO post VALUES (1, 1, 'a'), (2, 0, NULL); "
        'CREATE TABLE `"; drop table x; --` (`\\\\` INT); INSERT INTO `"; drop table x; --` VALUES (5)',
    )
    file = tmp_path / "flags.toml"
    file.write_text('[[column]]\nmatch = { column = "is_*" }\nto = "boolean"\nwhy = "flags"\n')
    arguments = ("--source", source, "--target", target, "--map", str(file), "--schema", "My App", "--json")
    levels = {"loss": "lossy", "note": "note"}
    for fail_on, severity in levels.items():
        ran = converge("plan", *arguments, "--fail-on", fail_on)
        assert ran.json["exit_code"] == ran.code
        found = {one["severity"] for one in ran.json["findings"]}
        assert (ran.code, severity in found) == ((1, True) if fail_on == "note" else (0, False)), ran.out
    ran = converge("migrate", *arguments)
    assert ran.json["verdict"] == "verified", ran.err
    assert postgres(target, 'SELECT id, is_open FROM "My App".post ORDER BY id') == [(1, True), (2, False)]
    assert converge("verify", *arguments).code == 0
