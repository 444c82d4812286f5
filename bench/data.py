"""Makes the benchmark's data in MySQL: about 4 million rows and 0.9 GB at scale 1, always the same.

    python -m bench.data --source mysql://root@localhost:3306/bench --files DIRECTORY

Files are written in the format of LOAD DATA into the directory of secure_file_priv and loaded by the server,
while another process writes the next one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from random import Random

from pymysql.cursors import Cursor

from bench.sql import writable
from bench.tables import AUTHORIZATION_POLICY, EVENTS, SALARIES, TABLES, Table

WORDS = (
    *("policy", "rule", "member", "space", "grant", "read", "update", "delete"),
    *("privilege", "role", "global", "admin", "user", "cascade", "inherit"),
)
KINDS = ("created", "updated", "deleted", "viewed", "shared")
SMALL_ROWS = 200
BLOCK = 1 << 20  # characters per write


def salaries(rng: Random, rows: int) -> Iterator[str]:
    """Lines of the narrow table: careers of 1 to 18 years, taken from a stock of them."""
    careers = []
    for _ in range(2000):
        day, salary, years = date(1985, 1, 1) + timedelta(days=rng.randrange(5000)), 40_000, []
        for _ in range(rng.randint(1, 18)):
            salary += rng.randint(-500, 5000)
            years.append(f"\t{salary}\t{day}\t{day + timedelta(days=365)}\n")
            day += timedelta(days=365)
        careers.append(years)
    employee = 10_000
    while rows > 0:
        employee += 1
        years = rng.choice(careers)[:rows]
        rows -= len(years)
        yield "".join([f"{employee}{year}" for year in years])


def events(rng: Random, rows: int) -> Iterator[str]:
    """Lines of the mixed table, about 400 bytes each; free text may hold tabs, line feeds and backslashes."""
    actors = [f"{rng.choice(WORDS)}.{number}@example.org" for number in range(5000)]
    tails = []
    for _ in range(4000):
        title = rng.choice((_escaped(_sentence(rng, 5)), _escaped(_sentence(rng, 7)), r"\N"))
        body = rng.choice((_escaped(_sentence(rng, 26)), _escaped(f"C:\\{_sentence(rng, 20)}\n\t…"), r"\N"))
        details = {
            "ip": "10.0.0.1",
            "tags": rng.sample(WORDS, 3),
            "ratio": rng.random(),
            "note": _sentence(rng, 3),
        }
        tails.append((title, body, _escaped(json.dumps(details))))
    for number in range(1, rows + 1):
        title, body, payload = rng.choice(tails)
        bits = rng.getrandbits(128)
        due = f"2024-{bits % 12 + 1:02d}-{bits % 28 + 1:02d}" if bits & 4 else r"\N"
        day, clock = f"{number % 12 + 1:02d}-{number % 28 + 1:02d}", f"{number % 24:02d}:{number % 60:02d}"
        yield (
            f"{number}\t{_uuid(rng)}\t{KINDS[bits % 5]}\t{bits & 1}\t{bits % 10**8 / 10_000}\t"
            f"{rng.random()!r}\t"
            f"2024-{day} {clock}:00.{number % 10**6:06d}\t{rng.choice(actors)}\t"
            f"{title}\t{body}\t{payload}\t{bits:032x}\t{due}\t{bits % 7}\n"
        )


def authorization_policy(rng: Random, rows: int) -> Iterator[str]:
    """Lines of the wide table: JSON-like text of about 3.5 kB, kept in a text column."""
    rules = [
        _escaped(
            json.dumps(
                {
                    "name": _sentence(rng, 6),
                    "privileges": rng.sample(WORDS, 5),
                    "criteria": _uuid(rng),
                    "cascade": True,
                }
            )
        )
        for _ in range(3000)
    ]
    for number in range(rows):
        text = ", ".join(rng.choices(rules, k=rng.randint(12, 24)))
        yield f"{_uuid(rng)}\t2024-05-{number % 28 + 1:02d} 12:00:00.000000\t{number % 9}\t[{text}]\n"


GENERATORS: dict[str, Callable[[Random, int], Iterator[str]]] = {
    SALARIES.name: salaries,
    EVENTS.name: events,
    AUTHORIZATION_POLICY.name: authorization_policy,
}

#: LOAD DATA's column list, where a file holds something else than the column.
COLUMNS = {
    EVENTS.name: (
        "(id, uuid, kind, public, amount, score, happened_at, actor, title, body, payload, @request_id, "
        "due_on, retries) SET request_id = UNHEX(@request_id)"
    )
}


def create(
    url: str,
    files: Path,
    *,
    scale: float = 1.0,
    tables: Sequence[Table] = TABLES,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Make and fill the tables in the MySQL database at `url`; returns the number of rows.

    `files` is a directory that the server may read (secure_file_priv). `scale` multiplies all row counts.
    """
    total = 0
    with writable(url) as connection, connection.cursor() as cursor, ProcessPoolExecutor(1) as writer:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
        written = [(table, writer.submit(write, table, files, scale)) for table in tables]
        for table, future in written:
            path = future.result()
            cursor.execute(f"CREATE TABLE {table.name} ({table.mysql}) DEFAULT CHARSET=utf8mb4")
            statement = f"LOAD DATA INFILE %s INTO TABLE {table.name} CHARACTER SET utf8mb4 "
            total += cursor.execute(statement + COLUMNS.get(table.name, ""), (str(path),))
            path.unlink()
            if table.mysql_indexes:
                cursor.execute(f"ALTER TABLE {table.name} {table.mysql_indexes}")
            say(f"{table.name}: {rows_at(table, scale):,} rows")
        for table in tables:
            cursor.execute(f"ANALYZE TABLE {table.name}")
        _settle(cursor)
    return total


