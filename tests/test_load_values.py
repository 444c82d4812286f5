"""Values that a map's expression makes: right ones, or a finding; and hints that are tried on the data."""

from __future__ import annotations

from pathlib import Path

from support import mysql, postgres
from test_load import found, load, plan, written

from converge.model.quote import toml_text


def columns(path: Path, using: dict[str, str], table: str = "t") -> str:
    """A map that gives columns their expressions."""
    return written(
        path,
        "".join(
            f'[[column]]\nmatch = {{ table = "{table}", column = "{name}" }}\nusing = {toml_text(sql)}\n'
            for name, sql in using.items()
        ),
    )


# Column → the source's type, the target's, an expression; then values that arrive, and those that must not.
MADE: dict[str, tuple[str, str, str, list[str], list[str]]] = {
    "span": (
        "VARCHAR(30)", "interval", "{}",
        ["10:00:00", "-100:00:05", "00:00:00.5", "00:00:01.500000"],
        ["100 seconds", "100", "1:2", "10:00", "838:59:59", "900:00:00", "x", "10:00:00x", "1 02:00:00"],
    ),
    "seconds": ("INT", "interval", "CONCAT({}, ' seconds')", [], ["5", "100", "3600"]),
    "number": ("INT", "interval", "{}", [], ["5", "100", "3600"]),
    "clipped": ("INT", "interval", "SEC_TO_TIME({})", ["5", "-3600"], ["3020399", "9999999"]),
    "clock": ("INT", "time", "{}", [], ["5", "100", "3600"]),
    "day": ("VARBINARY(30)", "date", "{}", ["2024-02-29", "2024-02-29 00:00:00"],
            ["2024-02-29junk", "70101", "20240229", "2024-2-29", "24-02-29", "2024-02-30"]),
    "moment": ("VARBINARY(30)", "timestamp", "{}", ["2024-02-29 10:00:00.5", "2024-02-29"],
               ["2024-02-29 10:00:00 x", "20240229100000", "70101", "2024-02-29 10", "2024-02-29 25:00:00"]),
    "stamp": ("BIGINT", "timestamptz", "{}", [], ["70101", "20240229", "20240229100000"]),
    "born": ("DATE", "date", "CONCAT({}, IF({} < '2000-01-01', '', ' 12:00:00'))", ["1999-01-01"],
             ["2024-02-29"]),
    "at": ("DATETIME", "timestamp", "CONCAT({}, IF({} < '2000-01-01', '', '.5'))", ["1999-01-01 00:00:00"],
           ["2024-02-29 00:00:00"]),
    "whole": ("INT", "int", "CONCAT({}, IF({} < 10, '', 'x'))", ["-5", "7"], ["12"]),
    "big": ("BIGINT", "bigint", "CONCAT({}, IF({} < 10, '.0', '0000000000000000000'))", ["-5", "7"], ["12"]),
    "exact": ("DECIMAL(5,2)", "numeric(5,2)", "CONCAT({}, IF({} < 10, '0', '5'))", ["-5.25", "7.00"],
              ["12.25"]),
    "mixed": ("INT", "numeric", "IF({} > 9, {}, 1.5)", ["10", "3"], []),
    "sized": ("SMALLINT UNSIGNED", "numeric(6,2)", "IF({} > 9, -{}, {} / 8)", ["10", "2"], ["3"]),
    "product": ("INT", "bigint", "{} * 1000000", ["2147483647"], []),
    "halved": ("BIGINT UNSIGNED", "float8", "{} / 8", ["1", "12"], []),
    "priced": ("DECIMAL(5,2)", "varchar(20)", "CONCAT({}, ' EUR')", ["5.25", "7.00"], []),
    "scaled": ("DECIMAL(5,2)", "numeric(9,4)", "{} / 8", ["7.00"], ["5.25"]),
    "numbered": ("DOUBLE", "text", "CONCAT('no. ', {})", ["0.5", "7"], []),
    "doubled": ("DOUBLE", "float8", "CONCAT({}, IF({} < 10, '', 'x'))", ["-0.1", "1e-300"], ["12"]),
    "single": ("FLOAT", "int", "{}", ["1234567", "16777216"], []),
    "single_text": ("FLOAT", "text", "CONCAT('no. ', {})", ["16777216", "0.1"], []),
    "single_half": ("FLOAT", "numeric", "{} / 2", ["16777215"], []),
    "cents": ("FLOAT", "real", "{} * 100", ["19.99", "-3e-5", "0", "-0e0"], []),
    "cents_wide": ("FLOAT", "float8", "{} * 100", ["19.99"], []),
    # CONVERT_TZ gives its argument where the time in UTC is none that a TIMESTAMP could have.
    "utc": ("DATETIME", "timestamptz", "CONVERT_TZ({}, '+02:00', '+00:00')",
            ["1970-01-01 02:00:01", "2024-02-29 10:00:00"],
            ["1965-05-05 10:00:00", "1970-01-01 01:59:59", "1970-01-01 02:00:00", "9999-12-31 23:59:59"]),
    "utc_text": ("VARCHAR(30)", "timestamptz", "CONCAT(CONVERT_TZ({}, '+02:00', '+00:00'), '+00')",
                 ["2024-02-29 10:00:00.125"], ["1965-05-05 10:00:00.125"]),
    "utc_else": ("DATETIME", "timestamp", "IF({} < '1970-01-02', {} - INTERVAL 2 HOUR, "
                 "CONVERT_TZ(CONVERT_TZ({}, '+02:00', '+01:00'), '+01:00', '+00:00'))",
                 ["1965-05-05 10:00:00", "2024-02-29 10:00:00"], ["9999-12-31 23:59:59"]),
    "one_bit": ("BIT(1)", "boolean", "IF({} = 1, 'false', 'true')", [], ["\0", "\1"]),
    "other_bit": ("BIT(1)", "boolean", "1 - {}", ["\0", "\1"], []),
    "half_bits": ("BIT(8)", "int", "{} / 2", ["\4"], ["\5"]),
    "below_bits": ("BIT(8)", "numeric(20,0)", "-{}", ["\4"], []),
    "clamped": ("DECIMAL(20,0)", "numeric(20,0)", "{} * 1e10", ["1000000000"], ["10000000000"]),
}  # fmt: skip


