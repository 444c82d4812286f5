"""Every fault by its name: the tests and the long form take them from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from faults import backends, injectors
from faults.scene import Scene


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


FAULTS = (
    Fault("kill -9 of the tool", injectors.kill_tool, by_itself=False),
    Fault("kill -9 of a worker", injectors.kill_worker),
    Fault("PostgreSQL backend terminated (57P01)", backends.terminate_backend),
    Fault("all backends of the run terminated", backends.terminate_all_backends),
    Fault("statement cancelled (57014)", backends.cancel_backend),
    Fault("answers to COMMIT lost", injectors.lose_commits),
    Fault("deadlock (40P01)", backends.deadlock),
    Fault("lock timeout (55P03)", backends.raising("55P03", 3)),
    Fault("too many connections (53300)", backends.too_many_connections, backends.bound_role),
    Fault("timeouts set for the role", nothing, backends.impatient_role),
    Fault("PostgreSQL crash (immediate stop)", injectors.crash_postgres),
    Fault("PostgreSQL crash (kill -9 of a backend)", injectors.kill_backend),
    Fault("kill -9 of mysqld", injectors.kill_mysqld),
    Fault("source gone until the run gives up", injectors.lose_source, by_itself=False),
    Fault("target connections cut", injectors.cut_target),
    Fault("source away for seconds", injectors.refuse_source),
    Fault("target away for seconds", injectors.refuse_target),
    Fault("source connections half-open", injectors.swallow_source),
    Fault("target connections half-open", injectors.swallow_target),
    Fault("slow target, net_write_timeout 1 s", injectors.stall_target, injectors.impatient_source),
)
MORE = (
    Fault("SIGTERM to the tool", injectors.terminate_tool, by_itself=False),
    Fault("serialization failure (40001)", backends.raising("40001", 3)),
    Fault("PostgreSQL restarted in order", injectors.restart_postgres),
    Fault("MySQL sessions killed", injectors.kill_mysql_sessions),
    Fault("target gone until the run gives up", injectors.lose_target, by_itself=False),
    Fault("source connections cut", injectors.cut_source),
    Fault("one target connection cut", injectors.cut_one),
)
"""What the long form has besides: other ways into the same places."""
