"""`converge sync` while an application writes to the source, killed at any moment.

Its one transaction has happened or has not: the target is as it was, or as the snapshot. In the end, with the
application stopped, a last sync makes both sides equal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pymysql
from support import postgres

from faults.data import TABLES, move
from faults.own import State
from faults.rounds import ATTEMPTS, KILLS, Outcome, Pair, over, staged
from faults.scene import NeverHappened, Scene, document

_PAUSE_SECONDS = 0.5
"""Between two transactions of the application."""
_LOCKED = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE mode = 'AccessExclusiveLock' AND granted AND application_name = 'converge'"
)
_COMMITTED = "SELECT count(*) FROM converge.repair"


def kill_syncs(servers: Pair, source: str, seed: int, most: int = 10) -> Outcome:
    """So many kills, one sync each; half of them wait for the transaction."""
    killed, wrong = 0, []
    with staged(servers, source, seed) as stage:
        stage.begin(slowly=False)
        assert (migrated := stage.end()).code == 0, migrated.err
        for number in range(4 * most):
            if killed >= most:
                break
            with _writing(source, 1000 * seed + number):
                hit, words = _killed(stage)
            killed += hit
            wrong += words
        for _ in range(ATTEMPTS):
            # What was to lose an answer may have had none to lose.
            stage.begin(command="sync", slowly=False)
            if (ran := stage.end()).code == 0:
                break
        if ran.code != 0 or document(ran)["verdict"] != "verified":
            wrong.append(f"the last sync: exit {ran.code}: {ran.out[-500:]} {ran.err[-1000:]}")
        return Outcome(killed, alone=False, verdict=stage.judge(), wrong="; ".join(wrong))


def _killed(stage: Scene) -> tuple[int, list[str]]:
    """Whether the kill has hit, and what is not as it must be after it."""
    chance, hit = stage.chance, 0
    before, repairs = State.of(stage.target), stage.ledger(_COMMITTED)
    stage.begin(command="sync", slowly=chance.random() < 0.5)
    with suppress(NeverHappened):
        if chance.random() < 0.5:
            stage.wait_for("the transaction", lambda: postgres(stage.target, _LOCKED) != [(0,)])
            time.sleep(chance.uniform(0, 0.1))
        else:
            over(stage, chance.uniform(0.3, 4.0))
        if stage.process.poll() is None:
            chance.choice(KILLS)(stage)
            hit = 1
    ran = stage.end()
    # The backend of a tool that was killed may still be at it.
    stage.wait_for_nobody()
    after, committed = State.of(stage.target), stage.ledger(_COMMITTED) != repairs
    wrong = []
    if after.shape != before.shape:
        wrong.append(f"the catalog after exit {ran.code}: {ran.err[-300:]}")
    if (_rows(after) != _rows(before)) != committed:
        wrong.append(f"rows, {committed=}, exit {ran.code}: {ran.err[-300:]}")
    if "Traceback" in ran.err:
        wrong.append(ran.err[-1000:])
    return hit, wrong


def _rows(state: State) -> set[tuple[object, ...]]:
    """Without the next values, which no rollback takes back."""
    return {row for row in state.rows if row[0] in TABLES}


@contextmanager
def _writing(source: str, seed: int) -> Iterator[None]:
    stop = threading.Event()

    def write() -> None:
        turn = seed
        while not stop.wait(_PAUSE_SECONDS):
            turn += 7
            # The server may be away.
            with suppress(pymysql.err.Error, OSError):
                move(source, turn)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