def create_small(url: str, tables: int) -> int:
    """Make tables of 200 rows, every fourth with a foreign key; returns the number of rows."""
    columns = """
        id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(100) NOT NULL,
        amount DECIMAL(10,2),
        flag TINYINT(1) NOT NULL DEFAULT 0,
        created_at DATETIME NOT NULL,
        note TEXT,
        parent_id INT,
        KEY by_parent (parent_id)"""
    values = "CONCAT('name ', n), n * 1.5, n % 2, '2024-01-01' + INTERVAL n HOUR, REPEAT('x', n % 50)"
    with writable(url) as connection, connection.cursor() as cursor:
        for number in range(tables):
            key = f", FOREIGN KEY (parent_id) REFERENCES t{number - 1:05d} (id)" if number % 4 == 1 else ""
            cursor.execute(f"CREATE TABLE t{number:05d} ({columns}{key}) DEFAULT CHARSET=utf8mb4")
            cursor.execute(
                f"INSERT INTO t{number:05d} (name, amount, flag, created_at, note, parent_id) "
                f"WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {SMALL_ROWS}) "
                f"SELECT {values}, NULLIF(n % 7, 0) FROM s"
            )
        _settle(cursor)
    return tables * SMALL_ROWS


def rows_at(table: Table, scale: float) -> int:
    """Rows of `table` at this scale."""
    return max(1, round(table.rows * scale))


def write(table: Table, files: Path, scale: float) -> Path:
    """Write the lines of `table` into a new file and return its path."""
    path = files / f"bench_{table.name}.txt"
    block: list[str] = []
    size = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in GENERATORS[table.name](Random(table.name), rows_at(table, scale)):
            block.append(line)
            size += len(line)
            if size > BLOCK:
                file.write("".join(block))
                block, size = [], 0
        file.write("".join(block))
    path.chmod(0o644)  # the server may run as another user
    return path


def _settle(cursor: Cursor) -> None:
    """Wait until the server has written its changed pages: it shall do nothing else when it is measured."""
    hurry = {
        "innodb_io_capacity_max": "20000",
        "innodb_io_capacity": "20000",
        "innodb_max_dirty_pages_pct": "0",
    }
    for name, setting in hurry.items():
        cursor.execute(f"SET GLOBAL {name} = {setting}")
    for _ in range(300):
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
        [(_, dirty)] = cursor.fetchall()
        if int(dirty) < 100:
            break
        time.sleep(0.2)
    for name in reversed(hurry):
        cursor.execute(f"SET GLOBAL {name} = DEFAULT")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _sentence(rng: Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def _uuid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.data", description="Makes the benchmark's data in MySQL.")
    parser.add_argument("--source", required=True, help="URL of an empty MySQL database")
    parser.add_argument("--files", required=True, type=Path, help="directory named by secure_file_priv")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the row counts (default 1)")
    options = parser.parse_args()
    print(f"{create(options.source, options.files, scale=options.scale, say=print):,} rows")


if __name__ == "__main__":
    main()
