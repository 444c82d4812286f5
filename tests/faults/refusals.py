"""One round each of what stands in the way of a migration: values, rights, tables of others, another run.

Every round begins with a refusal that names all that is in the way and leaves the target as it was; then what
the refusal says is done, and everything must arrive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from support import Ran, begun, mysql, postgres, relations

from faults.data import TABLES
from faults.rounds import EXACT, Outcome, Pair, settle, staged
from faults.scene import Scene, document
from faults.verdict import Verdict

_BAD = {
    "body": ("CONCAT(LEFT(body, 20), CHAR(0))", "V014", 'nul = "strip"'),
    "since": ("'0000-00-00'", "V010", 'zero_date = "null"'),
    "doc": ("JSON_OBJECT('a', CHAR(0 USING utf8mb4))", "V023", 'json_nul = "null"'),
    "raw": ("x'ff41'", "V021", 'not_utf8 = "null"'),
}
"""Columns of `keyed`: a value that the target cannot hold, the finding's code, a policy."""
_GOOD = {"body": "'good'", "since": "'2024-02-29'", "doc": "'{}'", "raw": "'abc'"}
_TYPES = """
[[column]]
match = { column = "raw" }
to = "text"
[[column]]
match = { column = "doc" }
to = "jsonb"
"""
_FAR = 5_000_000
"""Beyond all keys."""


def policies(servers: Pair, source: str, seed: int) -> Outcome:
    """The plan names every bad row; with policies they become what those say, and are counted."""
    with staged(servers, source, seed) as stage, _files() as folder:
        bad = _spoil(stage)
        map_ = folder / "map.toml"
        map_.write_text(_TYPES)
        wrong = _refused(stage, [str(key) for key in bad], "--map", str(map_))
        rules = (
            f'[[column]]\nmatch = {{ column = "{column}" }}\npolicy = {{ {policy} }}\n'
            for column, (_, _, policy) in _BAD.items()
        )
        map_.write_text(_TYPES + "".join(rules))
        stage.begin("--map", str(map_), slowly=False)
        ran = stage.end()
        wrong += _ended(ran, 0, "verified")
        said = document(ran).get("findings", [])
        for column, (_, code, _) in _BAD.items():
            count = list(bad.values()).count(column)
            told = [
                one["message"] for one in said if (one["code"], one["object"]) == (code, f"keyed.{column}")
            ]
            words = [f"{count} row{'s' * (count > 1)} hold"] if count else []
            if len(told) != len(words) or not all(map(str.startswith, told, words)):
                wrong.append(f"{column}: {count} rows are told as {told}")
        wrong += _counted(stage.judge(), lost=0, changed=len(bad))
    return _outcome(wrong)


def rejects(servers: Pair, source: str, seed: int) -> Outcome:
    """Unscanned, every bad row is left out and named; repaired, all arrive. Some files take no names."""
    with staged(servers, source, seed) as stage, _files() as folder:
        bad = _spoil(stage)
        map_, file = folder / "map.toml", folder / "rejects.jsonl"
        map_.write_text(_TYPES)
        options = ("--map", str(map_), "--no-scan", "--on-bad-row", "reject", "--rejects")
        unwritable = stage.chance.choice([folder / "none" / "file", folder, Path("/dev/full")])
        stage.begin(*options, str(unwritable), slowly=False)
        stopped = stage.end()
        wrong = [f"{unwritable}: exit {stopped.code}: {stopped.err}"] if "error[U" not in stopped.err else []
        again = ("--resume",) if stage.may_resume() else ("--recreate", "--yes")
        stage.begin(*options, str(file), *again, slowly=False)
        ran = stage.end()
        wrong += _ended(ran, 1, "differs")
        named = {int(one["key"].removeprefix("id=")): one["column"] for one in _lines(file)}
        wrong += [f"{named} are named of {bad}"] if named != bad else []
        for table in document(ran).get("tables", []):
            if table["rows_read"] != table["rows_written"] + table["rows_rejected"]:
                wrong.append(f"{table['source']}: {table}")
        wrong += _counted(stage.judge(), lost=len(bad), changed=0)
        for key, column in bad.items():
            mysql(source, f"UPDATE keyed SET {column} = {_GOOD[column]} WHERE id = {key}")
        stage.begin(*options, str(file), "--resume", slowly=False)
        return _outcome(wrong + _all_there(stage))


