"""Checks of a map: what both servers are asked after a load, and that asking changes nothing."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import begun, converge, load_dump, mysql, postgres, relations

from converge.errors import UsageError
from converge.mapping.read import load
from converge.mapping.sql import one_query

FOLDER = Path(__file__).parents[1]
PEOPLE = """
CREATE TABLE person (id INT PRIMARY KEY, name VARCHAR(20), mail VARCHAR(20), born DATETIME, share DECIMAL(9,3)
); INSERT INTO person VALUES (1, 'Ä', NULL, '2020-01-02 03:04:05', 1.500), (2, 'b', 'b@x', NULL, 2.000);
"""


@pytest.fixture
def source(databases: tuple[str, str]) -> str:
    mysql(databases[0], PEOPLE)
    return databases[0]


@pytest.fixture
def target(databases: tuple[str, str]) -> str:
    return databases[1]


def entry(name: str, **keys: object) -> str:
    """A [[check]] of a map: JSON's texts, numbers and lists are TOML's."""
    return "\n".join(
        ["[[check]]", *(f"{key} = {json.dumps(value)}" for key, value in {"name": name, **keys}.items())]
    )


def map_of(folder: Path, *entries: str) -> tuple[str, str]:
    path = folder / "own.toml"
    path.write_text("\n\n".join(entries))
    return "--map", str(path)


COUNT = "SELECT count(*) FROM person"
ROWS = "SELECT id, name, mail, born, share FROM person ORDER BY id"
GOOD = (
    entry("count", source=COUNT + ";", target=COUNT + " -- all of them"),
    entry("two", target=COUNT, equals=2),
    entry("both two", source=COUNT, target=COUNT, equals=2),
    entry("some", target=COUNT, at_least=1.5),
    entry("rows", source=ROWS, target=ROWS),
    entry("text", target="SELECT name FROM person WHERE id = 2", equals="b"),
    entry("truth", target="SELECT count(*) = 2 FROM person", equals=True),
    entry(
        "with", source=f"WITH a AS ({COUNT}) SELECT * FROM a", target=f"WITH a AS ({COUNT}) SELECT * FROM a"
    ),
    entry("over", target="SELECT 1 FROM nowhere", equals=1, where_source_has=["nowhere"]),
)


def test_checks_that_hold_in_every_form(source: str, target: str, tmp_path: Path) -> None:
    addresses = ("--source", source, "--target", target, *map_of(tmp_path, *GOOD))
    planned = converge("plan", *addresses, "--show", "checks")
    assert "checks (9), after the load\n  count (as in the source)\n  two (= 2)" in planned.out
    listed = converge("plan", *addresses, "--json").json["plan"]["checks"]
    assert [one["name"] for one in listed[:2]] == ["count", "two"]
    ran = converge("migrate", *addresses, "--json", "--report", str(tmp_path / "r.html"))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out + ran.err
    states = {one["name"]: (one["state"], one["source"], one["target"]) for one in ran.json["checks"]}
    assert states.pop("over") == ("skipped", None, None)
    assert {state for state, *_ in states.values()} == {"ok"}
    assert states["count"] == ("ok", "2", "2")
    assert (
        states["rows"][1] == states["rows"][2] == "1, Ä, NULL, 2020-01-02 03:04:05, 1.5; 2, b, b@x, NULL, 2"
    )
    assert "the source has no table nowhere" in (tmp_path / "r.html").read_text()
    again = converge("verify", *addresses)
    assert again.code == 0
    assert "checks    8 of 9 checks passed, 1 skipped" in again.out
    # Checks decide nothing about the data: the digest is the same without them.
    bare = converge("plan", *addresses[:4], "--json").json["plan"]["digest"]
    assert bare == converge("plan", *addresses, "--json").json["plan"]["digest"]


@pytest.mark.parametrize("level", ["full", "counts", "none"])
def test_a_check_that_fails_is_the_verdict(level: str, source: str, target: str, tmp_path: Path) -> None:
    map_ = map_of(
        tmp_path,
        entry("fewer", target=COUNT, equals=3, why="a third is expected"),
        entry("missing", source=COUNT, target="SELECT count(*) FROM nowhere"),
        entry("fine", target=COUNT, equals=2),
        entry("last digit", source=f"SELECT 1.{'2' * 29}1", target=f"SELECT 1.{'2' * 29}3::numeric"),
    )
    forms = [tmp_path / f"r{ending}" for ending in (".html", ".md", ".json", ".xml")]
    reports = [word for form in forms for word in ("--report", str(form))]
    ran = converge(
        "migrate", "--source", source, "--target", target, *map_, "--verify", level, *reports
    )  # fmt: skip
    assert ran.code == 1, ran.err
    equal = "every row of 1 table is equal; " if level == "full" else ""
    assert f"verdict   check failed: {equal}1 of 4 checks passed, 3 failed" in ran.out
    assert "check     fewer (= 3): target 2" in ran.out
    for form in forms:
        text = form.read_text()
        for fact in ("fewer", "a third is expected", "missing", "nowhere", "does not exist", "fine"):
            assert fact in text, (form, fact)
    document = json.loads(forms[2].read_text())
    assert [one["state"] for one in document["checks"]] == ["differs", "error", "ok", "differs"]
    assert [one["code"] for one in document["findings"] if one["severity"] == "block"] == [
        "C001", "C002", "C001",
    ]  # fmt: skip
    suite = ElementTree.parse(forms[3]).find("testsuite[@name='checks']")
    assert suite is not None and (suite.get("tests"), suite.get("failures")) == ("4", "3")
    # The ledger has it all: its report is the same.
    assert converge("report", "--target", target, "-o", str(tmp_path / "again.json")).code == 0
    assert json.loads((tmp_path / "again.json").read_text())["checks"] == document["checks"]


TARGET_WRITES = {
    "SELECT nextval('numbers')": "read-only",
    "SELECT set_config('transaction_read_only', 'off', true)": "read-write",
    "SELECT writes()": "read-only",
}
SOURCE_WRITES = {"SELECT writes()": "READ ONLY"}
WRITER = "CREATE FUNCTION writes() RETURNS INT DETERMINISTIC MODIFIES SQL DATA "


def test_no_check_can_write_or_hang(both_databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = both_databases
    mysql(source, PEOPLE)
    mysql(source, WRITER + "BEGIN INSERT INTO person (id) VALUES (9); RETURN 1; END")
    postgres(target, "CREATE SEQUENCE numbers")
    postgres(
        target,
        "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'CREATE TABLE written (a int); SELECT 1'",
    )
    wanted = [*TARGET_WRITES.values(), *SOURCE_WRITES.values(), "maximum statement", "statement timeout"]
    map_ = map_of(
        tmp_path,
        *(entry(query, target=query, equals=1) for query in TARGET_WRITES),
        *(entry(query, source=query, target="SELECT 1") for query in SOURCE_WRITES),
        entry("slow", source=f"{COUNT} WHERE SLEEP(9)", target="SELECT 1", seconds=1),
        entry("late", target="SELECT 1 FROM pg_sleep(9)", equals=1, seconds=1),
        # The limits end with their checks: what comes after is asked as ever, by the same worker.
        entry("after", source=f"{COUNT} WHERE SLEEP(0.6) = 0", target="SELECT 2 FROM pg_sleep(1.2)"),
    )
    ran = converge("migrate", "--source", source, "--target", target, *map_, "--jobs", "1", "--json")
    *failed, after = ran.json["checks"]
    assert (ran.code, after["state"], after["source"]) == (1, "ok", "2"), ran.err
    for one, word in zip(failed, wanted, strict=True):
        assert one["state"] == "error" and word in one["message"], one
        assert one["seconds"] < 5
    assert mysql(source, COUNT) == postgres(target, COUNT) == [(2,)]
    assert not {"public.written", "public.kept"} & set(relations(target))
    assert postgres(target, "SELECT is_called FROM numbers") == [(False,)]


def test_a_query_that_is_none_is_found_before_the_run(source: str, target: str, tmp_path: Path) -> None:
    """The target reads it and does not run it; what only the rows or the time can tell is not in the way."""
    map_ = map_of(
        tmp_path,
        entry("limit", target="SELECT 1 FROM person LIMIT 1, 2", equals=1),
        entry("words", target="SELECT INTERVAL 1 DAY", equals=1),
        entry("later", target="SELECT count(nothing) FROM person", equals=1),
    )
    ran = converge("migrate", "--source", source, "--target", target, *map_)
    assert (ran.code, ran.err.count("T044 own [[check]]")) == (3, 2), ran.err
    for command in ("plan", "doctor"):
        ran = converge(command, "--source", source, "--target", target, *map_, "--json")
        document = ran.json if command != "plan" else ran.json["plan"]
        refused = [one for one in document["findings"] if one["code"] == "T044"]
        assert [one["object"] for one in refused] == ["own [[check]] #1", "own [[check]] #2"], command
        assert "LIMIT #,# syntax is not supported" in refused[0]["message"]
    assert relations(target) == []


def copied(target: str) -> bool:
    """Whether the run has copied the two people: its snapshot is taken then."""
    if postgres(target, "SELECT to_regclass('public.person')") == [(None,)]:
        return False
    return postgres(target, COUNT) == [(2,)]


def test_the_source_is_asked_in_the_snapshot_that_was_copied(
    source: str, target: str, tmp_path: Path
) -> None:
    """A check that takes its time sees none of what the application writes meanwhile."""
    wait = entry("wait", target="SELECT 1 FROM pg_sleep(4)", equals=1)
    count = entry("count", source=COUNT, target=COUNT)
    options = ("--jobs", "1", "--json", *map_of(tmp_path, wait, count))
    process = begun(source, target, *options)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not copied(target):
        time.sleep(0.05)
    mysql(source, "INSERT INTO person (id) VALUES (3)")
    out, err = process.communicate(timeout=120)
    document = json.loads(out)
    assert process.returncode == 0, err
    assert [(one["name"], one["state"], one["source"]) for one in document["checks"]][1] == (
        "count",
        "ok",
        "2",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[check]]\nname = "a"', "has no target"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1"', "expects nothing"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1"\nequals = 1\nat_least = 1', "exclude each other"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1; SELECT 2"\nequals = 1', "more than one statement"),
        ('[[check]]\nname = "a"\ntarget = "COMMIT"\nequals = 1', "only reads"),
        ('[[check]]\nname = "a"\ntarget = "DELETE FROM a RETURNING 1"\nequals = 1', "only reads"),
        (
            '[[check]]\nname = "a"\ntarget = "SELECT 1) a; DROP TABLE b; SELECT (1"\nequals = 1',
            "cannot be parsed",
        ),
        ('[[check]]\nname = "a"\ntarget = "SELECT \'"\nequals = 1', "cannot be parsed"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1"\nequal = 1', "did you mean 'equals'"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1"\nequals = [1]', "equals must be true or false or"),
        ('[[check]]\nname = "a"\ntarget = "SELECT 1"\nequals = 1\nseconds = 0', "leaves no time"),
        ('[check]\nname = "a"', "write [[check]]"),
        ('[application]\nmigrate = "x"', "has no tables"),
    ],
)
def test_slips_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "slip.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        load([str(tmp_path / "slip.toml")])
    assert refused.value.code == "M002"
    assert said in refused.value.message


def test_a_semicolon_in_a_text_is_no_end() -> None:
    assert one_query("SELECT ';' AS a ; ", "mysql", "here") == "SELECT ';' AS a"
    assert one_query("(SELECT ';)')", "postgres", "here") == "(SELECT ';)')"


@pytest.mark.parametrize("name", ["kratos", "alkemio"])
def test_maps_of_applications_hold_for_their_data(
    name: str, databases: tuple[str, str], shared_data: Path
) -> None:
    source, target = databases
    load_dump(source, shared_data / name / "mysql.sql.gz")
    ran = converge("doctor", "--target", target, "--map", name)
    assert "  C010  public: " + name in ran.out
    migrate = {"kratos": "kratos migrate sql -e --yes", "alkemio": "npm run migration:run"}[name]
    assert f"hint  {migrate}" in ran.out
    ran = converge("migrate", "--source", source, "--target", target, "--map", name, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out + ran.err
    assert {one["state"] for one in ran.json["checks"]} <= {"ok", "skipped"}
    if name == "alkemio":
        assert "C010" not in converge("doctor", "--target", target, "--map", name).out
        return
    # What the users' own scripts did to Kratos, and no count of identities showed.
    mysql(
        source,
        "CREATE TABLE schema_migration (version VARCHAR(48)); INSERT INTO schema_migration VALUES ('2')",
    )
    postgres(target, "CREATE TABLE schema_migration (version varchar(48))")
    postgres(target, "TRUNCATE selfservice_recovery_flows, selfservice_verification_flows CASCADE")
    postgres(target, "ALTER TABLE identity_credentials DISABLE TRIGGER ALL")
    postgres(target, "DELETE FROM identity_credential_types WHERE name = 'password'")
    ran = converge(
        "verify", "--source", source, "--target", target, "--map", name, "--level", "counts", "--json"
    )
    failed = {one["name"] for one in ran.json["checks"] if one["state"] == "differs"}
    assert {"codes that are still to be used", "credentials by their type"} <= failed, failed
    # A table that came after the run has no check that counts; verify names it.
    assert "schema_migration" in {one["name"] for one in ran.json["not_compared"]}


def test_an_application_table_that_is_missing_is_named(databases: tuple[str, str], shared_data: Path) -> None:
    source, target = databases
    load_dump(source, shared_data / "kratos" / "mysql.sql.gz")
    options = (
        "--source",
        source,
        "--target",
        target,
        "--map",
        "kratos",
        "--exclude",
        "session_devices",
        "--json",
    )
    ran = converge("migrate", *options)
    assert ran.code == 1
    words = [one["message"] for one in ran.json["checks"] if one["state"] == "error"]
    assert words and all('relation "session_devices" does not exist' in word for word in words)


def test_the_map_of_hydra_holds(databases: tuple[str, str]) -> None:
    """With the columns of Hydra's tables that it asks for."""
    source, target = databases
    (application,) = load(["hydra"]).applications
    for table in application.tables:
        key = "version" if table == "schema_migration" else "id"
        columns = "nid CHAR(36), client_id VARCHAR(40), active TINYINT(1), sid VARCHAR(40)"
        mysql(source, f"CREATE TABLE {table} ({key} VARCHAR(48) PRIMARY KEY, {columns})")
    mysql(
        source, "INSERT INTO networks (id) VALUES ('n'); INSERT INTO schema_migration (version) VALUES ('2')"
    )
    mysql(source, "INSERT INTO hydra_client (id, nid) VALUES ('c', 'n')")
    mysql(source, "INSERT INTO hydra_oauth2_access (id, nid, client_id, active) VALUES ('a', 'n', 'c', 1)")
    addresses = ("--source", source, "--target", target, "--map", "hydra", "--json")
    ran = converge("migrate", *addresses)
    assert {one["state"] for one in ran.json["checks"]} == {"ok"}, ran.out
    postgres(target, "DELETE FROM hydra_client")
    failed = [one["name"] for one in converge("verify", *addresses).json["checks"] if one["state"] != "ok"]
    assert "no row of hydra_oauth2_access without its client" in failed
    assert len(failed) == 3


