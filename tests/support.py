"""What the tests share: the command line as users call it, and quick looks into both servers."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from pymysql.constants import CLIENT

from converge.cli import main
from converge.sandbox.dump_split import Splitter
from converge.sandbox.dump_text import Joined, decompressed
from converge.sandbox.server import connect_mysql

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
"""With nothing of ours in it, but the folder of temporary files: see conftest."""
_MOST_SECONDS = 1200


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


def converge(*arguments: str, folder: str = "", **environment: str) -> Ran:
    """Runs the command in a process of its own, in the folder, with nothing of ours in its environment.

    The process is forked from one that has imported everything, which saves half a second of a command's
    start; `python -m converge` itself is run by tests/test_working_folder.py and others.
    """
    warm_up()
    with TemporaryDirectory(prefix="converge-test-") as place:
        out, err = Path(place, "out"), Path(place, "err")
        how = (arguments, {**ENVIRONMENT, **environment}, folder, out, err)
        process = _FORKS.Process(target=_command, args=how)
        process.start()
        process.join(_MOST_SECONDS)
        if process.exitcode is None:
            process.terminate()
            process.join()
            raise TimeoutError(f"converge {' '.join(arguments)} ran for more than {_MOST_SECONDS} s")
        return Ran(process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))


_FORKS = multiprocessing.get_context("forkserver")


@cache
def warm_up() -> None:
    """Starts the process from which the commands are forked, before the product starts one of its own."""
    _FORKS.set_forkserver_preload(["warm"])
    with pytest.MonkeyPatch.context() as environment:
        # Before Python 3.13 it does not look for modules where this process does.
        environment.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()


def _command(
    arguments: Sequence[str], environment: dict[str, str], folder: str, out: Path, err: Path
) -> None:
    """In the forked process: what a shell would have set up, then the command."""
    assert "warm" in sys.modules  # a module that cannot be imported is left out unsaid
    atexit._clear()  # what is to be done at the end of the server, coverage's among it
    for number, path in enumerate((os.devnull, str(out), str(err))):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    # Its workers are forked from the same server as itself.
    for place in (forkserver, forkserver._forkserver):
        vars(place)["ensure_running"] = lambda: None
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    try:
        main([*arguments])
    finally:
        atexit._run_exitfuncs()  # a forked process would end without them
        sys.stdout.flush()


def begun(
    source: str,
    target: str,
    *arguments: str,
    program: Iterable[str] = ("-m", "converge"),
    command: str = "migrate",
    **how: Any,
) -> subprocess.Popen[str]:
    """Starts the command, which hears signals, whatever the shell of the tests has done with them."""

    def hear() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, *program, command, "--source", source, "--target", target, *arguments],
        text=True,
        start_new_session=True,
        preexec_fn=hear,
        env=ENVIRONMENT,
        **streams | how,
    )


def soon(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Waits until this is so; fails where the process ends before, or after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"too late: {process.communicate()}")
        time.sleep(0.02)


def limited(process: subprocess.Popen[Any]) -> None:
    """Kills the process when it takes too long: a test that reads from it then fails and does not wait."""
    timer = threading.Timer(_MOST_SECONDS, process.kill)
    timer.daemon = True
    timer.start()


def workers_of(run: int) -> list[int]:
    """Process ids of a run's worker processes: children of the server that it forks them from."""
    return [worker for server in children_of(run) for worker in children_of(server)]


def children_of(parent: int) -> list[int]:
    """Process ids."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def until(what: Callable[[], object]) -> None:
    """Waits until something holds, a minute at most."""
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def mysql(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs one or more statements and returns the rows of the first."""
    connection = connect_mysql(url, client_flag=CLIENT.MULTI_STATEMENTS)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        rows = list(cursor.fetchall())
        while cursor.nextset():
            pass
        return rows


def migrated(pair: tuple[str, str], sql: str) -> tuple[str, str]:
    """The source and the target of a run that has moved these tables."""
    source, target = pair
    mysql(source, sql)
    ran = converge("migrate", "--source", source, "--target", target)
    assert ran.code == 0, ran.err
    return pair


def postgres(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs a statement and returns its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def load_dump(url: str, path: Path) -> None:
    """Executes a dump, compressed or not, in a MySQL database."""
    with connect_mysql(url) as connection, decompressed(path.name, Joined((path,))) as file:
        for statement in Splitter(file):
            connection.query(statement.text)
        connection.commit()  # for a dump that turned autocommit off


def relations(url: str) -> list[str]:
    """All tables of a target outside the system's schemas: empty means that nothing was written."""
    rows = postgres(
        url,
        "SELECT schemaname || '.' || tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    return [name for (name,) in rows]
