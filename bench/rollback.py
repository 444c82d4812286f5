"""A rollback of many random statements: `python -m bench.rollback --statements 100000 --kills 20`.

An application's rows are changed in the target by random statements of all kinds: keys that change, cascades,
unique values that move, TRUNCATE. `rollback --apply` is killed at random moments in between, then runs to its
end, and the tests' judge compares both sides. Prints the times and how many rows came back.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import psycopg

from bench.fidelity.prove import judged
from bench.servers import started
from bench.sql import statements as carry_out

_ROWS = 20_000
TABLES = f"""
SET SESSION cte_max_recursion_depth = {_ROWS};
CREATE TABLE parent (
    id INT PRIMARY KEY, code INT UNIQUE, body TEXT, at DATETIME(3), doc JSON, raw VARBINARY(40));
CREATE TABLE child (
    a INT, b VARCHAR(20), parent INT, PRIMARY KEY (a, b),
    FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE grandchild (
    id INT PRIMARY KEY, a INT, b VARCHAR(20), size DOUBLE,
    FOREIGN KEY (a, b) REFERENCES child (a, b) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE emptied (id INT PRIMARY KEY, body TEXT);
INSERT INTO parent WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < {_ROWS})
    SELECT n, n, REPEAT('x', n % 300), '2024-01-01' + INTERVAL n MINUTE, JSON_OBJECT('n', n / 7), MD5(n)
    FROM s;
INSERT INTO child SELECT id % 97, CONCAT('b', id), id FROM parent;
INSERT INTO grandchild SELECT parent, a, b, parent / 3 FROM child;
INSERT INTO emptied SELECT id, body FROM parent WHERE id % 20 = 0;
"""


def statements(chance: random.Random, count: int) -> Iterator[str]:
    """Statements that keep the schema's constraints, or change nothing."""
    for _ in range(count):
        one, other, free = (chance.randrange(1, _ROWS) for _ in range(3))
        free += _ROWS * chance.randrange(1, 50)
        yield chance.choices(
            (
                f"INSERT INTO parent VALUES ({free}, {-free}, E'new\\n{other}', now(), '{{}}', "
                f"'\\x{other % 256:02x}') ON CONFLICT DO NOTHING",
                f"UPDATE parent SET body = 'b{other}', at = at + interval '1.5 s' WHERE id = {one}",
                f"UPDATE parent SET doc = jsonb_build_object('k', {other} / 8.0), raw = '' WHERE id = {one}",
                f"UPDATE parent SET code = NULL WHERE id = {one}",
                f"UPDATE parent SET code = {other} WHERE id = {one} "
                f"AND NOT EXISTS (SELECT FROM parent WHERE code = {other})",
                f"UPDATE parent SET id = {free} WHERE id = {one} "
                f"AND NOT EXISTS (SELECT FROM parent WHERE id = {free})",
                f"DELETE FROM parent WHERE id = {one}",
                f"INSERT INTO child SELECT {other % 97}, 'c{free}', id FROM parent WHERE id = {one} "
                "ON CONFLICT DO NOTHING",
                f"DELETE FROM child WHERE parent = {other}",
                f"UPDATE grandchild SET size = size * 1.1 WHERE id BETWEEN {one} AND {one + 3}",
                "TRUNCATE emptied",
                f"INSERT INTO emptied VALUES ({free}, 'e{one}') ON CONFLICT (id) DO UPDATE SET body = 'b'",
            ),
            (12, 12, 8, 6, 6, 3, 2, 8, 3, 6, 0.02, 6),
        )[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with started() as servers:
        source, target = servers.mysql.create_database("back"), servers.postgres.create_database("back")
        carry_out(source, *filter(str.strip, TABLES.split(";")))
        ends = ("--source", source, "--target", target)
        _run("migrate", *ends, "--verify", "none")
        _run("rollback", *ends, "--prepare")
        killed, begin = 0, time.monotonic()
        with psycopg.connect(target, autocommit=True) as application:
            for number, statement in enumerate(statements(chance, given.statements), 1):
                application.execute(statement.encode())
                if number % max(1, given.statements // given.kills) == 0:
                    killed += _killed(chance.uniform(0.5, 4), "rollback", *ends, "--apply", "--yes")
        wrote, begin = time.monotonic() - begin, time.monotonic()
        back = json.loads(_run("rollback", *ends, "--apply", "--yes", "--json"))
        took = time.monotonic() - begin
        rows, differ = judged(source, target, ["parent", "child", "grandchild", "emptied"])
        moved = sum(one["inserted"] + one["updated"] + one["deleted"] for one in back["tables"])
        print(f"{given.statements:,} statements in {wrote:.1f} s, {killed} of {given.kills} rollbacks killed")
        print(f"the last one: {moved:,} rows in {took:.1f} s; {rows:,} rows judged, {len(differ)} differ")
        print(*differ[:10], sep="\n")


def _run(*arguments: str) -> str:
    ran = subprocess.run(_command(arguments), capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(ran.stdout + ran.stderr)
    return ran.stdout


def _killed(seconds: float, *arguments: str) -> bool:
    """Whether the command was still at work when it was killed."""
    process = subprocess.Popen(_command(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "converge", *arguments]


if __name__ == "__main__":
    main()
