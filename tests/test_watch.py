"""What others see of a command at work: events, metrics, and `status --watch` from another shell."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jsonschema import validate
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support import begun, converge, migrated, mysql, postgres, relations
from test_terminal import on_terminal

from converge.model.endpoint import parse
from converge.model.event import (
    CopyStarted,
    DatabaseEnded,
    DatabaseStarted,
    PhaseEnded,
    PhaseStarted,
    Progress,
    TableSize,
)
from converge.report.export import Metrics
from tools.schemas import schemas

Sample = tuple[str, ...]


def samples(text: str) -> dict[Sample, float]:
    """Values by metric and labels, but for command and file; both formats read the same."""
    read, prometheus = (
        {
            (
                one.name,
                *(value for name, value in one.labels.items() if name not in ("command", "file")),
            ): one.value
            for family in parse(text)
            for one in family.samples
        }
        for parse in (openmetrics.text_string_to_metric_families, text_string_to_metric_families)
    )
    assert read == prometheus
    return read


def events(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for one in found:
        validate(one, schemas()["event.schema.json"])
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    return found


def test_events_and_metrics_add_up_to_the_report(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        'CREATE TABLE film (id int PRIMARY KEY, title varchar(20)); CREATE TABLE `a\\\\"b` (id int);'
        "INSERT INTO film VALUES (1, 'a'), (2, CONCAT('b', CHAR(0))), (3, 'c');"
        'INSERT INTO `a\\\\"b` VALUES (1)',
    )
    files = ("--events", str(tmp_path / "e.jsonl"), "--metrics-file", str(tmp_path / "m.prom"))
    ends = ("--source", source, "--target", target, "--json")
    reject = ("--on-bad-row", "reject", "--no-scan")
    for command, code in (("migrate", 1), ("verify", 1), ("migrate", 3)):
        ran = converge(command, *ends, *files, *(reject if command == "migrate" else ()))
        assert ran.code == code, (command, ran.err)
        seen, told = samples((tmp_path / "m.prom").read_text("utf-8")), events(tmp_path / "e.jsonl")
        assert seen["converge_exit_code",] == told[-1]["exit_code"] == code
        assert told[-1]["event"] == "Ended" and told[-1]["verdict"] == ran.json["verdict"]
        assert seen["converge_workers_busy",] == 0 < seen["converge_start_time_seconds",]
        for phase in {one["name"] for one in ran.json["phases"]}:
            took = sum(one["seconds"] for one in ran.json["phases"] if one["name"] == phase)
            assert seen["converge_phase_seconds", phase] == pytest.approx(took)
        for table in ran.json["tables"]:
            for metric, key in (("rows_total", "rows_written"), ("bytes_total", "bytes")):
                written = seen.get((f"converge_{metric}", table["source"]))
                assert written == (None if table["rows_written"] is None else table[key])
        if command == "verify":
            sides = [seen["converge_rows_compared", "film", side] for side in ("source", "target")]
            assert (*sides, seen["converge_rows_unequal", "film"]) == (3, 2, 1)
            assert seen["converge_verdict", "differs"] == 1
        elif code == 1:
            sent = [one for one in told if one["event"] == "Progress" and one["table"] == "film"]
            # A chunk that the target has refused is subtracted, and read once more.
            assert sum(one["rows"] for one in sent) == 3 and seen["converge_rows_rejected", "film"] == 1
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("e.jsonl", "m.prom")} == {0o600, 0o644}


def test_metrics_tell_databases_apart_and_count_on_after_a_retry() -> None:
    metrics = Metrics("migrate", "m")
    for event in (
        DatabaseStarted("a"), CopyStarted((TableSize("t", 9), TableSize("empty", 0))), Progress("t", 2, 4),
        PhaseStarted("index"), PhaseEnded("index", 0.5), DatabaseStarted('b"'),
        PhaseStarted("copy"), CopyStarted((TableSize("t", 9),)), Progress("t", 2, 4), Progress("t", -2, -4),
        # The next attempt begins with what the ledger has.
        PhaseStarted("copy"), CopyStarted((TableSize("t", 9, 3, 6),)), Progress("t", 1, 2),
    ):  # fmt: skip
        metrics(event)
    seen = samples(metrics.text())
    assert seen["converge_rows_total", "a", "t"] == 2 and seen["converge_rows_total", "a", "empty"] == 0
    assert seen["converge_rows_total", 'b"', "t"] == 4 and seen["converge_bytes_total", 'b"', "t"] == 8
    assert seen["converge_phase_seconds", "a", "index"] == 0.5
    # Of `migrate --follow` the last one.
    for verdict in ("verified", "differs"):
        metrics(DatabaseEnded('b"', verdict, 0, ()))
    assert [key for key in samples(metrics.text()) if key[0] == "converge_verdict"] == [
        ("converge_verdict", 'b"', "differs")
    ]
    time.sleep(0.01)
    # A phase that is not over grows.
    assert samples(metrics.text())["converge_phase_seconds", 'b"', "copy"] > 0


@pytest.mark.parametrize("option", ["--events", "--metrics-file"])
def test_a_file_that_cannot_be_written(databases: tuple[str, str], tmp_path: Path, option: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE film (id int PRIMARY KEY)")
    ends = ("--source", source, "--target", target, option)
    ran = converge("migrate", *ends, str(tmp_path / "none" / "x"))
    assert (ran.code, "U004" in ran.err, relations(target)) == (2, True, []), ran.err
    # A disk that is full later does not end the run.
    ran = converge("migrate", *ends, "/dev/full")
    assert (ran.code, ran.err.count("U004")) == (0 if option == "--events" else 2, 1), ran.err


@pytest.fixture
def reader(databases: tuple[str, str]) -> Iterator[str]:
    """The target's address for a role that may only read the ledger, once it is granted."""
    name = f"reader_{parse(databases[1]).database}"
    postgres(databases[1], f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    yield databases[1].replace("//postgres", f"//{name}:x")
    postgres(databases[1], f"DROP OWNED BY {name}; DROP ROLE {name}")


def _wait(target: str, query: str) -> None:
    deadline = time.monotonic() + 30
    while postgres(target, query) != [(True,)]:
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


def test_a_run_is_watched_until_it_ends(databases: tuple[str, str], reader: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE film (id int PRIMARY KEY); INSERT INTO film VALUES (1), (2)")
    ends = ("--source", source, "--target", target)
    assert converge("migrate", *ends).code == 0
    role = parse(reader).user
    postgres(
        target,
        f"GRANT USAGE ON SCHEMA converge TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA converge TO {role};"
        "CREATE SCHEMA aside; CREATE TABLE aside.part (id int); CREATE TABLE aside.copied (id int)",
    )
    watch = ("status", "--watch", "--interval", "0.2", "--target")
    with ThreadPoolExecutor() as pool, psycopg.connect(target, application_name="shop") as other:
        # The run waits for this session with its chunks, an index with its table.
        other.execute("LOCK TABLE converge.chunk IN SHARE MODE; INSERT INTO aside.part VALUES (1)")
        run = pool.submit(converge, "migrate", *ends, "--recreate", "--yes")
        _wait(target, "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted")
        with (
            psycopg.connect(target, application_name="converge build", autocommit=True) as builder,
            psycopg.connect(target, application_name="converge") as worker,
        ):
            index = pool.submit(builder.execute, "CREATE INDEX CONCURRENTLY ON aside.part (id)")
            with worker.cursor().copy("COPY aside.copied FROM STDIN") as copy:
                copy.write(b"1\n" * 100_000)
                _wait(target, "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted")
                postgres(target, "UPDATE converge.run SET paused = true WHERE id = 2")
                screen = pool.submit(on_terminal, 150, *watch, target)
                documents = pool.submit(converge, *watch, target, "--json")
                lines = pool.submit(converge, *watch, reader)
                looked = "application_name = 'converge status' AND state = 'idle' AND query ~ 'converge.step'"
                _wait(target, f"SELECT count(*) = 3 FROM pg_stat_activity WHERE {looked}")
            postgres(target, "UPDATE converge.run SET paused = false")
            other.rollback()
            worker.commit()
            index.result()
        assert run.result().code == 0
    first, *_, end, last = map(json.loads, documents.result().out.splitlines())
    assert (first["run"]["state"], first["phase"], first["rows"]) == ("running", "create", 100_000)
    found = {one["query"].split("(")[0].strip(): one for one in first["sessions"]}
    locker = next(one for one in first["sessions"] if not one["ours"])
    assert (locker["application"], locker["state"]) == ("shop", "idle in transaction")
    assert found["COPY converge.chunk"]["waits_for"] == [locker["pid"]]
    assert found["COPY aside.copied FROM STDIN"]["bytes"] == 200_000
    build = found["CREATE INDEX CONCURRENTLY ON aside.part"]
    assert (build["table"], build["index_phase"]) == ("aside.part", "waiting for writers before build")
    assert end["run"] == last["run"] and last["verdict"] == "verified"
    for shown in (lines.result().out, screen.result().out):
        waits = rf"run 2: running, create, paused.* waits for {locker['pid']}\n"
        assert re.search(f"{waits}.*run 2: verified", shown, re.DOTALL)
    assert lines.result().out.count("run 2: running, create, paused") == 1
    for words in ("COPY aside.copied: 200.0 kB, 100,000 rows", "index of aside.part: waiting for writers"):
        assert words in screen.result().out and words not in lines.result().out


def test_a_killed_run_is_not_running_beside_others(databases: tuple[str, str]) -> None:
    source, target = migrated(databases, "CREATE TABLE t (id INT PRIMARY KEY)")
    ends = ("--source", source, "--target", target)
    killed = "UPDATE converge.run SET state = 'running', report = NULL, finished_at = NULL WHERE id = 1"
    postgres(target, killed)
    with psycopg.connect(target, application_name="converge follow 1 db-7") as other:
        other.execute("SELECT pg_advisory_lock(%s)", (0x434F4E56,))
        shown = converge("status", "--target", target, "--json").json
        assert (shown["verdict"], shown["run"]["at_work"]["command"]) == ("interrupted", "follow")
        ran = converge("pause", "--target", target)
        assert (ran.code, "at work is converge follow" in ran.err) == (2, True), ran.err
    # Another run is at work then, or was.
    ran = converge("migrate", *ends, "--schema", "other")
    assert ran.code == 0, ran.err
    assert postgres(target, "SELECT state FROM converge.run ORDER BY id") == [("interrupted",), ("finished",)]
    # It had finished, and was resumed for its rejects.
    postgres(target, "UPDATE converge.run SET state = 'running', report = '{}' WHERE id = 1")
    assert converge("migrate", *ends, "--schema", "third").code == 0
    assert {state for (state,) in postgres(target, "SELECT state FROM converge.run")} == {"finished"}


def test_every_exit_code_is_that_of_the_command(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE note (id INT PRIMARY KEY)")
    ends = ("--source", source, "--target", target)
    log, report, metrics = tmp_path / "events", tmp_path / "run.json", tmp_path / "m.prom"
    files = ("--events", str(log), "--report", str(report), "--metrics-file", str(metrics))
    postgres(target, "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
             "$$BEGIN RAISE 'no tables today'; END$$")  # fmt: skip
    postgres(target, "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
             "EXECUTE FUNCTION public.refuse()")  # fmt: skip
    ran = converge("migrate", *ends, *files)
    assert ran.code == 5, ran.err
    codes = [one["exit_code"] for one in events(log) if "exit_code" in one]
    assert (codes, json.loads(report.read_text("utf-8"))["exit_code"]) == ([5, 5], 5)
    postgres(target, "DROP EVENT TRIGGER refuse")
    full = (
        "import converge.files\ndef full(path, text): raise OSError(28, 'No space left on device')\n"
        "converge.files.write_private = full\nfrom converge.cli import main\nmain()"
    )
    process = begun(source, target, "--rejects", str(tmp_path / "bad"), "--json", program=("-c", full))
    out, err = process.communicate(timeout=60)
    document = json.loads(out)
    assert (process.returncode, document["exit_code"], document["verdict"]) == (1, 1, "verified"), err
    # Nobody reads the result.
    ours, theirs = os.pipe()
    process = begun(source, target, "--events", str(log), command="sync", stdout=theirs)
    os.close(theirs)
    os.close(ours)
    process.communicate(timeout=60)
    ended = events(log)[-1]
    assert (process.returncode, ended["exit_code"], ended["verdict"]) == (1, 1, "verified")
    # What `verify` has found since is the verdict of `status --watch`, too.
    postgres(target, "INSERT INTO note VALUES (7)")
    assert converge("verify", *ends).code == 1
    shown = converge("status", "--target", target, "--watch", "--json").out.splitlines()
    assert [json.loads(line)["verdict"] for line in shown] == ["differs", "differs"]
    assert converge("status", "--target", target, "--watch").out.startswith("run 1: differs; ")
