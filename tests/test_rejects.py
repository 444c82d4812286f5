"""Rows that the target refuses: named one by one, left out only when told to, and loaded later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import NewDatabase
from judge import compare
from support import converge, mysql, postgres

from converge.sandbox import Server

ROWS = 20_000
BAD = (7, 500, 19_999)
SOURCE = f"""
SET cte_max_recursion_depth = {ROWS};
CREATE TABLE kept (id INT PRIMARY KEY, lang CHAR(2), number INT, body VARCHAR(50));
CREATE TABLE keyless (number INT, body VARCHAR(50));
INSERT INTO kept
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT i, 'en', IF(i IN {BAD}, 70000 + i, i % 100), CONCAT('tab\\there ', i) FROM n;
INSERT INTO keyless SELECT number, body FROM kept WHERE id < 600;
INSERT INTO keyless SELECT number, body FROM kept WHERE id = 7;
"""


@pytest.fixture
def arguments(
    mysql_8033: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> list[str]:
    """A pair whose map makes a column too narrow, and no scan that would find it before."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_14)
    mysql(source, SOURCE)
    narrow = tmp_path / "narrow.toml"
    narrow.write_text('[[column]]\nmatch = {column = "number"}\nto = "smallint"\n')
    return ["--source", source, "--target", target, "--map", str(narrow), "--no-scan"]


def test_the_first_bad_row_stops_the_run(arguments: list[str]) -> None:
    ran = converge("migrate", *arguments)
    assert ran.code == 5
    assert "error[D001]" in ran.err and 'column number: "70' in ran.err
    assert (
        "--exclude TABLE: converge migrate --recreate" in ran.err and "converge migrate --resume" in ran.err
    )


