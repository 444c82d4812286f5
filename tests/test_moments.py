"""Odd moments: stopped twice, a lost terminal, a full disk, a clock that jumps, a reader that leaves."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import NewDatabase
from support import ENVIRONMENT, begun, children_of, converge, mysql, postgres, workers_of
from test_interrupt import SOURCE, Killed, finished_exactly

from converge.sandbox import Server
from converge.sandbox.server import connect_mysql


@pytest.fixture(scope="module")
def source(mysql_8015: Server) -> Iterator[str]:
    url = mysql_8015.create_database("moments")
    mysql(url, SOURCE)
    mysql(url, "ANALYZE TABLE keyed, texted, keyless")
    yield url
    mysql_8015.drop_database("moments")


@pytest.fixture(scope="module")
def small(mysql_8015: Server) -> Iterator[str]:
    url = mysql_8015.create_database("moments_small")
    mysql(url, "CREATE TABLE note (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO note VALUES (1, 'a')")
    yield url
    mysql_8015.drop_database("moments_small")


@pytest.fixture
def target(postgres_175: Server, new_postgres_database: NewDatabase) -> str:
    return new_postgres_database(postgres_175)


def test_a_second_signal_ends_at_once(source: str, target: str) -> None:
    """Also while the first one waits for a chunk that does not settle."""
    run = Killed(begun(source, target), target)
    run.wait_for_chunks(1)
    workers = workers_of(run.process.pid)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    os.kill(run.process.pid, signal.SIGINT)
    time.sleep(1)
    assert run.process.poll() is None, "the first signal lets the chunks settle"
    sent = time.monotonic()
    os.kill(run.process.pid, signal.SIGINT)
    _, err = run.process.communicate(timeout=10)
    assert time.monotonic() - sent < 2
    assert run.process.returncode == 130
    assert "stopped at once" in err
    deadline = time.monotonic() + 10
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlived their coordinator"
        time.sleep(0.05)
    finished_exactly(source, run)


def _runs(process: int) -> bool:
    """Whether a process is there and no zombie, which a container without an init may keep."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_same_wish_twice_is_one(source: str, target: str) -> None:
    """`timeout` and shells send a signal to the process and to its group."""
    run = Killed(begun(source, target), target)
    run.wait_for_chunks(1)
    os.kill(run.process.pid, signal.SIGTERM)
    os.killpg(run.process.pid, signal.SIGTERM)
    _, err = run.process.communicate(timeout=30)
    assert (run.process.returncode, "error[R130]" in err) == (130, True), err
    assert postgres(target, "SELECT state FROM converge.run") == [("interrupted",)]


def test_a_signal_while_the_workers_server_is_imported(small: str, target: str) -> None:
    """Ctrl-C reaches the whole group: also the process that workers are forked from later."""
    for delay in 0.0, 0.1, 0.2:
        process = begun(small, target)
        while not any(
            b"forkserver" in Path(f"/proc/{one}/cmdline").read_bytes() for one in children_of(process.pid)
        ):
            assert process.poll() is None
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (130, False), err


def test_a_lost_terminal_settles(source: str, target: str) -> None:
    ours, theirs = pty.openpty()
    run = Killed(begun(source, target, stdin=theirs, stdout=theirs, stderr=theirs), target)
    os.close(theirs)
    os.set_blocking(ours, False)
    run.wait_for_chunks(1)
    os.close(ours)
    os.killpg(run.process.pid, signal.SIGHUP)
    assert run.process.wait(30) == 130
    assert postgres(target, "SELECT state FROM converge.run") == [("interrupted",)]
    finished_exactly(source, run)


def test_nohup_goes_on(small: str, target: str) -> None:
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "converge", "migrate", "--source", small, "--target", target],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(sys.executable.encode()):
        time.sleep(0.01)
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGHUP)
        time.sleep(0.1)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "verdict   verified" in out


