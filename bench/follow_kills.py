"""Kills of all that takes part in following: `python -m bench.follow_kills --count 1000`.

The writers of `bench.follow` change a source while a process follows it. In the middle of an epoch that
process, one of its sessions on either server, or a whole server is killed; a server is started again, and
the process goes on by itself. After every round the writers stop, the target catches up, and all rows of
both sides are compared, value by value. The servers are its own, and durable. Prints a line a round; a
difference, or a process that ends by itself, ends it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pymysql

from bench.follow import TABLES, Writer, fill, rows_of, target_rows
from converge import api
from converge.model.endpoint import parse
from converge.sandbox.server import connect_mysql

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from local_servers import crash, durable, restart

from converge.sandbox import Server

_STUCK_SECONDS = 180
_USER = "follower"
_KINDS = {"process": 11, "source session": 3, "target session": 3, "mysql": 1.5, "postgres": 1.5}
_SOURCE = f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{_USER}'"
_TARGET = "SELECT pid FROM pg_stat_activity WHERE application_name ~ '^converge( follow .*)?$'"


class Kills:
    """A source, a target, and a process that follows."""

    def __init__(self, source: Server, target: Server, seed: int, writers: int) -> None:
        self._servers = {"mysql": source, "postgres": target}
        self._url, self._to = source.create_database("kills"), target.create_database("kills")
        self._root(f"CREATE USER {_USER}", f"GRANT ALL ON *.* TO {_USER} WITH GRANT OPTION")
        self._ends = parse(self._url.replace("//root@", f"//{_USER}@")), parse(self._to)
        self._random, self._writers = random.Random(seed), writers
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["bench.follow_kills"])
        fill(self._url)
        api.migrate(*self._ends)
        self.transactions = 0

    def round(self, count: int) -> Counter[str]:
        """Kills so often, then compares. Raises SystemExit for a difference."""
        stop, kinds = threading.Event(), Counter[str]()
        with TemporaryDirectory() as name:
            writers = [
                Writer(self._url, self._random.randrange(10**6), Path(name), stop, outlives_server=True)
                for _ in range(self._writers)
            ]
            for writer in writers:
                writer.start()
            process = self._followed()
            for _ in range(count):
                self._await_epoch(process)
                # Somewhere in the next epoch.
                time.sleep(self._random.random())
                (kind,) = self._random.choices([*_KINDS], [*_KINDS.values()])
                kinds[kind] += 1
                if kind == "process":
                    _end(process)
                    process = self._followed()
                else:
                    self._kill(kind)
            self._await_epoch(process)
            _end(process)
            if not all(writer.is_alive() for writer in writers):
                raise SystemExit("a writer has ended")
            stop.set()
            for writer in writers:
                writer.join()
        self.transactions += sum(writer.transactions for writer in writers)
        self._compare()
        return kinds

    def _followed(self) -> BaseProcess:
        process = self._forks.Process(target=_follow, args=self._ends)
        process.start()
        return process

    def _kill(self, kind: str) -> None:
        if kind == "source session":
            # It may have ended by itself.
            with suppress(pymysql.err.OperationalError):
                self._root(f"KILL {self._random.choice(self._root(_SOURCE) or [(0,)])[0]}")
        elif kind == "target session":
            (pid,) = self._random.choice(self._ask(_TARGET) or [(0,)])
            self._ask("SELECT pg_terminate_backend(%s)", pid)
        else:
            crash(self._servers[kind])
            restart(self._servers[kind])
            # Whoever coordinates a prepared transaction brings it to its end.
            for _, length, _, name in self._root("XA RECOVER") if kind == "mysql" else ():
                self._root(f"XA {self._random.choice(('COMMIT', 'ROLLBACK'))} '{name[:length]}'")

    def _await_epoch(self, process: BaseProcess) -> None:
        """Until one more is done."""
        last, began = self.epoch, time.monotonic()
        while self.epoch <= last:
            if not process.is_alive() or time.monotonic() > began + _STUCK_SECONDS:
                raise SystemExit("follow has ended by itself, or stands still")
            time.sleep(0.02)

    def _compare(self) -> None:
        for _ in range(2):
            api.follow(*self._ends, once=True)
        with connect_mysql(self._url) as here, psycopg.connect(self._to) as judge:
            differ = [table for table in TABLES if rows_of(here, table) != target_rows(judge, table)]
        if differ:
            raise SystemExit(f"{differ} differ")

    @property
    def epoch(self) -> int:
        """The number of the last one."""
        return int(self._ask("SELECT max(epoch) FROM converge.follow")[0][0])

    @property
    def rows(self) -> int:
        """How many have been replaced."""
        return int(self._ask("SELECT max(rows) FROM converge.follow")[0][0])

    def _root(self, *statements: str) -> Any:
        with closing(connect_mysql(self._url)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def _ask(self, query: str, *parameters: object) -> list[Any]:
        with psycopg.connect(self._to, autocommit=True) as connection:
            return connection.execute(query.encode(), parameters).fetchall()


def _follow(source: Any, target: Any) -> None:
    result = api.follow(source, target, interval=0.0)
    raise SystemExit(f"{result.verdict}: {result.differences}")


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def main() -> None:
    """Prints what has been killed and compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--round", type=int, default=50)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--mysql", default="8.0.33")
    parser.add_argument("--postgres", default="17.5")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    names = f"mysql:{arguments.mysql}", f"postgres:{arguments.postgres}"
    kinds = Counter[str]()
    with durable(*names) as (source, target):
        kills = Kills(source, target, arguments.seed, arguments.writers)
        while kinds.total() < arguments.count:
            kinds += kills.round(min(arguments.round, arguments.count - kinds.total()))
            print(
                f"{kinds.total()} kills {dict(kinds)}: {kills.epoch} epochs, {kills.transactions:,} "
                f"transactions, {kills.rows:,} rows replaced, 0 differ",
                flush=True,
            )


if __name__ == "__main__":
    main()
