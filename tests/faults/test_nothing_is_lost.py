"""Whatever happens to the network, the servers or the tool: nothing lost, nothing doubled.

The long form, with many seeds and random kills, is ``make faults``.
"""

from __future__ import annotations

import pytest
from local_servers import crash, restart
from support import Ran, converge, migrated, mysql, postgres

from converge.following.follow import opened
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.run.options import Options
from faults import backends, rounds
from faults.disk import why_not
from faults.every import FAULTS, Fault
from faults.rounds import settle, well
from faults.scene import Scene
from faults.syncs import kill_syncs

pytestmark = pytest.mark.faults


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


def test_a_killed_sync_has_happened_or_has_not(servers: rounds.Pair, moving_source: str) -> None:
    well(kill_syncs(servers, moving_source, 1, most=2))


def test_a_full_disk(servers: rounds.Pair, source: str) -> None:
    if reason := why_not(servers[1]):
        pytest.skip(reason)
    well(rounds.full_disk(servers, source, 1))


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


def test_a_crash_of_the_source_takes_the_proofs_away(servers: rounds.Pair) -> None:
    """InnoDB may have lost what the log has, and an epoch has brought: nothing but the values tells."""
    my, pg = servers
    source, target = my.create_database("crashed"), pg.create_database("crashed")
    migrated((source, target), "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")

    def verified() -> int:
        with opened(parse(source), parse(target), Options(), silent) as open_, open_.epochs.next():
            pass
        ((count,),) = postgres(target, "SELECT count(proof) FROM converge.proven")
        return int(count)

    assert verified() == 1
    restart(my)
    mysql(source, "FLUSH BINARY LOGS")
    assert verified() == 1
    # The log is read again from before the crash as long as XA has something prepared.
    mysql(source, "XA START 'held'; INSERT INTO t VALUES (2); XA END 'held'; XA PREPARE 'held'")
    crash(my)
    restart(my)
    assert verified() == 0
    assert converge("follow", "--once", "--source", source, "--target", target).code == 0
    assert verified() == 1
