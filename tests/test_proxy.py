"""The proxy of the fault tests does what it says to connections of both servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from conftest import NewDatabase
from proxy import Proxy
from support import postgres

from converge.sandbox import Server
from converge.sandbox.server import connect_mysql, connect_postgres

LOST = (psycopg.OperationalError, pymysql.err.OperationalError, OSError)


@contextmanager
def before(server: Server) -> Iterator[tuple[Proxy, str]]:
    """A proxy before a server, and the server's URL through it."""
    at = urlsplit(server.database_url("mysql" if server.kind == "mysql" else "postgres"))
    with closing(Proxy(at.port or 0)) as proxy:
        yield proxy, at._replace(netloc=f"{at.username}@127.0.0.1:{proxy.port}").geturl()


@pytest.fixture(params=["mysql_8015", "postgres_175"])
def proxied(request: pytest.FixtureRequest) -> Iterator[tuple[Proxy, str]]:
    with before(request.getfixturevalue(request.param)) as pair:
        yield pair


def asker(url: str) -> Callable[[str], tuple[object, ...]]:
    """Asks on one connection, which ends with the last reference to it."""
    connection = connect_mysql(url) if url.startswith("mysql") else connect_postgres(url)

    def ask(query: str) -> tuple[object, ...]:
        cursor = connection.cursor()
        cursor.execute(query)
        return tuple(cursor.fetchone() or ())

    return ask


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_is_cut(proxied: tuple[Proxy, str], reset: bool) -> None:
    proxy, url = proxied
    ask = asker(url)
    assert ask("SELECT REPEAT('x', 1000000)") == ("x" * 1_000_000,)
    proxy.cut(reset=reset)
    with pytest.raises(LOST):
        ask("SELECT 1")
    assert asker(url)("SELECT 1") == (1,)


def test_a_connection_is_cut_in_the_middle_by_rule(proxied: tuple[Proxy, str]) -> None:
    proxy, url = proxied
    proxy.rules[2] = (500_000, lambda link: link.cut(True))
    first, second = asker(url), asker(url)
    with pytest.raises(LOST):
        second("SELECT REPEAT('x', 1000000)")
    assert first("SELECT 1") == (1,)


def test_new_connections_are_refused_for_a_while(proxied: tuple[Proxy, str]) -> None:
    proxy, url = proxied
    ask = asker(url)
    proxy.refuse()
    with pytest.raises(LOST):
        asker(url)
    assert ask("SELECT 1") == (1,)
    proxy.accept()
    assert asker(url)("SELECT 1") == (1,)


def test_bytes_wait_and_come(proxied: tuple[Proxy, str]) -> None:
    proxy, url = proxied
    ask = asker(url)
    proxy.delay = 0.2
    started = time.monotonic()
    ask("SELECT 1")
    assert time.monotonic() - started >= 0.4
    proxy.delay, proxy.rate = 0, 1_000_000
    started = time.monotonic()
    ask("SELECT REPEAT('x', 500000)")
    assert time.monotonic() - started >= 0.5


def test_a_half_open_connection_is_silent_and_stays(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    """The server keeps the session of a client that has left long ago, with all its locks."""
    with before(postgres_175) as (proxy, url):
        connection = psycopg.connect(url, autocommit=True)
        connection.execute("SELECT pg_advisory_lock(7)")
        proxy.swallow()
        connection.pgconn.send_query(b"SELECT 1")
        time.sleep(0.3)
        connection.pgconn.consume_input()
        assert connection.pgconn.is_busy()
        connection.close()
        time.sleep(0.3)
        admin = postgres_175.database_url("postgres")
        assert postgres(admin, "SELECT pg_try_advisory_lock(7)") == [(False,)]
        assert asker(url)("SELECT 1") == (1,)


def test_the_answer_to_a_commit_is_lost(postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    database = new_postgres_database(postgres_175)
    postgres(database, "CREATE TABLE t (id int)")
    with before(postgres_175) as (proxy, url):
        proxy.answers_to_lose = 1
        place = urlsplit(url)._replace(path=urlsplit(database).path).geturl()
        connection = psycopg.connect(place, autocommit=True)
        with pytest.raises(psycopg.OperationalError), connection.transaction():
            connection.execute("INSERT INTO t VALUES (1)")
        with psycopg.connect(place, autocommit=True) as again, again.transaction():
            again.execute("INSERT INTO t VALUES (2)")
    assert postgres(database, "SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_server_that_is_held_loses_nothing(proxied: tuple[Proxy, str]) -> None:
    proxy, url = proxied
    ask = asker(url)
    proxy.hold()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, "SELECT 1")
        time.sleep(0.3)
        assert not answer.done()
        proxy.flow()
        assert answer.result(10) == (1,)
