"""Projects that have an Alembic folder already: found, honoured, and never run in another database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from conftest import NewDatabase
from revisions import folder, revert, revision, run, states
from sqlalchemy import make_url
from support import converge, postgres

from converge.cli.migrations import command
from converge.errors import BlockedError, ConvergeError, TargetError, UsageError
from converge.model.endpoint import parse
from converge.postgres.connect import connect
from converge.postgres.engine import address
from converge.postgres.lock import lock
from converge.revisions import commands
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.sandbox import Server

FILMS = "CREATE TABLE film (id int)"
BACK = "DROP TABLE film"


@pytest.fixture
def url(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


@pytest.fixture
def other(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def init(template: str, url: str = "driver://user:pass@localhost/dbname") -> Path:
    """What `alembic init` makes of one of its templates, with a revision."""
    made = subprocess.run(
        [sys.executable, "-m", "alembic", "init", "-t", template, "migs"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    ini = Path("alembic.ini")
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", url.replace("%", "%%")))
    revision(Path("migs"), "r1", FILMS, BACK)
    return Path("migs")


def of_psycopg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def is_untouched(url: str) -> bool:
    return postgres(url, "SELECT to_regclass('alembic_version'), to_regclass('film')") == [(None, None)]


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_templates_of_alembic(template: str, url: str, other: str, project: Path) -> None:
    """With the ini's own address, which is another one: the target is what counts."""
    init(template, of_psycopg(other))
    found = Folder.open()
    assert found.location.name == "migs"
    assert run(found, url).ran == ("r1",)
    assert states(found, url) == {"r1": "applied"}
    assert revert(found, url).ran == ("r1",)
    assert postgres(url, "SELECT to_regclass('film'), count(*) FROM alembic_version") == [(None, 0)]
    assert is_untouched(other)


@pytest.mark.parametrize("how", ["migs", "alembic.ini", ".", "pyproject.toml"])
def test_named_folders(how: str, project: Path) -> None:
    init("pyproject" if how == "pyproject.toml" else "generic")
    ini = Path("alembic.ini")
    ini.write_text(ini.read_text().replace("[alembic]", "[alembic]\nfile_template = own_%%(rev)s"))
    found = Folder.open(how)
    assert found.location.resolve() == project / "migs"
    assert found.script.file_template == "own_%(rev)s"