def test_codes_are_documented() -> None:
    text = "".join((FOLDER / "docs" / name).read_text() for name in ("checks.md", "runs.md"))
    used = set()
    for path in (FOLDER / "converge").rglob("*.py"):
        used |= set(re.findall(r"Code\.(C0\d\d)", path.read_text()))
    assert used and used <= set(re.findall(r"^\| (C\d{3}) ", text, re.MULTILINE))


def test_hooks_run_once_at_their_time(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY, n INT, parent INT, KEY by_n (n))")
    mysql(source, "ALTER TABLE film ADD FOREIGN KEY (parent) REFERENCES film (id)")
    mysql(source, "INSERT INTO film VALUES (1, 2, 1)")
    rules = tmp_path / "own.toml"
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'film'::regclass"
    note = f"INSERT INTO seen SELECT '{{}}', count(*), ({keys}) FROM film; -- so"
    # What a hook sets for its session stays with the hook.
    note += "\nSET ROLE pg_monitor; SET search_path = nowhere; SET default_transaction_read_only = on"
    made = "CREATE TABLE seen (at text, films int, keys int); " + note.format("create")
    hooks = {"after_create": made, "after_copy": note.format("copy"), "after_finish": note.format("finish")}
    rules.write_text("".join(f'[[hook]]\nphase = "{at}"\nsql = """{sql}"""\n' for at, sql in hooks.items()))
    ends = ("--source", source, "--target", target)
    ran = converge("plan", *ends, "--map", str(rules), "--sql", str(tmp_path / "plan.sql"))
    assert ran.code == 0, ran.err
    assert note.format("finish") in (tmp_path / "plan.sql").read_text()
    ran = converge("migrate", *ends, "--map", str(rules), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    seen = [("create", 0, 0), ("copy", 1, 0), ("finish", 1, 1)]
    assert postgres(target, "SELECT * FROM seen") == seen
    steps = "SELECT phase, object FROM converge.step WHERE object LIKE 'own%%' ORDER BY number"
    assert postgres(target, steps) == [
        (f"after {at}", f"own [[hook]] #{number}") for number, (at, *_) in enumerate(seen, 1)
    ]
    assert converge("verify", *ends).code == 0
    postgres(target, "DROP TABLE seen")
    assert "V111" in converge("verify", *ends).out
    rules.write_text('[[hook]]\nphase = "after_copy"\nsql = "UPDATE film SET n = 3"\n')
    ran = converge("migrate", *ends, "--map", str(rules), "--recreate", "--yes", "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    rules.write_text('[[hook]]\nphase = "after_copy"\nsql = "SELECT 1 / n FROM part"\n')
    postgres(target, "CREATE TABLE part AS SELECT 0 AS n")
    ran = converge("migrate", *ends, "--map", str(rules), "--recreate", "--yes")
    assert (ran.code, "own [[hook]] #1, after copy" in ran.err) == (5, True), ran.err
    assert "SELECT 1 / n FROM part" in ran.err and "SET LOCAL" not in ran.err
    assert "division by zero" in ran.err and "value of the source" not in ran.err
    postgres(target, "UPDATE part SET n = 1")
    assert converge("migrate", *ends, "--resume").code == 0


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("CREATE TABLE x (i int); ROLLBACK", "one transaction"),
        ("CREATE TABLE x (i int); COMMIT; CREATE TABLE y (i int)", "one transaction"),
        ("BEGIN; CREATE TABLE x (i int); END -- so", "one transaction"),
        ("CREATE TABEL x (i int)", "TABEL"),
        ("CREATE TABLE x (i int) /*", "unterminated"),
        ("ANALYZE x; VACUUM x", "cannot run in a transaction.*VACUUM x"),
        ("CREATE INDEX CONCURRENTLY ON x (i)", "cannot run in a transaction"),
        ("DROP INDEX CONCURRENTLY x", "cannot run in a transaction"),
        ("ALTER TABLE x DETACH PARTITION y CONCURRENTLY", "cannot run in a transaction"),
        ("REINDEX TABLE CONCURRENTLY x", "cannot run in a transaction"),
        ("REINDEX SCHEMA x", "cannot run in a transaction"),
        ("CLUSTER", "cannot run in a transaction"),
        ("DISCARD ALL", "cannot run in a transaction"),
        ("CREATE DATABASE x", "cannot run in a transaction"),
        ("ALTER DATABASE x SET TABLESPACE y", "cannot run in a transaction"),
        ("ALTER SYSTEM SET work_mem = '1MB'", "cannot run in a transaction"),
        ("CREATE SUBSCRIPTION x CONNECTION 'y' PUBLICATION z", "cannot run in a transaction"),
        ("COPY x FROM STDIN", "client"),
        ("COPY (SELECT 1) TO STDOUT", "client"),
    ],
)
def test_a_hook_that_is_not_one_transaction_is_refused(sql: str, why: str, tmp_path: Path) -> None:
    fine = "DO $$ BEGIN NULL; END $$; CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; END; ANALYZE x; CLUSTER x; "
    fine += "REFRESH MATERIALIZED VIEW CONCURRENTLY x; REINDEX TABLE x; COPY x FROM '/x'; DISCARD TEMP -- so"
    hooks = (f'[[hook]]\nphase = "after_copy"\nsql = {json.dumps(one)}' for one in (fine, sql))
    with pytest.raises(UsageError, match=rf"own \[\[hook\]\] #2: .*{why}"):
        load(map_of(tmp_path, *hooks)[1:])
