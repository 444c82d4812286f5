"""What the ledger knows of a run that is followed: up to where the target has what the source's log says."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.log import LogPosition
from converge.model.recorded import decode
from converge.postgres.ledger import BEGUN
from converge.postgres.query import exists, value

NOTING = {event: f"converge_{event.lower()}" for event in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")}
"""The triggers that note for a rollback which rows of the target change, by their events."""

# The proof as a whole is as old as that of the table which was compared first.
_PROOF = """
    SELECT jsonb_build_object('tables', count(*), 'verified', count(proof),
        'epoch', min((proof->>'epoch')::bigint), 'seen_at', min((proof->>'seen_at')::timestamptz),
        'age', greatest(0, extract(epoch FROM clock_timestamp() - min((proof->>'seen_at')::timestamptz))))
    FROM converge.proven WHERE run_id = %(run)s"""

_CUT_OVER = f"""
    SELECT min(f.certificate ->> 'at') FROM converge.follow f JOIN converge.run r ON r.id = f.run_id,
           jsonb_each_text(r.targets) AS own (source, name)
     WHERE f.certificate IS NOT NULL AND r.target_schema = %(schema)s AND own.name = ANY (%(tables)s)
       AND NOT EXISTS (
           SELECT FROM converge.run later LEFT JOIN converge.plan p ON p.run_id = later.id,
                  jsonb_each_text(later.targets) AS new (source, name)
            WHERE later.id > r.id AND later.target_schema = r.target_schema AND new.name = own.name
              AND (later.truncates OR p.options ->> 'mode' = 'create') AND later.state <> 'recovered'
              -- Until then it has replaced nothing.
              AND (later.id = %(resumed)s OR {BEGUN.format(run="later.id")}))"""


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
    keys: int = 0
    """Keys of the last epoch, at most."""
    crashed: str = ""
    """File of the log that the source began after its last crash, by which all was to be compared anew."""
    certificate: dict[str, Any] | None = None
    """Of the cutover; from then on the target is the application's."""


def read_following(connection: psycopg.Connection[Any], run: int) -> Following | None:
    """The row of a run; None where its place in the log is not known, or the ledger is an older one."""
    if not exists(connection, "converge.follow"):
        return None
    row = value(connection, "SELECT to_jsonb(f) FROM converge.follow f WHERE run_id = %s", (run,))
    return None if row is None else decode(Following, row)


def cut_over_at(
    connection: psycopg.Connection[Any], schema: str, tables: Collection[str], resumed: int | None = None
) -> str | None:
    """When the first of these tables of the target became the application's by a cutover; None where none
    has, or where a later run has made or emptied it."""
    if not exists(connection, "converge.follow"):
        return None
    at: str | None = value(connection, _CUT_OVER, {"schema": schema, "tables": [*tables], "resumed": resumed})
    return at


def require_not_cut_over(
    connection: psycopg.Connection[Any], schema: str, tables: Collection[str], resumed: int | None = None
) -> None:
    """Raises BlockedError after a cutover: the rows of these tables of the target are the application's.

    They are not those of a run that is `resumed`, and was begun to replace them.
    """
    if (at := cut_over_at(connection, schema, tables, resumed)) is not None:
        raise BlockedError(
            f"the cutover was at {at}: the target is the application's",
            code=Code.W012,
            hint="converge rollback brings its changes to the source, where --prepare has noted them; "
            "to begin anew, without them: converge migrate --recreate (in load mode: --truncate)",
        )


def certificate_of(connection: psycopg.Connection[Any], run: int) -> dict[str, Any]:
    """The certificate of the run's cutover; {} before that, or where the role may not see it."""
    return (following_now(connection, run) or {}).get("certificate") or {}


