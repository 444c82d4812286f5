"""Several databases in `converge.toml`: planned before any is written, one verdict, a failure resumed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from conftest import NewDatabase
from judge import compare
from support import Ran, converge, mysql, postgres, relations

from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.report.several import several_text
from converge.sandbox import Server
from converge.settings.addresses import Where, databases, picked, resolve_target
from converge.settings.file import read

PASSWORD = "p:w/d@%'ü canary"


@dataclass(frozen=True)
class Project:
    """A working folder with a `converge.toml` of two databases."""

    folder: Path
    sources: tuple[str, str]
    targets: tuple[str, str]

    def write(self, *more: str, keys: tuple[str, str] = ("", "")) -> None:
        entries = (
            f'[[database]]\nname = "{name}"\nsource = "{source}"\ntarget = "{target}"\n{key}\n'
            for name, source, target, key in zip(
                ("shop", "it's <b>"), self.sources, self.targets, keys, strict=True
            )
        )
        (self.folder / "converge.toml").write_text("\n".join([*more, *entries]))

    def run(self, *arguments: str, **environment: str) -> Ran:
        return run(self.folder, *arguments, **environment)


def run(folder: Path, *arguments: str, **environment: str) -> Ran:
    environment.setdefault("HOME", str(folder))
    return converge(*arguments, folder=str(folder), **environment)


@pytest.fixture
def project(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> Project:
    sources = new_mysql_database(mysql_8033), new_mysql_database(mysql_8033)
    targets = new_postgres_database(postgres_175), new_postgres_database(postgres_175)
    for url in sources:
        mysql(
            url, "CREATE TABLE note (id INT PRIMARY KEY, day DATE); INSERT INTO note VALUES (1, '2024-01-01')"
        )
    made = Project(tmp_path, sources, targets)
    made.write()
    return made


def in_the_foreground(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command that hears SIGINT, whatever the shell of the tests has done with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "converge", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip


def until_it_waits(process: subprocess.Popen[str], target: str) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    deadline = time.monotonic() + 120
    while postgres(target, waiting, parse(target).database) == [(0,)]:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def refuse_tables(target: str) -> None:
    """The target refuses a table, as no plan could know, until the trigger is dropped."""
    trigger = (
        "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS "
        "(SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.note') THEN "
        "RAISE 'no tables today'; END IF; END$$"
    )
    postgres(target, trigger)
    postgres(
        target,
        "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
        "EXECUTE FUNCTION public.refuse()",
    )


def zero_date(url: str) -> None:
    mysql(url, "SET sql_mode = ''; INSERT INTO note VALUES (2, '0000-00-00')")


def test_a_whole_job(project: Project) -> None:
    """Every command over both databases: one document, one report, one exit code."""
    files = ("--report", "r.html", "--report", "r.md", "--report", "r.json", "--report", "r.xml")
    doctor = project.run("doctor", "--json")
    assert (doctor.code, doctor.json["verdict"]) == (0, "ready"), doctor.err
    overview = several_text(doctor.json, [("shop", ""), ("it's <b>", "")])
    assert re.search(r"^shop +ready to migrate .* 1$", overview, re.MULTILINE), overview
    assert project.run("status", "--json").json["verdict"] == "never run"
    plan = project.run(
        "plan", "--json", "-o", "plan.json", "--html", "plan.html", "--md", "plan.md", "--sql", "s"
    )
    assert (plan.code, plan.json["verdict"]) == (0, "ready"), plan.err
    assert [one["name"] for one in plan.json["databases"]] == ["shop", "it's <b>"]
    assert plan.json["databases"][0]["plan"]["digest"]
    ran = project.run("migrate", "--json", "--plan", "plan.json", *files)
    assert (ran.code, ran.json["verdict"], ran.json["exit_code"]) == (0, "verified", 0), ran.err
    assert {one["verdict"] for one in ran.json["databases"]} == {"verified"}
    assert all(one["tables"][0]["rows_written"] == 1 for one in ran.json["databases"])
    for target in project.targets:
        assert postgres(target, "SELECT id FROM note") == [(1,)]
    assert project.run("status", "--json").json["verdict"] == "verified"
    again = project.run("report", "-o", "again.json", "--json")
    assert (again.code, again.json["verdict"]) == (0, "verified"), again.err
    # A report names the last verify, so it is written before.
    assert project.run("verify", "--json").json["verdict"] == "verified"
    recovered = project.run("recover", "--json")
    assert (recovered.code, recovered.json["verdict"]) == (0, "nothing to recover"), recovered.err
    text = project.run("verify").out
    assert "── shop" in text and text.endswith(
        "verdict   verified: all of 2 databases · 0 objects not migrated · 0 losses\n"
    ), text

    written = json.loads((project.folder / "r.json").read_text())
    assert json.loads((project.folder / "again.json").read_text()) == written == ran.json
    for name in ("r.html", "plan.html"):
        page = (project.folder / name).read_text()
        ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
        assert len(ids) == len(set(ids))
        links = {part.partition('"')[0] for part in page.split('href="#')[1:]}
        assert links <= set(ids)
        assert {"database-1", "database-2", "database-2-tables"} <= set(ids)
        assert "it&#39;s &lt;b&gt;" in page and "it's <b>" not in page
        assert page.count("<main>") == page.count("<!doctype html>") == page.count("</html>") == 1
    assert "# it's \\<b\\>: converge migrate: verified" in (project.folder / "r.md").read_text()
    suites = ElementTree.parse(project.folder / "r.xml").getroot()
    assert suites.get("failures") == "0"
    assert {"shop.tables", "it's <b>.tables"} <= {suite.get("name") for suite in suites}


def test_one_that_is_blocked_keeps_all_from_being_written(project: Project) -> None:
    zero_date(project.sources[1])
    ran = project.run("migrate", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["exit_code"]) == (3, "blocked", 3)
    assert [one["verdict"] for one in ran.json["databases"]] == ["ready", "blocked"]
    assert "it's <b>: note.day" in ran.err
    for target in project.targets:
        assert relations(target) == []
    planned = project.run("plan")
    assert planned.code == 3
    # What is said to be next works: --write-fixes is about one database.
    (command,) = re.findall(r"^next +converge (.*--write-fixes.*)$", planned.out, re.MULTILINE)
    assert project.run(*shlex.split(command)).code == 3
    assert (project.folder / "fixes.toml").exists()
    # Another database than the one that is blocked can be picked.
    done = project.run("migrate", "--database", "shop", "--json")
    assert (done.code, [one["name"] for one in done.json["databases"]]) == (0, ["shop"]), done.err


def test_what_is_there_already_blocks_all(project: Project) -> None:
    postgres(project.targets[1], "CREATE TABLE note (id int)")
    ran = project.run("migrate")
    assert ran.code == 3
    assert "error[T005]: it's <b>: " in ran.err
    assert "\nblocker   T005 " in ran.out and "1 of 1 table or view exists in the target already" in ran.out
    assert ran.out.splitlines()[-1].startswith("verdict   blocked: 1 of 2 databases: it's <b> · ")
    assert relations(project.targets[0]) == []


def test_a_failure_leaves_what_is_finished_and_resume_goes_on(project: Project) -> None:
    refuse_tables(project.targets[1])
    ran = project.run("migrate", "--json", "--report", "r.json")
    assert (ran.code, ran.json["verdict"], ran.json["exit_code"]) == (5, "failed", 5), ran.err
    assert [one["verdict"] for one in ran.json["databases"]] == ["verified", "failed"]
    assert "no tables today" in ran.err
    assert "converge migrate --resume" in ran.err
    assert json.loads((project.folder / "r.json").read_text()) == ran.json
    assert project.run("status", "--json").json["verdict"] == "failed"
    (first,) = postgres(project.targets[0], "SELECT id, state, finished_at FROM converge.run")
    postgres(project.targets[1], "DROP EVENT TRIGGER refuse")
    # A change after the run is no concern of a resumed one: what is finished is left alone.
    mysql(project.sources[0], "INSERT INTO note VALUES (9, NULL)")
    done = project.run("migrate", "--resume", "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.err
    assert postgres(project.targets[0], "SELECT id, state, finished_at FROM converge.run") == [first]
    assert postgres(project.targets[1], "SELECT count(*), min(state) FROM converge.run") == [(1, "finished")]
    assert postgres(project.targets[1], "SELECT id FROM note") == [(1,)]
    assert project.run("verify", "--json").json["exit_code"] == 1
    # What is finished is verified only where it still is.
    postgres(project.targets[0], "DROP TABLE note")
    gone = project.run("migrate", "--resume", "--json")
    assert (gone.code, [one["verdict"] for one in gone.json["databases"]]) == (5, ["failed", "verified"])
    assert "error[T012]: shop: 1 of 1 table is no longer in the target" in gone.err, gone.err


def test_the_verdict_says_which_counts_are_missing(project: Project) -> None:
    """One that is blocked before it has a plan cannot be counted with the others."""
    for source in project.sources:
        mysql(source, "CREATE PROCEDURE left_behind() SELECT 1")
    mysql(
        project.sources[1],
        "SET SESSION sql_mode = ''; CREATE TABLE zero (d DATE); INSERT INTO zero VALUES ('0')",
    )
    blocked = project.run("migrate")
    assert blocked.code == 3, blocked.out
    assert " · 2 objects not migrated · 0 losses" in blocked.out.splitlines()[-1]
    postgres(project.targets[1], "CREATE TABLE note (id int)")
    last = project.run("migrate").out.splitlines()[-1]
    assert " · 1 object not migrated · 0 losses · without a plan, so not counted: it's <b>" in last


def test_resume_begins_what_never_began(project: Project) -> None:
    assert project.run("migrate", "--database", "shop").code == 0
    done = project.run("migrate", "--resume", "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.err
    assert postgres(project.targets[1], "SELECT id FROM note") == [(1,)]


def test_resume_begins_what_was_rolled_back(project: Project) -> None:
    assert project.run("migrate", "--json").code == 0
    # As `recover` leaves a load, whose rows are gone.
    postgres(project.targets[1], "UPDATE converge.run SET state = 'recovered'; DROP TABLE note")
    done = project.run("migrate", "--resume", "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.err


def test_resume_only_goes_on_with_the_same_plan(project: Project) -> None:
    """One whose source was altered blocks the other, too."""
    assert project.run("migrate", "--database", "shop", "--json").code == 0
    postgres(project.targets[0], "UPDATE converge.run SET state = 'failed'")
    mysql(project.sources[0], "ALTER TABLE note ADD more INT")
    ran = project.run("migrate", "--resume", "--json")
    assert (ran.code, [one["verdict"] for one in ran.json["databases"]]) == (3, ["blocked", "ready"])
    assert "error[T011]" in ran.err
    assert relations(project.targets[1]) == []


def test_another_run_blocks_all(project: Project) -> None:
    with psycopg.connect(project.targets[1]) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (0x434F4E56,))
        ran = project.run("migrate", "--json")
    assert (ran.code, ran.json["verdict"]) == (3, "blocked")
    assert "error[T009]: it's <b>: another converge run" in ran.err
    assert relations(project.targets[0]) == []


def test_a_report_while_one_has_not_begun(project: Project) -> None:
    ran = project.run("report", "-o", "r.md")
    assert (ran.code, "error[U008]" in ran.err) == (2, True)
    assert "it's <b>: no converge run found in " in ran.err
    assert project.run("migrate", "--database", "shop").code == 0
    ran = project.run("report", "-o", "r.md", "-o", "r.json", "--json")
    assert (ran.code, [one["verdict"] for one in ran.json["databases"]]) == (0, ["verified", "ready"])
    text = (project.folder / "r.md").read_text()
    assert "no converge run found in " in text and "# shop: converge migrate: verified" in text


def test_a_run_without_a_report_is_not_ready(project: Project) -> None:
    """Of several databases, the state of a run that was killed is said, and that there was no verify."""
    assert project.run("migrate").code == 0
    for state, verdict in ("running", "interrupted"), ("failed", "failed"), ("recovered", "ready"):
        postgres(project.targets[1], f"UPDATE converge.run SET state = '{state}', report = NULL")
        ran = project.run("report", "-o", "r.md", "-o", "r.xml", "--json")
        assert ran.code == 0, ran.err
        assert [one["verdict"] for one in ran.json["databases"]] == ["verified", verdict]
        text = (project.folder / "r.md").read_text()
        words = f"run 1 is {verdict if state == 'running' else state} and has no report yet"
        assert words in text and "nothing was written" not in text, text
        failures = ElementTree.parse(project.folder / "r.xml").getroot().get("failures")
        assert (failures == "0") == (verdict == "ready")
    postgres(project.targets[1], "UPDATE converge.run SET state = 'finished'")
    assert project.run("verify", "--database", "shop").code == 0
    ran = project.run("report", "--verify", "-o", "r.md", "--json")
    assert [one["verdict"] for one in ran.json["databases"]] == ["verified", "migrated"], ran.err
    text = (project.folder / "r.md").read_text()
    assert "run 1 was not verified again" in text and "nothing was written" not in text, text


def test_rejects_of_several(project: Project) -> None:
    """Rows that a target refuses are named with their database; a resumed run tries them again."""
    trigger = (
        "CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS "
        "(SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.note') THEN "
        "ALTER TABLE public.note ADD CHECK (id < 5); END IF; END$$"
    )
    postgres(project.targets[0], trigger)
    postgres(
        project.targets[0],
        "CREATE EVENT TRIGGER guard ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
        "EXECUTE FUNCTION public.guard()",
    )
    mysql(project.sources[0], "INSERT INTO note VALUES (7, NULL)")
    ran = project.run("migrate", "--json", "--on-bad-row", "reject", "--rejects", "bad.jsonl")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    assert [one["verdict"] for one in ran.json["databases"]] == ["differs", "verified"]
    (bad,) = (json.loads(line) for line in (project.folder / "bad.jsonl").read_text().splitlines())
    assert (bad["database"], bad["key"]) == ("shop", "id=7")
    mysql(project.sources[0], "UPDATE note SET id = 4 WHERE id = 7")
    done = project.run("migrate", "--resume", "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.err


def test_ctrl_c_in_the_second(project: Project) -> None:
    """The first is finished and said so; the hint resumes the same databases."""
    picks = ("--database", "shop", "--database", "it's <b>")
    with psycopg.connect(project.targets[1]) as other:
        # Whoever makes the ledger's schema waits for this one.
        other.execute("CREATE SCHEMA converge")
        process = in_the_foreground(project.folder, "migrate", "--json", *picks)
        until_it_waits(process, project.targets[1])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    document = json.loads(out)
    assert (process.returncode, document["exit_code"], document["verdict"]) == (130, 130, "interrupted"), err
    assert [one["verdict"] for one in document["databases"]] == ["verified", "interrupted"]
    assert "hint   converge migrate --resume --database shop --database 'it'\"'\"'s <b>'" in err
    done = project.run("migrate", "--resume", "--json")
    assert (done.code, done.json["verdict"]) == (0, "verified"), done.err


def test_the_keys_of_an_entry(project: Project) -> None:
    (project.folder / "maps").mkdir()
    (project.folder / "maps/mine.toml").write_text('[[table]]\nmatch = {table = "note"}\nrename = "memo"\n')
    mysql(project.sources[0], "CREATE TABLE other (id INT PRIMARY KEY)")
    project.write(keys=('map = ["maps/mine.toml"]\nschema = "app"\ninclude = ["note"]', 'mode = "create"'))
    ran = run(Path("/"), "migrate", "--json", "--config", str(project.folder / "converge.toml"))
    assert ran.code == 0, ran.err
    assert [one["target"] for one in ran.json["databases"][0]["tables"]] == ["app.memo"]
    assert relations(project.targets[1])[-1] == "public.note"
    # What the command line says counts in the entry's place.
    sql = project.run("plan", "--sql", "-").out
    assert sql.startswith("-- database shop\n") and sql.count("-- database ") == 2 and "verdict" not in sql
    plan = project.run("plan", "--json", "--schema", "beside", "--database", "shop")
    assert plan.json["databases"][0]["tables"][0]["target"] == "beside.memo", plan.err
    assert project.run("explain", "note").err.startswith("error[U033]")
    assert "memo" in project.run("explain", "note", "--database", "shop").out
    assert project.run("plan", "--write-map", "m.toml").code == 2


def test_the_schema_of_the_command_line_counts_for_every_command(project: Project) -> None:
    """A load into another schema than the entry's is seen, and rolled back."""
    shop = ("--database", "shop")
    into = ("--schema", "app", *shop)
    postgres(
        project.targets[0],
        "CREATE SCHEMA app; CREATE TABLE app.note (id int PRIMARY KEY, day date);"
        "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE INSERT ON app.note FOR EACH ROW EXECUTE FUNCTION app.f()",
    )
    with psycopg.connect(project.targets[0]) as other:
        other.execute("LOCK TABLE app.note IN ROW EXCLUSIVE MODE")
        process = in_the_foreground(project.folder, "migrate", "--mode", "load", *into)
        until_it_waits(process, project.targets[0])
        assert "at work is run 1, of mysql://" in project.run("pause", *shop).err
        paused = project.run("pause", *into, "--json")
        assert (paused.code, paused.json["verdict"]) == (0, "paused"), paused.err
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert "converge migrate --resume --database shop --schema app\n" in err
    assert "converge recover --database shop --schema app puts the target back" in err
    resumed = project.run("migrate", "--resume", *shop)
    assert "converge migrate --resume --database shop --schema app has the run's options" in resumed.err
    words = "no converge run into the schema public; run 1 is into app: --schema app"
    unnamed = project.run("status", *shop)
    assert words in unnamed.out, unnamed.out
    status = project.run("status", *into, "--json").json["databases"][0]
    assert (status["verdict"], status["run"]["target_schema"]) == ("interrupted", "app")
    assert words in project.run("report", "-o", "r.json", *shop).err
    assert project.run("report", "-o", "r.json", *into).code == 0
    nothing = project.run("recover", "--yes", *shop)
    assert "note      app: run 1 is not finished: converge recover --schema app" in nothing.out
    postgres(project.targets[0], "UPDATE converge.run SET state = 'recovering'")  # as one that was stopped
    status = project.run("status", *into)
    assert "converge recover --database shop --schema app" in status.out, status.err
    done = project.run("recover", "--yes", *into, "--json")
    assert (done.code, done.json["verdict"]) == (0, "recovered"), done.err


