"""Fills an empty MySQL database with the demo application.

What a column gets is decided by its name where it has traps (`texts`), else by its type, as the server's own
catalog says it; foreign keys get keys of the rows that were made before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from itertools import accumulate
from random import Random
from typing import Any
from uuid import UUID

from pymysql.connections import Connection

from converge.demo.texts import EDGES, NUMBERED, USUAL, Value, Writer
from converge.errors import UsageError
from converge.model.endpoint import parse
from converge.model.words import counted
from converge.mysql.connect import connect

TABLES = {
    "organisation": 4, "person": 60, "credential": 80, "login_session": 75, "membership": 65, "space": 10,
    "article": 80, "article_revision": 55, "comment": 140, "reaction": 130, "attachment": 30, "invoice": 30,
    "booking": 20, "metric_sample": 60, "legacy_contact": 12, "export_job": 0, "audit_log": 149,
}  # fmt: skip
"""In the order they are filled: rows of each table per thousand rows of the whole database."""

LEAST_ROWS = 2000
"""With fewer rows there is no room for every awkward value."""

_START = datetime(2019, 3, 1)
_SPAN = 6 * 365 * 86_400  # seconds after it in which everything happens
# Symbols that only bytes tell apart, by one person on one comment: no collation may merge them.
_SYMBOLS = ("👍", "👎", "❤️", "❤", "🎉", "👩🏽‍🚀", "+1", "\u00e9", "e\u0301", "E")

# Strict, so that nothing is stored that the server had to bend; UTC, so that no TIMESTAMP falls into a gap;
# and writing, which a session on a source of somebody's never is.
_SESSION = (
    "SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', "
    "transaction_read_only = 0"
)
_COLUMNS = (
    "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE = 'YES', EXTRA, "
    "coalesce(CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION, NUMERIC_PRECISION), "
    "(SELECT min(REFERENCED_TABLE_NAME) FROM information_schema.KEY_COLUMN_USAGE k "
    "WHERE k.TABLE_SCHEMA = DATABASE() AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME) "
    "FROM information_schema.COLUMNS c WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"
)
# Lets spaces point to one of their articles: space and article then refer to each other. Assigning updated_at
# to itself keeps ON UPDATE CURRENT_TIMESTAMP from asking the clock.
_PIN = (
    "UPDATE space s JOIN (SELECT space_id, MIN(id) AS article_id FROM article GROUP BY space_id) a "
    "ON a.space_id = s.id SET s.pinned_article_id = a.article_id, s.updated_at = s.updated_at "
    "WHERE s.visibility <> 'hidden'"
)


def fill(
    url: str, *, seed: int = 7, rows: int = 200_000, on_progress: Callable[[str], None] | None = None
) -> int:
    """Create the demo's tables in the empty database at `url` and fill them; returns the number of rows.

    Equal `seed` and `rows` give equal data. 200,000 rows hold about 100 MB and take MySQL 250 MB.
    """
    if rows < LEAST_ROWS:
        raise UsageError(f"The demo needs at least {LEAST_ROWS} rows, not {rows}")
    say = on_progress or (lambda message: None)
    with connect(parse(url)) as connection:
        _execute(connection, _SESSION)
        _refuse_unless_empty(connection)
        for statement in statements():
            _execute(connection, statement)
        columns: dict[str, list[Column]] = {table: [] for table in TABLES}
        for table, *facts in _execute(connection, _COLUMNS):
            if table in columns and "GENERATED" not in facts[4].replace("DEFAULT_GENERATED", ""):
                columns[table].append(Column(table, *facts))
        world = World(seed)
        for table, count in counts(rows).items():
            if count:
                _insert(connection, columns[table], world.rows(table, columns[table], count))
            say(f"{table}: {counted(count, 'row')}")
        _execute(connection, _PIN)
    return rows


def counts(rows: int) -> dict[str, int]:
    """How many rows each table gets; they add up to `rows`."""
    result = {table: rows * share // 1000 for table, share in TABLES.items()}
    result["audit_log"] += rows - sum(result.values())
    return result


def statements() -> list[str]:
    """The statements of schema.sql, without its comment lines."""
    text = (resources.files("converge.demo") / "schema.sql").read_text(encoding="utf-8")
    text = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]


@dataclass(frozen=True)
class Column:
    """What the catalog says of a column."""

    table: str
    name: str
    kind: str
    type: str
    nullable: int
    extra: str
    size: int | None
    """Characters, digits, bits, or digits of a fraction of a second."""
    parent: str | None


class World:
    """State of one generation. It asks the seeded generator, never the clock: equal seeds, equal rows."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._text = Writer(self._rng)
        self._keys: dict[str, list[Any]] = {}

    def rows(self, table: str, columns: list[Column], count: int) -> Iterator[list[Value]]:
        """That many rows, parents before children."""
        keys = self._keys[table] = []
        makers = [(column.name, self._maker(column)) for column in columns]
        first = "number" if table == "comment" else "id"
        row: list[Value] = []
        for index, special in enumerate(self._special(table, count)):
            # Every tenth sample repeats the one before it: without a key only its count tells them apart.
            if table != "metric_sample" or index % 10 != 9:
                row = [special[name] if name in special else make(index) for name, make in makers]
            named = dict(zip((name for name, _ in makers), row, strict=True))
            keys.append((named["article_id"], named["number"]) if first == "number" else named.get("id"))
            yield row

    def _special(self, table: str, count: int) -> Iterator[dict[str, Value]]:
        """The values of each row that hang on each other or on other rows, by column."""
        if table in ("space", "comment"):
            yield from self._spaces(count) if table == "space" else self._comments(count)
            return
        keys = self._keys
        # In the order of their key rows fill pages one after the other.
        ids = sorted(self._uuid() for _ in range(count)) if table in ("person", "article") else []
        gaps = list(accumulate(self._rng.randint(1, 9) for _ in range(count)))  # as of rows that were deleted
        by_index: dict[str, Callable[[int], dict[str, Value]]] = {
            "organisation": lambda index: {"id": gaps[index]},
            "person": lambda index: {"id": ids[index]},
            "article": lambda index: {"id": ids[index], "number": 2 * index + 1},
            # Pairs, and below triples, without repetition.
            "membership": lambda index: {
                "organisation_id": keys["organisation"][index % len(keys["organisation"])],
                "person_id": keys["person"][index // len(keys["organisation"])],
            },
            "reaction": lambda index: {
                "article_id": keys["comment"][index // len(_SYMBOLS)][0],
                "comment_number": keys["comment"][index // len(_SYMBOLS)][1],
                "person_id": keys["person"][index // len(_SYMBOLS) % len(keys["person"])],
                "symbol": _SYMBOLS[index % len(_SYMBOLS)],
            },
            # Everybody has one; some have other ways to sign in as well.
            "credential": lambda index: {"person_id": keys["person"][index % len(keys["person"])]},
            "article_revision": lambda index: {
                "article_id": keys["article"][index // 2],
                "revision": index % 2 + 1,
            },
            # An old numbering that began below zero, and gave out zero.
            "legacy_contact": lambda index: {"id": index - 4 if index < 5 else index + 100},
            # The last are near the end of a 64-bit integer's exact doubles.
            "audit_log": lambda index: {"id": index + 1 if index < count - 3 else 2**53 + index},
        }
        yield from map(by_index.get(table, lambda index: {}), range(count))

    def _spaces(self, count: int) -> Iterator[dict[str, Value]]:
        """A child belongs to the organisation of its parent; a tenth are roots, the first always is one."""
        rng, keys = self._rng, self._keys
        owners: list[int] = []
        for index in range(count):
            parent = rng.randrange(index) if index and rng.random() > 0.1 else None
            owners.append(rng.choice(keys["organisation"]) if parent is None else owners[parent])
            above = None if parent is None else keys["space"][parent]
            yield {"organisation_id": owners[-1], "parent_id": above, "pinned_article_id": None}

    def _comments(self, count: int) -> Iterator[dict[str, Value]]:
        numbers: dict[str, int] = {}
        for article in sorted(self._rng.choices(self._keys["article"], k=count)):
            numbers[article] = number = numbers.get(article, 0) + 1
            reply = self._rng.randint(1, number - 1) if number > 1 and self._rng.random() < 0.6 else None
            yield {"article_id": article, "number": number, "reply_to": reply}

    def _maker(self, column: Column) -> Callable[[int], Value]:
        """What makes a column's value from the number of the row."""
        name = f"{column.table}.{column.name}"
        edges, usual, text = EDGES.get(name, ()), USUAL.get(name), NUMBERED.get(name)
        parents = self._keys.get(column.parent or "")
        by_type = self._by_type(column)
        rng = self._rng

        def make(index: int) -> Value:
            if index < len(edges):
                return edges[index]
            if text:
                return text.format(index)
            if column.nullable and rng.random() < 0.15:
                return None
            if usual or parents:
                return rng.choice(usual or parents)  # type: ignore[arg-type,no-any-return]
            return index + 1 if "auto_increment" in column.extra else by_type()

        return make

    def _by_type(self, column: Column) -> Callable[[], Value]:
        rng, text, size = self._rng, self._text, column.size or 0
        labels = [label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", column.type)]
        makers: dict[str, Callable[[], Value]] = {
            "enum": lambda: rng.choice(labels),
            "set": lambda: ",".join(label for label in labels if rng.random() < 0.4),
            "json": lambda: json.dumps(
                {"span": [rng.randrange(12), None], "on": True, "text": text.line(200)}
            ),
            "year": lambda: rng.randint(1950, 2024),
            "date": lambda: self._moment(0)[:10],
            "datetime": lambda: self._moment(size),
            "timestamp": lambda: self._moment(size),
            "time": lambda: f"{rng.randint(0, 23):02d}:{rng.randrange(60):02d}:30",
            "decimal": lambda: f"{rng.randint(0, 10**8) / 10_000:.{2 if size < 14 else 4}f}",
            "double": lambda: rng.gauss(0, 50),
            "float": rng.random,
            "bit": lambda: rng.getrandbits(size),
            "bigint": lambda: rng.getrandbits(62),
            "binary": lambda: rng.randbytes(size),
            "varbinary": lambda: rng.randbytes(rng.randint(1, size)),
            "mediumblob": lambda: rng.randbytes(rng.randint(1000, 7000)),
            "char": self._uuid,
            "varchar": lambda: text.line(size),
            "text": lambda: text.line(600),
            "mediumtext": text.body,
            "longtext": text.body,
        }
        least, most = (0, 1) if column.type == "tinyint(1)" else (0, 100)
        return makers.get(column.kind, lambda: rng.randint(least, most))

    def _moment(self, digits: int) -> str:
        """Some time between 2019 and 2025, UTC."""
        # Two draws: one number of microseconds would need more than 32 bits, which is slower.
        seconds, microseconds = self._rng.randrange(_SPAN), self._rng.randrange(1_000_000)
        when = _START + timedelta(seconds=seconds, microseconds=microseconds)
        return when.isoformat(" ", "microseconds")[: 19 + digits + bool(digits)]

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))


def _insert(connection: Connection[Any], columns: list[Column], rows: Iterator[list[Value]]) -> None:
    """Inserts the rows of one table in one transaction."""
    names = ", ".join(f"`{column.name}`" for column in columns)
    marks = ", ".join(["%s"] * len(columns))
    connection.begin()
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO `{columns[0].table}` ({names}) VALUES ({marks})", rows)
    connection.commit()


def _execute(connection: Connection[Any], statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _refuse_unless_empty(connection: Connection[Any]) -> None:
    found = "SELECT DATABASE(), COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    for database, tables in _execute(connection, found):
        if tables:
            raise UsageError(
                f"Database {database} has {counted(tables, 'table')}; the demo only fills an empty one",
                hint="CREATE DATABASE commons CHARACTER SET utf8mb4; and name that one in the URL",
            )
