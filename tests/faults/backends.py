"""What can happen to PostgreSQL's sessions and statements in the middle of a copy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psycopg
from support import postgres

from faults.scene import Scene, hit, later

_COPYING = "datname = current_database() AND query LIKE 'COPY%%'"
_OURS = "datname = current_database() AND application_name ~ '^converge( migrate .*)?$'"


@contextmanager
def copying(scene: Scene) -> Iterator[int]:
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
    with copying(scene) as backend:
        postgres(scene.target, "SELECT pg_terminate_backend(%s)", backend)


def cancel_backend(scene: Scene) -> None:
    with copying(scene) as backend:
        postgres(scene.target, "SELECT pg_cancel_backend(%s)", backend)


def terminate_any_backend(scene: Scene) -> None:
    """Whatever it does now."""
    any_of_them = f"SELECT pid FROM pg_stat_activity WHERE {_OURS} ORDER BY random() LIMIT 1"
    hit(postgres(scene.target, f"SELECT pg_terminate_backend(pid) FROM ({any_of_them}) AS one"))


def terminate_all_backends(scene: Scene) -> None:
    """The coordinator's too, which holds the lock of the run."""
    hit(postgres(scene.target, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OURS}"))


def deadlock(scene: Scene) -> None:
    """A true one: we hold a table and want the ledger row of the worker that waits for the table."""
    with psycopg.connect(scene.target, autocommit=True) as ours:
        ours.execute("SET deadlock_timeout = '10min'")  # the worker becomes the victim
        (todo,) = ours.execute(
            "SELECT source_table FROM converge.chunk WHERE done_at IS NULL "
            "GROUP BY source_table ORDER BY count(*) DESC LIMIT 1"
        ).fetchall() or [("leaf",)]
        ours.execute("SET lock_timeout = '5s'")
        waiting = f"NOT granted AND relation = 'public.\"{todo[0]}\"'::regclass"
        query = f"SELECT count(*) FROM pg_locks WHERE {waiting}"
        for _ in range(5):
            # The server looks once, a second after the worker began to wait: who comes later finds no victim.
            with suppress(psycopg.errors.LockNotAvailable), ours.transaction():
                ours.execute(f'LOCK TABLE public."{todo[0]}" IN EXCLUSIVE MODE'.encode())
                scene.wait_for("a COPY that waits", lambda: postgres(scene.target, query) != [(0,)])
                ours.execute("UPDATE converge.chunk SET bytes = bytes WHERE source_table = %s", (todo[0],))
                return


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
        raised = "SELECT last_value >= %s FROM faults.count"
        scene.wait_for(f"{times} refusals", lambda: postgres(scene.target, raised, times) == [(True,)])

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
    later(scene, 2.0, lambda: postgres(scene.target, f"ALTER ROLE {scene.user} CONNECTION LIMIT -1"))


def impatient_role(scene: Scene) -> None:
    """Limits that an administrator has set for the role."""
    bound_role(scene)
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        postgres(scene.target, f"ALTER ROLE {scene.user} SET {name} = '50ms'")