def test_only_a_whole_value_is_taken(databases: tuple[str, str], tmp_path: Path) -> None:
    """MySQL's casts take the beginning of a text, and read 100 as a minute: the scan and COPY must not."""
    source, target = databases
    expected = {}
    for name, (ours, theirs, _, good, bad) in MADE.items():
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY, v {ours})")
        postgres(target, f"CREATE TABLE {name} (id int PRIMARY KEY, v {theirs})")
        for number, value in enumerate([*good, *bad]):
            mysql(source, f"INSERT INTO {name} VALUES (%s, %s)", number, value)
        expected[name] = len(good), len(bad)
    map_ = written(
        tmp_path,
        "".join(
            f'[[column]]\nmatch = {{ table = "{name}", column = "v" }}\nusing = {toml_text(way[2])}\n'
            for name, way in MADE.items()
        ),
    )
    asked = plan(source, target, "--map", map_)
    assert asked.code == 3, asked.err
    planned = {one["object"]: one for one in found(asked, "V048")}
    counts = {name: int(one["message"].split()[0]) for name, one in planned.items()}
    assert counts == {f"{name}.v": bad for name, (_, bad) in expected.items() if bad}
    assert {one["severity"] for one in planned.values()} == {"block"}
    ran = load(source, target, "--map", map_, "--no-scan", "--on-bad-row", "reject", "--max-rejects", "100")
    assert ran.json["verdict"] == "differs", ran.err
    for name, (arriving, refused) in expected.items():
        arrived = postgres(target, f"SELECT count(*) FROM {name}")
        assert arrived == [(arriving,)], name
        assert sum(one["table"] == name for one in ran.json["rejects"]) == refused, name
    texts = {
        name: [row[0] for row in postgres(target, f"SELECT v::text FROM {name} ORDER BY id")] for name in MADE
    }
    assert texts["span"] == ["10:00:00", "-100:00:05", "00:00:00.5", "00:00:01.5"]
    assert texts["clipped"] == ["00:00:05", "-01:00:00"]
    assert texts["moment"] == ["2024-02-29 10:00:00.5", "2024-02-29 00:00:00"]
    assert texts["exact"] == ["-5.25", "7.00"]
    assert texts["big"] == texts["whole"] == ["-5", "7"]
    assert (texts["mixed"], texts["sized"]) == (["10", "1.5"], ["-10.00", "0.25"])
    assert (texts["product"], texts["halved"]) == (["2147483647000000"], ["0.125", "1.5"])
    assert (texts["priced"], texts["scaled"]) == (["5.25 EUR", "7.00 EUR"], ["0.8750"])
    assert texts["numbered"] == ["no. 0.5", "no. 7"]
    assert texts["doubled"] == ["-0.1", "1e-300"]
    assert texts["single"] == ["1234567", "16777216"]
    assert texts["single_text"] == ["no. 16777216", "no. 0.10000000149011612"]
    assert texts["single_half"] == ["8388607.5"]
    assert texts["cents"] == ["1999", "-0.003", "0", "-0"]
    assert texts["cents_wide"] == ["1998.9999771118164"]
    assert texts["utc"] == ["1970-01-01 00:00:01+00", "2024-02-29 08:00:00+00"]
    assert texts["utc_text"] == ["2024-02-29 08:00:00.125+00"]
    assert texts["utc_else"] == ["1965-05-05 08:00:00", "2024-02-29 08:00:00"]
    assert (texts["other_bit"], texts["half_bits"], texts["below_bits"]) == (["true", "false"], ["2"], ["-4"])
    assert texts["clamped"] == ["1" + "0" * 19]


