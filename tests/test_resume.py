"""A run that goes on under a new snapshot: what was copied before is compared again, never just kept."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import NewDatabase
from proxy import Proxy
from support import begun, converge, migrated, mysql, postgres, soon

from converge import api
from converge.api import MigrateOptions, Move, Options, Selection
from converge.codes import Code
from converge.errors import BlockedError
from converge.model.endpoint import Endpoint, parse
from converge.model.event import DatabaseStarted, Event
from converge.postgres import ledger
from converge.run import migrate
from converge.sandbox import Server

ROWS = 40_000
SOURCE = f"""
SET cte_max_recursion_depth = {ROWS};
CREATE TABLE parent (
    id INT AUTO_INCREMENT PRIMARY KEY, name CHAR(36) NOT NULL UNIQUE, body TEXT,
    size INT AS (CHAR_LENGTH(body)) STORED);
CREATE TABLE child (
    id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT NOT NULL,
    FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE keyless (number INT, body VARCHAR(200));
CREATE TABLE hollow (id INT PRIMARY KEY);
INSERT INTO parent (name, body)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT UUID(), REPEAT(CONCAT(i, ' tab\\there, line\\nthere '), 40) FROM n;
INSERT INTO child (parent_id) SELECT id FROM parent WHERE id % 3 = 0;
INSERT INTO keyless SELECT id % 1000, LEFT(body, 100) FROM parent;
ANALYZE TABLE parent, child, keyless;
"""
CHANGES = """
UPDATE parent SET body = 'changed' WHERE id = 50;
DELETE FROM child WHERE parent_id = 90;
DELETE FROM parent WHERE id = 93;
UPDATE child SET parent_id = 39001 WHERE parent_id = 99;
SET FOREIGN_KEY_CHECKS = 0;
UPDATE parent SET id = 100001 WHERE id = 102;
UPDATE child SET parent_id = 100001 WHERE parent_id = 102;
SET FOREIGN_KEY_CHECKS = 1;
INSERT INTO parent (id, name) VALUES (200000, 'new');
DELETE FROM keyless WHERE number = 5 LIMIT 3;
INSERT INTO keyless SELECT * FROM keyless WHERE number = 7 LIMIT 2;
INSERT INTO hollow VALUES (1);
"""


ASIDE = "SELECT relname FROM pg_class WHERE relname ~ '^(saved|kept) ' AND relkind = 'r'"


@pytest.fixture
def pair(databases: tuple[str, str]) -> tuple[str, str]:
    """A run that ended, and that its ledger calls interrupted: everything is built, foreign keys too."""
    _, target = migrated(databases, SOURCE)
    postgres(target, "UPDATE converge.run SET state = 'interrupted'")
    return databases


def _found(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["message"] for one in document["findings"] if one["code"] == "V002"]


def test_a_source_that_stood_still_is_not_compared_again(pair: tuple[str, str]) -> None:
    ran = converge("migrate", "--source", pair[0], "--target", pair[1], "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert _found(ran.json) == []
    assert "recheck" not in [phase["name"] for phase in ran.json["phases"]]


def test_without_a_known_position_everything_is_compared_again(pair: tuple[str, str]) -> None:
    source, target = pair
    name = source.rpartition("/")[2]
    mysql(source, f"CREATE USER may_only_select@'%'; GRANT SELECT ON {name}.* TO may_only_select@'%'")
    plain = source.replace("root@", "may_only_select@")
    postgres(target, "UPDATE converge.run SET source = replace(source, 'root', 'may_only_select')")
    try:
        ran = converge("migrate", "--source", plain, "--target", target, "--resume", "--json")
    finally:
        mysql(source, "DROP USER may_only_select@'%'")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert ran.json["snapshot"] == "quiet"
    (message,) = _found(ran.json)
    assert message.endswith("none has changed")


def test_what_others_have_written_is_not_removed(pair: tuple[str, str]) -> None:
    """Each change of theirs is one transaction, as a rewrite of the table would be."""
    source, target = pair
    mysql(source, "UPDATE child SET id = id + 1000000 WHERE parent_id = 39999")
    trigger = "CREATE TRIGGER own BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION "
    for change, back in (
        ("INSERT INTO child (id, parent_id) VALUES (-5, 3)", "DELETE FROM child WHERE id = -5"),
        (f"{trigger}suppress_redundant_updates_trigger()", "DROP TRIGGER own ON child"),
        ("INSERT INTO child (id, parent_id) VALUES (-5, 3); DELETE FROM child WHERE id = 1", ""),
        ("UPDATE child SET parent_id = parent_id", ""),
    ):
        postgres(target, change)
        rows = postgres(target, "SELECT id, parent_id FROM child ORDER BY id")
        ran = converge("migrate", "--source", source, "--target", target, "--resume")
        assert (ran.code, "T019" in ran.err) == (3, True), (change, ran.err)
        assert postgres(target, "SELECT id, parent_id FROM child ORDER BY id") == rows
        if back:
            postgres(target, back)


def test_a_rewritten_table_is_loaded_whole(pair: tuple[str, str]) -> None:
    source, target = pair
    mysql(source, "UPDATE keyless SET body = 'moved' WHERE number = 5")
    postgres(
        target, "ALTER TABLE keyless ALTER number TYPE bigint; ALTER TABLE keyless ALTER number TYPE integer"
    )
    ran = converge("migrate", "--source", source, "--target", target, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


@pytest.mark.parametrize("mode", ["create", "load"])
def test_a_table_that_was_dropped_meanwhile_is_named(databases: tuple[str, str], mode: str) -> None:
    """No resumed run makes it again: its chunks are done."""
    source, target = databases
    if mode == "load":
        postgres(target, "CREATE TABLE film (id integer PRIMARY KEY); CREATE TABLE more (id integer)")
    tables = "CREATE TABLE film (id INT PRIMARY KEY); CREATE TABLE more (id INT); INSERT INTO film VALUES (1)"
    mysql(source, tables)
    assert converge("migrate", "--source", source, "--target", target, "--mode", mode).code == 0
    postgres(target, "UPDATE converge.run SET state = 'interrupted'; DROP TABLE film")
    ran = converge("migrate", "--source", source, "--target", target, "--resume")
    assert (ran.code, "error[T012]: 1 table is no longer" in ran.err) == (5, True), ran.err
    assert "film" in ran.err
    assert {"create": " --recreate ", "load": " --truncate "}[mode] in ran.err and " --resume" not in ran.err


def test_tables_that_are_left_out_may_come_change_and_go(databases: tuple[str, str], tmp_path: Path) -> None:
    """They do not belong to what a run does: neither a resumed run, nor one by a plan file, nor one that has
    planned its database long before."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE one (id TINYINT(1) PRIMARY KEY); INSERT INTO one VALUES (1);"
        "CREATE TABLE tmp_1 (id INT)",
    )
    ends = ("--source", source, "--target", target)
    file = str(tmp_path / "plan.json")
    assert converge("plan", *ends, "--exclude", "tmp_*", "-o", file).code == 0
    mysql(
        source,
        "ALTER TABLE tmp_1 ADD KEY (id); CREATE TABLE tmp_2 (id TINYINT(1) PRIMARY KEY, CHECK (id > 0), "
        "FOREIGN KEY (id) REFERENCES one (id))",
    )
    ran = converge("migrate", *ends, "--exclude", "tmp_*", "--plan", file)
    assert ran.code == 0, ran.err
    for change in ("ALTER TABLE tmp_1 ADD more INT; DROP TABLE tmp_2", "DROP TABLE tmp_1"):
        postgres(target, "UPDATE converge.run SET state = 'interrupted'")
        mysql(source, change)
        ran = converge("migrate", *ends, "--resume", "--exclude", "tmp_*", "--json")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    # Whoever names tables anew is told of a slip.
    ran = converge("verify", *ends, "--map", "alkemio", "--include", "oen")
    assert (ran.code, "error[U010]" in ran.err) == (2, True), ran.err
    mysql(source, "CREATE TABLE tmp_3 (id INT)")

    def between(event: Event) -> None:
        if isinstance(event, DatabaseStarted) and not event.doing:
            mysql(source, "DROP TABLE tmp_3")

    wanted = Options(selection=Selection(exclude=("tmp_*",)), recreate=True)
    moves = [Move("only", parse(source), parse(target), MigrateOptions(wanted))]
    (ran_last,) = api.migrate_several(moves, on_event=between).each
    assert ran_last.result.verdict == "verified", ran_last.error


