"""The scan of a large table: in ranges, by several connections, and of guesses only as much as they need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NewDatabase
from support import Ran, converge, mysql, postgres

from converge.model.endpoint import parse
from converge.model.evidence import Count, Oversize, Questions, Scan, Search, TableFacts
from converge.model.extent import Extent
from converge.mysql import scan as scanning
from converge.mysql.scan import scan
from converge.sandbox import Server

_ROWS = 3000
_ODD = 2345
"""The only row with an odd value: no first row of the table."""
_GUESSES = ("`often`='x'", "`rarely`='x'", "`never`='x'")
_QUESTIONS = Questions(
    table="t",
    extent=Extent("t", (("id", "int"),), _ROWS, _ROWS * 100),
    conditions=("`id`%1000=7", *_GUESSES),
    guesses=_GUESSES,
    lengths=(("rarely", "LENGTH(`rarely`)"),),
    oversize=(
        Oversize("LENGTH(`rarely`)>4", ("LENGTH(`rarely`)",), 4),
        Oversize("no such column", ("LENGTH(`rarely`)",), 5),
    ),
    searches=(Search("last", "FROM t AS c", f"c.id={_ROWS}"),),
    key="CONCAT(c.id)",
)
_ALL = TableFacts(
    _ROWS,
    counts={
        "`id`%1000=7": Count(3, ("7", "1007", "2007")),
        "`often`='x'": Count(1000),
        "`rarely`='x'": Count(1),
        "`never`='x'": Count(0),
        "LENGTH(`rarely`)>4": Count(1, ("1",)),
        "no such column": Count(0),
    },
    longest={"rarely": 5},
    found={"last": Count(1, (str(_ROWS),))},
)


@pytest.fixture(scope="module")
def source(mysql_8015: Server) -> Iterator[str]:
    url = mysql_8015.create_database("scan")
    columns = "id INT PRIMARY KEY, often CHAR(1), rarely VARCHAR(9), never CHAR(1)"
    digits = " UNION ALL ".join(f"SELECT {digit} n" for digit in range(10))
    of_ten = ", ".join(f"({digits}) d{place}" for place in range(4))
    rows = (
        "SELECT n, IF(n%3=0,'x','y'), CASE n WHEN 1 THEN 'yyyyy' WHEN "
        f"{_ODD} THEN 'x' ELSE 'y' END, 'y' FROM "
        f"(SELECT 1+d0.n+10*d1.n+100*d2.n+1000*d3.n n FROM {of_ten}) all_ WHERE n<={_ROWS}"
    )
    for name, definition in (("t", columns), ("keyless", columns.replace(" PRIMARY KEY", ""))):
        mysql(url, f"CREATE TABLE {name} ({definition}); INSERT INTO {name} {rows}")
    yield url
    mysql_8015.drop_database("scan")


def _scan(source: str, questions: Questions, seconds: float = 60) -> TableFacts:
    told: list[str] = []
    found = scan(parse(source), [questions], jobs=3, seconds=seconds, on_table=told.append)
    assert told == [questions.table]
    return replace(found[questions.table], seconds=0.0)


def test_a_small_table_is_asked_as_a_whole(source: str) -> None:
    assert _scan(source, _QUESTIONS) == _ALL


def test_ranges_add_up(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range for every fifty rows; the guess that falls within the first rows is not asked any more."""
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 50 * 100)
    first = Count(333, of=1000)
    assert _scan(source, _QUESTIONS) == replace(_ALL, counts={**_ALL.counts, "`often`='x'": first})


def test_several_queries_a_range(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 50 * 100)
    monkeypatch.setattr(scanning, "_BATCH", 2)
    assert _scan(source, _QUESTIONS).counts == {**_ALL.counts, "`often`='x'": Count(333, of=1000)}


def test_a_table_without_a_key(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 50 * 100)
    questions = replace(
        _QUESTIONS,
        table="keyless",
        extent=Extent("keyless", (), _ROWS, _ROWS * 100),
        key="",
        searches=(),
        oversize=(),
    )
    found = _scan(source, questions)
    assert (found.rows, found.counts["`id`%1000=7"], found.longest) == (_ROWS, Count(3), {"rarely": 5})
    assert found.counts["`rarely`='x'"] == Count(1)