@pytest.mark.parametrize(
    ("tables", "query"),
    [
        pytest.param(("keyed",), "(SELECT 1 FROM `keyed` LIMIT 0)", id="numbering"),
        pytest.param(("texted", "keyless"), "SELECT /*+ MAX%", id="scan"),
    ],
)
def test_a_plan_that_is_stopped_does_not_wait(
    mysql_8015: Server, source: str, target: str, tables: tuple[str, ...], query: str
) -> None:
    """Its queries are ended on the server, too."""
    with_lock = "LOCK TABLES " + ", ".join(f"{table} WRITE" for table in tables)
    with connect_mysql(source, autocommit=False) as holder:
        cursor = holder.cursor()
        cursor.execute(with_lock)
        process = begun(source, target)
        waiting = f"SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{query}'"
        deadline = time.monotonic() + 30
        while mysql(source, waiting) == [(0,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert time.monotonic() - sent < 5
        assert process.returncode == 130
        assert mysql(source, waiting) == [(0,)]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_report_on_a_full_disk(small: str, target: str, tmp_path: Path, form: tuple[str, ...]) -> None:
    """The result is printed all the same, and the ledger has the report."""
    report = tmp_path / "r.html"
    report.write_text("the report of last week")

    def tiny_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    # Python would put half a compiled module beside its source, and never be able to read it again.
    environment = {**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "converge", "migrate", "--source", small, "--target", target,
         "--report", str(report), *form],
        capture_output=True, text=True, env=environment, preexec_fn=tiny_files, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"error[U012]: the report {report} cannot be written: File too large" in done.stderr
    assert f"converge report --target {target} -o {report}" in done.stderr
    assert report.read_text() == "the report of last week"
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]
    if form:
        document = json.loads(done.stdout)
        assert (document["verdict"], document["exit_code"]) == ("verified", 1)
    else:
        assert "verdict   verified" in done.stdout
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]
    assert converge("report", "--target", target, "-o", str(report)).code == 0
    assert "verified" in report.read_text()


def test_a_full_stdout(small: str, target: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = begun(small, target, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error[U012]: the result cannot be printed: No space left on device" in err
    assert "Traceback" not in err
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]


def test_a_full_disk_under_the_log(small: str, target: str, tmp_path: Path) -> None:
    """Lines that have no room are left out; how the command ends does not depend on them."""
    with Path("/dev/full").open("w") as full:
        metrics = ("--metrics-file", str(tmp_path / "m.prom"), "--events", "/dev/full")
        process = begun(small, target, "--json", *metrics, stdout=subprocess.PIPE, stderr=full)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, json.loads(out)["verdict"]) == (0, "verified"), out
        process = begun(small, target, "--json", stdout=subprocess.PIPE, stderr=full)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, json.loads(out)["verdict"]) == (3, "blocked"), out
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]


def test_readers_that_leave(small: str, target: str) -> None:
    """`converge migrate 2>&1 | head -0` does all of its work."""
    ours, theirs = os.pipe()
    process = begun(small, target, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.close(ours)
    assert process.wait(60) == 1
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]


def test_a_folder_that_cannot_be_written(small: str, target: str) -> None:
    """/proc takes no files, not even root's: nothing is needed there, and a report is refused at once."""
    arguments = ("--source", small, "--target", target)
    run = subprocess.run(
        [sys.executable, "-m", "converge", "migrate", *arguments],
        cwd="/proc", capture_output=True, text=True,
        env=ENVIRONMENT | {"PYTHONPATH": str(Path(__file__).parents[1])}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for path in ("/nowhere/r.html", "/proc"):
        refused = converge("plan", *arguments, "--html", path)
        assert (refused.code, "error[U004]" in refused.err) == (2, True), refused.err


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_that_jumps(small: str, target: str, tmp_path: Path, jump: int) -> None:
    """Durations are no differences of wall clocks."""
    (tmp_path / "sitecustomize.py").write_text(
        "import datetime, time\n"
        "real, begun = time.time, time.monotonic()\n"
        f"time.time = lambda: real() + (time.monotonic() - begun) * {jump}\n"
    )
    ran = converge(
        "migrate", "--source", small, "--target", target, "--json",
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])]),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    spans = [phase["seconds"] for phase in ran.json["phases"]] + [t["seconds"] for t in ran.json["tables"]]
    assert all(0 <= seconds < 300 for seconds in spans), spans


def test_ledgers_that_are_made_at_once(target: str) -> None:
    """Runs that begin at the same moment both find none; the later one takes what the first has made."""
    make = (
        "import sys; from converge.model.endpoint import parse; from converge.postgres.ledger import upgrade"
    )
    command = [sys.executable, "-c", f"{make}; upgrade(parse(sys.argv[1]))", target]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4


