"""What a verdict may claim: not more than was compared, and nothing for what another one has found."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import Ran, converge, migrated, mysql, postgres
from test_server_settings import settings

from converge.following.follow import opened
from converge.mapping.read import load
from converge.model.documents import together
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.evidence import NOTHING_KNOWN
from converge.model.recorded import Recorded
from converge.postgres.connect import connect
from converge.postgres.lock import lock
from converge.postgres.recorded import last_recorded, replace_plan
from converge.run.options import Options
from converge.sandbox.server import Server

Ends = tuple[str, str]
TWO = (
    "CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b LIKE a; INSERT INTO a VALUES (1, 1), (2, 2); "
)
TWO += "INSERT INTO b SELECT * FROM a"


def run(command: str, ends: Ends, *more: str) -> Ran:
    return converge(command, "--source", ends[0], "--target", ends[1], "--json", *more)


def status(ends: Ends) -> str:
    return str(converge("status", "--target", ends[1], "--json").json["verdict"])


def written(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return str(file)


def test_maps_of_one_name_do_not_answer_for_each_other(databases: Ends, tmp_path: Path) -> None:
    entry = '[[check]]\nname = "{}"\ntarget = "SELECT count(*) FROM a"\nequals = {}\n'
    maps = [
        written(tmp_path, f"{name}/shop.toml", entry.format(name, rows))
        for name, rows in (("x", 3), ("y", 2))
    ]
    assert [one.place for one in load(maps).checks] == ["x/shop [[check]] #1", "y/shop [[check]] #1"]
    mysql(databases[0], TWO)
    ran = run("migrate", databases, "--map", maps[0], "--map", maps[1])
    assert (ran.code, [one["state"] for one in ran.json["checks"]]) == (1, ["differs", "ok"]), ran.err
    own = written(tmp_path, "maps/kratos.toml", '[map]\nextends = ["kratos"]\n' + entry.format("own", 0))
    places = [one.place for one in load([own]).checks]
    assert places[0] == "maps/kratos [[check]] #1" and len({*places}) == len(places) > 1


def test_a_part_does_not_speak_for_the_rest(databases: Ends) -> None:
    migrated(databases, TWO)
    assert run("verify", databases).json["verdict"] == "verified"
    postgres(databases[1], "UPDATE a SET v = 9 WHERE id = 1")
    assert run("verify", databases, "--include", "a").code == 1
    assert run("verify", databases, "--include", "b").code == 0
    assert status(databases) == "differs"
    assert run("verify", databases, "--repair", "--yes").json["verdict"] == status(databases) == "verified"


def test_what_another_user_finds_counts(databases: Ends) -> None:
    source, target = migrated(databases, TWO)
    postgres(target, "UPDATE a SET v = 9 WHERE id = 1")
    mysql(source, "CREATE USER cvg_auditor@'%' IDENTIFIED WITH mysql_native_password BY ''")
    try:
        mysql(source, "GRANT ALL ON *.* TO cvg_auditor@'%'")
        ran = run("verify", (source.replace("root@", "cvg_auditor@"), target))
        assert (ran.code, status(databases)) == (1, "differs"), ran.err
    finally:
        mysql(source, "DROP USER cvg_auditor@'%'")


def test_a_plan_that_was_extended_was_not_compared(databases: Ends) -> None:
    source, target = migrated(databases, TWO)
    assert run("verify", databases).json["verdict"] == status(databases) == "verified"
    with connect(parse(target)) as connection:
        known = last_recorded(connection, parse(source), None)
        assert isinstance(known, Recorded)
        numbers = {number: number for number in range(len(known.plan.statements))}
        replace_plan(connection, known.id, known.plan, NOTHING_KNOWN, numbers)
    assert status(databases) == "migrated"


@pytest.mark.parametrize(
    ("ends", "code"),
    [([("differs", 0), ("blocked", 3)], 3), ([("failed", 0), ("failed", 5)], 5), ([("verified", 0)] * 2, 0)],
)
def test_no_database_hides_anothers_error(ends: list[tuple[str, int]], code: int) -> None:
    documents: list[dict[str, Any]] = [
        {"name": str(number), "verdict": verdict, "exit_code": one}
        for number, (verdict, one) in enumerate(ends)
    ]
    assert together("status", documents)["exit_code"] == code


def test_keys_that_a_map_makes_equal_are_followed_as_a_whole(databases: Ends, tmp_path: Path) -> None:
    """Else all rows of a key of the target are replaced by those of one key of the source."""
    text = '[[column]]\nmatch = { column = "k" }\nto = "integer"\npolicy = { fraction = "cut" }\n'
    map_ = written(tmp_path, "cut.toml", text + '[[index]]\nmatch = { index = "PRIMARY" }\nskip = true\n')
    mysql(
        databases[0],
        "CREATE TABLE t (k DECIMAL(6,2) PRIMARY KEY, v INT); INSERT INTO t VALUES (1.1, 1), (1.2, 2)",
    )
    ran = run("migrate", databases, "--map", map_)
    assert ran.code == 0, ran.err
    for change, rows in (
        ("UPDATE t SET v = 5 WHERE k = 1.1", [(1, 2), (1, 5)]),
        ("UPDATE t SET v = v + 1", [(1, 3), (1, 6)]),
        ("DELETE FROM t WHERE k = 1.2", [(1, 6)]),
    ):
        mysql(databases[0], change)
        ran = run("follow", databases, "--once")
        assert ran.code == 0, ran.err
        assert postgres(databases[1], "SELECT k, v FROM t ORDER BY v") == rows


K = '[[column]]\nmatch = { column = "k" }\n'
CUT, UUID, LIKE_THE_SOURCE = (
    K + 'to = "integer"\npolicy = { fraction = "cut" }\n',
    K + 'to = "uuid"\n',
    K + 'collation = "source"\n',
)
SECONDS = CUT.replace('"integer"', '"timestamp(0)"')
LOWER = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("type_", "map_", "first", "second"),
    [
        ("DECIMAL(6,2)", CUT, "1.1", "1.2"),
        # ICU takes these two for one, and general_ci does not.
        ("VARCHAR(20) COLLATE utf8mb4_general_ci", LIKE_THE_SOURCE, "straße", "strasse"),
        ("CHAR(36) COLLATE utf8mb4_bin", UUID, LOWER.upper(), LOWER),
    ],
    ids=["cut", "collation", "uuid"],
)
def test_no_key_takes_the_row_of_another_one(
    databases: Ends, tmp_path: Path, type_: str, map_: str, first: str, second: str
) -> None:
    """A copy of both rows would be refused."""
    source, target = databases
    mysql(source, f"CREATE TABLE t (k {type_} PRIMARY KEY, v INT); INSERT INTO t VALUES ('{first}', 1)")
    ran = run("migrate", databases, "--map", written(tmp_path, "map.toml", map_))
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    # The second one alone is new, then both have changed.
    for change in (f"INSERT INTO t VALUES ('{second}', 2)", "UPDATE t SET v = v + 10"):
        mysql(source, change)
        ran = run("follow", databases, "--once")
        assert (ran.code, "duplicate key" in ran.err) == (5, True), (ran.code, ran.err)
        assert postgres(target, "SELECT v FROM t") == [(1,)]
    mysql(source, f"DELETE FROM t WHERE k = '{first}'")
    ran = run("follow", databases, "--once")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT v FROM t") == [(12,)]
    # One that has come and gone takes no other one's row along.
    mysql(source, f"INSERT INTO t VALUES ('{first}', 3); DELETE FROM t WHERE k = '{first}'")
    ran = run("follow", databases, "--once")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT v FROM t") == [(12,)]


def test_a_key_that_arrives_as_another_is_seen_when_it_comes(databases: Ends, tmp_path: Path) -> None:
    """Until then the table is followed by its keys, as others are whose texts are equal in any case."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3), (5);"
        "CREATE TABLE t (k DECIMAL(6,2) PRIMARY KEY, v INT, FOREIGN KEY (v) REFERENCES p (id) "
        "  ON DELETE SET NULL); INSERT INTO t VALUES (1, 1);"
        "CREATE TABLE u (c VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY); INSERT INTO u VALUES ('a')",
    )
    map_ = CUT + LIKE_THE_SOURCE.replace('"k"', '"c"')
    ran = run("migrate", databases, "--map", written(tmp_path, "cut.toml", map_))
    assert ran.code == 0, ran.err
    with opened(parse(source), parse(target), Options(), silent) as open_:
        for change, whole, rows in (
            ("UPDATE t SET v = 2; UPDATE u SET c = 'A'; DELETE FROM u; INSERT INTO u VALUES ('a')", (), [2]),
            ("INSERT INTO t VALUES (2.5, 5)", ("t",), [2, 5]),
            ("UPDATE t SET v = 3 WHERE k = 1", ("t",), [3, 5]),
            # No event tells of its row.
            ("DELETE FROM p WHERE id = 5", ("t",), [3, None]),
        ):
            mysql(source, change)
            with open_.epochs.next() as epoch:
                assert epoch.whole == whole
            assert postgres(target, "SELECT v FROM t ORDER BY k") == [(row,) for row in rows]
        mysql(source, "INSERT INTO t VALUES (2, 1)")
        with pytest.raises(psycopg.errors.UniqueViolation), open_.epochs.next():
            pass
    assert postgres(target, "SELECT v FROM t ORDER BY k") == [(3,), (None,)]


