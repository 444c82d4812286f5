"""Names and values that try to be SQL, markup or terminal commands arrive as what they are."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import NewDatabase
from judge import compare
from support import converge, mysql, postgres

from converge.model.quote import my_name, my_text, pg_name
from converge.sandbox import Server

NAMES = (
    '"; drop table x; --',
    "a'b",
    'a"b',
    "a`b",
    "%s",
    "%(x)s",
    "a\\b",
    "line\nend",
    "tab\tstop",
    "{{ 7*7 }}",
    "<script>alert(1)</script>",
    "</td></table>",
    "\x1b[31mred\x1b]0;title\x07",
    "$$; select 1; $$",
    "naïve ☃",
)
TEXTS = (
    "it's",
    'say "hi"',
    "back\\slash",
    "'; drop table x; --",
    "%s %(a)s",
    "line\nend",
    "\x1b[2J",
    "${x} {{y}}",
)
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def source_sql() -> list[str]:
    labels = ", ".join(map(my_text, TEXTS))
    columns = ", ".join(f"{my_name(name)} VARCHAR(40) COMMENT {my_text(name)}" for name in NAMES)
    statements = [
        f"CREATE TABLE {my_name(name)} (id INT AUTO_INCREMENT PRIMARY KEY, "
        f"{my_name(name + ' c')} VARCHAR(40) DEFAULT {my_text(text)}, "
        f"UNIQUE {my_name('u ' + name)} ({my_name(name + ' c')})) "
        f"COMMENT {my_text(name + text)}"
        for name, text in zip(NAMES, TEXTS + TEXTS, strict=False)
    ]
    statements += [
        f"INSERT INTO {my_name(name)} ({my_name(name + ' c')}) VALUES ({my_text(name)}), (NULL)"
        for name in NAMES
    ]
    statements += [
        f"CREATE TABLE wide (id INT PRIMARY KEY, {columns}, e ENUM({labels}), s SET('a''b', 'c\\\\d'))",
        f"INSERT INTO wide (id, {', '.join(map(my_name, NAMES))}, e, s) VALUES "
        f"(1, {', '.join(map(my_text, NAMES))}, {my_text(TEXTS[3])}, 'a''b,c\\\\d')",
        f"CREATE TABLE child (id INT, CONSTRAINT {my_name(NAMES[0])} FOREIGN KEY (id) REFERENCES "
        f"{my_name(NAMES[0])} (id))",
        f"CREATE VIEW {my_name('v ' + NAMES[1])} AS SELECT {my_name(NAMES[1])} FROM wide",
        "CREATE TABLE x (id INT PRIMARY KEY)",
        "INSERT INTO x VALUES (1)",
    ]
    return statements


@pytest.mark.parametrize(("my", "pg"), [("mysql_8015", "postgres_175"), ("mysql_8033", "postgres_14")])
def test_names_and_texts(
    my: str,
    pg: str,
    request: pytest.FixtureRequest,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source = new_mysql_database(request.getfixturevalue(my))
    target = new_postgres_database(request.getfixturevalue(pg))
    for statement in source_sql():
        mysql(source, statement)
    reports = [str(tmp_path / f"r.{ending}") for ending in ("html", "md", "json", "xml")]
    schema = 'odd "; drop schema public; --'
    ran = converge(
        "migrate", "--source", source, "--target", target, "--schema", schema,
        *(part for path in reports for part in ("--report", path)),
    )  # fmt: skip
    assert ran.code == 0, ran.err + ran.out
    assert "verdict   verified" in ran.out
    assert postgres(target, f"SELECT id FROM {pg_name(schema)}.x") == [(1,)]
    for name in NAMES:
        rows = postgres(
            target,
            f"SELECT {pg_name(name + ' c').replace('%', '%')} FROM {pg_name(schema, name)} ORDER BY id",
        )
        assert rows == [(name,), (None,)]
    described = (
        "SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = "
        f"'{pg_name(schema)}.wide'::regclass AND attname NOT IN ('id', 'e', 's') AND attnum > 0 "
        "ORDER BY attnum"
    )
    assert [text for (text,) in postgres(target, described)] == list(NAMES)
    assert postgres(target, f"SELECT e::text, s FROM {pg_name(schema)}.wide") == [(TEXTS[3], ["a'b", "c\\d"])]
    _no_commands(ran.out + ran.err)
    _pages(tmp_path)
    _text_of_plan(source, target, tmp_path)


def _no_commands(text: str) -> None:
    assert not _COMMANDS.search(text), repr(_COMMANDS.search(text))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def _pages(folder: Path) -> None:
    html = (folder / "r.html").read_text()
    page = _Page()
    page.feed(html)
    assert page.tags.count("script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7*7 }}" in html
    # Code between fences is shown as it stands.
    text = re.sub(r"^ *(```+).*?^ *\1$", "", (folder / "r.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    assert "comparisons see" in text and not re.search(r"(?<!\\)<script", text)
    for name in ("r.html", "r.md", "r.xml"):
        _no_commands((folder / name).read_text())
    assert json.loads((folder / "r.json").read_text())["verdict"] == "verified"


def _text_of_plan(source: str, target: str, folder: Path) -> None:
    """The plan on a terminal, and its SQL, which psql or any client may run as it is."""
    ran = converge(
        "plan", "-v", "--source", source, "--sql", str(folder / "p.sql"), "--html", str(folder / "p.html"),
        "--write-map", str(folder / "m.toml"),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    _no_commands(ran.out + ran.err)
    assert not [line for line in ran.out.splitlines() if line.startswith(("end", "drop"))]
    postgres(target, (folder / "p.sql").read_text())
    tables = postgres(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [(len(NAMES) + 3,)]
    again = converge("plan", "--source", source, "--map", str(folder / "m.toml"), "--json")
    assert again.code == 0, again.err
    explained = converge("explain", NAMES[12], "--source", source)
    assert explained.code == 0, explained.err
    _no_commands(explained.out)
    unknown = converge("explain", "\x1b[31mno", "--source", source)
    assert unknown.code == 2
    _no_commands(unknown.err)


def test_users_and_databases(mysql_8033: Server, postgres_175: Server) -> None:
    """Also in URLs, where each needs its percent."""
    from urllib.parse import quote

    name, password = "o'dd \"`%@:/ü", "p'w\\%"
    address = mysql_8033.url.rpartition("@")[2]
    source = f"mysql://{quote(name, safe='')}:{quote(password, safe='')}@{address}/{quote(name, safe='')}"
    admin = mysql_8033.url
    mysql(admin, f"CREATE DATABASE {my_name(name)}; CREATE TABLE {my_name(name)}.t (id INT PRIMARY KEY)")
    mysql(admin, f"CREATE USER {my_text(name)}@'%' IDENTIFIED BY {my_text(password)}")
    pg_admin = postgres_175.database_url("postgres")
    postgres(pg_admin, f"CREATE ROLE {pg_name(name)} LOGIN")
    postgres(pg_admin, f"CREATE DATABASE {pg_name(name)} TEMPLATE template0 ENCODING 'UTF8'")
    address = postgres_175.url.rpartition("@")[2]
    target = f"postgresql://{quote(name, safe='')}@{address}/{quote(name, safe='')}"
    try:
        ran = converge("migrate", "--source", source, "--target", target)
        assert (ran.code, "S004" in ran.err, "T004" in ran.err) == (3, True, True), ran.err
        grants = [line[line.index("GRANT") :] for line in ran.err.splitlines() if "GRANT " in line]
        mysql(admin, grants[0].rstrip(";"))
        database = postgres_175.database_url(quote(name, safe="")).replace(
            quote(quote(name, safe=""), safe=""), quote(name, safe="")
        )
        postgres(database, " ".join(grants[1:]))
        ran = converge("migrate", "--source", source, "--target", target)
        assert ran.code == 0, ran.err
        judged = compare(source, target.replace(quote(name, safe="") + "@", "postgres@", 1))
        assert judged.equal, str(judged)
    finally:
        postgres_175.drop_database(name)
        postgres(pg_admin, f"DROP ROLE {pg_name(name)}")
        mysql(admin, f"DROP DATABASE {my_name(name)}; DROP USER {my_text(name)}@'%'")
