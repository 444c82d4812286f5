"""What can happen to processes, servers and networks in the middle of a copy, one function each.

Those that find nothing to hit raise NeverHappened: a round counts only what has happened.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psycopg
from local_servers import crash, restart
from support import mysql, postgres, workers_of

from faults.backends import copying
from faults.scene import END_SECONDS, Scene, hit, later

# Processes of the tool


def kill_tool(scene: Scene) -> None:
    scene.process.kill()


def terminate_tool(scene: Scene) -> None:
    os.killpg(scene.process.pid, signal.SIGTERM)


def kill_worker(scene: Scene) -> None:
    workers = hit(workers_of(scene.process.pid))
    os.kill(scene.chance.choice(workers), signal.SIGKILL)


# Servers


def crash_postgres(scene: Scene) -> None:
    """An immediate stop; the server is there again after a moment."""
    crash(scene.target_server)
    time.sleep(scene.chance.uniform(0, 3))
    restart(scene.target_server)


def restart_postgres(scene: Scene) -> None:
    """In order, as for an update."""
    restart(scene.target_server)


def kill_backend(scene: Scene) -> None:
    """One backend dies by SIGKILL: the postmaster ends all others and recovers."""
    with copying(scene) as backend:
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
    crash(scene.source_server)
    time.sleep(scene.chance.uniform(0, 3))
    restart(scene.source_server)


def lose_source(scene: Scene) -> None:
    """It stays away until the run has given up."""
    crash(scene.source_server)
    scene.process.wait(END_SECONDS)
    restart(scene.source_server)


def lose_target(scene: Scene) -> None:
    crash(scene.target_server)
    scene.process.wait(END_SECONDS)
    restart(scene.target_server)


def kill_mysql_sessions(scene: Scene) -> None:
    """As an administrator ends what runs for too long."""
    query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    for (number,) in hit(mysql(scene.source, query)):
        with suppress(Exception):  # it ended meanwhile
            mysql(scene.source, f"KILL {number}")


# Networks


def cut_source(scene: Scene) -> None:
    scene.source_proxy.cut(*hit(scene.source_proxy.living), reset=scene.chance.random() < 0.5)


def cut_target(scene: Scene) -> None:
    scene.target_proxy.cut(*hit(scene.target_proxy.living), reset=scene.chance.random() < 0.5)


def cut_one(scene: Scene) -> None:
    """One connection of a worker, in the middle of a block."""
    busy = hit([link for link in scene.target_proxy.living if link.carried > 100_000])
    scene.target_proxy.cut(scene.chance.choice(busy))


def lose_commits(scene: Scene) -> None:
    proxy = scene.target_proxy
    proxy.answers_to_lose = 3
    scene.wait_for("a lost answer", lambda: proxy.answers_to_lose < 3)


def refuse_target(scene: Scene) -> None:
    """The network is gone for some seconds."""
    scene.target_proxy.refuse()
    scene.target_proxy.cut(*hit(scene.target_proxy.living))
    later(scene, scene.chance.uniform(1, 5), scene.target_proxy.accept)


def refuse_source(scene: Scene) -> None:
    scene.source_proxy.refuse()
    scene.source_proxy.cut(*hit(scene.source_proxy.living))
    later(scene, scene.chance.uniform(1, 5), scene.source_proxy.accept)


def swallow_target(scene: Scene) -> None:
    scene.target_proxy.swallow(*hit(scene.target_proxy.living))


def swallow_source(scene: Scene) -> None:
    scene.source_proxy.swallow(*hit(scene.source_proxy.living))


def impatient_source(scene: Scene) -> None:
    """A source that ends a session whose client does not read for a second."""
    old = mysql(scene.source, "SELECT @@global.net_write_timeout")[0][0]
    mysql(scene.source, "SET GLOBAL net_write_timeout = 1")
    scene.cleanup.callback(mysql, scene.source, f"SET GLOBAL net_write_timeout = {old}")


def stall_target(scene: Scene) -> None:
    scene.target_proxy.hold()
    time.sleep(4)
    scene.target_proxy.flow()