def orphans(servers: Pair, source: str, seed: int) -> Outcome:
    """Rows without a parent are named; told so, their keys arrive NOT VALID, and no other key does."""
    with staged(servers, source, seed) as stage, _files() as folder:
        lost = stage.chance.sample(range(1, 5_000), stage.chance.randrange(1, 4))
        keys = ", ".join(map(str, lost))
        mysql(
            source,
            f"SET FOREIGN_KEY_CHECKS = 0; UPDATE child SET parent_id = id + {_FAR} WHERE id IN ({keys})",
        )
        wrong = _refused(stage, [str(key) for key in lost])
        map_ = folder / "map.toml"
        map_.write_text(
            '[[foreign_key]]\nmatch = { table = "child", foreign_key = "child_ibfk_1" }\nvalidate = false\n'
        )
        stage.begin("--map", str(map_), slowly=False)
        wrong += _all_there(stage)
        query = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
        unchecked = [name for (name,) in postgres(stage.target, query)]
        wrong += [f"NOT VALID are {unchecked}"] if unchecked != ["child_ibfk_1"] else []
    return _outcome(wrong)


def tables_of_others(servers: Pair, source: str, seed: int) -> Outcome:
    """Tables with rows are in the way; --recreate takes them, and never what refers to them."""
    with staged(servers, source, seed) as stage:
        theirs = stage.chance.sample(TABLES, stage.chance.randrange(1, 4))
        for name in theirs:
            postgres(stage.target, f"CREATE TABLE {name} (id int PRIMARY KEY, body text)")
            postgres(stage.target, f"INSERT INTO {name} SELECT i, 'of others' FROM generate_series(1, 9) i")
        postgres(stage.target, f"CREATE TABLE outside (id int REFERENCES {theirs[0]} ON DELETE CASCADE)")
        postgres(stage.target, "INSERT INTO outside VALUES (7)")
        wrong = _refused(stage, theirs)
        wrong += _refused(stage, ["outside"], "--recreate", "--yes")
        postgres(stage.target, "DROP TABLE outside")
        stage.begin("--recreate", "--yes", slowly=False)
        wrong += _all_there(stage)
    return _outcome(wrong)


def least_rights(servers: Pair, source: str, seed: int) -> Outcome:
    """Each right that lacks comes with its GRANT; with no more than those, killed and resumed."""
    with staged(servers, source, seed) as stage:
        _limited(stage)
        wrong = []
        stage.begin()
        ran = stage.end()
        if ran.code != 3:
            wrong.append(f"without rights: exit {ran.code}: {ran.err}")
        for finding in document(ran).get("findings", []):
            for statement in finding["hint"].splitlines() if finding["severity"] == "block" else ():
                if "'@'" in statement:  # an account of MySQL
                    mysql(source, statement)
                else:
                    postgres(stage.target, statement)
        stage.begin()
        stage.wait_for_chunks(stage.chance.randrange(1, 12))
        stage.kill()
        ended = settle(stage, Ran(-9, "", ""))
        wrong += [ended.wrong] if ended.wrong else []
        return Outcome(1, alone=False, verdict=ended.verdict, wrong="; ".join(wrong))


def two_runs(servers: Pair, source: str, seed: int) -> Outcome:
    """Begun within seconds of each other: one does it all, the other leaves with a word."""
    with staged(servers, source, seed) as stage:
        stage.begin()
        time.sleep(stage.chance.uniform(0, 3))
        second = begun(source, stage.target, "--json", "--yes")
        out, err = second.communicate(timeout=180)
        both = [stage.end(), Ran(second.returncode, out, err)]
        loser = max(both, key=lambda ran: ran.code)
        wrong = []
        if sorted(ran.code for ran in both) != [0, 3] or "error[T009]" not in loser.err:
            wrong.append("; ".join(f"exit {ran.code}: {ran.err[-500:]}" for ran in both))
        verdict = stage.judge()
        wrong += [str(verdict)] if not verdict.exact else []
        return Outcome(1, alone=True, verdict=verdict, wrong="; ".join(wrong))