def test_one_that_cannot_be_reached(project: Project) -> None:
    broken = Project(project.folder, project.sources, (project.targets[0], project.targets[0] + "_not"))
    broken.write()
    for command, verdict in (("doctor", "ready"), ("plan", "ready"), ("verify", "failed")):
        ran = broken.run(command, "--json")
        assert (ran.code, ran.json["verdict"], ran.json["exit_code"]) == (5, "failed", 5), command
        assert [one["verdict"] for one in ran.json["databases"]] == [verdict, "failed"], command
    # A page about some of them would look like one about all.
    assert broken.run("plan", "--html", "plan.html").code == 5
    assert not (project.folder / "plan.html").exists()
    assert relations(project.targets[0]) == []


def test_sslmode_of_an_entry(project: Project) -> None:
    """The temporary server offers no TLS."""
    for mode, code in (("require", 5), ("disable", 0)):
        targets = project.targets[0], f"{project.targets[1]}?sslmode={mode}"
        Project(project.folder, project.sources, targets).write()
        ran = project.run("doctor", "--json")
        assert ran.code == code, ran.err
        found = {finding["code"] for one in ran.json["databases"] for finding in one["findings"]}
        assert ("T013" in found) == bool(code)


def test_the_command_line_means_one_database(project: Project) -> None:
    addresses = ("--source", project.sources[0], "--target", project.targets[0])
    ran = project.run("plan", "--json", *addresses)
    assert "databases" not in ran.json
    assert project.run("plan", *addresses, "--database", "shop").err.startswith("error[U032]")