@pytest.mark.parametrize(
    ("type_", "map_", "first", "other"),
    [
        ("DECIMAL(6,2)", CUT, "1.10", "7.00"),
        ("DOUBLE", CUT.replace('"integer"', '"numeric(9,1)"'), "0.123456", "7.5"),
        ("DATETIME(3)", SECONDS, "2020-01-01 00:00:00.125", "2020-01-02 00:00:00.000"),
        ("CHAR(36) COLLATE utf8mb4_bin", UUID, LOWER.upper(), LOWER.replace("1", "7")),
        ("VARCHAR(36)", UUID, LOWER.replace("-", ""), LOWER.replace("1", "7")),
        ("BINARY(36)", UUID, LOWER.upper(), LOWER.replace("1", "7")),
        ("TINYINT", K + 'to = "boolean"\npolicy = { not_boolean = "true" }\n', "5", "0"),
        ("DATE", K + 'policy = { zero_date = { replace = "1970-01-01" } }\n', "0000-00-00", "2001-02-03"),
        ("VARCHAR(9)", K + 'policy = { nul = "strip" }\n', "a\0b", "c"),
    ],
    ids=["number", "double", "time", "case", "hyphens", "bytes", "boolean", "date", "text"],
)
def test_rows_whose_key_arrived_as_another_go_back(
    databases: Ends, tmp_path: Path, type_: str, map_: str, first: str, other: str
) -> None:
    """The rows keep their keys, and all that is not in the target."""
    source, target = databases
    mysql(
        source,
        f"SET sql_mode = ''; CREATE TABLE t (k {type_} PRIMARY KEY, v INT UNIQUE, secret TEXT, day DATE);"
        f"INSERT INTO t VALUES ('{first}', 1, 'a', '0000-00-00'), ('{other}', 2, 'b', '0000-00-00')",
    )
    map_ += '[[column]]\nmatch = { column = "secret" }\nskip = true\n'
    map_ += '[[column]]\nmatch = { column = "day" }\npolicy = { zero_date = "null" }\n'
    ran = run("migrate", databases, "--map", written(tmp_path, "map.toml", map_))
    assert ran.code == 0, ran.err
    assert run("rollback", databases, "--prepare").code == 0
    for change, left in (
        ("UPDATE t SET v = v + 10", [(first, 11, "a", "0000-00-00"), (other, 12, "b", "0000-00-00")]),
        # Another file: all rows are read.
        ("VACUUM FULL t; DELETE FROM t WHERE v = 12", [(first, 11, "a", "0000-00-00")]),
        ("DELETE FROM t WHERE v = 11", []),
    ):
        for statement in change.split("; "):
            postgres(target, statement)
        ran = run("rollback", databases, "--apply", "--yes")
        assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
        rows = mysql(source, "SELECT CONVERT(k USING utf8mb4), v, secret, CONCAT(day) FROM t ORDER BY v")
        assert [*rows] == left


