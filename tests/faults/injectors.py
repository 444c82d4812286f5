"""What can happen to a run in the middle of its copy, one function each."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from support import mysql, postgres

from faults.scene import END_SECONDS, Scene

_COPYING = "datname = current_database() AND query LIKE 'COPY%%'"
_OURS = "datname = current_database() AND application_name = 'converge'"


def nothing(scene: Scene) -> None:
    """The other part of a fault does it all."""


@dataclass(frozen=True)
class Fault:
    """`prepare` happens before the run, `inject` in the middle of its copy."""

    name: str
    inject: Callable[[Scene], None]
    prepare: Callable[[Scene], None] = nothing
    by_itself: bool = True
    """Whether the run ends well without a `--resume` by hand."""

    def __str__(self) -> str:
        return self.name


# Processes of the tool


def kill_tool(scene: Scene) -> None:
    scene.process.kill()


def terminate_tool(scene: Scene) -> None:
    os.killpg(scene.process.pid, signal.SIGTERM)


def kill_worker(scene: Scene) -> None:
    workers = scene.workers()
    if workers:  # before they start there is nothing to kill
        os.kill(scene.chance.choice(workers), signal.SIGKILL)


# Backends of PostgreSQL


@contextmanager
def _copying(scene: Scene) -> Iterator[int]:
    """The process id of a backend that is in the middle of a COPY, and stays there."""
    query = f"SELECT pid FROM pg_stat_activity WHERE {_COPYING} AND state = 'active' ORDER BY random()"
    found: list[tuple[int]] = []

    def look() -> bool:
        scene.target_proxy.hold()
        time.sleep(0.05)  # what is on its way arrives
        found.extend(postgres(scene.target, query))
        if not found:
            scene.target_proxy.flow()
        return bool(found)

    scene.wait_for("a COPY", look)
    try:
        yield found[0][0]
    finally:
        scene.target_proxy.flow()


def terminate_backend(scene: Scene) -> None:
    with _copying(scene) as backend:
        postgres(scene.target, "SELECT pg_terminate_backend(%s)", backend)


def cancel_backend(scene: Scene) -> None:
    with _copying(scene) as backend:
        postgres(scene.target, "SELECT pg_cancel_backend(%s)", backend)


def terminate_any_backend(scene: Scene) -> None:
    """Whatever it does now."""
    any_of_them = f"SELECT pid FROM pg_stat_activity WHERE {_OURS} ORDER BY random() LIMIT 1"
    query = f"SELECT pg_terminate_backend(pid) FROM ({any_of_them}) AS one"
    postgres(scene.target, query)


def terminate_all_backends(scene: Scene) -> None:
    """The coordinator's too, which holds the lock of the run."""
    postgres(scene.target, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}")


def deadlock(scene: Scene) -> None:
    """A true one: we hold a table and want the ledger row of the worker that waits for the table."""
    with psycopg.connect(scene.target, autocommit=True) as ours:
        ours.execute("SET deadlock_timeout = '10min'")  # the worker becomes the victim
        (todo,) = ours.execute(
            "SELECT source_table FROM converge.chunk WHERE done_at IS NULL "
            "GROUP BY source_table ORDER BY count(*) DESC LIMIT 1"
        ).fetchall() or [("leaf",)]
        with ours.transaction():
            ours.execute(f'LOCK TABLE public."{todo[0]}" IN EXCLUSIVE MODE'.encode())
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.\"%s\"'::regclass"
            scene.wait_for("a COPY that waits", lambda: postgres(scene.target, waits % todo[0]) != [(0,)])
            ours.execute("UPDATE converge.chunk SET bytes = bytes WHERE source_table = %s", (todo[0],))


def raising(state: str, times: int) -> Callable[[Scene], None]:
    """The server refuses so many of the next chunks with this SQLSTATE."""

    def inject(scene: Scene) -> None:
        # A sequence counts on while the transactions that it counts are rolled back.
        body = (
            f"BEGIN IF nextval('faults.count') <= {times} THEN "
            f"RAISE EXCEPTION 'injected' USING ERRCODE = '{state}'; END IF; RETURN NEW; END"
        )
        trigger = "BEFORE UPDATE ON converge.chunk FOR EACH ROW EXECUTE FUNCTION faults.refuse()"
        for statement in (
            "CREATE SCHEMA faults",
            "CREATE SEQUENCE faults.count",
            f"CREATE FUNCTION faults.refuse() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
            f"CREATE TRIGGER refuse {trigger}",
        ):
            postgres(scene.target, statement)

    return inject


