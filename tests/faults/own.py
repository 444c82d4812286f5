"""A target whose tables the application has made: with rows, triggers and keys of its own."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import tuple_row
from support import ENVIRONMENT, Ran, converge, postgres

from converge.postgres.existing import read_existing
from converge.sandbox import Server
from faults.data import TABLES
from faults.rounds import EXACT, Outcome
from faults.scene import Scene, document, scene

TEMPLATE = "own_template"
MAP = """
[[table]]
match = { table = "pair" }
rows = "merge"
[[table]]
match = { table = "twins" }
rows = "source"
"""
_OWN = f"""
DROP SCHEMA converge CASCADE;
TRUNCATE {", ".join(TABLES)};
INSERT INTO pair VALUES (1, 1, 'of the target, and of the source'), (99, 99, 'of the target alone');
INSERT INTO twins VALUES (70), (70), (71);
CREATE FUNCTION application() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'the application''s code has run'; END$$;
CREATE TRIGGER each_row BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION application();
CREATE TRIGGER always AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION application();
ALTER TABLE parent ENABLE ALWAYS TRIGGER always;
COMMENT ON CONSTRAINT parent_pkey ON parent IS 'the key';
CREATE UNIQUE INDEX young ON keyed (id DESC) INCLUDE (name) WHERE id > 5990;
ALTER TABLE texted CLUSTER ON texted_pkey;
"""
_STEPS = 86
"""Steps and chunks of one load, about."""
_KEPT_ROWS = 1
"""The row of `pair` that only the target has."""


@dataclass(frozen=True)
class State:
    """All that a run must put back."""

    shape: dict[str, str]
    rows: tuple[tuple[object, ...], ...]

    @classmethod
    def of(cls, url: str) -> State:
        with psycopg.connect(url, autocommit=True, row_factory=tuple_row) as connection:
            found = read_existing(connection, "public")
        digests = " UNION ALL ".join(
            f"SELECT '{name}', count(*), sum(hashtextextended(t::text, 0)) FROM {name} t" for name in TABLES
        )
        values = tuple(sorted(found.sequences.items()))
        return cls(dict(found.shape), (*postgres(url, digests), *values))


def _make_template(server: Server, source: str) -> None:
    """The application's database, once: a run of our own makes the tables."""
    server.drop_database(TEMPLATE)
    url = server.create_database(TEMPLATE)
    made = converge("migrate", "--source", source, "--target", url, "--verify", "none", "-q")
    assert made.code == 0, made.err
    postgres(url, _OWN)


def kill_a_load(servers: tuple[Server, Server], source: str, seed: int) -> Outcome:
    """Killed at a random moment of the load or of what puts things back; then resumed, or taken back.

    The application's database is made by the first round.
    """
    server = servers[1]
    name = f"own_{seed}"
    if not postgres(server.url, "SELECT FROM pg_database WHERE datname = %s", TEMPLATE):
        _make_template(server, source)
    server.drop_database(name)
    postgres(server.url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    target = urlsplit(server.url)._replace(path=f"/{name}").geturl()
    try:
        before = State.of(target)
        with scene(*servers, source, target, seed) as stage, NamedTemporaryFile("w", suffix=".toml") as map_:
            map_.write(MAP)
            map_.flush()
            wrong = _round(stage, before, target, ("--mode", "load", "--map", map_.name))
    finally:
        server.drop_database(name)
    return Outcome(1, alone=False, verdict=EXACT, wrong="; ".join(wrong))


def _round(stage: Scene, before: State, target: str, options: tuple[str, ...]) -> list[str]:
    chance = stage.chance
    stage.begin(*options, slowly=chance.random() < 0.5)
    _wait_for(stage, chance.randrange(_STEPS))
    time.sleep(chance.uniform(0, 0.05))
    stage.kill()
    if chance.random() < 0.5 and stage.may_resume():
        return _resumed(stage, before, target, options)
    if stage.finished():
        return _loaded(stage, before, target)
    _kill_recover(chance, target)
    ran = converge("recover", "--yes", "--target", target, "--json")
    now = State.of(target)
    wrong = [] if ran.code == 0 else [f"recover: exit {ran.code}: {ran.err[-1000:]}"]
    wrong += [f"the catalog: {_unlike(before, now)}"] if now.shape != before.shape else []
    wrong += [f"rows: {set(before.rows) ^ set(now.rows)}"] if set(now.rows) != set(before.rows) else []
    return wrong


def _wait_for(stage: Scene, count: int) -> None:
    """Waits until the ledger knows so many steps and chunks, or the run is over."""
    query = (
        "SELECT count(*) + (SELECT count(*) FROM converge.chunk WHERE done_at IS NOT NULL) FROM converge.step"
    )
    while stage.process.poll() is None and stage.ledger(query)[0][0] < count:
        time.sleep(0.01)


def _resumed(stage: Scene, before: State, target: str, options: tuple[str, ...]) -> list[str]:
    stage.begin(*options, "--resume", slowly=False)
    ran: Ran = stage.end()
    if ran.code != 0 or document(ran)["verdict"] != "verified":
        return [f"resume: exit {ran.code}: {ran.err[-1000:]}"]
    return _loaded(stage, before, target)


def _loaded(stage: Scene, before: State, target: str) -> list[str]:
    verdict = stage.judge()
    now = State.of(target)
    wrong = [f"the catalog: {_unlike(before, now)}"] if now.shape != before.shape else []
    if (verdict.lost, verdict.doubled, verdict.changed) != (0, _KEPT_ROWS, 0):
        wrong.append(str(verdict))
    return wrong


def _kill_recover(chance: random.Random, target: str) -> None:
    """Half of the times recover itself is killed first."""
    if chance.random() < 0.5:
        process = subprocess.Popen(
            [sys.executable, "-m", "converge", "recover", "--yes", "--target", target, "-q"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
        )  # fmt: skip
        time.sleep(chance.uniform(0.3, 1.5))
        process.kill()
        process.wait()


def _unlike(before: State, now: State) -> list[str]:
    names = before.shape.keys() | now.shape.keys()
    return sorted(name for name in names if before.shape.get(name) != now.shape.get(name))
