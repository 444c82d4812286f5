"""A table with the values at which MySQL and PostgreSQL part, and the same expressions asked of both."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from support import converge, mysql, postgres

from converge.mapping.read import load
from converge.model.endpoint import parse
from converge.model.plan import Plan
from converge.model.quote import my_name, my_text
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import connect
from converge.mysql.privileges import read_privileges
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.plan import draft_plan
from converge.postgres.connect import connect as connect_postgres
from converge.postgres.target import read_target
from converge.run.evidence import ask_target

_ID = "6ccd780c-baba-1026-9564-5b8c656024db"
COLUMNS = """
    id INT PRIMARY KEY, i INT, u INT UNSIGNED, b BIGINT, ub BIGINT UNSIGNED, flag TINYINT(1), tiny TINYINT,
    n DECIMAL(10,2), m DECIMAL(12,6), d DOUBLE, r FLOAT, yr YEAR,
    s VARCHAR(60) COLLATE utf8mb4_0900_ai_ci, g VARCHAR(60) COLLATE utf8mb4_general_ci,
    k VARCHAR(60) COLLATE utf8mb4_bin, x VARCHAR(60) COLLATE utf8mb4_0900_as_cs, c CHAR(10),
    e ENUM('small', 'Medium', 'it''s'), st SET('red', 'green', 'blue'),
    day DATE, at DATETIME, at6 DATETIME(6), ts TIMESTAMP NULL, tm TIME, j JSON, y BINARY(16), uid CHAR(36),
    l VARCHAR(60) CHARACTER SET latin1 COLLATE latin1_general_cs, bit1 BIT(1), ts6 TIMESTAMP(6) NULL