def test_an_update_of_a_row_whose_key_arrived_as_another_goes_back(databases: Ends, tmp_path: Path) -> None:
    """Tables of which nothing has changed are not read for such keys."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (k DECIMAL(6,2) PRIMARY KEY, v INT); INSERT INTO t VALUES (1.1, 1);"
        "CREATE TABLE u SELECT * FROM t; ALTER TABLE u ADD PRIMARY KEY (k)",
    )
    ran = run("migrate", databases, "--map", written(tmp_path, "cut.toml", CUT))
    assert ran.code == 0, ran.err
    assert run("rollback", databases, "--prepare").code == 0
    postgres(target, "UPDATE t SET v = 5")
    mysql(source, "TRUNCATE mysql.general_log")
    with settings(source, {"log_output": "'TABLE'", "general_log": "1"}):
        ran = run("rollback", databases, "--apply", "--yes")
    assert ran.code == 0, ran.err
    assert mysql(source, "SELECT k, v FROM t") == [(Decimal("1.10"), 5)]
    read = "SELECT count(*) > 0 FROM mysql.general_log WHERE argument LIKE '%FROM `{}` WHERE%'"
    assert [mysql(source, read.format(name)) for name in "tu"] == [[(1,)], [(0,)]]


def test_what_changed_rows_of_a_table_without_a_key_lose_is_said(databases: Ends, tmp_path: Path) -> None:
    """They are deleted and inserted again."""
    source, target = databases
    skip = '[[column]]\nmatch = { column = "secret" }\nskip = true\n'
    using = '[[column]]\nmatch = { column = "name" }\nusing = "UPPER({})"\n'
    mysql(
        source,
        "CREATE TABLE t (v INT, secret TEXT, name VARCHAR(9)); INSERT INTO t VALUES (1, 'a', 'x');"
        "CREATE TABLE u (v INT PRIMARY KEY, secret TEXT, name VARCHAR(9))",
    )
    ran = run("migrate", databases, "--map", written(tmp_path, "map.toml", skip + using))
    assert ran.code == 0, ran.err
    found = run("rollback", databases, "--prepare").json["findings"]
    said = {one["object"]: one["message"] for one in found if one["severity"] == "lossy"}
    one_way = "a change here does not go back: a map's expression makes its values"
    assert said == {
        "t.secret": "new or changed rows get its default",
        "t.name": f"new or changed rows get its default; {one_way}",
        "u.secret": "new rows get its default",
        "u.name": f"new rows get its default; {one_way}",
    }
    postgres(target, "UPDATE t SET v = 5")
    assert run("rollback", databases, "--apply", "--yes").code == 0
    assert mysql(source, "SELECT * FROM t") == [(5, None, None)]


def test_rows_that_share_a_key_in_the_target_do_not_go_back(databases: Ends, tmp_path: Path) -> None:
    """Which of them has changed cannot be known, and each has values of its own in the source."""
    source, target = databases
    map_ = CUT + '[[index]]\nmatch = { index = "PRIMARY" }\nskip = true\n'
    mysql(
        source,
        "CREATE TABLE t (k DECIMAL(6,2) PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (1.2, 2), (3.1, 3)",
    )
    ran = run("migrate", databases, "--map", written(tmp_path, "cut.toml", map_))
    assert ran.code == 0, ran.err
    said = {one["message"] for one in run("rollback", databases, "--prepare").json["findings"]}
    assert "several rows have one key in the target: a change of one of them ends --apply" in said
    postgres(target, "UPDATE t SET v = 5 WHERE v = 3")
    ran = run("rollback", databases, "--apply", "--yes")
    assert ran.code == 0, ran.err
    postgres(target, "UPDATE t SET v = 6 WHERE v = 2")
    ran = run("rollback", databases, "--apply", "--yes")
    assert (ran.code, "V132" in ran.err, "the key (1)" in ran.err) == (4, True, True), ran.err
    assert mysql(source, "SELECT v FROM t ORDER BY k") == [(1,), (2,), (5,)]


def test_long_lists_are_not_equal_by_their_size(databases: Ends) -> None:
    """The order of a list without one is open, and a long one is not fetched to be sorted."""
    source, target = databases
    mysql(source, "CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, team INT, mail VARCHAR(100)); "
          "INSERT INTO u (team, mail) WITH RECURSIVE n (i) AS "
          "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
          "SELECT 1, CONCAT(REPEAT('a', 90), i) FROM n; "
          "CREATE VIEW v AS SELECT team, GROUP_CONCAT(mail) AS mails FROM u GROUP BY team")  # fmt: skip
    assert run("migrate", databases).json["verdict"] == "verified"
    shouted = "SELECT team, string_agg(upper(mail), ',') AS mails FROM u GROUP BY team"
    postgres(target, f"CREATE OR REPLACE VIEW v AS {shouted}")
    (view,) = run("verify", databases).json["views"]
    assert (view["state"], "more than 64,000 bytes differ" in view["why"]) == ("not compared", True), view


@pytest.mark.parametrize(
    "swapped", ["3 - role AS role, users, others", "role, others AS users, users AS others"]
)
def test_long_lists_belong_to_their_row_and_column(databases: Ends, swapped: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE m (id INT AUTO_INCREMENT PRIMARY KEY, role DOUBLE, a CHAR(40), b CHAR(40)); "
          "SET SESSION cte_max_recursion_depth = 5000; INSERT INTO m (role, a, b) WITH RECURSIVE n (i) AS "
          "(SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3999) "
          "SELECT 1 + i DIV 2000, SHA1(i), SHA1(-i - 1) FROM n; "
          "CREATE VIEW v AS SELECT role, GROUP_CONCAT(a) AS users, GROUP_CONCAT(b) AS others "
          "FROM m GROUP BY role")  # fmt: skip
    assert run("migrate", databases).json["views"][0]["state"] == "equal"
    lists = "SELECT role, string_agg(a, ',') AS users, string_agg(b, ',') AS others FROM m GROUP BY role"
    postgres(target, f"CREATE OR REPLACE VIEW v AS SELECT {swapped} FROM ({lists}) AS l")
    (view,) = run("verify", databases).json["views"]
    assert view["state"] == "not compared", view


def test_an_empty_label_alone_is_not_null(databases: Ends) -> None:
    migrated(databases, "CREATE TABLE t (e ENUM('', 'a') NOT NULL); INSERT INTO t VALUES (''), ('a')")
    postgres(databases[1], "ALTER TABLE t ALTER e DROP NOT NULL")
    postgres(databases[1], "UPDATE t SET e = NULL WHERE e = ''")
    ran = run("verify", databases)
    assert ran.json["tables"][0]["verified"] is False and ran.json["differences"], ran.out


def test_a_view_that_is_called_as_an_index_is_compared(databases: Ends) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, n INT, KEY i ((n + 1))); INSERT INTO t VALUES (1, 1); "
          "CREATE VIEW `t.i` AS SELECT id, n FROM t")  # fmt: skip
    ran = run("migrate", databases)
    assert {(one["kind"], one["name"]) for one in ran.json["views"]} == {("view", "t.i"), ("index", "t.i")}
    postgres(target, 'CREATE OR REPLACE VIEW "t.i" AS SELECT id, n + 1 AS n FROM t')
    states = {one["kind"]: one["state"] for one in run("verify", databases).json["views"]}
    assert states == {"view": "differs", "index": "equal"}


def test_another_address_of_the_server_does_not_hide_a_run(databases: Ends) -> None:
    """Such as a tunnel's: the tables that one run has left out, another has made."""
    source, target = databases
    mysql(source, TWO)
    name = source.replace("127.0.0.1", "localhost")
    assert run("migrate", databases, "--exclude", "b").code == 0
    assert run("migrate", (name, target), "--include", "b").code == 0
    for address, other in (
        (source, 2),
        (name, 1),
        (source.replace("127.0.0.1", "127.1") + "?ssl-mode=DISABLED", 1),
    ):
        ends = (address, target)
        refused = run("cutover", ends, "--stop", "true")
        assert (refused.code, f"{'ab'[other - 1]}: run {other}" in refused.err) == (3, True), refused.err
        assert "W010" in refused.err and "V133" in run("rollback", ends, "--prepare").err
        assert f"of run {other} and not of run" in run("verify", ends).out
    # What is gone from the target is left out of nothing.
    postgres(target, "ALTER TABLE b RENAME TO away")
    assert run("cutover", databases, "--dry-run").code == 0
    postgres(target, "ALTER TABLE away RENAME TO b")
    # Whoever has cut over to one run's tables has not cut over to the others'.
    assert run("cutover", databases, "--run", "2", "--stop", "true").code == 0
    again = run("cutover", (name, target), "--stop", "true")
    assert (again.code, "a: run 1" in again.err) == (3, True), again.err
    assert run("cutover", databases, "--run", "2", "--stop", "true").code == 0


