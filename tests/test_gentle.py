"""A run that leaves the servers room: limits, pauses, and whom it keeps waiting."""

from __future__ import annotations

import threading
import time

from support import begun, converge, mysql, postgres, until

from converge.model.endpoint import parse
from converge.model.event import Event, Said
from converge.mysql.connect import connect
from converge.run.throttle import Limits, Throttle

ROWS = 90_000
SOURCE = f"""
SET SESSION cte_max_recursion_depth = {ROWS};
CREATE TABLE wide (id INT PRIMARY KEY, body TEXT);
INSERT INTO wide WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT i, REPEAT(MD5(i), 40) FROM n;
ANALYZE TABLE wide;
"""


def test_a_run_is_paused_and_goes_on(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, SOURCE)
    ran = converge("pause", "--target", target)
    assert (ran.code, "U036" in ran.err) == (2, True), ran.err
    done = "SELECT count(done_at) FROM converge.chunk"
    process = begun(source, target, "--json", "--jobs", "1", "--max-rate", "20MB/s")
    try:
        until(lambda: postgres(target, "SELECT to_regclass('converge.chunk')::text") != [(None,)])
        until(lambda: postgres(target, done) != [(0,)])
        assert converge("pause", "--target", target).code == 0
        until(lambda: postgres(target, "SELECT paused FROM converge.run") == [(True,)])
        time.sleep(3)  # a chunk that had begun takes half of it
        before = postgres(target, done)
        time.sleep(2)
        assert before == postgres(target, done) != postgres(target, "SELECT count(*) FROM converge.chunk")
        assert converge("continue", "--target", target, "--json").json["verdict"] == "running"
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "paused; converge continue goes on" in err and "going on" in err
    assert '"verdict": "verified"' in out


def test_what_cannot_be_a_limit(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    ends = ("--source", source, "--target", target)
    for option, value, words in (
        ("--max-rate", "12", "--max-rate 20MB/s"),
        ("--max-rate", "9kB/s", "1MB/s or more"),
        ("--max-load", "Threads_running", "NAME=NUMBER"),
        ("--max-load", "Threads_runing=3", "did you mean 'Threads_running'?"),
        ("--max-load", "Rsa_public_key=3", "no number"),
    ):
        ran = converge("migrate", *ends, option, value)
        assert (ran.code, "U035" in ran.err, words in ran.err) == (2, True, True), ran.err
    assert postgres(target, "SELECT to_regclass('t')::text") == [(None,)]
    assert converge("migrate", *ends, "--max-load", "Threads_running=999").code == 0
    assert converge("sync", *ends, "--max-load", "Threads_running=999").code == 0


def test_load_and_waiting_sessions_are_seen(databases: tuple[str, str]) -> None:
    source, _ = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    said: list[Event] = []
    with connect(parse(source)) as connection, connect(parse(source)) as reader:
        ((_, now),) = mysql(source, "SHOW GLOBAL STATUS LIKE 'Threads_connected'")
        throttle = Throttle(Limits(load=(("Threads_connected", int(now)),)), connection, said.append)
        assert throttle()
        with reader.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT * FROM t")
        others = [connect(parse(source)) for _ in range(3)]
        altering = threading.Thread(target=mysql, args=(source, "ALTER TABLE t ADD n INT"))
        altering.start()
        until(lambda: throttle() is False)
        for other in others:
            other.close()
        until(lambda: throttle() and throttle.waiting)
        reader.rollback()
        altering.join()
        until(throttle)
    texts = [one.text for one in said if isinstance(one, Said)]
    assert any(text.startswith("waiting: Threads_connected is ") for text in texts)
    assert "going on" in texts
    (found,) = throttle.findings()
    assert "ALTER TABLE t ADD n INT" in found.message
    assert any(
        found.message.rpartition(", ")[0] in text.replace(" of the source waits", " waited") for text in texts
    )
