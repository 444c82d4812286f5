"""Random expressions and queries over a table of odd values: what is migrated gives the same rows.

Every expression is a view, a generated column or a CHECK constraint of a source that `converge migrate`
moves as any other. What it refuses is counted, and what it migrated is read on both servers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import isclose
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pymysql
from psycopg.abc import Buffer
from pymysql.constants import FIELD_TYPE
from pymysql.converters import decoders
from support import converge

from converge.sandbox.server import connect_mysql

ROWS = 40
_BIG = "18446744073709551615 9223372036854775808 9223372036854775807"
_NUMBERS = {
    "i": ("INT", "0 1 -1 2 7 -7 100 2147483647 -2147483648"),
    "u": ("INT UNSIGNED", "0 1 5 255 65535 4294967295"),
    "b": ("BIGINT", "0 1 -1 12 -9007199254740993 9223372036854775807 -9223372036854775808"),
    "ub": ("BIGINT UNSIGNED", f"0 1 5 16 {_BIG}"),
    "flag": ("TINYINT(1)", "0 1"),
    "tiny": ("TINYINT", "0 1 3 -5 127 -128"),
    "zf": ("INT(6) ZEROFILL", "0 7 123456"),
    "n": ("DECIMAL(10,2)", "0.00 1.00 -1.50 2.50 3.35 -0.01 10.10 99999999.99 -99999999.99"),
    "m": ("DECIMAL(12,6)", "0.000000 1.500000 -2.500000 0.333333 -0.666667 123456.789012 0.000001"),
    "w": ("DECIMAL(30,0) UNSIGNED", f"0 3 99999999999999999999 {_BIG}"),
    "d": ("DOUBLE", "0 1.5 -2.5 0.1 3.5 1e15 -1e10 123456.789 1e-4 2.5 1e300"),
    "r": ("FLOAT", "0 1.5 -2.5 0.1 3.25 1e10 0.25"),
    "bit1": ("BIT(1)", "0 1"),
    "yr": ("YEAR", "1901 1999 2000 2024 2155"),
}
_TEXTS = (
    "", "a", "A", "a ", "abc", "ABC", "abc ", "aBc b", "  pad  ", "it's", "100% \\_x", "a,b,,c", "b,a",
    "0", "1", "-1", "12abc", "1.50", " 7", "1e3", "2024-02-29", "true", "red", "41", "4", "a\\b", "aB", "x%",
    "_",
)  # fmt: skip
_WIDE = ("\n", "a\tb", "äöü€", "é", "e\u0301", "ß", "ss", "😀 smile", "a\u200b", "Ä", "İ")
_STRINGS = {
    "s": "VARCHAR(40) COLLATE utf8mb4_0900_ai_ci",
    "g": "VARCHAR(40) COLLATE utf8mb4_general_ci",
    "k": "VARCHAR(40) COLLATE utf8mb4_bin",
    "x": "VARCHAR(40) COLLATE utf8mb4_0900_as_cs",
    "l": "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_general_cs",
    "lb": "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_bin",
    "c": "CHAR(12) COLLATE utf8mb4_bin",
    "tx": "TEXT COLLATE utf8mb4_unicode_ci",
}
_TIMES = {
    "day": ("DATE", ("2024-02-29", "2023-12-31", "1999-01-01", "1970-01-01", "9999-12-31", "1582-10-15",
                     "2021-01-03", "0101-01-01")),
    "at": ("DATETIME", ("2024-02-29 00:00:00", "2023-12-31 23:59:59", "9999-12-31 23:59:59",
                        "1970-01-01 00:00:01", "2021-01-03 12:30:45")),
    "at6": ("DATETIME(6)", ("2024-02-29 00:00:00.000001", "1999-12-31 23:59:59.999999",
                            "2021-01-03 12:30:45.5", "9999-12-31 23:59:59.999999")),
    "ts": ("TIMESTAMP NULL", ("2024-02-29 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07")),
    "ts6": ("TIMESTAMP(6) NULL", ("2024-02-29 12:34:56.999999", "1970-01-01 00:00:01.5",
                                  "2038-01-19 03:14:07.000001")),
    "tm": ("TIME", ("00:00:00", "-01:30:00", "838:59:59", "-838:59:59", "12:34:56", "100:00:00",
                    "-00:00:01")),
    "tm6": ("TIME(6)", ("00:00:00.000001", "-01:30:00.5", "838:59:58.999999", "12:34:56.25", "-00:00:00.5")),
    "tc": ("TIME", ("00:00:00", "08:15:30", "23:59:59", "09:00:00")),
}  # fmt: skip
_OTHERS = {
    "e": ("ENUM('small', 'Medium', 'it''s')", ("small", "Medium", "it's")),
    "st": ("SET('red', 'green', 'blue')", ("", "red", "red,blue", "green", "red,green,blue")),
    "j": ("JSON", ('{"a": 1, "b": {"c": "deep"}}', '{"a": "x\\"y"}', "[1, 2.5, \"t\"]", "null", '"s"', "1.50",
                   "true", '{"a": null}', "[]", "1e3", '{"a": [1, {"b": 2}]}')),
}  # fmt: skip
COLUMNS = (
    "id INT PRIMARY KEY, "
    + ", ".join(f"{name} {kind}" for name, (kind, _) in (_NUMBERS | _TIMES | _OTHERS).items())
    + ", "
    + ", ".join(f"{name} {kind}" for name, kind in _STRINGS.items())
    + ", y VARBINARY(20), y4 BINARY(4)"
)


def _grammar() -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    text = re.sub(r"^#.*\n", "", (Path(__file__).parent / "grammar.txt").read_text("utf-8"), flags=re.M)
    for name, forms in re.findall(r"^\[(\+?\w)\]\n(.*?)(?=^\[|\Z)", text, re.M | re.S):
        parts[name] = [" ".join(form.split()) for form in forms.split(";") if form.strip()]
    return parts


_GRAMMAR = _grammar()
_SLOT = re.compile(r"\{(\w)(\w?)\}")


class Grammar:
    """Expressions and queries of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def expression(self, slot: str, depth: int) -> str:
        """A random tree of a kind, of at most so many levels."""
        leaves = _GRAMMAR.get(slot)
        if leaves and (depth <= 0 or self.random.random() < 0.3):
            return self.random.choice(leaves)
        return self.filled(self.random.choice(_GRAMMAR[f"+{slot}"]), depth - 1)

    def filled(self, form: str, depth: int) -> str:
        """A form with its slots filled; {Ca} is one column of texts wherever it stands, {Na} of numbers."""
        same: dict[str, str] = {}

        def fill(found: re.Match[str]) -> str:
            slot, mark = found.groups()
            if mark:
                named = "k x s g l c tx" if slot == "C" else "i u ub n m d flag bit1 e day tc"
                return same.setdefault(slot + mark, self.random.choice(named.split()))
            tree = self.expression(slot, max(depth, 0))
            return f"({tree})" if " " in tree and not tree.endswith((")", "'")) else tree

        return _SLOT.sub(fill, form)

    def select(self) -> str:
        """A view's query: mostly one expression a row, every fourth a query of another shape."""
        depth = self.random.choice((1, 1, 2, 2, 3))
        if self.random.random() < 0.75:
            return f"SELECT id, {self.expression('A', depth)} AS v FROM r"
        return self.filled(self.random.choice(_GRAMMAR["+Q"]), depth - 1)