def test_the_last_run_counts_whoever_began_it(databases: Ends) -> None:
    source, target = databases
    assert migrated(databases, TWO)
    mysql(source, "CREATE USER cvg_second@'%' IDENTIFIED WITH mysql_native_password BY ''")
    try:
        mysql(source, "GRANT ALL ON *.* TO cvg_second@'%'")
        ran = run("migrate", (source.replace("root@", "cvg_second@"), target), "--recreate", "--yes")
        assert ran.code == 0, ran.err
        ran = run("verify", databases)
        assert (ran.code, "compared by the plan of run 2" in ran.out) == (0, True), ran.err
    finally:
        mysql(source, "DROP USER cvg_second@'%'")


def test_a_view_of_changed_values_does_not_stop_a_cutover(databases: Ends, tmp_path: Path) -> None:
    map_ = written(
        tmp_path, "zero.toml", '[[column]]\nmatch = { column = "day" }\npolicy = { zero_date = "null" }\n'
    )
    mysql(databases[0], "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, day DATE); "
          "INSERT INTO t VALUES (1, '0000-00-00'); CREATE VIEW v AS SELECT id, day FROM t")  # fmt: skip
    assert run("migrate", databases, "--map", map_).code == 0
    ran = run("cutover", databases, "--dry-run")
    assert (ran.code, ran.json["verdict"]) == (0, "ready"), ran.err
    assert [one["state"] for one in ran.json["views"]] == ["not compared"]
    assert [one["rows"] for one in ran.json["changes"]] == [1]
    postgres(databases[1], "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id, day FROM t")
    mysql(databases[0], "UPDATE t SET day = '2000-01-01'")
    ran = run("cutover", databases, "--dry-run")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err


