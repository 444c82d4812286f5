"""More tables than a server has locks for in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from converge import sandbox
from converge.sandbox import Server

TABLES = 200


@pytest.fixture(scope="module")
def few_locks() -> Iterator[Server]:
    """As a server of the usual settings is to ten thousand tables, this one is to two hundred."""
    settings = {"postgres": {"max_locks_per_transaction": "10", "max_connections": "20"}}
    with sandbox.start("postgres:14", settings=settings) as (server,):
        yield server


def tables() -> str:
    """Each refers to the one before it; a view reads two of them, and some have a type of their own."""
    made = ["CREATE TABLE t0 (id INT AUTO_INCREMENT PRIMARY KEY, parent INT)"]
    made += [
        f"CREATE TABLE t{number} (id INT AUTO_INCREMENT PRIMARY KEY, parent INT, "
        f"kind {'ENUM' if number % 10 == 0 else 'SET'}('a', 'b'), "
        f"FOREIGN KEY (parent) REFERENCES t{number - 1} (id))"
        for number in range(1, TABLES)
    ]
    rows = [f"INSERT INTO t{number} (id, parent) VALUES ({number}, NULL)" for number in range(0, TABLES, 50)]
    view = f"CREATE VIEW v AS SELECT a.id, b.parent FROM t50 a, t{TABLES - 1} b"
    return ";".join([*made, *rows, view, f"UPDATE t{TABLES - 50} SET kind = 'b'"])


def test_all_arrive_and_are_made_anew(
    mysql_8015: Server, few_locks: Server, new_mysql_database: NewDatabase, new_postgres_database: NewDatabase
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(few_locks)
    mysql(source, tables())
    migrate = ("migrate", "--source", source, "--target", target, "--yes", "--json")
    first = converge(*migrate)
    assert (first.code, first.json["verdict"]) == (0, "verified"), first.err
    postgres(target, "INSERT INTO t0 (id) VALUES (77)")
    again = converge(*migrate, "--recreate", "--yes")
    assert (again.code, again.json["verdict"]) == (0, "verified"), again.err
    assert postgres(
        target,
        "SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
        "AND contype = 'f' AND convalidated",
    ) == [(TABLES - 1,)]
    assert postgres(
        target, f"SELECT id, kind::text FROM t0, LATERAL (SELECT kind FROM t{TABLES - 50}) k"
    ) == [(1, "b")]

    postgres(target, "CREATE VIEW somebody_elses AS SELECT id FROM t7")
    refused = converge(*migrate, "--recreate", "--yes")
    assert refused.code == 3
    assert "error[T028]" in refused.err and "somebody_elses depends on table" in refused.err
    assert postgres(target, "SELECT count(*) FROM somebody_elses") == [(0,)]
    postgres(target, "DROP VIEW somebody_elses")
    last = converge(*migrate, "--recreate", "--yes", "--verify", "counts")
    assert (last.code, last.json["verdict"]) == (0, "migrated"), last.err