def test_wide_rows_are_looked_at_one_by_one(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are no more than a few megabytes, and at least one."""
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 50 * 100)
    monkeypatch.setattr(scanning, "_FIRST_BYTES", 10)
    found = _scan(source, replace(_QUESTIONS, guesses=("`never`='x'", "`rarely`<>'x'"), oversize=(),
                                  conditions=("`never`='x'", "`rarely`<>'x'")))  # fmt: skip
    assert found.counts == {"`never`='x'": Count(0), "`rarely`<>'x'": Count(1, of=1)}


def test_what_does_not_come_in_time_is_unknown(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guess that fell before the time was up stays."""
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 50 * 100)
    slow = f"SLEEP(IF(`id`={_ODD},20,0))"
    questions = replace(_QUESTIONS, conditions=(slow, *_GUESSES))
    found = _scan(source, questions, seconds=2)
    assert found.unseen == "the scan stopped after 2 s"
    assert (found.rows, found.counts, found.found) == (_ROWS, {"`often`='x'": Count(333, of=1000)}, {})


def test_the_time_of_a_table_stands_still_while_others_are_asked(
    mysql_8015: Server, new_mysql_database: NewDatabase
) -> None:
    source = new_mysql_database(mysql_8015)
    names = [f"t{number}" for number in range(6)]
    for name in names:
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    slow = Questions("", Extent("", (), 1, 1), ("SLEEP(1)=0",), (), (), (), (), "c.id")
    todo = [replace(slow, table=name, extent=Extent(name, (), 1, 1)) for name in names]
    found = scan(parse(source), todo, jobs=2, seconds=2.2, on_table=lambda _: None)
    assert {
        name: (one.unseen, one.counts["SLEEP(1)=0"].rows) for name, one in found.items()
    } == dict.fromkeys(names, ("", 1))


def test_statistics_that_are_far_off_make_no_thousand_ranges(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a text key, which is walked: a row for each step by these numbers."""
    asked: list[int] = []
    monkeypatch.setattr(scanning._Table, "_range", _counting(scanning._Table._range, asked))
    monkeypatch.setattr(scanning, "_RANGE_BYTES", 100_000)
    mysql(source, "CREATE TABLE IF NOT EXISTS texts (k VARCHAR(9) PRIMARY KEY) SELECT id k FROM t")
    extent = Extent("texts", (("k", "varchar"),), 3, 300_000)
    questions = Questions("texts", extent, ("`k`='7'",), (), (), (), (), "c.k")
    found = _scan(source, questions)
    assert (found.rows, found.counts) == (_ROWS, {"`k`='7'": Count(1, ("7",))})
    assert len(asked) == 25


def _counting(step: Any, asked: list[int]) -> Any:
    def counted(*arguments: Any) -> Any:
        asked.append(1)
        return step(*arguments)

    return counted


# ---- the scan of a plan file ---------------------------------------------------------------------------


def test_an_earlier_scan_answers_only_what_it_was_asked() -> None:
    scan = Scan("here", {"t": _ALL})
    assert scan.answers(_QUESTIONS) == _ALL
    assert scan.answers(replace(_QUESTIONS, table="u")) is None
    assert scan.answers(replace(_QUESTIONS, conditions=(*_QUESTIONS.conditions, "more"))) is None
    assert scan.answers(replace(_QUESTIONS, lengths=(("more", "more"),))) is None
    assert scan.answers(replace(_QUESTIONS, searches=(Search("more", "", ""),))) is None
    assert scan.answers(replace(_QUESTIONS, oversize=(Oversize("more", (), 1),))) is None
    assert Scan("here", {"t": replace(_ALL, unseen="the scan stopped")}).answers(_QUESTIONS) is None


@pytest.fixture
def planned(
    mysql_8033: Server, postgres_175: Server, new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase, tmp_path: Path,
) -> tuple[str, str, Path]:  # fmt: skip
    """Source, target, and a plan file that says `flag` becomes boolean."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, flag TINYINT(1)); INSERT INTO t VALUES (1,1),(2,0)")
    mysql(
        source, "CREATE TABLE u (id INT PRIMARY KEY, d DATE NOT NULL); INSERT INTO u VALUES (1,'2024-02-03')"
    )
    file = tmp_path / "plan.json"
    ran = converge("plan", "--source", source, "--target", target, "-o", str(file))
    assert ran.code == 0, ran.err
    return source, target, file


def _migrate(source: str, target: str, file: Path, *options: str) -> Ran:
    return converge(
        "migrate", "--source", source, "--target", target, "--plan", str(file), "--json", *options
    )


def _seen_before(ran: Ran) -> list[str]:
    return [one["message"] for one in ran.json["findings"] if one["code"] == "V036"]