@pytest.mark.parametrize("several", [False, True])
def test_a_run_that_was_stopped_is_resumed_behind_a_later_one(
    databases: tuple[str, str], tmp_path: Path, several: bool
) -> None:
    """As long as the later one has made none of its tables; then the last run is the last one again."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE first (id INT PRIMARY KEY); INSERT INTO first VALUES (1), (2);"
        "CREATE TABLE later (id INT PRIMARY KEY, kind ENUM ('a')); INSERT INTO later VALUES (3, 'a');",
    )
    postgres(target, "CREATE TABLE gate (open INT)")
    gate = "SELECT 1 / count(*) FROM gate"
    (tmp_path / "gate.toml").write_text(f'[[hook]]\nphase = "after_copy"\nsql = "{gate}"\n')
    where = ["--source", source, "--target", target]
    if several:
        entry = f'[[database]]\nname = "one"\nsource = "{source}"\ntarget = "{target}"\n'
        (tmp_path / "converge.toml").write_text(entry)
        where = []

    def migrate(*options: str) -> tuple[int, str]:
        ran = converge("migrate", *where, *options, folder=str(tmp_path))
        return ran.code, ran.err

    stopped = migrate("--exclude", "later", "--map", "gate.toml")
    assert stopped[0] == 5, stopped
    later = migrate("--include", "later")
    assert later[0] == 0, later
    postgres(target, "INSERT INTO gate VALUES (1)")
    resumed = migrate("--resume")
    assert resumed[0] == 0, resumed
    assert postgres(target, "SELECT id FROM first ORDER BY id") == [(1,), (2,)]
    assert postgres(target, "SELECT id, state FROM converge.run ORDER BY id") == [
        (1, "finished"), (2, "finished"),
    ]  # fmt: skip
    verified = converge("verify", *where, "--run", "1", folder=str(tmp_path))
    assert verified.code == 0, verified.out
    again = migrate("--resume")
    assert (again[0], "T010" in again[1]) == ((0, False) if several else (2, True)), again
    # One of which nothing is left, or whose table a later one has made again, is no more to be resumed.
    postgres(target, "DELETE FROM gate; DROP TABLE first")
    assert migrate("--include", "first", "--map", "gate.toml")[0] == 5
    postgres(target, "DROP TABLE first")
    assert migrate("--include", "later", "--recreate", "--yes")[0] == 0
    again = migrate("--resume")
    assert (again[0], "T010" in again[1]) == ((0, False) if several else (2, True)), again
    assert migrate("--include", "first", "--map", "gate.toml")[0] == 5
    assert migrate("--include", "first", "--recreate", "--yes")[0] == 0
    again = migrate("--resume")
    assert (again[0], "T010" in again[1]) == ((0, False) if several else (2, True)), again


def test_a_run_that_has_ended_since_the_plan_is_another_run(
    databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are begun at once, and one is done before the other has the lock."""
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")

    def first(endpoint: Endpoint) -> None:
        monkeypatch.undo()
        assert converge("migrate", "--source", source, "--target", target).code == 0
        ledger.upgrade(endpoint)

    monkeypatch.setattr(migrate, "upgrade", first)
    with pytest.raises(BlockedError) as caught:
        api.migrate(source, target)
    assert caught.value.code == Code.T009
    ran = converge("status", "--target", target, "--json")
    assert (ran.json["run"]["id"], ran.json["verdict"]) == (1, "verified"), ran.out


