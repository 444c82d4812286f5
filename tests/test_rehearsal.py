"""A run as the rehearsal of the next: what changed since, and whether the way back is open."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
from conftest import NewDatabase
from report_values import plan, result, table
from support import begun, converge, mysql, postgres

from converge.model.endpoint import parse
from converge.model.result import Result
from converge.mysql.connect import connect
from converge.planner.rehearsal import fingerprint, since
from converge.report.html import to_html
from converge.report.markdown import to_markdown
from converge.report.plan import plan_document
from converge.report.plan_text import plan_text
from converge.sandbox import Server
from converge.sandbox.server import connect_mysql

FAMILY = """
CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(9));
CREATE TABLE child (
  id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE
);
CREATE TABLE other (id INT PRIMARY KEY);
INSERT INTO parent VALUES (1, 'a'), (2, 'b');
INSERT INTO child VALUES (1, 1), (2, 2);
INSERT INTO other VALUES (1);
"""
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(5)%' AND state = 'active' "
SLEEPING += "AND datname = current_database() AND pid <> pg_backend_pid()"
WAITS = '[[check]]\nname = "wait"\ntarget = "SELECT 1 FROM pg_sleep(5)"\nequals = 1\n'


def changed_meanwhile(
    source: str, target: str, folder: Path, change: Callable[[], object], *options: str
) -> dict[str, Any]:
    """A run's result, with a change of the source between its comparison and its last look."""
    (folder / "waits.toml").write_text(WAITS)
    process = begun(source, target, "--map", str(folder / "waits.toml"), "--json", *options)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and postgres(target, SLEEPING) == [(0,)]:
        time.sleep(0.1)
    change()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    document: dict[str, Any] = json.loads(out)
    assert document["verdict"] in ("verified", "migrated")
    return document


def notes(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {one["code"]: one for one in document["findings"]}


def test_a_source_that_stands_still(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, FAMILY)
    forms = [tmp_path / f"r{ending}" for ending in (".html", ".md", ".json")]
    reports = [word for form in forms for word in ("--report", str(form))]
    ran = converge("migrate", "--source", source, "--target", target, *reports)
    assert ran.code == 0, ran.err
    assert "back      the source is as it was at the snapshot: the server's binary log" in ran.out
    for form in forms[:2]:
        text = form.read_text()
        assert "Rollback" in text
        assert "so the server itself refuses whatever would write." in " ".join(text.split())
    document = json.loads(forms[2].read_text())
    assert document["going_back"]["stand"] == "still"
    assert "V004" not in notes(document)


def test_tables_that_moved_are_named(databases: tuple[str, str], tmp_path: Path) -> None:
    """The child's rows go by the parent's CASCADE, which no log of MySQL tells of."""
    source, target = databases
    mysql(source, FAMILY)
    ran = changed_meanwhile(
        source, target, tmp_path, lambda: mysql(source, "DELETE FROM parent WHERE id = 2")
    )
    assert ran["going_back"]["stand"] == "moved"
    assert (sorted(ran["going_back"]["tables"]), ran["going_back"]["named"]) == (["child", "parent"], True)
    assert sorted(notes(ran)["V004"]["evidence"].split(", ")) == ["child", "parent"]
    assert postgres(target, "SELECT count(*) FROM parent") == [(2,)]


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_commits_elsewhere_on_the_server_do_not_count(
    databases: tuple[str, str],
    mysql_8033: Server,
    new_mysql_database: NewDatabase,
    tmp_path: Path,
    engine: str,
) -> None:
    """What is written to a table without snapshots between the snapshot and its comparison is not known."""
    source, target = databases
    mysql(source, f"{FAMILY}CREATE TABLE unheld (id INT) ENGINE={engine}")
    elsewhere = new_mysql_database(mysql_8033)
    mysql(elsewhere, "CREATE TABLE t (id INT)")
    ran = changed_meanwhile(source, target, tmp_path, lambda: mysql(elsewhere, "INSERT INTO t VALUES (1)"))
    stand, message = ran["going_back"]["stand"], notes(ran)["V004"]["message"]
    known = engine == "InnoDB"
    assert (stand, ran["going_back"]["tables"]) == ("still" if known else "not known", [])
    assert ("none of them in the tables of this run" in message) == known
    assert ("; of unheld, of which there are no snapshots" in ran["going_back"]["how"]) != known


def test_without_a_full_comparison_no_table_is_named(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, FAMILY)
    insert = "INSERT INTO other VALUES (2)"
    ran = changed_meanwhile(source, target, tmp_path, lambda: mysql(source, insert), "--verify", "counts")
    assert (ran["going_back"]["stand"], ran["going_back"]["named"]) == ("moved", False)


def test_a_user_who_sees_no_log_learns_it_from_the_rows(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, FAMILY)
    mysql(source, "CREATE USER IF NOT EXISTS looker@'%%' IDENTIFIED BY ''")
    mysql(source, f"GRANT SELECT ON {parse(source).database}.* TO looker@'%%'")
    plain = source.replace("root@", "looker@")
    ran = changed_meanwhile(plain, target, tmp_path, lambda: mysql(source, "INSERT INTO other VALUES (2)"))
    assert (ran["going_back"]["stand"], ran["going_back"]["tables"]) == ("moved", ["other"])


@pytest.mark.parametrize("statement", ["INSERT INTO parent VALUES (9, 'x')", "CREATE TABLE t (id INT)"])
def test_no_session_on_the_source_can_write(
    statement: str, mysql_any: Server, new_mysql_database: NewDatabase
) -> None:
    url = new_mysql_database(mysql_any)
    with connect_mysql(url) as writer, writer.cursor() as cursor:
        cursor.execute("CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(9))")
    connection = connect(parse(url))
    with connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.err.MySQLError) as refused:
            cursor.execute(statement)
        assert refused.value.args[0] == 1792
        # What a snapshot needs is no write.
        for lock in ("FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES", "LOCK INSTANCE FOR BACKUP",
                     "UNLOCK INSTANCE", "LOCK TABLES parent READ", "UNLOCK TABLES"):  # fmt: skip
            cursor.execute(lock)


