"""The judge itself: equal tables of every type are equal, and each planted damage is found where it is."""

from __future__ import annotations

import ast
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import judge
import psycopg
import pytest
from judge import Difference, JudgeError, Missing, Report, compare

from converge.sandbox.server import connect_mysql

NewDatabase = Callable[[Any], str]
Literal = str | tuple[str, str]
"""One SQL literal for both servers, or MySQL's and PostgreSQL's."""


@dataclass(frozen=True)
class Case:
    """Rows 1…n hold `rows` (and one more NULL); each of `damages` is put into the target's row 1."""

    name: str
    source_type: str
    target_type: str
    rows: Sequence[Literal]
    damages: Sequence[str]
    null: bool = True

    @property
    def literals(self) -> list[tuple[str, str]]:
        rows = [*self.rows, "NULL"] if self.null else self.rows
        return [(row, row) if isinstance(row, str) else row for row in rows]


def wkb_point(x: float, y: float, srid: int = 0) -> str:
    """Little-endian WKB, or PostGIS's EWKB where there is an SRID, in hex."""
    head = struct.pack("<BII", 1, 1 | 0x20000000, srid) if srid else struct.pack("<BI", 1, 1)
    return (head + struct.pack("<dd", x, y)).hex()


POINT = wkb_point(1.5, -2.25)
UUID = "0b6ab1f4-55a5-4b0e-8c3e-0242ac120002"
HEX = UUID.replace("-", "")
ONES = "1" * 64
DIGITS = "9" * 35 + "." + "9" * 30
SET = "SET('a','b','x|y','NULL')"
BIT = "b'1000000001'"