def test_a_new_table_of_the_name_of_an_index_is_no_other_run(databases: tuple[str, str]) -> None:
    source, target = databases
    ends = ("--source", source, "--target", target)
    mysql(
        source,
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, KEY customer (customer))",
    )
    assert converge("migrate", *ends).code == 0
    mysql(
        source,
        "CREATE TABLE customer (id INT PRIMARY KEY); CREATE TABLE orders_id_seq (id INT PRIMARY KEY);"
        "INSERT INTO customer VALUES (1); INSERT INTO orders_id_seq VALUES (1)",
    )
    ran = converge("migrate", *ends, "--recreate", "--yes", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err


SHAPED = """
CREATE TABLE t (
    id INT AUTO_INCREMENT PRIMARY KEY, c INT NOT NULL DEFAULT 7, size INT, d INT CHECK (d < 9),
    KEY by_size (size));
INSERT INTO t (c, size) VALUES (1, 2), (3, 4)
"""
HARM = """
ALTER TABLE t ALTER c DROP NOT NULL, ALTER c DROP DEFAULT, ALTER id DROP IDENTITY;
ALTER TABLE t ADD CONSTRAINT theirs CHECK (size > 0);
DROP INDEX by_size
"""
INDEXED = "SELECT to_regclass('by_size') IS NOT NULL"
HARMED = ["column public.t.c", "column public.t.id", "index public.by_size"]


def changed(document: dict[str, Any]) -> list[str]:
    found = {one["object"] for one in document["findings"] if one["code"] == "V111"}
    return sorted(name for name in found if not name.startswith("sequence "))


def test_what_others_have_changed_in_a_finished_run_stays_a_difference(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, f"{SHAPED}; INSERT INTO t (c, size) VALUES (5, 70000)")
    map_ = tmp_path / "narrow.toml"
    map_.write_text('[[column]]\nmatch = {column = "size"}\nto = "smallint"\n')
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--map", str(map_), "--no-scan", "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"])) == (1, 1), ran.err
    postgres(target, HARM)
    mysql(source, "UPDATE t SET size = 7 WHERE c = 5")
    theirs = "constraint theirs on public.t"
    for command in (("migrate", "--resume"), ("verify",)):
        ran = converge(*command, *ends, "--json")
        assert (ran.code, ran.json["verdict"], changed(ran.json)) == (
            1, "differs", sorted([*HARMED, theirs])
        ), (command, ran.err)  # fmt: skip


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%%s%%'"


@pytest.mark.parametrize(
    ("phase", "killed"), [("after_finish", False), ("after_finish", True), ("after_copy", True)]
)
def test_what_others_have_changed_in_a_stopped_run_stays_a_difference(
    databases: tuple[str, str], tmp_path: Path, phase: str, *, killed: bool
) -> None:
    source, target = databases
    mysql(source, SHAPED)
    postgres(target, "CREATE SCHEMA other; CREATE TABLE other.gate (id int)")
    (tmp_path / "map.toml").write_text(
        f'[[hook]]\nphase = "{phase}"\nsql = "SELECT 1 / (SELECT count(*) FROM other.gate)"\n'
    )
    with psycopg.connect(target) as holder:
        if killed:
            holder.execute("LOCK TABLE other.gate")
        process = begun(source, target, "--map", str(tmp_path / "map.toml"))
        if killed:
            soon(process, lambda: postgres(target, WAITING % "gate") == [(1,)])
            soon(process, lambda: postgres(target, INDEXED) == [(True,)])
            process.kill()
        err = process.communicate(timeout=60)[1]
        assert killed or "division by zero" in err, err
    postgres(target, HARM)
    postgres(target, "INSERT INTO other.gate VALUES (1)")
    ends = ("--source", source, "--target", target)
    # Of a run that was killed nobody knows what it has made, and others have dropped, since its last record.
    known = [*HARMED, "constraint theirs on public.t"] if phase == "after_finish" else HARMED[:2]
    for command in (("migrate", "--resume"), ("verify",)):
        ran = converge(*command, *ends, "--json")
        assert (ran.code, changed(ran.json)) == (1, sorted(known)), (command, ran.err)


def test_what_others_change_during_a_run_is_a_difference(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, f"{SHAPED}; CREATE TABLE big (id INT PRIMARY KEY); INSERT INTO big VALUES (1)")
    postgres(target, "CREATE SCHEMA other; CREATE TABLE other.gate (id int)")
    (tmp_path / "map.toml").write_text(
        '[[hook]]\nphase = "after_create"\nsql = "SELECT count(*) FROM other.gate"\n'
    )
    with psycopg.connect(target) as big:
        with psycopg.connect(target) as gate:
            gate.execute("LOCK TABLE other.gate")
            process = begun(source, target, "--map", str(tmp_path / "map.toml"), "--json")
            soon(process, lambda: postgres(target, WAITING % "gate") == [(1,)])
            big.execute("LOCK TABLE big")
        soon(process, lambda: postgres(target, INDEXED) == [(True,)])
        postgres(target, "ALTER TABLE t ALTER c DROP NOT NULL, ALTER c SET DEFAULT 8")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, changed(json.loads(out))) == (1, ["column public.t.c"]), err


