"""One instant for all readers, while the application goes on writing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge.model.endpoint import parse
from converge.sandbox import Server

TABLES = [f"purse_{number}" for number in range(8)]


@contextmanager
def writer(url: str) -> Iterator[list[int]]:
    """Moves coins between two tables in one transaction after the other; gives the count of commits."""
    at = parse(url)
    stop = threading.Event()
    commits = [0]

    def write() -> None:
        connection = pymysql.connect(host=at.host, port=at.port or 0, user=at.user, database=at.database)
        with connection, connection.cursor() as cursor:
            while not stop.is_set():
                giver, taker = TABLES[commits[0] % 8], TABLES[(commits[0] * 3 + 1) % 8]
                try:
                    cursor.execute(f"UPDATE {giver} SET coins = coins - 1 WHERE id = 1")
                    cursor.execute(f"UPDATE {taker} SET coins = coins + 1 WHERE id = 1")
                    cursor.execute(f"INSERT INTO {giver} (coins) VALUES (0)")
                except pymysql.err.OperationalError as error:
                    # LOCK TABLES can make us a deadlock's victim; an application tries again.
                    assert error.args[0] == 1213
                    connection.rollback()
                    continue
                connection.commit()
                commits[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield commits
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def source(mysql_8015: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8015)
    for table in TABLES:
        mysql(url, f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, coins INT NOT NULL)")
        mysql(url, f"INSERT INTO {table} (coins) VALUES (1000)")
    return url


def test_all_workers_see_one_instant(
    source: str, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    with writer(source) as commits:
        for _ in range(3):
            target = new_postgres_database(postgres_175)
            ran = converge("migrate", "--source", source, "--target", target, "--jobs", "4", "--json")
            assert ran.code == 0, ran.err
            assert (ran.json["verdict"], ran.json["snapshot"]) == ("verified", "locked")
            assert "V004" in [finding["code"] for finding in ran.json["findings"]], "the source has moved"
            rows = " UNION ALL ".join(f"SELECT coins FROM {table}" for table in TABLES)
            assert postgres(target, f"SELECT sum(coins) FROM ({rows}) purses") == [(8000,)]
    assert commits[0] > 100


def test_without_the_right_to_lock_the_report_says_so(
    source: str, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    mysql(source, "CREATE USER IF NOT EXISTS plain@'%%' IDENTIFIED BY ''")
    mysql(source, f"GRANT SELECT, TRIGGER, EVENT, SHOW VIEW ON {parse(source).database}.* TO plain@'%%'")
    target = new_postgres_database(postgres_175)
    addresses = ("--source", source.replace("root@", "plain@"), "--target", target, "--json")
    with writer(source):
        ran = converge("migrate", *addresses)
    assert ran.json["snapshot"] == "none"
    mysql(source, "GRANT LOCK TABLES ON *.* TO plain@'%%'")
    with writer(source):
        ran = converge("migrate", *addresses, "--truncate")
    assert (ran.json["verdict"], ran.json["snapshot"]) == ("verified", "locked")
