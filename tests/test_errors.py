"""Each mistake that users make: one clear message, its exit code, and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import Ran, converge, mysql, postgres, relations

from converge.codes import Code
from converge.model.endpoint import parse
from converge.model.finding import Finding
from converge.run.blockers import blocked
from converge.sandbox import Server

PASSWORD = "s3cret-canary"
NOWHERE = ("--source", "mysql://a@b/c", "--target", "postgresql://a@b/c")


@pytest.fixture
def source(mysql_8015: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8015)
    mysql(url, "CREATE TABLE note (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO note VALUES (1, 'a')")
    return url


@pytest.fixture
def target(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


def refused(ran: Ran, code: int, error: str) -> None:
    assert ran.code == code, ran.err
    assert f"\nerror[{error}]: " in f"\n{ran.err}", ran.err
    assert ran.err.count("error[") == 1
    assert "Traceback" not in ran.err
    assert PASSWORD not in ran.err + ran.out
    assert "hint   " in ran.err


def at(url: str, user: str) -> str:
    """The same address for another user."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{PASSWORD}@{rest.rpartition('@')[2]}"


def test_a_wrong_source_password(source: str, target: str) -> None:
    mysql(source, f"CREATE USER IF NOT EXISTS someone@'%%' IDENTIFIED BY '{PASSWORD}x'")
    ran = converge("migrate", "--source", at(source, "someone"), "--target", target)
    refused(ran, 4, "S002")
    assert "wrong user name or password" in ran.err
    assert relations(target) == []


def test_a_missing_source_database(source: str, target: str) -> None:
    ran = converge("migrate", "--source", source.rsplit("/", 1)[0] + "/nowhere", "--target", target)
    refused(ran, 4, "S003")
    assert "no database 'nowhere'" in ran.err
    assert relations(target) == []


def test_an_unreachable_source(target: str) -> None:
    refused(converge("migrate", "--source", "mysql://root@127.0.0.1:1/db", "--target", target), 4, "S001")
    assert relations(target) == []


def test_a_source_user_with_rights_on_some_tables_only(source: str, target: str) -> None:
    database = parse(source).database
    mysql(source, f"CREATE USER some_tables@'%' IDENTIFIED BY '{PASSWORD}'")
    mysql(source, f"GRANT SELECT ON {database}.note TO some_tables@'%'")
    ran = converge("migrate", "--source", at(source, "some_tables"), "--target", target)
    refused(ran, 3, "S004")
    assert f"GRANT SELECT ON `{database}`.* TO 'some_tables'@'%';" in ran.err
    assert relations(target) == []


