"""One instant for all readers, while the application goes on writing."""

from __future__ import annotations

import pytest
from conftest import NewDatabase
from faults.application import COINS, TOTAL, fill, writers
from support import converge, mysql, postgres

from converge.model.endpoint import parse
from converge.sandbox import Server


@pytest.fixture
def source(mysql_8015: Server, new_mysql_database: NewDatabase) -> str:
    url = new_mysql_database(mysql_8015)
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


def test_without_the_right_to_lock_the_report_says_so(
    source: str, postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    mysql(source, "CREATE USER IF NOT EXISTS plain@'%%' IDENTIFIED BY ''")
    mysql(source, f"GRANT SELECT, TRIGGER, EVENT, SHOW VIEW ON {parse(source).database}.* TO plain@'%%'")
    target = new_postgres_database(postgres_175)
    addresses = ("--source", source.replace("root@", "plain@"), "--target", target, "--json")
    with writers(source):
        ran = converge("migrate", *addresses)
    assert ran.json["snapshot"] == "none"
    mysql(source, "GRANT LOCK TABLES ON *.* TO plain@'%%'")
    with writers(source):
        ran = converge("migrate", *addresses, "--truncate")
    assert (ran.json["verdict"], ran.json["snapshot"]) == ("verified", "locked")
