"""`converge matrix`: every step on every version, and what is red says why."""

from __future__ import annotations

import gzip
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from conftest import NewDatabase
from jsonschema import validate
from revisions import execute, revision
from support import ENVIRONMENT, Ran, converge, load_dump, mysql, postgres

from converge.codes import Code
from converge.errors import UsageError
from converge.matrix.report import matrix_text
from converge.matrix.request import Request, wanted
from converge.matrix.result import Matrix, Varied
from converge.matrix.run import run_matrix
from converge.model.endpoint import parse
from converge.model.event import Event, Said
from converge.postgres.script import split
from converge.run.options import Options
from converge.sandbox import Server
from tools.schemas import schemas

FOLDER = Path(__file__).parents[1]
STEPS = ["start", "compatibility", "plan", "migrate", "verify", "checks", "digests"]
SOURCE = (
    "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20), price DECIMAL(8,2));"
    "INSERT INTO item VALUES (1, 'one', 1.50), (2, 'zwei', NULL), (3, '三', 3)"
)
TARGET = "CREATE TABLE item (id int PRIMARY KEY, name varchar(20), price numeric(8,2));\n"


@pytest.fixture
def source(mysql_8033: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8033)
    mysql(url, SOURCE)
    return url


@pytest.fixture
def four(postgres_14: Server, postgres_15: Server, postgres_16: Server, postgres_175: Server) -> list[str]:
    """Servers that run, in the order of their versions."""
    return [one.url for one in (postgres_14, postgres_15, postgres_16, postgres_175)]


def matrix(source: str, servers: list[str], *arguments: str) -> Ran:
    given = [word for url in servers for word in ("--postgres", url)]
    ran = converge("matrix", "--source", source, *given, "--jobs", "1", "--json", *arguments)
    if ran.code in (0, 1):
        validate(ran.json, schemas()["matrix.schema.json"])
    return ran


def states(cell: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in cell["steps"]}