def test_what_operators_set_and_hooks_drop_is_no_change_by_others(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Between two attempts, also where comments and an identity came later than the record."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT COMMENT 'x', CHECK (v > 0))"
        "COMMENT 'orders'; INSERT INTO t VALUES (7, 1), (3000000000, 2)",
    )
    postgres(target, "CREATE SCHEMA other; CREATE TABLE other.gate (id int)")
    (tmp_path / "map.toml").write_text(
        """
[[column]]
match = {column = "id"}
to = "integer"

[[hook]]
phase = "after_create"
sql = "CREATE TABLE lookup (id int)"

[[hook]]
phase = "after_copy"
sql = "SELECT 1 / (SELECT count(*) FROM other.gate); DROP TABLE lookup"
"""
    )
    ends = ("--source", source, "--target", target)
    more = ("--map", str(tmp_path / "map.toml"), "--no-scan", "--on-bad-row", "reject")
    assert converge("migrate", *ends, *more).code == 5
    grants = "GRANT SELECT ON t TO pg_monitor; ALTER TABLE t SET (autovacuum_enabled = off)"
    postgres(target, f"{grants}; INSERT INTO other.gate VALUES (1)")
    ran = converge("migrate", *ends, "--resume", "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"]), changed(ran.json)) == (1, 1, []), ran.err
    postgres(target, "ALTER TABLE t ALTER id TYPE bigint; REVOKE SELECT ON t FROM pg_monitor")
    for command in (("migrate", "--resume"), ("verify",)):
        ran = converge(*command, *ends, "--json")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), (command, ran.out)