def statements(seed: int) -> list[str]:
    """What makes and fills the table r; its first row is all NULL, and every odd value is in some row."""
    random = Random(seed)
    pools: dict[str, Sequence[str]] = {name: values.split() for name, (_, values) in _NUMBERS.items()}
    pools |= {name: [_quoted(one) for one in values] for name, (_, values) in (_TIMES | _OTHERS).items()}
    for name, kind in _STRINGS.items():
        # Without them every second seed: what a note says of accents must then make no difference.
        texts = _TEXTS + (_WIDE if seed % 2 and "latin1" not in kind else ())
        pools[name] = [_quoted(one) for one in texts]
    pools["y"] = ["''", "0x41", "0x00f", "0x61", "0x6100", "'abc'"]
    pools["y4"] = ["''", "0x41", "0x00ff00f", "'abcd'"]
    made = [f"CREATE TABLE r ({COLUMNS}) DEFAULT CHARSET=utf8mb4", "INSERT INTO r (id) VALUES (0)"]
    shuffled = {name: random.sample(pool, len(pool)) for name, pool in pools.items()}
    names = ["id", *pools]
    for number in range(1, ROWS):
        values = [str(number)]
        for pool in shuffled.values():
            chosen = pool[number - 1] if number <= len(pool) else random.choice([*pool, "NULL"])
            values.append(chosen)
        made.append(f"INSERT INTO r ({', '.join(names)}) VALUES ({', '.join(values)})")
    return made


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\t", "\\t")
    return f"'{escaped}'"


