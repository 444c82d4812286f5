"""The site: it builds without a warning, its links lead somewhere, and its commands and examples are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from conftest import NewDatabase
from support import converge as run
from support import mysql, postgres

import converge
from bench.faults import tally
from converge.cli import _group
from converge.mapping import read as maps
from converge.mapping.grammar import json_schema
from converge.mysql import digest as mysql_digest
from converge.postgres import digest as postgres_digest
from converge.sandbox import Server
from converge.settings import file as settings
from tools import commands_page, keys_page, run_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def build(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    strict = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet")
    command = [sys.executable, "-m", "sphinx", *strict, str(folder), str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    ran = build(DOCS, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "index.html").is_file()
    tutorial = (tmp_path / "tutorial.html").read_text("utf-8")
    linked = {f"{page}.html" for page in re.findall(r'href="examples/(\w+)\.html"', tutorial)}
    assert linked == {file.name for file in (tmp_path / "examples").iterdir()} != set()
    assert all("customer" in (tmp_path / "examples" / page).read_text("utf-8") for page in linked)


def test_what_is_dead_or_alone_fails_it(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "conf.py").write_text((DOCS / "conf.py").read_text("utf-8"), "utf-8")
    (folder / "index.md").write_text("# Start\n", "utf-8")
    assert build(folder, tmp_path / "out").returncode == 0
    pages = {
        "# Alone\n": "isn't included in any toctree",
        "---\norphan: true\n---\n# A\n\n[b](b.md)\n": "'myst' cross-reference target not found: 'b.md'",
        "---\norphan: true\n---\n# A\n\n[a](#b)\n": "'myst' cross-reference target not found: 'b'",
    }
    for number, page in enumerate(pages):
        (folder / f"other{number}.md").write_text(page, "utf-8")
    ran = build(folder, tmp_path / "out")
    assert ran.returncode != 0
    for number, warning in enumerate(pages.values()):
        assert re.search(rf"other{number}\.md.*WARNING: .*{re.escape(warning)}", ran.stderr), ran.stderr


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "ARCHITECTURE.md"], ids=lambda page: page.name)
def test_links_from_outside_of_the_site_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        if ":" in path:
            continue
        file = ROOT / path if path else page
        assert file.exists(), path
        if anchor and file.suffix == ".md":
            assert anchor[1:] in anchors(file), path + anchor


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_json_schema_is_linked() -> None:
    text = (DOCS / "json.md").read_text("utf-8")
    assert {f"schemas/{file.name}" for file in (DOCS / "schemas").iterdir()} <= set(
        re.findall(r"\]\((.*?)\)", text)
    )


def called(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words behind `converge` call, and its arguments."""
    command: click.Command = _group
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    return command, words


