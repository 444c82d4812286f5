"""One round each: a migration, what happens to it, how it ended, and whether all is there once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from support import Ran

from converge.sandbox import Server
from faults import backends, injectors
from faults.data import move
from faults.disk import small_disk
from faults.every import Fault
from faults.scene import NeverHappened, Scene, document, scene
from faults.verdict import Verdict

Pair = tuple[Server, Server]
"""The servers of the source and of the target."""
ATTEMPTS = 4
"""Of `--resume` after one fault."""
EXACT = Verdict(0, 0, 0, "")
KILLS = (
    injectors.kill_tool,
    injectors.kill_tool,
    injectors.kill_worker,
    injectors.kill_worker,
    backends.terminate_any_backend,
    backends.terminate_all_backends,
    injectors.lose_commits,
    injectors.cut_source,
    injectors.cut_target,
    injectors.kill_mysqld,
    injectors.crash_postgres,
)


@dataclass(frozen=True)
class Outcome:
    """What came of one round."""

    injected: int
    """Faults that hit the run."""
    alone: bool
    """Whether it ended well without a `--resume` by hand."""
    verdict: Verdict
    wrong: str
    """What is not as it must be; empty when all is well."""


Round = Callable[[Pair, str, int], Outcome]
"""Of these servers, this source's URL and this seed."""


def well(outcome: Outcome) -> None:
    """However it ended, all is there once, and what was said was right."""
    assert outcome.verdict.exact, str(outcome.verdict)
    assert not outcome.wrong, outcome.wrong


@contextmanager
def staged(servers: Pair, source: str, seed: int) -> Iterator[Scene]:
    """A scene with a new target."""
    servers[1].drop_database(f"round_{seed}")  # of a round that could not
    target = servers[1].create_database(f"round_{seed}")
    try:
        with scene(*servers, source, target, seed) as stage:
            yield stage
    finally:
        servers[1].drop_database(f"round_{seed}")


def settle(stage: Scene, ran: Ran, injected: int = 1) -> Outcome:
    """Resumes a run that did not end well, and looks at what is there in the end."""
    alone = ran.code == 0
    wrong = []
    if not alone:
        wrong += _badly_said(ran)
        ran = stage.resume(ATTEMPTS)
    if ran.code != 0 or document(ran)["verdict"] != "verified":
        wrong.append(f"exit {ran.code}: {ran.err[-1000:]}")
    verdict = stage.judge()
    if ran.code == 0 and not verdict.exact:
        wrong.append(f"verified, but {verdict}")
    if stage.unlogged():
        wrong.append("tables are unlogged")
    return Outcome(injected, alone, verdict, "; ".join(wrong))


def one_fault(servers: Pair, source: str, seed: int, fault: Fault) -> Outcome:
    """This fault somewhere in the middle of the copy."""
    with staged(servers, source, seed) as stage:
        fault.prepare(stage)
        stage.begin()
        stage.wait_for_chunks(stage.chance.randrange(1, 12))
        fault.inject(stage)
        ran = stage.end()
        outcome = settle(stage, ran)
    if fault.by_itself and not outcome.alone:
        outcome = replace(outcome, wrong=f"it gave up: {ran.err[-1000:]}; {outcome.wrong}")
    return outcome


def source_moved(servers: Pair, source: str, seed: int, phase: str) -> Outcome:
    """Killed in the copy, or after a step of a later phase, and resumed over a source that has moved."""
    with staged(servers, source, seed) as stage:
        stage.begin()
        if phase == "copy":
            stage.wait_for_chunks(stage.chance.randrange(6, 20))
        else:
            stage.wait_for_step(phase)
        stage.kill()
        move(source, seed)
        return settle(stage, Ran(-9, "", ""))


def full_disk(servers: Pair, source: str, seed: int) -> Outcome:
    """The disk is full, is made a little larger, is full again, and then there is room."""
    database = f"disk_{seed}"
    wrong = []
    with (
        small_disk(servers[1], database, 14) as (target, resize),
        scene(*servers, source, target, seed) as stage,
    ):
        for megabytes in (stage.chance.randrange(9, 11), stage.chance.randrange(11, 13)):
            resize(megabytes)
            stage.begin(*(["--resume"] if stage.may_resume() else ["--recreate", "--yes"]), slowly=False)
            ran = stage.end()
            if ran.code != 5 or "error[T007]" not in ran.err or "rejected" in ran.err:
                wrong.append(f"{megabytes} MB: exit {ran.code}: {ran.err[-500:]}")
        resize(200)
        ended = settle(stage, ran, injected=2)
    return Outcome(2, ended.alone, ended.verdict, "; ".join([*wrong, ended.wrong]).strip("; "))


def random_kills(servers: Pair, source: str, seed: int, most: int) -> Outcome:
    """Killed in one way or another at random moments, from the first connection on, and resumed each time."""
    killed = 0
    with staged(servers, source, seed) as stage:
        options: list[str] = []
        for _ in range(4 * most):
            stage.begin(*options, slowly=stage.chance.random() < 0.7)
            while killed < most and not over(stage, stage.chance.uniform(0.3, 4.0)):
                with suppress(NeverHappened):  # there was nothing to hit at that moment
                    stage.chance.choice(KILLS)(stage)
                    killed += 1
            ran = stage.end()
            if ran.code in (0, 1) or (killed >= most and options == ["--resume"]):
                break
            options = ["--resume"] if stage.may_resume() else ["--recreate", "--yes"]
        return replace(settle(stage, ran, killed), alone=not options)


def over(stage: Scene, seconds: float) -> bool:
    try:
        stage.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _badly_said(ran: Ran) -> list[str]:
    """A run that failed by a fault says so in words, and how to go on; one that was killed says nothing."""
    if ran.code == -9:
        return []
    wrong = [] if ran.code in (4, 5, 130) else [f"exit {ran.code}"]
    if "Traceback" in ran.err:
        wrong.append("a traceback")
    if "converge migrate --resume" not in ran.err:
        wrong.append("no word of --resume")
    return [f"{', '.join(wrong)}: {ran.err[-1000:]}"] if wrong else []