def following_now(connection: psycopg.Connection[Any], run: int) -> dict[str, Any] | None:
    """The row as JSON values, with the lag in seconds: how long ago the source was as the target is now."""
    readable = "SELECT has_table_privilege(to_regclass('converge.follow'), 'SELECT')"
    if not value(connection, readable):
        return None
    more = "'lag', extract(epoch FROM clock_timestamp() - seen_at)"
    if exists(connection, "converge.proven"):
        more += f", 'proof', ({_PROOF})"
    query = (
        f"SELECT to_jsonb(f) - 'identities' - 'run_id' - 'crashed' || jsonb_build_object({more}) "
        "FROM converge.follow f WHERE run_id = %(run)s"
    )
    found: dict[str, Any] | None = value(connection, query, {"run": run})
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
        "UPDATE converge.follow SET log = %s, identities = %s, epoch = %s, rows = %s, seen_at = %s, "
        "keys = %s, crashed = %s WHERE run_id = %s",
        (
            json.dumps(asdict(after.log)),
            json.dumps(after.identities),
            after.epoch,
            after.rows,
            after.seen_at,
            after.keys,
            after.crashed,
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


def note_certificate(connection: psycopg.Connection[Any], run: int, certificate: Mapping[str, Any]) -> None:
    """Notes the cutover: nothing replaces the target's rows from here on."""
    connection.execute(
        "UPDATE converge.follow SET certificate = %s WHERE run_id = %s", (json.dumps(certificate), run)
    )


# ---- the rolling proof -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proven:
    """When a table was compared, by the names of its JSON in the ledger: rows that have been replaced since
    were compared by the epochs that did it."""

    epoch: int
    seen_at: str
    replaced: int
    """Rows that epochs had replaced by then."""
    rows: int
    """Rows of the table, each counted when it was compared."""


@dataclass(frozen=True, slots=True)
class ToProve:
    """The table whose proof is missing, or is the oldest."""

    source_table: str
    replaced: int
    proof: Proven | None
    began: Proven | None
    """None where its comparison is to begin."""
    upto: tuple[str, ...] | None
    """The key up to which the comparison has come, in the target's texts."""


def begin_proof(connection: psycopg.Connection[Any], run: int, tables: Mapping[str, int | None]) -> None:
    """Notes tables with the rows that were compared in the snapshot with which following begins; None for
    those that were not."""
    connection.execute(
        "DELETE FROM converge.proven WHERE run_id = %s AND source_table <> ALL (%s)", (run, [*tables])
    )
    connection.execute(
        "INSERT INTO converge.proven (run_id, source_table, proof) "
        "SELECT run_id, name, CASE WHEN n IS NOT NULL AND epoch = 0 THEN jsonb_build_object('epoch', 0, "
        "'seen_at', to_timestamp((log->>'at')::bigint), 'replaced', 0, 'rows', n) END "
        "FROM converge.follow, unnest(%s::text[], %s::bigint[]) new (name, n) WHERE run_id = %s "
        "ON CONFLICT DO NOTHING",
        ([*tables], [*tables.values()], run),
    )


def next_to_prove(connection: psycopg.Connection[Any], run: int, tables: Collection[str]) -> ToProve:
    """Of these source tables: a comparison that has begun goes on, then comes one without a proof, then the
    oldest one."""
    query = (
        "SELECT to_jsonb(p) FROM converge.proven p WHERE run_id = %s AND source_table = ANY (%s) "
        "ORDER BY began IS NULL, proof IS NOT NULL, (proof->>'epoch')::bigint, source_table LIMIT 1"
    )
    return decode(ToProve, value(connection, query, (run, [*tables])))


def note_compared(
    connection: psycopg.Connection[Any], run: int, todo: ToProve, began: Proven, upto: tuple[str, ...] | None
) -> None:
    """Notes that a table was compared up to a key, or to its end; not where its proof has been forgotten
    meanwhile."""
    now, was = json.dumps(asdict(began)), todo.proof and json.dumps(asdict(todo.proof))
    set_, values = ("proof = %s, began = NULL", [now]) if upto is None else ("began = %s", [now])
    connection.execute(
        f"UPDATE converge.proven SET {set_}, upto = %s WHERE run_id = %s AND source_table = %s "
        "AND upto IS NOT DISTINCT FROM %s AND proof IS NOT DISTINCT FROM %s::jsonb".encode(),
        (*values, upto and [*upto], run, todo.source_table, todo.upto and [*todo.upto], was),
    )


def note_replaced(
    connection: psycopg.Connection[Any],
    run: int,
    after: Following,
    rows: Mapping[str, int],
    whole: Collection[str],
    unsure: Collection[str],
) -> None:
    """Notes the rows that an epoch has replaced, in its transaction: tables that it has replaced as a `whole`
    are compared with that, and of those that are `unsure` nothing is known any more."""
    now = "jsonb_build_object('epoch', %(epoch)s::bigint, 'seen_at', %(at)s::timestamptz, 'replaced', "
    now += "replaced + n, 'rows', n)"
    anew = "source_table = ANY (%(whole)s) OR source_table = ANY (%(unsure)s)"
    connection.execute(
        "UPDATE converge.proven SET replaced = replaced + n, "
        "proof = CASE WHEN source_table = ANY (%(unsure)s) THEN NULL "
        f"WHEN source_table = ANY (%(whole)s) THEN {now} ELSE proof END, "
        f"began = CASE WHEN NOT ({anew}) THEN began END, upto = CASE WHEN NOT ({anew}) THEN upto END "
        "FROM unnest(%(names)s::text[], %(rows)s::bigint[]) new (name, n) "
        "WHERE run_id = %(run)s AND source_table = name".encode(),
        {
            "run": run, "epoch": after.epoch, "at": after.seen_at, "names": [*rows], "rows": [*rows.values()],
            "whole": [*whole], "unsure": [*unsure],
        },
    )  # fmt: skip


def proof_now(connection: psycopg.Connection[Any], run: int) -> dict[str, Any]:
    """How many tables there are and are verified; epoch, time and age in seconds of the oldest proof."""
    found: dict[str, Any] = value(connection, _PROOF, {"run": run})
    return found


def forget_proof(connection: psycopg.Connection[Any], run: int, tables: Sequence[str] | None = None) -> None:
    """Lets these source tables, or all of them, be compared anew."""
    connection.execute(
        "UPDATE converge.proven SET proof = NULL, began = NULL, upto = NULL "
        "WHERE run_id = %s AND source_table = ANY (coalesce(%s, ARRAY[source_table]))",
        (run, tables),
    )


def proven(connection: psycopg.Connection[Any], run: int) -> list[dict[str, Any]]:
    """Of each table, by name: rows, the epoch and the time of its proof, and the rows replaced and compared
    since then; None where it has none."""
    rows = connection.execute(
        "SELECT jsonb_build_object('source', source_table, 'rows', proof->'rows', 'epoch', proof->'epoch', "
        "'seen_at', proof->'seen_at', 'replaced_since', replaced - (proof->>'replaced')::bigint) "
        "FROM converge.proven WHERE run_id = %s ORDER BY source_table",
        (run,),
    )
    return [one for (one,) in rows]


def not_noted(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[str]:
    """Those of these tables, quoted, of which changes can have gone unnoticed.

    A table needs all of its triggers, always enabled; they do not fire for the rows of tables that inherit.
    """
    query = """
        SELECT name FROM unnest(%s::text[]) AS name
         WHERE (SELECT count(*) FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
                 WHERE tgrelid = to_regclass(name) AND tgenabled = 'A' AND tgname = ANY (%s)
                   AND pronamespace = to_regnamespace('converge')) <> %s
            OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass(name))"""
    parameters = ([*names], [*NOTING.values()], len(NOTING))
    return [name for (name,) in connection.execute(query, parameters).fetchall()]
