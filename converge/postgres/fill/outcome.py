"""What came of the rows, counted, with some of those that failed."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.backfill import REASONS, Failure, Sample
from converge.postgres.fill.resolve import ROWS

_SAMPLES = 5


def outcome(connection: psycopg.Connection[Any]) -> tuple[int, tuple[Failure, ...]]:
    """The rows that were filled, or can be; and the failures by reason."""
    counts = dict(
        connection.execute(
            f"SELECT coalesce(reason, ''), count(*) FROM {ROWS} WHERE NOT settled GROUP BY 1".encode()
        ).fetchall()
    )
    failures = (
        Failure(reason, counts[reason], _samples(connection, reason))
        for reason in REASONS
        if reason in counts
    )
    return counts.get("", 0), tuple(failures)


def _samples(connection: psycopg.Connection[Any], reason: str) -> tuple[Sample, ...]:
    rows = connection.execute(
        f"SELECT key::text, shown, error FROM {ROWS} WHERE reason = %s ORDER BY number LIMIT %s".encode(),
        (reason, _SAMPLES),
    )
    return tuple(Sample(*row) for row in rows)