# ---- load mode -------------------------------------------------------------------------------------------


def test_rows_that_another_load_has_set_aside_since_the_plan_stay(
    databases: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two loads are begun at once, and one has stopped in the middle before the other has the lock."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE role (id INT PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1, 'one');"
        "CREATE TABLE item (id INT PRIMARY KEY, name TEXT); INSERT INTO item VALUES (2, 'b1')",
    )
    postgres(
        target,
        "CREATE TABLE role (id int PRIMARY KEY, name text); INSERT INTO role VALUES (1, 'own');"
        "CREATE TABLE item (id int PRIMARY KEY, name text CHECK (name ~ '^[a-z]+$'))",
    )
    map_ = tmp_path / "map.toml"
    map_.write_text('[[table]]\nmatch = { table = "role" }\nrows = "source"\n')
    ends = ("--source", source, "--target", target)

    def first(endpoint: Endpoint) -> None:
        monkeypatch.undo()
        assert converge("migrate", *ends, "--mode", "load", "--map", str(map_)).code == 5
        ledger.upgrade(endpoint)

    monkeypatch.setattr(migrate, "upgrade", first)
    with pytest.raises(BlockedError) as caught:
        api.migrate(source, target, MigrateOptions(Options(mode="load", maps=(str(map_),))))
    assert caught.value.code == Code.L052
    assert converge("recover", "--target", target, "--yes").code == 0
    assert postgres(target, "SELECT * FROM role") == [(1, "own")]


