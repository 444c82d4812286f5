"""Workers of other machines: they join a run, do its work, leave or vanish; the result is the local run's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import NewDatabase
from faults.application import COINS, TOTAL, fill, writers
from support import ENVIRONMENT, begun, converge, mysql, postgres, until, workers_of

from converge.cluster.joined import opened
from converge.cluster.messages import Mailbox
from converge.errors import TargetError
from converge.model.check import Check, CheckResult
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.result import Result
from converge.model.work import CheckTask, CopyTask, Digest, DigestTask, Written, WrittenTask
from converge.mysql.connect import connect as mysql_connect
from converge.postgres.connect import connect
from converge.postgres.copy import claim
from converge.postgres.ledger import Ledger
from converge.postgres.lock import attempt_of, lock
from converge.run.attempt import Job, MigrateOptions
from converge.run.options import Awaited
from converge.run.workers import Workers
from converge.sandbox import Server

ROOT = Path(__file__).parents[1]
ROWS = 60_000
SOURCE = f"""
SET SESSION cte_max_recursion_depth = {ROWS};
CREATE TABLE wide (id INT PRIMARY KEY, body TEXT);
CREATE TABLE note (
    id INT PRIMARY KEY, parent INT, text VARCHAR(20), FOREIGN KEY (parent) REFERENCES wide (id));
