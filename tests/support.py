"""What the tests share: the command line as users call it, and quick looks into both servers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from pymysql.constants import CLIENT

from converge.model.endpoint import parse

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
"""With nothing of ours in it."""


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


def converge(*arguments: str, timeout: float = 300, **environment: str) -> Ran:
    """Runs the command in a process of its own, with nothing of ours in its environment."""
    done = subprocess.run(
        [sys.executable, "-m", "converge", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**ENVIRONMENT, **environment},
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def begun(
    source: str, target: str, *arguments: str, command: Iterable[str] = ("-m", "converge"), **how: Any
) -> subprocess.Popen[str]:
    """Starts `converge migrate`, which hears signals, whatever the shell of the tests has done with them."""

    def hear() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, *command, "migrate", "--source", source, "--target", target, *arguments],
        text=True,
        start_new_session=True,
        preexec_fn=hear,
        env=ENVIRONMENT,
        **streams | how,
    )


def workers_of(run: int) -> list[int]:
    """Process ids of a run's worker processes: children of the server that it forks them from."""
    return [worker for server in _children(run) for worker in _children(server)]


def _children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


def mysql(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs one or more statements and returns the rows of the first."""
    at = parse(url)
    connection = pymysql.connect(
        host=at.host,
        port=at.port or 3306,
        user=at.user,
        password=at.password,
        database=at.database or None,
        charset="utf8mb4",
        autocommit=True,
        client_flag=CLIENT.MULTI_STATEMENTS,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        rows = list(cursor.fetchall())
        while cursor.nextset():
            pass
        return rows


def postgres(url: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs a statement and returns its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def relations(url: str) -> list[str]:
    """All tables of a target outside the system's schemas: empty means that nothing was written."""
    rows = postgres(
        url,
        "SELECT schemaname || '.' || tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    return [name for (name,) in rows]
