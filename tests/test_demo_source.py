"""The demo source: the same for everyone, valid in MySQL, and as awkward as it claims to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymysql.connections import Connection
from support import mysql

from converge.demo import fill as source
from converge.demo.texts import HARD
from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.mysql.connect import connect
from converge.sandbox import Server

NewDatabase = Callable[[], str]

ROWS = source.LEAST_ROWS


@pytest.fixture
def new_database(new_mysql_database: Callable[[Server], str], mysql_8015: Server) -> NewDatabase:
    return lambda: new_mysql_database(mysql_8015)


@pytest.fixture
def filled(new_database: NewDatabase) -> Iterator[Connection[Any]]:
    url = new_database()
    assert source.fill(url, rows=ROWS) == ROWS
    with connect(parse(url)) as connection:
        yield connection


def rows_of(connection: Connection[Any], statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def value(connection: Connection[Any], statement: str) -> Any:
    [[only]] = rows_of(connection, statement)
    return only


def checksums(url: str) -> dict[str, int]:
    tables = ", ".join(f"`{table}`" for table in source.TABLES)
    with connect(parse(url)) as connection:
        found = rows_of(connection, f"CHECKSUM TABLE {tables} EXTENDED")
    return {name.split(".")[1]: checksum for name, checksum in found}


def test_the_seed_decides_the_data(new_database: NewDatabase) -> None:
    first, second, other = (new_database() for _ in range(3))
    for url, seed in ((first, 7), (second, 7), (other, 8)):
        source.fill(url, seed=seed, rows=ROWS)
    assert checksums(first) == checksums(second)
    differing = {name for name, checksum in checksums(other).items() if checksum != checksums(first)[name]}
    assert differing == set(source.TABLES) - {"export_job"}


def test_a_later_mysql_takes_it_too(new_mysql_database: Callable[[Server], str], mysql_8033: Server) -> None:
    assert source.fill(new_mysql_database(mysql_8033), rows=ROWS) == ROWS


def test_every_table_gets_its_share(filled: Connection[Any]) -> None:
    found = {table: value(filled, f"SELECT COUNT(*) FROM `{table}`") for table in source.TABLES}
    assert found == source.counts(ROWS)
    assert sum(source.counts(199_999).values()) == 199_999


def test_progress_names_each_table(new_database: NewDatabase) -> None:
    said: list[str] = []
    source.fill(new_database(), rows=ROWS, on_progress=said.append)
    assert [line.split(":")[0] for line in said] == list(source.TABLES)


def test_only_an_empty_database_is_filled(new_database: NewDatabase) -> None:
    url = new_database()
    mysql(url, "CREATE TABLE precious (id INT)")
    with pytest.raises(UsageError, match="has 1 table"):
        source.fill(url, rows=ROWS)


def test_too_few_rows_are_refused(new_database: NewDatabase) -> None:
    with pytest.raises(UsageError, match="at least"):
        source.fill(new_database(), rows=ROWS - 1)


def test_foreign_keys_hold(filled: Connection[Any]) -> None:
    keys = rows_of(
        filled,
        "SELECT MIN(TABLE_NAME), MIN(REFERENCED_TABLE_NAME), "
        "GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION), "
        "GROUP_CONCAT(REFERENCED_COLUMN_NAME ORDER BY ORDINAL_POSITION) "
        "FROM information_schema.KEY_COLUMN_USAGE "
        "WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL GROUP BY CONSTRAINT_NAME",
    )
    assert len(keys) >= 20
    for child, parent, columns, referenced in keys:
        pairs = list(zip(columns.split(","), referenced.split(","), strict=True))
        present = " AND ".join(f"c.`{column}` IS NOT NULL" for column, _ in pairs)
        match = " AND ".join(f"p.`{key}` = c.`{column}`" for column, key in pairs)
        found = f"EXISTS (SELECT 1 FROM `{parent}` p WHERE {match})"
        orphans = value(filled, f"SELECT COUNT(*) FROM `{child}` c WHERE {present} AND NOT {found}")
        assert orphans == 0, (child, parent)


# A source of rows and a condition: at least one row must meet it.
TRAPS = {
    "NULL beside ''": "person p JOIN person q ON p.phone IS NULL AND q.phone = ''",
    "the word NULL": "person WHERE phone = 'NULL'",
    "COPY's end of data": r"comment WHERE body = '\\.'",
    "line feeds and returns": r"article WHERE body LIKE '%\r\n%' AND body LIKE '%\t%'",
    "long text": "article WHERE LENGTH(body) > 200000",
    "index entry too long for a btree": "article WHERE LENGTH(body) > 2700",
    "the null of JSON": "person WHERE JSON_TYPE(traits) = 'NULL'",
    "SQL NULL beside JSON": "audit_log WHERE detail IS NULL",
    "JSON of 64 bits": "person WHERE traits->'$.large' = 18446744073709551615",
    "JSON with an escaped backslash": r"person WHERE traits->>'$.escaped' LIKE '\\\\u0000%'",
    "empty and missing SET": "membership m JOIN membership n ON m.permissions = '' AND n.permissions IS NULL",
    "enum label with comma and quote": "article WHERE kind = 'what''s new, in short'",
    "tinyint(1) that is no boolean": "person WHERE notify = 3",
    "bigint unsigned beyond bigint": "article WHERE fingerprint = 18446744073709551615",
    "numbers with gaps": "audit_log WHERE id > 9007199254740992",
    "number zero": "legacy_contact WHERE id = 0",
    "number below zero": "legacy_contact WHERE id < 0",
    "38 digits": "invoice WHERE rate = 99999999999999999999.999999999999999999",
    "decimal below zero": "invoice WHERE net = -9999999999.9999 AND gross = net + tax",
    "double printed differently": "article WHERE score = 1e23",
    "largest double": "article WHERE score = 1.7976931348623157e308",
    "float printed with six digits": "article WHERE reading_time = 16777216",
    "all bits": "login_session WHERE device = b'111111111111'",
    "binary with zero bytes at its end": "login_session WHERE id = X'01000000000000000000000000000000'",
    "every byte": "attachment WHERE thumbnail LIKE CONCAT(X'00010203', '%') AND LENGTH(thumbnail) = 10240",
    "empty and missing blob": "attachment a JOIN attachment b ON a.thumbnail = '' AND b.thumbnail IS NULL",
    "time below zero": "booking WHERE reminder = '-838:59:59'",
    "time beyond a day": "booking WHERE effort = '838:59:59'",
    "midnight as 24:00": "space WHERE closes = '24:00:00'",
    "last year": "booking WHERE season = 2155",
    "first day": "person WHERE born = '1000-01-01'",
    "last moment": "person WHERE created_at = '9999-12-31 23:59:59.999999'",
    "last timestamp": "person WHERE lastSeenAt = '2038-01-19 03:14:07'",
    "hour that clocks skip": "person WHERE lastSeenAt = '2024-03-31 01:30:00.999'",
    "cp1252 in latin1": "legacy_contact WHERE HEX(name) LIKE '%80%' AND name LIKE '%€%'",
    "char(36) that is no uuid": "legacy_contact WHERE imported_from = 'contacts-2009.csv'",
    "reply to a comment": "comment WHERE reply_to IS NOT NULL",
    "space in a space": "space WHERE parent_id IS NOT NULL",
    "a circle": "space s JOIN article a ON s.pinned_article_id = a.id AND a.space_id = s.id",
    "keys that only bytes tell apart": "reaction r "
    "JOIN reaction s USING (article_id, comment_number, person_id) "
    "WHERE r.symbol = 'é' AND s.symbol = 'e\u0301'",
}

# Facts of the schema, from information_schema: a table and a condition.
SCHEMA = {
    "a table without a key": "TABLES t WHERE TABLE_TYPE = 'BASE TABLE' AND NOT EXISTS (SELECT 1 FROM "
    "information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME "
    "AND s.INDEX_NAME = 'PRIMARY')",
    "AUTO_INCREMENT beside the key": "COLUMNS WHERE EXTRA = 'auto_increment' AND COLUMN_KEY <> 'PRI'",
    "an empty table whose numbers go on": "TABLES WHERE TABLE_NAME = 'export_job' AND AUTO_INCREMENT = 5001",
    "a stored generated column": "COLUMNS WHERE EXTRA LIKE '%STORED GENERATED%'",
    "an expression as default": "COLUMNS WHERE COLUMN_NAME = 'id' AND EXTRA = 'DEFAULT_GENERATED'",
    "ON UPDATE": "COLUMNS WHERE EXTRA LIKE '%on update CURRENT_TIMESTAMP(6)'",
    "a prefix index": "STATISTICS WHERE SUB_PART IS NOT NULL",
    "a descending index": "STATISTICS WHERE COLLATION = 'D'",
    "one index name in two tables": "STATISTICS s JOIN information_schema.STATISTICS o USING (TABLE_SCHEMA, "
    "INDEX_NAME) WHERE s.TABLE_NAME <> o.TABLE_NAME AND INDEX_NAME <> 'PRIMARY' AND 1",
    "a name of 63 bytes": "STATISTICS WHERE LENGTH(INDEX_NAME) = 63",
    "a reserved word": "COLUMNS WHERE COLUMN_NAME = 'order'",
    "a name in mixed case": "COLUMNS WHERE BINARY COLUMN_NAME = 'lastSeenAt'",
    "a table in latin1": "TABLES WHERE TABLE_COLLATION = 'latin1_swedish_ci'",
    "comments with quotes": "TABLES WHERE TABLE_COMMENT LIKE '%''%\"%'",
    "views": "VIEWS WHERE 1",
}


def test_the_traps_are_in_the_data(filled: Connection[Any]) -> None:
    assert [name for name, rows in TRAPS.items() if not value(filled, f"SELECT COUNT(*) FROM {rows}")] == []


def test_the_traps_are_in_the_schema(filled: Connection[Any]) -> None:
    missing = []
    for name, rows in SCHEMA.items():
        statement = f"SELECT COUNT(*) FROM information_schema.{rows} AND TABLE_SCHEMA = DATABASE()"
        if not value(filled, statement):
            missing.append(name)
    assert missing == []


def test_a_trigger_and_a_procedure_are_there(filled: Connection[Any]) -> None:
    found = rows_of(
        filled,
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() "
        "UNION ALL SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()",
    )
    assert found == [("person_locked",), ("revoke_sessions",)]


def test_views_can_be_read(filled: Connection[Any]) -> None:
    assert value(filled, "SELECT SUM(articles) FROM space_overview") == source.counts(ROWS)["article"]
    assert value(filled, "SELECT COUNT(*) FROM open_amount") > 0


def test_hard_strings_arrive_byte_for_byte(filled: Connection[Any]) -> None:
    found = {body for (body,) in rows_of(filled, "SELECT CAST(body AS BINARY) FROM comment")}
    assert {hard.encode() for hard in HARD} <= found


def test_rows_without_a_key_repeat(filled: Connection[Any]) -> None:
    distinct = value(filled, "SELECT COUNT(DISTINCT taken_at, name, share) FROM metric_sample")
    assert distinct < source.counts(ROWS)["metric_sample"]