CREATE VIEW notes AS SELECT parent, COUNT(*) AS n FROM note GROUP BY parent;
INSERT INTO wide WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    SELECT i, REPEAT(MD5(i), 40) FROM n;
INSERT INTO note SELECT id, id, 'a' FROM wide WHERE id % 100 = 0;
ANALYZE TABLE wide, note;
"""
DONE = "SELECT count(done_at) FROM converge.chunk"
WORKERS = "SELECT host <> '', jobs, tasks > 0, left_at IS NOT NULL, reason FROM converge.worker ORDER BY id"


@pytest.fixture(scope="module")
def source(mysql_8033: Server) -> Iterator[str]:
    url = mysql_8033.create_database("workers")
    mysql(url, SOURCE)
    yield url
    mysql_8033.drop_database("workers")


@pytest.fixture
def target(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


@contextmanager
def joining(source: str, target: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with started("worker", "--jobs", "1", "--source", source, "--join", target, *arguments) as process:
        yield process


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        [sys.executable, "-m", "converge", *arguments],
        env=ENVIRONMENT | environment,
        start_new_session=True,
        **streams,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def of_the_job(source: str, target: str, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A worker as the manifest of Kubernetes starts it, with the variables that its secret has."""
    (job,) = yaml.safe_load_all((ROOT / "deploy/workers.yaml").read_text("utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    secret = {"CONVERGE_SOURCE_URL": source, "CONVERGE_TARGET_URL": target}
    return started(*container["args"], *arguments, **secret)


def document(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def copying(target: str) -> bool:
    """Whether some chunks are copied, and some are not."""
    if postgres(target, "SELECT to_regclass('converge.chunk')::text") == [(None,)]:
        return False
    ((done, every),) = postgres(target, "SELECT count(done_at), count(*) FROM converge.chunk")
    return bool(0 < done < every)


def codes(found: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in found["findings"]]


def test_joined_workers_come_to_the_same_result(
    source: str, target: str, postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    alone = converge(
        "migrate", "--source", source, "--target", new_postgres_database(postgres_175), "--json"
    ).json
    with (
        joining(source, target) as first,
        of_the_job(source, target, "--run", "1") as second,
        joining(source, target, "--wait-seconds", "0") as early,
        begun(
            *(source, target, "--json", "--jobs", "1", "--workers", "join:2", "--max-rate", "20MB/s"),
            *("--metrics-file", str(tmp_path / "shop.prom")),
        ) as run,
    ):
        until(lambda: copying(target))
        with joining(source, target) as late:
            watched = converge("status", "--watch", "--json", "--interval", "0.2", "--target", target)
            found = document(run)
            assert (first.wait(30), second.wait(30), late.wait(30)) == (0, 0, 0)
            assert "as worker 3, late: for the target's digests" in late.communicate()[1]
        assert (early.wait(1), "U038" in early.communicate()[1]) == (2, True)
    for name in ("verdict", "snapshot", "not_migrated"):
        assert found[name] == alone[name]
    assert found["verdict"] == "verified"
    same = ("source", "rows_read", "rows_written", "verified", "digest")
    assert [[one[name] for name in same] for one in found["tables"]] == [
        [one[name] for name in same] for one in alone["tables"]
    ]
    workers = postgres(target, WORKERS)
    assert workers[:2] == [(True, 1, True, True, "the run has ended")] * 2
    assert [row[3:] for row in workers[2:]] == [(True, "the run has ended")]
    assert postgres(target, "SELECT sum(rows) FROM converge.worker")[0][0] > ROWS / 3
    first = json.loads(watched.out.splitlines()[0])
    assert [(bool(one["host"]), one["jobs"]) for one in first["workers"]] == [(True, 1)] * 2
    own = {one["application"] for one in first["sessions"] if one["ours"]}
    assert own >= {"converge worker 1", "converge worker 2"}
    metrics = (tmp_path / "shop.prom").read_text()
    done = re.findall(r'converge_worker_tasks_total{.*worker="(\d)",host=".+"} (\d+)', metrics)
    tasks = "SELECT id::text, tasks::text FROM converge.worker WHERE tasks > 0 ORDER BY id"
    assert done and sorted(done) == postgres(target, tasks)


def test_they_leave_are_killed_stop_or_lose_their_source(source: str, target: str) -> None:
    with (
        joining(source, target) as leaves,
        joining(source, target) as killed,
        joining(source, target) as stops,
        joining(source, target) as loses,
        begun(source, target, "--json", "--jobs", "1", "--workers", "join:4", "--max-rate", "10MB/s") as run,
    ):
        # While it reads: one that has nothing more to do would not notice.
        until(lambda: _reading(source, workers_of(loses.pid)))
        for thread in _reading(source, workers_of(loses.pid)):
            mysql(source, f"KILL {thread}")
        until(lambda: copying(target))
        leaves.terminate()
        os.killpg(killed.pid, signal.SIGKILL)
        os.kill(stops.pid, signal.SIGSTOP)
        assert leaves.wait(30) == 0
        until(lambda: _left(target).count((True, "it no longer answers")) == 2)
        # It comes back, as the one does whose source is lost.
        os.kill(stops.pid, signal.SIGCONT)
        until(lambda: _left(target)[4:] == [(False, None)] * 2)
        found = document(run)
        assert (loses.wait(30), stops.wait(30)) == (0, 0)
    # The run itself has lost nothing, and is in its first attempt.
    assert (found["verdict"], codes(found).count("R005"), codes(found).count("R003")) == ("verified", 4, 0)
    reasons = [row[4] for row in postgres(target, WORKERS)]
    assert (reasons.count("it no longer answers"), reasons.count("stopped")) == (2, 1)
    assert sum("Lost connection to MySQL" in reason for reason in reasons) == 1
    assert reasons[4:] == ["the run has ended"] * 2


def _left(target: str) -> list[tuple[bool, str | None]]:
    """Who has left and why, in the order in which they came."""
    return postgres(target, "SELECT left_at IS NOT NULL, reason FROM converge.worker ORDER BY id")


def test_one_that_comes_late_takes_what_needs_no_snapshot(source: str, target: str) -> None:
    assert converge("migrate", "--source", source, "--target", target).code == 0
    options = MigrateOptions(awaited=Awaited((("join", "1"),), 0))
    job = Job(parse(source), parse(target), options, silent, Result("migrate", "", ""))
    halves = [
        DigestTask("wide", f"SELECT COUNT(*), SUM(id) FROM wide WHERE id % 20 = {part}",
                   f"SELECT count(*), sum(id) FROM public.wide WHERE id % 20 = {part}", uncut=True)
        for part in range(20)
    ]  # fmt: skip
    written = WrittenTask("note", "SELECT xmin::text, count(*), sum(id) FROM public.note GROUP BY 1")
    with (
        connect(parse(target)) as there,
        mysql_connect(parse(source)) as here,
        Workers(1) as workers,
    ):
        lock(there)
        ledger = Ledger(there, 1)
        ledger.set_state("running")
        with opened(ledger, here, job, {}) as workers.joined:
            workers.connect(job.source, job.target)
            workers.joined.gather(0)
            with joining(source, target) as late:
                until(lambda: postgres(target, "SELECT ready FROM converge.worker") == [(True,)])
                time.sleep(1)
                found = list(
                    workers.work([*halves, CheckTask(Check("one", "SELECT 1", equals=1), "public"), written])
                )
                assert workers.joined.jobs == 0
            late.kill()
        ledger.set_state("finished")
    digests = [one for one in found if isinstance(one, Digest)]
    total = sum(digests, start=Digest("wide"))
    assert total.equal and (total.source_rows, total.target_rows) == (ROWS, ROWS)
    assert 0 < sum(one.half for one in digests) == len(digests) - len(halves)
    assert {type(one) for one in found} - {Digest, type(None)} == {CheckResult, Written}
    ((tasks,),) = postgres(target, "SELECT tasks FROM converge.worker")
    assert tasks >= len(digests) - len(halves)


def _reading(source: str, processes: list[int]) -> list[int]:
    """The source's threads of these processes of this machine that read rows of the large table."""
    query = (
        "SELECT a.processlist_id FROM performance_schema.session_connect_attrs AS a "
        "JOIN information_schema.PROCESSLIST AS p ON p.ID = a.processlist_id AND p.INFO LIKE '%FROM `wide`%' "
        "WHERE attr_name = '_pid' AND attr_value IN ('{}')"
    )
    return [thread for (thread,) in mysql(source, query.format("','".join(map(str, processes))))]


def test_the_run_dies_and_is_resumed_with_the_same_workers(source: str, target: str) -> None:
    with joining(source, target) as worker:
        with begun(source, target, "--jobs", "1", "--workers", "join:1", "--max-rate", "20MB/s") as run:
            until(lambda: copying(target))
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
        with begun(source, target, "--resume", "--json", "--jobs", "1", "--workers", "join:1") as run:
            assert document(run)["verdict"] == "verified"
        assert worker.wait(30) == 0, worker.communicate()
    assert [row[:4] for row in postgres(target, WORKERS)] == [(True, 1, True, True)] * 2


def test_workers_that_do_not_fit(
    source: str, target: str, mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    other = new_mysql_database(mysql_8033)
    postgres(target, "CREATE ROLE elsewhere LOGIN SUPERUSER")
    role = target.replace("postgres@", "elsewhere@")
    try:
        with (
            begun(source, target, "--json", "--workers", "join:3", "--join-seconds", "5") as run,
            joining(other, target, "--run", "1") as first,
            joining(source, role) as second,
        ):
            assert (first.wait(30), "S032" in first.communicate()[1]) == (4, True)
            assert (second.wait(30), "T045" in second.communicate()[1]) == (3, True)
            # The run of another database is left to its own workers.
            ran = converge("worker", "--source", other, "--join", target, "--wait-seconds", "1")
            assert (ran.code, "no run awaits workers here" in ran.err) == (2, True), ran.err
            # What is joined is the target of the command that begins a run.
            assert f"converge migrate --source {other} --target {target} --workers join:N" in ran.err
            found = document(run)
    finally:
        postgres(target, "DROP ROLE elsewhere")
    assert (found["verdict"], codes(found).count("R006")) == ("verified", 1)
    ran = converge("migrate", "--source", source, "--target", target, "--workers", "eight")
    assert (ran.code, "U038" in ran.err) == (2, True)


def test_all_begin_at_one_instant(mysql_8033: Server, target: str, new_mysql_database: NewDatabase) -> None:
    source = new_mysql_database(mysql_8033)
    fill(source)
    with writers(source, 4) as activity, joining(source, target, "--jobs", "3") as worker:
        with begun(source, target, "--json", "--jobs", "2", "--workers", "join:1") as run:
            found = document(run)
        assert worker.wait(30) == 0
    assert (found["verdict"], found["snapshot"]) == ("verified", "locked")
    assert postgres(target, TOTAL) == [(COINS,)]
    assert activity.commits > 100
    assert postgres(target, WORKERS)[0][:3] == (True, 3, True)


def test_a_chunk_of_an_ended_attempt_is_not_claimed(source: str, target: str) -> None:
    """The next attempt has another snapshot: rows of this one would not be of its instant."""
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "UPDATE converge.chunk SET done_at = NULL, rows = NULL WHERE source_table = 'note'")
    with connect(parse(target)) as run, connect(parse(target)) as worker:
        task = CopyTask(1, "note", 0, "", "", False, attempt=attempt_of(run))
        with pytest.raises(TargetError, match="has ended"):
            claim(worker, task)
        lock(run)
        assert claim(worker, task) is None
        worker.rollback()


def test_word_that_came_with_another_answer_is_not_slept_over(target: str) -> None:
    """All readers begin under a lock: whoever looks for word only now and then holds writers off."""
    with connect(parse(target)) as ledger, connect(parse(target)) as other, Workers(1) as workers:
        mailbox = Mailbox(ledger, "word")
        mailbox.each(lambda: None)
        other.execute("NOTIFY word")
        ledger.execute("SELECT 1")
        began = time.monotonic()
        assert list(workers.hear(mailbox, 60)) == []
        assert time.monotonic() - began < 30
        looked: list[bool] = []
        mailbox.each(lambda: looked.append(True))
        assert looked == [True] and not mailbox.heard