def bound_role(scene: Scene) -> None:
    """The role of the run has no rights but those it needs."""
    database = urlsplit(scene.target).path.lstrip("/")
    scene.user = f"mover_{database}"
    postgres(scene.target, f"CREATE ROLE {scene.user} LOGIN")
    postgres(scene.target, f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO {scene.user}")
    postgres(scene.target, f"GRANT CREATE, USAGE ON SCHEMA public TO {scene.user}")
    scene.cleanup.callback(postgres, scene.target, f"DROP ROLE {scene.user}")
    scene.cleanup.callback(postgres, scene.target, f"DROP OWNED BY {scene.user}")


def too_many_connections(scene: Scene) -> None:
    """A lost backend cannot be replaced for two seconds."""
    postgres(scene.target, f"ALTER ROLE {scene.user} CONNECTION LIMIT 0")
    terminate_backend(scene)
    _later(scene, 2.0, lambda: postgres(scene.target, f"ALTER ROLE {scene.user} CONNECTION LIMIT -1"))


def impatient_role(scene: Scene) -> None:
    """Limits that an administrator has set for the role."""
    bound_role(scene)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        postgres(scene.target, f"ALTER ROLE {scene.user} SET {name} = '50ms'")


# Servers


def crash_postgres(scene: Scene) -> None:
    """An immediate stop; the server is there again after a moment."""
    scene.target_server.crash()
    time.sleep(scene.chance.uniform(0, 3))
    scene.target_server.restart()


def restart_postgres(scene: Scene) -> None:
    """In order, as for an update."""
    scene.target_server.restart()


def kill_backend(scene: Scene) -> None:
    """One backend dies by SIGKILL: the postmaster ends all others and recovers."""
    with _copying(scene) as backend:
        os.kill(backend, signal.SIGKILL)
    wait_for_postgres(scene)


def wait_for_postgres(scene: Scene) -> None:
    """Until it has recovered, which it does by itself."""
    for _ in range(600):
        try:
            postgres(scene.target, "SELECT 1")
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not recover in a minute")


def kill_mysqld(scene: Scene) -> None:
    scene.source_server.crash()
    time.sleep(scene.chance.uniform(0, 3))
    scene.source_server.restart()


def lose_source(scene: Scene) -> None:
    """It stays away until the run has given up."""
    scene.source_server.crash()
    scene.process.wait(END_SECONDS)
    scene.source_server.restart()


def lose_target(scene: Scene) -> None:
    scene.target_server.crash()
    scene.process.wait(END_SECONDS)
    scene.target_server.restart()


def kill_mysql_sessions(scene: Scene) -> None:
    """As an administrator ends what runs for too long."""
    query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    for (number,) in mysql(scene.source, query):
        with suppress(Exception):  # it ended meanwhile
            mysql(scene.source, f"KILL {number}")


# Networks


def cut_source(scene: Scene) -> None:
    scene.source_proxy.cut(reset=scene.chance.random() < 0.5)


def cut_target(scene: Scene) -> None:
    scene.target_proxy.cut(reset=scene.chance.random() < 0.5)


def cut_one(scene: Scene) -> None:
    """One connection of a worker, in the middle of a block."""
    living = [link for link in scene.target_proxy.links if link.open and link.carried > 100_000]
    scene.target_proxy.cut(scene.chance.choice(living))


def lose_commits(scene: Scene) -> None:
    scene.target_proxy.answers_to_lose = 3


def refuse_target(scene: Scene) -> None:
    """The network is gone for some seconds."""
    scene.target_proxy.refuse()
    scene.target_proxy.cut()
    _later(scene, scene.chance.uniform(1, 5), scene.target_proxy.accept)


def refuse_source(scene: Scene) -> None:
    scene.source_proxy.refuse()
    scene.source_proxy.cut()
    _later(scene, scene.chance.uniform(1, 5), scene.source_proxy.accept)


def swallow_target(scene: Scene) -> None:
    scene.target_proxy.swallow()


def swallow_source(scene: Scene) -> None:
    scene.source_proxy.swallow()


def impatient_source(scene: Scene) -> None:
    """A source that ends a session whose client does not read for a second."""
    old = mysql(scene.source, "SELECT @@global.net_write_timeout")[0][0]
    mysql(scene.source, "SET GLOBAL net_write_timeout = 1")
    scene.cleanup.callback(mysql, scene.source, f"SET GLOBAL net_write_timeout = {old}")


def stall_target(scene: Scene) -> None:
    scene.target_proxy.hold()
    time.sleep(4)
    scene.target_proxy.flow()


def _later(scene: Scene, seconds: float, what: Callable[[], object]) -> None:
    """Does something after a while, at the latest when the scene ends."""
    timer = threading.Timer(seconds, what)
    timer.start()
    scene.cleanup.callback(timer.join)


FAULTS = (
    Fault("kill -9 of the tool", kill_tool, by_itself=False),
    Fault("kill -9 of a worker", kill_worker),
    Fault("PostgreSQL backend terminated (57P01)", terminate_backend),
    Fault("all backends of the run terminated", terminate_all_backends),
    Fault("statement cancelled (57014)", cancel_backend),
    Fault("answers to COMMIT lost", lose_commits),
    Fault("deadlock (40P01)", deadlock),
    Fault("lock timeout (55P03)", raising("55P03", 3)),
    Fault("too many connections (53300)", too_many_connections, bound_role),
    Fault("timeouts set for the role", nothing, impatient_role),
    Fault("PostgreSQL crash (immediate stop)", crash_postgres),
    Fault("PostgreSQL crash (kill -9 of a backend)", kill_backend),
    Fault("kill -9 of mysqld", kill_mysqld),
    Fault("source gone until the run gives up", lose_source, by_itself=False),
    Fault("target connections cut", cut_target),
    Fault("source away for seconds", refuse_source),
    Fault("target away for seconds", refuse_target),
    Fault("source connections half-open", swallow_source),
    Fault("target connections half-open", swallow_target),
    Fault("slow target, net_write_timeout 1 s", stall_target, impatient_source),
)
MORE = (
    Fault("SIGTERM to the tool", terminate_tool, by_itself=False),
    Fault("serialization failure (40001)", raising("40001", 3)),
    Fault("PostgreSQL restarted in order", restart_postgres),
    Fault("MySQL sessions killed", kill_mysql_sessions),
    Fault("target gone until the run gives up", lose_target, by_itself=False),
    Fault("source connections cut", cut_source),
    Fault("one target connection cut", cut_one),
)
"""What the long form has besides: other ways into the same places."""
