"""Privileges of both roles: what a run needs is all that it needs, and what is missing is named at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from conftest import NewDatabase
from support import Ran, converge, mysql, postgres, relations

from converge.model.endpoint import parse
from converge.sandbox import Server

SCHEMA = """
CREATE TABLE author (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, UNIQUE (name));
CREATE TABLE book (id INT AUTO_INCREMENT PRIMARY KEY, author INT NOT NULL,
    title VARCHAR(80) COMMENT 'as printed', kind ENUM('a', 'b'), pages INT DEFAULT 1,
    changed TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    INDEX (title), FOREIGN KEY (author) REFERENCES author (id)
);
CREATE TABLE secret (id INT PRIMARY KEY, word VARCHAR(40), loud VARCHAR(40) AS (UPPER(word)) STORED);
CREATE VIEW titles AS SELECT title FROM book;
INSERT INTO author VALUES (1, 'A'), (2, 'B');
INSERT INTO book (author, title, kind) VALUES (1, 'One', 'a'), (2, 'Two', 'b'), (2, NULL, NULL);
INSERT INTO secret (id, word) VALUES (1, 'x');
"""
_numbers = count()

Login = Callable[..., str]


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> tuple[Server, Server]:
    """The newest pair, unless the test asks for others by their fixtures' names."""
    my, pg = getattr(request, "param", ("mysql_8033", "postgres_175"))
    return request.getfixturevalue(my), request.getfixturevalue(pg)


both_ends = pytest.mark.parametrize(
    "servers", [("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")], indirect=True, ids=" ".join
)


