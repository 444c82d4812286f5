"""The two servers of a measurement, with default durability, and what one migration costs all sides."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import sql

from bench.process import run, tree_cpu
from converge.errors import ConvergeError
from converge.sandbox import Server

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from local_servers import durable, folder_of, shared_folder

SOURCE, TARGET = "mysql:8.0.15", "postgres:17.5"
MIGRATE = f"{shlex.quote(sys.executable)} -m converge migrate --source {{source}} --target {{target}} "
MIGRATE += "--jobs {jobs} --no-progress --yes --json --verify "
_TABLES = "FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'converge')"
_INDEXES = _TABLES.replace("pg_tables", "pg_indexes")
T = TypeVar("T")


class Failed(ConvergeError):
    """The measured command ended with an error."""


@dataclass(frozen=True)
class Cost:
    """What one step of a round took."""

    wall: float
    """Seconds; of the limit, the least that is possible (bench.limit)."""
    mysql: float
    """CPU seconds of the server meanwhile, as `postgres`."""
    postgres: float
    client: float = 0.0
    """CPU seconds of the command's processes."""
    peaks: tuple[int, ...] = ()
    """Bytes, as in bench.process."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of converge's phases; `scan` is a part of `plan`."""
    status: int = 0
    rows: int = 0
    """In the target afterwards, as `indexes`."""
    indexes: int = 0
    last_lines: tuple[str, ...] = ()
    """Of the output of a command that failed."""


@dataclass(frozen=True)
class Servers:
    """Both servers, for one benchmark after the other."""

    files: Path
    """MySQL writes here (secure_file_priv), and PostgreSQL reads."""
    mysql: Server
    postgres: Server
    pids: tuple[int, int]

    def fresh(self) -> str:
        """The URL of a new, empty target; what an earlier run left to be written is written first."""
        self.postgres.drop_database("bench")
        url = self.postgres.create_database("bench")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        return url

    def cpu(self) -> tuple[float, float]:
        """CPU seconds of MySQL and of PostgreSQL so far."""
        mysql, postgres = self.pids
        return tree_cpu(mysql), tree_cpu(postgres)

    def during(self, step: Callable[[], T]) -> tuple[T, float, float]:
        """The step's value, and what both servers needed for it."""
        before = self.cpu()
        value = step()
        mysql, postgres = self.cpu()
        return value, mysql - before[0], postgres - before[1]

    def migrate(self, command: str, source: str, *, jobs: int = 2, may_fail: bool = False) -> Cost:
        """Run the command, with its placeholders filled in, into a new database."""
        target = self.fresh()
        words = [word.format(source=source, target=target, jobs=jobs) for word in shlex.split(command)]
        usage, mysql, postgres = self.during(lambda: run(words, pss=False))
        output = usage.output.splitlines()
        if usage.status and not may_fail:
            raise Failed(f"status {usage.status} from {shlex.join(words)}", details=output[-40:])
        return Cost(
            usage.wall,
            mysql,
            postgres,
            usage.cpu,
            usage.peaks,
            phases(usage.output),
            usage.status,
            *_contents(target),
            last_lines=tuple(output[-3:]) if usage.status else (),
        )


@contextmanager
def started() -> Iterator[Servers]:
    """Memory as an administrator would give it; everything about durability stays as the servers come."""
    with shared_folder() as files:
        settings = {
            "mysql": {"innodb_buffer_pool_size": "2G", "secure_file_priv": str(files)},
            "postgres": {"shared_buffers": "1GB", "max_wal_size": "8GB"},
        }
        with durable(SOURCE, TARGET, **settings) as (mysql, postgres):
            yield Servers(files, mysql, postgres, (_pid(mysql, "pid"), _pid(postgres, "data/postmaster.pid")))


def _pid(server: Server, file: str) -> int:
    return int((folder_of(server) / file).read_text().split()[0])


def phases(output: str) -> dict[str, float]:
    """Seconds of the phases in converge's --json; the scan, a part of the plan, has only a line."""
    begin = output.find('{"converge"')
    if begin < 0:
        return {}
    document, _ = json.JSONDecoder().raw_decode(output, begin)
    found = {phase["name"]: phase["seconds"] for phase in document["phases"]}
    scan = re.search(r"^scan: ([\d.]+) s$", output, re.MULTILINE)
    return found | ({"scan": float(scan[1])} if scan else {})


def _contents(target: str) -> tuple[int, int]:
    """Rows and indexes of all tables but the ledger's: whether a tool that failed has done all of it."""
    with psycopg.connect(target, autocommit=True) as connection:
        names = connection.execute(f"SELECT schemaname, tablename {_TABLES}").fetchall()
        counts = [
            connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))).fetchall()
            for name in names
        ]
        [(indexes,)] = connection.execute(f"SELECT count(*) {_INDEXES}").fetchall()
    return sum(rows for [(rows,)] in counts), indexes