def test_an_address_of_its_own_is_refused_before_anything_is_run(
    url: str, other: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = init("generic")
    env = place / "env.py"
    own = "import os\nconfig = context.config\n"
    own += "config.set_main_option('sqlalchemy.url', os.environ['APP_DATABASE'])"
    env.write_text(env.read_text().replace("config = context.config", own))
    monkeypatch.setenv("APP_DATABASE", of_psycopg(other))
    for action in (lambda: run(Folder.open(), url), lambda: applied(Folder.open(), parse(url))):
        with pytest.raises(BlockedError) as caught:
            action()
        assert (caught.value.code, caught.value.exit_code) == ("A006", 3)
        assert other.rpartition("/")[2] in caught.value.message
    assert is_untouched(other)
    assert is_untouched(url)
    monkeypatch.setenv("APP_DATABASE", of_psycopg(url))
    assert run(Folder.open(), url).ran == ("r1",)


def test_another_kind_of_database_is_refused(url: str, project: Path) -> None:
    place = init("generic")
    env = place / "env.py"
    own = "config = context.config\nconfig.set_main_option('sqlalchemy.url', 'sqlite:///x.db')"
    env.write_text(env.read_text().replace("config = context.config", own))
    with pytest.raises(BlockedError, match="sqlite"):
        run(Folder.open(), url)


def test_code_that_fails_is_named(url: str, project: Path) -> None:
    place = init("generic")
    env = place / "env.py"
    before = env.read_text()
    env.write_text("import os\nos.environ['NOT_SET_ANYWHERE']\n" + before)
    with pytest.raises(ConvergeError) as caught:
        run(Folder.open(), url)
    assert caught.value.code == "A007"
    assert "KeyError: 'NOT_SET_ANYWHERE'" in caught.value.message
    assert "env.py:2: os.environ" in caught.value.details[0]
    env.write_text(before)
    revision(place, "r2", "raise ValueError('no')", down="r1")
    with pytest.raises(ConvergeError) as caught:
        run(Folder.open(), url)
    assert caught.value.message == "upgrade r2: ValueError: no"
    assert "r2.py:11: raise ValueError('no')" in caught.value.details[0]
    with pytest.raises(ConvergeError) as caught:
        commands.script(Folder.open(), parse(url), "head", "up")
    assert caught.value.message == "upgrade r2: ValueError: no"
    (place / "versions/r2.py").write_text("def (")
    with pytest.raises(UsageError) as broken:
        run(Folder.open(), url)
    assert broken.value.code == "A004"
    assert "r2.py:1" in broken.value.details[0]


def test_a_refusal_of_the_server_names_the_revision(url: str, project: Path) -> None:
    """Those before it stay: each revision is a transaction of its own."""
    of = folder(project / "m", FILMS, "CREATE TABLE half (id int); CREATE TABLE film (id int)")
    with pytest.raises(TargetError) as caught:
        run(of, url)
    assert caught.value.message.startswith("upgrade r2: ")
    assert caught.value.message.endswith('relation "film" already exists')
    assert states(of, url) == {"r1": "applied", "r2": "pending"}
    assert postgres(url, "SELECT to_regclass('half')") == [(None,)]


def test_a_refusal_of_the_server_names_statement_and_line(url: str, project: Path) -> None:
    """Without the values that it was given."""
    said = "INSERT INTO nope\\n VALUES (:x)"
    of = folder(project / "m", f"op.get_bind().execute(sa.text('{said}'), {{'x': 'somebody'}})")
    with pytest.raises(TargetError) as caught:
        run(of, url)
    assert caught.value.message.endswith('relation "nope" does not exist')
    statement, line = caught.value.details[:2]
    assert statement.startswith("INSERT INTO nope VALUES (")
    assert line.endswith("r1.py:11: " + f"op.get_bind().execute(sa.text('{said}'), {{'x': 'somebody'}})")
    assert "somebody" not in statement


def test_an_environment_that_does_not_commit(url: str, project: Path) -> None:
    place = init("generic")
    env = place / "env.py"
    before = "        context.configure(\n            connection"
    asks = "connection.exec_driver_sql('SELECT 1')"
    env.write_text(env.read_text().replace(before, f"        {asks}\n{before}"))
    with pytest.raises(ConvergeError) as caught:
        run(Folder.open(), url)
    assert caught.value.code == "A008"


def test_heads_and_unknown_revisions(url: str, project: Path) -> None:
    of = folder(project / "m", FILMS, "CREATE TABLE a (id int)")
    run(of, url)
    revision(project / "m", "x2", "CREATE TABLE b (id int)", down="r1")
    of = Folder.open("m")
    with pytest.raises(BlockedError, match="2 heads: r2, x2") as caught:
        run(of, url)
    assert caught.value.code == "A003"
    assert run(of, url, "x2").ran == ("x2",)
    with pytest.raises(UsageError) as unknown:
        run(of, url, "nothing")
    assert unknown.value.code == "A005"
    (project / "m/versions/x2.py").unlink()
    of = Folder.open("m")
    assert states(of, url) == {"r1": "applied", "r2": "applied", "x2": "unknown"}
    for action in (run, revert):
        with pytest.raises(BlockedError, match="at x2") as lacking:
            action(of, url)
        assert lacking.value.code == "A013"


def test_reverts_by_number_by_name_and_all(url: str, project: Path) -> None:
    for number in range(1, 6):
        down = f"r{number - 1}" if number > 1 else None
        revision(
            project / "m", f"r{number}", f"CREATE TABLE t{number} ()", f"DROP TABLE t{number}", down=down
        )
    of = folder(project / "m")
    run(of, url)
    assert revert(of, url).ran == ("r5",)
    assert revert(of, url, "-2").ran == ("r4", "r3")
    assert run(of, url, "r4").ran == ("r3", "r4")
    assert revert(of, url, "r2").ran == ("r4", "r3")
    assert revert(of, url, "base").ran == ("r2", "r1")
    assert revert(of, url).ran == ()
    assert "CREATE TABLE t5" in commands.script(of, parse(url), "head", "up")
    assert commands.script(of, parse(url), "base", "down") == ""
    assert states(of, url) == dict.fromkeys(("r1", "r2", "r3", "r4", "r5"), "pending")


def test_the_commands(url: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a user calls them; what a revision prints does not get into the document."""
    of = folder(project / "migrations", "print('canary')\nop.execute('CREATE TABLE film (id int)')")
    revision(of.location, "r2", "CREATE TABLE a (id int)", "DROP TABLE a", down="r1")
    target = ("--target", url, "--alembic", str(of.location))

    def called(*arguments: str) -> str:
        assert command.main([*arguments, *target], standalone_mode=False) == 0
        return capsys.readouterr().out

    assert called("show") == "[ ] r1  about r1\n[ ] r2  about r2\n"
    assert called("run", "--sql").count("CREATE TABLE") == 3
    ran = converge("migrations", "run", "r1", "--json", *target)
    assert (ran.code, ran.json["verdict"], ran.json["ran"]) == (0, "migrated", ["r1"]), ran.err
    assert "canary" in ran.err
    shown = json.loads(called("show", "--json"))
    assert [(one["id"], one["state"]) for one in shown["revisions"]] == [("r1", "applied"), ("r2", "pending")]
    assert (shown["verdict"], shown["version_table"]) == ("pending", "public.alembic_version")
    postgres(url, "INSERT INTO film VALUES (1)")
    revision(of.location, "r1", FILMS, BACK)
    refused = converge("migrations", "revert", "-1", "--json", *target)
    assert (refused.code, refused.json["verdict"]) == (3, "blocked")
    assert refused.json["findings"][0]["code"] == "A009"
    with pytest.raises(click.NoSuchOption):
        called("revert", "--jsn")
    assert called("revert", "-1", "--accept-data-loss", "r1").splitlines() == [
        "reverted  r1  about r1",
        "verdict   reverted: 0 revisions applied, 2 pending",
    ]


@pytest.mark.parametrize("password", ["p%40%%s%(x)s", "a:b/c@d?e#f&g=h", "ü ' \" \\ %"])
def test_passwords_reach_env_py_unchanged(password: str) -> None:
    of = Folder(Path("nowhere"))
    given = replace(
        parse("postgresql://u@[::1]:5433/d%2Fb?sslmode=require&application_name=x"), password=password
    )
    config = of.config()
    config.set_main_option("sqlalchemy.url", address(given).replace("%", "%%"))
    read = make_url((config.get_section("alembic") or {})["sqlalchemy.url"])
    assert (read.password, read.username, read.host, read.port, read.database) == (
        password, "u", "::1", 5433, "d/b"
    )  # fmt: skip
    assert read.query["application_name"] == "x"
    socket = make_url(address(parse("postgresql:///d?host=/run/pg")))
    assert (socket.query["host"], socket.database) == ("/run/pg", "d")


def test_a_password_with_percent_signs_is_nowhere(
    postgres_175: Server, url: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init("generic")
    canary = url.replace("postgres@", "postgres:p%25ca%40nary@")
    ran = converge("migrations", "run", "--target", canary, "--alembic", str(project / "migs"), "-v")
    assert (ran.code, "40nary" in ran.out + ran.err or "@nary" in ran.out) == (0, False), ran.err
    files = [path.read_text() for path in project.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert not any("ca@nary" in text or "ca%40nary" in text for text in files)


def test_a_password_in_the_words_of_env_py(url: str, project: Path) -> None:
    place = init("generic")
    env = place / "env.py"
    tells = "raise ValueError(config.get_main_option('sqlalchemy.url') + ' p%ca@nary')"
    env.write_text(env.read_text().replace("config = context.config", f"config = context.config\n{tells}"))
    with pytest.raises(ConvergeError) as caught:
        run(Folder.open(), url.replace("postgres@", "postgres:p%25ca%40nary@"))
    assert "nary" not in caught.value.message
    assert "postgres:***@" in caught.value.message


def test_a_role_without_rights(postgres_175: Server, url: str, project: Path) -> None:
    postgres(url, "CREATE ROLE may_not LOGIN")
    try:
        of = folder(project / "m", FILMS)
        with pytest.raises(TargetError) as caught:
            run(of, url.replace("postgres@", "may_not@"))
        assert caught.value.code == "T004"
        assert "GRANT USAGE, CREATE ON SCHEMA public" in str(caught.value.hint)
    finally:
        postgres(url, "DROP ROLE may_not")


def test_blocks_without_a_transaction(url: str, project: Path) -> None:
    """And two that run at once: the second is told of the first."""
    concurrently = 'op.execute("CREATE INDEX CONCURRENTLY i ON film (id)")'
    block = f"with op.get_context().autocommit_block():\n    {concurrently}"
    of = folder(project / "m", FILMS, block)
    with connect(parse(url)) as connection:
        lock(connection)
        with pytest.raises(BlockedError) as busy:
            run(of, url)
    assert busy.value.code == "T009"
    # A session that is about to end, as that of a command before this one, is waited for.
    leaving = connect(parse(url))
    lock(leaving)
    end = threading.Timer(0.3, leaving.close)
    end.start()
    assert run(of, url).ran == ("r1", "r2")
    end.join()
    assert postgres(url, "SELECT to_regclass('i') IS NOT NULL") == [(True,)]


def test_no_folder(project: Path, url: str) -> None:
    for place in (None, "elsewhere", "."):
        with pytest.raises(UsageError) as caught:
            Folder.open(place)
        assert caught.value.code == "A001"
    (project / "alembic.ini").write_text("[alembic]\nscript_location = %(nothing)s/x\n")
    with pytest.raises(UsageError) as broken:
        Folder.open("alembic.ini")
    assert broken.value.code == "A002"
    own = Path(__file__).parents[1] / "migrations"
    with pytest.raises(UsageError, match="converge's own"):
        Folder.open(str(own))


def test_made_folders_work_with_alembic_alone(url: str, project: Path) -> None:
    """And put their version table, and names without a schema, where converge does."""
    schema = 'odd "schema'
    of = folder(project / "m", FILMS, schema=schema)
    (project / "alembic.ini").write_text("[alembic]\nscript_location = m\n")

    at = parse(url)
    parts = {"HOST": at.host, "PORT": str(at.port), "USERNAME": at.user, "NAME": at.database}

    def alembic(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            env={**os.environ, **{f"DATABASE_{name}": value for name, value in parts.items()}},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "SELECT nspname::text, relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    where += " WHERE relkind = 'r' AND relname IN ('film', 'alembic_version') ORDER BY relname"
    both = [(schema, "alembic_version"), (schema, "film")]
    alembic("upgrade", "head")
    assert postgres(url, where) == both
    assert states(of, url) == {"r1": "applied"}
    postgres(url, 'DROP SCHEMA "odd ""schema" CASCADE')
    assert states(of, url) == {"r1": "pending"}
    assert postgres(url, where) == []
    script = commands.script(of, parse(url), "head", "up")
    assert run(of, url).ran == ("r1",)
    assert postgres(url, where) == both
    postgres(url, 'DROP SCHEMA "odd ""schema" CASCADE')
    postgres(url, script)
    assert postgres(url, where) == both
    assert run(of, url).ran == ()