@dataclass
class Tally:
    """What became of the expressions."""

    made: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By reason."""
    failed: int = 0
    """The source's own server cannot read these: out of range, for one."""
    same: int = 0
    noted: Counter[str] = field(default_factory=Counter)
    """Differences of which a finding of the plan tells, by the finding, and errors that the run names."""
    examples: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {
            "made": self.made, "the same": self.same, "different as noted": self.noted.total(),
            "not migrated": self.refused.total(), "errors of the source": self.failed,
            "faults": len(self.faults),
        }  # fmt: skip

    def line(self) -> str:
        """All of it in one line."""
        return ", ".join(f"{number} {what}" for what, number in self.counts().items())


def run(source: str, target: str, seed: int, views: int, columns: int = 0) -> Tally:
    """One migration of so many views, and of tables with a generated column and a CHECK constraint each."""
    grammar, tally = Grammar(seed), Tally()
    with _source(source) as here, here.cursor() as cursor:
        for sql in statements(seed):
            cursor.execute(sql)
        made = {f"v{number}": _view(cursor, f"v{number}", grammar) for number in range(views)}
        old = str(here.get_server_info()).startswith("8.0.15")  # type: ignore[no-untyped-call]
        made |= {f"g{number}": _generated(cursor, f"g{number}", grammar, old) for number in range(columns)}
        if not old:
            made |= {f"c{number}": _checked(cursor, f"c{number}", grammar) for number in range(columns)}
    ran = converge("migrate", "--source", source, "--target", target, "--json", "--yes")
    assert ran.out, ran.err
    assert "block" not in {one["severity"] for one in ran.json["findings"]}, ran.err
    named = {one["table"] for one in ran.json["differences"] if "ERROR" in str(one["target"])}
    findings: dict[str, list[str]] = {}
    for one in ran.json["findings"]:
        findings.setdefault(str(one["object"]).partition(".")[0], []).append(
            f"{one['code']} {one['message']}"
        )
    with _source(source) as here, psycopg.connect(target, autocommit=True) as there:
        here.encoding = "latin1"
        there.execute("SET timezone = 'UTC'")
        for kind in ("json", "jsonb"):
            there.adapters.register_loader(kind, TextLoader)
        present = {name for (name,) in there.execute(_PRESENT)}
        for name, sql in made.items():
            if not sql:
                continue
            tally.made += 1
            if name not in present:
                tally.refused[_reason(findings.get(name, []))] += 1
            elif name in named:
                tally.noted["the target's server cannot read these, and the run says so"] += 1
                tally.examples.append(f"{sql}\n    {name}")
            elif name.startswith("c"):
                _judge_check(here, there, name, sql, findings.get(name, []), tally, wide=bool(seed % 2))
            else:
                _judge(here, there, name, sql, findings.get(name, []), tally, bool(seed % 2))
    return tally


_COLUMNS = """
    SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute
     WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
_PRESENT = """
    SELECT viewname FROM pg_views WHERE schemaname = 'public'
    UNION SELECT table_name FROM information_schema.columns WHERE is_generated = 'ALWAYS'
    UNION SELECT conrelid::regclass::text FROM pg_constraint WHERE conname LIKE 'checked%'"""


def _source(url: str) -> pymysql.Connection[Any]:
    types: dict[Any, Any] = {**decoders, FIELD_TYPE.NEWDECIMAL: _decimal}
    return connect_mysql(
        url,
        # A hash join takes -2147483648 and -99999999.99, a DECIMAL(10,2), for equal; a nested loop does not.
        init_command="SET time_zone = '+00:00', optimizer_switch = 'block_nested_loop=off'",
        conv=types,
    )


def _decimal(text: Any) -> Any:
    """A number; of IF(…, BIGINT, BIT) the server sends the bits as bytes."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return int.from_bytes(text.encode("latin1"))


