"""Epochs under writers, each compared in its own view: `python -m bench.follow SOURCE TARGET --epochs 200`.

The databases are empty ones of servers that may be written to. Writers swap values of unique keys, change
keys, delete parents of three levels of children, truncate, load files, commit transactions of many rows,
prepare by XA, and compress transactions where the server can. After each epoch all rows of the view are
compared with all rows of the target, value by value, by queries that share nothing with converge. With
--delay commits are held between the log and their visibility (binlog_group_commit_sync_delay). Prints
figures; a difference ends it.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pymysql

from converge import api
from converge.following.follow import opened
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.run.options import Options
from converge.sandbox.server import connect_mysql

SCHEMA = """
CREATE TABLE top (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, place INT UNIQUE, note TEXT);
CREATE TABLE middle (
    top_id INT NOT NULL, number SMALLINT UNSIGNED NOT NULL, note VARCHAR(30), PRIMARY KEY (top_id, number),
    FOREIGN KEY (top_id) REFERENCES top (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE leaf (
    id BINARY(16) PRIMARY KEY, top_id INT NOT NULL, number SMALLINT UNSIGNED NOT NULL, body VARCHAR(40),
    FOREIGN KEY (top_id, number) REFERENCES middle (top_id, number) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE loose (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20), boss BIGINT, body VARCHAR(40),
    FOREIGN KEY (code) REFERENCES top (code) ON DELETE SET NULL ON UPDATE CASCADE,
    FOREIGN KEY (boss) REFERENCES loose (id) ON DELETE SET NULL);
CREATE TABLE named (name VARCHAR(30) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, body VARCHAR(40));
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, body VARCHAR(40));
CREATE TABLE keyless (number INT, body VARCHAR(40));
CREATE TABLE wide (id INT AUTO_INCREMENT PRIMARY KEY, number INT, body VARCHAR(100));
"""
TABLES = ("top", "middle", "leaf", "loose", "named", "log", "keyless", "wide")
_TOPS = 300
_TRUNCATED = 1412
_EXPECTED = (1062, 1205, 1213, 1216, 1217, 1451, 1452, 1614, 1615, 1761)
"""Duplicates, deadlocks, foreign keys: as applications meet them."""
_LOST = (1053, 2003, 2006, 2013)
"""The server is going, gone, or not back yet."""


class Writer(threading.Thread):
    """One connection of the application."""

    def __init__(
        self, url: str, seed: int, folder: Path, stop: threading.Event, *, outlives_server: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self._url, self._folder, self._stop_ = url, folder, stop
        self._expected = _EXPECTED + (_LOST if outlives_server else ())
        self._random = random.Random(seed)
        self.transactions = self.statements = 0

    def run(self) -> None:
        while not self._stop_.is_set():
            try:
                self._write()
            except pymysql.err.MySQLError as error:
                if error.args[0] not in self._expected:
                    raise
                self._stop_.wait(0.2 if error.args[0] in _LOST else 0)

    def _write(self) -> None:
        """Until an error: what it leaves open ends with the connection."""
        with connect_mysql(self._url, local_infile=True) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 2")
            with suppress(pymysql.err.Error):
                compress = self._random.random() < 0.5
                cursor.execute(f"SET SESSION binlog_transaction_compression = {compress}")
            while not self._stop_.is_set():
                self._transaction(cursor)
                self.transactions += 1

    def _transaction(self, cursor: Any) -> None:
        pick = self._random.choices([*_KINDS], [*_KINDS.values()])[0]
        for statement in self._statements(pick):
            cursor.execute(statement)
            self.statements += 1

    def _statements(self, pick: str) -> list[str]:
        """One transaction of this kind; most of them are single statements."""
        one, other, tag = (self._random.randrange(most) for most in (_TOPS, _TOPS, 10**9))
        name = "".join(self._random.choice((char, char.upper())) for char in f"name{one % 40}")
        if pick == "swap":
            return _swapped(*sorted((one, other))) if one != other else []
        if pick == "insert":
            return _family(one, tag)
        if pick == "xa":
            return _prepared(one, tag, self._random.random() / 2)
        if pick == "load":
            path = self._folder / f"{tag}.txt"
            path.write_text("".join(f"{tag}\t{number}\n" for number in range(500)))
            return [f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE wide (number, body)"]
        return [self._random.choice(_SINGLE[pick]).format(one=one, other=other, tag=tag, name=name)]


_SINGLE = {
    "delete": ("DELETE FROM top WHERE id = {one}",),
    "key": ("UPDATE top SET id = {other} WHERE id = {one}",),
    "code": ("UPDATE top SET code = 'c{tag}' WHERE id = {one}",),
    "replace": ("REPLACE INTO top VALUES ({one}, 'c{tag}', NULL, 'replaced')",),
    "middle": ("UPDATE middle SET number = number + 10 WHERE top_id = {one} AND number < 60",),
    "named": (
        "INSERT INTO named VALUES ('{name}', '{tag}') ON DUPLICATE KEY UPDATE name = '{name}'",
        "DELETE FROM named WHERE name = '{name}'",
    ),
    "loose": (
        "INSERT INTO loose (code, boss, body) "
        "SELECT code, (SELECT MAX(id) FROM loose AS l), '{tag}' FROM top WHERE id = {one}",
        "UPDATE loose SET body = '{tag}' ORDER BY id DESC LIMIT 3",
        "DELETE FROM loose ORDER BY id LIMIT 2",
        "INSERT INTO log (body) VALUES ('{tag}'), ('{tag}')",
    ),
    "keyless": (
        "INSERT INTO keyless VALUES ({one}, '{tag}')",
        "DELETE FROM keyless WHERE number = {one} LIMIT 1",
    ),
    "truncate": ("TRUNCATE log",),
    "large": (
        "UPDATE wide SET body = '{tag}' ORDER BY id LIMIT 20000",
        "DELETE FROM wide ORDER BY id LIMIT 30000",
    ),
}


def _swapped(first: int, second: int) -> list[str]:
    return [
        "BEGIN",
        f"SELECT place INTO @a FROM top WHERE id = {first} FOR UPDATE",
        f"SELECT place INTO @b FROM top WHERE id = {second} FOR UPDATE",
        f"UPDATE top SET place = NULL WHERE id = {first}",
        f"UPDATE top SET place = @a WHERE id = {second}",
        f"UPDATE top SET place = @b WHERE id = {first}",
        "COMMIT",
    ]


def _family(one: int, tag: int) -> list[str]:
    return [
        "BEGIN",
        f"INSERT IGNORE INTO top VALUES ({one}, 'c{tag}', NULL, REPEAT('n', {tag % 300}))",
        *(f"INSERT IGNORE INTO middle VALUES ({one}, {n}, '{tag}')" for n in range(3)),
        *(f"INSERT INTO leaf VALUES (UUID_TO_BIN(UUID()), {one}, {n}, '{tag}')" for n in range(3)),
        "COMMIT",
    ]


def _prepared(one: int, tag: int, seconds: float) -> list[str]:
    return [
        f"XA START 'x{tag}'",
        f"INSERT INTO log (body) VALUES ('xa {tag}')",
        f"UPDATE top SET note = 'xa {tag}' WHERE id = {one}",
        f"XA END 'x{tag}'",
        f"XA PREPARE 'x{tag}'",
        f"DO SLEEP({seconds:.2f})",
        f"XA {'COMMIT' if tag % 3 else 'ROLLBACK'} 'x{tag}'",
    ]


_KINDS = {
    "swap": 20, "delete": 4, "insert": 14, "key": 4, "code": 8, "replace": 4, "middle": 6, "named": 12,
    "loose": 30, "keyless": 3, "truncate": 0.02, "load": 0.6, "large": 0.1, "xa": 1,
}  # fmt: skip


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--delay", type=int, default=0, metavar="MICROSECONDS")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    source, target = parse(arguments.source), parse(arguments.target)
    fill(arguments.source)
    api.migrate(source, target)
    stop = threading.Event()
    with TemporaryDirectory() as name, connect_mysql(arguments.source) as root, root.cursor() as cursor:
        cursor.execute(f"SET GLOBAL binlog_group_commit_sync_delay = {arguments.delay}")
        writers = [
            Writer(arguments.source, arguments.seed * 100 + number, Path(name), stop)
            for number in range(arguments.writers)
        ]
        for writer in writers:
            writer.start()
        try:
            _follow(source, target, arguments, writers)
        finally:
            stop.set()
            for writer in writers:
                writer.join()
            cursor.execute("SET GLOBAL binlog_group_commit_sync_delay = 0")


def fill(url: str) -> None:
    """Makes the tables, and rows for the writers to begin with."""
    with connect_mysql(url) as connection, connection.cursor() as cursor:
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                cursor.execute(statement)
        rows = ",".join(f"({n},'c{n}',{n},'note')" for n in range(_TOPS))
        cursor.execute(f"INSERT INTO top VALUES {rows}")
        cursor.execute("INSERT INTO middle SELECT id, n, 'x' FROM top, (SELECT 1 AS n UNION SELECT 2) AS m")
        cursor.execute("INSERT INTO leaf SELECT UUID_TO_BIN(UUID()), top_id, number, 'x' FROM middle")
        cursor.execute("INSERT INTO wide (number) SELECT a.id FROM top AS a, top AS b")


def _follow(source: Any, target: Any, arguments: argparse.Namespace, writers: list[Writer]) -> None:
    seconds, rows, whole, done = 0.0, 0, Counter[str](), 0
    began = time.monotonic()
    with psycopg.connect(arguments.target, autocommit=True) as judge:
        while done < arguments.epochs:
            # Every tenth epoch begins anew, as after a kill.
            with opened(source, target, Options(), silent) as open_:
                for _ in range(10):
                    with open_.epochs.next() as epoch:
                        differ = [
                            table
                            for table in TABLES
                            if rows_of(open_.epochs.view, table) not in (None, target_rows(judge, table))
                        ]
                    if differ:
                        raise SystemExit(f"epoch {epoch.number}: {differ} differ")
                    if not all(writer.is_alive() for writer in writers):
                        raise SystemExit("a writer has ended")
                    seconds, rows, done = seconds + epoch.seconds, rows + sum(epoch.rows.values()), done + 1
                    whole.update(epoch.whole)
    took = time.monotonic() - began
    transactions = sum(writer.transactions for writer in writers)
    print(
        f"{done} epochs, 0 differ; {transactions:,} transactions ({transactions / took:,.0f} a second), "
        f"{rows:,} rows replaced, {seconds / done:.2f} s an epoch; as a whole: {dict(whole)}"
    )


def rows_of(connection: Any, table: str) -> Counter[tuple[str | None, ...]] | None:
    """Of the source; None for a table that was truncated after the epoch, and cannot be seen any more."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT * FROM `{table}`")
        except pymysql.err.OperationalError as error:
            if error.args[0] != _TRUNCATED:
                raise
            return None
        return Counter(tuple(map(_text, row)) for row in cursor.fetchall())


def target_rows(connection: psycopg.Connection[Any], table: str) -> Counter[tuple[str | None, ...]]:
    """In the words of `rows_of`."""
    return Counter(tuple(map(_text, row)) for row in connection.execute(f'SELECT * FROM "{table}"'.encode()))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
