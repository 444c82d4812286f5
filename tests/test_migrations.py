"""`converge migrations generate`: the baseline is what `migrate` gives, and what follows keeps up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import NewDatabase
from revisions import folder, revert, revision, run, shape, states
from support import converge, load_dump, mysql, postgres

from converge.cli.migrations import command
from converge.errors import BlockedError, ConvergeError, UsageError
from converge.revisions.folder import Folder
from converge.sandbox import Server

Call = Callable[..., str]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of revisions, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "migrations"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """`converge migrations …` in this process; what it prints."""

    def called(*arguments: str) -> str:
        assert command.main(list(arguments), standalone_mode=False) == 0
        return capsys.readouterr().out

    return called


@pytest.fixture(scope="module")
def sakila(mysql_8033: Server, shared_data: Path) -> Iterator[str]:
    url = mysql_8033.create_database("sakila_migrations")
    load_dump(url, shared_data / "sakila" / "mysql.sql.gz")
    yield url
    mysql_8033.drop_database("sakila_migrations")


def test_a_converged_sakila(
    sakila: str, postgres_any: Server, new_postgres_database: NewDatabase, place: Path, call: Call
) -> None:
    """generate → run → show → revert → run, on the database itself and on an empty one."""
    target, empty = new_postgres_database(postgres_any), new_postgres_database(postgres_any)
    migrated = converge("migrate", "--source", sakila, "--target", target, "--verify", "none")
    assert migrated.code == 0, migrated.err
    wanted = shape(target)
    call("generate", "-n", "as migrated", "--target", target)
    of = Folder.open()
    (baseline,) = of.revisions
    assert states(of, target) == {baseline.id: "pending"}
    assert f"stamped   {baseline.id}" in call("run", "--target", target)
    assert shape(target) == wanted
    assert call("show", "--target", target) == f"[X] {baseline.id}  as migrated\n"
    assert run(of, empty).ran == (baseline.id,)
    assert shape(empty) == wanted
    assert revert(of, empty, "base").ran == (baseline.id,)
    assert list(shape(empty)) == ["schema public"]
    assert run(of, empty).ran == (baseline.id,)
    assert shape(empty) == wanted
    with pytest.raises(BlockedError) as refused:
        revert(of, target)
    assert "public.rental has 16,044 rows" in "".join(refused.value.details)
    assert revert(of, target, "-1", baseline.id).ran == (baseline.id,)
    assert run(of, target).ran == (baseline.id,)
    assert shape(target) == wanted


def test_what_is_written(databases: tuple[str, str], place: Path, call: Call) -> None:
    """A file that is named, clean, readable, and good for Alembic alone."""
    _, target = databases
    body = "BEGIN\r\n  RAISE NOTICE '%', E'a:b \\\\' || $q$ :c \"\"\" $q$;\n\tRETURN 1;\nEND"
    postgres(target, f"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $b${body}$b$")
    postgres(
        target,
        'CREATE TABLE "A""b" (id int GENERATED ALWAYS AS IDENTITY, j text DEFAULT \'{"a":1, ":b", \\:$:}\')',
    )
    postgres(target, 'COMMENT ON COLUMN "A""b".j IS \'per cent: 100%, %(x)s, back\\slash \\:c, """\'')
    wanted = shape(target)
    written = json.loads(call("generate", "-n", 'First: it\'s "one"', "--target", target, "--json"))
    assert (written["verdict"], written["origin"]) == ("generated", "the target")
    path = Path(written["revision"]["path"])
    assert re.fullmatch(r"\d{8}_\d{4}_[0-9a-f]{12}_first_it_s_one\.py", path.name)
    lint = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", str(place)]
    assert subprocess.run(lint, check=False).returncode == 0
    postgres(target, 'DROP TABLE "A""b"')
    postgres(target, "DROP FUNCTION f")
    Path("alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        env={**os.environ, "CONVERGE_TARGET_URL": target},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shape(target) == wanted


def test_later_revisions_from_the_source(databases: tuple[str, str], place: Path, call: Call) -> None:
    source, target = databases
    both = ("--source", source, "--target", target)
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(9), gone INT)")
    mysql(source, "INSERT INTO film (title) VALUES ('a'), ('b')")
    assert converge("migrate", *both).code == 0
    call("generate", "-n", "baseline", *both)
    with pytest.raises(BlockedError) as behind:
        call("generate", "-n", "too early", *both)
    assert behind.value.code == "A011"
    call("run", "--target", target)
    assert call("generate", "-n", "nothing", *both).startswith("no difference")
    assert len(Folder.open().revisions) == 1
    postgres(target, "CREATE TABLE own (id int)")
    mysql(source, "ALTER TABLE film MODIFY title VARCHAR(20), ADD stars INT COMMENT 'of 5', ADD KEY (stars)")
    assert "left out  table public.own" in call("generate", "-n", "stars", *both)
    call("run", "--target", target)
    mysql(source, "ALTER TABLE film DROP gone")
    mysql(
        source, "CREATE TABLE actor (id INT PRIMARY KEY, film INT, FOREIGN KEY (film) REFERENCES film (id))"
    )
    call("generate", "-n", "actors", *both)
    of = Folder.open()
    assert [one.restores for one in of.revisions] == ["catalog", "all", "catalog"]
    with pytest.raises(BlockedError) as refused:
        run(of, target)
    loss, rows = refused.value.details
    assert loss.endswith('DROP COLUMN "gone": loses rows or values that are there')
    assert rows == "public.film has 2 rows"
    assert run(of, target, "head", of.heads[0]).ran == of.heads
    assert postgres(target, "SELECT id, title, stars FROM film ORDER BY id") == [
        (1, "a", None),
        (2, "b", None),
    ]
    assert call("generate", "-n", "nothing", *both).startswith("no difference")