def test_truncate_empties_once_also_where_no_statement_comes_before_the_rows(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Tables without keys have no step in the ledger while they are copied, only chunks that are done."""
    source, target = databases
    mysql(source, "CREATE TABLE events (n INT); INSERT INTO events VALUES (1), (2)")
    postgres(target, "CREATE TABLE events (n int); INSERT INTO events VALUES (9); CREATE TABLE gate (id int)")
    (tmp_path / "map.toml").write_text(
        '[[hook]]\nphase = "after_copy"\nsql = "SELECT 1 / (SELECT count(*) FROM gate)"\n'
    )
    ends = ("--source", source, "--target", target)
    ran = converge(
        "migrate", *ends, "--mode", "load", "--map", str(tmp_path / "map.toml"), "--truncate", "--yes"
    )
    assert ran.code == 5 and "division by zero" in ran.err, ran.err
    assert postgres(target, "SELECT count(*) FROM converge.step") == [(0,)]
    postgres(target, "INSERT INTO gate VALUES (1)")
    ran = converge("migrate", *ends, "--resume", "--verify", "none", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "migrated"), ran.err
    assert postgres(target, "SELECT n FROM events ORDER BY n") == [(1,), (2,)]


def test_a_load_is_resumed_without_the_targets_own_triggers(databases: tuple[str, str]) -> None:
    """What a load takes away for its copy is on again when chunks are to be loaded again."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE item (id INT PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a'), (2, 'b1')",
    )
    postgres(
        target,
        "CREATE TABLE item (id int PRIMARY KEY, name text CHECK (name ~ '^[a-z]+$'));"
        "CREATE SCHEMA other; CREATE TABLE log (item int);"
        "CREATE TABLE other.line (id int, item int REFERENCES item) PARTITION BY LIST (id);"
        "CREATE TABLE other.line1 PARTITION OF other.line FOR VALUES IN (1);"
        "CREATE MATERIALIZED VIEW names AS SELECT name FROM item;"
        "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO log VALUES (coalesce(new.id, old.id)); RETURN NULL; END';"
        "CREATE TRIGGER log AFTER INSERT OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION log();"
        "CREATE TRIGGER off AFTER INSERT OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION log();"
        "ALTER TABLE item DISABLE TRIGGER off",
    )
    ends = ("--source", source, "--target", target)
    ran = converge("migrate", *ends, "--mode", "load", "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"])) == (1, 1), ran.err
    mysql(source, "UPDATE item SET name = 'b' WHERE id = 2")
    ran = converge("migrate", *ends, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert "L021" in {one["code"] for one in ran.json["findings"]}
    assert postgres(target, "SELECT name FROM names ORDER BY name") == [("a",), ("b",)]
    # The triggers have seen nothing, and fire from here on.
    assert postgres(target, "SELECT count(*) FROM log") == [(0,)]
    postgres(target, "INSERT INTO item VALUES (3, 'c')")
    assert postgres(target, "SELECT item FROM log") == [(3,)]


def loaded_with_rejects(pair: tuple[str, str], folder: Path, rows: str) -> tuple[str, ...]:
    """A load that has finished, with one row that the target has refused, beside a table with rows of its
    own and one that the source does not have; its options."""
    source, target = pair
    mysql(
        source,
        "CREATE TABLE role (id INT PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1, 'one');"
        "CREATE TABLE item (id INT PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a'), (2, 'b1')",
    )
    postgres(
        target,
        "CREATE TABLE role (id int PRIMARY KEY, name text); INSERT INTO role VALUES (1, 'own');"
        "CREATE TABLE note (id int PRIMARY KEY);"
        "CREATE TABLE item (id int PRIMARY KEY, name text CHECK (name ~ '^[a-z]+$'))",
    )
    (folder / "map.toml").write_text(
        f'[[table]]\nmatch = {{ table = "role" }}\nrows = "{rows}"\n'
        '[[target]]\nmatch = { table = "note" }\nkeep = true\n'
    )
    options = ("--source", source, "--target", target, "--mode", "load", "--map", str(folder / "map.toml"))
    ran = converge("migrate", *options, "--on-bad-row", "reject", "--json")
    assert (ran.code, len(ran.json["rejects"])) == (1, 1), ran.err
    return options


@pytest.mark.parametrize("rows", ["source", "merge"])
def test_a_finished_load_that_is_resumed_can_still_be_rolled_back(
    databases: tuple[str, str], tmp_path: Path, rows: str
) -> None:
    """What a load has set aside is there as long as its rejects may be loaded."""
    options = loaded_with_rejects(databases, tmp_path, rows)
    ran = converge("migrate", *options, "--resume")
    assert ran.code == 5 and "converge recover" in ran.err, ran.err
    assert converge("recover", *options[2:4], "--yes").code == 0
    assert postgres(databases[1], "SELECT * FROM role") == [(1, "own")]


def test_a_load_that_did_not_finish_is_rolled_back_also_after_a_later_one(
    databases: tuple[str, str], mysql_8033: Server, new_mysql_database: NewDatabase, tmp_path: Path
) -> None:
    target, other = databases[1], new_mysql_database(mysql_8033)
    options = loaded_with_rejects(databases, tmp_path, "source")
    mysql(other, "CREATE TABLE note (id INT PRIMARY KEY); INSERT INTO note VALUES (1)")
    keep = '[[target]]\nmatch = { table = "*" }\nkeep = true\n'
    (tmp_path / "later.toml").write_text(keep)
    later = ("migrate", "--source", other, "--target", target, "--mode", "load",
             "--map", str(tmp_path / "later.toml"))  # fmt: skip
    assert converge(*later).code == 0
    assert converge("migrate", *options, "--resume").code == 5
    refused = converge(*later, "--truncate", "--yes")
    assert (refused.code, "error[L052]: run 1 " in refused.err) == (3, True), refused.err
    elsewhere = converge("recover", *options[2:4], "--schema", "elsewhere", "--json")
    assert [one["object"] for one in elsewhere.json["findings"]] == ["public"]
    recovered = converge("recover", *options[2:4], "--yes", "--json")
    assert (recovered.code, recovered.json["verdict"]) == (0, "recovered"), recovered.err
    assert postgres(target, "SELECT * FROM role") == [(1, "own")]
    assert converge(*later, "--truncate", "--yes").code == 0


@pytest.mark.parametrize("rows", ["source", "merge"])
def test_rejects_of_a_load_are_loaded_beside_a_merge(
    databases: tuple[str, str], tmp_path: Path, rows: str
) -> None:
    """A merge that has kept no row is compared as any other."""
    source, target = databases
    options = loaded_with_rejects(databases, tmp_path, rows)
    mysql(source, "UPDATE item SET name = 'b' WHERE id = 2")
    ran = converge("migrate", *options, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, ASIDE) == []


def test_a_new_load_does_not_restore_rows_of_an_earlier_one(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    target = databases[1]
    options = loaded_with_rejects(databases, tmp_path, "source")
    postgres(target, "DELETE FROM item")
    ran = converge("migrate", *options)
    assert ran.code == 5 and "converge recover" in ran.err, ran.err
    assert converge("recover", *options[2:4], "--yes").code == 0
    assert postgres(target, "SELECT * FROM role") == [(1, "one")]
    # Nor one that has no rows to set aside.
    assert converge("migrate", *options, "--on-bad-row", "reject").code == 1
    postgres(target, "DELETE FROM item; DELETE FROM role")
    assert converge("migrate", *options).code == 5
    assert converge("recover", *options[2:4], "--yes").code == 0
    assert postgres(target, "SELECT * FROM role") == []


def test_an_answer_to_the_last_commit_that_is_lost(databases: tuple[str, str], tmp_path: Path) -> None:
    """The retry finds the run finished, and has its result."""
    source, target = databases
    mysql(source, "CREATE TABLE role (id INT PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1, 'one')")
    postgres(target, "CREATE TABLE role (id int PRIMARY KEY, name text); INSERT INTO role VALUES (1, 'own')")
    (tmp_path / "map.toml").write_text('[[table]]\nmatch = { table = "role" }\nrows = "merge"\n')

    ends = list[bytes]()

    def lose(block: bytes, to_server: bool) -> bytes:
        if to_server and not ends and b"UPDATE converge.run SET state = $1" in block:
            ends.append(block)
            proxy.answers_to_lose = 1
        return block

    port = parse(target).port
    assert port is not None
    with closing(Proxy(port, rewrite=lose)) as proxy:
        far = target.replace(f":{port}/", f":{proxy.port}/")
        ran = converge(
            "migrate", "--source", source, "--target", far, "--mode", "load",
            "--map", str(tmp_path / "map.toml"), "--json",
        )  # fmt: skip
    assert ends and proxy.answers_to_lose == 0
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [phase["name"] for phase in ran.json["phases"]].count("snapshot") == 1
    assert postgres(target, ASIDE) == []


@pytest.mark.parametrize("lost", ["transaction", "answer"])
def test_a_first_transaction_that_is_lost_resumes_no_earlier_run(
    databases: tuple[str, str], lost: str
) -> None:
    """The retry begins as the first attempt did; where only the answer was lost, it goes on with that run."""
    tables = "CREATE TABLE role (id INT PRIMARY KEY); INSERT INTO role VALUES (1)"
    source, target = migrated(databases, tables)
    mysql(source, "INSERT INTO role VALUES (2)")
    cuts = list[bytes]()

    def lose(block: bytes, to_server: bool) -> bytes:
        if to_server and not cuts and b"INSERT INTO converge.plan" in block:
            cuts.append(block)
            if lost == "answer":
                proxy.answers_to_lose = 1
            else:
                proxy.cut()
        return block

    port = parse(target).port
    assert port is not None
    with closing(Proxy(port, rewrite=lose)) as proxy:
        far = target.replace(f":{port}/", f":{proxy.port}/")
        ran = converge("migrate", "--source", source, "--target", far, "--recreate", "--yes", "--json")
    assert cuts and proxy.answers_to_lose == 0
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT id FROM role ORDER BY id") == [(1,), (2,)]
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)] * 2


