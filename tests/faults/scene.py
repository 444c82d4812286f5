"""A migration that runs between two proxies, to which things happen."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
from proxy import Proxy
from support import Ran, begun, mysql, postgres

from converge.sandbox import Server
from faults.data import CHUNK_BYTES
from faults.verdict import Verdict, judge

# Only the size of a chunk is not as users have it: a source of 11 MB would be one chunk a table.
_COMMAND = (
    "from converge.mysql import chunks; from converge.cli import main; "
    f"chunks.CHUNK_BYTES = {CHUNK_BYTES}; main()"
)
_RATE = 3_000_000
"""Bytes a second through the target's proxy: a copy takes some seconds, in which things can happen."""
END_SECONDS = 180.0
"""Longer than all bounded retries together."""
_LOOK_SECONDS = 0.01
T = TypeVar("T")
_POSTGRES_DOWN = (psycopg.OperationalError, OSError)


class NeverHappened(AssertionError):
    """What the scene waits for did not come, or what was to happen hit nothing."""


@dataclass
class Scene:
    """Two servers, one database on each, the proxies between, and the run that is under way."""

    source_server: Server
    target_server: Server
    source: str
    """The source's URL, not through the proxy; so is `target`."""
    target: str
    source_proxy: Proxy
    target_proxy: Proxy
    chance: random.Random
    user: str = ""
    """Role of the target that the runs use instead of the server's own."""
    reader: str = ""
    """User of the source, likewise."""
    cleanup: ExitStack = field(default_factory=ExitStack)
    """Puts back, at the end of the scene, what an injector has changed."""
    _process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "no run has begun"
        return self._process

    def read_as(self, name: str) -> None:
        """The runs read the source as a new user, who has no rights yet."""
        mysql(self.source, f"CREATE USER {name}@'%' IDENTIFIED WITH mysql_native_password BY ''")
        self.cleanup.callback(mysql, self.source, f"DROP USER {name}@'%'")
        self.reader = name

    def begin(self, *options: str, slowly: bool = True, command: str = "migrate") -> None:
        """Starts `converge migrate`; its copy takes a few seconds when it goes `slowly`."""
        self.target_proxy.rate = _RATE if slowly else 0
        source = self._through(self.source, self.source_proxy, self.reader)
        target = self._through(self.target, self.target_proxy, self.user)
        options = ("--json", "--jobs", "2", *options)
        self._process = begun(source, target, *options, program=("-c", _COMMAND), command=command)

    def wait_for(self, what: str, happened: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits until `happened`. Raises NeverHappened when the run is over before, or the time is."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            # In this order: what happened may have ended the run.
            over = self._process is not None and self._process.poll() is not None
            if happened():
                return
            if over:
                raise NeverHappened(f"the run ended before {what}: {self.end()}")
            time.sleep(_LOOK_SECONDS)
        raise NeverHappened(f"no sign of {what} in {seconds:.0f} s")

    def wait_for_chunks(self, count: int) -> None:
        """Waits until so many chunks are done: then the run is in the middle of its copy."""
        self.wait_for(f"{count} chunks", lambda: len(self.chunks()) >= count)

    def wait_for_step(self, phase: str) -> None:
        """Waits until a statement of this phase (index, foreign key, validate …) is done."""
        query = "SELECT count(*) FROM converge.step WHERE phase = %s"
        self.wait_for(f"a step of {phase}", lambda: self.ledger(query, phase)[0][0] > 0)

    def chunks(self) -> set[tuple[Any, ...]]:
        """The finished chunks: table, number, rows and the time they were done."""
        query = "SELECT source_table, number, rows, done_at FROM converge.chunk WHERE done_at IS NOT NULL"
        return set(self.ledger(query))

    def ledger(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows from the ledger; [(0,)] while there is none or the server is down, and [] for its chunks."""
        try:
            if postgres(self.target, "SELECT to_regclass('converge.step') IS NOT NULL") == [(True,)]:
                return postgres(self.target, query, *parameters)
        except _POSTGRES_DOWN:
            pass
        return [(0,)] if "count(" in query else []

    def open_copies(self) -> int:
        """Sessions of runs in the target that are not idle."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' "
        )
        return int(postgres(self.target, query + "AND application_name ~ '^converge( migrate .*)?$'")[0][0])

    def wait_for_nobody(self) -> None:
        """Waits until no session of a run is at work in the target: that of a killed run may still be."""
        self._process = None
        self.wait_for("the end of all sessions", lambda: self.open_copies() == 0)

    def unlogged(self) -> int:
        """Tables that a crash of PostgreSQL would empty."""
        ((count,),) = postgres(self.target, "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'")
        return int(count)

    def kill(self) -> None:
        """Ends the run as `kill -9` does; its workers notice by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def end(self) -> Ran:
        """Waits until the run is over. Raises NeverHappened when it hangs, and kills it then."""
        try:
            out, err = self.process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            _, err = self.process.communicate()
            raise NeverHappened(f"the run hung for {END_SECONDS:.0f} s: {err}") from None
        return Ran(self.process.returncode, out, err)

    def resume(self, attempts: int = 1) -> Ran:
        """`--resume`, at full speed, until it ends well or the attempts are used up."""
        while True:
            self.begin("--resume", slowly=False)
            ran = self.end()
            attempts -= 1
            if ran.code == 0 or attempts < 1:
                return ran

    def judge(self) -> Verdict:
        """What the independent judge says of the target."""
        return judge(self.source, self.target)

    def finished(self) -> bool:
        """Whether the last run ended well."""
        return self.ledger("SELECT state FROM converge.run ORDER BY id DESC LIMIT 1") == [("finished",)]

    def may_resume(self) -> bool:
        """Whether the ledger knows of a run that is not finished."""
        states = self.ledger("SELECT state FROM converge.run ORDER BY id DESC LIMIT 1")
        return bool(states) and states[0][0] != "finished"

    @staticmethod
    def _through(url: str, proxy: Proxy, user: str) -> str:
        at = urlsplit(url)
        password = f":{at.password}" if at.password and not user else ""
        return at._replace(netloc=f"{user or at.username}{password}@127.0.0.1:{proxy.port}").geturl()


@contextmanager
def scene(
    source_server: Server, target_server: Server, source: str, target: str, seed: int
) -> Iterator[Scene]:
    """A scene over two databases; in the end its run is killed and its servers are whole again."""
    ports = [urlsplit(url).port or 0 for url in (source, target)]
    with (
        closing(Proxy(ports[0])) as before_source,
        closing(Proxy(ports[1])) as before_target,
        ExitStack() as cleanup,
    ):
        made = Scene(
            source_server,
            target_server,
            source,
            target,
            before_source,
            before_target,
            random.Random(seed),
            cleanup=cleanup,
        )
        try:
            yield made
        finally:
            made.kill()


def hit(found: list[T]) -> list[T]:
    """What there is to hit. Raises NeverHappened where there is nothing."""
    if not found:
        raise NeverHappened("there was nothing to hit")
    return found


def later(scene: Scene, seconds: float, what: Callable[[], object]) -> None:
    """Does something after a while, at the latest when the scene ends."""
    timer = threading.Timer(seconds, what)
    timer.start()
    scene.cleanup.callback(timer.join)


def document(ran: Ran) -> dict[str, Any]:
    """The JSON that a run printed, whether it ended well or not."""
    found: dict[str, Any] = json.loads(ran.out.strip().splitlines()[-1]) if ran.out.strip() else {}
    return found