def test_a_source_user_with_select_only_migrates(source: str, target: str) -> None:
    mysql(source, f"CREATE USER one_table@'%%' IDENTIFIED BY '{PASSWORD}'")
    mysql(source, f"GRANT SELECT ON {parse(source).database}.* TO one_table@'%%'")
    ran = converge("migrate", "--source", at(source, "one_table"), "--target", target, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert ran.json["snapshot"] in ("quiet", "none")
    # What the user may not see is said, not left out.
    unseen = {one["object"] for one in ran.json["findings"] if not one["code"].startswith("F")}
    assert unseen == {"views", "triggers", "events", "routines"}
    assert PASSWORD not in ran.out + ran.err


def test_a_caching_sha2_user_migrates(source: str, target: str) -> None:
    mysql(source, f"CREATE USER sha2@'%%' IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'")
    mysql(source, "GRANT SELECT ON *.* TO sha2@'%%'")
    ran = converge("migrate", "--source", at(source, "sha2"), "--target", target, "--json")
    assert ran.code == 0, ran.err


def test_a_wrong_target_password_is_not_asked_for_twice(source: str, target: str) -> None:
    ran = converge("migrate", "--source", source, "--target", at(target, "nobody_here"))
    assert ran.code == 5
    assert ran.err.startswith("error[T180]")
    assert PASSWORD not in ran.err


def test_a_missing_target_database(source: str, target: str) -> None:
    ran = converge("migrate", "--source", source, "--target", target.rsplit("/", 1)[0] + "/nowhere")
    refused(ran, 5, "T003")
    assert "CREATE DATABASE \"nowhere\" TEMPLATE template0 ENCODING 'UTF8';" in ran.err


def test_a_role_that_the_server_does_not_take(source: str, target: str) -> None:
    """The server answers: neither host nor firewall is wrong."""
    postgres(target, "CREATE ROLE nolog NOLOGIN")
    for role, hint in (("nobody", 'CREATE ROLE "nobody" LOGIN'), ("nolog", 'ALTER ROLE "nolog" LOGIN;')):
        ran = converge("plan", "--source", source, "--target", target.replace("postgres@", f"{role}@"))
        refused(ran, 5, "T180")
        assert f'role "{role}" ' in ran.err and hint in ran.err and "firewall" not in ran.err
        assert "-- the user name came from --target" in ran.err and ";;" not in ran.err
    postgres(target, "DROP ROLE nolog")
    shut = target.rpartition("/")[0] + "/shut"
    postgres(target, "CREATE DATABASE shut ALLOW_CONNECTIONS false")
    ran = converge("doctor", "--source", source, "--target", shut)
    assert ran.code == 5 and "is not currently accepting connections" in ran.out
    assert "firewall" not in ran.out
    postgres(target, "DROP DATABASE shut")


def test_an_unreachable_target(source: str) -> None:
    refused(converge("migrate", "--source", source, "--target", "postgresql://a@127.0.0.1:1/db"), 5, "T001")


def test_a_target_role_without_rights(source: str, target: str) -> None:
    postgres(target, "DROP ROLE IF EXISTS guest")
    postgres(target, "CREATE ROLE guest LOGIN")
    postgres(target, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    ran = converge("migrate", "--source", source, "--target", target.replace("postgres@", "guest@"))
    refused(ran, 3, "T004")
    assert f'GRANT CREATE ON DATABASE "{parse(target).database}" TO "guest";' in ran.err
    assert 'GRANT USAGE, CREATE ON SCHEMA "public" TO "guest";' in ran.err
    assert relations(target) == []
    postgres(target, f'GRANT CREATE ON DATABASE "{parse(target).database}" TO guest')
    postgres(target, "GRANT CREATE ON SCHEMA public TO guest")
    again = converge(
        "migrate", "--source", source, "--target", target.replace("postgres@", "guest@"), "--json"
    )
    assert again.json["verdict"] == "verified", again.err
    postgres(target, "DROP OWNED BY guest")
    postgres(target, "DROP ROLE guest")


def test_a_target_that_is_not_empty(source: str, target: str) -> None:
    postgres(target, "CREATE TABLE note (id int)")
    postgres(target, "INSERT INTO note VALUES (7)")
    ran = converge("migrate", "--source", source, "--target", target)
    refused(ran, 3, "T005")
    assert "public.note has rows" in ran.err
    assert postgres(target, "SELECT id FROM note") == [(7,)]
    assert relations(target) == ["public.note"]
    done = converge("migrate", "--source", source, "--target", target, "--recreate", "--yes", "--json")
    assert done.json["verdict"] == "verified", done.err


def test_a_run_that_was_killed_can_be_resumed_and_one_of_another_source_is_named(
    source: str, target: str
) -> None:
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "UPDATE converge.run SET state = 'running'")
    ran = converge("migrate", "--source", source, "--target", target)
    refused(ran, 3, "T005")
    assert "--resume continues the interrupted run 1; " in ran.err
    postgres(target, "UPDATE converge.run SET source = 'dump:other.sql'")
    ran = converge("migrate", "--source", source, "--target", target, "--resume")
    refused(ran, 2, "T010")
    assert "the interrupted run 1 is of dump:other.sql into the schema public; this is mysql://" in ran.err


def test_recreate_never_cascades(source: str, target: str) -> None:
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "CREATE VIEW mine AS SELECT id FROM note; CREATE VIEW on_it AS SELECT id FROM mine")
    postgres(target, "CREATE TABLE child (id INT REFERENCES note, n note); CREATE INDEX ON note (id)")
    ran = converge("migrate", "--source", source, "--target", target, "--recreate", "--yes")
    refused(ran, 3, "T028")
    for name in ("view public.mine", "constraint child_id_fkey on table public.child",
                 "column n of table public.child"):  # fmt: skip
        assert f"{name} depends on t" in ran.err, ran.err
    for command in ("plan", "doctor"):
        told = converge(command, "--source", source, "--target", target, "--recreate", "--json")
        blocks = [one for one in told.json["findings"] if one["severity"] == "block"]
        assert (told.code, [one["code"] for one in blocks]) == (3, ["T028"]), told.out
    assert postgres(target, "SELECT id FROM on_it") == [(1,)]
    assert postgres(target, "SELECT count(*) FROM converge.run") == [(1,)]


