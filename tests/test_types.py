"""Every MySQL type with its traps: real values on both sides, the judge's word, and damage to be found."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import generated
import pytest
from conftest import NewDatabase
from judge import compare
from support import Ran, converge, mysql, postgres, relations

from bench.sql import writable
from converge.model.endpoint import parse
from converge.model.quote import my_name, my_text, mysql_members
from converge.mysql import connect
from converge.mysql.rows import READ_BYTES, Read, stream
from converge.planner.inputs import Selection
from converge.run.options import Options
from converge.run.verify import verify
from converge.sandbox import Server

PAIRS = (
    ("mysql_8015", "postgres_14"),
    ("mysql_8015", "postgres_175"),
    ("mysql_8033", "postgres_15"),
    ("mysql_8033", "postgres_16"),
)

# ---- values ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A table and its rows, as SQL literals without the id that every table with `keyed` gets."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keyed: bool = True
    options: str = ""

    def create(self) -> str:
        key = ("id INT NOT NULL PRIMARY KEY",) if self.keyed else ()
        return f"CREATE TABLE {my_name(self.name)} ({', '.join((*key, *self.columns))}) {self.options}"

    def insert(self) -> Iterator[str]:
        for number, row in enumerate(self.rows, 1):
            values = (str(number), *row) if self.keyed else row
            yield f"INSERT INTO {my_name(self.name)} VALUES ({', '.join(values)})"


def one_each(*types: str, values: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """A row for each value, the same in every column."""
    return tuple((value,) * len(types) for value in values)


def columns(*types: str) -> tuple[str, ...]:
    return tuple(f"c{number} {kind}" for number, kind in enumerate(types, 1))


def quoted(*texts: str) -> tuple[str, ...]:
    return tuple(map(my_text, texts))


def single(value: float) -> str:
    """The double that is exactly this single-precision value."""
    return f"{struct.unpack('f', struct.pack('f', value))[0]!r}"


_UNSIGNED = (8, 16, 24, 32, 64)
_INTEGER_TYPES = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")
INTEGERS = Made(
    "integers",
    columns(
        *_INTEGER_TYPES, *(f"{kind} UNSIGNED" for kind in _INTEGER_TYPES), "TINYINT(1)", "INT(10) ZEROFILL",
        "BIGINT(20) ZEROFILL", "YEAR",
    ),
    (
        (*(str(-(2**(bits - 1))) for bits in _UNSIGNED), *"00000", "-128", "0", "0", "0"),
        (*(str(2**(bits - 1) - 1) for bits in _UNSIGNED), *(str(2**bits - 1) for bits in _UNSIGNED), "127",
         "4294967295", "18446744073709551615", "2155"),
        ("0",) * 13 + ("1901",), ("NULL",) * 14, ("1",) * 13 + ("2000",), ("7",) * 13 + ("1970",),
    ),
)  # fmt: skip

DOUBLES = (
    "0", "-0e0", "1", "-1", "0.1e0", "0.30000000000000004", "1e-4", "9.999999999999999e-5", "1e15",
    "999999999999999.9", "123456789012345678", "1e16", "1e22", "1e23", "9.999999999999999e22", "1e300",
    "-1e300",
    "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "2.2250738585072009e-308",
    "5e-324", "-5e-324", "4.35", "2.675", "1.0000000000000002", "9007199254740993", "0.00012345678901234567",
    "1.2345678901234567e-5", "8.41e21", "3.141592653589793", "NULL",
)  # fmt: skip
SINGLES = (
    "0", "-0e0", "0.1", single(0.1), "16777216", "16777217", "16777215", "16777218", "33554434", "1e-45",
    single(1.1754942e-38), single(1.17549435e-38), "3.4028234663852886e38", "-3.4028234663852886e38", "1e10",
    single(1 / 3), "123456.789", "0.00001", "NULL",
)  # fmt: skip
FLOATING = Made(
    "floating",
    ("d DOUBLE", "f FLOAT", "du DOUBLE UNSIGNED", "dz DOUBLE ZEROFILL", "dm DOUBLE(20,3)", "fm FLOAT(7,2)",
     "fz FLOAT(9,3) ZEROFILL"),
    (
        *((value, "NULL", "NULL", "NULL", "NULL", "NULL", "NULL") for value in DOUBLES),
        *(("NULL", value, "NULL", "NULL", "NULL", "NULL", "NULL") for value in SINGLES),
        ("1", "1", "1e300", "1.5", "1.1", "1.1", "1.1"),
        ("1", "1", "5e-324", "1e-7", "-12345678901234567.125", "-99999.99", "123.456"),
        ("1", "1", "0", "0", "0", "0", "0"),
        ("1", "1", "0.1e0", "0.1e0", "1e14", "12345.67", "99999.5"),
    ),
)  # fmt: skip
DECIMALS = Made(
    "decimals",
    ("a DECIMAL(65,0)", "b DECIMAL(65,30)", "c DECIMAL(10,2)", "d DECIMAL(10,2) UNSIGNED",
     "e DECIMAL(12,4) ZEROFILL", "f DECIMAL(30,30)", "g DECIMAL(1,0)"),
    (
        ("9" * 65, "9" * 35 + "." + "9" * 30, "99999999.99", "99999999.99", "99999999.9999", "0." + "9" * 30,
         "9"),
        ("-" + "9" * 65, "-0." + "0" * 29 + "1", "-0.01", "0.01", "0.0001", "-0." + "0" * 29 + "1", "-9"),
        ("0", "0", "-0.00", "0", "1.5", "0", "-0"), ("NULL",) * 7,
        ("1", "1", "1.50", "1.50", "1.50", "0.5", "1"),
    ),
)  # fmt: skip
_ZEROS = tuple(f"({n})" for n in range(7))
TIMES = Made(
    "times",
    columns("DATE", "YEAR", *(f"DATETIME{n}" for n in _ZEROS), *(f"TIMESTAMP{n} NULL" for n in _ZEROS),
            *(f"TIME{n}" for n in _ZEROS)),
    (
        ("'0001-01-01'", "0", *["'0001-01-01 00:00:00.000001'"] * 7, *["'1970-01-01 00:00:01.000000'"] * 7,
         *["'-838:59:59'"] * 7),
        ("'9999-12-31'", "2155", *["'9999-12-31 23:59:58.999999'"] * 7, *["'2038-01-19 03:14:06.999999'"] * 7,
         *["'838:59:59'"] * 7),
        ("'1000-01-01'", "1901", *["'1000-01-01 12:00:00.5'"] * 7, *["'2024-10-27 01:30:00.123456'"] * 7,
         *["'-838:59:58.999999'"] * 7),
        ("'1582-10-10'", "NULL", *["'1582-10-10 00:00:00.1'"] * 7, *["NULL"] * 7,
         *["'838:59:58.999999'"] * 7),
        ("'2024-02-29'", "1970", *["'2024-02-29 23:59:59.100000'"] * 7, *["'2038-01-19 03:14:07'"] * 7,
         *["'-00:00:00.000001'"] * 7),
        ("'1900-01-01'", "2000", *["'1969-12-31 23:59:59.9'"] * 7, *["'2000-01-01 00:00:00.01'"] * 7,
         *["'24:00:00.000010'"] * 7),
        ("NULL", "NULL", *["NULL"] * 14, *["'00:00:00'"] * 7),
        ("NULL", "NULL", *["NULL"] * 14, *["'-00:00:01.5'"] * 7),
        ("NULL", "NULL", *["NULL"] * 21),
    ),
)  # fmt: skip
CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f\x80\x85\x9f"
TEXTS = (
    "", " ", "a", "a ", " a", "a  ", "A", "\t", "\n", "\r", "\r\n", "\\", "\\\\", "\\N", "\\.", "\\n",
    "NULL", "null",
    "~", "|", ";", "1;a|2;b", "0;", "~|~", "1;", "'", '"', "''", '""', "{}", '{"a"}', "a,b", "%s", "%",
    "\\x41", "$$",
    CONTROLS, "\u00e9", "e\u0301", "\u1e9b\u0323", "\U0001f600", "\U0001f468\u200d\U0001f469", "\U0010ffff",
    "\ufeff", "\ufffd", "\uffff", "\u2028", "\u00ff\u00fe\u00fd\u00fc", "\u65e5\u672c", "\u0661", "?",
    "x" * 250,
    "x" * 251,
)  # fmt: skip
_TEXT_TYPES = (
    "VARCHAR(300)",
    "CHAR(255)",
    "TINYTEXT",
    "TEXT",
    "MEDIUMTEXT",
    "LONGTEXT",
    "VARCHAR(300) NOT NULL",
)
STRINGS = Made(
    "strings",
    columns(*_TEXT_TYPES),
    (
        *one_each(*_TEXT_TYPES, values=tuple(t for t in quoted(*TEXTS) if len(t.encode()) < 250)),
        *((text, "NULL", "NULL", text, text, "NULL", text) for text in quoted(*TEXTS)),
        *((a, "''", "''", b, "''", b, a) for a, b in zip(quoted(*TEXTS), quoted(*TEXTS[1:]), strict=False)),
    ),
)
_SETS = {
    "latin1": "\u20ac\u201c\u201d\u2122\u00e9\u00ff\x81|;~",
    "utf8mb3": "\u65e5\u672c\u0301\uffff",
    "ascii": "plain\t\\N",
    "ucs2": "\u65e5\\\n",
    "utf16": "\U0001f600\\",
    "utf32": "\U0001f600\t",
    "gbk": "\u4e2d\u6587\\|",
    "gb18030": "\U0001f600\u4e2d",
    "big5": "\u529f\u8a31\u84cb",
    "sjis": "\u8868\u30bd\uff71",
    "cp932": "\u8868\u2460\\",
    "ujis": "\u8868\\",
    "euckr": "\ud55c\uae00",
    "cp1251": "\u0416\u2116",
    "koi8r": "\u0416\u2500",
    "utf8mb4": "\U0001f600\u00ff",
}
SETS = Made(
    "charsets",
    tuple(f"c_{name} VARCHAR(40) CHARACTER SET {name}" for name in _SETS),
    (
        quoted(*_SETS.values()), ("''",) * len(_SETS), ("NULL",) * len(_SETS),
        quoted(*["a\\b\r\n\t'~|"] * len(_SETS)),
        tuple(text if number % 2 else "NULL" for number, text in enumerate(quoted(*_SETS.values()))),
    ),
)  # fmt: skip
_COLLATIONS = (
    "utf8mb4_bin", "utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_as_cs",
    "utf8mb4_de_pb_0900_ai_ci", "latin1_swedish_ci", "latin1_bin", "latin1_general_cs", "utf8_general_ci",
    "utf8_bin", "ascii_bin",
)  # fmt: skip
COLLATIONS = Made(
    "collations",
    (*(f"c_{name} VARCHAR(40) COLLATE {name}" for name in _COLLATIONS),
     "e1 ENUM('a','B') COLLATE latin1_bin", "e2 SET('x','Y') COLLATE utf8mb4_bin", "n DECIMAL(5,2)",
     "t TIME(3)"),
    (
        (*one_each(*_COLLATIONS, values=("'aB \\\\ |'",))[0], "'B'", "'x,Y'", "1.5", "'-1:00:00.5'"),
        (*one_each(*_COLLATIONS, values=("''",))[0], "'a'", "''", "0", "0"),
        (*one_each(*_COLLATIONS, values=("NULL",))[0], "NULL", "NULL", "NULL", "NULL"),
    ),
)  # fmt: skip
_LABELS = (
    "a", "it's", 'say "x"', "one,two", "{brace}", "back\\slash", "\\N", "pipe|", "1;a", "~", "NULL", "null_",
    "",
    "tab\t", "nl\n", "\u00e9e\u0301", "\u65e5\u672c", "\\'", "%s", "(x)", "end'",
)  # fmt: skip
_MEMBERS = ("a", "it's", 'say "x"', "{brace}", "back\\slash", "\\", "pipe|", "1;a", "~", "NULL", "null_",
 "\u00e9\u65e5",
            "tab\t", "\x01", "()", '"', "b c")  # fmt: skip
MEMBERS = Made(
    "members",
    (
        f"e ENUM({','.join(quoted(*_LABELS))})", f"s SET({','.join(quoted(*_MEMBERS))})",
        "p ENUM('x','y','z')", "q SET('x','y','z')", f"w ENUM('{'long' * 20}','{'wide' * 20}')",
        "g ENUM('\u20ac','\u00e9') CHARACTER SET latin1",
        "h SET('\u20ac','\u00e9') CHARACTER SET latin1 NOT NULL",
    ),
    (
        *((label, "''", "'y'", "'x,z'", f"'{'wide' * 20}'", "'\u20ac'",
         "'\u20ac,\u00e9'") for label in quoted(*_LABELS)),
        *(("'a'", member, "NULL", "''", "NULL", "NULL", "''") for member in quoted(*_MEMBERS)),
        ("NULL", str(2 ** len(_MEMBERS) - 1), "'z'", "7", "NULL", "'\u00e9'", "'\u00e9'"),
        ("NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "''"),
    ),
)  # fmt: skip
PLAIN_MEMBERS = Made(
    "plain_members", ("p ENUM('x','\u00e9','z') NOT NULL", "q SET('x','y','z')", "n INT"),
    (("'x'", "'x,y'", "1"), ("'\u00e9'", "''", "NULL"), ("'z'", "NULL", "3")),
)  # fmt: skip
JSONS = (
    "18446744073709551615", "-9223372036854775808", "1e300", "-1e300", "1.7976931348623157e308", "5e-324",
    "-0.0",
    "1.0", "1", "0.1", "1e15", "1e16", "123456789012345678901234567890", "true", "false", "null", '"null"',
    '""',
    '"\\u0001\\u001f\\u007f\\b\\f\\n\\r\\t\\"\\\\/"', '"\u00e9\U0001f600\u2028"', '"\\\\u0000"', "[]", "{}",
    '[1, [2, [3, {"a": [null, true, 1.5]}]]]', '{"b": 1, "a": 2, "aa": 3, "": 4, "\u00e9": 5, "B": 6}',
    '{"k|": "1;a", "~": ["|", ";"]}', '"\\\\N"', '{"a": 1e-7, "b": "1e-7"}', "[" * 60 + "]" * 60,
)  # fmt: skip
DOCUMENTS = Made(
    "documents",
    ("j JSON", "k JSON NOT NULL"),
    (*(one_each("", "", values=quoted(*JSONS))), *(("NULL", value) for value in quoted(*JSONS[:3])),
     ("JSON_OBJECT('d', CAST('2020-01-02 03:04:05.6' AS DATETIME(6)), 'n', CAST(1.50 AS DECIMAL(5,2)))",
      "JSON_ARRAY(CAST('x' AS BINARY), TIME '-10:00:00', DATE '2020-01-01')")),
)  # fmt: skip
BITS = Made(
    "bits",
    columns("BIT(1)", "BIT(7)", "BIT(64)", "BIT(8) NOT NULL"),
    (("b'0'", "b'0'", "b'0'", "b'0'"), ("b'1'", "b'1111111'", f"b'{'1' * 64}'", "b'10000000'"),
     ("NULL", "NULL", "NULL", "b'1'"), ("b'1'", "b'1000000'", f"b'1{'0' * 63}'", "b'1010'")),
)  # fmt: skip
_EVERY = bytes(range(256)).hex()
_BYTES = ("x''", "x'00'", "x'FF'", "x'20'", "x'5C4E'", "x'FFFEFDFC'", "'\\t\\n\\r|;~'", "NULL")
_BINARY_TYPES = ("BINARY(10)", "VARBINARY(10)", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")
BINARIES = Made(
    "binaries",
    columns(*_BINARY_TYPES, "VARCHAR(9) CHARACTER SET binary", "BINARY(0)", "BINARY"),
    (*((*[value] * 7, "x''", "x'00'") for value in _BYTES),
     ("NULL", "NULL", "NULL", *[f"x'{_EVERY}'"] * 3, "NULL", "NULL", "NULL")),
)  # fmt: skip
_SHAPES = {
    "GEOMETRY": ("POINT(1 -2.5)", "GEOMETRYCOLLECTION EMPTY"),
    "POINT": ("POINT(1e-300 1e300)", "POINT(0 0)"),
    "LINESTRING": ("LINESTRING(0 0,1 1,2 2)", "LINESTRING(0 0,-1 -1)"),
    "POLYGON": ("POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))", "POLYGON((0 0,1 0,1 1,0 0))"),
    "MULTIPOINT": ("MULTIPOINT(0 0,1 1)", "MULTIPOINT(7 7)"),
    "MULTILINESTRING": ("MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTILINESTRING((0 0,1 1))"),
    "MULTIPOLYGON": (
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    ),
    "GEOMETRYCOLLECTION": ("GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))", "GEOMETRYCOLLECTION EMPTY"),
}
SHAPES = Made(
    "shapes",
    (*(f"c_{name} {name}" for name in _SHAPES), "world POINT SRID 4326"),
    (
        (*(f"ST_GeomFromText('{a}')" for a, _ in _SHAPES.values()), "ST_GeomFromText('POINT(48 11)', 4326)"),
        (*(f"ST_GeomFromText('{b}', 0)" for _, b in _SHAPES.values()), "NULL"),
        ("NULL",) * (len(_SHAPES) + 1),
        ("ST_GeomFromText('POINT(1 2)', 3857)", *["NULL"] * len(_SHAPES)),
    ),
)
BIG = Made(
    "big",
    ("t LONGTEXT", "b LONGBLOB", "n INT"),
    (
        ("REPEAT('a\u00e9\\t\\\\\\n', 2500000)", "NULL", "NULL"),
        ("NULL", "REPEAT(x'00FF5C0A', 4300000)", "1"),
        ("REPEAT('x', 33000000)", "x'FF'", "2"),
        ("NULL", "REPEAT(x'FE', 33000000)", "NULL"),
    ),
)
_WIDE = 130
TABLES = (
    INTEGERS, FLOATING, DECIMALS, TIMES, STRINGS, SETS, COLLATIONS, MEMBERS, PLAIN_MEMBERS, DOCUMENTS, BITS,
    BINARIES, SHAPES, BIG,
    Made("nothing", columns("INT", "TEXT", "DOUBLE", "BLOB", "JSON", "TIME(3)", "BIT(3)"),
     (("NULL",) * 7,) * 3),
    Made("nothing_keyless", columns("INT", "TEXT"), (("NULL",) * 2,) * 3, keyed=False),
    Made("empty", columns("INT", "TEXT"), ()),
    Made("no_length", columns("CHAR(0)", "VARCHAR(0)"), (("''", "''"), ("NULL", "NULL"))),
    Made("last_null", columns("TEXT", "INT"), (("'a'", "NULL"), ("'b'", "1"), ("NULL", "NULL"))),
    Made("last_null_plain", columns("INT", "INT"), (("1", "NULL"), ("NULL", "1"), ("NULL", "NULL"))),
    Made("one_text", ("c TEXT",), tuple((text,) for text in (*quoted(*TEXTS), "NULL")) * 2, keyed=False),
    Made("one_int", ("c INT",), (("1",), ("1",), ("NULL",), ("2",)), keyed=False),
    Made("one_double", ("c DOUBLE",), tuple((value,) for value in DOUBLES), keyed=False),
    Made("one_blob", ("c BLOB",), tuple((value,) for value in _BYTES), keyed=False),
    Made("one_json", ("c JSON",), tuple((value,) for value in (*quoted(*JSONS), "NULL")) * 2, keyed=False),
    Made("many_json", ("c JSON",), tuple((f"'[{n}, 1e300]'",) for n in range(700)), keyed=False),
    Made("one_set", ("c SET('a','b') NOT NULL",), (("'a,b'",), ("''",), ("''",)), keyed=False),
    Made("duplicates", ("a INT", "t VARCHAR(9)"), (("1", "'x'"),) * 3 + (("1", "'X'"), ("NULL", "''")),
     keyed=False),
    Made("wide", columns(*["INT"] * _WIDE), (("1",) * _WIDE, ("NULL",) * _WIDE)),
    Made("wide_text", columns(*["TEXT"] * _WIDE), (("'x'",) * _WIDE, ("NULL",) * _WIDE),
     options="ROW_FORMAT=DYNAMIC"),
)  # fmt: skip

DEFAULTS = (
    "i INT DEFAULT -5", "u BIGINT UNSIGNED DEFAULT 18446744073709551615", "z INT(6) ZEROFILL DEFAULT 42",
    "y YEAR DEFAULT 1999", "y0 YEAR DEFAULT '0000'", "d DECIMAL(10,3) DEFAULT 1.5", "f FLOAT DEFAULT 0.1",
    "g DOUBLE DEFAULT 1e300", "b1 BIT(1) DEFAULT b'1'", "b8 BIT(8) DEFAULT b'101'",
    "b64 BIT(64) DEFAULT b'1'",
    "da DATE DEFAULT '2020-02-29'", "dt DATETIME(3) DEFAULT '2020-02-29 01:02:03.456'",
    "ts TIMESTAMP(6) NULL DEFAULT '2020-02-29 01:02:03.456789'", "ti TIME(2) DEFAULT '-100:00:00.25'",
    "c CHAR(5) DEFAULT 'a b'", "v VARCHAR(20) DEFAULT ''",
    "q VARCHAR(40) DEFAULT 'it''s \\\\ \"x\" %s \u00e9'",
    "l VARCHAR(20) CHARACTER SET latin1 DEFAULT '\u20ac'", "e ENUM('it''s','b') DEFAULT 'it''s'",
    "s SET('a','b','c') DEFAULT 'a,c'", "s0 SET('a') DEFAULT ''", "bi BINARY(4) DEFAULT 'ab'",
    "vb VARBINARY(9) DEFAULT 'x\\\\y'", "vz VARBINARY(9) DEFAULT ''",
    "nn INT NOT NULL DEFAULT 0", "n0 VARCHAR(3) DEFAULT NULL", "nl VARCHAR(9) DEFAULT 'NULL'",
)  # fmt: skip

# ---- the servers --------------------------------------------------------------------------------------

_numbers = count(1)


@dataclass
class Migrated:
    """One pair of servers after one migration of all tables."""

    source: str
    target: str
    target_server: Server
    ran: Ran
    map: str
    random: list[generated.Generated]


@pytest.fixture(scope="module", params=PAIRS, ids=["8.0.15-14", "8.0.15-17.5", "8.0.33-15", "8.0.33-16"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    random = generated.generated(PAIRS.index(request.param))
    rules = tmp_path_factory.mktemp("types") / "random.toml"
    rules.write_text(generated.MAP)
    mysql_server, postgres_server = (request.getfixturevalue(name) for name in request.param)
    name = f"types_{next(_numbers)}"
    packet = mysql(mysql_server.url, "SELECT @@GLOBAL.max_allowed_packet")[0][0]
    with ExitStack() as stack:
        for server in (mysql_server, postgres_server):
            server.drop_database(name)
            stack.callback(server.drop_database, name)
        source, target = mysql_server.create_database(name), postgres_server.create_database(name)
        # The hexadecimal text of a 33 MB value does not fit the server's 64 MB.
        stack.callback(mysql, mysql_server.url, f"SET GLOBAL max_allowed_packet = {packet}")
        mysql(mysql_server.url, f"SET GLOBAL max_allowed_packet = {1 << 30}")
        fill(source, random)
        ran = converge("migrate", "--source", source, "--target", target, "--map", str(rules), "--json")
        yield Migrated(source, target, postgres_server, ran, str(rules), random)


def fill(source: str, tables: list[generated.Generated]) -> None:
    with writable(source) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'")
        for table in TABLES:
            cursor.execute(table.create())
            cursor.execute("START TRANSACTION")
            for statement in table.insert():
                cursor.execute(statement)
            cursor.execute("COMMIT")
        cursor.execute(f"CREATE TABLE defaults (id INT PRIMARY KEY, {', '.join(DEFAULTS)})")
        cursor.execute("INSERT INTO defaults (id) VALUES (1)")
        for random in tables:
            random.make(connection)


# ---- the tests ----------------------------------------------------------------------------------------


def test_every_value_arrives(migrated: Migrated) -> None:
    run = migrated.ran
    assert run.code == 0, run.err + run.out[-3000:]
    assert run.json["verdict"] == "verified"
    assert all(
        table["verified"] and table["rows_read"] == table["rows_written"] for table in run.json["tables"]
    )
    judged = compare(migrated.source, migrated.target)
    assert {table.name for table in TABLES} < set(judged.tables)
    assert sum(name.startswith("random_") for name in judged.tables) == generated.TABLES_A_PAIR
    changed = {(table.name, column) for table in migrated.random for column in table.changed}
    assert [one for one in judged.differences if (one.table, one.column) not in changed] == []
    assert not judged.missing
    assert all(table.rows_source == table.rows_target for table in judged.tables.values())
    again = converge(
        "verify", "--source", migrated.source, "--target", migrated.target, "--map", migrated.map, "--json"
    )
    assert again.json["verdict"] == "verified", again.out[-3000:]


def test_policies_change_what_they_say_and_nothing_else(migrated: Migrated) -> None:
    """Of the generated tables: the judge finds as many differences as the run says it has made."""
    judged = compare(migrated.source, migrated.target, tables=[table.name for table in migrated.random])
    found = Counter((one.table, one.column) for one in judged.differences)
    # `keep` is declared and counted, but the value arrives as it was.
    said = {
        (one["table"], one["column"]): one["rows"]
        for one in migrated.ran.json["changes"]
        if one["policy"] != "keep"
    }
    assert found == said
    assert len(said) > 5


def test_defaults_mean_the_same(migrated: Migrated) -> None:
    mysql(migrated.source, "INSERT INTO defaults (id) VALUES (2)")
    postgres(migrated.target, "INSERT INTO public.defaults (id) VALUES (2)")
    judged = compare(migrated.source, migrated.target, tables=["defaults"])
    assert judged.tables["defaults"].rows_target == 2
    assert judged.equal, str(judged)


@dataclass(frozen=True)
class Damage:
    """A statement that changes one value, or a few, and what the drill-down must say of it.

    `column` None stands for rows that are on one side only; `source` and `target` are then parts of them.
    """

    table: str
    statement: str
    key: str
    column: str | None
    source: str | None
    target: str | None


def changed(table: Made, where: str, column: str, to: str, source: str | None, target: str | None) -> Damage:
    statement = f"UPDATE public.{table.name} SET {column} = {to} WHERE {where}"
    return Damage(table.name, statement, where.replace(" = ", "="), column, source, target)


def row_of(table: Made, column: str, literal: str) -> str:
    """The WHERE of the first row that has this SQL literal in this column."""
    place = [line.split()[0] for line in table.columns].index(column)
    return f"id = {[row[place] for row in table.rows].index(literal) + 1}"


def of_double(literal: str, to: str, source: str, target: str) -> Damage:
    return changed(FLOATING, row_of(FLOATING, "d", literal), "d", to, source, target)


def of_text(text: str, column: str, to: str | None) -> Damage:
    new = "NULL" if to is None else "E'" + to.replace("\\", "\\\\").replace("'", "''") + "'"
    return changed(STRINGS, row_of(STRINGS, column, my_text(text)), column, new, text, to)


DAMAGES = (
    changed(INTEGERS, "id = 2", "c5", "c5 - 1", "9223372036854775807", "9223372036854775806"),
    changed(INTEGERS, "id = 2", "c10", "c10 - 1", "18446744073709551615", "18446744073709551614"),
    changed(INTEGERS, "id = 2", "c14", "2154", "2155", "2154"),
    changed(INTEGERS, "id = 4", "c1", "0", None, "0"),
    of_double("0.1e0", "0.10000000000000002", "0.1", "0.10000000000000002"),
    of_double("1.7976931348623157e308", "1.7976931348623155e308", "9007199254740991p1023",
     "9007199254740990p1023"),
    of_double("5e-324", "1e-323", "1p-1022", "2p-1022"),
    of_double("-0e0", "0", "-0", "0"),
    of_double("1e23", "1.0000000000000001e23", "5960464477539062p76", "5960464477539063p76"),
    changed(FLOATING, row_of(FLOATING, "f", "16777216"), "f", "16777218", "16777216", "16777218"),
    changed(DECIMALS, "id = 1", "b", "b - 1e-30", "9" * 35 + "." + "9" * 30, "9" * 35 + "." + "9" * 29 + "8"),
    changed(DECIMALS, "id = 5", "c", "-c", "1.50", "-1.50"),
    changed(TIMES, "id = 1", "c9", "c9 + interval '1 microsecond'", "0001-01-01 00:00:00.000001",
            "0001-01-01 00:00:00.000002"),
    changed(TIMES, "id = 2", "c16", "c16 - interval '1 microsecond'", "2038-01-19 03:14:06.999999+00",
            "2038-01-19 03:14:06.999998+00"),
    changed(TIMES, "id = 3", "c23", "-c23", "-838:59:58.999999", "838:59:58.999999"),
    changed(TIMES, "id = 5", "c1", "c1 + 1", "2024-02-29", "2024-03-01"),
    of_text("a", "c4", "a "), of_text("a ", "c5", "a"), of_text("A", "c1", "a"), of_text("", "c1", None),
    of_text("\u00e9", "c6", "e\u0301"), of_text("\\N", "c1", "N"), of_text("\r\n", "c4", "\n"),
    of_text("~", "c1", None),
    changed(SETS, "id = 1", "c_latin1", "replace(c_latin1, '\u20ac', '?')", _SETS["latin1"],
            _SETS["latin1"].replace("\u20ac", "?")),
    changed(COLLATIONS, "id = 1", "c_utf8mb4_bin", "lower(c_utf8mb4_bin)", "aB \\ |", "ab \\ |"),
    changed(MEMBERS, "id = 1", "p", "'z'", "y", "z"),
    changed(MEMBERS, "id = 1", "q", "ARRAY['x']", "x,z", "x"),
    changed(MEMBERS, row_of(MEMBERS, "e", "'NULL'"), "e", "NULL", "NULL", None),
    changed(DOCUMENTS, row_of(DOCUMENTS, "j", "'1e300'"), "j", "'1e301'", "1e300", "1" + "0" * 301),
    changed(DOCUMENTS, row_of(DOCUMENTS, "j", "'null'"), "j", "NULL", "null", None),
    changed(DOCUMENTS, row_of(DOCUMENTS, "j", my_text('"null"')), "j", "'null'", '"null"', "null"),
    changed(DOCUMENTS, row_of(DOCUMENTS, "j", "'1'"), "j", "'true'", "1", "true"),
    changed(BITS, "id = 2", "c3", "c3 # B'" + "0" * 63 + "1'", "1" * 64, "1" * 63 + "0"),
    changed(BITS, "id = 2", "c1", "false", "1", "0"),
    changed(BINARIES, "id = 2", "c2", "''", "00", ""),
    changed(BINARIES, f"id = {len(_BYTES) + 1}", "c4", "set_byte(c4, 255, 254)", _EVERY, _EVERY[:-2] + "fe"),
    changed(BINARIES, "id = 4", "c7", "NULL", "20", None),
    changed(SHAPES, "id = 1", '"c_LINESTRING"', "set_byte(\"c_LINESTRING\", 16, 1)", None, None),
    Damage("last_null", "DELETE FROM public.last_null WHERE id = 2", "id=2", None, "(2, b, 1)", None),
    Damage("last_null_plain", "INSERT INTO public.last_null_plain VALUES (9, 1, 2)", "id=9", None, None,
     "(9, 1, 2)"),
    Damage("duplicates", "INSERT INTO public.duplicates VALUES (1, 'x')", "(1 row)", None, None, "(1, x)"),
    Damage("one_text", "DELETE FROM public.one_text WHERE c = '~'", "(2 rows)", None, "(~)", None),
    Damage("one_json", "DELETE FROM public.one_json WHERE c = '1e300'", "(2 rows)", None, "(1e300)", None),
    Damage("nothing_keyless", "UPDATE public.nothing_keyless SET c2 = ''", "(3 rows)", None, None,
     "(NULL, )"),
    Damage("nothing_keyless", "SELECT 1", "(3 rows)", None, "(NULL, NULL)", None),
    Damage("wide", "UPDATE public.wide SET c129 = 2 WHERE id = 1", "id=1", "c129", "1", "2"),
)  # fmt: skip
SWAPPED = """
UPDATE public.strings AS one SET c4 = other.c4 FROM public.strings AS other
WHERE (one.id, other.id) IN ((3, 6), (6, 3))
"""


def test_every_damage_is_found(migrated: Migrated) -> None:
    """In a copy of the target. Two rows' texts are swapped, too: no value is lost, and both are wrong."""
    server = migrated.target_server
    name = "damaged"
    server.drop_database(name)
    template = migrated.target.rpartition("/")[2]
    postgres(server.url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    target = server.database_url(name)
    try:
        for damage in DAMAGES:
            postgres(target, damage.statement)
        tables = tuple(sorted({damage.table for damage in DAMAGES}))
        options = Options(selection=Selection((*tables, "integers", "empty")), given=frozenset({"include"}))
        result = verify(parse(migrated.source), parse(target), options, "full", lambda _: None)
        assert result.verdict == "differs"
        found = {(one.table, one.key, one.column): (one.source, one.target) for one in result.differences}
        for damage in DAMAGES:
            where = (damage.table, damage.key, (damage.column or "").strip('"') or None)
            assert where in found or damage.column is None, damage
            if damage.column is None:
                assert any(one.table == damage.table and one.key == damage.key and one.column is None
                           and (one.source, one.target) == (damage.source, damage.target)
                           for one in result.differences), (damage, result.differences)  # fmt: skip
            elif damage.table != "shapes":
                assert found[where] == (damage.source, damage.target), damage
        assert len(result.differences) == len(DAMAGES), [str(one) for one in result.differences]
        assert {table.source for table in result.tables if table.verified} == {"empty"}
        postgres(target, SWAPPED)
        selection = Selection(include=("strings",))
        result = verify(
            parse(migrated.source),
            parse(target),
            Options(selection=selection, given=frozenset({"include"})),
            "full",
            lambda _: None,
        )
        keys = {one.key for one in result.differences if one.column == "c4"}
        assert {"id=3", "id=6"} <= keys
    finally:
        server.drop_database(name)


LOUD = (
    ("text_nul", "CREATE TABLE t (id INT PRIMARY KEY, c TEXT)",
     "INSERT INTO t VALUES (1, 'ok'), (2, 'a\\0b')"),
    ("zero_date", "CREATE TABLE t (id INT PRIMARY KEY, c DATE)",
     "INSERT INTO t VALUES (1, '2020-01-01'), (2, 0)"),
    ("zero_moment", "CREATE TABLE t (id INT PRIMARY KEY, c DATETIME)",
     "INSERT INTO t VALUES (1, NULL), (2, 0)"),
    ("zero_month", "CREATE TABLE t (id INT PRIMARY KEY, c DATE)", "INSERT INTO t VALUES (1, '2020-00-01')"),
    ("bad_member", "CREATE TABLE t (id INT PRIMARY KEY, c ENUM('a'))",
     "INSERT INTO t VALUES (1, 'a'), (2, 'x')"),
    ("json_nul", "CREATE TABLE t (id INT PRIMARY KEY, c JSON)",
     "INSERT INTO t VALUES (1, '1'), (2, '\"\\\\u0000\"')"),
    ("no_unicode", "CREATE TABLE t (id INT PRIMARY KEY, c TEXT CHARACTER SET gbk)",
     "INSERT INTO t VALUES (1, '?'), (2, x'41A2A0')"),
    ("no_thai", "CREATE TABLE t (id INT PRIMARY KEY, c TEXT CHARACTER SET tis620)",
     "INSERT INTO t VALUES (1, '?'), (2, x'41A0')"),
    ("eight_bits", "CREATE TABLE t (id INT PRIMARY KEY, c TEXT CHARACTER SET ascii)",
     "INSERT INTO t VALUES (1, '?'), (2, x'41C3A9')"),
    ("a_mark", "CREATE TABLE t (id INT PRIMARY KEY, c TEXT CHARACTER SET ascii)",
     "INSERT INTO t VALUES (1, '?'), (2, x'41FD42')"),
    ("half_a_pair", "CREATE TABLE t (id INT PRIMARY KEY, c VARCHAR(9) CHARACTER SET ucs2)",
     "INSERT INTO t VALUES (1, '?'), (2, x'D800')"),
)  # fmt: skip


@pytest.mark.parametrize(("create", "insert"), [case[1:] for case in LOUD], ids=[case[0] for case in LOUD])
def test_a_value_that_cannot_be_kept_stops_the_run(
    create: str,
    insert: str,
    mysql_8015: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_175)
    mysql(source, f"SET SESSION sql_mode = ''; {create}; {insert}")
    found = converge("migrate", "--source", source, "--target", target, "--json")
    assert (found.code, found.json["verdict"]) == (3, "blocked")
    assert found.json["findings"][0]["message"].startswith(("t.c: 1 row holds ", "t.c: 1 row contains "))
    assert relations(target) == []
    run = converge("migrate", "--no-scan", "--source", source, "--target", target, "--json")
    assert (run.code, run.json["verdict"]) == (5, "failed")
    assert "Traceback" not in run.err + run.out
    assert run.err.count("error[") == 1
    message = run.err[run.err.index("error[") :]
    assert message.splitlines()[0].partition(": ")[2].startswith("t: ")
    assert "COPY t, line " in message
    assert postgres(target, "SELECT count(*) FROM public.t") == [(0,)]
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert again.json["verdict"] == "differs"


SIZES = (0, 1, 250, 251, 252, 65535, 65536, READ_BYTES - 5, READ_BYTES, 1 << 20)
LONG_SIZES = tuple(range(16_777_208, 16_777_220))


def test_rows_of_every_packet_length(mysql_any: Server) -> None:
    connection = connect.connect(parse(mysql_any.url))
    with connection, connection.cursor() as cursor:
        for sizes in (SIZES, LONG_SIZES[:6], LONG_SIZES[6:], (*SIZES, 33_554_430, *SIZES)):
            query = " UNION ALL ".join(f"SELECT REPEAT('{chr(97 + n % 26)}', {n})" for n in sizes)
            read = list(stream(connection, query))
            assert sum(rows for rows, _ in read) == len(sizes)
            assert max(sum(map(len, parts)) for _, parts in read) <= 2 * READ_BYTES
            cursor.execute(query)
            assert _rows(read) == [row[0].encode() for row in cursor.fetchall()]
        assert list(stream(connection, "SELECT 'x' FROM DUAL WHERE 1 = 0")) == []
        cursor.execute("SELECT 'the connection goes on'")
        assert cursor.fetchall() == (("the connection goes on",),)


def _rows(read: list[Read]) -> list[bytes]:
    """Whole rows: what the pieces before the end of a long one have left."""
    rows: list[bytes] = []
    begun: list[bytes] = []
    for ended, parts in read:
        if ended == 0:
            begun += parts
        elif begun:
            rows.append(b"".join(begun))
            begun = []
        else:
            rows += parts
    return rows


MAP = """
[[column]]
match = { column = "yes" }
to = "boolean"
[[type]]
match = { type = "json" }
to = "json"
[[type]]
match = { type = "enum" }
to = "text"
[[type]]
match = { type = "time" }
to = "time({fsp})"
[[type]]
match = { type = "datetime" }
to = "timestamp({fsp}) with time zone"
[[type]]
match = { type = "float" }
to = "double precision"
[[type]]
match = { type = "bit" }
to = "bit({precision})"
[[type]]
match = { type = ["char", "varchar"] }
to = "text"
[[type]]
match = { type = ["smallint", "year"] }
to = "numeric"
[[type]]
match = { type = "decimal" }
to = "numeric"
"""
MAPPED = Made(
    "mapped",
    ("yes TINYINT(1)", "j JSON", "e ENUM('a','it''s','|;')", "t TIME(3)", "d DATETIME(4)", "f FLOAT",
     "b BIT(1)",
     "c CHAR(5)", "s SMALLINT", "y YEAR", "n DECIMAL(9,3)"),
    (
        ("1", "'[1, \"\u00e9\", 1.0, 1e300]'", "'it''s'", "'23:59:59.999'", "'2020-01-01 01:02:03.4567'",
         "0.1", "1",
         "'x'", "-5", "2155", "1.500"),
        ("0", "'null'", "'|;'", "0", "'9999-12-31 00:00:00'", "1e-45", "0", "''", "0", "0", "-0.001"),
        ("NULL",) * 11,
    ),
)  # fmt: skip


def test_other_types_by_a_map(
    mysql_8015: Server,
    postgres_14: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    source, target = new_mysql_database(mysql_8015), new_postgres_database(postgres_14)
    mysql(source, "; ".join([MAPPED.create(), *MAPPED.insert()]))
    rules = tmp_path / "mine.toml"
    rules.write_text(MAP)
    run = converge("migrate", "--source", source, "--target", target, "--map", str(rules), "--json")
    assert run.code == 0, run.err
    assert run.json["verdict"] == "verified"
    judged = compare(source, target)
    assert judged.equal, str(judged)
    kinds = postgres(
        target,
        "SELECT string_agg(data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns "
        "WHERE table_name = 'mapped'",
    )
    assert kinds == [
        (
            "integer, boolean, json, text, time without time zone, timestamp with time zone, "
            "double precision, bit, text, numeric, numeric, numeric",
        )
    ]


def test_a_flag_that_is_no_flag_stops_the_run(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, yes TINYINT(1)); INSERT INTO t VALUES (1, 1), (2, 2)")
    rules = tmp_path / "mine.toml"
    rules.write_text(MAP)
    run = converge("migrate", "--source", source, "--target", target, "--map", str(rules))
    assert run.code == 3
    assert run.err.splitlines()[1] == (
        "error[V012]: t.yes: 1 row holds values other than 0 and 1, and the column would become boolean"
    )
    assert "rows id 2" in run.err
    run = converge("migrate", "--no-scan", "--source", source, "--target", target, "--map", str(rules))
    assert run.code == 5
    assert "COPY t, line 2, column yes" in run.err
    # The ledger's report says why the run has failed.
    report = tmp_path / "report.json"
    assert converge("report", "--target", target, "-o", str(report)).code == 0
    assert [one["code"] for one in json.loads(report.read_text())["findings"]][-1:] == ["D001"]


def test_members_as_the_catalog_prints_them() -> None:
    printed = r"enum('a','it''s','back\\slash','\\','\\N','nl\\n','line\nfeed','','''','\\''')"
    expected = ("a", "it's", "back\\slash", "\\", "\\N", "nl\\n", "line\nfeed", "", "'", "\\'")
    assert mysql_members(printed) == expected
