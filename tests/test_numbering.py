"""AUTO_INCREMENT: the target gives the numbers that MySQL would give next, and the columns can hold them."""

from __future__ import annotations

from conftest import NewDatabase
from support import mysql, postgres

from converge.model.endpoint import parse
from converge.model.event import PhaseStarted
from converge.model.result import Result
from converge.run.attempt import MigrateOptions
from converge.run.migrate import migrate
from converge.sandbox import Server

TABLES = """
CREATE TABLE site (id TINYINT(1) NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40));
INSERT INTO site (name) VALUES ('main');
CREATE TABLE page (id INT PRIMARY KEY, site TINYINT(1), FOREIGN KEY (site) REFERENCES site (id));
CREATE TABLE level (id TINYINT(1) PRIMARY KEY); INSERT INTO level VALUES (0), (1);
CREATE TABLE user (id INT AUTO_INCREMENT PRIMARY KEY, level TINYINT(1) DEFAULT 2, old TINYINT(1) DEFAULT (3),
  flag TINYINT(1) DEFAULT 1, other TINYINT(1) DEFAULT (TRUE)) AUTO_INCREMENT = 500;
ALTER TABLE user ADD FOREIGN KEY (level) REFERENCES level (id);
CREATE TABLE tail (id INT AUTO_INCREMENT PRIMARY KEY, n INT);
INSERT INTO tail VALUES (77, 1); DELETE FROM tail;
CREATE TABLE d (id DOUBLE AUTO_INCREMENT PRIMARY KEY, n INT); INSERT INTO d VALUES (7, 1), (1000000, 2);
CREATE TABLE f (id FLOAT AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT = 41;
CREATE TABLE huge (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT = 9223372036854775808;
CREATE TABLE later (id INT AUTO_INCREMENT PRIMARY KEY, n INT)
"""


def test_numbers_go_on(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, f"{TABLES}; FLUSH TABLES")

    def given_meanwhile(event: object) -> None:
        if isinstance(event, PhaseStarted) and event.name == "create":
            mysql(source, "INSERT INTO later VALUES (900, 1); DELETE FROM later")

    result = Result("migrate", source, target)
    migrate(parse(source), parse(target), MigrateOptions(), given_meanwhile, result)
    assert result.verdict == "verified"
    lost = [finding.object for finding in result.findings if finding.code == "P022"]
    assert lost == ["huge.id"]
    for url in source, target:
        (mysql if url == source else postgres)(url, "INSERT INTO level VALUES (2)")
    for table in "tail", "d", "f", "later", "user":
        insert = f"INSERT INTO {{}} ({'flag) VALUES (TRUE' if table == 'user' else 'n) VALUES (1'})"
        mysql(source, insert.format(f"`{table}`"))
        postgres(target, insert.format(f'"{table}"'))
        newest = "SELECT max(id) FROM {}"
        found = postgres(target, newest.format(f'"{table}"')), mysql(source, newest.format(f"`{table}`"))
        assert found[0] == found[1], table
    made = "INSERT INTO site (name) VALUES ('second') RETURNING id"
    assert postgres(target, made) == [(2,)]
    types = dict(
        postgres(
            target,
            "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type IN ('smallint', 'boolean')",
        )
    )
    numbers = {"site.id", "page.site", "level.id", "user.level", "user.old"}
    booleans = {"user.flag", "user.other"}
    assert types == dict.fromkeys(numbers, "smallint") | dict.fromkeys(booleans, "boolean")
