"""Ranges of the primary key, of any key type: every row is in exactly one of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from conftest import NewDatabase
from support import converge, mysql, postgres

from bench.sql import writable
from converge.codes import Code
from converge.errors import BlockedError, SourceError
from converge.mapping.read import load
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.extent import Range
from converge.model.plan import Plan
from converge.model.quote import my_name, my_text
from converge.model.table_plan import TablePlan
from converge.mysql import chunks, connect
from converge.mysql.catalog import read_catalog
from converge.mysql.privileges import read_privileges
from converge.mysql.query import fetch
from converge.mysql.rows import NullRow, stream, where
from converge.planner.inputs import Inputs
from converge.planner.plan import make_plan
from converge.run.options import Options
from converge.run.repair import Repair
from converge.run.verify import verify
from converge.sandbox import Server

_WORDS = (
    "",
    " ",
    "a",
    "A",
    "\u00e4",
    "\u00c4",
    "a b",
    "a ",
    "ab",
    "aB",
    "'",
    "''",
    "\\",
    "\\'",
    '"',
    "\\N",
    "\u00df",
    "ss",
    "\u20ac",
    "z",
)
_WIDE_WORDS = (
    *_WORDS,
    "\U0001f600",
    "\U0001f601",
    "\u65e5",
    "\u65e5\u672c",
    "e\u0301",
    "\u00e9",
    "\u0153",
    "\ufb01",
    "\x01",
    "\t",
)


def _texts(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(my_text(word + tail) for word in words for tail in ("", "1", " x", "~"))


def _numbers(*values: int | float | str) -> tuple[str, ...]:
    return tuple(map(str, values))


_UNSIGNED = _numbers(*range(40), *range(2**63 - 10, 2**63 + 10), *range(2**64 - 10, 2**64))
_ENUM = "ENUM('zz','a','it''s','B','|')"
_BYTES = tuple(f"x'{first:02x}{rest}'" for first in range(0, 256, 9) for rest in ("", "00", "ff"))
_DECIMALS = _numbers(
    *(f"{sign}{n}.{n:02}" for n in range(40) for sign in ("", "-")), "9" * 40 + ".99", "-" + "9" * 40 + ".99"
)
_DOUBLES = _numbers(
    *(n / 7 for n in range(-30, 30)), 1e300, -1e300, 5e-324, 1e23, 2.0**60, 1.7976931348623157e308
)
_PAIRS = tuple(f"{a}, {b}" for a in _texts(_WORDS)[:30] for b in (1, 2, 3))


@dataclass(frozen=True)
class Case:
    """A key, the values of it as SQL literals, and whether MySQL is to read a range by its index."""

    name: str
    columns: tuple[str, ...]
    values: tuple[str, ...]
    ranges: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(f"k{place}" for place in range(len(self.columns)))


CASES = (
    Case("dense", ("INT",), _numbers(*range(1, 200)), ranges=True),
    Case("holes", ("INT",), _numbers(*(n * n for n in range(100))), ranges=True),
    Case("sparse", ("BIGINT",), _numbers(*((-1) ** n * 3**n for n in range(38))), ranges=True),
    Case("negative", ("SMALLINT",), _numbers(*range(-150, 50)), ranges=True),
    Case("zerofill", ("INT(8) ZEROFILL",), _numbers(*range(100))),
    Case("large", ("BIGINT UNSIGNED",), _UNSIGNED, ranges=True),
    Case("last", ("BIGINT UNSIGNED",), _numbers(*range(2**64 - 90, 2**64)), ranges=True),
    Case("lowest", ("BIGINT",), _numbers(*range(-(2**63), -(2**63) + 90)), ranges=True),
    Case("few", ("INT UNSIGNED",), _numbers(0, 1)),
    Case("decimals", ("DECIMAL(42,2)",), _DECIMALS, ranges=True),
    Case("doubles", ("DOUBLE",), _DOUBLES),
    Case("floats", ("FLOAT",), _numbers(*(n / 10 for n in range(-40, 40)), 16777216, 16777218, 1e-45,
     3.4e38)),
    Case("any_case", ("VARCHAR(40) COLLATE utf8mb4_0900_ai_ci",), _texts(_WIDE_WORDS), ranges=True),
    Case("old_case", ("VARCHAR(40) COLLATE utf8mb4_general_ci",), _texts(_WIDE_WORDS), ranges=True),
    Case("unicode_case", ("CHAR(40) COLLATE utf8mb4_unicode_520_ci",), _texts(_WIDE_WORDS)),
    Case("exact", ("VARCHAR(40) COLLATE utf8mb4_bin",), _texts(_WIDE_WORDS), ranges=True),
    Case("exact_0900", ("VARCHAR(40) COLLATE utf8mb4_0900_bin",), _texts(_WIDE_WORDS)),
    Case("latin", ("VARCHAR(40) COLLATE latin1_swedish_ci",), _texts(_WORDS), ranges=True),
    Case("latin_german", ("CHAR(40) COLLATE latin1_german2_ci",), _texts(_WORDS)),
    Case("latin_exact", ("VARCHAR(40) COLLATE latin1_bin",), _texts(_WORDS), ranges=True),
    Case("two_bytes", ("VARCHAR(40) CHARACTER SET ucs2",), _texts(_WORDS)),
    Case("chinese", ("VARCHAR(40) CHARACTER SET gbk",), _texts(("\u4e2d", "\u6587", "a", "A", "'", "\\"))),
    Case("japanese", ("VARCHAR(40) CHARACTER SET cp932",), _texts(("\u8868", "\u30bd", "a", "\uffe2", "\\"))),
    Case("bytes", ("VARBINARY(9)",), ("x''", *_BYTES), ranges=True),
    Case("padded", ("BINARY(4)",), _BYTES, ranges=True),
    Case("dates", ("DATE",), (*(f"'{y}-01-01'" for y in range(1000, 9999, 99)), "0", "'2020-00-00'"),
     ranges=True),
    Case("moments", ("DATETIME(6)",), tuple(f"'2020-01-01 00:00:00.{n:06}'" for n in range(0, 999999, 9999)),
     ranges=True),
    Case("instants", ("TIMESTAMP(3)",),
         tuple(f"'2020-10-25 0{n % 4}:{n // 4:02}:00.{n:03}'" for n in range(99))),
    Case("clocks", ("TIME(2)",), (*(f"'{n}:30:00.25'" for n in range(-838, 838, 17)), "'-00:00:00.01'")),
    Case("years", ("YEAR",), _numbers("'0000'", *range(1901, 2156, 3))),
    Case("members", (_ENUM,), ("'zz'", "'a'", "'it''s'", "'B'", "'|'")),
    Case("sets", ("SET('z','a','m','\"','it''s')",), _numbers(*range(32))),
    Case("bits", ("BIT(40)",), _numbers(*range(0, 2**40, 2**34 + 7))),
    Case("text_and_number", ("VARCHAR(40) COLLATE utf8mb4_0900_ai_ci", "INT"), _PAIRS, ranges=True),
    Case("number_and_text", ("INT", "VARCHAR(40) COLLATE latin1_swedish_ci"),
         tuple(f"{n % 5}, {text}" for n, text in enumerate(_texts(_WORDS) * 3)), ranges=True),
    Case("three", (_ENUM, "DATE", "VARBINARY(4)"),
         tuple(f"'{e}', '2020-01-{d:02}', {b}" for e in ("zz", "a", "B") for d in range(1,
          9) for b in _BYTES[:9])),
    Case("times_and_numbers", ("TIME", "DECIMAL(5,2)", "BIGINT UNSIGNED"),
         tuple(f"'{t}:00:00', {d}, {b}" for t in range(-3, 3) for d in ("-1.50", "0",
          "1.5") for b in _UNSIGNED[::9])),
    Case("backwards", ("INT", "INT"), tuple(f"{a}, {b}" for a in range(12) for b in range(12)), ranges=True),
)  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    url: str
    plan: Plan


@pytest.fixture(scope="module", params=["mysql_8015", "mysql_8033"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Loaded]:
    server: Server = request.getfixturevalue(request.param)
    name = "chunks"
    server.drop_database(name)
    url = server.create_database(name)
    connection = writable(url)
    try:
        with connection, connection.cursor() as cursor:
            for case in CASES:
                if "0900_bin" in case.columns[0] and server.version == "8.0.15":
                    continue  # it came with 8.0.17
                columns = ",".join(
                    f"{k} {kind} NOT NULL" for k, kind in zip(case.key, case.columns, strict=True)
                )
                order = ",".join(case.key) + (" DESC" if case.name == "backwards" else "")
                cursor.execute(
                    f"CREATE TABLE {my_name(case.name)} ({columns}, v CHAR(200), PRIMARY KEY ({order}))"
                )
                rows = ",".join(f"({value}, 'v')" for value in case.values)
                cursor.execute(f"INSERT IGNORE INTO {my_name(case.name)} VALUES {rows}")
                cursor.execute(f"ANALYZE TABLE {my_name(case.name)}")
                cursor.fetchall()
            catalog = read_catalog(connection, read_privileges(connection, name))
        yield Loaded(url, make_plan(Inputs(catalog, load())))
    finally:
        server.drop_database(name)


@pytest.mark.parametrize("per_chunk", [1, 7], ids=["one row a chunk", "seven rows a chunk"])
def test_every_row_is_in_exactly_one_range(
    loaded: Loaded, per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect.connect(parse(loaded.url))
    with connection, connection.cursor() as cursor:
        for table in loaded.plan.tables:
            cursor.execute(f"SELECT COUNT(*) FROM {my_name(table.source)}")
            ((rows,),) = cursor.fetchall()
            wanted = max(2, rows // per_chunk)
            monkeypatch.setattr(chunks, "CHUNK_BYTES", table.data_bytes // wanted)
            ranges = list(chunks.cut(connection, table.extent))
            assert ranges[0].low is None and ranges[-1].high is None
            assert all(one.high == other.low for one, other in pairwise(ranges))
            assert len(ranges) >= wanted // 4, (table.source, rows, len(ranges))
            key = ",".join(f"HEX({my_name(name)})" for name in table.key)
            cursor.execute(f"SELECT {key} FROM {my_name(table.source)}")
            expected = Counter(cursor.fetchall())
            found: Counter[tuple[str, ...]] = Counter()
            for part in ranges:
                cursor.execute(f"SELECT {key} FROM {my_name(table.source)}{where(table.key, part)}")
                found.update(cursor.fetchall())
            assert found == expected, (table.source, found - expected, expected - found)


def test_ranges_are_of_columns_that_are_indexed_whole(mysql_8033: Server) -> None:
    """By an index of name(4) MySQL 8 does not find all names beyond another one, where ch is one letter."""
    name = "prefixes"
    mysql_8033.drop_database(name)
    url = mysql_8033.create_database(name)
    keys = {
        "first": ("name(4),id", ()),
        "last": ("id,name(4)", (("id", "int"),)),
        "whole": ("name,id", None),
        "beside": ("name,id), KEY (name(4)", None),
    }
    streets = ("Hradní", "Hradecká", "Hrachová", "Hrabalova", "Hrázní", "Hrachovec")
    rows = ",".join(f"('{streets[n % 6]} {n}',{n},REPEAT('x',200))" for n in range(600))
    connection = writable(url)
    with connection, connection.cursor() as cursor:
        for table, (key, _) in keys.items():
            cursor.execute(
                f"CREATE TABLE {table} (name VARCHAR(100) COLLATE utf8mb4_czech_ci, id INT, v TEXT, "
                f"PRIMARY KEY ({key}))"
            )
            cursor.execute(f"INSERT INTO {table} VALUES {rows}")
        connection.commit()
        catalog = read_catalog(connection, read_privileges(connection, name))
        plan = make_plan(Inputs(catalog, load()))
        for table, (_, expected) in keys.items():
            for extent in (
                plan.table(table).extent,
                next(one for one in catalog.tables if one.name == table).extent,
            ):
                extent = replace(extent, rows=600, bytes=150_000)
                assert expected is None or extent.key == expected
                ranges = list(chunks.cut(connection, extent, 5_000))
                assert len(ranges) == 1 if expected == () else len(ranges) > 20
                columns = [column for column, _ in extent.key]
                counts = [
                    fetch(connection, f"SELECT COUNT(*) FROM {table}{where(columns, one)}") for one in ranges
                ]
                assert sum(count for ((count,),) in counts) == 600, table
    mysql_8033.drop_database(name)


def test_a_row_in_no_range_is_not_missed_twice(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    values = ",".join(f"({n})" for n in range(40))
    mysql(source, f"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES {values}")
    assert converge("migrate", "--source", source, "--target", target).code == 0
    postgres(target, "DELETE FROM t WHERE id BETWEEN 11 AND 20")
    holes = [Range(None, ("10",)), Range(("20",), None)]
    monkeypatch.setattr("converge.run.verify.cut", lambda *_: holes)
    for repair in (None, Repair(catches_up=True)):
        with pytest.raises(SourceError, match=r"t: the table has 40 rows, .* have 30") as raised:
            verify(parse(source), parse(target), Options(), "full", silent, repair=repair)
        assert raised.value.code == Code.S034
        postgres(target, "INSERT INTO t SELECT * FROM generate_series(11, 20) ON CONFLICT DO NOTHING")
    assert postgres(target, "SELECT count(*) FROM t") == [(40,)]
    # Without a snapshot the rows may have come in between: no error, and nothing that is verified.
    mysql(source, "ALTER TABLE t ENGINE = MyISAM")
    for repair in (None, Repair(catches_up=True)):
        postgres(target, "DELETE FROM t WHERE id BETWEEN 11 AND 20")
        result = verify(parse(source), parse(target), Options(), "full", silent, repair=repair)
        assert (result.verdict, result.tables[0].rows_missing) == ("differs", 10)
        assert [one.severity for one in result.findings if one.code == Code.S034] == ["note"]
    mysql(source, "INSERT INTO t VALUES (50)")
    monkeypatch.setattr("converge.run.repair._fetches", lambda *_: ())
    with pytest.raises(BlockedError, match="t: rows have been written in the source meanwhile"):
        verify(parse(source), parse(target), Options(), "full", silent, repair=repair)


def test_a_range_is_read_by_the_primary_key(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect.connect(parse(loaded.url))
    with connection:
        for case in CASES:
            if case.ranges:
                table = loaded.plan.table(case.name)
                monkeypatch.setattr(chunks, "CHUNK_BYTES", table.data_bytes // 12)
                ranges = list(chunks.cut(connection, table.extent))
                # The optimizer may rather scan a range that is most of the table: these are a twelfth of it.
                for part in (ranges[0], ranges[len(ranges) // 2], ranges[-1]):
                    assert access(loaded.url, table, where(table.key, part)) == ("range", "PRIMARY"), (
                        case.name,
                        part,
                    )


def access(url: str, table: TablePlan, condition: str) -> tuple[str, str]:
    sql = f"EXPLAIN FORMAT=JSON SELECT * FROM {my_name(table.source)}{condition}"
    ((text,),) = mysql(url, sql.replace("%", "%%"))
    block = json.loads(text)["query_block"]
    if block.get("message") == "Impossible WHERE":  # nothing is above the type's largest number
        return "range", "PRIMARY"
    return block["table"]["access_type"], block["table"].get("key", "")


def test_a_table_without_a_key_is_one_range(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    table = loaded.plan.table("dense")
    keyless = TablePlan(table.source, table.target, table.columns, (), 100, 100_000)
    connection = connect.connect(parse(loaded.url))
    with connection:
        (only,) = chunks.cut(connection, keyless.extent)
    assert (only.low, only.high) == (None, None)


def test_a_plan_of_an_earlier_version_is_cut_alike(loaded: Loaded) -> None:
    """It has no types of the key; a table whose key is not known whole is one range."""
    for table in loaded.plan.tables:
        assert replace(table, key_types=()).extent == table.extent
        rest = tuple(column for column in table.columns if column.source not in table.key)
        assert replace(table, key_types=(), columns=rest).extent.key == ()


@pytest.mark.parametrize("text", ["MD5(n)", "''", *(f"REPEAT('x',{n})" for n in (250, 251, "n % 300"))])
def test_rows_of_one_length_come_as_any_others(mysql_8033: Server, text: str) -> None:
    connection = connect.connect(parse(mysql_8033.url))
    numbers = "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT"
    fetch(connection, "SET cte_max_recursion_depth = 20000")
    for query in (f"{numbers} {text} FROM s", f"{numbers} IF(n % 9999 = 0,'other',{text}) FROM s"):
        rows = [row for _, some in stream(connection, query) for row in some]
        assert rows == [row.encode() for (row,) in fetch(connection, query)]
    with pytest.raises(NullRow):
        list(stream(connection, f"{numbers} IF(n = 20000,NULL,{text}) FROM s"))
    connection.close()
