"""Servers that tests and the benchmark crash, stop and start again, and the folder that two of them share.

They come from programs on this machine, each under a keeper (`converge.sandbox`), which makes, starts and
ends it: here are the signals, and the second start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pymysql
import pytest
from support import mysql, postgres

from converge import sandbox
from converge.sandbox import Server, process, providers
from converge.sandbox.server import connect_mysql, connect_postgres

DURABLE = {
    "mysql": {"innodb_flush_log_at_trx_commit": "1", "sync_binlog": "1", "innodb_doublewrite": "ON"},
    "postgres": {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
}
"""Settings under which committed rows outlive a crash."""
_STOP = {"mysql": signal.SIGTERM, "postgres": signal.SIGINT}
_CRASH = {"mysql": signal.SIGKILL, "postgres": signal.SIGQUIT}
_PID_FILES = {"mysql": "pid", "postgres": "data/postmaster.pid"}
_commands: dict[str, tuple[list[str], list[str], Path]] = {}
"""By URL: the command of a server, its libraries and its folder."""
_again: dict[str, subprocess.Popen[bytes]] = {}
"""By URL: what was started again."""
_STARTER = ThreadPoolExecutor(max_workers=1)
"""Its thread lives as long as this process, with which the servers that it starts die (prctl(2))."""


@contextmanager
def own_programs() -> Iterator[None]:
    """No server by URL or in Docker: they have no keeper, and no folder to look at."""
    with pytest.MonkeyPatch.context() as patch:
        finders = {"installed": providers.find_installed, "package": providers.find_packaged}
        patch.setattr(providers, "FINDERS", finders)
        yield


@contextmanager
def durable(*names: str, **settings: Mapping[str, str]) -> Iterator[tuple[Server, ...]]:
    """Servers that may be crashed: what they have said is on disk is there."""
    every = {kind: {**own, **settings.get(kind, {})} for kind, own in DURABLE.items()}
    with ExitStack() as stack:
        with own_programs():
            servers = stack.enter_context(sandbox.start(*names, settings=every))
        for server in servers:
            _remember(server)
            stack.callback(_forget, server)
        yield servers


def folder_of(server: Server) -> Path:
    """The folder of a server that runs here under a keeper."""
    if server.kind == "mysql":
        ((data,),) = mysql(server.url, "SELECT @@datadir")
    else:
        ((data,),) = postgres(server.database_url("postgres"), "SHOW data_directory")
    return Path(data).parent


def crash(server: Server) -> None:
    """Ends the server at once (SIGKILL for MySQL, immediate shutdown for PostgreSQL)."""
    _end(server, _CRASH[server.kind])


def stop(server: Server) -> None:
    """Shuts the server down in order; its data stays for `restart`."""
    _end(server, _STOP[server.kind])


def restart(server: Server) -> None:
    """Starts the server again, on its port and with its data; it is stopped first if it runs."""
    stop(server)
    command, libraries, folder = _commands[server.url]
    start = _STARTER.submit(process.spawn, command, folder, folder / "log", libraries, _CRASH[server.kind])
    _again[server.url] = start.result()
    if not soon(lambda: answers(server), 120):
        raise TimeoutError("\n".join((folder / "log").read_text(errors="replace").splitlines()[-20:]))


def answers(server: Server) -> bool:
    """Whether a client can connect."""
    connect = connect_mysql if server.kind == "mysql" else connect_postgres
    try:
        with closing(connect(server.url if server.kind == "mysql" else server.database_url("postgres"))):
            return True
    except (pymysql.MySQLError, psycopg.OperationalError):
        return False


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder to which MySQL writes with INTO OUTFILE, by `secure_file_priv`, and which PostgreSQL reads."""
    with tempfile.TemporaryDirectory(prefix="cvg-files-", dir=process.base_folder()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        if account := process.unprivileged():
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder


def _remember(server: Server) -> None:
    folder = folder_of(server)
    number = _number(server, folder)
    assert number is not None
    place = Path("/proc", str(number))
    command = place.joinpath("cmdline").read_bytes().decode().rstrip("\0").split("\0")
    variables = dict(word.partition("=")[::2] for word in place.joinpath("environ").read_text().split("\0"))
    libraries = [path for path in variables.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
    _commands[server.url] = command, libraries, folder


def _forget(server: Server) -> None:
    """Ends what its keeper does not know."""
    del _commands[server.url]
    if again := _again.pop(server.url, None):
        process.end(again, _CRASH[server.kind])


def _end(server: Server, how: signal.Signals) -> None:
    """Nothing where it does not run."""
    _, _, folder = _commands[server.url]
    if number := _number(server, folder):
        os.kill(number, how)
        assert soon(lambda: _number(server, folder) is None, 60), f"{server} does not end"
    if again := _again.pop(server.url, None):
        again.wait(60)


def _number(server: Server, folder: Path) -> int | None:
    """The process that runs in the folder."""
    try:
        number = int((folder / _PID_FILES[server.kind]).read_text().split()[0])
        return number if folder in Path("/proc", str(number), "cwd").readlink().parents else None
    except (OSError, IndexError):  # it has ended, or begins
        return None
