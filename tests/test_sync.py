"""`sync`: a finished run's target is brought up to date, and only what has moved is loaded again."""

from __future__ import annotations

import pytest
from judge import compare
from support import Ran, converge, mysql, postgres
from test_resume import CHANGES, SOURCE

_CHUNKS = "SELECT source_table, number, xid::text FROM converge.chunk ORDER BY 1, 2"


@pytest.fixture
def pair(databases: tuple[str, str]) -> tuple[str, str]:
    """A run that has ended."""
    source, target = databases
    mysql(source, SOURCE)
    ran = converge("migrate", "--source", source, "--target", target)
    assert ran.code == 0, ran.err
    return databases


def sync(pair: tuple[str, str], *more: str) -> Ran:
    return converge("sync", "--source", pair[0], "--target", pair[1], "--json", *more)


def test_only_what_has_moved_is_loaded(pair: tuple[str, str]) -> None:
    source, target = pair
    before = postgres(target, _CHUNKS)
    assert (
        f"{len(before)} chunks; to be loaded again: 0"
        in sync(pair, "--dry-run").json["findings"][-1]["message"]
    )
    mysql(source, CHANGES)
    looked = sync(pair, "--dry-run")
    assert (looked.code, looked.json["verdict"]) == (0, "ready"), looked.err
    assert postgres(target, _CHUNKS) == before
    ran = sync(pair)
    assert (ran.code, ran.json["command"], ran.json["verdict"]) == (0, "sync", "verified"), ran.err
    after = postgres(target, _CHUNKS)
    moved = len(set(after) - set(before))
    assert 0 < moved < len(before) == len(after)
    (found,) = (one["message"] for one in ran.json["findings"] if one["code"] == "V002")
    assert found.endswith(f"loaded again, as the source has moved: {moved}")
    assert f"{len(before)} chunks; to be loaded again: {moved}" in looked.json["findings"][-1]["message"]
    judged = compare(source, target)
    assert judged.equal, str(judged)
    keys = (
        "SELECT conname::text, convalidated FROM pg_constraint WHERE contype = 'f' AND conname LIKE 'child%%'"
    )
    assert postgres(target, keys) == [("child_ibfk_1", True)]
    assert postgres(target, "INSERT INTO parent (name) VALUES ('next') RETURNING id") == [(200001,)]
    # Rows of others in chunks that have not moved stay, and the proof finds them.
    ran = sync(pair)
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    postgres(target, "DELETE FROM parent WHERE name = 'next'")
    ran = sync(pair)
    assert (ran.code, postgres(target, _CHUNKS)) == (0, after), ran.err


def test_rows_that_others_have_changed_stay(pair: tuple[str, str]) -> None:
    source, target = pair
    mysql(source, "UPDATE parent SET body = 'source' WHERE id = 50")
    postgres(target, "UPDATE parent SET body = 'target' WHERE id = 51")
    ran = sync(pair)
    assert (ran.code, ran.json["findings"][-1]["code"]) == (3, "T019"), ran.out
    assert postgres(target, "SELECT state FROM converge.run") == [("finished",)]
    rows = "SELECT id, body = 'target' FROM parent WHERE id IN (50, 51) ORDER BY 1"
    assert postgres(target, rows) == [(50, False), (51, True)]
    assert postgres(target, "SELECT count(*) FROM parent") == mysql(source, "SELECT COUNT(*) FROM parent")


def test_what_sync_does_not_bring_up_to_date(databases: tuple[str, str]) -> None:
    source, target = databases
    ends = ("--source", source, "--target", target)
    ran = converge("sync", *ends)
    assert (ran.code, "T010" in ran.err) == (2, True), ran.err
    mysql(source, "CREATE TABLE t (id int PRIMARY KEY)")
    postgres(target, "CREATE TABLE t (id int PRIMARY KEY)")
    assert converge("migrate", *ends, "--mode", "load").code == 0
    ran = converge("sync", *ends)
    assert (ran.code, "U021" in ran.err) == (2, True), ran.err
    assert "U021" in converge("sync", *ends, "--dry-run").err
    assert converge("migrate", *ends, "--recreate", "--yes").code == 0
    mysql(source, "CREATE TABLE more (id int PRIMARY KEY)")
    ran = converge("sync", *ends)
    assert (ran.code, "T011" in ran.err) == (3, True), ran.err
    assert postgres(target, "SELECT to_regclass('more')::text") == [(None,)]