"""
ROWS = (
    # i, u, b, ub, flag, tiny, n, m, d, r, yr
    "0 0 0 0 0 0 0.00 0.000000 0 0 2000",
    "1 1 1 1 1 1 1.00 1.500000 1.5 1.5 1901",
    "-1 7 -1 7 0 -1 -1.50 -2.500000 -2.5 -2.5 2155",
    "2 2 2 18446744073709551615 1 127 2.50 0.333333 0.1e0 0.1 1999",
    "3 3 3 9223372036854775807 1 -128 -0.01 -0.666667 3.5 0.5 2024",
    "-7 4294967295 -9007199254740993 4 0 5 99999999.99 123456.789012 -1e10 1e10 2000",
    "2147483647 12 9007199254740993 12 1 3 -99999999.99 -999999.999999 1e15 3.25 2000",
    "-2147483648 100 4611686018427387904 100 1 9 0.05 0.000001 123456.789e0 7 2000",
    "7 65535 255 255 0 10 10.10 10.100000 0.3e0 0.25 2000",
    "100 5 -255 5 1 4 33.33 7.777777 1e-4 2.5 2000",
)
TEXTS = ("", "abc", "ABC", "aBc b", "  pad  ", "äöü€", "it's", "100% \\_x", "a,b,,c", "😀 smile")
LABELS = ("small", "Medium", "it's", "small", "Medium", "it's", "small", "small", "Medium", "small")
SETS = ("", "red", "red,blue", "green", "blue", "red,green,blue", "", "green", "red", "blue")
DAYS = (
    "2024-02-29", "2023-12-31", "1999-01-01", "2020-01-31", "2024-03-01",
    "1970-01-01", "9999-12-31", "2021-01-03", "2000-02-29", "1582-10-15",
)  # fmt: skip
CLOCKS = (
    "00:00:00.000000", "23:59:59.999999", "12:30:45.500000", "01:02:03.000004", "13:00:00.100000",
    "06:07:08.090000", "23:59:59.499999", "00:00:01.000000", "18:19:20.212223", "11:59:59.900000",
)  # fmt: skip
TIMES = (
    "00:00:00", "-01:30:00", "838:59:59", "12:34:56", "-838:59:59",
    "00:00:01", "23:59:59", "100:00:00", "01:01:01", "-00:00:01",
)  # fmt: skip
DOCUMENTS = (
    '{"a": 1, "b": {"c": "deep"}}', '{"a": "text \\"q\\" ü", "l": [1, 2, 3]}', "[]", '[10, {"a": 5}]',
    '"just text"', "null", '{"a": null}', "{}", '{"a": [true, false], "b": 1.5}', "42",
)  # fmt: skip


def statements() -> list[str]:
    """What makes and fills the table t; its first row is all NULL."""
    made = [f"CREATE TABLE t ({COLUMNS}) DEFAULT CHARSET=utf8mb4"]
    made.append("INSERT INTO t (id) VALUES (0)")
    for number, numbers in enumerate(ROWS):
        text, day, clock = TEXTS[number], DAYS[number], CLOCKS[number]
        identifier = f"{number:08x}{_ID[8:]}"
        texts = (
            text, text, text, text, text[:10].strip(), LABELS[number], SETS[number], day,
            f"{day} {clock[:8]}",
            f"{day} {clock}", f"20{10 + number}-0{1 + number % 9}-28 {clock[:8]}", TIMES[number],
            DOCUMENTS[number],
        )  # fmt: skip
        values = [str(number + 1), *numbers.split(), *map(my_text, texts)]
        latin1 = text.encode("latin1", "ignore").decode("latin1")
        values += [f"UNHEX(REPLACE('{identifier}', '-', ''))", my_text(identifier), my_text(latin1)]
        values += [str(number % 2), my_text(f"20{10 + number}-03-28 {clock}")]
        made.append(f"INSERT INTO t VALUES ({', '.join(values)})")
    return made


@dataclass(frozen=True)
class Pair:
    """Both servers with the table t, its rows copied from one to the other."""

    source: str
    target: str
    map: str

    def ask(self, expressions: dict[str, str]) -> dict[str, Answer]:
        """Each SELECT over t, made a view in MySQL, translated, and read on both servers."""
        views = [f"CREATE OR REPLACE VIEW {my_name(name)} AS {sql}" for name, sql in expressions.items()]
        mysql(self.source, ";".join(views))
        plan = self.plan()
        found = {}
        outcomes = {one.name: one.why for one in plan.outcomes if one.kind == "view"}
        made = {one.object: one.sql for one in plan.statements if one.phase == "view"}
        at = parse(self.source)
        with (
            connect(at) as here,
            psycopg.connect(self.target, autocommit=True) as there,
            here.cursor() as cursor,
        ):
            there.execute("SET timezone = 'UTC'; SET search_path = pg_catalog")
            cursor.execute("SET SESSION group_concat_max_len = 1000000")
            for name in expressions:
                if name not in made:
                    found[name] = Answer(outcomes[name], [], [])
                    continue
                try:
                    cursor.execute(f"SELECT * FROM {my_name(name)}")
                except pymysql.err.Error as error:
                    found[name] = Answer(f"the source itself refuses: {error}", [], [])
                    continue
                expected = [tuple(map(plain, row)) for row in cursor.fetchall()]
                query = made[name].partition(" AS ")[2]
                found[name] = Answer("", expected, _rows(there, query), query)
        mysql(self.source, f"DROP VIEW {', '.join(map(my_name, expressions))}")
        return found

    def both(self, here: str, there: str) -> Answer:
        """The rows of a query of each side."""
        expected = [tuple(map(plain, row)) for row in mysql(self.source, here)]
        got = [tuple(map(plain, row)) for row in postgres(self.target, there)]
        return Answer("", expected, got, there)

    def draft(self) -> Draft:
        """The draft of a plan of the source as it is now."""
        return draft_plan(self._inputs(), None)

    def plan(self) -> Plan:
        """The plan of the source as it is now, with its translations tried."""
        inputs = self._inputs()
        with connect_postgres(parse(self.target)) as there:
            facts = read_target(there, inputs.schema)
            return ask_target(replace(inputs, facts=facts, own=frozenset(facts.names)), there)[0]

    def _inputs(self) -> Inputs:
        at = parse(self.source)
        with connect(at) as connection:
            catalog = read_catalog(connection, read_privileges(connection, at.database))
        return Inputs(catalog, load([self.map]))


@dataclass(frozen=True)
class Answer:
    refused: str
    expected: list[tuple[Any, ...]]
    got: list[tuple[Any, ...]]
    sql: str = ""


def _rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    try:
        return [tuple(map(plain, row)) for row in connection.execute(query.encode()).fetchall()]
    except psycopg.Error as error:
        return [(str(error),)]


def plain(value: Any) -> Any:
    """A value of either driver in a form that can be compared."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return value.normalize() + 0
    if isinstance(value, memoryview | bytes):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return value


def as_json(value: Any) -> Any:
    """MySQL's driver gives JSON as text, PostgreSQL's as values."""
    return json.loads(value) if isinstance(value, str) else value


def make_pair(source: str, target: str, folder: Path) -> Pair:
    """Fills the source and migrates it; `flag` becomes a boolean."""
    for sql in statements():
        mysql(source, sql)
    file = folder / "flag.toml"
    file.write_text('[[column]]\nmatch = { column = "flag" }\nto = "boolean"\nwhy = "a flag"\n')
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(file))
    assert ran.code == 0, ran.err
    return Pair(source, target, str(file))