CASES = [
    Case("tinyint", "TINYINT", "smallint", ["-128", "127", "0"], ["-127", "NULL"]),
    Case("tinyint_unsigned", "TINYINT UNSIGNED ZEROFILL", "smallint", ["7", "255"], ["-7", "8"]),
    Case("smallint_unsigned", "SMALLINT UNSIGNED", "integer", ["65535", "0"], ["65534"]),
    Case("mediumint", "MEDIUMINT", "integer", ["-8388608", "8388607"], ["-8388607"]),
    Case("int", "INT", "integer", ["-2147483648", "2147483647"], ["2147483647", "0"]),
    Case("int_unsigned", "INT UNSIGNED", "bigint", ["4294967295"], ["-1", "4294967294"]),
    Case(
        "bigint", "BIGINT", "bigint", ["9223372036854775807", "-9223372036854775808"], ["9223372036854775806"]
    ),
    Case(
        "bigint_unsigned",
        "BIGINT UNSIGNED",
        "numeric",
        ["18446744073709551615", "0"],
        ["18446744073709551614", "18446744073709551615.5", "'NaN'", "-1"],
    ),
    Case("year", "YEAR", "smallint", ["1901", "2155", "0"], ["1902"]),
    Case("tinyint_boolean", "TINYINT(1)", "boolean", [("1", "true"), ("0", "false")], ["false", "NULL"]),
    Case("bit_boolean", "BIT(1)", "boolean", [("b'0'", "false"), ("b'1'", "true")], ["true"]),
    Case("bit", "BIT(10)", "bit(10)", [(BIT, f"B{BIT[1:]}"), ("0", "B'0000000000'")], ["B'1000000000'"]),
    Case("bit_width", "BIT(3)", "varbit", [("b'1'", "B'001'")], ["B'1'", "B'0001'"]),
    Case("bit_full", "BIT(64)", "bit(64)", [(f"b'{ONES}'", f"B'{ONES}'")], [f"B'{ONES[:-1]}0'"]),
    Case("bit_number", "BIT(64)", "numeric", [(f"b'{ONES}'", "18446744073709551615")], ["-1"]),
    Case("decimal", "DECIMAL(65,30)", "numeric", [DIGITS, f"-{DIGITS}"], [DIGITS[:-1] + "8", f"-{DIGITS}"]),
    Case("decimal_scale", "DECIMAL(6,2) ZEROFILL", "numeric", ["1.50", "0.00", "9999.99"], ["1.5", "1.500"]),
    Case("float", "FLOAT", "real", ["16777214", "0.1", "-3.40282347e38", "1.17549435e-38"], ["16777215"]),
    Case(
        "double",
        "DOUBLE",
        "double precision",
        [
            "0.1",
            "1e23",
            "1.7976931348623157e308",
            "-2.2250738585072014e-308",
            "1e-310",
            ("-0e0", "0"),
            "1e15",
        ],
        ["0.10000000000000002", "0.09999999999999999", "-0.1", "'NaN'", "'infinity'"],
    ),
    Case("double_fixed", "DOUBLE(10,2)", "double precision", ["1234567.89"], ["1234567.8900000001"]),
    Case("double_zero", "DOUBLE", "double precision", [("0", "'-0'")], ["5e-324"]),
    Case("char", "CHAR(5)", "varchar(5)", ["'Ab'", "''", "'  b'", ("'c  '", "'c'")], ["'ab'", "'Ab '", "''"]),
    Case("char_char", "CHAR(5)", "char(5)", ["'Ab'", "''"], ["'AB'"]),
    Case("empty", "VARCHAR(9)", "varchar(9)", ["''", "' '", "'NULL'"], ["NULL", "' '", "'NULL'"]),
    Case("varchar_space", "VARCHAR(9)", "varchar(9)", ["'a '", "'a'", "' a'"], ["'a'", "'a  '", "'A '"]),
    Case("combining", "VARCHAR(9)", "text", ["'\u00e9'", "'e\u0301'"], ["'e\u0301'", "'e'", "'\u00c9'"]),
    Case("latin1", "VARCHAR(9) CHARACTER SET latin1", "text", ["'€ÿ\u0081Zoë'"], ["'€ÿ\u0081Zoe'"]),
    Case("text", "TEXT", "text", ["'\t\n\r\u200b😀'", ("'\\\\N'", "'\\N'"), "'a|b'"], ["'\t\n\u200b😀'"]),
    Case(
        "longtext",
        "LONGTEXT",
        "text",
        ["REPEAT('ä', 70000)"],
        ["REPEAT('ä', 69999)", "REPEAT('ä', 69999) || 'a'"],
    ),
    Case("text_bytea", "VARCHAR(9)", "bytea", [("'a\\0ä'", r"'\x6100c3a4'")], [r"'\x61c3a4'"]),
    Case("enum", "ENUM('b','a','')", "mood", ["'b'", "'a'", "''"], ["'a'", "''", "NULL"]),
    Case("enum_text", "ENUM('b','B ')", "varchar(9)", ["'b'"], ["'B'", "'b '", "'1'"]),
    Case(
        "set", SET, "text[]", [("'b,a'", "'{a,b}'"), ("''", "'{}'")], ["'{b,a}'", "'{\"a,b\"}'", "'{a,NULL}'"]
    ),
    Case("set_null", SET, "text[]", [("'NULL'", "'{\"NULL\"}'"), ("'x|y'", "'{x|y}'")], ["'{NULL}'", "'{}'"]),
    Case("set_text", SET, "text", ["'a,b'", "''"], ["'b,a'", "'a'", "''", "NULL"]),
    Case(
        "date",
        "DATE",
        "date",
        ["'2024-02-29'", "'1000-01-01'", "'9999-12-31'"],
        ["'2024-03-01'", "'infinity'"],
    ),
    Case(
        "datetime",
        "DATETIME(6)",
        "timestamp(6)",
        ["'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00'", "'2024-03-31 02:30:00.1'"],
        ["'9999-12-31 23:59:59.999998'", "'-infinity'", "'19999-12-31 23:59:59.999999'"],
    ),
    Case(
        "timestamp",
        "TIMESTAMP(6) NULL",
        "timestamptz(6)",
        [
            ("'2038-01-19 03:14:07.999999'", "'2038-01-19 03:14:07.999999+00'"),
            ("'1970-01-01 00:00:01'", "'1970-01-01 02:00:01+02'"),
        ],
        ["'2038-01-19 03:14:07.999998+00'", "'2038-01-19 03:14:07.999999+01'"],
    ),
    Case(
        "time", "TIME(6)", "time(6)", ["'23:59:59.999999'", "'00:00:00'"], ["'23:59:59.999998'", "'24:00:00'"]
    ),
    Case(
        "time_interval",
        "TIME(6)",
        "interval",
        [
            "'-838:59:58.999999'",
            "'838:59:59'",
            "'-00:00:00.000001'",
            ("'76:00:01.5'", "'3 days 04:00:01.5'"),
            ("'-72:00:00'", "'-3 days'"),
            "'00:00:00'",
        ],
        ["'-838:59:58.999998'", "'838:59:58.999999'", "'-1 mon -118:59:58.999999'"],
    ),
    Case(
        "json",
        "JSON",
        "jsonb",
        [
            '\'{"b": [1e300, 1.0, null, true, "ü"], "a": {"": 18446744073709551615}}\'',
            "'null'",
            "'\"\"'",
            "'-0.1e-7'",
        ],
        [
            '\'{"b": [1e300, 1.0, null, 1, "ü"], "a": {"": 18446744073709551615}}\'',
            '\'{"b": [1e300, 1.0, null, true, "ü"], "a": {"": 18446744073709551616}}\'',
            '\'{"b": [1e300, 1.0, true, null, "ü"], "a": {"": 18446744073709551615}}\'',
            '\'{"b": [1e300, "1.0", null, true, "ü"], "a": {"": 18446744073709551615}}\'',
            '\'{"b": [1e300, 1.0, null, true, "ü"], "A": {"": 18446744073709551615}}\'',
            "'null'",
            "NULL",
        ],
    ),
    Case(
        "json_json",
        "JSON",
        "json",
        [("'{\"a\": 1}'", "'{\"a\": 1.0 }'"), ('\'{"a": 1, "bb": 2}\'', '\'{"bb": 2, "a": 1}\'')],
        ['\'{"a": 1, "a": 1}\'', "'{}'"],
    ),
    Case("json_text", "JSON", "text", ["'[1, 2]'"], ["'[2, 1]'", "'[1, 2'", "''"]),
    Case("json_null", "JSON", "jsonb", ["'null'"], ["NULL", "'\"null\"'"]),
    Case("binary", "BINARY(4)", "bytea", [("x'00ff'", r"'\x00ff0000'")], [r"'\x00ff'", r"'\x00ff0020'"]),
    Case("varbinary", "VARBINARY(4)", "bytea", [("x'ff00'", r"'\xff00'"), ("''", "''")], [r"'\xff'", "''"]),
    Case("blob", "BLOB", "bytea", [("x'5c78303027'", r"'\x5c78303027'")], [r"'\x5c78303028'", "'x00'"]),
    Case("binary_text", "VARBINARY(4)", "text", [("x'c3a9'", "'é'"), ("''", "''")], ["'e'", "' '"]),
    Case("binary_uuid", "BINARY(16)", "uuid", [(f"x'{HEX}'", f"'{UUID}'")], [f"'{UUID[:-1]}3'"]),
    Case(
        "char_uuid",
        "CHAR(36)",
        "uuid",
        [(f"'{UUID.upper()}'", f"'{UUID}'"), (f"'{HEX}'", f"'{UUID}'")],
        [f"'{UUID[:-1]}3'", "NULL"],
    ),
    Case(
        "geometry",
        "GEOMETRY",
        "bytea",
        [
            ("ST_GeomFromText('POINT(1.5 -2.25)', 3857)", rf"'\x{wkb_point(1.5, -2.25, 3857)}'"),
            ("ST_GeomFromText('POINT(1.5 -2.25)')", rf"'\x{POINT}'"),
            ("ST_GeomFromText('POINT(-2.25 1.5)', 4326)", rf"'\x{wkb_point(1.5, -2.25, 4326)}'"),
        ],
        [rf"'\x{POINT}'", rf"'\x{POINT[:-1]}1'", rf"'\x{wkb_point(-2.25, 1.5)}'"],
    ),
    Case("virtual", "INT AS (id * 2) VIRTUAL", "integer", [("DEFAULT", "2")], ["3", "NULL"], null=False),
    Case("stored", "INT AS (id * 3) STORED", "integer", [("DEFAULT", "3")], ["2"], null=False),
]


