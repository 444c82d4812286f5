"""Every type that a column of the target may have: what arrives, what is found, what is refused before."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psycopg
import pytest
from conftest import NewDatabase
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import converge, mysql, postgres

from bench.sql import writable
from converge.model.catalog import Column
from converge.model.quote import my_text
from converge.model.result import MOST_DIFFERENCES
from converge.postgres.copy import encode
from converge.sandbox import Server
from converge.types import Value, check_target, form, normal

PAIRS = [
    ("mysql_8015", "postgres_14"), ("mysql_8015", "postgres_175"),
    ("mysql_8033", "postgres_14"), ("mysql_8033", "postgres_175"),
]  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A MySQL type, a target type, and values as SQL with what PostgreSQL prints of them."""

    type: str
    to: str
    values: dict[str, str]
    using: str = ""


def texts(*values: str) -> dict[str, str]:
    """Texts that arrive as they are."""
    return {my_text(value): value for value in values}


_LONG_NUMBER = "12345678901234567890.12345678901234567890"
WAYS = (
    # Texts as texts.
    Way(
        "CHAR(5)",
        "character(5)",
        {"'ab'": "ab   ", "''": "     ", "' a\u00e9'": " a\u00e9  ", "'|;~'": "|;~  "},
    ),
    Way("VARCHAR(9)", "character(12)", {"' a'": " a          ", "'a\\t'": "a\t          "}),
    Way("VARCHAR(9)", "bpchar", texts("ab", "", "\\N")),
    Way("TEXT", "character varying(44)", texts("a ", "", "~", "\\")),
    Way("VARCHAR(9)", "character varying", texts("a", "A")),
    Way("TINYTEXT", "citext", texts("Aa", "aA")),
    # Texts as something else.
    Way(
        "TEXT CHARACTER SET latin1",
        "json",
        texts('{"a": 1,  "a":"\u00e9"}', " 1e5 ", '"\\ud83d\\ude00"', "[]"),
    ),
    Way(
        "LONGTEXT",
        "jsonb",
        {
            """'{"bb":1,"a":[1,2,{"c":null}],"a":2}'""": '{"a": 2, "bb": 1}',
            "'1.10'": "1.10",
            "'1e2'": "100",
            "'123456789012345678901234567890'": "123456789012345678901234567890",
            "'0.1000000000000000055'": "0.1000000000000000055",
            "'-0'": "0",
            "'\"\\\\\\\\u0000\"'": '"\\\\u0000"',
            "'\"\\\\u00e9\\\\ud83d\\\\ude00\"'": '"\u00e9\U0001f600"',
            "'  [ ] '": "[]",
            "'1e-5'": "0.00001",
        },
    ),
    Way("VARCHAR(30)", "smallint", texts("0", "-1", "32767", "-32768")),
    Way("VARCHAR(30) CHARACTER SET ucs2", "integer", texts("0", "2147483647", "-2147483648")),
    Way("CHAR(30)", "bigint", texts("7", "9223372036854775807", "-9223372036854775808")),
    Way("TEXT", "numeric", texts("0", "0.00", "-1.50", "9" * 200 + "." + "1" * 30, _LONG_NUMBER)),
    Way("VARCHAR(30)", "numeric(10,2)", texts("0.00", "-0.01", "12345678.90", "1.50")),
    Way("VARCHAR(30)", "numeric(2,2)", texts("0.00", "-0.99")),
    Way("VARCHAR(9)", "boolean", {"'true'": "t", "'false'": "f"}),
    Way("VARCHAR(30)", "date", texts("2024-02-29", "0001-01-01", "9999-12-31")),
    Way(
        "VARCHAR(30)",
        "timestamp without time zone",
        texts("2024-02-29 23:59:59.000001", "0001-01-01 00:00:00"),
    ),
    Way(
        "VARCHAR(30)",
        "timestamp(3) with time zone",
        texts("2024-02-29 23:59:59.001+00", "1970-01-01 00:00:00+00"),
    ),
    Way("VARCHAR(30)", "time(0) without time zone", texts("23:59:59", "00:00:00")),
    Way(
        "VARCHAR(50)",
        "inet",
        texts(
            "1.2.3.4",
            "10.0.0.1/8",
            "::",
            "::1",
            "1:0:2:3:4:5:6:7",
            "1::2:0:0:3:4",
            "::ffff:1.2.3.4",
            "2001:db8::/32",
            "fe80::1/64",
            "0.0.0.0/0",
        ),
    ),
    Way(
        "VARCHAR(50)",
        "cidr",
        texts("10.0.0.0/8", "1.2.3.4/32", "2001:db8::/32", "::1/128", "0.0.0.0/0", "8000::/1"),
    ),
    Way("VARCHAR(9)", "bytea", {"'\u00e9'": "\\xc3a9", "''": "\\x"}),
    # Integers.
    Way(
        "BIGINT",
        "double precision",
        {
            "9007199254740992": "9.007199254740992e+15",
            "-9007199254740991": "-9.007199254740991e+15",
            "0": "0",
            "1234567890123456": "1.234567890123456e+15",
        },
    ),
    Way("INT UNSIGNED", "real", {"16777216": "1.6777216e+07", "0": "0", "16777215": "1.6777215e+07"}),
    Way("MEDIUMINT", "numeric(9,2)", {"-8388608": "-8388608.00", "0": "0.00"}),
    Way("BIGINT UNSIGNED", "text", {"18446744073709551615": "18446744073709551615", "0": "0"}),
    Way("INT(6) ZEROFILL", "character varying(10)", {"42": "42", "0": "0"}),
    Way("SMALLINT", "character(6)", {"-32768": "-32768", "7": "7     "}),
    Way("YEAR", "integer", {"2155": "2155", "1901": "1901"}),
    Way("INT", "boolean", {"1": "t", "0": "f"}),
    # Bits.
    Way("BIT(3)", "bit(5)", {"b'101'": "00101", "b'0'": "00000"}),
    Way("BIT(9)", "bit(3)", {"b'101'": "101", "b'0'": "000"}),
    Way("BIT(5)", "bit varying(5)", {"b'101'": "00101", "b'0'": "00000"}),
    Way("BIT(12)", "bit varying", {"b'101'": "000000000101", "b'111111111111'": "1" * 12}),
    Way("BIT(12)", "bytea", {"b'101'": "\\x0005", "b'111111111111'": "\\x0fff"}),
    Way("BIT(64)", "bigint", {f"b'0{'1' * 63}'": "9223372036854775807", "b'0'": "0"}),
    Way("BIT(64)", "numeric(20,0)", {f"b'{'1' * 64}'": "18446744073709551615", "b'0'": "0"}),
    Way("BIT(1)", "boolean", {"b'1'": "t", "b'0'": "f"}),
    # Exact numbers.
    Way("DECIMAL(10,3)", "numeric(8,1)", {"1.500": "1.5", "-9999999.900": "-9999999.9", "0": "0.0"}),
    Way("DECIMAL(10,3)", "numeric(20,5)", {"1.5": "1.50000", "-0.001": "-0.00100"}),
    Way("DECIMAL(10,0)", "numeric(40,35)", {"15": "15." + "0" * 35, "-1": "-1." + "0" * 35}),
    Way("DECIMAL(10,3)", "numeric", {"1.5": "1.500", "0": "0.000"}),
    Way("DECIMAL(20,2)", "bigint", {"-100.00": "-100", "9223372036854775.00": "9223372036854775", "0": "0"}),
    Way("DECIMAL(8,0)", "integer", {"100": "100", "-12345678": "-12345678"}),
    Way(
        "DECIMAL(20,3)",
        "double precision",
        {
            "0.1": "0.1",
            "-9007199254740992.000": "-9.007199254740992e+15",
            "123456789012.125": "123456789012.125",
            "0": "0",
        },
    ),
    Way("DECIMAL(20,3) ZEROFILL", "text", {"1.5": "1.500", "0": "0.000"}),
    Way("DECIMAL(65,30)", "character varying(70)", {"-1.5": "-1.5" + "0" * 29, "0": "0." + "0" * 30}),
    # Approximate numbers.
    Way(
        "DOUBLE",
        "real",
        {
            "0.5": "0.5",
            "3.4028234663852886e38": "3.4028235e+38",
            "-16777216": "-1.6777216e+07",
            "0": "0",
            "1.1754943508222875e-38": "1.1754944e-38",
        },
    ),
    Way(
        "DOUBLE",
        "numeric",
        {
            "0.1": "0.1",
            "-1.5e34": "-15" + "0" * 33,
            "0": "0",
            "1e23": "1" + "0" * 23,
            "0.00014765311789233238": "0.00014765311789233238",
            "-0e0": "0",
        },
    ),
    Way("FLOAT", "numeric", {"0.1": "0.10000000149011612", "16777216": "16777216"}),
    Way("DOUBLE", "numeric(10,2)", {"0.25": "0.25", "-12345678.5": "-12345678.50"}),
    Way("FLOAT", "double precision", {"0.1": "0.10000000149011612", "1e-45": "1.401298464324817e-45"}),
    # Members.
    Way(
        "ENUM('a','it''s','\u00e9 ','b|;')",
        "character varying(9)",
        {"'a'": "a", "'it''s'": "it's", "'b|;'": "b|;"},
    ),
    Way("ENUM('a','B')", "character(3)", {"'a'": "a  ", "'B'": "B  "}),
    Way("SET('a','it''s','\\\\','\"')", "text", {"''": "", "'a,it''s'": "a,it's", "'\\\\,\"'": '\\,"'}),
    Way("SET('a','b')", "character varying(3)", {"3": "a,b", "0": ""}),
    # JSON.
    Way(
        "JSON",
        "text",
        {"""'{"bb":1.0,"a":"\u00e9\\\\n"}'""": '{"a": "\u00e9\\n", "bb": 1.0}', "'1e300'": "1e300"},
    ),
    Way("JSON", "json", {'\'{"b":1,"a":2}\'': '{"a": 2, "b": 1}', "'null'": "null"}),
    # Times.
    Way(
        "DATETIME(6)",
        "timestamp(3) without time zone",
        {"'2024-02-29 23:59:59.999'": "2024-02-29 23:59:59.999", "'0001-01-01'": "0001-01-01 00:00:00"},
    ),
    Way(
        "DATETIME(6)",
        "timestamp(0) without time zone",
        {"'2024-02-20 10:00:00'": "2024-02-20 10:00:00", "'9999-12-31 23:59:59'": "9999-12-31 23:59:59"},
    ),
    Way(
        "DATETIME",
        "timestamp with time zone",
        {"'2024-02-29 10:00:00'": "2024-02-29 10:00:00+00", "'1000-01-01'": "1000-01-01 00:00:00+00"},
    ),
    Way("DATETIME(3)", "date", {"'2024-02-29'": "2024-02-29", "'1000-01-10'": "1000-01-10"}),
    Way(
        "TIMESTAMP(6) NULL",
        "timestamp(6) without time zone",
        {"'2024-02-29 10:00:00.5'": "2024-02-29 10:00:00.5", "'1970-01-02'": "1970-01-02 00:00:00"},
    ),
    Way(
        "DATE",
        "timestamp without time zone",
        {"'2024-02-29'": "2024-02-29 00:00:00", "'1000-01-01'": "1000-01-01 00:00:00"},
    ),
    Way(
        "DATE",
        "timestamp(0) with time zone",
        {"'2024-02-29'": "2024-02-29 00:00:00+00", "'1000-01-01'": "1000-01-01 00:00:00+00"},
    ),
    Way("TIME(6)", "time(2) without time zone", {"'23:59:59.99'": "23:59:59.99", "'0'": "00:00:00"}),
    Way("TIME(3)", "interval", {"'-838:59:58.999'": "-838:59:58.999", "'10:00:00'": "10:00:00"}),
    # Bytes.
    Way("VARBINARY(9)", "character varying(3)", {"0xC3A9": "\u00e9", "''": "", "'a\\t\\\\'": "a\t\\"}),
    Way("BINARY(3)", "character(3)", {"'abc'": "abc", "'xyz'": "xyz"}),
    Way("BLOB", "jsonb", {"'{\"b\":[1 ,2]}'": '{"b": [1, 2]}', "'1.5'": "1.5"}),
    Way("LONGBLOB", "json", {"'{\"b\":[1 ,2]}'": '{"b":[1 ,2]}', "'1.50'": "1.50"}),
    Way(
        "BINARY(36)",
        "uuid",
        {
            "'01234567-89AB-CDEF-0123-456789ABCDEF'": "01234567-89ab-cdef-0123-456789abcdef",
            "'00000000-0000-4000-8000-000000000000'": "00000000-0000-4000-8000-000000000000",
        },
    ),
    Way(
        "VARBINARY(16)",
        "uuid",
        {
            "0x0123456789AB4DEF8123456789ABCDEF": "01234567-89ab-4def-8123-456789abcdef",
            "0x00000000000040008000000000000000": "00000000-0000-4000-8000-000000000000",
        },
    ),
    # What a map's expression makes of another kind.
    Way(
        "BINARY(14)",
        "timestamp with time zone",
        {"'20230102030405'": "2023-01-02 03:04:05+00", "'99991231235959'": "9999-12-31 23:59:59+00"},
        "STR_TO_DATE({}, '%Y%m%d%H%i%s')",
    ),
    Way(
        "INT",
        "timestamp(3) without time zone",
        {"0": "1970-01-01 00:00:00", "1700000000": "2023-11-14 22:13:20"},
        "FROM_UNIXTIME({})",
    ),
    Way("INT UNSIGNED", "inet", {"16909060": "1.2.3.4", "0": "0.0.0.0"}, "INET_NTOA({})"),
    Way("VARCHAR(3)", "boolean", {"'yes'": "t", "'no'": "f"}, "ELT(FIELD({}, 'yes', 'no'), 'true', 'false')"),
    Way("DATETIME", "integer", {"'2024-02-29'": "2024", "'1000-01-01'": "1000"}, "YEAR({})"),
    Way("INT", "jsonb", {"1": '{"n": 1}', "2": '{"n": 2}'}, "CONCAT('{\"n\":', {}, '}')"),
)