def test_the_next_plan_says_what_has_changed(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        FAMILY + "CREATE TABLE flags (id INT PRIMARY KEY, f TINYINT(1)); INSERT INTO flags VALUES (1, 1)",
    )
    addresses = ("--source", source, "--target", target)
    assert "since the last run" not in converge("plan", *addresses, "--show", "since").out
    report = tmp_path / "first.json"
    assert converge("migrate", *addresses, "--report", str(report)).code == 0
    same = converge("plan", *addresses, "--json").json["plan"]
    assert (same["since"]["changes"], same["since"]["growth"]) == ([], [])
    measured = sum(phase["seconds"] for phase in json.loads(report.read_text())["phases"])
    assert same["forecast"]["seconds"] == pytest.approx(measured, rel=0.2)
    assert "measured in the last run" in same["forecast"]["basis"]

    mysql(source, "ALTER TABLE parent MODIFY name VARCHAR(20), ADD born DATE, ADD KEY by_name (name)")
    mysql(source, "DROP TABLE other; CREATE TABLE added (id INT, t TIMESTAMP NULL)")
    mysql(source, "INSERT INTO flags VALUES (2, 5), (3, 0); DELETE FROM child")
    pages = ("--html", str(tmp_path / "p.html"), "--md", str(tmp_path / "p.md"))
    ran = converge("plan", *addresses, "--recreate", "--show", "since", *pages)
    assert ran.code == 0, ran.err
    document = converge("plan", *addresses, "--json").json["plan"]
    found = {
        (one["what"], one["object"]): (one["before"], one["now"]) for one in document["since"]["changes"]
    }
    assert found["column", "parent.name"] == ("varchar(9)", "varchar(20)")
    assert found["column", "parent.born"] == ("", "date")
    assert found["table", "other"] == ("1 column", "")
    assert found["table", "added"] == ("", "2 columns")
    assert found["decision", "flags.f"] == ("boolean", "smallint")
    assert found["decision", "index parent.by_name"] == ("", "translated: by_name")
    growth = {one["table"]: (one["before"], one["now"]) for one in document["since"]["growth"]}
    assert growth == {"flags": (1, 3), "child": (2, 0)}
    for text in (ran.out, (tmp_path / "p.html").read_text(), (tmp_path / "p.md").read_text()):
        for fact in ("ince the last run", "parent.born", "varchar(20)", "+2", "added"):
            assert fact in text, fact
    # A report's file says the same, also to a plan without a target.
    again = converge("plan", *addresses, "--since", str(report), "--json").json["plan"]
    assert again["since"] == document["since"]
    short = converge("plan", "--source", source, "--since", str(report)).out
    said = r"\nsince     last run: \d+ things changed, rows \+0 in 2 tables; --show since\n"
    assert re.search(said, short), short