def test_two_runs_into_one_database(source: str, small: str, target: str) -> None:
    """One ledger, one run at a time, whatever the schema; comparing beside a run is free."""
    assert converge("migrate", "--source", small, "--target", target, "--schema", "other").code == 0
    run = Killed(begun(source, target), target)
    deadline = time.monotonic() + 60
    while postgres(target, "SELECT max(id) FROM converge.run") == [(1,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.process.send_signal(signal.SIGSTOP)
    second = converge("migrate", "--source", small, "--target", target, "--schema", "third")
    beside = converge("verify", "--source", small, "--target", target, "--schema", "other")
    run.process.send_signal(signal.SIGCONT)
    assert (second.code, "error[T009]" in second.err) == (3, True), second.err
    assert postgres(target, "SELECT to_regnamespace('third') IS NULL") == [(True,)]
    assert beside.code == 0, beside.err
    _, err = run.process.communicate(timeout=120)
    assert run.process.returncode == 0, err
    assert converge("migrate", "--source", small, "--target", target, "--schema", "third").code == 0


def test_files_are_their_owners_alone(small: str, tmp_path: Path) -> None:
    """Whatever was there before, and without writing through a link."""
    wide, victim, link = tmp_path / "plan.json", tmp_path / "victim", tmp_path / "plan.html"
    for file in (wide, victim):
        file.write_text("before")
        file.chmod(0o666)
    link.symlink_to(victim)
    ran = converge("plan", "--source", small, "-o", str(wide), "--html", str(link), "--sql", "/dev/null")
    assert ran.code == 0, ran.err
    assert victim.read_text() == "before"
    assert not link.is_symlink()
    for file in (wide, link):
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text() != "before"
    assert Path("/dev/null").is_char_device()


_RUNS = "import sys; from converge.cli import main; main(sys.argv[1:])"
_MOMENTS = {
    "inside a statement of the ledger": (
        "from converge.postgres.ledger import Ledger as C; n = 'add_chunks'\n"
        "def f(self, *a): self.connection.pgconn.send_query(b'SELECT pg_sleep(9)'); raise KeyboardInterrupt\n"
    ),
    "when the ledger has just heard of it": (
        "from converge.run.attempt import Run as C; n = '__init__'\ndef f(*a): raise KeyboardInterrupt\n"
    ),
}


@pytest.mark.parametrize("moment", _MOMENTS)
def test_all_say_the_same_of_a_stopped_load(small: str, target: str, tmp_path: Path, moment: str) -> None:
    """A signal may leave a connection in the middle of a statement, or come before the run has a plan."""
    postgres(target, "CREATE TABLE note (id int PRIMARY KEY, text varchar(20))")
    page, document = tmp_path / "note.md", tmp_path / "note.json"
    stops = ("-c", f"{_MOMENTS[moment]}setattr(C, n, f)\n{_RUNS}")
    run = begun(small, target, "--mode", "load", "--report", str(document), "--json", program=stops)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, "error[R130]" in err) == (130, True), err
    assert "converge recover" in err
    assert json.loads(out)["verdict"] == json.loads(document.read_text())["verdict"] == "interrupted"
    assert postgres(target, "SELECT state FROM converge.run") == [("interrupted",)]
    _is_interrupted(target, page)
    verified = converge("verify", "--source", small, "--target", target)
    assert "run 1, which makes it, is interrupted: converge migrate --resume" in verified.out
    # To be pasted as it stands.
    resume = f"converge migrate --resume --source {small} --target {target}"
    assert verified.out.splitlines()[-2] == f"next      {resume}"
    assert f"hint   {resume}\n" in err
    # A run that was killed could enter nothing; nobody is at work for it.
    postgres(target, "UPDATE converge.run SET state = 'running', report = NULL")
    assert "interrupted" in converge("status", "--target", target).out
    unwritten = converge("report", "--target", target, "-o", str(page))
    assert "run 1 is interrupted and has no report yet" in unwritten.err


def test_equal_rows_of_an_unfinished_run_are_not_verified(small: str, target: str, tmp_path: Path) -> None:
    """After the copy every row is there; the keys and sequences are not."""
    kill = "from converge.run.build import Builder as C; n = 'pending'\ndef f(*a): os._exit(9)\n"
    run = begun(small, target, "-q", program=("-c", f"import os; {kill}setattr(C, n, f)\n{_RUNS}"))
    assert (run.wait(timeout=60), postgres(target, "SELECT count(*) FROM note")) == (9, [(1,)])
    ends = ("--source", small, "--target", target)
    page, rules = tmp_path / "v.xml", tmp_path / "rules.toml"
    rules.write_text('[[table]]\nmatch = { table = "note" }\nrename = "note"\n')
    for more in ((), ("--level", "counts"), ("--map", str(rules))):
        ran = converge("verify", *ends, "--json", "--report", str(page), *more)
        assert (ran.code, ran.json["verdict"], ran.json["exit_code"]) == (1, "differs", 1), (more, ran.err)
        assert ran.json["next"].startswith("converge migrate --resume")
        assert [one["code"] for one in ran.json["findings"] if one["severity"] == "block"] == ["V114"]
    words = "differs: every row of 1 table is equal; the run did not finish"
    ran = converge("verify", *ends, "--report", str(page))
    assert words in ran.out, ran.out
    cases = {case.get("classname"): case for case in ElementTree.parse(page).iter("testcase")}
    assert cases["converge.findings.V114"].find("failure") is not None
    assert cases["converge.not_compared"].find("skipped") is not None
    assert cases["converge.tables"].find("*") is None
    assert converge("migrate", *ends, "--resume").code == 0
    # What was compared before the run had come to its end says nothing of it.
    assert "verdict   verified" in converge("status", "--target", target).out
    assert converge("verify", *ends).code == 0


def _is_interrupted(target: str, page: Path) -> None:
    status = converge("status", "--target", target)
    assert "verdict   interrupted: run 1 is" in status.out
    assert f"\nnext      converge migrate --resume --target {target}\n" in status.out
    assert converge("report", "--target", target, "-o", str(page)).code == 0
    assert "# converge migrate: interrupted" in page.read_text()


def test_a_run_is_resumed_with_its_own_options(small: str, target: str, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[[column]]\nmatch = { column = "text" }\nto = "integer"\n')
    ends = ("--source", small, "--target", target)
    assert converge("migrate", *ends).code == 0
    assert "verdict   verified: run 1 is finished, " in converge("status", "--target", target).out
    postgres(target, "UPDATE converge.run SET state = 'failed'")
    for given, words in (
        (("--mode", "load"), "begun with --mode create, now --mode load"),
        (("--map", str(other)), f"begun with no --map, now --map {other}"),
        (("--schema", "app"), "begun with --schema public, now --schema app"),
        (("--include", "n*"), "begun with no --include, now --include n*"),
    ):
        ran = converge("migrate", *ends, "--resume", *given)
        assert (ran.code, words in ran.err, "error[T010]" in ran.err) == (2, True, True), ran.err
    again = converge("migrate", *ends, "--resume", "--schema", "public", "--mode", "create")
    assert again.code == 0, again.err


_STOP = "os.kill(os.getpid(), signal.SIGINT)"
_STOPS = {
    "while it starts": (
        f"old = signal.pthread_sigmask\ndef block(*mask): old(*mask); {_STOP}\nsignal.pthread_sigmask = block"
    ),
    "in a finalizer": f"class D:\n  def __del__(self): {_STOP}\ndef act(): D(); time.sleep(9)",
    "in the text of an exec": f"def act(): exec('{_STOP}; time.sleep(9)')",
    "in a class that is made": (
        f"class N:\n  def __set_name__(self, *_): {_STOP}; time.sleep(9)\n"
        "def act(): type('C', (), {'n': N()})"
    ),
    "when all is said": f"atexit.register(lambda: ({_STOP}, time.sleep(0.1)))",
}


@pytest.mark.parametrize("moment", _STOPS)
def test_a_stop_is_heard_and_said_at_any_moment(moment: str) -> None:
    """Some of these Python itself ignores, or takes for another error."""
    program = (
        "import atexit, os, signal, sys, time\nfrom converge.__main__ import main\nact = lambda: None\n"
        f"{_STOPS[moment]}\nfrom converge.signals import Stopping\ninstall = Stopping.install\n"
        "def hear(self): install(self); act()\nStopping.install = hear\nmain()"
    )
    nowhere = ("mysql://root@127.0.0.1:1/shop", "postgresql://postgres@127.0.0.1:1/shop")
    run = begun(*nowhere, "--json", program=("-c", program), command="sync")
    out, err = run.communicate(timeout=60)
    document = json.loads(out)
    code, label, verdict = (5, "T001", "failed") if "all is said" in moment else (130, "R130", "interrupted")
    assert (run.returncode, document["exit_code"], document["verdict"]) == (code, code, verdict), err
    assert err.strip().startswith(f"error[{label}]") and "Traceback" not in err and "ignored" not in err