def _view(cursor: pymysql.cursors.Cursor, name: str, grammar: Grammar) -> str:
    select = grammar.select()
    return select if _made(cursor, f"CREATE VIEW {name} AS {select}") else ""


_STORED = {
    "N": "DECIMAL(50,12)", "I": "BIGINT", "B": "TINYINT", "S": "VARCHAR(300)", "D": "DATETIME(6)",
    "T": "TIME(6)", "J": "JSON", "Y": "VARBINARY(99)",
}  # fmt: skip


def _generated(cursor: pymysql.cursors.Cursor, name: str, grammar: Grammar, old: bool) -> str:
    slot = grammar.random.choice([*_STORED])
    text = grammar.expression(slot, 2)
    if old and re.search(r"\b(and|or)\b|\w, \w+\) \S+ \(", text):
        # 8.0.15 dies as it opens a table again whose column is IF(a AND b, …) or IF((a, b) = (c, d), …).
        return ""
    _made(cursor, f"CREATE TABLE {name} LIKE r")
    if not _made(cursor, f"ALTER TABLE {name} ADD COLUMN v {_STORED[slot]} AS ({text}) STORED"):
        _made(cursor, f"DROP TABLE {name}")
        return ""
    _fill(cursor, name)
    if slot == "S":
        _made(cursor, f"DELETE FROM {name} WHERE instr(v, char(0 USING utf8mb4))")
    return f"v AS ({text})"


def _checked(cursor: pymysql.cursors.Cursor, name: str, grammar: Grammar) -> str:
    text = grammar.expression("B", 2)
    _made(cursor, f"CREATE TABLE {name} LIKE r")
    if not _made(cursor, f"ALTER TABLE {name} ADD CONSTRAINT checked_{name} CHECK ({text})"):
        _made(cursor, f"DROP TABLE {name}")
        return ""
    _fill(cursor, name)
    return f"CHECK ({text})"


def _fill(cursor: pymysql.cursors.Cursor, name: str) -> None:
    """Those rows that the server takes into this table."""
    columns = ", ".join(["id", *_NUMBERS, *_TIMES, *_OTHERS, *_STRINGS, "y", "y4"])
    for number in range(ROWS):
        _made(cursor, f"INSERT INTO {name} ({columns}) SELECT {columns} FROM r WHERE id = {number}")


_LOST = (0, 2006, 2013)


def _made(cursor: pymysql.cursors.Cursor, sql: str) -> bool:
    try:
        cursor.execute(sql)
    except pymysql.err.Error as error:
        assert error.args[0] not in _LOST, f"the server died of {sql}"
        return False
    return True


def _reason(findings: list[str]) -> str:
    text = next((one for one in findings if "its text is" in one), "; ".join(findings) or "no reason given")
    return text.partition("; its text is")[0]


def _judge(
    here: pymysql.Connection[Any], there: psycopg.Connection[Any], name: str, sql: str,
    findings: list[str], tally: Tally, wide: bool,
) -> None:  # fmt: skip
    with here.cursor() as cursor:
        if not _made(cursor, f"SELECT * FROM {name}"):
            tally.failed += 1
            return
        expected = [tuple(_plain(_decoded(value)) for value in row) for row in cursor.fetchall()]
    try:
        got = [tuple(map(_plain, row)) for row in there.execute(f"SELECT * FROM {name}".encode()).fetchall()]
    except psycopg.Error as error:
        tally.faults.append(f"{sql}\n    {name}: {str(error).splitlines()[0]}")
        return
    expected, got = (sorted(rows, key=repr) for rows in (expected, got))
    pairs = [(a, b) for a, b in zip(expected, got, strict=False) if not _equal(a, b)]
    if len(expected) == len(got) and not pairs:
        tally.same += 1
        return
    noted = [one for one in findings if one.startswith(("P053", "P029"))]
    if any("may show another one" in one for one in noted) and _folded(expected) == _folded(got):
        tally.same += 1
        return
    if noted and (wide or re.search("order of texts|2038", str(noted))):
        tally.noted[" / ".join(noted)] += 1
        tally.examples.append(f"{sql}\n    {noted}\n    {pairs[:2]}")
        return
    tally.faults.append(f"{sql}\n    {name}: {len(expected)} and {len(got)} rows, {pairs[:2]}")


