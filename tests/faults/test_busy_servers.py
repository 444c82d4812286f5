"""A source or a target that others use during the run: what they change is met as it is, or named."""

from __future__ import annotations

import re

import pytest
from support import postgres

from faults import busy, injectors, rounds
from faults.application import COINS, TOTAL, fill, writers
from faults.data import move
from faults.refusals import least_rights, orphans, policies, rejects, tables_of_others, two_runs
from faults.rounds import Round, well
from faults.scene import Scene, document

pytestmark = pytest.mark.faults


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
    assert re.search(r"compared again: \d+ chunks", said), said


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


def test_parallel_snapshots_agree(servers: rounds.Pair) -> None:
    """100 of 100 in the long form, with at least 300 commits a second."""
    for seed in range(5):
        outcome = busy.one_snapshot(servers, seed)
        assert not outcome.wrong or outcome.wrong.startswith("only"), outcome.wrong


def test_a_snapshot_without_a_lock_is_called_quiet_only_when_it_was(servers: rounds.Pair) -> None:
    well(busy.quiet_snapshots(servers, 1))