@pytest.fixture
def source(servers: tuple[Server, Server], new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(servers[0])
    mysql(url, SCHEMA)
    return url


@pytest.fixture
def target(servers: tuple[Server, Server], new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(servers[1])


@pytest.fixture
def user(source: str) -> Iterator[Login]:
    """`user("SELECT ON db.book", …)` gives the URL of a new source user with these privileges."""
    made = []

    def new(*privileges: str) -> str:
        name = f"limited_{next(_numbers)}"
        made.append(name)
        mysql(source, f"CREATE USER {name}@'%' IDENTIFIED WITH mysql_native_password BY 'x'")
        for privilege in privileges:
            mysql(source, f"GRANT {privilege.replace('db.', f'`{parse(source).database}`.')} TO {name}@'%'")
        return source.replace("root@", f"{name}:x@")

    yield new
    for name in made:
        mysql(source, f"DROP USER {name}@'%'")


@pytest.fixture
def role(target: str) -> Iterator[Login]:
    """`role("CREATE ON DATABASE …", …)` gives the URL of a new target role with these privileges."""
    made = []

    def new(*privileges: str, like: str = "LOGIN") -> str:
        name = f"limited_{next(_numbers)}"
        made.append(name)
        postgres(target, f"CREATE ROLE {name} {like}")
        for privilege in privileges:
            postgres(target, f"GRANT {privilege.replace('DB', parse(target).database)} TO {name}")
        return target.replace("postgres@", f"{name}@")

    yield new
    for name in reversed(made):
        postgres(target, f"DROP OWNED BY {name} CASCADE")
        postgres(target, f"DROP ROLE {name}")


def paste(url: str, statements: str, run: Callable[[str, str], object]) -> None:
    """Runs what a hint says, as an administrator would."""
    for statement in statements.splitlines():
        run(url, statement)


def migrate(source: str, target: str, *options: str) -> Ran:
    return converge("migrate", "--source", source, "--target", target, "--jobs", "2", "--json", *options)


def hints(ran: Ran) -> str:
    """The statements of all findings that block."""
    return "\n".join(one["hint"] for one in ran.json["findings"] if one["severity"] == "block")


def agree(source: str, target: str, codes: list[str], *options: str) -> Ran:
    """`plan` and `migrate` refuse for the same reasons, with exit code 3, and nothing is written."""
    planned = converge("plan", "--source", source, "--target", target, "--json", *options)
    before = relations(target)
    ran = migrate(source, target, *options)
    assert (planned.code, ran.code) == (3, 3), ran.err + planned.err
    assert [one["code"] for one in planned.json["findings"] if one["severity"] == "block"] == codes
    assert ran.json["verdict"] == "blocked"
    assert set(hints(ran).splitlines()) == set(hints(planned).splitlines())
    assert relations(target) == before
    return planned


@both_ends
def test_a_whole_run_with_the_least_privileges(
    source: str, target: str, user: Login, role: Login, tmp_path: Path
) -> None:
    """SELECT there; here two schemas made before, no privilege on the database, not even TEMPORARY."""
    postgres(target, f"REVOKE ALL ON DATABASE {parse(target).database} FROM PUBLIC")
    postgres(target, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    postgres(target, "CREATE SCHEMA converge")
    postgres(target, "CREATE SCHEMA app")
    limited = role(
        "CONNECT ON DATABASE DB", "USAGE, CREATE ON SCHEMA converge", "USAGE, CREATE ON SCHEMA app"
    )
    reader = user("SELECT ON db.*")
    for truncate in ([], ["--recreate", "--yes"]):
        ran = migrate(reader, limited, "--schema", "app", *truncate)
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert "P054" in {one["code"] for one in ran.json["findings"]}
    verified = converge("verify", "--source", reader, "--target", limited, "--schema", "app", "--json")
    assert verified.json["verdict"] == "verified", verified.err
    assert converge("status", "--target", limited, "--json").json["run"]["state"] == "finished"
    report = tmp_path / "report.md"
    assert converge("report", "--target", limited, "-o", str(report)).code == 0
    assert "verified" in report.read_text()
    assert postgres(target, "SELECT count(*) FROM app.book") == [(3,)]


def test_a_comparison_needs_no_more_than_to_read(source: str, target: str, user: Login, role: Login) -> None:
    postgres(target, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    assert migrate(source, target, "--schema", "app").code == 0
    reader, limited = user("SELECT ON db.*"), role()
    postgres(target, f"GRANT SELECT ON app.book TO {parse(limited).user}")
    arguments = ("verify", "--source", reader, "--target", limited, "--schema", "app", "--json")
    ran = converge(*arguments)
    assert (ran.code, ran.json["findings"][0]["code"]) == (3, "T004"), ran.err
    assert "may not read 3 of 3 tables" in ran.err and "author" in ran.err
    paste(target, hints(ran), postgres)
    assert converge(*arguments).json["verdict"] == "verified"


def test_an_interrupted_run_goes_on_with_the_least_privileges(
    source: str, target: str, user: Login, role: Login
) -> None:
    limited = role("CREATE ON DATABASE DB")
    reader = user("SELECT ON db.*")
    first = migrate(reader, limited, "--schema", "app")
    assert first.code == 0, first.err
    # As a run that died after its copy has left them.
    postgres(target, "UPDATE converge.run SET state = 'failed'")
    postgres(target, "DELETE FROM app.secret")
    postgres(target, "UPDATE converge.chunk SET done_at = NULL WHERE source_table = 'secret'")
    again = migrate(reader, limited, "--schema", "app", "--resume")
    assert again.json["verdict"] == "verified", again.err


def test_privileges_on_the_selected_tables_are_enough(source: str, target: str, user: Login) -> None:
    reader = user("SELECT ON db.author", "SELECT ON db.book")
    ran = migrate(reader, target, "--include", "author", "--include", "book")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    unseen = {one["object"]: one["hint"] for one in ran.json["findings"] if one["code"] == "P082"}
    assert unseen.keys() >= {"tables", "routines"}
    for hint in unseen.values():
        paste(source, hint, mysql)
    found = converge("plan", "--source", reader, "--target", target, "--json").json["findings"]
    assert "P082" not in [one["code"] for one in found]
    assert {"public.author", "public.book"} <= set(relations(target))


@pytest.mark.parametrize("options", [(), ("--include", "b*"), ("--exclude", "secret")])
def test_tables_that_could_be_unseen_are_named_one_by_one(
    options: tuple[str, ...], source: str, target: str, user: Login
) -> None:
    reader = user("SELECT ON db.author", "SELECT ON db.book", "INSERT ON db.secret")
    planned = agree(reader, target, ["S004"], *options)
    (finding,) = [one for one in planned.json["findings"] if one["code"] == "S004"]
    assert "author, book; --include NAME" in finding["evidence"]
    paste(source, finding["hint"], mysql)
    assert converge("plan", "--source", reader).code == 0


def test_each_selected_table_without_the_privilege_has_its_grant(
    source: str, target: str, user: Login
) -> None:
    """One is invisible, one shows a column, one may only be written."""
    reader = user("SELECT (id) ON db.author", "INSERT ON db.secret")
    options = ("--include", "author", "--include", "book", "--include", "secret")
    planned = agree(reader, target, ["S004"] * 3, *options)
    assert "some of its columns" in planned.out
    paste(source, hints(planned), mysql)
    assert converge("plan", "--source", reader, *options).code == 0


@both_ends
def test_a_role_that_is_not_active(source: str, target: str, user: Login) -> None:
    mysql(source, "CREATE ROLE keeper_role")
    try:
        reader = user("keeper_role")
        mysql(source, f"GRANT SELECT ON `{parse(source).database}`.* TO keeper_role")
        planned = agree(reader, target, ["S004"])
        assert "`keeper_role`@`%`" in planned.out
        assert hints(planned).startswith("SET DEFAULT ROLE ALL TO 'limited_")
        paste(source, hints(planned), mysql)
        assert converge("plan", "--source", reader).code == 0
    finally:
        mysql(source, "DROP ROLE keeper_role")


@both_ends
def test_a_database_that_a_pattern_names(source: str, target: str, user: Login) -> None:
    """Of several patterns the server takes the most specific alone, and so must the GRANT."""
    name = parse(source).database
    escaped = name.replace("_", "\\_")
    reader = user("SELECT ON `te%`.*")
    assert converge("plan", "--source", reader).code == 0
    mysql(source, f"GRANT INSERT ON `{escaped}`.* TO {parse(reader).user}@'%'")
    planned = agree(reader, target, ["S004"])
    paste(source, hints(planned), mysql)
    assert converge("plan", "--source", reader).code == 0


def test_a_partial_revoke(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    mysql(source, "SET GLOBAL partial_revokes = ON")
    try:
        mysql(source, "CREATE USER revoked@'%' IDENTIFIED WITH mysql_native_password BY 'x'")
        mysql(source, "GRANT SELECT, SHOW VIEW ON *.* TO revoked@'%'")
        mysql(source, f"REVOKE SELECT ON `{parse(source).database}`.* FROM revoked@'%'")
        reader = source.replace("root@", "revoked:x@")
        planned = agree(reader, target, ["S004"])
        paste(source, hints(planned), mysql)
        assert converge("plan", "--source", reader).code == 0
    finally:
        mysql(source, "DROP USER revoked@'%'")
        mysql(source, "SET GLOBAL partial_revokes = OFF")


def test_a_proxy_has_the_privileges_of_whom_it_stands_for(source: str, target: str, user: Login) -> None:
    mysql(source, "SET GLOBAL check_proxy_users = ON")
    mysql(source, "SET GLOBAL mysql_native_password_proxy_users = ON")
    try:
        proxied, login = user(), user()
        account = parse(proxied).user
        mysql(source, f"GRANT PROXY ON {account}@'%' TO {parse(login).user}@'%'")
        mysql(source, f"GRANT SELECT ON `{parse(source).database}`.author TO {account}@'%'")
        planned = agree(login, target, ["S004"])
        assert hints(planned).endswith(f"TO '{account}'@'%';")
        paste(source, hints(planned), mysql)
        assert converge("plan", "--source", login).code == 0
    finally:
        mysql(source, "SET GLOBAL check_proxy_users = OFF")
        mysql(source, "SET GLOBAL mysql_native_password_proxy_users = OFF")


def test_all_that_both_sides_lack_is_named_at_once(
    source: str, target: str, user: Login, role: Login
) -> None:
    reader = user("SELECT ON db.book")
    postgres(target, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    limited = role(parse(role("CREATE ON DATABASE DB", like="NOLOGIN")).user, like="LOGIN NOINHERIT")
    planned = agree(reader, limited, ["S004", "T004", "T004"])
    statements = hints(planned).splitlines()
    paste(source, statements[0], mysql)
    paste(target, "\n".join(statements[1:]), postgres)
    assert migrate(reader, limited).json["verdict"] == "verified"


def test_both_sides_that_cannot_be_reached_are_named_at_once() -> None:
    ran = converge("plan", "--source", "mysql://a@127.0.0.1:1/d", "--target", "postgresql://a@127.0.0.1:1/d")
    assert ran.code == 4
    assert "error[S001]: MySQL" in ran.err
    assert "and PostgreSQL at" in ran.err


def test_a_ledger_of_another_role(source: str, target: str, role: Login, tmp_path: Path) -> None:
    assert migrate(source, target, "--include", "secret").code == 0
    limited = role("CREATE ON DATABASE DB")
    postgres(target, "CREATE SCHEMA app")
    for command in (["status"], ["report", "-o", str(tmp_path / "report.md")]):
        ran = converge(*command, "--target", limited)
        assert (ran.code, "error[T004]" in ran.err) == (3, True), ran.err
        assert f'GRANT SELECT ON ALL TABLES IN SCHEMA "converge" TO "{parse(limited).user}";' in ran.err
    # A comparison by other options than the run's says why it has them, and what would give it the run's.
    postgres(target, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {parse(limited).user}")
    mysql(source, "ALTER TABLE book ADD `when` DATE")
    mysql(source, "SET SESSION sql_mode = ''; UPDATE book SET `when` = '0000-00-00'")
    blind = converge("verify", "--source", source, "--target", limited, "--include", "book", "--json")
    assert (blind.code, "V113 planned by the options of this command" in blind.err) == (3, True), blind.err
    assert "may not read the ledger" in blind.err and "GRANT SELECT ON ALL TABLES" in blind.err
    mysql(source, "ALTER TABLE book DROP COLUMN `when`")
    loads = ("--mode", "load", "--include", "secret")
    loaded = converge("plan", "--source", source, "--target", limited, "--json", *loads)
    refused = migrate(source, limited, *loads)
    assert (loaded.code, refused.code) == (3, 3), loaded.err + refused.err
    for ran in (loaded, refused):
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES" in hints(ran), ran.out
    planned = agree(source, limited, ["T004"] * 3, "--schema", "app")
    paste(target, hints(planned), postgres)
    assert migrate(source, limited, "--schema", "app").json["verdict"] == "verified"
    postgres(target, f"REVOKE UPDATE ON converge.run FROM {parse(limited).user}")
    for command in (["recover"], ["migrate", "--source", source, "--resume"]):
        ran = converge(*command, "--target", limited)
        assert (ran.code, "error[T004]" in ran.err) == (3, True), ran.err
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES" in ran.err


def test_an_older_ledger_of_another_role(source: str, target: str, role: Login) -> None:
    assert migrate(source, target, "--include", "secret").code == 0
    for undone in (
        "DROP TABLE converge.audit, converge.verification, converge.plan, converge.repair",
        "DROP TABLE converge.task, converge.worker, converge.changed, converge.prepared, "
        "converge.proven, converge.follow",
        "DROP TABLE converge.reject",
        "ALTER TABLE converge.chunk DROP COLUMN xid, DROP COLUMN rejected",
        "ALTER TABLE converge.run DROP COLUMN position, DROP COLUMN truncates, DROP COLUMN targets, "
        "DROP COLUMN paused, DROP COLUMN joins, DROP COLUMN next_values",
        "UPDATE converge.alembic_version SET version_num = '0002'",
    ):
        postgres(target, undone)
    limited = role("USAGE, CREATE ON SCHEMA converge", "ALL ON ALL TABLES IN SCHEMA converge")
    postgres(target, f"CREATE SCHEMA app AUTHORIZATION {parse(limited).user}")
    planned = agree(source, limited, ["T004"], "--schema", "app")
    paste(target, hints(planned), postgres)
    assert migrate(source, limited, "--schema", "app").json["verdict"] == "verified"


def test_tables_of_another_role_are_not_truncated(source: str, target: str, role: Login) -> None:
    assert migrate(source, target).code == 0
    limited = role("CREATE ON DATABASE DB", "USAGE, CREATE ON SCHEMA public, converge")
    postgres(
        target,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA converge TO " + parse(limited).user,
    )
    ran = migrate(source, limited, "--recreate", "--yes")
    assert (ran.code, ran.json["findings"][0]["code"]) == (3, "T015"), ran.err
    assert "public.book" in relations(target)
    paste(target, hints(ran), postgres)
    again = migrate(source, limited, "--recreate", "--yes")
    assert again.json["verdict"] == "verified", again.err


HIDING = """
INSERT INTO secret VALUES (-1);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY positive ON secret USING (id > 0)
"""


def test_rows_that_row_security_hides_are_not_equal(
    source: str, target: str, role: Login, tmp_path: Path
) -> None:
    limited = role("CREATE ON DATABASE DB", like="LOGIN NOINHERIT")
    rules = tmp_path / "own.toml"
    rules.write_text(f'[[hook]]\nphase = "after_finish"\nsql = """{HIDING}"""')
    ran = migrate(source, limited, "--schema", "app", "--map", str(rules))
    assert (ran.code, ran.json["verdict"], "row-level security" in ran.err) == (5, "failed", True), ran.err
    assert "BYPASSRLS" in ran.err
    ran = converge("verify", "--source", source, "--target", limited, "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    (why,) = (one["message"] for one in ran.json["findings"] if one["code"] == "V115")
    assert "row security" in why
    assert sorted(one["source"] for one in ran.json["tables"] if one["verified"]) == ["author", "book"]


HOSTILE = {
    "statement_timeout": "'200ms'",
    "lock_timeout": "'200ms'",
    "idle_in_transaction_session_timeout": "'200ms'",
    "idle_session_timeout": "'200ms'",
    "search_path": "nowhere",
    "row_security": "off",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "DateStyle": "'SQL, DMY'",
    "quote_all_identifiers": "on",
    "check_function_bodies": "off",
    "xmloption": "document",
    "bytea_output": "escape",
    "client_encoding": "latin1",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "extra_float_digits": "-5",
    "standard_conforming_strings": "off",
}


@both_ends
def test_settings_of_a_hostile_role(source: str, target: str, user: Login, role: Login) -> None:
    """A role whose sessions begin with settings that would break a run."""
    limited = role("CREATE ON DATABASE DB", like="LOGIN NOINHERIT")
    name = parse(limited).user
    for setting, value in HOSTILE.items():
        postgres(target, f"ALTER ROLE {name} SET {setting} = {value}")
    if postgres(target, "SELECT current_setting('server_version_num')::int >= 170000") == [(True,)]:
        postgres(target, f"ALTER ROLE {name} SET transaction_timeout = '200ms'")
    ran = migrate(user("SELECT ON db.*"), limited, "--schema", "app")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


def test_default_privileges_against_their_owner(source: str, target: str, role: Login) -> None:
    limited = role("CREATE ON DATABASE DB")
    name = parse(limited).user
    for kind, privilege in (("TABLES", "INSERT"), ("FUNCTIONS", "EXECUTE"), ("SCHEMAS", "CREATE")):
        postgres(target, f"ALTER DEFAULT PRIVILEGES FOR ROLE {name} REVOKE {privilege} ON {kind} FROM {name}")
    postgres(target, f"ALTER DEFAULT PRIVILEGES FOR ROLE {name} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    planned = agree(source, limited, ["T004"] * 3, "--schema", "app")
    paste(target, hints(planned), postgres)
    assert migrate(source, limited, "--schema", "app").json["verdict"] == "verified"