def test_a_database_that_is_not_utf8(source: str, postgres_175: Server) -> None:
    postgres(
        postgres_175.database_url("postgres"),
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    )
    try:
        ran = converge("migrate", "--source", source, "--target", postgres_175.database_url("latin"))
        refused(ran, 3, "T008")
    finally:
        postgres_175.drop_database("latin")


def test_a_plan_that_no_longer_fits(source: str, target: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    addresses = ("--source", source, "--target", target)
    assert converge("plan", *addresses, "-o", str(plan)).code == 0
    assert plan.stat().st_mode & 0o777 == 0o600
    mysql(source, "ALTER TABLE note ADD flag TINYINT")
    ran = converge("migrate", *addresses, "--plan", str(plan))
    refused(ran, 3, "P005")
    assert "column note.flag: not there → tinyint" in ran.err
    other = converge("migrate", *addresses, "--schema", "other", "--plan", str(plan))
    refused(other, 3, "P005")
    assert "schema: public → other" in other.err
    edited = tmp_path / "edited.json"
    edited.write_text(plan.read_text().replace('"CREATE TABLE', '"CREATE UNLOGGED TABLE'))
    refused(converge("migrate", *addresses, "--plan", str(edited)), 2, "U013")
    assert relations(target) == []
    assert converge("plan", *addresses, "-o", str(plan)).code == 0
    assert converge("migrate", *addresses, "--plan", str(plan)).code == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("migrate",), "U001"),
        (("migrate", "--source", "postgresql://a@b/c", "--target", "postgresql://a@b/c"), "U002"),
        (("plan", "--source", "mysql:/oops"), None),
        (("plan", "--source", "http://a/b"), "U002"),
        (("plan", "--source", "mysql://root@127.0.0.1:1/db", "--map", "mysql9"), "M001"),
        (("migrate", *NOWHERE, "--plan", "/no"), "U006"),
        (("migrate", *NOWHERE, "--report", "x.pdf"), "U005"),
        (("migrate", *NOWHERE, "--report", "/nowhere/x.md"), "U004"),
        (("plan", *NOWHERE, "--html", "x.pdf"), "U005"),
        (("plan", *NOWHERE, "--md", "x.html"), "U005"),
        (("plan", *NOWHERE, "-o", "plan.html"), "U005"),
        (("plan", *NOWHERE, "--write-map", "map.json"), "U005"),
        (("matrix", *NOWHERE[:2], "--postgres", "14", "--junit", "x.json"), "U005"),
        (("plan", *NOWHERE, "--schema", ""), "U182"),
        (("migrate", *NOWHERE, "--schema", "a" * 64), "U182"),
        (("recover", "--target", "postgresql://a@127.0.0.1:1/db", "--schema", "converge"), "U182"),
        (("plan", "--source", "mysql://a@127.0.0.1:1"), "U183"),
        (
            ("migrate", "--source", "mysql://a@127.0.0.1:1/db", "--target", "postgresql://a@127.0.0.1:1/"),
            "U183",
        ),
    ],
)
def test_usage(arguments: tuple[str, ...], error: str | None) -> None:
    ran = converge(*arguments)
    if error is None:
        assert ran.code in (2, 4)
    else:
        refused(ran, 2, error)


def test_a_report_is_not_a_plan_file(source: str, target: str, tmp_path: Path) -> None:
    addresses = ("--source", source, "--target", target)
    report, nonsense = tmp_path / "r.json", tmp_path / "n.json"
    assert converge("migrate", *addresses, "--report", str(report)).code == 0
    ran = converge("migrate", *addresses, "--plan", str(report))
    refused(ran, 2, "U006")
    assert "r.json is the report of `converge migrate`, not a plan file" in ran.err
    (tmp_path / "plan.json").write_text("{}")
    for text in "[1]", "{", "[[table]]":
        nonsense.write_text(text)
        ran = converge("migrate", *addresses, "--plan", str(nonsense), folder=str(tmp_path))
        refused(ran, 2, "U006")
        # What the hint names can be written: it is not this file, nor another one.
        hint = f"converge plan {' '.join(addresses)} -o plan2.json"
        assert f"n.json is not a plan file of converge\n  hint   {hint}\n" in ran.err


def test_an_unknown_command_gets_a_suggestion() -> None:
    for words, meant in ((("migrat",), "migrate"), (("migrations", "genrate"), "generate")):
        ran = converge(*words)
        assert ran.code == 2 and f"did you mean '{meant}'?" in ran.err


