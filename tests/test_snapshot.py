"""One instant for all readers, while the application goes on writing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
import pytest
from conftest import NewDatabase
from faults.application import COINS, PURSES, TOTAL, fill, slow_log, writers
from proxy import Proxy
from support import converge, mysql, postgres

from converge import sandbox
from converge.codes import Code
from converge.errors import SourceError
from converge.model.endpoint import parse
from converge.mysql import snapshot
from converge.mysql.connect import connect
from converge.run.workers import Workers
from converge.sandbox import Server
from converge.sandbox.server import connect_mysql


@pytest.fixture(params=["mysql_8015", "mysql_8033"])
def source(request: pytest.FixtureRequest, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(request.getfixturevalue(request.param))
    fill(url)
    return url


def test_all_workers_see_one_instant(
    source: str, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    with writers(source) as activity:
        for _ in range(3):
            target = new_postgres_database(postgres_175)
            ran = converge("migrate", "--source", source, "--target", target, "--jobs", "4", "--json")
            assert ran.code == 0, ran.err
            assert (ran.json["verdict"], ran.json["snapshot"]) == ("verified", "locked")
            assert "V004" in [finding["code"] for finding in ran.json["findings"]], "the source has moved"
            assert postgres(target, TOTAL) == [(COINS,)]
    assert activity.commits > 100


@pytest.fixture
def plain(source: str) -> Iterator[str]:
    """The same source for a user with SELECT and REPLICATION CLIENT alone."""
    mysql(source, "CREATE USER plain@'%'")
    mysql(source, "GRANT SELECT, REPLICATION CLIENT ON *.* TO plain@'%'")
    yield source.replace("root@", "plain@")
    mysql(source, "DROP USER plain@'%'")


def test_a_worker_without_a_task_keeps_its_snapshot(source: str) -> None:
    """A run that is paused, or whose last chunk is a long one, may last for days."""
    with closing(connect(parse(source))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@wait_timeout / 86400")
        assert cursor.fetchone() == (365,)


def test_a_commit_that_is_logged_but_not_yet_visible_is_no_quiet_source(source: str, plain: str) -> None:
    """The binary log moves before the log is flushed, the readers see the commit after."""
    at, total = parse(plain), "SELECT sum(coins) FROM purse_0"
    seen: list[int] = []

    def begin() -> None:
        again = bool(seen)
        seen.clear()
        for _ in range(2):
            with connect(at) as reader, reader.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                cursor.execute(total)
                seen.extend(int(coins) for (coins,) in cursor.fetchall())
            time.sleep(0 if again else 1.5)

    def moved() -> bool:
        return mysql(source, "SHOW MASTER STATUS")[0][:2] != before

    before = mysql(source, "SHOW MASTER STATUS")[0][:2]
    writer = threading.Thread(target=mysql, args=(source, "UPDATE purse_0 SET coins = 0"))
    with slow_log(source, 1_000_000), connect(at) as connection:
        writer.start()
        while not moved():
            assert writer.is_alive(), "its commit was never waited for"
            time.sleep(0.01)
        taken = snapshot.take(connection, ["purse_0"], begin)
        writer.join()
    assert (taken.level, seen) == ("quiet", [0, 0])


def test_without_the_right_to_lock_the_report_says_so(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    """Where nothing shows that the source is quiet, only a lock helps."""
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    fill(source)
    mysql(source, f"CREATE USER plain@'%%'; GRANT SELECT ON {parse(source).database}.* TO plain@'%%'")
    addresses = ("--source", source.replace("root@", "plain@"), "--target", target, "--json")
    mysql(source, "ALTER INSTANCE DISABLE INNODB REDO_LOG")
    try:
        with writers(source):
            ran = converge("migrate", *addresses)
        assert ran.json["snapshot"] == "none"
        mysql(source, "GRANT LOCK TABLES ON *.* TO plain@'%%'")
        with writers(source):
            ran = converge("migrate", *addresses, "--recreate", "--yes")
        assert (ran.json["verdict"], ran.json["snapshot"]) == ("verified", "locked")
        assert postgres(target, TOTAL) == [(COINS,)]
    finally:
        mysql(source, "ALTER INSTANCE ENABLE INNODB REDO_LOG; DROP USER plain@'%%'")


def test_a_replica_that_does_not_log_what_it_applies(
    mysql_8015: Server, new_mysql_database: NewDatabase
) -> None:
    """Its own binary log stands still while the commits of its source arrive."""
    if mysql_8015.provider not in ("installed", "package"):
        pytest.skip(f"the servers do not reach each other: {mysql_8015.provider}")
    primary = new_mysql_database(mysql_8015)
    mysql(primary, "CREATE TABLE t (id INT PRIMARY KEY)")
    file, place = mysql(primary, "SHOW MASTER STATUS")[0][:2]
    options = {"server_id": "2", "log_slave_updates": "OFF"}
    with sandbox.start("mysql:8.0.15", settings={"mysql": options}) as (server,):
        replica = server.create_database(parse(primary).database)
        mysql(
            replica,
            "CREATE TABLE t (id INT PRIMARY KEY); "
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {parse(primary).port}, "
            f"MASTER_USER = 'root', MASTER_LOG_FILE = '{file}', MASTER_LOG_POS = {place}; START SLAVE",
        )
        with connect(parse(replica)) as connection:
            before = snapshot.read_logs(connection)
            mysql(primary, "INSERT INTO t VALUES (1)")
            give_up = time.monotonic() + 30
            while not mysql(replica, "SELECT * FROM t"):
                assert time.monotonic() < give_up, mysql(replica, "SHOW SLAVE STATUS")
                time.sleep(0.05)
            after = snapshot.read_logs(connection)
    assert before.position is after.position is None
    assert before.history != after.history


@contextmanager
def alterations(url: str, tables: list[str]) -> Iterator[list[Exception | None]]:
    """Alters tables under LOCK TABLES until the end, as the restore of a dump does; what came of each."""
    stop = threading.Event()
    ended: list[Exception | None] = []

    def alter(table: str) -> None:
        connection = connect_mysql(url, autocommit=False)
        with connection, connection.cursor() as cursor:
            while not stop.is_set():
                for statement in (
                    f"LOCK TABLES {table} WRITE",
                    f"ALTER TABLE {table} ADD COLUMN one_more INT",
                    f"ALTER TABLE {table} DROP COLUMN one_more",
                    "UNLOCK TABLES",
                    f"OPTIMIZE TABLE {table}",
                ):
                    try:
                        cursor.execute(statement)
                        ended.append(None)
                    except pymysql.err.MySQLError as error:
                        ended.append(error)

    threads = [threading.Thread(target=alter, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    try:
        yield ended
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_nobody_who_alters_tables_is_the_victim_of_a_snapshot(
    source: str,
) -> None:
    """Whatever is waited for, it is waited for with no other lock in hand."""
    levels = []
    with alterations(source, PURSES[:4]) as ended:
        for _ in range(12):
            with connect(parse(source)) as connection:
                levels.append(snapshot.take(connection, PURSES, lambda: None).level)
                snapshot.hold_schema(connection)
    assert [error for error in ended if error] == []
    assert (len(ended) > 50, "locked" in levels) == (True, True)


class Balancer(Proxy):
    """Each connection reaches another server than the one before."""

    others: deque[int]

    async def _serve(self, *ends: Any) -> None:
        self.others.rotate()
        self.behind = self.others[0]
        await super()._serve(*ends)


def test_readers_of_another_server_are_refused(
    mysql_8015: Server, mysql_8033: Server, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """Behind a load balancer each connection may reach another: rows were lost, and the run was verified."""
    target = new_postgres_database(postgres_175)
    with mysql_8015.new_database("balanced") as url, mysql_8033.new_database("balanced") as other:
        ports = [port for one in (url, other) if (port := parse(one).port) is not None]
        balancer = Balancer(ports[0])
        balancer.others = deque(ports)
        try:
            at = parse(url.replace(f":{ports[0]}/", f":{balancer.port}/"))
            with connect(at) as here, Workers(1) as workers:
                workers.connect(at, parse(target))
                with pytest.raises(SourceError, match="not on the server of the run") as caught:
                    workers.everyone(snapshot.mark(here))
            assert caught.value.code == Code.S032
            with connect(at) as here, connect(at) as elsewhere, connect(at) as same:
                marked = snapshot.mark(here)
                snapshot.begin(same, marked)
                snapshot.require_marked(same, marked)
                with pytest.raises(SourceError):
                    snapshot.require_marked(elsewhere, marked)
        finally:
            balancer.close()
