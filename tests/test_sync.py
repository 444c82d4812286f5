"""`sync`: a finished run's target is made equal to the source again, and is never worse than before."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from judge import compare
from support import Ran, begun, converge, migrated, mysql, postgres, soon
from test_resume import CHANGES, SOURCE

from converge import BlockedError, verify
from converge import sync as sync_
from converge.model.event import Event, PhaseStarted
from converge.model.result import Result
from converge.report.run_text import run_text


@pytest.fixture
def pair(databases: tuple[str, str]) -> tuple[str, str]:
    """A run that has ended."""
    return migrated(databases, SOURCE)


def sync(pair: tuple[str, str], *more: str) -> Ran:
    return converge("sync", "--source", pair[0], "--target", pair[1], "--json", *more)


def _said(ran: Ran, code: str, key: str = "message") -> str:
    return "; ".join(one[key] for one in ran.json["findings"] if one["code"] == code)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield
    os.close(handle)


def test_only_what_has_moved_is_replaced(pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    looked = sync(pair, "--dry-run")
    assert (looked.code, looked.json["verdict"], _said(looked, "V118")) == (0, "verified", ""), looked.out
    # Nobody's log tells of these.
    mysql(source, f"SET sql_log_bin = 0; {CHANGES}")
    before = postgres(target, "SELECT id, xmin::text FROM parent ORDER BY id")
    left, used = (tmp_path / f"converge-rows-{name}" for name in ("left", "used"))
    for folder in left, used:
        folder.mkdir()
        (folder / "rows").touch()
    with _held(used):
        looked = converge(
            "sync", "--source", source, "--target", target, "--json", "--dry-run", TMPDIR=str(tmp_path)
        )
    assert (looked.code, looked.json["verdict"]) == (0, "ready"), looked.err
    shown = re.findall(r"^rows  +(.+)$", run_text(Result.from_json(looked.json)), re.MULTILINE)
    assert "; ".join(shown) == _said(looked, "V118", "evidence") != ""
    # A killed process has left the one, and somebody is at work in the other.
    assert [one.name for one in tmp_path.glob("converge-rows-*")] == [used.name]
    assert postgres(target, "SELECT id, xmin::text FROM parent ORDER BY id") == before
    assert postgres(target, "SELECT count(*) FROM converge.verification") == [(0,)]
    events = tmp_path / "events.jsonl"
    ran = sync(pair, "--events", str(events))
    assert (ran.code, ran.json["command"], ran.json["verdict"]) == (0, "sync", "verified"), ran.err
    told = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    assert [one["name"] for one in told if one["event"] == "PhaseEnded"] == [
        one["name"] for one in ran.json["phases"]
    ]
    steps = {one["what"] for one in told if one["event"] == "Advanced"}
    assert steps >= {"parent", "child"} and told[-1]["verdict"] == "verified"
    assert _said(looked, "V118").replace("to be repaired", "repaired") == _said(ran, "V118")
    assert _said(ran, "V001") == _said(ran, "V004") == ""
    after = postgres(target, "SELECT id, xmin::text FROM parent ORDER BY id")
    assert 0 < len({*after} - {*before}) < 10
    judged = compare(source, target)
    assert judged.equal, str(judged)
    assert postgres(target, "INSERT INTO parent (name) VALUES ('next') RETURNING id") == [(200001,)]
    # A row of others stays, and a number that was given out without a row is not given out again.
    mysql(source, "ALTER TABLE parent AUTO_INCREMENT = 300000")
    ran = sync(pair)
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    assert _said(ran, "V119").startswith("1 row was not written by the run")
    assert postgres(target, "INSERT INTO parent (name) VALUES ('later') RETURNING id") == [(300000,)]


def test_triggers_of_others_do_not_fire(pair: tuple[str, str]) -> None:
    source, target = pair
    postgres(
        target,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;"
        "CREATE TRIGGER no BEFORE INSERT OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION no()",
    )
    mysql(source, CHANGES)
    ran = sync(pair)
    assert {one["verified"] for one in ran.json["tables"]} == {True}, ran.out


def test_what_is_refused_leaves_the_target_as_it_was(pair: tuple[str, str]) -> None:
    source, target = pair
    rows = postgres(target, "SELECT * FROM parent ORDER BY id")
    mysql(source, "DELETE FROM parent WHERE id = 93; INSERT INTO parent (id, name) VALUES (-1, 'z')")
    # What the plan could not foresee, and a row of others in the place of a new one.
    for refuse, back in (
        ("ALTER TABLE parent ADD CHECK (id > 0)", "ALTER TABLE parent DROP CONSTRAINT parent_id_check"),
        ("INSERT INTO parent (id, name) VALUES (-7, 'z')", "DELETE FROM parent WHERE id = -7"),
    ):
        postgres(target, refuse)
        ran = sync(pair)
        assert (ran.code, ran.json["findings"][-1]["code"]) == (3, "V123"), ran.out
        postgres(target, back)
        assert postgres(target, "SELECT * FROM parent ORDER BY id") == rows
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]
    assert sync(pair).code == 0


def test_a_value_that_the_chosen_type_cannot_hold(databases: tuple[str, str]) -> None:
    """A TIME whose values were all within a day is a time of day in the target."""
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY, at TIME)")
    mysql(source, "INSERT INTO t VALUES (1, '-01:00:00')")
    ran = sync((source, target))
    assert (ran.code, ran.json["findings"][-1]["code"]) == (5, "D001"), ran.out
    assert "; or converge migrate --recreate --source " in ran.json["findings"][-1]["hint"]
    assert postgres(target, "SELECT * FROM t") == []


def test_the_proof_takes_only_what_a_snapshot_holds_still(databases: tuple[str, str], tmp_path: Path) -> None:
    """The source is asked again where it may have moved behind the comparison; the target is always."""
    source, target = databases
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { table = "odd" }\npolicy = { zero_date = "null" }\n', "utf-8")
    number = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT"
    mysql(
        source,
        "CREATE TABLE still (id INT PRIMARY KEY, v TEXT);"
        "CREATE TABLE keyless (id INT, v TEXT);"
        "CREATE TABLE moves (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM;"
        f"INSERT INTO still {number} i, i FROM n; INSERT INTO keyless SELECT id DIV 3, v FROM still;"
        "INSERT INTO moves SELECT * FROM still; CREATE TABLE odd (id INT PRIMARY KEY, d DATE);"
        f"SET sql_mode = ''; INSERT INTO odd {number} i, IF(i < 4, 0, '2024-02-29') FROM n",
    )
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(map_))
    assert ran.code == 0, ran.err
    mysql(source, "UPDATE keyless SET v = 'new' WHERE id = 7")

    def reads() -> dict[str, int]:
        return dict(
            mysql(
                source,
                "SELECT object_name, count_read FROM performance_schema.table_io_waits_summary_by_table "
                "WHERE object_schema = DATABASE()",
            )
        )

    before = reads()
    ran = sync(databases)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    times = {name: round((count - before[name]) / 900) for name, count in reads().items()}
    # The rows that differ are read once more.
    assert times == {"still": 1, "keyless": 2, "moves": 2, "odd": 2}
    assert [(one["column"], one["rows"]) for one in ran.json["changes"]] == [("d", 3)]

    mysql(source, "UPDATE still SET v = 'new' WHERE id = 1")
    with psycopg.connect(target) as other:
        other.execute("UPDATE still SET v = 'theirs' WHERE id = 2")
        process = begun(source, target, "--json", command="sync")
        waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'still'::regclass"
        soon(process, lambda: postgres(target, waits) == [(True,)])
        for table in "still", "moves":
            mysql(source, f"UPDATE {table} SET v = 'later' WHERE id = 3")
        other.commit()
    out, err = process.communicate(timeout=60)
    ran = Ran(process.returncode, out, err)
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.out
    differ = {one["table"]: (one["key"], one["target"]) for one in ran.json["differences"]}
    assert differ == {"still": ("id=2", "theirs"), "moves": ("id=3", "3")}
    assert postgres(target, "SELECT v FROM still WHERE id IN (1, 3) ORDER BY id") == [("new",), ("3",)]
    assert ran.json["going_back"]["tables"] == ["still"]


def test_what_sync_does_not_bring_up_to_date(databases: tuple[str, str]) -> None:
    source, target = databases
    ends = ("--source", source, "--target", target)
    ran = converge("sync", *ends)
    assert (ran.code, "T010" in ran.err) == (2, True), ran.err
    mysql(source, "CREATE TABLE t (id int PRIMARY KEY)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY)")
    assert converge("migrate", *ends, "--mode", "load").code == 0
    mysql(source, "INSERT INTO t VALUES (1)")
    ran = converge("sync", *ends)
    assert (ran.code, postgres(target, "SELECT id FROM t")) == (0, [(1,)]), ran.err
    mysql(source, "ALTER TABLE t ADD v int")
    for more in ((), ("--dry-run",)):
        ran = converge("sync", *ends, *more)
        assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    postgres(target, "UPDATE converge.run SET state = 'failed'")
    mysql(source, "ALTER TABLE t DROP v")
    ran = converge("sync", *ends)
    assert (ran.code, "V123" in ran.err) == (3, True), ran.err


def test_new_tables_come_too_and_dropped_ones_are_named(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(
        databases,
        "CREATE TABLE stays (id INT PRIMARY KEY); INSERT INTO stays VALUES (1);"
        "CREATE TABLE `goes.x` (id INT AUTO_INCREMENT PRIMARY KEY, e ENUM('a'), stays_id INT,"
        " CONSTRAINT c FOREIGN KEY (stays_id) REFERENCES stays (id));"
        "INSERT INTO `goes.x` VALUES (1, 'a', 1)",
    )
    mysql(
        source,
        "DROP TABLE `goes.x`; INSERT INTO stays VALUES (2);"
        "CREATE TABLE comes (id INT AUTO_INCREMENT PRIMARY KEY, e ENUM('a'), stays_id INT NOT NULL,"
        " ok TINYINT(1), KEY k (e), FOREIGN KEY (stays_id) REFERENCES stays (id));"
        "INSERT INTO comes VALUES (7, 'a', 2, 1)",
    )
    ran = sync(pair, "--dry-run")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    assert re.search("comes is new: sync plans, makes and fills it, [01] rows?", _said(ran, "V124")), ran.out
    assert not postgres(target, "SELECT to_regclass('comes') IS NOT NULL")[0][0]
    for _ in range(2):
        ran = sync(pair)
        assert (ran.code, ran.json["verdict"], _said(ran, "V124")) == (1, "differs", ""), ran.err
        assert _said(ran, "V115") == "cannot be compared: the source no longer has the table"
        assert {one["source"]: one["verified"] for one in ran.json["tables"]}["comes"]
    assert postgres(target, "SELECT * FROM stays ORDER BY 1") == [(1,), (2,)]
    assert postgres(target, 'SELECT e::text FROM "goes.x"') == [("a",)]
    assert postgres(target, "SELECT e::text, ok FROM comes") == [("a", True)]
    assert postgres(target, "INSERT INTO comes (stays_id) VALUES (1) RETURNING id") == [(8,)]
    postgres(target, "DELETE FROM comes WHERE id = 8")
    keys = "SELECT convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = 'comes'::regclass"
    assert postgres(target, keys) == [(True,)]
    # What is gone on both sides is forgotten, and what stands in the way of a new table is named.
    postgres(target, 'DROP TABLE "goes.x"; CREATE TABLE late (id INT)')
    mysql(source, "CREATE TABLE late (id INT PRIMARY KEY)")
    ran = sync(pair)
    assert (ran.code, "T005" in ran.err, "public.late" in ran.err) == (3, True, True), ran.err
    postgres(target, "DROP TABLE late")
    ran = sync(pair)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    assert postgres(target, "SELECT typname FROM pg_type WHERE typtype = 'e'") == [("comes_e",)]
    assert compare(source, target).equal
    mysql(source, "CREATE TABLE alone (id INT PRIMARY KEY)")
    ran = sync(pair, "--dry-run")
    assert (ran.code, ran.json["verdict"]) == (0, "ready"), ran.out
    mysql(source, "DROP TABLE alone; CREATE VIEW v AS SELECT id FROM stays")
    ran = sync(pair)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    mysql(
        source,
        "DROP VIEW v; ALTER TABLE stays ADD parent INT, ADD FOREIGN KEY (parent) REFERENCES comes (id)",
    )
    ran = sync(pair)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err


def test_tables_of_an_earlier_run_are_left_out_and_named(databases: tuple[str, str]) -> None:
    """A new table that was migrated by itself makes the last run no smaller a promise than it seems."""
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    mysql(source, "CREATE TABLE extra (id INT PRIMARY KEY)")
    addresses = ("--source", source, "--target", target, "--json")
    assert converge("migrate", *addresses, "--include", "extra").code == 0
    mysql(source, "INSERT INTO t VALUES (2); INSERT INTO extra VALUES (2)")
    ran = sync((source, target))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert "1 table is of run 1 and not of run 2" in _said(ran, "V114")
    reasons = {one["name"]: one["why"] for one in ran.json["not_compared"]}
    assert reasons == {"t": "run 1 has migrated it: --run 1"} and ran.json["not_migrated"] == []
    shown = converge("sync", "--source", source, "--target", target)
    assert "data verified · 1 table not compared · 0 objects not migrated" in shown.out, shown.out
    # A certificate is of the whole schema, or says that it is not.
    ran = converge("cutover", *addresses, "--stop", "true")
    assert (ran.code, "1 table of other runs would be left out" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT count(*) FROM t") == [(1,)]
    ran = sync((source, target), "--run", "1")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    assert compare(source, target).equal
    for command in ("verify", "sync"):
        ran = converge(command, *addresses, "--run", "7")
        assert (ran.code, "error[T010]: the ledger knows no run 7" in ran.err) == (2, True), ran.err
    # What a later run has made again is that run's, of whatever shape it was before.
    mysql(
        source,
        "CREATE TABLE u (id INT PRIMARY KEY); CREATE VIEW both_ids AS SELECT t.id FROM t JOIN u USING (id)",
    )
    assert converge("migrate", *addresses, "--include", "[tu]", "--recreate", "--yes").code == 0
    ((view,),) = postgres(target, "SELECT pg_get_viewdef('both_ids'::regclass)")
    postgres(target, "DROP VIEW both_ids")
    mysql(source, "ALTER TABLE u ADD v INT; INSERT INTO u VALUES (1, 1); INSERT INTO t VALUES (3)")
    assert (sync((source, target)).code, "T011" in sync((source, target)).err) == (3, True)
    assert converge("migrate", *addresses, "--include", "u", "--recreate", "--yes").code == 0
    postgres(target, f"CREATE VIEW both_ids AS {view}")
    ran = sync((source, target), "--run", "3")
    assert (ran.code, [table["source"] for table in ran.json["tables"]]) == (0, ["t"]), ran.err
    assert compare(source, target).equal
    postgres(target, "DROP VIEW both_ids")
    assert converge("migrate", *addresses, "--include", "t", "--recreate", "--yes").code == 0
    ran = converge("verify", *addresses, "--run", "1")
    assert (ran.code, "error[T010]: later runs" in ran.err) == (2, True), ran.err


def test_a_new_table_beside_one_that_a_later_run_has_made_again(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT PRIMARY KEY, v INT);"
        "CREATE TRIGGER bump BEFORE INSERT ON u FOR EACH ROW SET NEW.v = 1",
    )
    again = ("--include", "u", "--recreate", "--yes")
    ran = converge("migrate", "--source", source, "--target", target, *again)
    assert ran.code == 0, ran.err
    mysql(source, "CREATE TABLE w (id INT PRIMARY KEY); INSERT INTO w VALUES (1)")
    ran = sync(pair, "--run", "1")
    assert (ran.code, [one["source"] for one in ran.json["tables"]]) == (0, ["t", "w"]), ran.err
    # What it has become, and what stops that, is the other run's.
    mysql(
        source,
        "DROP TABLE u; CREATE TABLE u (v VARCHAR(9), id BIGINT AS (CRC32(v)) STORED PRIMARY KEY);"
        "CREATE TRIGGER bump BEFORE INSERT ON u FOR EACH ROW SET NEW.v = 2;"
        "CREATE TABLE x (id INT PRIMARY KEY); INSERT INTO x VALUES (1)",
    )
    ran = converge("follow", "--once", "--source", source, "--target", target, "--run", "1")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT (SELECT count(*) FROM x), (SELECT count(*) FROM u)") == [(1, 0)]
    ran = sync(pair, "--run", "1")
    assert (ran.code, [one["source"] for one in ran.json["tables"]]) == (0, ["t", "w", "x"]), ran.err


def test_new_tables_take_no_name_and_no_place_of_others(databases: tuple[str, str]) -> None:
    source, target = pair = migrated(
        databases,
        "CREATE TABLE m (id INT PRIMARY KEY, v INT, KEY k (v)); INSERT INTO m VALUES (1, 1);"
        "CREATE TABLE b (id INT PRIMARY KEY)",
    )
    # An earlier run's table is nobody's when a later run would have taken it.
    mysql(source, "DROP TABLE b")
    assert converge("migrate", "--source", source, "--target", target, "--recreate", "--yes").code == 0
    mysql(
        source,
        "CREATE TABLE b (id INT PRIMARY KEY, w INT); INSERT INTO b VALUES (1, 2);"
        "CREATE TABLE a (id INT PRIMARY KEY, v INT, KEY k (v));"
        "CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.v = NEW.v + 1;"
        "INSERT INTO a VALUES (3, 7)",
    )
    ran = sync(pair)
    assert (ran.code, "T005" in ran.err, "public.b" in ran.err) == (3, True, True), ran.err
    postgres(target, "DROP TABLE b")
    for _ in range(2):
        ran = sync(pair)
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert compare(source, target).equal
    assert postgres(target, "INSERT INTO a VALUES (4, 1) RETURNING v") == [(2,)]
    mysql(source, "DROP TRIGGER tr")
    ran = sync(pair)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    mysql(source, "DROP TABLE a")
    ran = sync(pair)
    assert (ran.code, _said(ran, "V115")) == (1, "cannot be compared: the source no longer has the table")


def test_new_tables_that_foreign_keys_join_keep_the_types_of_all(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Whether every value fits a type is asked of all columns that keys join, those of new tables, too."""
    source, target = databases
    map_ = tmp_path / "map.toml"
    map_.write_text('[[type]]\nmatch = { type = "char", length = 36, fits = true }\nto = "uuid"\n', "utf-8")
    mysql(source, "CREATE TABLE t (id CHAR(36) PRIMARY KEY); INSERT INTO t VALUES (UUID())")
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(map_))
    assert ran.code == 0, ran.err
    new = "(id CHAR(36) PRIMARY KEY, t_id CHAR(36), FOREIGN KEY (t_id) REFERENCES t (id))"
    mysql(source, f"CREATE TABLE c {new}; INSERT INTO c SELECT UUID(), id FROM t")
    ran = sync(databases, "--dry-run")
    assert (ran.code, "c is new" in _said(ran, "V124")) == (0, True), ran.err
    ran = sync(databases)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    mysql(source, f"CREATE TABLE d {new}; INSERT INTO d SELECT UUID(), id FROM t")
    ran = sync(databases, "--no-scan")
    assert (ran.code, "not all rows of d were scanned" in ran.err) == (3, True), ran.err
    ran = converge("follow", "--once", *ends)
    assert ran.code == 0, ran.err
    types = "SELECT pg_typeof(id)::text || pg_typeof(t_id) FROM"
    assert postgres(target, f"{types} c UNION ALL {types} d") == [("uuiduuid",)] * 2
    assert compare(source, target).equal
    # Those of another run decide nothing of this one.
    mysql(source, f"CREATE TABLE f {new}; INSERT INTO f SELECT UUID(), id FROM t")
    ran = converge("migrate", *ends, "--map", str(map_), "--include", "f")
    assert ran.code == 0, ran.err
    ran = sync(databases, "--run", "1")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    mysql(source, "DROP TABLE f")
    # A value that is none makes the type another one, of the run's table, too.
    mysql(source, f"CREATE TABLE e {new}; SET foreign_key_checks = 0; INSERT INTO e VALUES (UUID(), 'x')")
    for more in ((), ("--dry-run",)):
        ran = sync(databases, "--run", "1", *more)
        assert (ran.code, "T011" in ran.err) == (3, True), ran.err


