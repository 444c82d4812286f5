"""`cutover`: the last epoch on a source that stands still, and the proof of what was moved."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psycopg
import pytest
from judge import compare
from support import begun, converge, migrated, mysql, postgres, soon
from test_follow import ROUNDS, SOURCE, follow

from converge import api
from converge.codes import Code
from converge.errors import BlockedError
from converge.following.cutover import Window
from converge.model.endpoint import parse
from converge.model.event import Advanced, Event
from converge.sandbox.server import connect_mysql, connect_postgres

LOSES_ITSELF = """
CREATE FUNCTION loses_itself() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_query() LIKE '%VALIDATE%' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
END $$;
CREATE EVENT TRIGGER loses_itself ON ddl_command_start EXECUTE FUNCTION loses_itself();
"""
"""Ends the session that has the keys of a cutover validated."""
KEYS = "SELECT count(*), count(*) FILTER (WHERE convalidated) FROM pg_constraint WHERE contype = 'f'"


def test_the_cutover_ends_in_a_certificate(both_databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair = migrated(both_databases, SOURCE)
    ends = ("--source", source, "--target", target)
    ((keys, _),) = postgres(target, KEYS)
    for statements in ROUNDS[:3]:
        mysql(source, statements)
    assert follow(pair).code == 0
    assert postgres(target, KEYS) != [(keys, keys)]
    ran = converge("cutover", *ends, "--dry-run", "--full-proof", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["findings"][-1]["code"]) == (0, "ready", "W014"), ran.err
    shown = converge("status", "--target", target)
    assert shown.code == 0 and "epoch " in shown.out and "proof     verified, " in shown.out, shown.out
    mysql(source, "UPDATE old SET id = 5 WHERE id = 2")
    assert follow(pair, "--prove-share", "0").code == 0
    mysql(source, "INSERT INTO log (id, body) VALUES (700, 'last'); DELETE FROM log WHERE id = 700")
    file = tmp_path / "certificate.json"
    ran = converge("cutover", *ends, "--stop", "true", "-o", str(file), "--json")
    assert (ran.code, ran.json["verdict"], ran.json["next"]) == (
        0, "verified", f"converge rollback --prepare {' '.join(ends)}",
    ), ran.err  # fmt: skip
    certificate = json.loads(file.read_text("utf-8"))
    proof = {one["source"]: one for one in certificate["proof"]["tables"]}
    assert {name: one["rows"] for name, one in proof.items()} == {
        one["source"]: one["rows_target"] for one in ran.json["tables"]
    }
    # All was compared in one epoch, two before the last one.
    assert {one["epoch"] for one in proof.values()} == {certificate["epoch"] - 2}
    assert {one["replaced_since"] for one in proof.values()} == {0}
    judged = compare(source, target)
    assert judged.equal, str(judged)
    # As the run has left them.
    assert postgres(target, KEYS) == [(keys, keys)]
    assert postgres(target, "INSERT INTO log (body) VALUES ('next') RETURNING id") == [(701,)]
    postgres(target, "DELETE FROM log WHERE id = 1")
    for command in (
        ("follow", "--once"), ("cutover", "--dry-run"), ("sync",), ("verify", "--repair", "--yes"),
    ):  # fmt: skip
        ran = converge(*command, *ends)
        assert (ran.code, "W012" in ran.err, "converge rollback" in ran.err) == (3, True, True), ran.err


def test_what_comes_after_the_cutover_is_finished_later(databases: tuple[str, str], tmp_path: Path) -> None:
    """Who loses a server, or the command, after the cutover must know that it was, and can go on."""
    source, target = pair = migrated(databases, SOURCE)
    ((keys, _),) = postgres(target, KEYS)
    for statements in ROUNDS[:3]:
        mysql(source, statements)
    assert follow(pair).code == 0
    postgres(target, LOSES_ITSELF)
    file = tmp_path / "certificate.json"
    stop = tmp_path / "stopped"
    cut = ("cutover", "--source", source, "--target", target, "--stop", f"touch {stop}", "-o", str(file))
    ran = converge(*cut)
    assert (ran.code, "the cutover was at " in ran.err, "again, finishes it" in ran.err) == (
        5, True, True,
    ), ran.err  # fmt: skip
    assert postgres(target, "SELECT count(certificate) FROM converge.follow") == [(1,)]
    assert postgres(target, KEYS) != [(keys, keys)]
    assert json.loads(file.read_text("utf-8"))["command"] == "cutover"
    postgres(target, "DROP EVENT TRIGGER loses_itself")
    stop.unlink()
    file.unlink()
    # The source may be gone by then.
    ran = converge(*(word.replace(f":{parse(source).port}/", ":1/") for word in cut), "--json")
    assert (ran.code, ran.json["verdict"], stop.exists()) == (0, "verified", False), ran.err
    assert "cut over at " in ran.json["findings"][-1]["message"]
    assert postgres(target, KEYS) == [(keys, keys)]
    assert json.loads(file.read_text("utf-8"))["command"] == "cutover"


def test_a_source_that_moves_is_not_cut_over(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair = migrated(databases, SOURCE)
    ends = ("--source", source, "--target", target, "--max-seconds", "5")
    with connect_mysql(source) as writer, writer.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE log SET body = 'open' WHERE id = 1")
        ran = converge("cutover", *ends, "--stop", "true")
        assert (ran.code, "W011" in ran.err) == (3, True), ran.err
        cursor.execute("COMMIT")
    ran = converge("cutover", *ends, "--stop", "exit 7")
    assert (ran.code, "W011" in ran.err, "still followed\n  hint " in ran.err) == (3, True, True), ran.err
    ran = converge("cutover", *ends, "--stop", "sleep 20")
    assert (ran.code, "ended with nothing within 5 s" in ran.err) == (3, True), ran.err
    with connect_postgres(target) as holder:
        # A query of the target, such as a dump's, in the way of the last epoch.
        holder.autocommit = False
        holder.execute("SELECT count(*) FROM top, middle")
        change = tmp_path / "change.py"
        change.write_text(
            "from converge.sandbox.server import connect_mysql\n"
            f"writer = connect_mysql({source!r})\n"
            "writer.cursor().execute(\"UPDATE top SET note = 'late' WHERE id = 1\")\n"
            "writer.commit()\n",
            "utf-8",
        )
        ran = converge("cutover", *ends, "--stop", f"{sys.executable} {change}")
        assert (ran.code, "lock timeout" in ran.err) == (5, True), ran.err
    # And of a table of which no row has changed before.
    change.write_text(
        "import os, time\n"
        "from converge.sandbox.server import connect_mysql, connect_postgres\n"
        f"writer = connect_mysql({source!r})\n"
        "writer.cursor().execute('INSERT INTO preset VALUES (8, 8)')\n"
        "writer.commit()\n"
        f"holder = connect_postgres({target!r})\n"
        "holder.execute('BEGIN; LOCK TABLE preset IN ACCESS EXCLUSIVE MODE')\n"
        "if os.fork():\n"
        "    os._exit(0)\n"
        "time.sleep(12)\n",
        "utf-8",
    )
    ran = converge("cutover", *ends, "--stop", f"{sys.executable} {change}")
    assert (ran.code, "lock timeout" in ran.err) == (5, True), ran.err
    ran = converge("cutover", *ends)
    assert (ran.code, "error[U114]" in ran.err) == (2, True), ran.err
    stop = tmp_path / "stop.py"
    stop.write_text(
        "from converge.sandbox.server import connect_mysql\n"
        f"connect_mysql({source!r}).cursor().execute('CREATE TABLE late (id INT PRIMARY KEY)')\n",
        "utf-8",
    )
    ran = converge("cutover", "--source", source, "--target", target, "--stop", f"{sys.executable} {stop}")
    assert (ran.code, "W011" in ran.err, "late" in ran.err) == (3, True, True), ran.err
    mysql(source, "DROP TABLE late")
    assert postgres(target, "SELECT certificate FROM converge.follow") == [(None,)]
    # A row that somebody has changed in the target is found before the window.
    postgres(target, "UPDATE log SET body = 'other' WHERE id = 2")
    ran = converge("cutover", *ends, "--stop", "exit 7", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["differences"][0]["key"]) == (1, "differs", "id=2"), (
        ran.err
    )
    assert follow(pair).code == 1


def test_nothing_of_the_application_is_replaced_in_load_mode(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE a (id INT PRIMARY KEY, v INT); INSERT INTO a VALUES (1, 1)")
    postgres(target, "CREATE TABLE a (id int PRIMARY KEY, v int)")
    ends = ("--source", source, "--target", target)
    load = ("migrate", *ends, "--mode", "load")
    assert converge(*load).code == 0
    ran = converge("cutover", *ends, "--stop", "true")
    assert ran.code == 0, ran.err
    postgres(target, "UPDATE a SET v = 7")
    for rows in ("merge", "source", "target"):
        (tmp_path / "rows.toml").write_text(
            f'[[table]]\nmatch = {{ table = "*" }}\nrows = "{rows}"\n', "utf-8"
        )
        ran = converge(*load, "--map", str(tmp_path / "rows.toml"))
        assert (ran.code, "W012" in ran.err) == (3, True), ran.err
    ran = converge(*load, "--truncate")
    assert (ran.code, "the application's since the cutover at " in ran.err) == (2, True), ran.err
    assert postgres(target, "SELECT v FROM a") == [(7,)]
    # One that has waited in vain has made nothing its own.
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with psycopg.connect(target) as application:
        application.execute("SELECT FROM a")
        with begun(source, target, "--mode", "load", "--truncate", "--yes") as run:
            soon(run, lambda: bool(postgres(target, waits)))
            run.send_signal(signal.SIGINT)
            assert run.wait(30) == 130, run.communicate()
    ran = converge("verify", *ends, "--repair", "--yes", "--run", "1")
    assert (ran.code, "W012" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT v FROM a") == [(7,)]
    # With what it replaces they are a run's again.
    assert converge(*load, "--resume").code == 0
    assert converge("sync", *ends).code == 0
    ran = converge("cutover", *ends, "--run", "1", "--stop", "true")
    assert (ran.code, "later runs have made all tables" in ran.err) == (2, True), ran.err


def test_a_table_that_is_made_while_the_cutover_starts(databases: tuple[str, str]) -> None:
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    mysql(source, "CREATE TABLE fresh (id INT PRIMARY KEY)")

    def at_scan(event: Event) -> None:
        # Of the new table, so the catalog has been read.
        if isinstance(event, Advanced):
            mysql(source, "CREATE TABLE IF NOT EXISTS late (id INT PRIMARY KEY)")

    with pytest.raises(BlockedError, match="late: new in the source") as raised:
        api.cutover(source, target, window=Window(stop="true"), on_event=at_scan)
    assert raised.value.code == Code.W011