@dataclass(frozen=True)
class Arrived:
    source: str
    target: str
    rules: str


@pytest.fixture(scope="module", params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def arrived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """A table with a column for each way, migrated."""
    mysql_server, postgres_server = (request.getfixturevalue(name) for name in request.param)
    for server in (mysql_server, postgres_server):
        server.drop_database("targets")
    source, target = mysql_server.create_database("targets"), postgres_server.create_database("targets")
    rules = tmp_path_factory.mktemp("targets") / "map.toml"
    rules.write_text(_map(WAYS), "utf-8")
    _fill(source, WAYS)
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(rules), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err + ran.out[-3000:]
    yield Arrived(source, target, str(rules))
    for server in (mysql_server, postgres_server):
        server.drop_database("targets")


def _map(ways: tuple[Way, ...]) -> str:
    lines = []
    for number, way in enumerate(ways):
        lines += ["[[column]]", f"match = {{ table = 't*', column = 'c{number}' }}", f"to = '{way.to}'"]
        lines += [f"using = '''{way.using}'''"] if way.using else []
    return "\n".join(lines)


def _fill(source: str, ways: tuple[Way, ...]) -> None:
    """Tables t0, t1, …: of each no more columns than differences of one table are shown."""
    statements = []
    for start in range(0, len(ways), MOST_DIFFERENCES):
        some = ways[start : start + MOST_DIFFERENCES]
        name = _table(start)
        columns = ", ".join(f"c{number} {way.type}" for number, way in enumerate(some, start))
        statements.append(f"CREATE TABLE {name} (id INT PRIMARY KEY, {columns}) CHARACTER SET utf8mb4")
        for row in range(1 + max(len(way.values) for way in some)):
            cells = ([*way.values, *["NULL"] * 20][row] for way in some)
            statements.append(f"INSERT INTO {name} VALUES ({row + 1}, {', '.join(cells)})")
    mysql(source, "; ".join(statements))


def _table(number: int) -> str:
    return f"t{number // MOST_DIFFERENCES}"


def test_every_value_arrives_as_it_should(arrived: Arrived) -> None:
    for number, way in enumerate(WAYS):
        name, table = f"c{number}", f"public.{_table(number)}"
        rows = postgres(arrived.target, f"SELECT format('%s', {name}) FROM {table} ORDER BY id")
        assert [row[0] for row in rows[: len(way.values)]] == [*way.values.values()], way
        kept = postgres(arrived.target, f"SELECT count({name}) FROM {table}")
        assert kept == [(len(way.values),)], way
        types = postgres(
            arrived.target,
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = '{table}'::regclass AND attname = '{name}'",
        )
        assert normal(types[0][0]) == normal(way.to), way


def test_a_wrong_value_is_found_in_every_type(arrived: Arrived) -> None:
    """Each column's first value becomes its second."""
    for number in range(len(WAYS)):
        table, name = f"public.{_table(number)}", f"c{number}"
        postgres(
            arrived.target,
            f"UPDATE {table} SET {name} = (SELECT {name} FROM {table} WHERE id = 2) WHERE id = 1",
        )
    ends = ("--source", arrived.source, "--target", arrived.target, "--map", arrived.rules)
    ran = converge("verify", *ends, "--json")
    found = {(one["table"], one["key"], one["column"]) for one in ran.json["differences"]}
    assert found == {(_table(number), "id=1", f"c{number}") for number in range(len(WAYS))}


SPOILED = (
    ("JSON", "text", "'[1]'", "'[1] '"),
    ("LONGTEXT", "jsonb", "'0.12345678901234567890'", "'0.12345678901234568'"),
    ("TEXT", "json", "'[1]'", "'[1 ]'"),
    ("BIGINT", "double precision", "5", "5.25"),
    ("BIGINT", "double precision", "9007199254740992", "9007199254740994"),
    ("DOUBLE", "numeric", "0.1", "0.1000000000000000055511151231257827"),
    ("DECIMAL(9,2)", "double precision", "0.1", "0.10000000000000002"),
    ("INT", "text", "5", "'5 '"),
    ("CHAR(5)", "character(5)", "'a'", "' a'"),
    ("VARCHAR(30)", "inet", "'1.2.3.4'", "'1.2.3.4/31'"),
    ("DATETIME", "date", "'2020-01-01'", "'2020-01-02'"),
    ("DATE", "timestamp", "'2020-01-01'", "'2020-01-01 00:00:00.000001'"),
    ("SET('a','b')", "text", "'a,b'", "'b,a'"),
    ("BIT(5)", "bytea", "5", "'\\x0005'"),
)  # fmt: skip


def test_the_smallest_damage_is_found(
    mysql_8015: Server, postgres_175: Server, new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase, tmp_path: Path,
) -> None:  # fmt: skip
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    ways = tuple(Way(type_, to, {value: ""}) for type_, to, value, _ in SPOILED)
    _fill(source, ways)
    rules = tmp_path / "map.toml"
    rules.write_text(_map(ways), "utf-8")
    ends = ("--source", source, "--target", target, "--map", str(rules), "--json")
    ran = converge("migrate", *ends)
    assert ran.json["verdict"] == "verified", ran.err
    changes = ", ".join(f"c{number} = {damage}" for number, (*_, damage) in enumerate(SPOILED))
    postgres(target, f"UPDATE public.t0 SET {changes} WHERE id = 1")
    found = {one["column"] for one in converge("verify", *ends).json["differences"]}
    assert found == {f"c{number}" for number in range(len(SPOILED))}


REFUSED = {
    "smallint": [
        "32768",
        "-32769",
        "007",
        "-0",
        " 1",
        "1 ",
        "+1",
        "1.0",
        "1e1",
        "",
        "\u0661",
        "1\n",
        "99999999999999999999",
    ],
    "numeric": ["-0", "-0.00", "1.", ".5", "01", "1e5", "NaN", "Infinity", "", "1,5", "9" * 1001],
    "numeric(4,2)": ["1.5", "123.00", "1.505", "-0.00", "1"],
    "boolean": ["1", "0", "t", "TRUE", "True", "yes", ""],
    "date": [
        "2023-02-29",
        "2023-2-1",
        "0000-01-01",
        "2023-00-01",
        "2023-01-01 ",
        "infinity",
        "",
        "10000-01-01",
    ],
    "timestamp": [
        "2023-02-29 00:00:00",
        "2023-01-01",
        "2023-01-01T00:00:00",
        "2023-01-01 24:00:00",
        "2023-01-01 00:00:60",
        "2023-01-01 00:00:00.10",
        "2023-01-01 00:00:00.1234567",
        "2023-01-01 00:00:00+00",
    ],
    "timestamp(3) with time zone": [
        "2023-01-01 00:00:00",
        "2023-01-01 00:00:00.1234+00",
        "2023-01-01 00:00:00Z",
    ],
    "time(0)": ["1:00:00", "00:00:00.5", "-01:00:00", "00:60:00"],
    "inet": [
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4/32",
        "1.2.3.4/33",
        "::1/128",
        "::1/129",
        "1:0:0:2:3:4:5:6",
        "1::2:3:4:5:6:7",
        "FE80::1",
        "fe80::01",
        "::ffff:102:304",
        "",
        "x",
        "1.2.3.4/",
        "1.2.3.4/08",
        "1.2.3.4/8/8",
        "::2:3",
    ],
    "cidr": ["1.2.3.4", "1.2.3.4/8", "10.0.0.0/33", "2001:db8::1/32", "::1", "8001::/15"],
    "json": [
        "",
        "{",
        "{a:1}",
        "nul",
        "'a'",
        '"a\tb"',
        '"\\ud800"',
        '"\\udc00"',
        '"\\ud83d\\ude00\\ude00"',
        "1e400",
        "[1,]",
    ],
    "jsonb": ["", '"\\u0000"', '"\\udc00"', "01"],
    "uuid": [
        "",
        " ",
        "x",
        "01234567-89ab-cdef-0123-456789abcde",
        "{01234567-89ab-cdef-0123-456789abcdef}",
        "01234567-89ab-cdef-0123-456789abcdef\n",
    ],
    "character(3)": ["abcd", "a ", " "],
    "varchar(3)": ["abcd", "    "],
}


@pytest.mark.parametrize("server", ["mysql_8015", "mysql_8033"])
def test_what_another_type_cannot_hold_is_counted(server: str, request: pytest.FixtureRequest) -> None:
    """Every value that the target would refuse, or print in another way, is in exactly one trap."""
    source = request.getfixturevalue(server).create_database("refused")
    connection = writable(source)
    column = Column("c", "varchar(2000)", "varchar", True, length=2000, charset="utf8mb4")
    with connection, connection.cursor() as cursor:
        for to, refused in REFUSED.items():
            cursor.execute("CREATE TABLE r (c VARCHAR(2000) COLLATE utf8mb4_general_ci)")
            cursor.executemany("INSERT INTO r VALUES (%s)", [(text,) for text in refused])
            traps = form(Value(column, to)).traps
            wheres = " OR ".join(f"({trap.where})" for trap in traps)
            cursor.execute(f"SELECT c FROM r WHERE NOT ({wheres}) OR ({wheres}) IS NULL")
            assert cursor.fetchall() == (), to
            cursor.execute("DROP TABLE r")
    request.getfixturevalue(server).drop_database("refused")


_DIGITS = st.text("0123456789", min_size=1, max_size=25)
_NUMBERS = st.builds("{}{}{}".format, st.sampled_from(["", "-", "+", " "]), _DIGITS,
                     st.sampled_from(["", ".", ".5", ".50", ".000", "e1", ".1234567"]))  # fmt: skip
_NEAR = st.builds("{:04}-{:02}-{:02}".format, st.sampled_from([0, 1, 1900, 2000, 2023, 2024, 9999]),
                  st.integers(0, 13), st.integers(0, 32))  # fmt: skip
_CLOCKS = st.builds("{:02}:{:02}:{:02}{}".format, st.integers(0, 24), st.integers(0, 60), st.integers(0, 60),
                    st.sampled_from(["", ".", ".1", ".10", ".123456", ".1234567"]))  # fmt: skip
_DAYS = st.dates().map(str) | _NEAR
_MOMENTS = st.builds("{}{}{}{}".format, _DAYS, st.sampled_from([" ", " ", "T", ""]), _CLOCKS,
                     st.sampled_from(["", "+00", "+01", "Z"]))  # fmt: skip
_JUNK = st.text("0123456789-+.eE:/ TZtruefals\n\u0661", max_size=12)
_DOCUMENTS = st.recursive(
    _NUMBERS
    | st.sampled_from(["null", "true", '"a"', '"\\u00e9"', '"\\ud800"', '"\\ude00\\ud83d"', "{}", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(inner, max_size=3).map(lambda items: "{" + ",".join(f'"a": {one}' for one in items) + "}")
    ),
    max_leaves=5,
)
SPELLINGS = {
    "smallint": _NUMBERS, "bigint": _NUMBERS, "numeric": _NUMBERS, "numeric(9,2)": _NUMBERS,
    "boolean": st.sampled_from(["true", "false", "t", "f", "TRUE", "yes", "1", "0", "true "]),
    "date": _DAYS, "timestamp": _MOMENTS, "timestamp(3)": _MOMENTS, "timestamp with time zone": _MOMENTS,
    "time": _CLOCKS, "time(1)": _CLOCKS, "uuid": st.uuids().map(str), "json": _DOCUMENTS,
    "inet": _JUNK, "character(7)": _JUNK, "varchar(7)": _JUNK,
}  # fmt: skip


def test_a_text_is_taken_just_where_postgresql_prints_it_again(
    mysql_any: Server, postgres_175: Server, new_mysql_database: NewDatabase
) -> None:
    """Texts by hypothesis, and addresses in every spelling: a trap holds for all others and for no more."""
    texts = {to: {*_examples(SPELLINGS[to]), *_examples(_JUNK)} for to in SPELLINGS}
    texts["inet"] |= _addresses()
    texts["cidr"] = texts["inet"]
    source = writable(new_mysql_database(mysql_any))
    column = Column("c", "varchar(250)", "varchar", True, length=250, charset="utf8mb4")
    with source, source.cursor() as cursor, psycopg.connect(postgres_175.url, autocommit=True) as target:
        target.execute(b"SET timezone = 'UTC'; SET synchronous_commit = off")
        for to, written in texts.items():
            cursor.execute("CREATE TABLE a (c VARCHAR(250) COLLATE utf8mb4_bin)")
            cursor.executemany("INSERT INTO a VALUES (%s)", [(text,) for text in sorted(written)])
            where = " OR ".join(f"({trap.where})" for trap in form(Value(column, to)).traps)
            cursor.execute(f"SELECT c, {where} FROM a")
            rows = cursor.fetchall()
            target.execute(f"CREATE TEMPORARY TABLE p (c {to})".encode())
            for text, trapped in rows:
                printed = _printed(target, to, text)
                # MySQL's JSON has no number beyond a double, and no half of a pair of surrogates.
                beyond = to == "json" and (len(text) > 300 or "\\ud" in text)
                assert bool(trapped) == (printed != text) or (trapped and beyond), (to, text, printed)
            assert len({bool(trapped) for _, trapped in rows}) == 2, to
            cursor.execute("DROP TABLE a")
            target.execute(b"DROP TABLE p")


def _examples(strategy: st.SearchStrategy[str]) -> list[str]:
    found: list[str] = []

    @settings(
        max_examples=80, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def gather(text: str) -> None:
        found.append(text[:250])

    gather()
    return found


def _addresses() -> set[str]:
    chance = Random(7)
    written = {str(ipaddress.IPv4Address(chance.getrandbits(32))) for _ in range(50)}
    for _ in range(200):
        groups = [chance.choice(["0", "0", "0", "1", "a0", "ffff", "102"]) for _ in range(8)]
        address = ipaddress.IPv6Address(":".join(groups))
        start = chance.randint(0, 7)
        short = ":".join(groups[:start]) + "::" + ":".join(groups[chance.randint(start, 8) :])
        written |= {address.compressed, address.exploded, ":".join(groups), short}
        written.add(f"{address.compressed}/{chance.randint(0, 130)}")
    return written


def _printed(target: psycopg.Connection[tuple[str]], to: str, text: str) -> str | None:
    """What the target prints of a text that its input takes; padding is left out, as its own casts do."""
    trim = "::text" if to.startswith(("character", "varchar")) else ""
    try:
        row = target.execute(
            f"INSERT INTO p VALUES (%s) RETURNING format('%%s', c{trim})".encode(), (text,)
        ).fetchone()
    except psycopg.DataError:
        return None
    shown = row[0] if row else None
    return {"t": "true", "f": "false"}.get(shown or "", shown) if to == "boolean" else shown


LABELS = ("b", "a", "it's", "x|y", "")


@pytest.mark.parametrize("pair", PAIRS[::3], ids=["8.0.15-14", "8.0.33-17.5"])
@pytest.mark.parametrize("type_", ["ENUM('a','b','it''s','x|y','gone')", "VARCHAR(9)", "BLOB"])
def test_labels_that_the_target_has(
    type_: str, pair: tuple[str, str], request: pytest.FixtureRequest, new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:  # fmt: skip
    """A family alone, as a plan for tables that are there uses it."""
    source = new_mysql_database(request.getfixturevalue(pair[0]))
    target = new_postgres_database(request.getfixturevalue(pair[1]))
    kind, _, _ = type_.partition("(")
    labels = ("a", "b", "it's", "x|y", "gone") if kind == "ENUM" else ()
    column = Column("c", type_, kind.lower(), True, length=9, labels=labels, charset="utf8mb4")
    value = Value(column, "enum", labels=LABELS)
    check_target(column, "enum", "here", LABELS)
    mysql(source, f"CREATE TABLE t (c {type_}) CHARACTER SET utf8mb4; "
                  "INSERT INTO t VALUES ('a'), ('it''s'), ('x|y'), (NULL), ('b')")  # fmt: skip
    counts = [mysql(source, f"SELECT SUM({trap.where}) FROM t")[0][0] for trap in form(value).traps]
    assert not any(counts)
    mysql(source, "INSERT INTO t VALUES ('gone'), ('gone')")
    lost = {trap.name: mysql(source, f"SELECT SUM({trap.where}) FROM t")[0][0] for trap in form(value).traps}
    assert lost["no_label"] == 2
    mysql(source, "DELETE FROM t WHERE c = 'gone'")
    members = ", ".join("'" + label.replace("'", "''") + "'" for label in LABELS)
    postgres(target, f"CREATE TYPE kind AS ENUM ({members})")
    postgres(target, "CREATE TABLE t (c kind)")
    read = mysql(source, f"SELECT CONCAT({form(value).read}, 0xFD) FROM t WHERE c IS NOT NULL")
    with psycopg.connect(target) as connection, connection.cursor().copy(b"COPY t FROM STDIN") as copy:
        for (text,) in read:
            copy.write(encode([text]))
    left = {row[0] for row in mysql(source, f"SELECT CONCAT({form(value).source_text}) FROM t")}
    right = {row[0] for row in postgres(target, f"SELECT ({form(value).target_text('c')})::text FROM t")}
    assert left - {None} == right == {"a", "b", "it's", "x|y"}


@pytest.mark.parametrize("to", ["enum", "geometry", "double precision"])
def test_a_type_without_a_way_is_refused(databases: tuple[str, str], tmp_path: Path, to: str) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t0 (id INT PRIMARY KEY, c0 VARCHAR(9))")
    rules = tmp_path / "map.toml"
    rules.write_text(_map((Way("", to, {}, "CONCAT({})"),)))
    ran = converge("plan", "--source", source, "--target", target, "--map", str(rules))
    assert (ran.code, f"varchar(9) cannot become {to}" in ran.err) == (2, True), ran.err


def test_what_an_expression_makes_nothing_of_is_counted(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t0 (id INT PRIMARY KEY, c0 BINARY(14) DEFAULT '20200101000000'); "
                  "INSERT INTO t0 VALUES (1, '20230102030405'), (2, 'infinity'), (3, NULL), "
                  "(4, '20230230000000')")  # fmt: skip
    way = Way("", "timestamp with time zone", {}, "STR_TO_DATE({}, '%Y%m%d%H%i%s')")
    rules = tmp_path / "map.toml"
    rules.write_text(_map((way,)))
    ends = ("--source", source, "--target", target, "--map", str(rules), "--json")
    ran = converge("plan", *ends)
    assert ran.code == 3
    found = {one["code"]: one for one in ran.json["findings"]}
    assert found["V048"]["message"].startswith(
        "2 rows hold something that the map's expression cannot convert"
    )
    assert found["V048"]["evidence"] == "rows id 2, 4"
    assert "P011" in found, "nothing says what becomes of the default"
    unseen = converge("migrate", *ends, "--no-scan", "--on-bad-row", "reject")
    assert (unseen.code, unseen.json["verdict"]) == (1, "differs"), unseen.err
    refused = {(one["key"], one["column"], bytes.fromhex(one["value"])) for one in unseen.json["rejects"]}
    assert refused == {("id=2", "c0", b"infinity".ljust(14, b"\0")), ("id=4", "c0", b"20230230000000")}
    assert {one["key"] for one in unseen.json["differences"]} == {"id=2", "id=4"}
    postgres(target, "INSERT INTO public.t0 VALUES (2, NULL), (4, NULL)")
    verified = converge("verify", *ends, "--no-scan")
    assert {one["key"] for one in verified.json["differences"]} == {"id=2", "id=4"}, verified.err
    rules.write_text(_map((way,)) + "\npolicy = { no_result = 'null' }")
    ran = converge("migrate", *ends, "--recreate", "--yes")
    assert ran.json["verdict"] == "verified", ran.err
    changes = [(one["trap"], one["rows"]) for one in ran.json["changes"]]
    assert changes == [("using", 3), ("no_result", 2)]
    rows = postgres(target, "SELECT id, c0::text FROM public.t0 WHERE c0 IS NOT NULL")
    assert rows == [(1, "2023-01-02 03:04:05+00")]


NAMES = {
    "timestamp without time zone": "timestamp",
    "timestamp(3) without time zone": "timestamp(3)",
    "timestamp(0) with time zone": "timestamp(0) with time zone",
    "timestamptz(3)": "timestamp(3) with time zone",
    "character varying(44)": "varchar(44)",
    "character varying": "varchar",
    "character(36)": "character(36)",
    "char(36)": "character(36)",
    "bpchar": "bpchar",
    "time without time zone": "time",
    "time(2) without time zone": "time(2)",
    "numeric(10,2)": "numeric(10,2)",
    "decimal(10)": "numeric(10)",
    "double precision": "double precision",
    "float8": "double precision",
    "bit varying(5)": "bit varying(5)",
    "varbit": "bit varying",
    "int4": "integer",
    "bool": "boolean",
    "text[]": "text[]",
    "public.citext": "citext",
    '"My schema".geometry(Point,4326)': "geometry(Point,4326)",
    "character varying(5)[]": "varchar(5)[]",
    "interval(3)": "interval(3)",
    "jsonb": "jsonb",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_types(name: str) -> None:
    assert normal(name) == NAMES[name]
    assert normal(normal(name)) == normal(name)