class Pair:
    """A database on each side."""

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target

    def in_source(self, *statements: str) -> None:
        with connect_mysql(self.source) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00', sql_mode = ''")
            for statement in statements:
                cursor.execute(statement)

    def in_target(self, *statements: str) -> None:
        with psycopg.connect(self.target, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def in_both(self, *statements: str) -> None:
        self.in_source(*statements)
        self.in_target(*statements)


@pytest.fixture
def pair(
    new_mysql_database: NewDatabase, new_postgres_database: NewDatabase, mysql_8015: Any, postgres_175: Any
) -> Pair:
    return Pair(new_mysql_database(mysql_8015), new_postgres_database(postgres_175))


def load(pair: Pair, cases: Sequence[Case]) -> None:
    source, target = [], ["CREATE TYPE mood AS ENUM ('b', 'a', '')"]
    for case in cases:
        source.append(
            f"CREATE TABLE `{case.name}` (id INT PRIMARY KEY, v {case.source_type}) DEFAULT CHARSET utf8mb4"
        )
        target.append(f'CREATE TABLE "{case.name}" (id integer PRIMARY KEY, v {case.target_type})')
        for number, (left, right) in enumerate(case.literals, 1):
            source.append(f"INSERT INTO `{case.name}` VALUES ({number}, {left})")
            target.append(f'INSERT INTO "{case.name}" VALUES ({number}, {right})')
    pair.in_source(*source)
    pair.in_target(*target)


def test_every_type_is_equal_and_every_damage_is_found(pair: Pair) -> None:
    """Each case has its own table: the first, the second, … damage of all cases are tried together."""
    load(pair, CASES)
    report = compare(pair.source, pair.target)
    assert report.equal, str(report)
    assert {name: (table.rows_source, table.rows_target) for name, table in report.tables.items()} == {
        case.name: (len(case.literals), len(case.literals)) for case in CASES
    }
    assert str(report).startswith("EQUAL\n")

    for turn in range(max(len(case.damages) for case in CASES)):
        damaged = {case.name: case.damages[turn] for case in CASES if turn < len(case.damages)}
        pair.in_target(*(f'UPDATE "{name}" SET v = {value} WHERE id = 1' for name, value in damaged.items()))
        report = compare(pair.source, pair.target, tables=damaged)
        assert places(report) == {name: [(name, (1,), "v")] for name in damaged}, damaged
        assert not any(table.equal for table in report.tables.values())

    ends = {case.name: (case.literals[0][1], len(case.literals)) for case in CASES if case.null}
    pair.in_target(
        *(f'UPDATE "{name}" SET v = {first} WHERE id IN (1, {end})' for name, (first, end) in ends.items())
    )
    report = compare(pair.source, pair.target, tables=ends)
    assert places(report) == {name: [(name, (end,), "v")] for name, (_, end) in ends.items()}, (
        "NULL to a value"
    )
    assert all(item.source_value is None and item.target_value is not None for item in report.differences)


def places(report: Report) -> dict[str, list[tuple[str, Any, str | None]]]:
    return {
        name: [(item.table, item.key, item.column) for item in table.differences]
        for name, table in report.tables.items()
    }


SINGLE = struct.unpack("f", struct.pack("f", 0.1))[0]
UNEQUAL: list[tuple[str, str, str, tuple[str, str], Any, Any]] = [
    ("zero_date", "DATE", "date", ("'0000-00-00'", "NULL"), "0000-00-00", None),
    ("partial_date", "DATE", "date", ("'2024-00-15'", "'2024-01-15'"), "2024-00-15", date(2024, 1, 15)),
    ("zero_datetime", "DATETIME(1)", "timestamp", ("0", "'-infinity'"), "0000-00-00 00:00:00.0", "-infinity"),
    (
        "long_time",
        "TIME",
        "interval",
        ("'-838:59:59'", "'0'"),
        -timedelta(hours=838, seconds=3599),
        timedelta(0),
    ),
    ("two", "TINYINT(1)", "boolean", ("2", "true"), 2, True),
    ("minus_one", "TINYINT(1)", "boolean", ("-1", "true"), -1, True),
    ("narrowed", "DOUBLE", "real", ("0.1", "0.1"), 0.1, SINGLE),
    ("widened_by_text", "FLOAT", "double precision", ("0.1", "0.1"), SINGLE, 0.1),
    ("padded", "VARCHAR(9)", "char(9)", ("'a '", "'a '"), "a ", "a"),
    ("no_uuid", "CHAR(36)", "uuid", ("''", "NULL"), "", None),
    ("lost_scale", "DECIMAL(6,2)", "bigint", ("5", "5"), "5.00", "5"),
    ("invalid_enum", "ENUM('a')", "text", ("'invalid'", "NULL"), "", None),
]


def test_values_that_the_target_cannot_hold(pair: Pair) -> None:
    load(pair, [Case(name, left, right, [literals], []) for name, left, right, literals, _, _ in UNEQUAL])
    expected = [Difference(name, (1,), "v", left, right) for name, *_, left, right in sorted(UNEQUAL)]
    assert sorted(compare(pair.source, pair.target).differences, key=lambda item: item.table) == expected


KEYED = [
    "CREATE TABLE keyed (n INT, a VARCHAR(9), b VARCHAR(9), s VARCHAR(9), PRIMARY KEY (a, b))",
    "INSERT INTO keyed VALUES (1, 'a|b', 'c', 'x'), (2, 'a', 'b|c', 'y')",
    "INSERT INTO keyed VALUES (3, 'k', '', ''), (4, '', 'k', NULL)",
    "CREATE TABLE loose (n INT, s VARCHAR(9))",
    "INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, NULL), (2, ''), (NULL, NULL)",
]
ROWS = [
    pytest.param("DELETE FROM keyed WHERE n = 2", [(("a", "b|c"), None)], id="missing row"),
    pytest.param("INSERT INTO keyed VALUES (5, 'K', '', '')", [(("K", ""), None)], id="extra row"),
    pytest.param(
        "UPDATE keyed SET s = CASE n WHEN 1 THEN 'y' ELSE 'x' END WHERE n < 3",
        [(("a|b", "c"), "s"), (("a", "b|c"), "s")],
        id="values swapped between keys",
    ),
    pytest.param("UPDATE keyed SET s = NULL WHERE n = 3", [(("k", ""), "s")], id="empty to NULL"),
    pytest.param("UPDATE keyed SET s = '' WHERE n = 4", [(("", "k"), "s")], id="NULL to empty"),
    pytest.param(
        "UPDATE keyed SET a = 'K' WHERE n = 3", [(("k", ""), None), (("K", ""), None)], id="case of a key"
    ),
    pytest.param(
        "UPDATE keyed SET a = 'k ' WHERE n = 3", [(("k", ""), None), (("k ", ""), None)], id="space in a key"
    ),
    pytest.param(
        "ALTER TABLE keyed DROP CONSTRAINT keyed_pkey; INSERT INTO keyed SELECT * FROM keyed WHERE n = 1",
        [(("a|b", "c"), None)],
        id="duplicate key in the target",
    ),
    pytest.param("INSERT INTO loose VALUES (1, 'x')", [((1, "x"), None)], id="duplicate without a key"),
    pytest.param(
        "DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose)",
        [((1, "x"), None)],
        id="lost duplicate",
    ),
    pytest.param(
        "UPDATE loose SET s = '' WHERE n = 2", [((2, None), None), ((2, ""), None)], id="NULL without a key"
    ),
    pytest.param("DELETE FROM loose WHERE n IS NULL", [((None, None), None)], id="row of NULLs"),
]


@pytest.mark.parametrize(("damage", "expected"), ROWS)
def test_rows(pair: Pair, damage: str, expected: list[tuple[Any, str | None]]) -> None:
    pair.in_both(*KEYED)
    assert compare(pair.source, pair.target).equal
    pair.in_target(*damage.split("; "))
    report = compare(pair.source, pair.target)
    assert not report.equal
    found = [(item.key, item.column) for item in report.differences]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert {item.table for item in report.differences} == {"loose" if "loose" in damage else "keyed"}


KEYS: list[tuple[str, str, Literal, Literal]] = [
    ("DECIMAL(5,2)", "numeric(5,2)", "1.50", "-1.50"),
    ("DOUBLE", "double precision", "0.1", "1e23"),
    ("DATETIME(6)", "timestamp", "'2024-01-01 00:00:00.000001'", "'2024-01-01'"),
    ("BINARY(2)", "bytea", ("x'61'", r"'\x6100'"), ("x'00'", r"'\x0000'")),
    ("CHAR(36)", "uuid", (f"'{UUID.upper()}'", f"'{UUID}'"), f"'{HEX[::-1]}'"),
    ("VARCHAR(9) COLLATE utf8mb4_bin", "text", "'ä'", "'a\u0308'"),
    ("TIME", "interval", "'-30:00:00'", "'30:00:00'"),
    ("BIGINT UNSIGNED", "numeric(20,0)", "18446744073709551615", "1"),
]


def test_keys_of_many_types(pair: Pair) -> None:
    names = [f"t{number}" for number in range(len(KEYS))]
    for name, (source_type, target_type, *keys) in zip(names, KEYS, strict=True):
        one, two = ((key, key) if isinstance(key, str) else key for key in keys)
        pair.in_source(
            f"CREATE TABLE {name} (id {source_type} PRIMARY KEY, v INT) DEFAULT CHARSET utf8mb4",
            f"INSERT INTO {name} VALUES ({one[0]}, 1), ({two[0]}, 2)",
        )
        pair.in_target(
            f"CREATE TABLE {name} (id {target_type} PRIMARY KEY, v integer)",
            f"INSERT INTO {name} VALUES ({two[1]}, 2), ({one[1]}, 1)",
        )
    report = compare(pair.source, pair.target)
    assert report.equal, str(report)
    pair.in_target(*(f"UPDATE {name} SET v = 3 - v" for name in names))
    report = compare(pair.source, pair.target)
    for name in names:
        found = {
            (item.column, item.source_value, item.target_value) for item in report.tables[name].differences
        }
        assert found == {("v", 1, 2), ("v", 2, 1)}, name


def test_one_sided_tables_and_columns(pair: Pair) -> None:
    pair.in_both("CREATE TABLE both_sides (id INT PRIMARY KEY)")
    pair.in_source(
        "CREATE TABLE `left` (id INT)", "ALTER TABLE both_sides ADD old INT", "CREATE VIEW w AS SELECT 1"
    )
    pair.in_target('CREATE TABLE "right" (id INT)', "ALTER TABLE both_sides ADD new INT")
    report = compare(pair.source, pair.target)
    assert report.missing == [Missing("left", None, "source"), Missing("right", None, "target")]
    table = report.tables["both_sides"]
    assert table.missing == [Missing("both_sides", "old", "source"), Missing("both_sides", "new", "target")]
    assert not table.equal
    assert compare(pair.source, pair.target, tables=["left"]).missing == [Missing("left", None, "source")]


def test_names_in_another_case_schema_partitions_and_domains(pair: Pair) -> None:
    pair.in_source(
        'CREATE TABLE `Odd ``"Name` (`Id` INT PRIMARY KEY, `a%s` INT)', 'INSERT `Odd ``"Name` VALUES (7, 8)'
    )
    pair.in_target(
        "CREATE SCHEMA other",
        "CREATE DOMAIN small AS integer",
        'CREATE TABLE other."odd `""name" (id small, "a%s" small) PARTITION BY LIST (id)',
        'CREATE TABLE other.part PARTITION OF other."odd `""name" DEFAULT',
        'INSERT INTO other."odd `""name" VALUES (7, 8)',
    )
    report = compare(pair.source, pair.target, schema="other")
    assert report.equal, str(report)
    assert report.tables['Odd `"Name'].rows_target == 1
    assert not compare(pair.source, pair.target).equal


def test_the_cap_keeps_the_count(pair: Pair) -> None:
    pair.in_both("CREATE TABLE t (id INT PRIMARY KEY)")
    pair.in_target("INSERT INTO t SELECT generate_series(1, 5000)")
    report = compare(pair.source, pair.target, cap=3)
    table = report.tables["t"]
    assert (table.rows_source, table.rows_target, table.difference_count) == (0, 5000, 5000)
    assert len(table.differences) == 3
    assert "4997 more" in str(report)


REFUSED = {
    "a": ("VARCHAR(40)", "inet"),
    "b": ("INT", "text"),
    "c": ("BLOB", "date"),
    "d": ("TIME", "timetz"),
    "e": ("DECIMAL(9,2)", "money"),
}


def test_an_unknown_pair_of_types_is_refused(pair: Pair) -> None:
    load(pair, [Case(name, *types, [], []) for name, types in REFUSED.items()])
    for name in REFUSED:
        with pytest.raises(JudgeError, match=rf"{name}\.v: cannot judge"):
            compare(pair.source, pair.target, tables=[name])


def test_nothing_to_compare_is_no_verdict(pair: Pair) -> None:
    with pytest.raises(JudgeError, match="no table"):
        compare(pair.source, pair.target)
    pair.in_source("CREATE TABLE t (id INT)")
    with pytest.raises(JudgeError, match="neither side has nope"):
        compare(pair.source, pair.target, tables=["t", "nope"])


def test_the_judge_is_independent() -> None:
    for path in Path(judge.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "psycopg", "pymysql"}, path.name
