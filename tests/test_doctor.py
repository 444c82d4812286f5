"""`converge doctor`: what it shows of both sides, what it finds, and that it writes nothing."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NewDatabase
from jsonschema import ValidationError, validate
from support import converge, mysql, postgres, relations

from converge import api
from converge.model.endpoint import parse
from converge.model.facts import Disk, Setting
from converge.mysql.capabilities import unsupported
from converge.mysql.connect import connect as connect_source
from converge.mysql.facts import read_facts as read_source_facts
from converge.mysql.grants import covers, read_grant, read_roles
from converge.mysql.privileges import read_privileges
from converge.postgres.connect import connect
from converge.postgres.facts import free_space, read_facts
from converge.postgres.privileges import lacking
from converge.postgres.target import read_target
from converge.run.health import check_source, check_space, check_target
from converge.run.options import Options
from converge.sandbox import Server
from tools.schemas import schemas

PASSWORD = "s3cret-canary"
NOWHERE = "mysql://someone@127.0.0.1:1/db"
FOLDER = Path(__file__).parents[1]


@pytest.fixture
def source(mysql_8033: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8033)
    mysql(url, "CREATE TABLE note (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO note VALUES (1, 'a')")
    return url


@pytest.fixture
def target(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


def codes(document: dict[str, object], severity: str) -> set[str]:
    findings = document["findings"]
    assert isinstance(findings, list)
    return {one["code"] for one in findings if one["severity"] == severity}


def test_both_sides_in_order(source: str, target: str, tmp_path: Path) -> None:
    ran = converge("doctor", "--source", source, "--target", target, "--jobs", "2")
    assert ran.code == 0, ran.err
    for words in (
        "ready to migrate: no blockers; rows are not checked · 3 notes to read",
        " from --source\n",
        ", 11 of 11 privileges",
        "MySQL 8.0.33",
        "1 table, 0 views",
        "locked: 'root'@'localhost' may flush tables",
        "PostgreSQL 17.5",
        "ledger: none yet",
        "        hint  CREATE ROLE converge",
    ):
        assert words in ran.out, ran.out
    assert ran.out.count("\n") <= 30
    whole = converge("doctor", "--source", source, "--target", target, "-v").out
    for words in (
        "locked: FLUSH TABLES WITH READ LOCK",
        "from      --source",
        "UTF8",
        "installable: citext",
    ):
        assert words in whole, whole
    files = tmp_path / "doctor.html", tmp_path / "doctor.md"
    asked = ("--html", str(files[0]), "--md", str(files[1]), "--json")
    document = converge("doctor", "--source", source, "--target", target, *asked).json
    for text in (file.read_text("utf-8") for file in files):
        for words in ("SHOW_ROUTINE", "from 15", "installable: citext", "CREATE ROLE converge"):
            assert words in text.replace("\\_", "_"), words
        assert parse(source).database in text.partition("</h1>")[0]
    assert (document["command"], document["verdict"], document["exit_code"]) == ("doctor", "ready", 0)
    assert document["snapshot"] == "locked"
    assert document["source"]["tables"] == 1
    assert document["target"]["encoding"] == "UTF8"
    assert document["needed_bytes"] > 0
    assert codes(document, "block") == set()
    assert relations(target) == []


def test_the_role_that_a_superuser_is_told_to_make_is_enough(source: str, target: str) -> None:
    """Into a new database, and beside the ledger of an earlier run."""
    for step in ("new", "after a run"):
        if step == "after a run":
            assert converge("migrate", "--source", source, "--target", target, "--schema", "app").code == 0
            assert converge("migrate", "--source", source, "--target", target, "--schema", "app").code == 3
        found = converge("doctor", "--target", target, "--json").json["findings"]
        (hint,) = (one["hint"] for one in found if one["code"] == "T026")
        postgres(target, re.sub(r"(ROLE|TO) converge\b", r"\1 hinted_role", hint))
        try:
            limited = target.replace("postgres@", "hinted_role:…@")
            ran = converge("doctor", "--source", source, "--target", limited, "--json")
            assert ran.code == 0 and "T020" not in codes(ran.json, "note"), ran.out
        finally:
            postgres(target, "DROP OWNED BY hinted_role")
            postgres(target, "DROP ROLE hinted_role")


def test_older_servers(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    ran = converge("doctor", "--source", source, "--target", target, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["source"]["version"] == "8.0.15"


def test_one_side_alone(source: str, target: str) -> None:
    ran = converge("doctor", "--source", source, "--json")
    assert (ran.code, ran.json["target"]) == (0, {})
    validate(ran.json, schemas()["doctor.schema.json"])
    with pytest.raises(ValidationError):
        validate(ran.json | {"snapshot": 1}, schemas()["doctor.schema.json"])
    ran = converge("doctor", "--target", target, "--json")
    assert (ran.code, ran.json["source"]) == (0, {})
    ran = converge("doctor")
    assert (ran.code, "error[U001]" in ran.err) == (2, True)


def test_the_function_is_the_command(source: str, target: str) -> None:
    """Neither looks at rows, so what they hold is left to the plan."""
    mysql(source, "INSERT INTO note VALUES (2, 0x6100)")
    found = api.doctor(source, target)
    ran = converge("doctor", "--source", source, "--target", target, "--json")
    assert (ran.code, found.exit_code, found.verdict) == (0, 0, "ready")
    told = [(one["severity"], one["code"], one["object"]) for one in ran.json["findings"]]
    assert [(one.severity, one.code, one.object) for one in found.findings] == told
    assert api.plan(source, target).blocks


def test_a_side_that_fails_does_not_hide_the_other(source: str, target: str) -> None:
    ran = converge("doctor", "--source", NOWHERE, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["target"]["version"]) == (4, "failed", "17.5")
    assert codes(ran.json, "block") == {"S001"}
    validate(ran.json, schemas()["doctor.schema.json"])
    wrong = target.rsplit("/", 1)[0] + "/nowhere"
    ran = converge("doctor", "--source", source, "--target", wrong, "--json")
    assert (ran.code, ran.json["source"]["version"]) == (5, "8.0.33")
    ran = converge("doctor", "--source", NOWHERE, "--target", wrong, "--json")
    assert (ran.code, codes(ran.json, "block")) == (4, {"S001", "T003"})
    unnamed = converge("doctor", "--source", source.rsplit("/", 1)[0])
    assert (unnamed.code, "error[U183]" in unnamed.err) == (2, True)


def test_all_that_a_limited_user_and_role_lack(source: str, target: str) -> None:
    database = parse(target).database
    login = f"caching_sha2_password BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 2"
    mysql(source, f"CREATE USER seen@'%' IDENTIFIED WITH {login}")
    mysql(source, f"GRANT INSERT ON `{parse(source).database}`.* TO seen@'%'")
    postgres(target, "DROP ROLE IF EXISTS seen")
    postgres(target, f"CREATE ROLE seen LOGIN CONNECTION LIMIT 3 PASSWORD '{PASSWORD}'")
    postgres(target, f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    postgres(target, f"ALTER ROLE seen IN DATABASE {database} SET statement_timeout = '7s'")
    ends = (
        "--source", source.replace("root@", f"seen:{PASSWORD}@"),
        "--target", target.replace("postgres@", f"seen:{PASSWORD}@"), "--jobs", "4", "--json",
    )  # fmt: skip
    try:
        ran = converge("plan", *ends)
        assert (ran.code, ran.json["verdict"]) == (3, "blocked"), ran.err
        assert {"S021", "T021"} <= codes(ran.json, "block")
        ran = converge("doctor", *ends)
        assert ran.code == 3, ran.err
        assert codes(ran.json, "block") == {"S004", "S021", "T004", "T021"}
        assert codes(ran.json, "note") == {"S020", "S025", "S028", "T020", "T041"}
        assert all(one["hint"] for one in ran.json["findings"])
        assert ran.json["snapshot"] == "quiet"
        assert ran.json["source"]["plugin"] == "caching_sha2_password"
        shown = converge("doctor", "-v", "--target", target.replace("postgres@", f"seen:{PASSWORD}@"))
        assert "overridden statement_timeout 7000 ms" in shown.out
        assert PASSWORD not in ran.out + ran.err + shown.out + shown.err
    finally:
        mysql(source, "DROP USER seen@'%'")
        postgres(target, "DROP OWNED BY seen")
        postgres(target, "DROP ROLE seen")


@pytest.mark.parametrize(
    ("rights", "level", "how"),
    [
        ("FLUSH_TABLES", "locked", "FLUSH TABLES WITH READ LOCK"),
        ("REPLICATION CLIENT", "quiet", "the server's logs must not move meanwhile, then there is none"),
        ("TRIGGER", "quiet", "the server's logs must not move meanwhile, then there is none"),
        ("LOCK TABLES", "quiet", "then LOCK TABLES … READ"),
        ("LOCK TABLES, REPLICATION CLIENT", "quiet", "then LOCK TABLES … READ"),
    ],
)
def test_the_snapshot_that_is_possible_and_why(rights: str, level: str, how: str, source: str) -> None:
    mysql(source, "CREATE USER doctored@'%' IDENTIFIED WITH mysql_native_password BY 'x'")
    try:
        mysql(source, f"GRANT SELECT, {rights} ON *.* TO doctored@'%'")
        ran = converge("doctor", "--source", source.replace("root@", "doctored:x@"), "--json")
        snapshot = ran.json["source"]["snapshot"]
        assert (ran.json["snapshot"], how in snapshot["how"]) == (level, True), snapshot
    finally:
        mysql(source, "DROP USER doctored@'%'")


def test_what_can_go_wrong_later(source: str, target: str) -> None:
    """An engine without snapshots, event triggers, and a server that is not trusted."""
    mysql(source, "CREATE TABLE old (id INT) ENGINE = MyISAM")
    postgres(target, "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
    postgres(target, "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch()")
    ran = converge("doctor", "--source", source + "?ssl-mode=REQUIRED", "--target", target, "--json")
    assert ran.code == 0, ran.err
    assert {"P072", "T025", "T026"} <= codes(ran.json, "note")
    assert ran.json["source"]["tls"]["version"].startswith("TLS")
    assert ran.json["source"]["tls"]["verified"] == "nothing"


def test_where_each_value_came_from(source: str, target: str, tmp_path: Path) -> None:
    at, there = parse(source), parse(target)
    (tmp_path / ".my.cnf").write_text(f"[client]\nuser = root\ndatabase = {at.database}\n")
    environment: dict[str, Any] = {
        "HOME": str(tmp_path),
        "MYSQL_HOST": at.host,
        "MYSQL_TCP_PORT": str(at.port),
        "PGHOST": there.host,
        "PGPORT": str(there.port),
        "PGUSER": "postgres",
        "PGDATABASE": there.database,
    }
    ran = converge("doctor", "--json", **environment)
    assert ran.code == 0, ran.err
    assert ran.json["source"]["origins"] == {
        "host": "MYSQL_HOST", "port": "MYSQL_TCP_PORT", "user": "~/.my.cnf", "database": "~/.my.cnf",
    }  # fmt: skip
    assert ran.json["target"]["origins"] == {
        "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "database": "PGDATABASE",
    }  # fmt: skip
    ((socket,),) = mysql(source, "SELECT @@socket")
    ran = converge("doctor", "--json", HOME=str(tmp_path), MYSQL_UNIX_PORT=socket)
    assert (ran.code, ran.json["source"]["origins"]["socket"]) == (0, "MYSQL_UNIX_PORT"), ran.err
    mixed = converge("doctor", **environment, CONVERGE_SOURCE_URL=source)
    assert " from CONVERGE_SOURCE_URL\n" in mixed.out
    assert "host PGHOST, port PGPORT" in mixed.out


def test_checks_of_the_target_are_pure(target: str) -> None:
    """What no temporary server shows: a standby, another encoding, a tablespace, a full disk."""
    at = parse(target)
    with connect(at) as connection:
        known = read_target(connection, "public")
        facts = read_facts(connection, known, at, None)
    worse = replace(known, standby=True, encoding="LATIN1", tablespace="slow")
    assert [one.code for one in lacking(worse)] == ["T014", "T008", "T004"]
    assert 'GRANT CREATE ON TABLESPACE "slow" TO "postgres";' in [one.hint for one in lacking(worse)]
    worse_facts = replace(facts, locks=600, settings=(Setting("wal_level", "logical"),), superuser=False)
    found = check_target(worse_facts, replace(at, host="db.example"), Options(jobs=60), tables=101)
    assert [one.code for one in found] == ["T021", "T023", "T022", "T027"]
    tight = replace(facts, disk=Disk("/data", 1_000))
    severities = [[one.severity for one in check_space(tight, needed)] for needed in (500, 501, 1_001)]
    assert severities == [[], ["note"], ["block"]]


def test_checks_of_the_source_are_pure(source: str) -> None:
    """What no temporary server shows: an old login, loose modes, a statement that goes on and on."""
    at = parse(source)
    with closing(connect_source(at)) as connection:
        facts = read_source_facts(connection, read_privileges(connection, at.database), None)
    worse = replace(
        facts, connections=150, max_connections=151, idle_roles=("`r`@`%`",), sql_mode="",
        longest_statement=60, plugin="mysql_native_password",
    )  # fmt: skip
    found = check_source(worse, replace(at, host="db.example"), Options(jobs=4, parallel=3))
    assert "--jobs 4 with parallel = 3 needs 6" in found[0].message
    assert [one.code for one in found] == ["S021", "S022", "S023", "S024", "S026", "S027", "S028"]


def test_free_space_only_of_the_same_server(tmp_path: Path) -> None:
    assert free_space(str(tmp_path), str(tmp_path), 1000) is None
    (tmp_path / "postmaster.pid").write_text("1\n/data\n1000\n5432\n")
    assert free_space(str(tmp_path), str(tmp_path), 1002) is not None
    assert free_space(str(tmp_path), str(tmp_path), 5000) is None


@pytest.mark.parametrize(
    ("line", "rights", "on_columns", "place", "revoked"),
    [
        ("GRANT USAGE ON *.* TO `a`@`%`", {"USAGE"}, set(), ("", ""), False),
        ("GRANT BACKUP_ADMIN,SHOW_ROUTINE ON *.* TO `a`@`%`", {"BACKUP_ADMIN", "SHOW_ROUTINE"}, set(),
         ("", ""), False),
        ("GRANT SELECT (`a, ON ``b``.* TO`, `c`), INSERT ON `d`.`t` TO `a`@`%`", {"INSERT"}, {"SELECT"},
         ("d", "t"), False),
        # As Aurora prints it.
        ("GRANT SELECT, LOAD FROM S3, AWS_LOAD_S3_ACCESS ON *.* TO `a`@`%`",
         {"SELECT", "LOAD FROM S3", "AWS_LOAD_S3_ACCESS"}, set(), ("", ""), False),
        ("GRANT LOCK TABLES ON `x``y`.* TO `a`@`%`", {"LOCK TABLES"}, set(), ("x`y", ""), False),
        ("REVOKE SELECT ON `d`.* FROM `a`@`%`", {"SELECT"}, set(), ("d", ""), True),
    ],
)  # fmt: skip
def test_lines_of_show_grants(
    line: str, rights: set[str], on_columns: set[str], place: tuple[str, str], revoked: bool
) -> None:
    grant = read_grant(line)
    assert grant is not None
    assert (set(grant.privileges), set(grant.on_columns)) == (rights, on_columns)
    assert ((grant.database, grant.table), grant.revoked) == (place, revoked)


def test_lines_that_give_other_things() -> None:
    lines = [
        "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
        "GRANT EXECUTE ON PROCEDURE `d`.`p` TO `a`@`%`",
        "GRANT `r1`@`%`,`r 2`@`%` TO `a`@`%` WITH ADMIN OPTION",
    ]
    assert [read_grant(line) for line in lines] == [None, None, None]
    assert read_roles(lines) == ("`r1`@`%`", "`r 2`@`%`")
    assert covers("sh%", "shop") and covers("sho_", "shop") and not covers("sho\\_", "shop")


def test_servers_that_are_no_mysql_8() -> None:
    assert unsupported("8.0.33") == unsupported("9.1.0-commercial") == ""
    assert "MySQL 5.7.44-log" in unsupported("5.7.44-log")
    assert "MariaDB" in unsupported("10.11.6-MariaDB-0+deb12u1")


def test_every_code_is_documented() -> None:
    documented = set(re.findall(r"^\| ([CSPT]\d{3}) ", (FOLDER / "docs/doctor.md").read_text(), re.MULTILINE))
    modules = (
        "mysql/privileges.py", "planner/notes.py", "postgres/privileges.py", "run/health.py",
    )  # fmt: skip
    used = {
        code
        for module in modules
        for code in re.findall(r"Code\.([CSPT]\d{3})", (FOLDER / "converge" / module).read_text())
        if not (module.startswith("planner") and code.startswith("P"))  # what a plan says of objects
    }
    assert used <= documented