def commands() -> list[tuple[str, str]]:
    """Each call of converge in a `sh` block, with its page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.strip()) for line in lines if line.strip().startswith("converge ")]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_have_options_that_are_there(page: str, line: str) -> None:
    words = shlex.split(re.split(r" [|>&;]", line)[0], comments=True)
    command, arguments = called(words[1:])
    # Click raises for what it does not know; nothing is run.
    if not isinstance(command, click.Group):
        command.make_context(command.name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_have_options_that_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"`converge ([a-z][^`]*)`", text):
        command, words = called(line.split())
        named = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(words)))
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        assert named <= known | {"--help"}, line


def test_pages_made_from_the_code_are_current() -> None:
    assert (DOCS / "commands.md").read_text("utf-8") == commands_page.commands_markdown()
    assert (DOCS / "settings.md").read_text("utf-8") == keys_page.settings_markdown()
    assert (DOCS / "maps.md").read_text("utf-8") == keys_page.maps_markdown()
    head = tally.page("MySQL 8.0.15 to PostgreSQL 17.5", [], [])
    assert (DOCS / "faults.md").read_text("utf-8").startswith(head)
    for table in settings.Project.model_json_schema(by_alias=True)["$defs"].values():
        assert all(f"\n| `{key}` |" in keys_page.settings_markdown() for key in table["properties"]), table


def tables() -> list[tuple[str, str]]:
    """The TOML examples of all pages."""
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "text"), tables(), ids=lambda text: text[:40])
def test_toml_examples_are_read(page: str, text: str, tmp_path: Path) -> None:
    """As settings where they have addresses, else as a map."""
    document = tomllib.loads(text)
    file = tmp_path / "example.toml"
    file.write_text(text, "utf-8")
    if document.keys() & {"admin", "database"} or isinstance(document.get("source"), str):
        settings.read(str(file))
    else:
        maps.load([str(file)])


@pytest.mark.parametrize("section", keys_page.EXAMPLES)
def test_the_examples_of_maps_have_every_key(section: str) -> None:
    schema = json_schema()
    field = schema["properties"][section]
    table = keys_page.model(field, schema["$defs"])
    example = tomllib.loads(keys_page.EXAMPLES[section][1])[section]
    if section == "type":
        pytest.skip("has the keys of [[column]]")
    entries = example if isinstance(example, list) else [example]
    assert set(table["properties"]) == {key for entry in entries for key in entry}
    if "match" in table["properties"]:
        match = keys_page.model(table["properties"]["match"], schema["$defs"])
        assert set(match["properties"]) == {key for entry in entries for key in entry["match"]}


def test_what_the_tutorial_shows_is_what_it_prints(databases: tuple[str, str], tmp_path: Path) -> None:
    text = (DOCS / "tutorial.md").read_text("utf-8")
    shown = run_page.played(text, *databases, tmp_path)
    assert run_page.alike(shown).split("```") == run_page.alike(text).split("```")


@dataclass(frozen=True)
class Played:
    """The page of the proof, as it is and with what its commands print, and the databases that they leave."""

    text: str
    shown: str
    source: str
    target: str


@pytest.fixture(scope="module")
def proof(
    mysql_8033: Server, postgres_175: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    text = (DOCS / "proof.md").read_text("utf-8")
    with mysql_8033.new_database("proof") as source, postgres_175.new_database("proof") as target:
        shown = run_page.played(text, source, target, tmp_path_factory.mktemp("proof"))
        yield Played(text, shown, source, target)


def test_what_the_proof_shows_is_what_it_prints(proof: Played) -> None:
    assert run_page.alike(proof.shown).split("```") == run_page.alike(proof.text).split("```")


def test_the_digest_of_the_proof_is_the_one_that_runs_use(proof: Played) -> None:
    (table,) = converge.plan(proof.source, proof.target, converge.Options(recreate=True)).tables
    plain = re.sub(r"\s", "", proof.text)
    for expression in (mysql_digest.row_digest(table), postgres_digest.row_digest(table)):
        assert re.sub(r"\s", "", expression) in plain, expression


def test_the_page_of_the_ledger_has_its_tables_and_columns(proof: Played) -> None:
    rows = postgres(
        proof.target,
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'converge' AND table_name <> 'alembic_version'",
    )
    chapters = (DOCS / "ledger.md").read_text("utf-8").split("## `converge.")[1:]
    documented = {
        (chapter.split("`")[0], name)
        for chapter in chapters
        for name in re.findall(r"^\| `(\w+)` ", chapter, re.MULTILINE)
    }
    assert documented == set(rows)


def test_the_commands_of_the_downtime_window_run(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """The rehearsal into a database of its own, then the plan and the run of the window."""
    source, rehearsal = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    target = new_postgres_database(postgres_175)
    mysql(
        source, "CREATE TABLE item (id INT PRIMARY KEY, day DATE); INSERT INTO item VALUES (1, '2024-02-29')"
    )
    (tmp_path / "shop.toml").write_text('[[column]]\nmatch = { column = "day" }\nto = "date"\n', "utf-8")
    lines = [line for page, line in commands() if page == "downtime.md"]
    assert [line.split()[1] for line in lines] == ["migrate", "plan", "plan", "migrate"]
    for line, address in zip(lines, (rehearsal, target, target, target), strict=True):
        addresses = {"CONVERGE_SOURCE_URL": source, "CONVERGE_TARGET_URL": address}
        ran = run(*shlex.split(line)[1:], folder=str(tmp_path), **addresses)
        assert ran.code == 0, (line, ran.err)
    assert {"rehearsal.html", "rehearsal.json", "plan.json", "run.html", "run.xml"} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert postgres(target, "SELECT id FROM item") == [(1,)]


def test_the_account_for_a_managed_source_is_enough(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE item (id INT PRIMARY KEY)")
    mysql(source, "INSERT INTO item VALUES (1)")
    (statements,) = re.findall(r"```sql\n(.*?)```", (DOCS / "managed.md").read_text("utf-8"), re.DOTALL)
    name = source.rpartition("/")[2]
    try:
        mysql(source, statements.replace("'…'", "'s3cret'").replace("shop.*", f"{name}.*"))
        account = source.replace("root@", "converge:s3cret@") + "?ssl-mode=REQUIRED"
        result = converge.migrate(account, target, converge.MigrateOptions())
        followed = converge.follow(account, target, once=True)
    finally:
        mysql(source, "DROP USER IF EXISTS 'converge'@'%'")
    assert (result.verdict, followed.exit_code) == ("verified", 0)
