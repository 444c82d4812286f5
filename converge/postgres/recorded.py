"""A run's options, plan and schema in the ledger: written by the run, read by those who come later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import UsageError
from converge.model.decode import decode, encoded
from converge.model.endpoint import Endpoint, parse
from converge.model.plan import Finding, Plan
from converge.model.recorded import READER, Made, Recorded, RunOptions
from converge.postgres.history import unreadable_ledger
from converge.postgres.ledger import STATE

_PORT = 3306
_NO_PLAN = "an earlier version of converge began the last run and kept no plan"


def unseen(why: str, hint: str = "") -> Finding:
    """A run that others cannot work from: this command's options decide."""
    return Finding(Code.V113, "note", "plan", f"planned by the options of this command: {why}", hint)


def record_plan(connection: psycopg.Connection[Any], run: int, options: RunOptions, plan: Plan) -> None:
    """Keeps what a run has planned, and by which options."""
    connection.execute(
        "INSERT INTO converge.plan (run_id, options, plan) VALUES (%s, %s::json, %s::json)",
        (run, json.dumps(asdict(options)), json.dumps(plan, default=_fields)),
    )


def record_there(connection: psycopg.Connection[Any], run: int, objects: Mapping[str, str]) -> None:
    """Keeps the names of the objects that are there before the run's first statement."""
    connection.execute(
        "UPDATE converge.plan SET there = %s::json WHERE run_id = %s "
        "AND NOT EXISTS (SELECT FROM converge.step s WHERE s.run_id = plan.run_id)",
        (json.dumps(list(objects)), run),
    )


def objects_there(connection: psycopg.Connection[Any], run: int) -> set[str]:
    """The names that `record_there` has kept; none for a run that an earlier version has begun."""
    row = connection.execute("SELECT there FROM converge.plan WHERE run_id = %s", (run,)).fetchone()
    return set(row[0] or ()) if row else set()


def record_made(connection: psycopg.Connection[Any], run: int, made: Made) -> None:
    """Keeps the schema that the run has made."""
    connection.execute(
        "UPDATE converge.plan SET made = %s::json WHERE run_id = %s", (json.dumps(asdict(made)), run)
    )


def last_made(connection: psycopg.Connection[Any]) -> list[tuple[int, str, Made]]:
    """The last run of each schema whose record the role may change, with what it has made."""
    row = connection.execute(
        "SELECT bool_and(has_table_privilege(c.oid, 'SELECT')) "
        "AND bool_and(has_table_privilege(c.oid, 'UPDATE')) "
        "AND bool_and(has_schema_privilege(n.oid, 'USAGE')) AND count(*) = 2 "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'converge' AND c.relname IN ('run', 'plan')"
    ).fetchone()
    if row is None or not row[0]:
        return []
    rows = connection.execute(
        "SELECT DISTINCT ON (r.target_schema) r.id, r.target_schema, p.made FROM converge.run r "
        "JOIN converge.plan p ON p.run_id = r.id WHERE p.made IS NOT NULL ORDER BY r.target_schema, r.id DESC"
    ).fetchall()
    return [(run, schema, found) for run, schema, made in rows if (found := _made(made)) is not None]


def last_recorded(
    connection: psycopg.Connection[Any], source: Endpoint, schema: str | None
) -> Recorded | Finding | None:
    """The last run of this source, into this schema where one is named; why it cannot be seen, or None.

    Another user of the same server is the same source; so is a database of the same name elsewhere, such as
    a replica, where no run has this very address.
    """
    if not _exists(connection, "run"):
        return None
    if (denied := unreadable_ledger(connection)) is not None:
        return unseen(denied.message, denied.hint or "")
    rows = connection.execute(
        "SELECT id, source FROM converge.run WHERE state <> 'recovered' "
        "AND (%(schema)s::text IS NULL OR target_schema = %(schema)s) ORDER BY id DESC",
        {"schema": schema},
    ).fetchall()
    ranked = [(rank, -run) for run, url in rows if (rank := _distance(source, url)) is not None]
    if not ranked:
        return None
    run = -min(ranked)[1]
    if not _exists(connection, "plan"):
        return unseen(_NO_PLAN)
    row = connection.execute(
        f"SELECT r.source, {STATE}, r.started_at::text, r.position, p.options, p.plan, p.made "
        "FROM converge.run r JOIN converge.plan p ON p.run_id = r.id WHERE r.id = %s",
        (run,),
    ).fetchone()
    if row is None:
        return unseen(_NO_PLAN)
    url, state, started, position, options, plan, made = row
    return Recorded(
        run, url, state, started, decode(RunOptions, options), decode(Plan, plan),
        _made(made), position,
    )  # fmt: skip


def record_verification(
    connection: psycopg.Connection[Any], run: int, level: str, report: Mapping[str, Any]
) -> str:
    """Enters what came of a verification; returns why the ledger could not take it, or nothing."""
    try:
        connection.execute(
            "INSERT INTO converge.verification (run_id, level, verdict, report) "
            "VALUES (%s, %s, %s, %s::json)",
            (run, level, report["verdict"], encoded(report)),
        )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        return str(error.diag.message_primary)
    return ""


def _made(document: Any) -> Made | None:
    """None, too, for what another version has read in another way."""
    found = None if document is None else decode(Made, document)
    return found if found is not None and found.reader == READER else None


def _distance(source: Endpoint, url: str) -> int | None:
    """How far a run's source is from this one: the same, another user's, a namesake; None for others."""
    if url == str(source):
        return 0
    try:
        other = parse(url)
    except UsageError:
        return None  # a dump, which has a name and no address
    if other.database != source.database or source.name:
        return None
    same = (other.host, other.port or _PORT) == (source.host, source.port or _PORT)
    return 1 if same else 2


def _exists(connection: psycopg.Connection[Any], table: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'converge' AND c.relname = %s)",
        (table,),
    ).fetchone()
    return row is not None and bool(row[0])


def _fields(part: Any) -> dict[str, Any]:
    # Not asdict, which would copy every text of a large plan.
    return {one.name: getattr(part, one.name) for one in fields(part)}
