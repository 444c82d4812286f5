"""What a map's types mean for later rows: numbers, defaults, times and documents."""

from __future__ import annotations

from pathlib import Path

from support import converge, mysql, postgres

SOURCE = """
CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, doc VARCHAR(40), bytes VARBINARY(40), j JSON,
  n INT DEFAULT 5, made TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)
) AUTO_INCREMENT = 3000000000;
INSERT INTO t (id, doc, bytes, j, n) VALUES (1, '{"a":1,"a":2}', '{"b":1,"b":1}', '{"c":1}', 7);
CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 32767
"""
MAP = """
[[column]]
match = { column = "id", table = "t" }
to = "integer"
[[column]]
match = { column = "doc" }
to = "jsonb"
[[column]]
match = { column = "bytes" }
to = "jsonb"
[[column]]
match = { column = "n" }
using = "{} * 10"
[[column]]
match = { column = "made" }
to = "timestamp(3)"
[[column]]
match = { column = "id", table = "small" }
to = "smallint"
"""
LATER = """
SET timezone = 'America/New_York';
INSERT INTO t (id) VALUES (2);
UPDATE t SET n = 8 WHERE id = 1
"""
NEW = "SELECT count(*) FROM t WHERE abs(extract(epoch FROM made - now() AT TIME ZONE 'UTC')) < 60"


def test_what_a_map_means_for_later_rows_is_said(databases: tuple[str, str], tmp_path: Path) -> None:
    source, target = databases
    mysql(source, SOURCE)
    map_ = tmp_path / "map.toml"
    map_.write_text(MAP)
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    said = {(one["code"], one["severity"], one["object"]) for one in ran.json["findings"]}
    assert {one for one in said if one[0] in ("P158", "P159", "L027")} == {
        ("P158", "lossy", "t.id"), ("P159", "note", "t.n"), ("L027", "lossy", "t.doc"),
        ("L027", "lossy", "t.bytes"),
    }  # fmt: skip
    postgres(target, LATER)
    assert postgres(target, NEW) == [(2,)]


def test_the_implied_default_of_an_enum_is_not_that_of_other_values(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY, implied ENUM('new','paid') NOT NULL, "
                  "said ENUM('paid') NOT NULL DEFAULT 'paid', code ENUM('5','7') NOT NULL)")  # fmt: skip
    mysql(source, "INSERT INTO t VALUES (1, 'new', 'paid', '7')")
    map_ = tmp_path / "map.toml"
    entries = (f"[[column]]\nmatch = {{ column = '{name}' }}\nto = '{to}'\nusing = '{using}'\n"
               for name, to, using in (("implied", "text", "UPPER({})"), ("said", "text", "UPPER({})"),
                                       ("code", "integer", "{} + 0")))  # fmt: skip
    map_.write_text("".join(entries))
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert ran.json["verdict"] == "verified", ran.err
    said = {(one["code"], one["object"]) for one in ran.json["findings"] if one["code"] in ("P159", "P011")}
    assert said == {("P159", "t.said"), ("P011", "t.implied"), ("P011", "t.code")}
    defaults = postgres(target, "SELECT column_name, column_default FROM information_schema.columns "
                                "WHERE table_name = 't' AND column_default IS NOT NULL")  # fmt: skip
    assert defaults == [("said", "'paid'::text")]


def test_a_sequence_of_the_target_that_ends_early_is_said(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT = 40000")
    mysql(source, "CREATE TABLE fits (id INT AUTO_INCREMENT PRIMARY KEY, n INT) AUTO_INCREMENT = 7")
    postgres(target, "CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    postgres(target, "CREATE SEQUENCE numbers MAXVALUE 50 CYCLE OWNED BY t.id")
    postgres(target, "ALTER TABLE t ALTER id SET DEFAULT nextval('numbers')")
    postgres(target, "CREATE TABLE fits (id smallserial PRIMARY KEY, n integer)")
    ran = converge("plan", "--source", source, "--target", target, "--mode", "load", "--json")
    said = {(one["object"], one["severity"]) for one in ran.json["findings"] if one["code"] == "P158"}
    assert said == {("t.id", "lossy")}, ran.err


ROUNDED = {
    "moment": ("DATETIME(6)", "'2000-01-01 00:00:00.999999'", "timestamp(0)"),
    "clock": ("TIME(6)", "'10:00:00.999999'", "time(0)"),
    "span": ("TIME(6)", "'10:00:00.5'", "interval(0)"),
    "whole": ("INT", "16777217", "real"),
    "big": ("BIGINT", "9007199254740993", "double precision"),
    "small": ("DOUBLE", "0.1", "real"),
    "long_": ("DECIMAL(30,20)", "1234567890.12345678901234567890", "double precision"),
    "spaces": ("VARCHAR(9)", "'ab    '", "varchar(3)"),
}
"""Columns with a default that the target's type would change without a word."""
EXACT = {
    "moment1": ("DATETIME(6)", "'2000-01-01 00:00:00.500000'", "timestamp(1)"),
    "clock0": ("TIME(6)", "'10:00:00.000000'", "time(0)"),
    "whole0": ("INT", "16777216", "real"),
    "half": ("DOUBLE", "0.5", "real"),
    "tenth": ("FLOAT", "0.1", "double precision"),
    "decimal0": ("DECIMAL(30,20)", "0.1", "double precision"),
    "spaces0": ("VARCHAR(9)", "'ab '", "varchar(3)"),
    "odd": ("VARCHAR(9) CHARACTER SET latin1", "'Ã©'", "text"),
    "fine": ("VARCHAR(9) CHARACTER SET latin1", "'é'", "text"),
}


def test_a_default_is_the_source_s_or_none(both_databases: tuple[str, str], tmp_path: Path) -> None:
    """Of a repaired column it is repaired, too."""
    source, target = both_databases
    columns = {**ROUNDED, **EXACT}
    declared = (f"{name} {type_} DEFAULT {literal}" for name, (type_, literal, _) in columns.items())
    mysql(source, f"CREATE TABLE t (id INT PRIMARY KEY, {', '.join(declared)})")
    map_ = tmp_path / "map.toml"
    entry = '[[column]]\nmatch = {{ column = "{}" }}\nto = "{}"\n'
    repair = '[[type]]\nmatch = { charset = "latin1" }\npolicy = { latin1_utf8 = "repair" }\n'
    map_.write_text("".join(entry.format(name, to) for name, (_, _, to) in columns.items()) + repair)
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    dropped = {one["object"] for one in ran.json["findings"] if one["code"] == "P011"}
    assert dropped == {f"t.{name}" for name in ROUNDED}
    postgres(target, "INSERT INTO t (id) VALUES (1)")
    mysql(source, "INSERT INTO t (id, odd) VALUES (1, 'Ã©')")
    left_out = ", ".join(f"{name} = NULL" for name in ROUNDED)
    mysql(source, f"UPDATE t SET {left_out}")
    ran = converge("verify", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert ran.json["differences"] == [], ran.err
    assert postgres(target, "SELECT odd, fine FROM t") == [("é", "é")]