def test_a_baseline_from_the_source(databases: tuple[str, str], place: Path, call: Call) -> None:
    """For an empty target, into a schema with an odd name: nothing is written there but by `run`."""
    source, target = databases
    mysql(source, "CREATE TABLE film (id INT PRIMARY KEY AUTO_INCREMENT, kind ENUM('a', 'b'), at TIMESTAMP)")
    both = ("--source", source, "--target", target, "--schema", 'odd "schema')
    assert "from      the source" in call("generate", "-n", "baseline", *both)
    assert postgres(target, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'odd%'") == [(0,)]
    call("run", "--target", target)
    made = shape(target, 'odd "schema')
    assert 'column "odd ""schema".film.kind' in made
    assert postgres(target, "SELECT count(*) FROM pg_database WHERE datname LIKE 'converge_shadow%'") == [
        (0,)
    ]
    assert call("generate", "-n", "nothing", *both).startswith("no difference")
    call("revert", "--target", target)
    assert [name for name in shape(target, 'odd "schema') if not name.startswith("schema")] == []
    call("run", "--target", target)
    assert shape(target, 'odd "schema') == made


MODELS = """
from sqlalchemy import Column, Integer, MetaData, String, Table

target_metadata = MetaData()
Table("film", target_metadata, Column("id", Integer, primary_key=True), Column("title", String(20)))
"""


def test_revisions_from_models(databases: tuple[str, str], place: Path, call: Call) -> None:
    _, target = databases
    of = folder(place)
    asked = ("generate", "--from", "models", "--target", target, "-n")
    with pytest.raises(UsageError) as without:
        call(*asked, "films")
    assert without.value.code == "A012"
    env = of.location / "env.py"
    env.write_text(env.read_text().replace("target_metadata = None\n", MODELS))
    assert "written" in call(*asked, "films")
    assert "op.create_table('film'" in Folder.open().revisions[0].text
    assert call("run", "--target", target).startswith("run ")
    assert call(*asked, "nothing").startswith("no difference")
    assert call("revert", "--target", target).startswith("reverted ")


def test_tables_in_the_way_of_a_baseline(databases: tuple[str, str], place: Path, call: Call) -> None:
    _, target = databases
    postgres(target, "CREATE TABLE film (id int, title text)")
    call("generate", "-n", "baseline", "--target", target)
    postgres(target, "ALTER TABLE film DROP title, ADD more int")
    with pytest.raises(BlockedError) as refused:
        call("run", "--target", target)
    assert refused.value.code == "A010"
    assert [line.partition(":")[0] for line in refused.value.details] == [
        "column public.film.more is new", "column public.film.title is gone",
    ]  # fmt: skip
    postgres(target, "ALTER TABLE film DROP more, ADD title text")
    assert "stamped " in call("run", "--target", target)


def test_a_baseline_of_another_version(
    postgres_14: Server, postgres_175: Server, new_postgres_database: NewDatabase, place: Path, call: Call
) -> None:
    """Servers print views differently: what counts is what the baseline makes there."""
    older, newer = new_postgres_database(postgres_14), new_postgres_database(postgres_175)
    for url in (older, newer):
        postgres(url, "CREATE TABLE film (id int, title text)")
        postgres(url, "CREATE VIEW titles AS SELECT title FROM film WHERE id > 1")
    call("generate", "-n", "baseline", "--target", older)
    assert "stamped " in call("run", "--target", newer)


def test_names_that_are_none(databases: tuple[str, str], place: Path, call: Call) -> None:
    for name in ("", "…", 'a"""b', "a\\b", "a\nb"):
        with pytest.raises(UsageError) as refused:
            call("generate", "-n", name, "--target", databases[1])
        assert refused.value.code == "A014"
    assert not place.exists()


def test_a_template_that_fails(databases: tuple[str, str], place: Path, call: Call) -> None:
    of = folder(place)
    (of.location / "script.py.mako").write_text("${undefined_word.x}")
    postgres(databases[1], "CREATE TABLE film (id int)")
    with pytest.raises(ConvergeError) as refused:
        call("generate", "-n", "baseline", "--target", databases[1])
    assert refused.value.code == "A015"


def test_a_broken_record_is_named(databases: tuple[str, str], place: Path, call: Call) -> None:
    of = folder(place, "CREATE TABLE film (id int)")
    (place / "validated").mkdir()
    (place / "validated/r1.json").write_text("{")
    revision(place, "r2", "CREATE TABLE a (id int)", down="r1")
    with pytest.raises(UsageError) as refused:
        run(of, databases[1])
    assert refused.value.code == "A016"


def test_every_code_is_documented() -> None:
    parts = ("revisions", "pipeline", "cli")
    sources = "".join(path.read_text() for part in parts for path in (ROOT / "converge" / part).rglob("*.py"))
    used = {code for code in re.findall(r"Code\.(A0\d\d)", sources) if code < "A050"}
    text = (ROOT / "docs/migrations.md").read_text("utf-8")
    documented = {code for code in re.findall(r"^\| (A0\d\d) ", text, re.MULTILINE) if code < "A050"}
    assert used == documented