def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment, else of .env; percent-encoded where user and password stand; then forgotten."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text('MY_HOST=db.example\nPG_URL=postgresql://u:x%40y@h/d\nUNUSED="a"\n')
    (tmp_path / "converge.toml").write_text(
        '[[database]]\nname = "a"\nsource = "mysql://u:${PW}@${MY_HOST}:3306/d"\ntarget = "${PG_URL}"\n'
    )
    monkeypatch.setenv("PW", PASSWORD)
    monkeypatch.setenv("MY_HOST", "other.example")
    (one,) = databases(Where())
    assert (one.source.password, one.source.host, one.target.password) == (PASSWORD, "other.example", "x@y")
    assert "PW" not in os.environ
    assert os.environ["MY_HOST"] == "other.example"
    with pytest.raises(UsageError) as raised:
        databases(Where())
    assert (raised.value.code, "PW" in raised.value.message) == ("U030", True)
    (tmp_path / "converge.toml").write_text('source = "mysql://u:${PW}@h/d"\ntarget = "${PG_URL}"\n')
    monkeypatch.setenv("PW", PASSWORD)
    (one,) = databases(Where())
    assert (one.source.password, one.target.password) == (PASSWORD, "x@y")
    assert "PW" not in os.environ


ENTRY = '[[database]]\nname = "a"\nsource = "mysql://u:canary@h/d"\ntarget = "postgresql://h/d"\n'


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("sorce = 'mysql://u:canary@h/d'", "U003", "did you mean 'source'?"),
        (ENTRY + "scema = 'x'", "U003", "did you mean 'schema'?"),
        (ENTRY + "map = 'x'", "U003", "map must be a list of strings"),
        (ENTRY + "mode = 'lode'", "U003", "mode must be 'create' or 'load'"),
        (ENTRY + "provision = { rolle = 'x' }", "U003", "did you mean 'role'?"),
        ("[database]\nname = 'x'", "U003", "write [[database]], not [database]"),
        ("[[database]]\nsource = ['mysql://u:canary@h/d']", "U003", "source must be a string"),
        ("[[database]]\nsource = 'mysql://u:canary@h/d'", "U031", "has no name"),
        ("[[database]]\nname = 'a'\nsource = 'mysql://u:canary@h/d'", "U031", "has a source and no target"),
        (ENTRY + ENTRY, "U031", "two databases are called a"),
        (ENTRY + ENTRY.replace('"a"', '"b"'), "U031", "a and b have the same target and schema"),
        ("source = 'mysql://u:canary@h/d'\n" + ENTRY, "U031", "beside them"),
        (ENTRY + "merge = {}", "U031", "a cannot be merged"),
        ("[[database]]\nname = 'a'\nprovision = {}", "U001", "no source is named"),
        (ENTRY.replace("mysql://u:canary@", "mysql://u:${NOT_SET}@"), "U030", "NOT_SET is not set"),
        (ENTRY.replace("postgresql:", "mysql:"), "U002", "where a postgres one is needed"),
    ],
)
def test_slips(tmp_path: Path, text: str, code: str, words: str) -> None:
    (tmp_path / "converge.toml").write_text(text)
    ran = run(tmp_path, "plan")
    assert (ran.code, f"error[{code}]" in ran.err, words in ran.err) == (2, True, True), ran.err
    assert "canary" not in ran.err