def test_a_repair_keeps_epochs_out_from_its_snapshot_on(databases: Ends) -> None:
    """Else it would bring back what an epoch has replaced meanwhile, and following goes on from later."""
    migrated(databases, TWO)
    with connect(parse(databases[1])) as epoch:
        lock(epoch, "follow")
        ran = run("verify", databases, "--repair", "--yes")
        assert (ran.code, "T009" in ran.err) == (3, True), ran.err
        assert run("verify", databases).code == 0


def test_a_repair_from_another_server_ends_following(
    mysql_8033: Server,
    mysql_8015: Server,
    postgres_175: Server,
    new_postgres_database: Callable[[Server], str],
) -> None:
    """A replica may be behind the place in the primary's log from which following would go on."""
    target = new_postgres_database(postgres_175)
    source, replica = (server.create_database("primary_and_replica") for server in (mysql_8033, mysql_8015))
    try:
        ends = migrated((source, target), TWO)
        mysql(source, "UPDATE a SET v = 7 WHERE id = 1")
        assert run("follow", ends, "--once").code == 0
        mysql(replica, TWO)
        ran = run("verify", (replica, target), "--repair", "--yes")
        assert (ran.code, postgres(target, "SELECT v FROM a WHERE id = 1")) == (0, [(1,)]), ran.err
        for command in (("follow", "--once"), ("cutover", "--stop", "true")):
            ran = run(command[0], ends, *command[1:])
            assert (ran.code, "W001" in ran.err) == (3, True), ran.err
        assert run("sync", ends).code == 0
        assert run("cutover", ends, "--stop", "true").code == 0
        assert postgres(target, "SELECT v FROM a WHERE id = 1") == [(7,)]
    finally:
        for server in (mysql_8033, mysql_8015):
            server.drop_database("primary_and_replica")