def _folded(rows: list[tuple[Any, ...]]) -> list[str]:
    """Different rows, without what collations ignore in a text; DISTINCT of 8.0.15 tells '' from ' '."""
    texts = (tuple(one.strip().upper() if isinstance(one, str) else one for one in row) for row in rows)
    return sorted(set(map(repr, texts)))


def _judge_check(
    here: pymysql.Connection[Any], there: psycopg.Connection[Any], name: str, sql: str,
    findings: list[str], tally: Tally, wide: bool,
) -> None:  # fmt: skip
    """A migrated CHECK has taken all rows that are there; it must refuse those for which it is false.

    The source also refuses a row for which it cannot compute the CHECK.
    """
    types = dict(there.execute(_COLUMNS, (name,)).fetchall())
    columns = ", ".join(f"{column}::text::{type_}" for column, type_ in types.items())
    refused = []
    with here.cursor() as cursor:
        for number in range(ROWS):
            if _made(cursor, f"SELECT 1 FROM r WHERE id = {number} AND NOT ({sql.removeprefix('CHECK ')})"):
                refused += [number] * cursor.rowcount
    for number in refused:
        try:
            there.execute(f"INSERT INTO {name} SELECT {columns} FROM r WHERE id = {number}".encode())
        except (psycopg.errors.CheckViolation, psycopg.DataError):
            # A column is a time of day where all rows that the source has taken are.
            continue
        except psycopg.Error as error:
            tally.faults.append(f"{sql}\n    {name}: {str(error).splitlines()[0]}")
            return
        noted = [one for one in findings if "2038" in one or (wide and "accents" in one)]
        if noted:
            tally.noted[" / ".join(noted)] += 1
        else:
            tally.faults.append(f"{sql}\n    {name}: takes row {number}, which the source refuses")
        return
    tally.same += 1


class TextLoader(psycopg.adapt.Loader):
    """JSON as its text: a driver's floats would hide digits."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


def _equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(map(_same, left, right))


def _decoded(value: Any) -> Any:
    """A text of the source, some of which are no UTF-8: the driver was told to take single bytes."""
    return value.encode("latin1").decode("utf-8", "replace") if isinstance(value, str) else value


def _same(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float | Decimal):
        return isclose(here, there, rel_tol=1e-13)
    # A text made of numbers alone has MySQL's binary character set.
    return bool(here == there or (isinstance(there, str) and here == there.encode().hex()))


_TIME = re.compile(r"(-?)(\d{2,3}):(\d\d):(\d\d(?:\.\d+)?)")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?")


def _plain(value: Any) -> Any:
    """A value of either driver in a form that can be compared."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value.normalize()
    if isinstance(value, bytes | memoryview):
        return (
            int.from_bytes(value)
            if len(value) == 1 and bytes(value) in (b"\0", b"\1")
            else bytes(value).hex()
        )
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, time):
        value = datetime.combine(date.min, value) - datetime.min
    if isinstance(value, timedelta):
        return f"{value / timedelta(seconds=1):.6f} s"
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.replace(tzinfo=None)).isoformat(" ")
    if isinstance(value, date):
        return str(value)
    if isinstance(value, str) and value[:1] in '[{"':
        return _document(value)
    if isinstance(value, str) and (found := _TIME.fullmatch(value)):
        seconds = int(found[2]) * 3600 + int(found[3]) * 60 + float(found[4])
        return f"{-seconds if found[1] else seconds:.6f} s"
    if isinstance(value, str) and (found := _MOMENT.fullmatch(value)):
        rest = (found[2] or "").rstrip("0")
        return found[1] + (rest.ljust(7, "0") if len(rest) > 1 else "")
    return value


def _document(text: str) -> str:
    try:
        return json.dumps(json.loads(text, parse_float=lambda digits: float(digits)), sort_keys=True)
    except ValueError:
        return text
