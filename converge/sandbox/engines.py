"""How each kind of server is made and run: command lines, signals and log lines, as plain data.

Sources: MySQL 8.0 Reference Manual, 5.1.7 Server Command Options; PostgreSQL documentation: initdb,
postgres, "Shutting Down the Server".
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converge.sandbox.kept import Job
from converge.sandbox.server import Kind


@dataclass(frozen=True)
class Engine:
    program: str
    ready: str
    """What its log says when it serves."""
    end: signal.Signals
    """Ends it at once, without care for its data."""
    login: str
    """The URL up to the host."""
    settings: Mapping[str, str]
    """For little memory, and without care for the disk."""


ENGINES: Mapping[Kind, Engine] = {
    "mysql": Engine(
        program="mysqld",
        ready="ready for connections",
        end=signal.SIGKILL,
        login="mysql://root",
        settings={
            "innodb-buffer-pool-size": "256M",
            "local-infile": "ON",
            "innodb-flush-log-at-trx-commit": "0",
            "sync-binlog": "0",
            "innodb-doublewrite": "OFF",
        },
    ),
    "postgres": Engine(
        program="postgres",
        ready="database system is ready to accept connections",
        end=signal.SIGQUIT,  # "immediate shutdown": a crash, but it leaves no shared memory behind
        login="postgresql://postgres",
        settings={
            "shared-buffers": "128MB",
            "fsync": "off",
            "synchronous-commit": "off",
            "full-page-writes": "off",
        },
    ),
}


_LASTING = {"lower_case_table_names", "innodb_page_size", "innodb_data_file_path"}
"""What only counts when MySQL's data folder is made; the folder does not depend on other settings."""


def options(kind: Kind, settings: Mapping[str, str]) -> list[str]:
    """Settings as both servers' command lines have them; the last one of a name counts."""
    every = [*ENGINES[kind].settings.items(), *settings.items()]
    return [f"--{name.replace('_', '-')}={value}" for name, value in every]


def native_password(version: str) -> list[str]:
    """What lets accounts have mysql_native_password, as clients of the time need it."""
    if version.startswith("8.4"):
        return ["--mysql-native-password=ON"]  # it is there, but off (8.4 release notes)
    return ["--default-authentication-plugin=mysql_native_password"] if version.startswith("8.0") else []


def job(
    kind: Kind, programs: Path, release: str, settings: Mapping[str, str], libraries: Sequence[Path]
) -> Job:
    """What a keeper is to do for a server whose programs are in a folder; lib and share are beside it.

    `release` is what --version says.
    """
    home, engine, chosen = programs.parent, ENGINES[kind], options(kind, settings)
    if kind == "mysql":
        server = [f"{programs}/mysqld", "--no-defaults", f"--basedir={home}", "--datadir={folder}/data"]
        if (home / "share" / "english").is_dir():  # a distribution has them elsewhere, and knows where
            server.append(f"--lc-messages-dir={home}/share")
        server += ["--mysqlx=OFF", *native_password(release)]
        lasting = {name: value for name, value in settings.items() if name.replace("-", "_") in _LASTING}
        make = [*server, "--initialize-insecure", *options(kind, lasting)]
        # With the binary log on, as a source that is to be migrated has it.
        run = [*server, "--port={port}", "--bind-address=127.0.0.1", "--socket={folder}/s"]
        run += ["--pid-file={folder}/pid", "--secure-file-priv=NULL", "--server-id=1", *chosen]
    else:
        make = [f"{programs}/initdb", "--pgdata={folder}/data", "--locale={locale}"]
        make += ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        run = [f"{programs}/postgres", "-D", "{folder}/data", "--listen-addresses=127.0.0.1"]
        run += ["--port={port}", "--unix-socket-directories={folder}", *chosen]
    name = f"{engine.program} {release}"
    return Job(name, make, run, engine.ready, engine.end, [str(folder) for folder in libraries])
