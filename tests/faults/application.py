"""An application that goes on writing to the source while it is migrated."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pymysql
from support import mysql

from converge.sandbox.server import connect_mysql

PURSES = [f"purse_{number}" for number in range(8)]
COINS = 8 * 8 * 1000
"""In all purses together, always: each has eight rows of 1000."""
_ALL = " UNION ALL ".join(f"SELECT coins FROM {purse}" for purse in PURSES)
TOTAL = f"SELECT sum(coins) FROM ({_ALL}) p"
COMMITS = f"SELECT count(*) - 64 FROM ({_ALL}) p"
"""Each commit adds a row."""
# ER_LOCK_DEADLOCK: LOCK TABLES can make a writer its victim; an application tries again.
_DEADLOCK = 1213


@dataclass
class Activity:
    """What the writers have done so far."""

    commits: int = 0
    longest_pause: float = 0.0
    """Seconds between two commits of one writer."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Commits a second."""
        return self.commits / (time.monotonic() - self.begun)


def fill(url: str) -> None:
    """Makes the purses."""
    for purse in PURSES:
        mysql(url, f"CREATE TABLE {purse} (id INT AUTO_INCREMENT PRIMARY KEY, coins INT NOT NULL)")
        mysql(url, f"INSERT INTO {purse} (coins) VALUES " + ", ".join(["(1000)"] * 8))


@contextmanager
def slow_log(url: str, microseconds: int) -> Iterator[None]:
    """Commits are in the binary log at once, and visible so much later; a million is the server's most."""
    mysql(url, f"SET GLOBAL binlog_group_commit_sync_delay = {microseconds}")
    try:
        yield
    finally:
        mysql(url, "SET GLOBAL binlog_group_commit_sync_delay = 0")


@contextmanager
def writers(url: str, count: int = 1, pause: float = 0) -> Iterator[Activity]:
    """Moves coins from purse to purse, a transaction each, until the end; each writer has its own rows.

    pause: seconds between two transactions of a writer, at most.
    """
    stop = threading.Event()
    activity = Activity()

    def write(number: int) -> None:
        connection = connect_mysql(url, autocommit=False)
        with connection, connection.cursor() as cursor:
            turn, before = number, time.monotonic()
            while not stop.is_set():
                giver, taker = PURSES[turn % 8], PURSES[(turn * 3 + 1) % 8]
                try:
                    cursor.execute(f"UPDATE {giver} SET coins = coins - 1 WHERE id = {number}")
                    cursor.execute(f"UPDATE {taker} SET coins = coins + 1 WHERE id = {number}")
                    cursor.execute(f"INSERT INTO {giver} (coins) VALUES (0)")
                    connection.commit()
                except pymysql.err.OperationalError as error:
                    if error.args[0] != _DEADLOCK:
                        raise
                    connection.rollback()
                    continue
                now = time.monotonic()
                activity.longest_pause = max(activity.longest_pause, now - before)
                activity.commits += 1
                turn, before = turn + 1, now
                time.sleep(random.uniform(0, pause))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, count + 1)]
    for thread in threads:
        thread.start()
    try:
        yield activity
    finally:
        stop.set()
        for thread in threads:
            thread.join()
