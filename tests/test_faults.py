"""Whatever happens to the network, the servers or the tool: nothing lost, nothing doubled.

The long form, with many seeds and random kills, is ``make faults``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from faults import backends, busy, injectors, rounds
from faults.application import COINS, TOTAL, fill, writers
from faults.data import SOURCE, move
from faults.disk import why_not
from faults.every import FAULTS, Fault
from faults.refusals import least_rights, orphans, policies, rejects, tables_of_others, two_runs
from faults.rounds import Outcome, Round, settle
from faults.scene import Scene, document
from support import Ran, mysql, postgres

from converge import sandbox

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def servers() -> Iterator[rounds.Pair]:
    """Servers that may be crashed: what they have said is on disk is there."""
    with sandbox.start("mysql:8.0.15", "postgres:17.5", durable=True) as (my, pg):
        yield my, pg


@pytest.fixture(scope="module")
def source(servers: rounds.Pair) -> str:
    url = servers[0].create_database("source")
    mysql(url, SOURCE)
    return url


@pytest.fixture
def moving_source(servers: rounds.Pair) -> Iterator[str]:
    """A source of its own for a test that changes it."""
    url = servers[0].create_database("moving")
    mysql(url, SOURCE)
    yield url
    servers[0].drop_database("moving")


@pytest.fixture
def stage(servers: rounds.Pair, source: str) -> Iterator[Scene]:
    """A scene on the common source."""
    with rounds.staged(servers, source, 1) as one:
        yield one


@pytest.fixture
def moving_stage(servers: rounds.Pair, moving_source: str) -> Iterator[Scene]:
    """A scene on a source that the test may change."""
    with rounds.staged(servers, moving_source, 2) as one:
        yield one


def well(outcome: Outcome) -> None:
    """However it ended, all is there once, and what was said was right."""
    assert outcome.verdict.exact, str(outcome.verdict)
    assert not outcome.wrong, outcome.wrong


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_nothing_is_lost(servers: rounds.Pair, source: str, fault: Fault) -> None:
    well(rounds.one_fault(servers, source, 1, fault))


def test_what_is_done_is_not_done_again(stage: Scene) -> None:
    stage.begin()
    stage.wait_for_chunks(8)
    stage.kill()
    stage.wait_for("its workers end", lambda: not stage.open_copies())
    done = stage.chunks()
    assert len(done) >= 8
    well(settle(stage, Ran(-9, "", "")))
    assert done <= stage.chunks()


def test_a_kill_after_the_copy(stage: Scene) -> None:
    stage.begin()
    stage.wait_for_step("foreign key")
    stage.kill()
    well(settle(stage, Ran(-9, "", "")))


def test_backends_lost_while_indexes_are_built(stage: Scene) -> None:
    stage.begin()
    stage.wait_for_step("index")
    backends.terminate_all_backends(stage)
    well(settle(stage, stage.end()))


@pytest.mark.parametrize("phase", ["copy", "index", "validate"])
def test_a_source_that_moved_is_met_as_it_is(moving_stage: Scene, phase: str) -> None:
    """Chunks that moved are loaded again, also behind foreign keys that cascade; the report counts them."""
    stage = moving_stage
    stage.begin()
    if phase == "copy":
        stage.wait_for_chunks(10)
    else:
        stage.wait_for_step(phase)
    stage.kill()
    move(stage.source, 3)
    ran = stage.resume()
    assert ran.code == 0, ran.err
    assert document(ran)["verdict"] == "verified"
    verdict = stage.judge()
    assert verdict.exact, str(verdict)
    said = " ".join(finding["message"] for finding in document(ran)["findings"])
    assert re.search(r"\d+ chunks.* compared", said), said


def test_a_source_that_rests_loads_nothing_again(stage: Scene) -> None:
    stage.begin()
    stage.wait_for_step("validate")
    stage.kill()
    files = (
        "SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relkind = 'r' AND relname = 'keyless'"
    )
    before = (
        postgres(stage.target, files),
        postgres(stage.target, "SELECT min(xmin::text::bigint) FROM keyless"),
    )
    well(settle(stage, Ran(-9, "", "")))
    after = (
        postgres(stage.target, files),
        postgres(stage.target, "SELECT min(xmin::text::bigint) FROM keyless"),
    )
    assert before == after


def test_a_full_disk(servers: rounds.Pair, source: str) -> None:
    if reason := why_not(servers[1]):
        pytest.skip(reason)
    well(rounds.full_disk(servers, source, 1))


@pytest.mark.parametrize("seed", [1, 2], ids=["held off", "not held off"])
@pytest.mark.parametrize("change", busy.DDL)
def test_a_schema_that_changes_is_never_verified(
    servers: rounds.Pair, moving_source: str, change: str, seed: int
) -> None:
    well(busy.schema_changes(servers, moving_source, seed, change))


@pytest.mark.parametrize("refused", [policies, rejects, orphans, tables_of_others, least_rights, two_runs])
def test_what_is_in_the_way_is_named(servers: rounds.Pair, moving_source: str, refused: Round) -> None:
    """Then it is done what the refusal says, and everything arrives."""
    well(refused(servers, moving_source, 4))


def test_a_new_snapshot_while_the_application_writes(moving_stage: Scene) -> None:
    """A worker dies; no two of those that go on read different instants, and the result is one of them."""
    stage = moving_stage
    fill(stage.source)
    with writers(stage.source, 2):
        stage.begin()
        stage.wait_for_chunks(3)
        injectors.kill_worker(stage)
        ran = stage.end()
    assert ran.code == 0, ran.err
    assert document(ran)["verdict"] == "verified"
    assert postgres(stage.target, TOTAL) == [(COINS,)]


def test_a_long_query_stalls_the_application_for_moments_only(
    servers: rounds.Pair, moving_source: str
) -> None:
    well(busy.long_query(servers, moving_source, 1))


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_accepts_and_says_nothing(stage: Scene, side: str) -> None:
    """The connection is there, and no greeting ever comes: the run ends in words instead of waiting."""
    proxy = stage.source_proxy if side == "source" else stage.target_proxy
    proxy.hold()
    stage.begin()
    ran = stage.end()
    proxy.flow()
    assert ran.code == (4 if side == "source" else 5), ran.err
    assert "error[" in ran.err


def test_parallel_snapshots_agree(servers: rounds.Pair) -> None:
    """100 of 100 in the long form, with at least 300 commits a second."""
    for seed in range(5):
        outcome = busy.one_snapshot(servers, seed)
        assert not outcome.wrong or outcome.wrong.startswith("only"), outcome.wrong


def test_a_snapshot_without_a_lock_is_called_quiet_only_when_it_was(servers: rounds.Pair) -> None:
    well(busy.quiet_snapshots(servers, 1))
