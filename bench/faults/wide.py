"""Rows as wide as a packet allows: they arrive, and memory stays within the promise."""

from __future__ import annotations

import random
import sys

from faults.rounds import EXACT, Outcome, Pair
from support import mysql, postgres

from bench.memory import BASE, MB
from bench.process import run

_LARGEST = 300 * MB


def rows(servers: Pair, _: str, seed: int) -> Outcome:
    """Values of random sizes in tables with a key and without; 256 MB and twice the largest row."""
    name, chance = f"wide_{seed}", random.Random(seed)
    for server in servers:
        server.drop_database(name)
    source, target = (server.create_database(name) for server in servers)
    largest = 0
    for table, type_, piece in (
        ("blobs", "LONGBLOB", "RANDOM_BYTES(1000)"),
        ("texts", "LONGTEXT", "REPEAT('tab\t line\n ä\\\\', 64)"),
    ):
        key = chance.choice(["PRIMARY KEY", "NOT NULL"])
        mysql(source, f"CREATE TABLE {table} (id INT {key}, body {type_})")
        for number in range(4):
            size = int(MB * (_LARGEST / MB) ** chance.random())
            largest = max(largest, size)
            mysql(source, f"INSERT INTO {table} SELECT {number}, REPEAT({piece}, {size // 1000})")
    command = [sys.executable, "-m", "converge", "migrate", "--source", source, "--target", target]
    used = run([*command, "--jobs", "2"])
    wrong = [] if used.status == 0 else [f"exit {used.status}: {used.output[-1000:]}"]
    if used.together > BASE + 2 * largest:
        wrong.append(f"{used.together / MB:.0f} MB of memory for a row of {largest / MB:.0f} MB")
    for table, of_mysql, of_postgres in (
        ("blobs", "MD5(body)", "md5(body)"),
        ("texts", "MD5(body)", "md5(convert_to(body, 'UTF8'))"),
    ):
        if mysql(source, f"SELECT id, {of_mysql} FROM {table} ORDER BY id") != postgres(
            target, f"SELECT id, {of_postgres} FROM {table} ORDER BY id"
        ):
            wrong.append(f"{table} differ")
    for server in servers:
        server.drop_database(name)
    return Outcome(1, alone=True, verdict=EXACT, wrong="; ".join(wrong))