def _spoil(stage: Scene) -> dict[int, str]:
    """Makes some rows of `keyed` bad: their keys, and the column of each."""
    mysql(
        stage.source,
        "ALTER TABLE keyed ADD since DATE, ADD doc JSON, ADD raw VARBINARY(20);"
        + "UPDATE keyed SET since = '2024-02-29', doc = '{\"a\": [1]}', raw = 'abc' WHERE id % 3 = 0",
    )
    keys = stage.chance.sample(range(1, 6_000), stage.chance.randrange(1, 7))
    bad = {key: stage.chance.choice(list(_BAD)) for key in keys}
    for key, column in bad.items():
        value = _BAD[column][0]
        mysql(stage.source, f"SET sql_mode = ''; UPDATE keyed SET {column} = {value} WHERE id = {key}")
    return bad


def _limited(stage: Scene) -> None:
    """A source user who may read some of the tables, and a role of the target that may nothing."""
    database = urlsplit(stage.source).path.lstrip("/")
    stage.read_as(f"reader_{stage.chance.randrange(10**6)}")
    stage.user = f"role_{stage.chance.randrange(10**6)}"
    for table in stage.chance.sample(TABLES, stage.chance.randrange(1, len(TABLES))):
        mysql(stage.source, f"GRANT SELECT ON `{database}`.{table} TO {stage.reader}@'%'")
    postgres(stage.target, f"CREATE ROLE {stage.user} LOGIN")
    stage.cleanup.callback(postgres, stage.target, f"DROP ROLE {stage.user}")
    stage.cleanup.callback(postgres, stage.target, f"DROP OWNED BY {stage.user} CASCADE")
    postgres(stage.target, "REVOKE ALL ON SCHEMA public FROM PUBLIC")


def _refused(stage: Scene, words: Iterable[str], *options: str) -> list[str]:
    """What is wrong with a refusal that should name all these, and change nothing."""
    before = _content(stage.target)
    stage.begin(*options, slowly=False)
    ran = stage.end()
    wrong = [f"not refused: exit {ran.code}: {ran.err}"] if ran.code != 3 else []
    blocks = [one for one in document(ran).get("findings", []) if one["severity"] == "block"]
    text = json.dumps(blocks) + ran.err
    wrong += [f"{word!r} is not named: {text}" for word in words if word not in text]
    if _content(stage.target) != before:
        wrong.append("the target has changed")
    return wrong


def _content(target: str) -> dict[str, object]:
    """All rows of all tables."""
    return {
        name: postgres(target, f"SELECT t::text FROM {name} t ORDER BY 1")
        for name in relations(target)
        if not name.startswith("converge.")
    }


def _all_there(stage: Scene) -> list[str]:
    """Ends the run that is under way; what is not as it must be."""
    wrong = _ended(stage.end(), 0, "verified")
    verdict = stage.judge()
    return wrong if verdict.exact else [*wrong, str(verdict)]


def _counted(verdict: Verdict, lost: int, changed: int) -> list[str]:
    found = (verdict.lost, verdict.doubled, verdict.changed)
    return [str(verdict)] if found != (lost, 0, changed) else []


def _ended(ran: Ran, code: int, verdict: str) -> list[str]:
    if (ran.code, document(ran).get("verdict")) == (code, verdict):
        return []
    return [f"exit {ran.code}, not {code}: {ran.out[-300:]} {ran.err[-1000:]}"]


def _outcome(wrong: list[str]) -> Outcome:
    """Of a round that ends well by itself once the cause is gone; what the judge saw is in `wrong`."""
    return Outcome(1, alone=True, verdict=EXACT, wrong="; ".join(wrong))


def _lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@contextmanager
def _files() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)
