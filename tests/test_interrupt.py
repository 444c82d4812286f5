"""Stopped at any point, a run goes on where it was: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import NewDatabase
from judge import compare
from support import begun, converge, mysql, postgres, workers_of

from converge.sandbox import Server

ROWS = 40_000
# Wide enough for several chunks of 16 MB, with and without a key.
SOURCE = f"""
SET SESSION cte_max_recursion_depth = {ROWS};
CREATE TABLE keyed (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name CHAR(36) NOT NULL, body TEXT, KEY (name));
CREATE TABLE texted (name VARCHAR(36) PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE keyless (number INT, body VARCHAR(200));
INSERT INTO keyed (name, body)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT UUID(), REPEAT(CONCAT(i, ' tab\\there, line\\nthere '), 40) FROM n;
INSERT INTO texted SELECT name, LEFT(body, 700) FROM keyed;
INSERT INTO keyless SELECT id % 1000, LEFT(body, 200) FROM keyed;
"""


@dataclass
class Killed:
    """A `migrate` that runs, and its target."""

    process: subprocess.Popen[str]
    target: str

    def wait_for_chunks(self, count: int) -> None:
        """Waits until so many chunks are done; the run is then in the middle of its copy."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if postgres(self.target, "SELECT to_regclass('converge.chunk') IS NOT NULL") == [(True,)]:
                ((done,),) = postgres(self.target, "SELECT count(done_at) FROM converge.chunk")
                if done >= count:
                    return
            time.sleep(0.02)
        pytest.fail(f"the run was over before {count} chunks were done: {self.process.communicate()}")


@pytest.fixture(scope="module")
def source(mysql_8015: Server) -> Iterator[str]:
    url = mysql_8015.create_database("interrupt")
    mysql(url, SOURCE)
    mysql(url, "ANALYZE TABLE keyed, texted, keyless")
    yield url
    mysql_8015.drop_database("interrupt")


@pytest.fixture
def run(source: str, postgres_175: Server, new_postgres_database: NewDatabase) -> Iterator[Killed]:
    target = new_postgres_database(postgres_175)
    process = begun(source, target, "--json")
    yield Killed(process, target)
    if process.poll() is None:
        process.kill()
    process.communicate()


def finished_exactly(source: str, run: Killed) -> None:
    """--resume ends well, and both comparers agree that all is there once."""
    again = converge("migrate", "--source", source, "--target", run.target, "--resume", "--json")
    assert again.code == 0, again.err
    is_exact(source, run.target, again.json)


def goes_on_by_itself(source: str, run: Killed) -> None:
    """The run that lost something ends well without help."""
    out, err = run.process.communicate(timeout=120)
    assert run.process.returncode == 0, err
    assert "Traceback" not in err
    is_exact(source, run.target, json.loads(out))


def is_exact(source: str, target: str, document: dict[str, Any]) -> None:
    assert document["verdict"] == "verified"
    assert {table["rows_written"] for table in document["tables"]} == {ROWS}
    judged = compare(source, target)
    assert judged.equal, str(judged)
    next_value = "SELECT `AUTO_INCREMENT` FROM information_schema.TABLES WHERE TABLE_NAME = 'keyed'"
    assert postgres(target, "SELECT nextval('keyed_id_seq')") == mysql(source, next_value)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_settles_and_resumes(source: str, run: Killed, signum: int) -> None:
    run.wait_for_chunks(2)
    sent = time.monotonic()
    os.killpg(run.process.pid, signum)
    _, err = run.process.communicate(timeout=30)
    assert time.monotonic() - sent < 10
    assert run.process.returncode == 130
    assert "Traceback" not in err
    assert "converge migrate --resume" in err
    assert postgres(run.target, "SELECT state FROM converge.run") == [("interrupted",)]
    assert "interrupted" in converge("status", "--target", run.target).out
    finished_exactly(source, run)


def test_a_killed_coordinator_takes_its_workers_along(source: str, run: Killed) -> None:
    run.wait_for_chunks(1)
    workers = workers_of(run.process.pid)
    assert workers
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlived their coordinator"
        time.sleep(0.05)
    finished_exactly(source, run)


def test_a_run_survives_a_killed_worker(source: str, run: Killed) -> None:
    run.wait_for_chunks(1)
    os.kill(random.choice(workers_of(run.process.pid)), signal.SIGKILL)
    goes_on_by_itself(source, run)


def test_a_run_survives_a_terminated_backend(source: str, run: Killed) -> None:
    run.wait_for_chunks(1)
    postgres(
        run.target,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND query LIKE 'COPY%%' LIMIT 1",
    )
    goes_on_by_itself(source, run)


def test_random_kills_lose_and_double_nothing(
    source: str, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """Killed again and again at random moments, from the first connection on."""
    target = new_postgres_database(postgres_175)
    chance = random.Random(5)
    with subprocess.Popen(["true"], text=True) as nothing:
        run = Killed(nothing, target)
    arguments = [sys.executable, "-m", "converge", "migrate", "--source", source, "--target", target]
    for _ in range(6):
        more = ["--resume"] if _may_resume(target) else ["--recreate", "--yes"]
        process = subprocess.Popen([*arguments, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.8, 3.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if _may_resume(target):
        finished_exactly(source, run)
    else:
        # The last one finished, or none has come as far as a plan.
        assert converge(*arguments[3:], "--recreate", "--yes").code == 0
    judged = compare(source, target)
    assert judged.equal, str(judged)


def _may_resume(target: str) -> bool:
    if postgres(target, "SELECT to_regclass('converge.run') IS NOT NULL") == [(False,)]:
        return False
    states = postgres(target, "SELECT state FROM converge.run ORDER BY id DESC LIMIT 1")
    return bool(states) and states[0][0] != "finished"


def test_two_runs_at_once(source: str, run: Killed) -> None:
    run.wait_for_chunks(1)
    run.process.send_signal(signal.SIGSTOP)
    second = converge("migrate", "--source", source, "--target", run.target, "--resume")
    shown = converge("status", "--target", run.target, "--json").json["run"]["at_work"]
    run.process.send_signal(signal.SIGCONT)
    assert second.code == 3
    assert "error[T009]: another converge run is at work" in second.err
    assert f"converge migrate, process {run.process.pid} on " in second.err, second.err
    assert (shown["command"], shown["process"]) == ("migrate", run.process.pid)
    out, err = run.process.communicate(timeout=120)
    assert run.process.returncode == 0, err
    assert json.loads(out)["verdict"] == "verified"


def test_a_plan_that_changed_is_not_resumed(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    mysql(source, "CREATE TABLE one (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO one VALUES (1, 'a')")
    assert converge("migrate", "--source", source, "--target", target, "--resume").code == 2
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "UPDATE converge.run SET state = 'interrupted'")
    mysql(source, "ALTER TABLE one ADD more INT")
    ran = converge("migrate", "--source", source, "--target", target, "--resume")
    assert (ran.code, "error[T011]" in ran.err) == (3, True)
    assert "\n  column one.more: not there → int" in ran.err


def test_a_run_that_was_killed_while_it_made_room(
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    mysql(source, "CREATE TABLE one (id INT PRIMARY KEY); INSERT INTO one VALUES (1)")
    postgres(target, "CREATE TABLE one (other text)")
    addresses = ["--source", source, "--target", target]
    with psycopg.connect(target) as reader:
        reader.execute("SELECT FROM one")
        process = subprocess.Popen(
            [sys.executable, "-m", "converge", "migrate", *addresses, "--recreate", "--yes"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP%%'"
        deadline = time.monotonic() + 60
        # Before the run begins it has tried the same, for a moment.
        while not _may_resume(target) or postgres(target, waits) == [(0,)]:
            assert time.monotonic() < deadline, "--recreate never came to its DROP"
            time.sleep(0.05)
        process.kill()
        process.wait()
    ran = converge("migrate", *addresses, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