def test_an_enum_of_what_a_type_prints_needs_no_map(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, b ENUM('false','true'), n ENUM('-1','0','30') NOT NULL);"
        "INSERT INTO t VALUES (1, 'true', '30'), (2, 'false', '-1'), (3, NULL, '0')",
    )
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY, b boolean, n smallint NOT NULL)")
    ran = load(source, target)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, "SELECT b, n FROM t ORDER BY id") == [(True, 30), (False, -1), (None, 0)]
    mysql(source, "INSERT IGNORE INTO t VALUES (4, 'no', '0')")
    assert [one["severity"] for one in found(plan(source, target), "V022")] == ["block"]


# Column → the source's type, its values, the target's type, the hint, what it makes of the values.
HINTS: dict[str, tuple[str, list[str | None], str, str, list[str | None] | None]] = {
    "yes": ("ENUM('yes','no') NOT NULL", ["yes", "no"], "boolean", "IF({}='yes','true','false')",
            ["true", "false"]),
    "upper": ("ENUM('N','Y')", ["Y", None], "boolean", "ELT(FIELD({}, 'n', 'y'), 'false', 'true')",
              ["true", None]),
    "sex": ("ENUM('m','f') NOT NULL", ["m", "f"], "boolean", "", None),
    "three": ("ENUM('yes','no','maybe') NOT NULL", ["yes", "no"], "boolean", "", None),
    "flag": ("VARCHAR(5)", ["y", "n"], "boolean", "ELT(FIELD({}, 'n', 'y'), 'false', 'true')",
             ["true", "false"]),
    "odd": ("VARCHAR(5)", ["y", "x"], "boolean", "", None),
    "ip6": ("VARBINARY(16)", ["\x20\x01\x0d" + "\0" * 12 + "\x01", "abcd"], "inet", "INET6_NTOA({})",
            ["2001:d00::1", "97.98.99.100"]),
    "ip4": ("INT UNSIGNED", ["1", "4294967295"], "inet", "INET_NTOA({})", ["0.0.0.1", "255.255.255.255"]),
    "host": ("VARCHAR(40)", ["2001:DB8::0", "10.0.0.1"], "inet", "LOWER(INET6_NTOA(INET6_ATON({})))",
             ["2001:db8::", "10.0.0.1"]),
    "name": ("VARCHAR(40)", ["localhost", "10.0.0.1"], "inet", "", None),
    "packed": ("BINARY(14)", ["20240229235959", None], "timestamptz", "STR_TO_DATE({}, '%Y%m%d%H%i%s')",
               ["2024-02-29 23:59:59+00", None]),
    "junk": ("VARCHAR(30)", ["20240229235959x", "20240229235959"], "timestamp", "", None),
    "wiki": ("VARBINARY(14)", ["20240229235959", "infinity"], "timestamptz", "", None),
    "digits": ("INT", ["20240229", "19991231"], "date", "STR_TO_DATE({}, '%Y%m%d')",
               ["2024-02-29", "1999-12-31"]),
    "epoch": ("INT", ["1700000000", "1709164800"], "timestamptz", "FROM_UNIXTIME({})",
              ["2023-11-14 22:13:20+00", "2024-02-29 00:00:00+00"]),
    "small": ("INT", ["100", "3600"], "timestamptz", "", None),
    "zoned": ("VARCHAR(30)", ["2024-02-29 10:00:00", None], "timestamptz",
              "CONCAT(STR_TO_DATE({}, '%Y-%m-%d %H:%i:%s'), '+00')", ["2024-02-29 10:00:00+00", None]),
    "mac": ("VARCHAR(30)", ["08:00:2b:01:02:03"] * 2, "macaddr", "", None),
    "secs": ("INT", ["5", "100"], "interval", "", None),
    "cash": ("DECIMAL(9,2)", ["5", "100"], "money", "", None),
    "words": ("TEXT", ["a", "b"], "tsvector", "", None),
    "list": ("VARCHAR(30)", ["1", "2"], "integer[]", "", None),
}  # fmt: skip