def test_a_row_that_was_moved_is_another_one(databases: tuple[str, str]) -> None:
    """VACUUM FULL keeps the xmin, which all rows of a chunk share."""
    source, target = migrated(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE TABLE keyless (found INT);"
        "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
        "SELECT i, i FROM n; INSERT INTO keyless SELECT v FROM t",
    )
    for table, column in ("t", "id"), ("keyless", "found"):
        for low in 1, 101:
            mysql(source, f"DELETE FROM {table} WHERE {column} BETWEEN {low} AND {low + 49}")
            if low == 1:
                assert sync_(source, target).verdict == "verified"
        before = postgres(target, f"SELECT * FROM {table} ORDER BY 1")

        def move(event: Event, table: str = table) -> None:
            if isinstance(event, PhaseStarted) and event.name == "repair":
                postgres(target, f"VACUUM FULL {table}")

        with pytest.raises(BlockedError, match=f"{table}: rows have been written, or moved, in the target"):
            sync_(source, target, on_event=move)
        assert postgres(target, f"SELECT * FROM {table} ORDER BY 1") == before
        assert sync_(source, target).verdict == "verified"
    assert compare(source, target).equal


def test_the_last_proof_sees_what_others_do_meanwhile(databases: tuple[str, str]) -> None:
    """It digests the rows that were written since the first pass, and counts all: see `Proof.since`."""
    source, target = migrated(
        databases,
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9));"
        "CREATE TABLE two (id INT PRIMARY KEY, a INT, b INT, e ENUM('x', 'y'));"
        "CREATE TABLE keyless (v VARCHAR(9));"
        "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
        "SELECT i, i FROM n; INSERT INTO keyless SELECT v FROM t; INSERT INTO two VALUES (1, 2, 3, 'x')",
    )
    mysql(source, "SET sql_log_bin = 0; DELETE FROM t WHERE id < 9; UPDATE keyless SET v = 'new' WHERE v = 5")

    def meanwhile(*statements: str) -> Result:
        def act(event: Event) -> None:
            if isinstance(event, PhaseStarted) and event.name == "verify":
                for statement in statements:
                    postgres(target, statement)

        return sync_(source, target, on_event=act)

    again = "DELETE FROM keyless WHERE v = '7'; INSERT INTO keyless VALUES ('7')"
    ran = meanwhile("VACUUM FULL t", "UPDATE t SET v = v", again)
    assert (ran.verdict, postgres(target, "SELECT count(*) FROM t")) == ("verified", [(892,)])
    assert compare(source, target).equal
    assert [one.digest for one in ran.tables] == [one.digest for one in verify(source, target).tables]

    swapped = "; ".join(f"ALTER TABLE two RENAME {one}" for one in ("a TO c", "b TO a", "c TO b"))
    label = "ALTER TYPE two_e RENAME VALUE 'x' TO 'z'", "ALTER TYPE two_e RENAME VALUE 'z' TO 'x'"
    default = "ALTER TABLE two DROP b, ADD b int DEFAULT 7", "ALTER TABLE two ALTER b DROP DEFAULT"
    exchanged = "ALTER TABLE keyless RENAME TO other; ALTER TABLE copied RENAME TO keyless"
    postgres(target, "CREATE TABLE copied AS SELECT v || '!' AS v FROM keyless")
    unwritten = {
        swapped: swapped,
        label[0]: label[1],
        default[0]: f"{default[1]}; UPDATE two SET b = 3",
        exchanged: "DROP TABLE keyless; ALTER TABLE other RENAME TO keyless",
    }
    for statements, back in unwritten.items():
        unequal = [one.source for one in meanwhile(statements).tables if not one.verified]
        assert unequal == ["keyless" if "keyless" in statements else "two"], statements
        postgres(target, back)

    written = {
        "DELETE FROM t WHERE id = 40": {"id=40"},
        "UPDATE t SET v = 'x' WHERE id = 40": {"id=40"},
        "DELETE FROM keyless WHERE v = '20'; INSERT INTO keyless VALUES ('x')": {"(1 row)"},
        "DELETE FROM t WHERE id = 50; INSERT INTO t VALUES (5, '5')": {"id=5", "id=50"},
    }
    for statements, keys in written.items():
        ran = meanwhile(statements)
        assert ran.verdict == "differs", statements
        assert {one.key for one in ran.differences if f"{one.table} " in statements} >= keys, statements