def test_a_map_with_a_typo(source: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[column]]\nmatch = { tabel = "note" }\nto = "text"\n')
    ran = converge("plan", "--source", source, "--map", str(file))
    assert (ran.code, "did you mean 'table'?" in ran.err) == (2, True)
    file.write_text('[[column]]\nmatch = { table = "note", column = "text" }\nto = "point"\n')
    ran = converge("plan", "--source", source, "--map", str(file))
    assert (ran.code, "varchar(20) cannot become point" in ran.err) == (2, True)


def test_a_fault_of_a_map_names_its_rule(source: str, tmp_path: Path) -> None:
    """Not the rule that gives the column its type, which may be one of converge's own."""
    mysql(source, "CREATE TABLE day (d DATE, t VARCHAR(9) COLLATE utf8mb4_ja_0900_as_cs_ks)")
    file = tmp_path / "mine.toml"
    for section, fault, error, words in (
        ("type", 'policy = { zero_date = { replace = "never" } }', "M005", "zero_date of day.d cannot be"),
        ("column", 'using = "{} + RAND()"', "M006", "RAND is another value each time"),
        ("type", 'default = "1; DROP TABLE note"', "M006", "is not an expression"),
        ("column", 'to = "point"', "M003", " d: date cannot become point"),
        ("type", 'collation = "source"', "M007", "day.t: no counterpart of utf8mb4_ja"),
    ):
        file.write_text(f'[[{section}]]\nmatch = {{ type = "int" }}\nto = "bigint"\n[[{section}]]\n{fault}\n')
        ran = converge("plan", "--source", source, "--map", str(file), "--include", "day")
        refused(ran, 2, error)
        assert f"mine [[{section}]] #2: " in ran.err and words in ran.err, ran.err


def test_a_server_that_cannot_be_trusted(source: str, target: str) -> None:
    """The temporary MySQL has a certificate of its own making, the PostgreSQL none."""
    ran = converge("migrate", "--source", source + "?ssl-mode=VERIFY_IDENTITY", "--target", target)
    refused(ran, 4, "S007")
    assert "?ssl-ca=FILE" in ran.err
    refused(converge("migrate", "--source", source, "--target", target + "?sslmode=verify-full"), 5, "T013")
    assert relations(target) == []
    encrypted = converge("migrate", "--source", source + "?ssl-mode=REQUIRED", "--target", target, "--json")
    assert encrypted.json["verdict"] == "verified", encrypted.err


def test_errors_as_json(source: str, target: str) -> None:
    ran = converge("migrate", "--source", source, "--target", target.rsplit("/", 1)[0] + "/nowhere", "--json")
    assert ran.json["exit_code"] == ran.code == 5
    assert ran.json["verdict"] == "failed"
    assert ran.json["findings"][0]["code"] == "T003"


def test_two_columns_with_one_name(source: str, target: str, tmp_path: Path) -> None:
    mysql(source, "CREATE TABLE twins (one INT, two INT, xmin INT, xmin_ INT)")
    names = tmp_path / "names.toml"
    names.write_text('[[column]]\nmatch = {table = "twins", column = "two"}\nrename = "one"\n')
    addresses = ("--source", source, "--target", target)
    ran = converge("migrate", *addresses, "--map", str(names))
    assert ran.code == 3
    assert "P007 twins.two: 2 columns would be called one" in ran.err
    assert "P007 twins.xmin_: 2 columns would be called xmin_" in ran.err
    assert relations(target) == []


@pytest.mark.parametrize(
    ("hint", "where"), [("[[table]]\nskip = true", ", in a file for --map"), ("ALTER …;", "")]
)
def test_only_an_entry_of_a_map_goes_into_one(hint: str, where: str) -> None:
    found = [Finding(Code.L005, "block", name, "no default", hint) for name in "ab"]
    assert blocked(found).hint == f"for the first of them{where}:\n{hint}"


def test_characters_that_the_locale_lacks() -> None:
    """They are escaped for people; SQL and other files are UTF-8 on stdout, too."""
    sql = "from converge.cli.outputs import write_private; write_private('-', 'SELECT \u2026')"
    for words, said in (
        (("-m", "converge", "explain", "A006"), rb"\u2026"),
        (("-c", sql), "SELECT …\n".encode()),
    ):
        shown = subprocess.run(
            [sys.executable, *words],
            capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "latin-1"},
        )  # fmt: skip
        assert (shown.returncode, shown.stderr, said in shown.stdout) == (0, b"", True), shown