def test_rejects_are_named_and_the_rest_arrives(arguments: list[str], tmp_path: Path) -> None:
    source, target, file = arguments[1], arguments[3], tmp_path / "rejects.jsonl"
    report = tmp_path / "run.html"
    files = ["--rejects", str(file), "--report", str(report)]
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", *files, "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    counts = {
        t["source"]: (t["rows_read"], t["rows_written"], t["rows_rejected"]) for t in ran.json["tables"]
    }
    assert counts == {"kept": (ROWS, ROWS - 3, 3), "keyless": (600, 597, 3)}
    rejects = [json.loads(line) for line in file.read_text().splitlines()]
    assert rejects == ran.json["rejects"]
    assert sorted(one["key"] for one in rejects if one["table"] == "kept") == ["id=19999", "id=500", "id=7"]
    assert {(one["column"], one["sqlstate"]) for one in rejects} == {("number", "22003")}
    assert {bytes.fromhex(one["value"]) for one in rejects} == {b"70007", b"70500", b"89999"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert "The target refused 6 rows, which were left out; all else is equal" in report.read_text()
    assert b"70007".hex() in report.read_text()
    # Repaired in the source, they are loaded by the command that the run has named.
    assert ran.json["next"].startswith("converge migrate --resume --on-bad-row reject --rejects /")
    mysql(source, "UPDATE kept SET number = 1 WHERE number > 32767")
    mysql(source, "UPDATE keyless SET number = 1 WHERE number > 32767")
    again = converge("migrate", *arguments, "--resume", "--rejects", str(file), "--json")
    assert (again.code, again.json["verdict"]) == (0, "verified"), again.err
    assert file.read_text() == ""
    assert again.json["rejects"] == []
    assert postgres(target, "SELECT count(*) FROM converge.reject") == [(0,)]
    assert converge("migrate", *arguments, "--resume").code == 2


def test_bytes_that_are_no_text_are_found_in_their_column(arguments: list[str], tmp_path: Path) -> None:
    """The server complains of the line, and names no column."""
    mysql(arguments[1], "UPDATE kept SET number = 1, body = IF(id = 9, 'nul\\0', body)")
    mysql(
        arguments[1], "ALTER TABLE keyless ADD raw VARBINARY(9); UPDATE keyless SET raw = x'61ff', number = 1"
    )
    mysql(arguments[1], "DELETE FROM keyless LIMIT 599")
    narrow = Path(arguments[5])
    narrow.write_text(f'{narrow.read_text()}[[column]]\nmatch = {{ column = "raw" }}\nto = "text"\n')
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", "--json")
    found = {(one["table"], one["column"], one["value"], one["sqlstate"]) for one in ran.json["rejects"]}
    nul, no_text = ("kept", "body", b"nul\0".hex(), "22021"), ("keyless", "raw", "61ff", "22021")
    assert found == {nul, no_text}, ran.json
    # The rows are in the report, and the ledger can still be read.
    assert "\0" in "".join(one["source"] or "" for one in ran.json["differences"])
    target = ("--target", arguments[3])
    assert converge("status", *target).code == 0
    assert converge("report", *target, "-o", str(tmp_path / "r.json")).code == 0
    assert "␀" in str(json.loads((tmp_path / "r.json").read_text())["differences"])


def test_a_value_cannot_name_its_column(arguments: list[str]) -> None:
    mysql(arguments[1], "UPDATE kept SET number = 1, body = IF(id = 9, 'x, line 1, column lang: y', '5')")
    Path(arguments[5]).write_text('[[column]]\nmatch = {column = "body"}\nto = "integer"\n')
    ran = converge("migrate", *arguments, "--include", "kept", "--on-bad-row", "reject", "--json")
    assert [(one["key"], one["column"]) for one in ran.json["rejects"]] == [("id=9", "body")], ran.err


def test_a_value_that_the_target_was_widened_for_is_loaded(arguments: list[str]) -> None:
    assert converge("migrate", *arguments, "--on-bad-row", "reject").code == 1
    postgres(arguments[3], "ALTER TABLE kept ALTER number TYPE integer")
    postgres(arguments[3], "ALTER TABLE keyless ALTER number TYPE integer")
    ran = converge("migrate", *arguments, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


def test_a_widened_table_of_several_chunks_is_loaded_under_another_snapshot(arguments: list[str]) -> None:
    source, target, rows = arguments[1], arguments[3], 40_000
    mysql(
        source,
        f"DROP TABLE keyless; TRUNCATE kept; SET cte_max_recursion_depth = {rows};"
        "CREATE TABLE wide (id INT PRIMARY KEY, number INT, body TEXT); INSERT INTO wide "
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        f"SELECT i, IF(i = {rows}, 70000, 1), REPEAT(MD5(i), 30) FROM n; ANALYZE TABLE wide",
    )
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"])) == (1, 1), ran.err
    assert postgres(target, "SELECT count(*) > 1 FROM converge.chunk WHERE source_table = 'wide'") == [
        (True,)
    ]
    postgres(target, "ALTER TABLE wide ALTER number TYPE integer")
    mysql(source, "UPDATE wide SET body = 'changed' WHERE id = 1")
    ran = converge("migrate", *arguments, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


@pytest.mark.parametrize("level", ["counts", "none"])
def test_no_level_of_comparison_hides_them(arguments: list[str], level: str) -> None:
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", "--verify", level)
    assert ran.code == 1
    assert "rejected  kept.number id=7: value " in ran.out
    assert "verdict   differs: the target refused 6 rows" in ran.out


def test_more_than_allowed_stops_the_run(arguments: list[str], tmp_path: Path) -> None:
    report, left_out = tmp_path / "run.json", tmp_path / "rejects.jsonl"
    files = ("--report", str(report), "--rejects", str(left_out))
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", "--max-rejects", "5", *files)
    assert ran.code == 1
    assert "error[D003]: the target refuses more than 5 rows" in ran.err
    # A run that failed has a report as well.
    document = json.loads(report.read_text())
    assert (document["verdict"], document["findings"][-1]["code"]) == ("failed", "D003")
    assert len(left_out.read_text().splitlines()) == len(document["rejects"])
    assert 0 < len(document["rejects"]) == sum(one["rows_rejected"] for one in document["tables"])


def test_a_file_that_cannot_be_written_stops_before_the_run(arguments: list[str]) -> None:
    ran = converge("migrate", *arguments, "--on-bad-row", "reject", "--rejects", "/nowhere/rejects.jsonl")
    assert (ran.code, "error[U004]" in ran.err) == (2, True)
    assert postgres(arguments[3], "SELECT to_regclass('converge.run')") == [(None,)]


def test_rows_of_others_are_not_removed_for_them(arguments: list[str]) -> None:
    """The application has begun to write, to the tables or beside them, before the rejects are loaded."""
    target = arguments[3]
    assert converge("migrate", *arguments, "--on-bad-row", "reject").code == 1
    postgres(target, "INSERT INTO kept VALUES (70000, 'en', 1, 'new')")
    postgres(target, "UPDATE kept SET body = 'mine' WHERE id = 8")
    ran = converge("migrate", *arguments, "--resume", "--on-bad-row", "reject")
    assert "error[T019]" in ran.err
    # Nothing was done: the run is what it was.
    assert converge("status", "--target", target, "--json").json["verdict"] == "differs"
    ended = "SELECT state, json_array_length(report -> 'rejects') FROM converge.run"
    assert postgres(target, ended) == [("finished", 6)]
    verified = converge("verify", *arguments[:4], "--json").json["findings"]
    assert [one for one in verified if one["severity"] == "block" and one["code"] == "V114"] == []
    assert postgres(target, "SELECT count(*) FROM kept WHERE body IN ('mine', 'new')") == [(2,)]
    postgres(target, "DELETE FROM kept WHERE id = 70000")
    postgres(target, "CREATE TABLE note (id INT REFERENCES kept ON DELETE CASCADE)")
    postgres(target, "INSERT INTO note VALUES (9)")
    ran = converge("migrate", *arguments, "--resume", "--on-bad-row", "reject")
    assert "error[T019]" in ran.err
    assert postgres(target, "SELECT count(*) FROM note") == [(1,)]


@pytest.fixture
def narrow(databases: tuple[str, str], tmp_path: Path) -> tuple[str, ...]:
    """A finished run with a reject: its ends."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT PRIMARY KEY, number INT); INSERT INTO a VALUES (1, 1), (2, 70000);"
        "CREATE TABLE x (id INT PRIMARY KEY, number INT); INSERT INTO x VALUES (3, 80000)",
    )
    map_ = tmp_path / "narrow.toml"
    map_.write_text('[[column]]\nmatch = {column = "number"}\nto = "smallint"\n')
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(map_), "--no-scan", "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"])) == (1, 2), ran.err
    return ends


@pytest.mark.parametrize(
    ("name", "level", "then"), [("z", "full", ["sync"]), ("b", "none", ["follow", "--once"])]
)
def test_a_table_that_sync_has_added_and_not_filled_is_compared_with_them(
    narrow: tuple[str, ...], name: str, level: str, then: list[str]
) -> None:
    source, target = narrow[1], narrow[3]
    mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (1), (2)")
    ran = converge("sync", *narrow)
    assert (ran.code, "error[D001]" in ran.err) == (5, True), ran.out
    # Made, and empty: the run is no better than it was.
    assert postgres(target, f"SELECT count(*) FROM {name}") == [(0,)]
    assert "differs" in converge("status", "--target", target).out
    mysql(source, "UPDATE a SET number = 2; UPDATE x SET number = 3")
    ran = converge("migrate", *narrow, "--resume", "--verify", level, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["rejects"]) == (1, "differs", []), ran.err
    rows = {one["source"]: (one["rows_source"], one["rows_target"]) for one in ran.json["tables"]}
    assert rows == {"a": (2, 2), "x": (1, 1), name: (2, 0)}
    assert ran.json["next"].startswith("converge sync ")
    ran = converge(*then, *narrow)
    assert ran.code == 0, ran.err
    assert compare(source, target).equal


def test_a_table_that_sync_has_filled_is_compared_with_them(narrow: tuple[str, ...]) -> None:
    source, target = narrow[1], narrow[3]
    mysql(source, "DELETE FROM a WHERE id = 2; DELETE FROM x")
    mysql(
        source, "CREATE TABLE z (id INT, FOREIGN KEY (id) REFERENCES a (id)); INSERT INTO z VALUES (1), (1)"
    )
    assert converge("sync", *narrow).code == 0
    ran = converge("migrate", *narrow, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT id FROM z") == [(1,), (1,)]
    assert compare(source, target).equal


def test_a_table_that_sync_has_taken_out_of_the_run_goes_with_its_rejects(narrow: tuple[str, ...]) -> None:
    source, target = narrow[1], narrow[3]
    mysql(source, "DROP TABLE x")
    postgres(target, "DROP TABLE x")
    ran = converge("sync", *narrow)
    assert (ran.code, "error[D001]" in ran.err) == (5, True), ran.out
    mysql(source, "UPDATE a SET number = 2")
    ran = converge("migrate", *narrow, "--resume", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["rejects"]) == (0, "verified", []), ran.err
    assert compare(source, target).equal


def test_a_constraint_that_only_the_target_can_test(databases: tuple[str, str]) -> None:
    """The plan has said that COPY, or the index, tests it; the error says so, and what else can be done."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, body VARCHAR(9), mail VARCHAR(9))")
    mysql(source, "INSERT INTO t VALUES (1, ' ', 'a'), (2, 'b', 'b'), (3, 'c', 'B ')")
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, mail text, body text);"
        "ALTER TABLE t ADD CONSTRAINT filled CHECK (length(btrim(body)) > 0);"
        "CREATE UNIQUE INDEX mails ON t (lower(btrim(mail)));"
        "CREATE TABLE a (id int PRIMARY KEY, body text CONSTRAINT filled CHECK (length(btrim(body)) > 0))",
    )
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, body VARCHAR(9))")
    arguments = ["migrate", "--source", source, "--target", target, "--mode", "load"]
    ran = converge(*arguments)
    assert ran.code == 5 and "error[D001]: t: PostgreSQL refuses rows" in ran.err and '"filled"' in ran.err
    assert "foreseen by L013 t: COPY tests" in ran.err and "L012" not in ran.err and "L013 a" not in ran.err
    assert "--on-bad-row reject" in ran.err and f"converge migrate --truncate --source {source}" in ran.err
    ran = converge(*arguments, "--resume", "--on-bad-row", "reject", "--max-rejects", "7")
    assert ran.code == 5 and "error[D001]: t, index: PostgreSQL refuses rows" in ran.err, ran.err
    assert "foreseen by L012 t.mails: is unique by an expression" in ran.err and "L013" not in ran.err
    assert "then converge migrate --resume --on-bad-row reject --max-rejects 7 --source" in ran.err
    mysql(source, "UPDATE t SET mail = 'c' WHERE id = 3")
    ran = converge(*arguments, "--resume", "--on-bad-row", "reject", "--json")
    assert (ran.json["verdict"], [one["key"] for one in ran.json["rejects"]]) == ("differs", ["id=1"])