def test_the_history_survives_truncate(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, FAMILY)
    addresses = ("--source", source, "--target", target)
    for number in (1, 2, 3):
        assert converge("migrate", *addresses, *(["--recreate", "--yes"] if number > 1 else [])).code == 0
        mysql(source, f"INSERT INTO other VALUES ({number + 1})")
    runs = postgres(
        target, "SELECT state, report->'fingerprint' IS NOT NULL, report->>'verdict' FROM converge.run"
    )
    assert runs == [("finished", True, "verified")] * 3
    assert postgres(target, "SELECT count(DISTINCT run_id) FROM converge.chunk") == [(3,)]
    growth = converge("plan", *addresses, "--json").json["plan"]["since"]["growth"]
    assert growth == [{"table": "other", "before": 3, "now": 4}]


def test_a_role_that_may_not_see_the_ledger_plans_without_it(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, FAMILY)
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "DROP ROLE IF EXISTS stranger")
    postgres(target, "CREATE ROLE stranger LOGIN")
    ran = converge("plan", "--source", source, "--target", target.replace("postgres@", "stranger@"), "--json")
    postgres(target, "DROP ROLE stranger")
    assert ran.json["plan"]["since"] is None, ran.err


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"command": "plan"}'])
def test_since_wants_a_report_of_a_run(text: str, databases: tuple[str, str], tmp_path: Path) -> None:
    source, _ = databases
    mysql(source, "CREATE TABLE t (id INT)")
    (tmp_path / "no.json").write_text(text)
    ran = converge("plan", "--source", source, "--since", str(tmp_path / "no.json"))
    assert (ran.code, "error[C011]" in ran.err) == (2, True), ran.err


def test_what_is_compared_is_pure() -> None:
    made, last = plan(), result()
    last.verdict = "verified"
    assert since(replace_fingerprint(last), made) is None
    drift = since(last, made)
    assert drift is not None
    assert drift.changes == ()
    # The sum of the phases, with as many bytes as then.
    assert drift.forecast is not None and drift.forecast.seconds == pytest.approx(20.0)
    double = replace(made, tables=tuple(replace(one, data_bytes=2 * one.data_bytes) for one in made.tables))
    more = since(last, double)
    assert more is not None and more.forecast is not None and more.forecast.seconds == pytest.approx(40.0)
    # A run that was resumed has measured only its rest.
    last.fingerprint = fingerprint(made, whole=False)
    resumed = since(last, made)
    assert resumed is not None and resumed.forecast is None
    hostile = replace(made, tables=(*made.tables, table("<script>\nnot a line")))
    told = replace(hostile, since=since(last, hostile))
    assert to_html(plan_document(told)).count("<script") == 1
    assert "\nnot a line" not in plan_text(told)
    assert "&lt;script" in to_markdown(plan_document(told)) or "<code>&#" in to_markdown(plan_document(told))


def replace_fingerprint(last: Result) -> Result:
    """The report of a version that made none."""
    return replace(last, fingerprint=None)
