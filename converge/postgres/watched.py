"""The connection class of the target: it notes since when it waits, so that `watch` can look."""

from __future__ import annotations

import time
from typing import Any

import psycopg


class WatchedConnection(psycopg.Connection[Any]):
    """A psycopg connection with the name that `converge.watch` asks for; everything waits in `wait`."""

    waiting_since: float | None = None

    def wait(self, *arguments: Any, **options: Any) -> Any:
        self.waiting_since = time.monotonic()
        try:
            return super().wait(*arguments, **options)
        finally:
            self.waiting_since = None


def at_work(asker: psycopg.Connection[Any], backend: int) -> bool:
    """Whether the server still computes for a backend, and does not wait for its client (PostgreSQL
    manual, "The Cumulative Statistics System": a role sees its own backends)."""
    with asker:
        row = asker.execute(
            "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' "
            "FROM pg_stat_activity WHERE pid = %s",
            (backend,),
        ).fetchone()
    return row is not None and bool(row[0])
