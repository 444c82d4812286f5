"""What the ledger knows of a run that is followed: up to where the target has what the source's log says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from converge.model.log import LogPosition
from converge.model.recorded import decode
from converge.postgres.query import value


@dataclass(frozen=True, slots=True)
class Following:
    """A run's row."""

    log: LogPosition
    """The target has all that the source had committed before this place, and some of what came later."""
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the source's tables were then, by name."""
    epoch: int = 0
    """How often the target was made equal to the source since the run; 0 is the run itself."""
    rows: int = 0
    """Rows that were replaced in all."""
    seen_at: str | None = None
    """When the source was as the target is now, by its clock; None of the run itself."""
    proof: dict[str, Any] | None = None
    """The last comparison of every row: its epoch, time, seconds and verdict."""
    certificate: dict[str, Any] | None = None
    """Of the cutover; from then on the target is the application's."""


def read_following(connection: psycopg.Connection[Any], run: int) -> Following | None:
    """The row of a run; None where its place in the log is not known, or the ledger is an older one."""
    if not value(connection, "SELECT to_regclass('converge.follow') IS NOT NULL"):
        return None
    row = value(connection, "SELECT to_jsonb(f) FROM converge.follow f WHERE run_id = %s", (run,))
    return None if row is None else decode(Following, row)


def following_now(connection: psycopg.Connection[Any], run: int) -> dict[str, Any] | None:
    """The row as JSON values, with the lag in seconds: how long ago the source was as the target is now."""
    readable = "SELECT has_table_privilege(to_regclass('converge.follow'), 'SELECT')"
    if not value(connection, readable):
        return None
    lag = "jsonb_build_object('lag', extract(epoch FROM clock_timestamp() - seen_at))"
    query = f"SELECT to_jsonb(f) - 'identities' - 'run_id' || {lag} FROM converge.follow f WHERE run_id = %s"
    found: dict[str, Any] | None = value(connection, query, (run,))
    return found


def note_start(
    connection: psycopg.Connection[Any],
    run: int,
    log: LogPosition | None,
    identities: Mapping[str, tuple[str, ...]],
) -> None:
    """Notes where following a run begins: at a snapshot to which the target has been made equal."""
    connection.execute("DELETE FROM converge.follow WHERE run_id = %s AND certificate IS NULL", (run,))
    if log is not None:
        connection.execute(
            "INSERT INTO converge.follow (run_id, log, identities) VALUES (%s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (run, json.dumps(asdict(log)), json.dumps(identities)),
        )


def note_epoch(connection: psycopg.Connection[Any], run: int, after: Following) -> None:
    """Notes an epoch, in its transaction."""
    connection.execute(
        "UPDATE converge.follow SET log = %s, identities = %s, epoch = %s, rows = %s, seen_at = %s "
        "WHERE run_id = %s",
        (
            json.dumps(asdict(after.log)),
            json.dumps(after.identities),
            after.epoch,
            after.rows,
            after.seen_at,
            run,
        ),
    )


def note_written(connection: psycopg.Connection[Any], run: int, tables: list[str]) -> None:
    """Lets the rows that this transaction has written to these source tables count as the run's."""
    connection.execute(
        "INSERT INTO converge.repair (run_id, source_table, xid) "
        "SELECT %s, name, pg_current_xact_id()::xid FROM unnest(%s::text[]) name",
        (run, tables),
    )


def note_proof(connection: psycopg.Connection[Any], run: int, proof: Mapping[str, Any]) -> None:
    """Notes a comparison of every row."""
    connection.execute("UPDATE converge.follow SET proof = %s WHERE run_id = %s", (json.dumps(proof), run))


def note_certificate(connection: psycopg.Connection[Any], run: int, certificate: Mapping[str, Any]) -> None:
    """Notes the cutover: nothing replaces the target's rows from here on."""
    connection.execute(
        "UPDATE converge.follow SET certificate = %s WHERE run_id = %s", (json.dumps(certificate), run)
    )