def test_a_plan_files_scan_is_used_while_the_source_stands_still(planned: tuple[str, str, Path]) -> None:
    source, target, file = planned
    ran = _migrate(source, target, file)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert _seen_before(ran) == ["tables were not scanned again: the plan file has what was seen: t, u"]
    assert postgres(target, "SELECT flag FROM t ORDER BY id") == [(True,), (False,)]


def test_a_source_that_has_moved_is_scanned_again(planned: tuple[str, str, Path]) -> None:
    source, target, file = planned
    mysql(source, "INSERT INTO t VALUES (3, 1)")
    ran = _migrate(source, target, file)
    assert (ran.code, ran.json["verdict"], _seen_before(ran)) == (0, "verified", [])


def test_a_value_that_came_after_the_plan_file_is_met(planned: tuple[str, str, Path]) -> None:
    """Another type, so another plan; and a row that blocks still blocks before anything is written."""
    source, target, file = planned
    mysql(source, "INSERT INTO t VALUES (3, 2)")
    ran = _migrate(source, target, file)
    assert (ran.code, [one["code"] for one in ran.json["findings"]]) == (3, ["P005"])
    mysql(source, "DELETE FROM t WHERE id = 3; SET sql_mode = ''; INSERT INTO u VALUES (2, '2024-00-01')")
    ran = _migrate(source, target, file)
    assert ran.code == 3 and "V010" in {one["code"] for one in ran.json["findings"]}, ran.out
    assert postgres(target, "SELECT to_regclass('t')") == [(None,)]


def test_a_loss_that_came_after_the_plan_file_makes_another_plan(
    planned: tuple[str, str, Path], tmp_path: Path
) -> None:
    """The map's policy decides the same for a column without such values; the file has no loss."""
    source, target, file = planned
    mysql(source, "ALTER TABLE u MODIFY d DATE NULL")
    map_ = tmp_path / "map.toml"
    map_.write_text('[[type]]\nmatch = { type = "date" }\npolicy = { zero_date = "null" }\n')
    options = ("--source", source, "--target", target, "--map", str(map_))
    assert converge("plan", *options, "-o", str(file)).code == 0
    mysql(source, "SET sql_mode = ''; INSERT INTO u VALUES (2, '0000-00-00')")
    ran = _migrate(source, target, file, "--map", str(map_))
    assert (ran.code, [one["code"] for one in ran.json["findings"]]) == (3, ["P005"]), ran.out


def test_a_table_that_the_file_does_not_answer_for_is_scanned(planned: tuple[str, str, Path]) -> None:
    source, target, file = planned
    document = json.loads(file.read_text("utf-8"))
    counts = document["scanned"]["tables"]["u"]["counts"]
    del counts[next(iter(counts))]
    file.write_text(json.dumps(document), "utf-8")
    ran = _migrate(source, target, file)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert _seen_before(ran) == ["tables were not scanned again: the plan file has what was seen: t"]


# ---- what a plan says of guesses that have fallen ------------------------------------------------------


def test_a_rule_that_some_values_break_is_told_of(databases: tuple[str, str]) -> None:
    """With the values of numbers and times; of texts with the keys, as they may be secrets."""
    source, target = databases
    mysql(
        source, "CREATE TABLE t (id INT PRIMARY KEY, flag TINYINT(1), good TINYINT(1), at TIME, k CHAR(36))"
    )
    mysql(source, "INSERT INTO t VALUES (1, 0, 0, '01:00:00', UUID()), (2, 2, 1, '-00:00:01', 'secret'), "
                  "(3, 2, 1, NULL, NULL), (4, -1, NULL, '25:00:00', UUID())")  # fmt: skip
    planned = converge("plan", "--source", source, "--target", target, "--map", "friendly", "--json")
    found = {one["object"]: one for one in planned.json["findings"] if one["code"] == "V049"}
    assert {(name, one["severity"], one["message"], one["evidence"]) for name, one in found.items()} == {
        ("t.flag", "note", "becomes smallint, not boolean: 3 of 4 rows hold values other than 0 and 1",
         "values 2, -1"),
        ("t.at", "note", "becomes interval(0), not time(0): 2 of 4 rows hold a time before 00:00:00 or after "
         "23:59:59", "values -00:00:01, 25:00:00"),
        ("t.k", "note", "becomes varchar(36), not uuid: 1 of 4 rows holds something that is not a UUID",
         "rows id 2"),
    }  # fmt: skip
    assert 'to = "boolean"\npolicy = { not_boolean = "null" }\n# or: policy' in found["t.flag"]["hint"]
    assert "secret" not in planned.out