def test_picks(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(ENTRY + '[[database]]\nname = "synapse"\nprovision = { collate = "C" }\n')
    project = read(str(file))
    assert [one.name for one in picked(project, Where())] == ["a", "synapse"]
    assert [one.name for one in databases(Where(config=str(file)))] == ["a"]
    assert picked(project, Where(source="mysql://h/d")) == ()
    for names, words in ((("synaps",), "did you mean 'synapse'?"), (("synapse",), "no source and target")):
        with pytest.raises(UsageError) as raised:
            databases(Where(config=str(file), names=names))
        assert (raised.value.code, words in raised.value.message) == ("U032", True)
    with pytest.raises(UsageError):
        read(str(tmp_path / "nothing.toml"))


def test_both_addresses_may_name_one_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", PASSWORD)
    (tmp_path / "converge.toml").write_text(
        'source = "mysql://u:${SECRET}@h/d"\ntarget = "postgresql://u:${SECRET}@h/d"\n'
    )
    (chosen,) = databases(Where())
    assert (chosen.source.password, chosen.target.password) == (PASSWORD, PASSWORD)
    assert "SECRET" not in os.environ


@pytest.mark.parametrize(
    ("source", "is_pattern"),
    [
        ("mysql://u:can*ary@h/d?ssl-ca=/a*.pem", False),
        ("mysql://u:${NOT_SET}@h/tenant_*", True),
        ("${TENANTS_URL}", True),
        ("${SERVER_URL}/tenant_*", True),
        ("${NOT_SET}/tenant_*", True),
        ("mysql://${HOST_AND_DATABASE}", True),
        ("mysql://u@h/${TENANTS}", True),
        ("${NOT_SET}", False),
    ],
)
def test_a_pattern_is_one_by_its_database(
    source: str, is_pattern: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTS_URL", "mysql://u:p@h/tenant_*")
    monkeypatch.setenv("TENANTS", "tenant_*")
    monkeypatch.setenv("SERVER_URL", "mysql://u:can*ary@h")
    monkeypatch.setenv("HOST_AND_DATABASE", "h/tenant_*")
    file = tmp_path / "converge.toml"
    target = "postgresql://u:a*b@h/d"  # merged databases have one target, whatever its password
    merge = 'schema = "*"\nmerge = {}\n' if is_pattern else ""
    file.write_text(f'[[database]]\nname = "a"\nsource = "{source}"\ntarget = "{target}"\n{merge}')
    (entry,) = read(str(file)).databases
    assert entry.is_pattern is is_pattern
    if "can*ary" in source:
        (chosen,) = databases(Where(config=str(file)))
        assert (chosen.source.password, chosen.source.database) == ("can*ary", "d")


MY_CNF = r"""
# the client of the team
!includedir /nowhere
[mysqld]
port = 1
[client]
host = db1 # prod
  port=3307   # of the tunnel
user = "root"
    password = 'a#b"c\s\\d'  # quoted
;database = no
database = shop#1
loose-none
ssl-ca = "/etc/ca.pem"
ssl_mode=VERIFY_CA
"""


def test_options_of_mysqls_own_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MySQL reads them (MySQL 8.0 manual, "Using Option Files")."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".my.cnf").write_text(MY_CNF)
    (chosen,) = databases(Where(), target="unused")
    at = chosen.source
    assert (at.host, at.port, at.user, at.password, at.database) == (
        "db1", 3307, "root", "a#b\"c \\d", "shop"
    )  # fmt: skip
    assert dict(at.options) == {"ssl-ca": "/etc/ca.pem", "ssl-mode": "VERIFY_CA"}
    for line, password in (
        ("password = it's", "it's"),
        ('password = "quoted\\""', 'quoted"'),
        ("password = 'a' # b", "a"),
        ("password = a\\tb", "a\tb"),
        ("password", ""),
    ):
        (tmp_path / ".my.cnf").write_text(f"[client]\nuser=u\nhost=h\n{line}\n")
        assert databases(Where(), target="unused")[0].source.password == password, line


@pytest.mark.parametrize(
    ("value", "login", "options"),
    [
        ("50%25off", "u:${PW}@", ""),
        ("a+b%20c", "", "?sslpassword=${PW}"),
        ("a+b%20c", "u@", "?password=${PW}"),
    ],
)
def test_every_variable_with_a_secret_is_forgotten(
    value: str, login: str, options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login is percent-encoded when it is put in, an option is not: a value stands as it is, or decoded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", value)
    (tmp_path / "converge.toml").write_text(f'target = "postgresql://{login}h/d{options}"\n')
    (chosen,) = databases(Where(), source="unused")
    assert chosen.target.password or chosen.target.options
    assert "PW" not in os.environ


def test_a_command_with_one_target_takes_one_entry(tmp_path: Path) -> None:
    file = tmp_path / "converge.toml"
    file.write_text(ENTRY + ENTRY.replace('"a"', '"b"').replace("h/d", "h/e"))
    assert resolve_target(Where(config=str(file), names=("b",))).database == "e"
    with pytest.raises(UsageError) as raised:
        resolve_target(Where(config=str(file), names=("a", "b")))
    assert raised.value.code == "U033"


@pytest.mark.parametrize(("side", "kind"), [("source", "mysql"), ("target", "postgres")])
def test_database_variables_of_env(project: Project, tmp_path: Path, side: str, kind: str) -> None:
    """A TypeORM application's .env names one side."""
    (project.folder / "converge.toml").unlink()
    urls = {"source": project.sources[0], "target": project.targets[0]}
    at = parse(urls.pop(side))
    lines = {
        "TYPE": kind,
        "HOST": at.host,
        "PORT": at.port,
        "USERNAME": at.user,
        "PASSWORD": "",
        "NAME": at.database,
    }
    (tmp_path / ".env").write_text("".join(f"DATABASE_{name}={value}\n" for name, value in lines.items()))
    (other, url), *_ = urls.items()
    ran = project.run("doctor", "--json", f"--{other}", url)
    assert ran.code == 0, ran.err
    assert ran.json[side]["origins"]["port"] == "DATABASE_PORT in .env"
    assert ran.json[side]["url"] == str(at)
    (tmp_path / ".env").write_text("".join(f"DATABASE_{name}={lines[name]}\n" for name in ("TYPE", "HOST")))
    ran = project.run("doctor", f"--{other}", url)
    assert (ran.code, "error[U183]" in ran.err) == (2, True), ran.err


def test_one_schema_by_two_names_of_its_host_is_refused(project: Project) -> None:
    """The second run would drop what the first has verified."""
    target = project.targets[0]
    twice = replace(project, targets=(target, target.replace("127.0.0.1", "localhost")))
    twice.write()
    ran = twice.run("migrate", "--recreate", "--yes", "--json")
    assert (ran.code, ran.json["verdict"]) == (2, "failed"), ran.err
    assert "have the same target and schema" in ran.err + ran.out
    assert postgres(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_all_databases_of_a_pattern(
    mysql_8033: Server, postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """One entry, a schema each, one verdict; what an interruption leaves is resumed."""
    names = [f"pattern_{number}" for number in range(4)]
    root = mysql_8033.create_database("pattern")  # which the pattern does not match
    source = root.replace("root@", "few@")
    target = new_postgres_database(postgres_175)
    mysql(root, "CREATE USER few; GRANT RELOAD ON *.* TO few")
    for name in names:
        mysql(
            mysql_8033.create_database(name),
            "CREATE TABLE note (id INT PRIMARY KEY); INSERT INTO note VALUES (1);"
            f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {name}.* TO few",
        )
    entry = f'[[database]]\nname = "all"\nsource = "{source}_*"\ntarget = "{target}"\n'
    try:
        (tmp_path / "converge.toml").write_text(entry)
        ran = run(tmp_path, "plan")
        assert (ran.code, "pattern_0 and pattern_1 have the same target" in ran.err) == (2, True), ran.err
        (tmp_path / "converge.toml").write_text(entry + 'schema = "*"\n')
        ran = run(tmp_path, "migrate", "--database", "pattern_2", "--json")
        assert [one["name"] for one in ran.json["databases"]] == ["pattern_2"]
        mysql(root, "INSERT INTO pattern_1.note VALUES (2)")
        ran = run(tmp_path, "migrate", "--resume", "--json", "--report", "all.html")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        assert [one["name"] for one in ran.json["databases"]] == names
        assert postgres(target, "SELECT count(*) FROM pattern_1.note") == [(2,)]
        assert all(name in (tmp_path / "all.html").read_text() for name in names)
        for picked_, code in (("all", 0), ("pattern", 2), ("pattern_9", 2)):
            assert run(tmp_path, "status", "--database", picked_).code == code
        # One that the source no longer shows is not forgotten while it is half copied.
        assert "few@" in ran.err and "sees only databases for which it has a privilege" in ran.err
        mysql(root, "REVOKE ALL ON pattern_2.* FROM few; REVOKE ALL ON pattern_3.* FROM few")
        postgres(target, "UPDATE converge.run SET state = 'failed' WHERE target_schema = 'pattern_2'")
        ran = run(tmp_path, "status", "--json")
        assert [one["name"] for one in ran.json["databases"]] == names[:3]
        assert ran.json["verdict"] == "failed" and "pattern_3 is in the target" in ran.err, ran.err
        ran = run(tmp_path, "migrate", "--resume", "--json")
        assert (ran.code, "error[S004]: pattern_2: " in ran.err) == (3, True), ran.err
        postgres(target, "DROP SCHEMA pattern_2 CASCADE")
        mysql(root, "GRANT SHOW DATABASES ON *.* TO few; DROP DATABASE pattern_2")
        ran = run(tmp_path, "status", "--json")
        assert [one["name"] for one in ran.json["databases"]] == ["pattern_0", "pattern_1", "pattern_3"]
        assert "sees only" not in ran.err
    finally:
        mysql(root, "DROP USER few")
        for name in ("pattern", *names):
            mysql_8033.drop_database(name)


@pytest.fixture
def tenants(
    mysql_8033: Server, postgres_175: Server, tmp_path: Path
) -> Iterator[tuple[Callable[..., Ran], list[str], list[str]]]:
    """Six databases of a pattern, three at a time: the command, the sources and the targets."""
    names = [f"several_{number}" for number in range(6)]
    sources = [mysql_8033.create_database(name) for name in names]
    targets = [postgres_175.create_database(name) for name in names]
    for source in sources:
        mysql(source, "CREATE TABLE note (id INT PRIMARY KEY); INSERT INTO note VALUES (1), (2)")
    (tmp_path / "converge.toml").write_text(
        f'parallel = 3\n[[database]]\nname = "all"\nsource = "{sources[0][:-1]}*"\n'
        f'target = "{targets[0].rpartition("/")[0]}/*"\n'
    )
    yield partial(run, tmp_path), sources, targets
    for server in (mysql_8033, postgres_175):
        for name in names:
            server.drop_database(name)


def test_several_at_a_time(tenants: tuple[Callable[..., Ran], list[str], list[str]], tmp_path: Path) -> None:
    """Stopped, then one that fails, then resumed: each is moved once, and those that have begun end."""
    run, sources, targets = tenants
    verdicts = _stopped_at(targets[1], tmp_path)
    # Those that go on are stopped, and the others never begin.
    assert (verdicts[1], verdicts[5], relations(targets[5])) == ("interrupted", "ready", []), verdicts
    failing = verdicts.index("ready")
    refuse_tables(targets[failing])
    ran = run("migrate", "--resume", "--json", "--jobs", "3")
    verdicts = [one["verdict"] for one in ran.json["databases"]]
    assert (ran.code, ran.json["verdict"], verdicts.count("failed")) == (5, "failed", 1), ran.err
    assert f"several_{failing}" in ran.err and set(verdicts) <= {"verified", "failed", "ready"}
    postgres(targets[failing], "DROP EVENT TRIGGER refuse")
    ran = run("migrate", "--resume", "--json", "--events", "e.jsonl", "--metrics-file", "m.prom")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    for source, target in zip(sources, targets, strict=True):
        assert compare(source, target).equal
        assert postgres(target, "SELECT count(*), min(state) FROM converge.run") == [(1, "finished")]
    told = map(json.loads, (tmp_path / "e.jsonl").read_text().splitlines())
    assert f"several_{failing}" in {one["database"] for one in told if one["event"] == "PhaseEnded"}
    assert f"several_{failing}: copy: " in ran.err
    assert f'database="several_{failing}",phase="copy"' in (tmp_path / "m.prom").read_text()
    # Somebody who may remove rows is asked where the terminal is.
    ran = run("migrate", "--recreate", "--json")
    assert (ran.code, ran.err.count("U181"), ran.json["verdict"]) == (2, 6, "failed"), ran.err
    # Its target is looked into for a database that the source has no more.
    postgres(targets[5], "UPDATE converge.run SET state = 'failed'")
    mysql(sources[0], "DROP DATABASE several_5")
    status = run("status", "--json").json["databases"][-1]
    assert (status["name"], status["verdict"]) == ("several_5", "failed")


def _stopped_at(target: str, folder: Path) -> list[str]:
    """The verdicts of a run that is stopped while it waits for this target."""
    with psycopg.connect(target) as other:
        # Whoever makes the ledger's schema waits for this one.
        other.execute("CREATE SCHEMA converge")
        process = in_the_foreground(folder, "migrate", "--json", "--jobs", "3")
        until_it_waits(process, target)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    document = json.loads(out)
    assert (process.returncode, document["verdict"]) == (130, "interrupted"), err
    return [one["verdict"] for one in document["databases"]]