def reasons(document: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """Of each cell: step and code."""
    return [
        [(step["name"], step["reason"]["code"]) for step in cell["steps"] if step["reason"]]
        for cell in document["cells"]
    ]


def left(servers: list[str]) -> list[str]:
    """Databases that a matrix has not dropped."""
    found = "SELECT datname::text FROM pg_database WHERE datname LIKE 'converge_shadow_%'"
    return [name for url in servers for (name,) in postgres(f"{url}/postgres", found)]


def test_versions_and_urls_in_one_list() -> None:
    asked = wanted(("14,postgresql://a@/x?host=h1,h2,17.5,postgres://b@[::1]/y", "16"))
    assert [one.name for one in asked] == [
        "14",
        "postgresql://a@h1,h2/x",
        "17.5",
        "postgresql://b@[::1]/y",
        "16",
    ]


def test_sakila_on_four_versions(
    mysql_8015: Server, new_mysql_database: NewDatabase, shared_data: Path, tmp_path: Path
) -> None:
    """The servers are started and ended; one page, one JUnit file and one summary tell of all."""
    url = new_mysql_database(mysql_8015)
    load_dump(url, shared_data / "sakila" / "mysql.sql.gz")
    files = [str(tmp_path / name) for name in ("matrix.html", "matrix.xml", "matrix.md")]
    ran = converge(
        "matrix", "--source", url, "--json", "--html", files[0], "--junit", files[1], "--md", files[2]
    )
    assert ran.code == 0, ran.err
    document = ran.json
    assert (document["verdict"], document["exit_code"]) == ("verified", 0)
    assert [cell["name"] for cell in document["cells"]] == ["14", "15", "16", "17.5"]
    versions = [cell["version"].partition(".")[0] for cell in document["cells"]]
    assert versions == ["14", "15", "16", "17"]
    for cell in document["cells"]:
        assert states(cell) == dict.fromkeys(STEPS, "green")
        assert sum(table["rows"] for table in cell["tables"]) == 47_273
        assert cell["tables"] == document["cells"][0]["tables"]
        assert all(re.fullmatch("[0-9a-f]+", table["digest"]) for table in cell["tables"])
    assert document["differences"]["digests"] == []
    # A view that reads with the caller's rights, which 14 does not know.
    (view,) = document["differences"]["catalog"]
    assert view["object"] == "view public.actor_info"
    assert view["cells"] == {
        "14": "there", **dict.fromkeys(["15", "16", "17.5"], 'options: ["security_invoker=true"]')
    }  # fmt: skip
    plans = {one["object"].split(":")[0]: one["cells"] for one in document["differences"]["plans"]}
    assert plans == {"finding P157 actor_info": {"14": "lossy", "15": "", "16": "", "17.5": ""}}

    page, junit, summary = (Path(name).read_text("utf-8") for name in files)
    assert '<p class="word">Verified</p>' in page
    assert page.count('<span class="mark good">all 4</span>') == 16
    root = ElementTree.fromstring(junit)
    suites = [*(f"PostgreSQL {n}" for n in ("14", "15", "16", "17.5")), "findings"]
    assert [suite.get("name") for suite in root] == suites
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("40", "0", "16")
    assert summary.startswith("# converge matrix: verified\n")
    assert re.search(r"\| `17\.5` \| 17\.5, \w+ \| ok [\d.]+ s \|", summary)


def test_kratos_in_load_mode_on_four_versions(
    mysql_8033: Server, new_mysql_database: NewDatabase, four: list[str], shared_data: Path
) -> None:
    """The application's own schema from its own file, with the rows that its migrations seed."""
    url = new_mysql_database(mysql_8033)
    load_dump(url, shared_data / "kratos" / "mysql.sql.gz")
    own = ("--mode", "load", "--map", "kratos", "--target-sql", str(shared_data / "kratos/pg_schema.sql"))
    ran = matrix(url, four, *own)
    assert ran.code == 0, ran.err
    cells = ran.json["cells"]
    assert [states(cell) for cell in cells] == [dict.fromkeys(["start", "schema", *STEPS[1:]], "green")] * 4
    assert all(cell["tables"] == cells[0]["tables"] and len(cell["tables"]) == 23 for cell in cells)
    asked = [[check["state"] for check in cell["checks"]] for cell in cells]
    assert asked == [asked[0]] * 4
    assert asked[0].count("ok") > 5
    assert ran.json["differences"] == {"digests": [], "revised": [], "plans": [], "catalog": []}
    assert left(four) == []


def test_the_sample_on_a_server_that_was_given_leaves_nothing(mysql_8015: Server, four: list[str]) -> None:
    """A database of its name that is there already is in nobody's way."""
    there = mysql(mysql_8015.url, "SHOW DATABASES")
    mysql(mysql_8015.url, "CREATE DATABASE sample")
    ran = converge(
        "matrix", "--sample", "--rows", "2000", "--postgres", four[3],
        CONVERGE_SANDBOX_MYSQL_8_0_15=mysql_8015.url,
    )  # fmt: skip
    mysql(mysql_8015.url, "DROP DATABASE sample")
    assert ran.code == 0, ran.err
    assert mysql(mysql_8015.url, "SHOW DATABASES") == there


def test_a_feature_of_15_in_the_schema_turns_14_red(source: str, four: list[str], tmp_path: Path) -> None:
    script = tmp_path / "schema.sql"
    script.write_text(TARGET + "ALTER TABLE item\n    ADD UNIQUE NULLS NOT DISTINCT (name);\n")
    junit, page, summary = (str(tmp_path / name) for name in ("m.xml", "m.html", "m.md"))
    files = ("--junit", junit, "--html", page, "--md", summary)
    ran = matrix(source, four[:2], "--mode", "load", "--target-sql", str(script), *files)
    assert (ran.code, ran.json["verdict"]) == (1, "failed")
    assert reasons(ran.json) == [[("schema", "X024")], []]
    first = ran.json["cells"][0]
    assert states(first) == {"start": "green", "schema": "red", **dict.fromkeys(STEPS[1:], "not run")}
    reason = first["steps"][1]["reason"]
    assert reason["message"] == 'schema.sql, line 2: syntax error at or near "NULLS"'
    assert "PostgreSQL has NULLS NOT DISTINCT from 15 on, and this is 14" in reason["evidence"]
    assert reason["hint"].startswith("a unique index of coalesce(column, …)")
    failed = ElementTree.parse(junit).getroot().findall("./testsuite/testcase[failure]")
    assert [(one.get("classname"), one.get("name")) for one in failed] == [
        (f"converge.matrix.{first['name']}", "schema")
    ]
    for told in (Path(page).read_text("utf-8"), Path(summary).read_text("utf-8")):
        assert "RED X024" in told
        assert "schema.sql, line 2: syntax error at or near" in told
    assert left(four) == []


def test_a_function_of_15_in_a_check_turns_14_red(source: str, four: list[str], tmp_path: Path) -> None:
    map_ = tmp_path / "own.toml"
    map_.write_text(
        '[[check]]\nname = "no name with two e"\nequals = 0\n'
        "target = \"SELECT count(*) FROM item WHERE regexp_count(name, 'e') > 1\"\n"
    )
    ran = matrix(source, [four[0], four[3]], "--map", str(map_))
    assert ran.code == 1
    assert reasons(ran.json) == [[("compatibility", "T040")], []]
    assert (
        "regexp_count(), which PostgreSQL has from 15 on"
        in ran.json["cells"][0]["steps"][1]["reason"]["message"]
    )


NO_ALIAS = '[[check]]\nname = "three"\nequals = 3\ntarget = "SELECT count(*) FROM (SELECT id FROM item)"\n'


def test_a_check_that_a_version_cannot_read_is_found_before_the_run(
    source: str, four: list[str], tmp_path: Path
) -> None:
    """A subquery without a name, since 16: no pattern of a feature would find it."""
    map_ = tmp_path / "own.toml"
    map_.write_text(NO_ALIAS)
    ran = matrix(source, four, "--map", str(map_))
    assert reasons(ran.json) == [[("compatibility", "T044")], [("compatibility", "T044")], [], []]
    reason = ran.json["cells"][0]["steps"][1]["reason"]
    assert re.search(r"PostgreSQL 14\.\d+, refuses the query of 'three': subquery in FROM", reason["message"])


def test_a_name_that_a_version_does_not_know_is_found_in_load_mode(
    source: str, four: list[str], tmp_path: Path
) -> None:
    map_, script = tmp_path / "own.toml", tmp_path / "schema.sql"
    map_.write_text(
        NO_ALIAS.replace("count(*) FROM (SELECT id FROM item)", "count(SYSTEM_USER) + 3 FROM item")
    )
    script.write_text(TARGET)
    target = f"{four[0]}/refused_check"
    postgres(f"{four[0]}/postgres", "CREATE DATABASE refused_check")
    try:
        postgres(target, TARGET)
        ran = converge(
            "plan", "--source", source, "--target", target, "--mode", "load", "--map", str(map_), "--json"
        )
    finally:
        postgres(f"{four[0]}/postgres", "DROP DATABASE refused_check")
    blocks = [one for one in ran.json["plan"]["findings"] if one["severity"] == "block"]
    assert [one["code"] for one in blocks] == ["T044"]
    assert 'column "system_user" does not exist' in blocks[0]["message"]


def test_rows_in_the_way_turn_the_plan_red(source: str, four: list[str], tmp_path: Path) -> None:
    """And not `compatibility`, which is about the servers."""
    mysql(source, "INSERT INTO item VALUES (4, 'one', 7)")
    own = tmp_path / "target.sql"
    own.write_text(TARGET.replace("name varchar(20)", "name varchar(20) UNIQUE CHECK (name <> 'zwei')"))
    ran = matrix(source, four[3:], "--mode", "load", "--target-sql", str(own))
    assert ran.code == 1, ran.err
    (cell,) = ran.json["cells"]
    assert (states(cell)["compatibility"], states(cell)["plan"]) == ("green", "red")


def test_a_check_that_does_not_hold_on_one_version(source: str, four: list[str], tmp_path: Path) -> None:
    """Its rows arrived, and are compared with the others'."""
    map_ = tmp_path / "own.toml"
    map_.write_text(
        '[[check]]\nname = "the version"\nat_least = 150000\n'
        "target = \"SELECT current_setting('server_version_num')::int\"\n"
    )
    ran = matrix(source, [four[0], four[3]], "--map", str(map_))
    assert reasons(ran.json) == [[("checks", "C001")], []]
    assert states(ran.json["cells"][0])["digests"] == "green"


def test_a_server_that_cannot_be_had_keeps_nobody_away(source: str, four: list[str]) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1"
    ran = matrix(source, [nowhere, four[3]])
    assert ran.code == 1
    assert reasons(ran.json) == [[("start", "T001")], []]
    # What is said of the others is true with one that was not reached.
    (step,) = [one for one in ran.json["cells"][1]["steps"] if one["name"] == "digests"]
    assert step["words"] == "no other to compare with"
    ran = matrix(source, [nowhere, *four[2:]])
    (step,) = [one for one in ran.json["cells"][2]["steps"] if one["name"] == "digests"]
    assert step["words"].endswith("the same on 2 of 3 versions")


def test_a_role_that_may_not_make_databases(source: str, four: list[str]) -> None:
    server = four[3]
    postgres(f"{server}/postgres", "CREATE ROLE matrix_guest LOGIN")
    try:
        guest = urlsplit(server)._replace(netloc=f"matrix_guest@127.0.0.1:{urlsplit(server).port}").geturl()
        ran = matrix(source, [guest, four[0]])
    finally:
        postgres(f"{server}/postgres", "DROP ROLE matrix_guest")
    assert reasons(ran.json) == [[("start", "T043")], []]
    assert ran.json["cells"][0]["steps"][0]["reason"]["hint"] == 'ALTER ROLE "matrix_guest" CREATEDB;'


def meanwhile(source: str, servers: list[str], when: str, act: Callable[[], object]) -> Matrix:
    """A matrix during which something happens: once, after the step that is said like this."""
    waiting = [when]

    def hear(event: Event) -> None:
        if isinstance(event, Said) and waiting and waiting[0] in event.text:
            waiting.clear()
            act()

    return run_matrix(Request(parse(source), Options(jobs=1), emit=hear), wanted(tuple(servers)))


def test_a_version_with_another_digest_is_red(source: str, four: list[str]) -> None:
    port = urlsplit(four[1]).port
    moved = meanwhile(
        source, four[:3], f"{port}/postgres checks green",
        lambda: mysql(source, "UPDATE item SET name = 'other' WHERE id = 2"),
    )  # fmt: skip
    assert (moved.verdict, moved.exit_code) == ("differs", 1)
    assert [[step.reason.code for step in cell.steps if step.reason] for cell in moved.cells] == [
        [], [], ["X027"]
    ]  # fmt: skip
    assert [one.object for one in moved.contents] == ["item"]
    assert "item" in (moved.cells[2].step("digests").reason or pytest.fail("no reason")).message


def test_a_value_that_is_not_equal_is_named(source: str, four: list[str]) -> None:
    def spoil() -> object:
        ((name,),) = postgres(
            f"{four[0]}/postgres", "SELECT datname::text FROM pg_database WHERE datname LIKE 'converge_sh%'"
        )
        return postgres(f"{four[0]}/{name}", "UPDATE item SET price = 9 WHERE id = 3")

    found = meanwhile(source, [four[0], four[3]], " migrate green", spoil)
    assert found.verdict == "failed"
    reason = found.cells[0].step("verify").reason
    assert reason is not None
    assert (reason.code, reason.message) == ("X026", "1 of 1 table differs from the source: item")
    assert reason.evidence == "item id=3 price: source '3.00', target '9.00'"
    assert found.cells[0].step("checks").state == "not run"
    assert not found.cells[1].red


def test_a_view_that_differs_is_red(source: str, four: list[str], tmp_path: Path) -> None:
    mysql(source, "CREATE VIEW cheap AS SELECT id FROM item WHERE price < 2")
    map_ = tmp_path / "own.toml"
    replaced = "CREATE OR REPLACE VIEW cheap AS SELECT id FROM item WHERE price > 2"
    map_.write_text(f'[[hook]]\nphase = "after_finish"\nsql = "{replaced}"\n')
    ran = matrix(source, four[3:], "--map", str(map_))
    assert (ran.code, reasons(ran.json)) == (1, [[("migrate", "X026")]])
    reason = ran.json["cells"][0]["steps"][3]["reason"]
    assert reason["message"] == "1 object differs from the source or from what the run made: view cheap"
    assert "cheap" in reason["evidence"] and "target" in reason["evidence"], reason
    # A check that fails has its own step, and hides nothing else.
    failing = '[[check]]\nname = "none"\nequals = 0\ntarget = "SELECT 1"\n'
    map_.write_text(map_.read_text() + failing)
    ran = matrix(source, four[3:], "--map", str(map_))
    assert reasons(ran.json) == [[("migrate", "X026")]]
    map_.write_text(failing)
    ran = matrix(source, four[3:], "--map", str(map_))
    assert reasons(ran.json) == [[("checks", "C001")]]


def test_what_was_not_compared_is_told(source: str, four: list[str], tmp_path: Path) -> None:
    """It turns nothing red, but green is not all that there is to say."""
    mysql(source, "CREATE DEFINER = 'gone'@'localhost' VIEW cheap AS SELECT id FROM item")
    map_ = tmp_path / "own.toml"
    map_.write_text(
        '[[check]]\nname = "of another"\nwhere_source_has = ["nothing"]\nequals = 0\ntarget = "SELECT 1"\n'
    )
    junit, summary = tmp_path / "m.xml", tmp_path / "m.md"
    files = ("--junit", str(junit), "--md", str(summary))
    ran = matrix(source, four[3:], "--map", str(map_), *files)
    (cell,) = ran.json["cells"]
    assert [(one["kind"], one["name"]) for one in cell["not_compared"]] == [("view", "cheap")]
    words = {step["name"]: step["words"] for step in cell["steps"]}
    assert words["migrate"].endswith(", 1 object not compared: view cheap")
    assert words["verify"] == "3 rows equal, 1 object not compared: view cheap"
    assert "1 object not compared" in summary.read_text("utf-8").partition("##")[0]
    skipped = ElementTree.parse(junit).getroot().findall("./testsuite/testcase[skipped]")
    told = {one.get("name"): str(one[0].get("message")) for one in skipped}
    assert told.pop("view cheap").startswith("the source cannot read it")
    assert told == {"checks": "0 passed, 1 skipped"}


def test_views_of_the_target_are_told_as_not_compared(source: str, four: list[str], tmp_path: Path) -> None:
    mysql(source, "CREATE VIEW cheap AS SELECT id FROM item")
    script = tmp_path / "schema.sql"
    script.write_text(TARGET + "CREATE VIEW cheap AS SELECT id FROM item WHERE false;")
    ran = matrix(source, four[3:], "--mode", "load", "--target-sql", str(script))
    assert ran.code == 0, ran.out
    (found,) = ran.json["cells"][0]["not_compared"]
    assert found == {"kind": "view", "name": "cheap", "why": "the target's is its own"}


def test_a_schema_that_is_not_as_the_run_made_it_is_red(source: str, four: list[str]) -> None:
    def spoil() -> object:
        ((name,),) = postgres(
            f"{four[3]}/postgres", "SELECT datname::text FROM pg_database WHERE datname LIKE 'converge_sh%'"
        )
        return postgres(f"{four[3]}/{name}", "ALTER TABLE item DROP CONSTRAINT item_pkey")

    found = meanwhile(source, four[3:], " migrate green", spoil)
    reason = found.cells[0].step("verify").reason
    assert reason is not None
    differ = "2 objects differ from the source or from what the run made"
    dropped = "constraint item_pkey on public.item, index public.item_pkey"
    assert (reason.code, reason.message) == ("X026", f"{differ}: {dropped}")
    assert "is gone" in reason.evidence


def test_ctrl_c_ends_servers_and_drops_databases(source: str, four: list[str]) -> None:
    script = [sys.executable, "-m", "converge", "matrix", "--source", source, "--postgres", four[0]]
    running = subprocess.Popen(
        [*script, "--postgres", "17.5"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if "start green" in line:
            break
    children = subprocess.run(
        ["pgrep", "-P", str(running.pid), "-f", "converge.sandbox.keeper"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert len(children) == 1
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-2:] == [
        "error[R130]: stopped: databases that were made are dropped, servers that were started have ended",
        f"  hint   converge matrix --source {source}, with the same options",
    ]
    assert not Path("/proc", children[0]).exists()
    assert left(four) == []


def test_a_run_that_fails_in_a_matrix_is_not_resumed(source: str, four: list[str], tmp_path: Path) -> None:
    """Its database is dropped: neither a resumed run nor a way back could find anything there."""
    script = tmp_path / "schema.sql"
    script.write_text(TARGET + "CREATE UNIQUE INDEX one ON item ((id > 0));\n")
    ran = matrix(source, four[3:], "--mode", "load", "--target-sql", str(script))
    assert [[step for step, _ in found] for found in reasons(ran.json)] == [["migrate"]]
    assert "--resume" not in ran.out + ran.err
    assert "recover" not in ran.out + ran.err


def test_a_definition_that_ends_in_a_semicolon_is_listed_with_one() -> None:
    differs = Varied("view v", {"14": "definition: SELECT 1;", "15": "definition: SELECT 2;"})
    told = matrix_text(Matrix("s", "8.0.33", "2026-01-01T00:00:00+00:00", 1.0, (), catalog=(differs,)))
    assert "view v: 14 definition: SELECT 1; 15 definition: SELECT 2\n" in told


def test_no_such_table_is_said_before_anything_begins(source: str) -> None:
    ran = converge("matrix", "--source", source, "--postgres", "17.5", "--include", "zzz")
    assert (ran.code, "error[U010]: --include zzz: the source has no such table" in ran.err) == (2, True)
    assert "start" not in ran.err


REFUSED = {
    "no such map": (["--map", "nope"], "M001", "nope"),
    "no version": (["--postgres", "seventeen"], "X020", "neither a version nor a URL"),
    "twice": (["--postgres", "14,14"], "X020", "twice"),
    "another kind": (["--postgres", "mysql://root@127.0.0.1/x"], "X020", "not a PostgreSQL"),
    "two sources": (["--sample"], "X021", "another one is named"),
    "no schema": (["--mode", "load"], "X022", "--target-sql"),
    "a schema for nothing": (["--target-sql", "x.sql"], "X022", "--target-sql"),
    "no such file": (["--mode", "load", "--target-sql", "/nowhere/x.sql"], "X023", "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_starts(case: str) -> None:
    arguments, code, words = REFUSED[case]
    ran = converge("matrix", "--source", "mysql://root@127.0.0.1:1/x", *arguments)
    assert ran.code == 2, ran.err
    assert f"error[{code}]" in ran.err
    assert words in ran.err


SCRIPT = rb"""-- PostgreSQL database dump
\restrict aBc
SET transaction_timeout = 0;
SET statement_timeout = 0; SELECT pg_catalog.set_config('search_path', '', false);
/* a /* nested; */ comment; */ CREATE TABLE public.t (a int, "b;""c" text DEFAULT 'it''s;');
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT CASE WHEN true THEN 1 ELSE 2 END; SELECT 2; END;
CREATE FUNCTION public.g() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN PERFORM $$'x;$$; END; $body$;
CREATE RULE r AS ON INSERT TO public.t DO ALSO (SELECT 1; SELECT 2);
INSERT INTO public.t VALUES (0, E'it\'s; ''x' || $$;$$);
COPY public.t (a, "b;""c") FROM stdin;
1	x;'
2	\N
\.

\unrestrict aBc
SELECT 5;
-- PostgreSQL database dump complete
"""


def test_a_script_is_split_as_psql_does() -> None:
    parts = [
        (one.line, one.text.decode().split("(")[0].strip(), list(one.rows) if one.rows else None)
        for one in split(SCRIPT.splitlines(keepends=True), "x")
    ]
    assert parts == [
        (3, "SET transaction_timeout = 0", None),
        (4, "SET statement_timeout = 0", None),
        (4, "SELECT pg_catalog.set_config", None),
        (5, "CREATE TABLE public.t", None),
        (6, "CREATE FUNCTION public.f", None),
        (8, "CREATE FUNCTION public.g", None),
        (9, "CREATE RULE r AS ON INSERT TO public.t DO ALSO", None),
        (10, "INSERT INTO public.t VALUES", None),
        (11, "COPY public.t", [b"1\tx;'\n", b"2\t\\N\n"]),
        (17, "SELECT 5", None),
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"SELECT 1;\n\\connect other\n", "line 2: \\connect is a command of psql"),
        (b"\\i more.sql\n", "line 1: \\i is a command of psql"),
        (b"SELECT 1;\nSELECT 'open;\n\n", "line 3: ends inside of the statement of line 2"),
        (b"COPY t FROM stdin;\n1\n", "line 2: ends inside of the rows of line 1"),
        (b"SELECT 1;\nSELECT\n  2", "line 3: ends inside of the statement of line 2"),
        (b"--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n", "line 5: the dump of line 2 has no end"),
        (
            b"-- PostgreSQL database dump\n" * 2 + b"-- PostgreSQL database dump complete\n",
            "line 2: the dump of line 1 has no end",
        ),
    ],
)
def test_a_script_that_cannot_be_run_is_refused(script: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as refused:
        for one in split(script.splitlines(keepends=True), "x.sql"):
            list(one.rows or ())
    assert refused.value.code == "X023"


def test_a_script_of_a_newer_pg_dump_runs_on_14(source: str, four: list[str], tmp_path: Path) -> None:
    """With rows, which stay; what 14 cannot set is told."""
    script = tmp_path / "schema.sql.gz"
    rows = b"COPY public.item (id, name, price) FROM stdin;\n1\tone\t1.50\n\\.\n"
    own = SCRIPT.replace(
        b"\\unrestrict", TARGET.replace("item", "public.item").encode() + rows + b"\\unrestrict"
    )
    script.write_bytes(gzip.compress(own))
    map_ = tmp_path / "own.toml"
    map_.write_text(
        '[[target]]\nmatch = { table = "t" }\nkeep = true\n'
        '[[table]]\nmatch = { table = "item" }\nrows = "source"\n'
    )
    own_schema = ("--mode", "load", "--target-sql", str(script), "--map", str(map_))
    ran = matrix(source, [four[0], four[3]], *own_schema)
    assert ran.code == 0, ran.out
    words = [cell["steps"][1]["words"] for cell in ran.json["cells"]]
    assert words == ["12 statements; not known to this version: SET transaction_timeout = 0", "12 statements"]


def test_every_code_is_documented() -> None:
    documented = set(
        re.findall(r"^\| (X0[23]\d) ", (FOLDER / "docs/matrix.md").read_text("utf-8"), re.MULTILINE)
    )
    assert {code for code in Code if re.match("X0[23]", code)} == documented


@pytest.fixture(scope="module")
def baseline(
    mysql_8033: Server, postgres_175: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The user's revisions: the baseline of what `migrate` makes on 17.5, and one that adds a column."""
    source, target = mysql_8033.create_database("matrix"), postgres_175.create_database("matrix")
    mysql(source, SOURCE)
    place = tmp_path_factory.mktemp("matrix") / "revisions"
    assert converge("migrate", "--source", source, "--target", target).code == 0
    own = ("--alembic", str(place), "--target", target)
    made = converge("migrations", "generate", "-n", "baseline", *own, "--json")
    assert made.code == 0, made.err
    up = execute("ALTER TABLE item ADD COLUMN label text", "UPDATE item SET label = upper(name)")
    revision(
        place, "label", up, execute("ALTER TABLE item DROP COLUMN label"), down=made.json["revision"]["id"]
    )
    yield place
    mysql_8033.drop_database("matrix")
    postgres_175.drop_database("matrix")


@pytest.fixture
def folder(baseline: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(baseline, tmp_path / "revisions"))


def test_revisions_go_up_and_back_on_four_versions(source: str, four: list[str], folder: Path) -> None:
    ran = matrix(source, four, "--alembic", str(folder))
    assert ran.code == 0, ran.out
    for cell in ran.json["cells"]:
        assert states(cell) == dict.fromkeys(
            [*STEPS[:-1], "upgrade", "drift", "downgrade", "digests"], "green"
        )
        words = [step["words"] for step in cell["steps"][6:9]]
        assert re.fullmatch("baseline [0-9a-f]+ is here, label run", words[0])
        assert words[1:] == [
            "the schema is what the revisions make",
            "catalog and rows are as they were before",
        ]
    assert left(four) == []


SPOILED = {
    "a function of 15": ("SELECT regexp_count('abc', 'b')", "SELECT 1", "upgrade"),
    "no way back": ("CREATE INDEX more ON item (name)", "SELECT 1", "downgrade"),
    "rows lost on the way": ("DELETE FROM item WHERE id = 2", "SELECT 1", "downgrade"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_revision_that_is_wrong_is_red(source: str, four: list[str], folder: Path, case: str) -> None:
    up, back, red = SPOILED[case]
    revision(folder, "wrong", execute(up), execute(back), down="label")
    ran = matrix(source, four[:1], "--alembic", str(folder))
    assert ran.code == 1
    assert [[step for step, _ in found] for found in reasons(ran.json)] == [[red]]


def test_a_revision_that_changes_rows_on_one_version_only(
    source: str, four: list[str], folder: Path, tmp_path: Path
) -> None:
    """It promises no way back, so that the downgrade says nothing of it."""
    up = execute("UPDATE item SET price = NULL WHERE current_setting('server_version_num')::int > 150000")
    revision(folder, "newer", up, "pass", down="label")
    junit, page, summary = (tmp_path / name for name in ("m.xml", "m.html", "m.md"))
    files = ("--junit", str(junit), "--html", str(page), "--md", str(summary))
    ran = matrix(source, four[:1] + four[2:], "--alembic", str(folder), *files)
    assert (ran.code, ran.json["verdict"]) == (1, "differs")
    assert reasons(ran.json) == [[("digests", "X030")], [], []]
    first, *others = ran.json["cells"]
    reason = first["steps"][-1]["reason"]
    assert reason["message"] == "1 table differs from other versions after the revisions: public.item"
    held = [cell["revised"][0]["digest"] for cell in (first, *others)]
    assert reason["evidence"].splitlines() == [
        "public.item",
        f"  {first['name']}: 3 rows, {held[0]}",
        f"  {others[0]['name']}, {others[1]['name']}: 3 rows, {held[1]}",
    ]
    (differs,) = ran.json["differences"]["revised"]
    assert (differs["object"], list(differs["cells"])) == (
        "public.item", [cell["name"] for cell in [first, *others]]
    )  # fmt: skip
    assert others[0]["revised"] == others[1]["revised"] != first["revised"]
    told = [junit.read_text("utf-8"), page.read_text("utf-8"), summary.read_text("utf-8")]
    assert all("X030" in text and "public.item" in text for text in told)
    assert all("public.item, revised" in text for text in told[1:])
    # What had nothing to try has not passed.
    untried = ElementTree.fromstring(told[0]).findall("./testsuite/testcase[@name='downgrade']/skipped")
    assert [one.get("message") for one in untried] == ["not tried: newer promises to restore nothing"] * 3


def test_a_revision_of_15_names_what_14_lacks(source: str, four: list[str], folder: Path) -> None:
    revision(folder, "own", execute("ALTER TABLE item ADD UNIQUE NULLS NOT DISTINCT (name)"), down="label")
    ran = matrix(source, four[:1], "--alembic", str(folder))
    assert reasons(ran.json) == [[("upgrade", "T000")]]
    reason = ran.json["cells"][0]["steps"][6]["reason"]
    assert "upgrade own: " in reason["message"]
    assert re.search(
        r"PostgreSQL has NULLS NOT DISTINCT from 15 on, and this is 14\.\d+$", reason["evidence"]
    )
    assert reason["hint"].startswith("a unique index of coalesce(column, …)")


STRAY = """op.execute("CREATE TABLE IF NOT EXISTS stray ()")
op.execute("DO $$ BEGIN IF NOT EXISTS (SELECT FROM item) THEN DROP TABLE stray; END IF; END $$")"""


def test_a_table_that_no_revision_makes_is_drift(source: str, four: list[str], folder: Path) -> None:
    """It depends on rows: what it makes of an empty database is something else."""
    revision(folder, "stray", STRAY, "op.execute('DROP TABLE IF EXISTS stray')", down="label")
    ran = matrix(source, four[3:], "--alembic", str(folder))
    assert reasons(ran.json) == [[("drift", "X028")]]
    reason = ran.json["cells"][0]["steps"][7]["reason"]
    assert reason["message"].endswith(": table public.stray")


def test_a_full_disk_costs_a_page_and_no_result(source: str, four: list[str]) -> None:
    ran = matrix(source, four[3:], "--html", "/dev/full")
    assert (ran.code, ran.json["exit_code"], ran.json["verdict"]) == (1, 1, "verified")
    assert "error[U012]: the report /dev/full cannot be written" in ran.err
