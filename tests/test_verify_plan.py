"""`converge verify` and `--resume` by the plan that the ledger keeps, whatever options are left out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.sandbox import Server

SOURCE = """
CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(40), secret VARCHAR(9));
CREATE TABLE actor (id INT PRIMARY KEY, name VARCHAR(20));
CREATE TABLE log (id INT PRIMARY KEY);
INSERT INTO film VALUES (1, 'one', 'a'), (2, 'two', 'b');
INSERT INTO actor VALUES (1, 'Ann');
INSERT INTO log VALUES (1)
"""
MAP = """
[[table]]
match = {table = "film"}
rename = "movie"

[[table]]
match = {table = "log"}
skip = true

[[column]]
match = {table = "film", column = "secret"}
skip = true

[[column]]
match = {table = "actor", column = "name"}
to = "text"
using = "UPPER({})"

[[target]]
match = {table = "movie", column = "added"}
keep = true
"""
TARGET = (
    "CREATE TABLE movie (id integer PRIMARY KEY, title text, added timestamptz DEFAULT now())",
    "CREATE TABLE actor (id integer PRIMARY KEY, name text)",
    "CREATE TABLE log (id integer PRIMARY KEY)",
)


def test_a_load_with_a_map_is_compared_by_it(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    for statement in ("CREATE SCHEMA app", *(s.replace("TABLE ", "TABLE app.", 1) for s in TARGET)):
        postgres(target, statement)
    rules = tmp_path / "load.toml"
    rules.write_text(MAP)
    ends = ("--source", source, "--target", target)
    run = converge("migrate", *ends, "--mode", "load", "--schema", "app", "--map", str(rules), "--json")
    assert run.code == 0, run.out + run.err
    rules.unlink()
    still = converge("verify", *ends, "--json")
    assert "V001" not in {one["code"] for one in still.json["findings"]}
    mysql(source, "CREATE TABLE later (id INT PRIMARY KEY)")
    new = converge("verify", *ends, "--json")
    assert (new.code, new.json["verdict"]) == (1, "differs"), new.out
    assert [one["object"] for one in new.json["findings"] if one["code"] == "V124"] == ["later"]
    assert {one["why"] for one in new.json["not_compared"] if one["name"] == "later"} == {
        "the plan does not have it: new since then"
    }
    mysql(source, "DROP TABLE later")

    page = tmp_path / "verify.md"
    verified = converge("verify", *ends, "--json", "--report", str(page))
    assert (verified.code, verified.json["verdict"]) == (0, "verified"), verified.out + verified.err
    assert "V001" in {one["code"] for one in verified.json["findings"]}
    assert "every row and every column but those left out of 2 tables" in page.read_text()
    left_out = {(one["kind"], one["name"]): one["why"] for one in verified.json["not_compared"]}
    assert left_out.keys() == {
        ("table", "log"), ("column", "film.secret"), ("column", "film.added"),
    }  # fmt: skip
    assert "the target has a table of this name" in left_out["table", "log"]
    text = converge("verify", *ends).out
    # What is not migrated is counted once.
    assert "data verified · 1 column not compared · 2 objects not migrated" in text
    assert "log" in text and "film.secret" in text and "plan of run 1" in text

    postgres(target, "DELETE FROM app.movie WHERE id = 2")
    missing = converge("verify", *ends, "--json")
    assert (missing.code, missing.json["verdict"]) == (1, "differs")
    assert [one["table"] for one in missing.json["differences"]] == ["film"]
    only = converge("verify", *ends, "--include", "actor", "--json")
    assert (only.code, [one["source"] for one in only.json["tables"]]) == (0, ["actor"])
    assert "level full, 1 of 2 tables" in converge("status", "--target", target).out
    assert ("table", "film") in {(one["kind"], one["name"]) for one in only.json["not_compared"]}
    assert any("only 1 of the run's 2 tables" in one["message"] for one in only.json["findings"])


def test_declared_changes_of_a_create_run_are_no_differences(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    rules = tmp_path / "own.toml"
    rules.write_text(MAP.partition("[[target]]")[0])
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends, "--map", str(rules), "--exclude", "log").code == 0
    other = tmp_path / "other.toml"
    other.write_text('[[table]]\nmatch = {table = "film"}\nrename = "movie"\n')
    rules.write_text("this is no map")

    assert converge("verify", *ends).code == 0
    # Explicit, so it counts: the column that the run's map leaves out is planned, and not there.
    overridden = converge("verify", *ends, "--map", str(other), "--json")
    assert overridden.code != 0
    # A load that was never planned is blocked: it is not verified by what happens to match.
    blocked = converge("verify", *ends, "--map", str(other), "--mode", "load", "--json")
    assert blocked.code == 3, blocked.out + blocked.err


def test_a_plan_with_blockers_is_not_verified(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    postgres(target, TARGET[1])
    postgres(target, "INSERT INTO actor VALUES (1, 'Ann')")
    ran = converge("verify", "--source", source, "--target", target, "--mode", "load", "--json")
    assert ran.code == 3, ran.out + ran.err


def test_a_resumed_run_has_the_options_that_it_began_with(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    mysql(source, "INSERT INTO film VALUES (3, CONCAT('a', 0x00), 'c')")
    rules = tmp_path / "own.toml"
    rules.write_text(MAP.partition("[[target]]")[0])
    ends = ("--source", source, "--target", target)
    begun = converge(
        "migrate", *ends, "--map", str(rules), "--schema", "app", "--exclude", "log", "--no-scan"
    )
    assert "D001" in begun.err, begun.out + begun.err
    rules.unlink()
    mysql(source, "DELETE FROM film WHERE id = 3")
    resumed = converge("migrate", *ends, "--resume", "--json")
    assert (resumed.code, resumed.json["verdict"]) == (0, "verified"), resumed.out + resumed.err
    assert [one["target"] for one in resumed.json["tables"]] == ["app.actor", "app.movie"]
    assert converge("verify", *ends).code == 0


def test_the_report_of_a_run_is_not_better_than_what_was_found_later(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, SOURCE)
    (tmp_path / "converge.toml").write_text(
        f'[[database]]\nname = "shop"\nsource = "{source}"\ntarget = "{target}"\n'
    )
    run = partial(converge, folder=str(tmp_path))
    assert run("migrate").code == 0

    def reported() -> dict[str, Any]:
        ran = run("report", "-o", "run.xml", "-o", "run.json", "-o", "run.html", "--json")
        assert ran.code == 0, ran.err
        status = run("status", "--json").json
        found: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())["databases"][0]
        assert ran.json["verdict"] == status["verdict"] == found["verdict"], ran.out
        return found | {"V117": [one for one in found["findings"] if one["code"] == "V117"]}

    postgres(target, "UPDATE film SET title = 'other' WHERE id = 1")
    assert run("verify").code == 1
    # Of other tables, which says nothing of the one that differs.
    assert run("verify", "--include", "actor").code == 0
    found = reported()
    ((finding,), verdict) = found["V117"], found["verdict"]
    assert (verdict, found["exit_code"], finding["severity"]) == ("differs", 1, "block")
    assert finding["message"].endswith(" UTC, level full: differs")
    cases = {case.get("classname"): case for case in ElementTree.parse(tmp_path / "run.xml").iter("testcase")}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert failed == ["shop.converge", "shop.converge.findings.V117"]
    page = (tmp_path / "run.html").read_text()
    assert "A later comparison has found differences" in page and "no row differs" not in page
    resumed = run("migrate", "--resume", "--json")
    assert (resumed.code, resumed.json["verdict"]) == (1, "differs"), resumed.err
    assert run("verify", "--repair", "--yes").code == 0
    found = reported()
    assert (found["verdict"], found["exit_code"], found["V117"][0]["severity"]) == ("verified", 0, "note")
    assert run("migrate", "--resume").code == 0


def test_a_target_of_other_types_that_no_run_has_made(databases: tuple[str, str]) -> None:
    """A table whose types give no digest is named, and the others are compared."""
    source, target = databases
    mysql(source, "CREATE TABLE host (id INT PRIMARY KEY, at VARBINARY(9))")
    mysql(source, "INSERT INTO host VALUES (1, '::1')")
    mysql(source, "CREATE TABLE wide (id INT PRIMARY KEY, name VARCHAR(9)); INSERT INTO wide VALUES (1, 'a')")
    postgres(target, "CREATE TABLE host (id integer PRIMARY KEY, at inet)")
    postgres(target, "CREATE TABLE wide (id bigint PRIMARY KEY, name text)")
    postgres(target, "INSERT INTO host VALUES (1, '::1')")
    postgres(target, "INSERT INTO wide VALUES (1, 'a')")
    ends = ("--source", source, "--target", target)
    ran = converge("verify", *ends, "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out + ran.err
    assert [one["source"] for one in ran.json["tables"] if one["verified"]] == ["wide"]
    (why,) = (one["message"] for one in ran.json["findings"] if one["code"] == "V115")
    assert "inet" in why and "--mode load" in why
