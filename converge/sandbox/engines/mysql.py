"""mysqld's command lines (MySQL 8.0 Reference Manual, 5.1.7 Server Command Options)."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converge.sandbox.engines import Programs

PROGRAM = "mysqld"
READY = "ready for connections"
PORT_TAKEN = "Address already in use"
STOP = signal.SIGTERM
CRASH = signal.SIGKILL
SCHEME = "mysql://root"

_FAST = {"innodb-flush-log-at-trx-commit": "0", "sync-binlog": "0", "innodb-doublewrite": "OFF"}


def defaults(durable: bool) -> dict[str, str]:
    """Our settings: little memory and, unless `durable`, no care for the disk."""
    return {"innodb-buffer-pool-size": "256M", "local-infile": "ON"} | ({} if durable else _FAST)


def make(programs: Programs, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """Makes the data folder; some settings, such as lower_case_table_names, only count here."""
    return [*_common(programs, folder), "--initialize-insecure", *_options({**settings, **_FAST})]


def run(programs: Programs, folder: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """Serves on 127.0.0.1 with the binary log on, as a source that is to be migrated has it."""
    return [
        *_common(programs, folder),
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
        f"--secure-file-priv={folder / 'files'}",
        "--server-id=1",
        *_options(settings),
    ]


def _common(programs: Programs, folder: Path) -> list[str]:
    command = [
        str(programs.bin / PROGRAM),
        "--no-defaults",
        f"--basedir={programs.home}",
        f"--datadir={folder / 'data'}",
        "--mysqlx=OFF",
    ]
    messages = programs.home / "share"
    if (messages / "english").is_dir():  # a distribution has them elsewhere, and knows where
        command.append(f"--lc-messages-dir={messages}")
    if programs.release.startswith("8.0."):
        command.append("--default-authentication-plugin=mysql_native_password")
    elif programs.release.startswith("8.4."):
        command.append("--mysql-native-password=ON")  # it is there, but off (8.4 release notes)
    return command


def _options(settings: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
