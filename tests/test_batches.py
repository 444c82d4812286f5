"""Statements of many small tables in one transaction: errors keep their object, and Ctrl-C ends them."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
from conftest import NewDatabase
from local_servers import durable
from support import begun, converge, mysql, postgres, soon

from converge.sandbox import Server

TABLES = 24
SOURCE = "".join(
    f"CREATE TABLE t{number} (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, UNIQUE KEY name{number} (name));"
    f"INSERT INTO t{number} VALUES (1, 'aa'), (2, 'ab');"
    for number in range(TABLES)
)


def test_an_error_names_the_statement_and_the_others_are_kept(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """What a map makes is equal in one table; without a scan the unique index finds it."""
    source, target = databases
    mysql(source, SOURCE)
    map_ = tmp_path / "map.toml"
    map_.write_text('[[column]]\nmatch = { table = "t7", column = "name" }\nusing = "LEFT({}, 1)"\n', "utf-8")
    addresses = ("--source", source, "--target", target, "--jobs", "2")
    ran = converge("migrate", *addresses, "--map", str(map_), "--no-scan")
    assert ran.code == 5, ran.out
    assert "t7, index: " in ran.err and "name7" in ran.err
    assert "t6" not in ran.err and "PRIMARY KEY" not in ran.err, ran.err
    # The other statements of its batch, and those before.
    ((built,),) = postgres(target, "SELECT count(*) FROM pg_index WHERE indrelid::regclass::text ~ '^t[0-9]'")
    assert built > 7
    assert postgres(target, "SELECT count(*) FROM pg_index WHERE indrelid = 't7'::regclass") == [(1,)]


def test_a_batch_that_waits_for_a_lock_ends_with_the_run(databases: tuple[str, str]) -> None:
    """It is cancelled, and not done again object by object."""
    source, target = databases
    mysql(source, SOURCE)
    process = begun(source, target, "--jobs", "2", "-q")
    with psycopg.connect(target) as other:
        soon(process, lambda: postgres(target, "SELECT to_regclass('t20') IS NOT NULL") == [(True,)])
        # COPY goes on beside it, and no index is built.
        other.execute("LOCK TABLE t20 IN ROW EXCLUSIVE MODE")
        waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 't20'::regclass"
        soon(process, lambda: postgres(target, waits) == [(True,)])
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    ran = converge("migrate", "--source", source, "--target", target, "--resume", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified")


def test_batches_leave_room_in_the_table_of_locks(
    mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    """A server with 150 locks in all."""
    source = new_mysql_database(mysql_8033)
    columns = ",".join(f"c{number} INT, KEY k{number} (c{number})" for number in range(14))
    for number in range(150):
        mysql(source, f"CREATE TABLE t{number} (id INT AUTO_INCREMENT PRIMARY KEY, {columns})")
    settings = {"max_connections": "15", "max_locks_per_transaction": "10"}
    with durable("postgres:17.5", postgres=settings) as (server,):
        ran = converge(
            "migrate", "--source", source, "--target", server.create_database("few"), "--jobs", "2", "--json"
        )
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
