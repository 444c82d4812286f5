"""PostgreSQL's command lines (PostgreSQL documentation: initdb, postgres, "Shutting Down the Server")."""

from __future__ import annotations

import locale
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converge.sandbox.engines import Programs

PROGRAM = "postgres"
READY = "database system is ready to accept connections"
PORT_TAKEN = "Address already in use"
STOP = signal.SIGINT  # "fast shutdown": doesn't wait for clients
CRASH = signal.SIGQUIT  # "immediate shutdown": like a crash, but no shared memory segment is left behind
SCHEME = "postgresql://postgres"

_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def defaults(durable: bool) -> dict[str, str]:
    """Our settings: little memory and, unless `durable`, no care for the disk."""
    return {"shared_buffers": "128MB"} | ({} if durable else _FAST)


def make(programs: Programs, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """Makes the data folder; no setting counts before the server runs."""
    return [
        str(programs.bin / "initdb"),
        f"--pgdata={folder / 'data'}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        f"--locale={_locale()}",
        "--no-sync",
    ]


def run(programs: Programs, folder: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """Serves on 127.0.0.1, and on a socket in `folder`."""
    places = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder)}
    options = [f"--{name}={value}" for name, value in {**places, **settings}.items()]
    return [str(programs.bin / PROGRAM), "-D", str(folder / "data"), *options]


def _locale() -> str:
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    return "C.UTF-8"