def test_a_lost_transaction_does_not_answer_for_rejects(databases: tuple[str, str]) -> None:
    """A finished run is resumed for its rejects: the retry tries them, and has no result of before."""
    source, target = databases
    mysql(
        source, "CREATE TABLE t (id INT PRIMARY KEY, d DATE); SET sql_mode = ''; INSERT INTO t VALUES (1, 0)"
    )
    options = ("migrate", "--source", source, "--no-scan", "--json")
    ran = converge(*options, "--target", target, "--on-bad-row", "reject")
    assert (ran.code, len(ran.json["rejects"])) == (1, 1), ran.err
    mysql(source, "UPDATE t SET d = '2024-01-01'")
    begun, cuts = list[bytes](), list[bytes]()

    def lose(block: bytes, to_server: bool) -> bytes:
        if to_server and begun and not cuts and b"COMMIT" in block:
            cuts.append(block)
            proxy.cut()
            return b""
        if to_server and b"SET state = 'running'" in block:
            begun.append(block)
        return block

    port = parse(target).port
    assert port is not None
    with closing(Proxy(port, rewrite=lose)) as proxy:
        far = target.replace(f":{port}/", f":{proxy.port}/")
        ran = converge(*options, "--target", far, "--resume")
    assert cuts
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.out
    assert postgres(target, "SELECT d::text FROM t") == [("2024-01-01",)]
