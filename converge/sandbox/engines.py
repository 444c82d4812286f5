"""How each kind of server is made and run: command lines, signals and log lines, as plain data.

Sources: MySQL 8.0 Reference Manual, 5.1.7 Server Command Options; PostgreSQL documentation: initdb,
postgres, "Shutting Down the Server".
"""

from __future__ import annotations

import json
import locale
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from converge.sandbox.server import Kind


@dataclass(frozen=True)
class Job:
    """A server to make and run: its programs (`home` holds lib and share) and its settings.

    `release` is what --version says.
    """

    kind: Kind
    home: str
    bin: str
    release: str
    library_path: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Job:
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Engine:
    """What the keeper must know about a kind of server."""

    program: str
    ready: str
    """What its log says when it serves."""
    stop: signal.Signals
    crash: signal.Signals
    login: str
    """The URL up to the host."""
    little: Mapping[str, str]
    """Settings for little memory."""
    fast: Mapping[str, str]
    """Settings without care for the disk."""
    make: Callable[[Job, Path], list[str]]
    """The command that makes the data folder."""
    run: Callable[[Job, Path, int], list[str]]
    """The command that serves on a port of 127.0.0.1."""

    def defaults(self, durable: bool) -> dict[str, str]:
        return {**self.little, **({} if durable else self.fast)}


_MYSQL_FAST = {"innodb-flush-log-at-trx-commit": "0", "sync-binlog": "0", "innodb-doublewrite": "OFF"}


def _mysql_make(job: Job, folder: Path) -> list[str]:
    # Some settings, such as lower_case_table_names, only count here.
    settings = {**job.settings, **_MYSQL_FAST}
    return [*_mysqld(job, folder), "--initialize-insecure", *mysql_options(settings)]


def _mysql_run(job: Job, folder: Path, port: int) -> list[str]:
    """With the binary log on, as a source that is to be migrated has it."""
    return [
        *_mysqld(job, folder),
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
        f"--secure-file-priv={folder / 'files'}",
        "--server-id=1",
        *mysql_options(job.settings),
    ]


def _mysqld(job: Job, folder: Path) -> list[str]:
    command = [f"{job.bin}/mysqld", "--no-defaults", f"--basedir={job.home}", f"--datadir={folder / 'data'}"]
    if Path(job.home, "share", "english").is_dir():  # a distribution has them elsewhere, and knows where
        command.append(f"--lc-messages-dir={job.home}/share")
    return [*command, "--mysqlx=OFF", *mysql_options(native_password(job.release))]


def native_password(version: str) -> dict[str, str]:
    """The setting with which accounts may have mysql_native_password, as clients of the time need it."""
    if version.startswith("8.4"):
        return {"mysql-native-password": "ON"}  # it is there, but off (8.4 release notes)
    return {"default-authentication-plugin": "mysql_native_password"} if version.startswith("8.0") else {}


def mysql_options(settings: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]


def _postgres_make(job: Job, folder: Path) -> list[str]:
    options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
    return [f"{job.bin}/initdb", f"--pgdata={folder / 'data'}", f"--locale={_locale()}", *options]


def _postgres_run(job: Job, folder: Path, port: int) -> list[str]:
    places = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder)}
    options = [f"--{name}={value}" for name, value in {**places, **job.settings}.items()]
    return [f"{job.bin}/postgres", "-D", str(folder / "data"), *options]


def _locale() -> str:
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    return "C.UTF-8"


ENGINES: Mapping[Kind, Engine] = {
    "mysql": Engine(
        program="mysqld",
        ready="ready for connections",
        stop=signal.SIGTERM,
        crash=signal.SIGKILL,
        login="mysql://root",
        little={"innodb-buffer-pool-size": "256M", "local-infile": "ON"},
        fast=_MYSQL_FAST,
        make=_mysql_make,
        run=_mysql_run,
    ),
    "postgres": Engine(
        program="postgres",
        ready="database system is ready to accept connections",
        stop=signal.SIGINT,  # "fast shutdown": doesn't wait for clients
        crash=signal.SIGQUIT,  # "immediate shutdown": a crash, but it leaves no shared memory behind
        login="postgresql://postgres",
        little={"shared_buffers": "128MB"},
        fast={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
        make=_postgres_make,
        run=_postgres_run,
    ),
}