def test_a_hint_is_true_of_the_data_or_not_there(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    ours = ", ".join(f"`{name}` {way[0]}" for name, way in HINTS.items())
    theirs = ", ".join(f'"{name}" {way[2]}' for name, way in HINTS.items())
    mysql(source, f"CREATE TABLE t (id INT PRIMARY KEY, {ours})")
    postgres(target, f"CREATE TABLE t (id int PRIMARY KEY, {theirs})")
    places = ", ".join(["%s"] * len(HINTS))
    for number in range(2):
        values = [
            value.encode("latin1") if way[0].startswith("VARB") and value else value
            for way in HINTS.values()
            for value in [way[1][number]]
        ]
        mysql(source, f"INSERT INTO t VALUES ({number}, {places})", *values)
    findings = {
        one["object"]: one for one in plan(source, target).json["findings"] if one["code"] in ("L003", "V041")
    }
    assert findings.keys() == {f"t.{name}" for name in HINTS}
    shown = {name: findings[f"t.{name}"]["hint"] for name in HINTS}
    assert {
        name: [line for line in hint.splitlines() if "using" in line] for name, hint in shown.items()
    } == {
        name: [("" if findings[f"t.{name}"]["code"] == "L003" else "# or: ") + f"using = {toml_text(way[3])}"]
        if way[3]
        else []
        for name, way in HINTS.items()
    }
    made = {name: way for name, way in HINTS.items() if way[3]}
    left = "".join(
        f'[[column]]\nmatch = {{ table = "t", column = "{name}" }}\nskip = true\n'
        f'[[target]]\nmatch = {{ table = "t", column = "{name}" }}\nkeep = true\n'
        for name in HINTS.keys() - made.keys()
    )
    map_ = columns(tmp_path, {name: way[3] for name, way in made.items()})
    Path(map_).write_text(Path(map_).read_text() + left)
    ran = load(source, target, "--map", map_)
    assert ran.json["verdict"] == "verified", ran.err
    for name, way in made.items():
        rows = [row[0] for row in postgres(target, f'SELECT "{name}"::text FROM t ORDER BY id')]
        assert [row.removesuffix("/32").removesuffix("/128") if row else row for row in rows] == way[4], name


def test_what_an_expression_loses_is_declared(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE t (id INT PRIMARY KEY, gone VARCHAR(9), same ENUM('yes','no'), kept VARCHAR(9), "
        "must INT);"
        "INSERT INTO t VALUES (1, '', 'yes', '', 1), (2, 'x', 'no', 'x', 0), (3, NULL, NULL, NULL, 3)",
    )
    postgres(
        target,
        "CREATE TABLE t (id int PRIMARY KEY, gone varchar(9), same boolean, kept varchar(9), "
        "must int NOT NULL)",
    )
    expressions = {"gone": "NULLIF({}, '')", "same": "IF({}='y','true','false')", "kept": "CONCAT({}, '!')"}
    findings = plan(source, target, "--map", columns(tmp_path, expressions)).json["findings"]
    told = {(one["code"], one["severity"], one["object"]) for one in findings if one["code"][0] == "V"}
    assert told == {("V160", "lossy", "t.gone"), ("V161", "lossy", "t.same")}
    ran = load(source, target, "--map", columns(tmp_path, expressions | {"must": "NULLIF({}, 0)"}))
    assert (ran.code, "V048" in ran.err, "t.must: 1 row" in ran.err) == (3, True, True), ran.err
    assert postgres(target, "SELECT count(*) FROM t") == [(0,)]


# Column → the source's type, an expression, the target's type; values that it keeps, and those that it cuts.
CUT: dict[str, tuple[str, str, str, list[str], list[str]]] = {
    "number": ("VARCHAR(40)", "{} + 0", "text", ["1", "1.50", "-3"], ["1x", "12345678901234567890123"]),
    "minus": ("VARBINARY(9)", "-(-{})", "text", ["12"], ["1x"]),
    "plus": ("VARCHAR(9)", "{} + 0", "int", ["7"], ["8x"]),
    "cast": ("VARCHAR(9)", "CAST({} AS SIGNED)", "int", ["7"], ["7.5", "8 apples", ""]),
    "floor": ("DECIMAL(5,2)", "FLOOR({})", "int", ["2.00"], ["1.70"]),
    "round": ("DOUBLE", "ROUND({}, 2)", "float8", ["1.25"], ["1.256", "-0.001"]),
    "trunc": ("DECIMAL(5,2)", "TRUNCATE({}, 1)", "numeric(5,2)", ["1.50"], ["1.57"]),
    "div": ("INT", "{} DIV 100", "int", ["0"], ["150"]),
    "day": ("DATETIME(3)", "DATE({})", "date", ["2024-02-29 00:00:00.000"], ["2024-02-29 10:00:00.000"]),
    "second": ("DATETIME(3)", "CAST({} AS DATETIME)", "timestamp", ["2024-02-29 10:00:00.000"],
               ["2024-02-29 10:00:00.100"]),
    "clock": ("DATETIME", "TIME({})", "time", [], ["2024-02-29 10:00:00", "2024-02-29 00:00:00"]),
    "year": ("DATE", "YEAR({})", "int", [], ["2024-02-29"]),
    "start": ("VARCHAR(9) CHARACTER SET latin1", "LEFT({}, 3)", "varchar(9)", ["é", "abc"], ["abcd"]),
    "part": ("VARCHAR(30)", "CONCAT(SUBSTRING_INDEX({}, '@', 1), '')", "text", ["a"], ["a@b"]),
    "sub": ("VARCHAR(9)", "SUBSTR({}, 1, 2)", "text", ["ab"], ["abc"]),
    "ascii": ("VARCHAR(9)", "CONVERT({} USING latin1)", "text", ["é"], ["Ω"]),
    "kept": ("VARCHAR(9)", "IF(LEFT({}, 1) = 'x', UPPER({}), CAST({} AS CHAR))", "text", ["XA", "b"], ["xa"]),
    "more": ("INT", "{} * 2 + 1", "int", ["1", "2"], []),
    "moment": ("INT", "FROM_UNIXTIME({})", "timestamp", ["1", "2"], []),
    "upper": ("VARCHAR(9)", "UPPER({})", "text", ["A1"], ["aB"]),
    "swapped": ("VARCHAR(9)", "REPLACE({}, 'ab', 'c')", "text", ["xa"], ["xab", "ab"]),
    "chosen": ("VARCHAR(9)", "IF({} = 'no', 'false', 'true')", "boolean", ["no", "yes"], []),
    "branch": ("VARCHAR(9)", "CASE WHEN {} = 'x' THEN 'other' ELSE LEFT({}, 2) END", "text",
               ["x", "ab"], ["abc"]),
    "least": ("INT", "LEAST({}, 100)", "int", ["99", "100"], []),
    "clipped": ("INT", "GREATEST(LEAST({}, 100), 7)", "int", ["99", "100"], ["101", "6"]),
    "stamp": ("VARCHAR(30)", "CONCAT(STR_TO_DATE({}, '%Y%m%d%H%i%s'), '+00')", "timestamptz",
              ["20240229235959"], ["20240229235958x", "2024022923595"]),
    "packed": ("VARBINARY(30)", "STR_TO_DATE({}, '%d.%c.%Y')", "date", ["29.2.2024"], ["28.2.2024 10:00"]),
    "micros": ("VARCHAR(30)", "STR_TO_DATE({}, '%Y-%m-%dT%H:%i:%s.%f')", "timestamp",
               ["2024-02-29T10:00:00.000001"], ["2024-02-29T10:00:00.000002Z"]),
    "month": ("DATETIME", "DATE_FORMAT({}, '%Y-%m')", "text", [],
              ["2024-02-29 00:00:00", "2024-03-01 10:00:00"]),
    "printed": ("DATETIME(3)", "DATE_FORMAT({}, '%d.%m.%Y %H:%i:%s.%f')", "text",
                ["2024-02-29 10:00:00.120", "2024-02-29 00:00:00.000"], []),
    "hexed": ("INT", "CONV({}, 10, 16)", "text", ["255", "0"], []),
    "unhexed": ("VARCHAR(9)", "CONV({}, 16, 10)", "text", ["ff", "A0"], ["12z", "0f"]),
    "base": ("BLOB", "TO_BASE64({})", "text", ["a" * 90, "b"], []),
    "bytes": ("VARCHAR(36)", "UNHEX({})", "bytea", ["00ff", "00FE"], []),
    "dashes": ("VARCHAR(36)", "UNHEX(REPLACE({}, '-', ''))", "bytea", ["AB"], ["C-D"]),
    "later": ("DATE", "DATE_ADD({}, INTERVAL 1 MONTH)", "date", ["2024-02-28"], ["2024-03-31"]),
    "local": ("DATETIME", "CONVERT_TZ({}, '+02:00', '+00:00')", "timestamp", ["2024-02-28 10:00:00"], []),
    "third": ("INT", "{} / 3", "numeric", ["6"], ["7"]),
    "millis": ("BIGINT", "FROM_UNIXTIME({} / 1000)", "timestamp", ["1700000000123"], []),
    "seconds": ("BIGINT", "FROM_UNIXTIME({} DIV 1000)", "timestamp", ["1700000000000"], ["1700000001123"]),
    "around": ("VARCHAR(9)", "CONCAT('<', {}, '>', {})", "text", ["a", "b"], []),
    "address": ("VARCHAR(40)", "LOWER(INET6_NTOA(INET6_ATON({})))", "inet", ["2001:DB8::0", "10.0.0.1"], []),
    "object": ("VARCHAR(40)", "CAST({} AS JSON)", "json", ['{"b":1,  "a":2}'], []),
    "unsigned": ("INT UNSIGNED", "IF({} > 10, {} + 5, {})", "bigint", ["0", "11"], []),
    "minus_of": ("BIGINT UNSIGNED", "IF({} < 10, 20 - {}, {})", "bigint", ["9223372036854775807", "5"], []),
    "divided": ("BIGINT", "IF({} < 100, {} DIV 10, {})", "bigint", ["9223372036854775807", "20"], ["25"]),
    "some": ("VARBINARY(16)", "IF(LENGTH({}) = 16, BIN_TO_UUID({}), 'none')", "text", ["a" * 16, "b"], []),
    "parsed": ("VARCHAR(40)", "IF(JSON_VALID({}), CAST({} AS JSON), 'null')", "json", ['{"b":  1}', "x"], []),
    "unquoted": ("JSON", "JSON_UNQUOTE({})", "text", ['"a"', "5"], []),
    "reread": ("VARCHAR(40)", "IF(IS_UUID({}), UUID_TO_BIN({}), 'none')", "bytea",
               ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x"], []),
    "lower": ("CHAR(36)", "LOWER({})", "uuid", ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], []),
    "single": ("FLOAT", "{}", "int", ["1234567", "16777216"], []),
    # MySQL 8.0.33 gives the text of an expression 22 characters.
    "least_single": ("FLOAT", "{}", "text", ["19.99"], ["-1.1754943508222875e-38"]),
    "cents": ("FLOAT", "{} * 100", "real", ["19.99", "-3e-5", "0"], []),
    "cents_text": ("DOUBLE", "{} * 100", "text", ["19.99", "1.1", "-1e300"], ["-1.2345678901234567e-14"]),
    "cents_exact": ("DOUBLE", "{} * 100", "numeric", ["19.99", "1.1", "-1.2345678901234567e-5"], []),
    "price": ("DOUBLE", "CONCAT({} * 100, ' c')", "text", ["19.99", "1.1"], ["-1.2345678901234567e-14"]),
    "few": ("DOUBLE", "IF({} > 1, 'many', {} * 100)", "text", ["0.1", "7"], ["-1.2345678901234567e-14"]),
    "percent": ("DOUBLE", "ROUND({} * 100) / 100", "text", ["0.29", "1.1", "-2"], ["0.291"]),
    "fahrenheit": ("DOUBLE", "{} * 9 / 5 + 32", "float8", ["36.6", "1e-10", "-40"], []),
    "in_cents": ("DOUBLE", "ROUND({} * 100) / 100", "float8", ["0.29", "1.1", "-2"], ["0.291", "1e-9"]),
    "tens": ("DOUBLE", "(FLOOR({} / 10) * 10)", "float8", ["20"], ["25"]),
    "no_tail": ("FLOAT", "TRUNCATE({}, 0) + 0", "float8", ["7"], ["7.5"]),
    "no_sign": ("DOUBLE", "ABS({}) * 1", "float8", ["0.1"], ["-0.1"]),
    "square": ("DOUBLE", "{} * {}", "float8", ["1"], ["3"]),
    "either": ("DOUBLE", "IF({} < 0, {} * -1, ROUND({}))", "float8", ["-0.1", "2"], ["2.5"]),
    "answer": ("VARCHAR(9)", "IF({} LIKE 'n%', {} = 'no', LEFT({}, 2))", "text", ["no", "ab"], ["abc"]),
    "hundreds": ("BIGINT", "REGEXP_REPLACE({}, '[0-9]{2}$', '00')", "bigint", ["1234567890123456700", "5"],
                 ["1234567890123456789"]),
    "padded": ("INT(9) ZEROFILL", "IF({} > 9, {}, CONCAT({}))", "bigint", ["5", "12"], []),
    "long": ("DECIMAL(60,2)", "INSERT({}, 30, 1, '0')", "numeric(60,2)", ["1" + "0" * 40], ["1" * 40]),
    "bits": ("BIT(64)", "REGEXP_REPLACE({} + 0, '[0-9]{2}$', '00')", "numeric(20,0)", ["d"], ["abcdefgh"]),
    "said_number": ("INT", "IF({} = 1, 'yes', 'no')", "text", ["1", "0"], []),
    "said_bit": ("BIT(1)", "IF({} = 1, 'yes', 'no')", "text", ["\0", "\1"], []),
    # MySQL writes doubles of 1e15 and more, and those below 1e-4, with an exponent.
    "epoch_us": ("BIGINT", "FROM_UNIXTIME({} / 1e6)", "timestamptz", ["1700000000012346", "5000000"], []),
    "epoch_ms": ("BIGINT", "FROM_UNIXTIME({} / 1000)", "timestamptz", ["1700000000012", "5000"], []),
    "per_million": ("BIGINT", "{} / 1e6", "float8", ["1700000000012346", "1", "-3"], ["1234567890123456789"]),
    "millionths": ("BIGINT", "{} * 1e-6", "float8", ["1700000000012346", "1", "-3"], []),
    "thousands": ("DECIMAL(20,10)", "{} * 1e3", "float8", ["0.0000123", "-0.0000000001", "2.5"], []),
    # The value that MySQL shows of 2.4699999999999998 is 2.47.
    "shown_double": ("DOUBLE(10,2)", "ROUND({}, 2)", "numeric(10,2)", ["2.47", "7.1", "-19.99"], []),
    "shown_float": ("FLOAT(10,2)", "ROUND({}, 2)", "numeric(10,2)", ["2.47", "7.1", "12345678.9"], []),
    "shown_text": ("FLOAT(10,2)", "ROUND({}, 3)", "text", ["2.47", "7.1"], []),
    "shown_less": ("DOUBLE(10,2)", "ROUND({}, 1)", "numeric(10,2)", ["7.1"], ["2.47", "0.05"]),
    "floored": ("BIGINT", "FLOOR({} / 1e6) * 1e6", "float8", ["1700000000000000"], ["1700000000012346"]),
}  # fmt: skip


def test_what_an_expression_cuts_is_declared(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    expected = set()
    for name, (ours, _, theirs, kept, cut) in CUT.items():
        mysql(source, f"CREATE TABLE `{name}` (id INT PRIMARY KEY, v {ours})")
        postgres(target, f'CREATE TABLE "{name}" (id int PRIMARY KEY, v {theirs})')
        for number, value in enumerate([*kept, *cut, None]):
            mysql(source, f"INSERT INTO `{name}` VALUES (%s, %s)", number, value)
        if cut:
            expected.add((f"{name}.v", "lossy", len(cut)))
    map_ = "".join(Path(columns(tmp_path, {"v": way[1]}, name)).read_text() for name, way in CUT.items())
    ran = load(source, target, "--map", written(tmp_path, map_))
    told = {(one["object"], one["severity"], int(one["message"].split()[0])) for one in found(ran, "V162")}
    assert told == expected, ran.err
    assert ran.json["verdict"] == "verified", ran.err


def test_rows_that_the_target_keeps_in_place_of_others_are_a_loss(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    # Table → rows of the source, and of the target.
    tables = {
        "same": ("(1, 'a')", "(1, 'a'), (2, 'own')"),
        "differs": ("(1, 'a')", "(1, 'b')"),
        "lacks": ("(1, 'a'), (2, 'b')", "(1, 'a')"),
        "bare": ("(1, 'a')", ""),
        "nothing": ("", ""),
    }
    for name, rows in tables.items():
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(9))")
        postgres(target, f"CREATE TABLE {name} (id int PRIMARY KEY, v varchar(9))")
        for run, url, values in ((mysql, source, rows[0]), (postgres, target, rows[1])):
            if values:
                run(url, f"INSERT INTO {name} VALUES {values}")
    mysql(source, "CREATE TABLE narrow (id INT PRIMARY KEY, gone INT); INSERT INTO narrow VALUES (1, 1)")
    postgres(target, "CREATE TABLE narrow (id int PRIMARY KEY); INSERT INTO narrow VALUES (1)")
    mysql(source, "CREATE TABLE loaded (id INT PRIMARY KEY)")
    postgres(target, "CREATE TABLE loaded (id int PRIMARY KEY)")
    keep = [f'[[table]]\nmatch = {{ table = "{name}" }}\nrows = "target"\n' for name in (*tables, "narrow")]
    ran = load(source, target, "--map", written(tmp_path, "".join(keep)))
    lossy = {one["object"] for one in found(ran, "L011") if one["severity"] == "lossy"}
    noted = {one["object"] for one in found(ran, "L011") if one["severity"] == "note"}
    assert (lossy, noted) == ({"differs", "lacks", "bare", "narrow"}, {"same", "nothing"}), ran.err
