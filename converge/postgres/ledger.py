"""The ledger in the target's `converge` schema: what a run has done, and what it has left to do.

A chunk's row and the rows that it copied are in one transaction, and so are a statement and its
step. So the ledger is the to-do list of a resumed run, and never wrong.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from converge.codes import Code
from converge.errors import START_AGAIN, BlockedError, UsageError
from converge.model.documents import plain
from converge.model.endpoint import Endpoint
from converge.model.evidence import Evidence
from converge.model.extent import Range
from converge.model.plan import Plan, Statement
from converge.model.recorded import encoded
from converge.model.result import Reject
from converge.model.work import Copied
from converge.postgres.connect import backend, connect
from converge.postgres.errors import NOT_THE_STATEMENT
from converge.postgres.lock import end_leftovers, lock
from converge.postgres.query import exists, value
from converge.postgres.target import is_old, ledger_tables, ledger_version, ledger_versions
from converge.resources import folder

_UNFINISHED = ("running", "interrupted", "failed")
# Two runs may begin at the same moment, and both find no ledger.
_UPGRADE_LOCK = 0x636F6E7570
BEGUN = (
    "(EXISTS (SELECT FROM converge.step WHERE run_id = {run}) "
    "OR EXISTS (SELECT FROM converge.chunk WHERE run_id = {run}))"
)
"""Whether a run has removed what was in its way. Before chunks are entered a load may have no step: of tables
without keys there is nothing to set aside."""


@dataclass(frozen=True, slots=True)
class LedgerChunk:
    """A chunk as the ledger has it."""

    table: str
    number: int
    part: Range
    done: Copied | None
    """What it came to; None while it is to do."""
    xid: str | None
    """xmin of the rows that it has written."""

    @property
    def rejected(self) -> bool:
        """Whether the target has refused rows of it."""
        return self.done is not None and self.done.rejected > 0


class Ledger:
    """One run's rows in the ledger, through the coordinator's connection."""

    def __init__(self, connection: psycopg.Connection[Any], run_id: int) -> None:
        self.connection = connection
        self.run_id = run_id
        self.backend = backend(connection)

    @classmethod
    def open(
        cls,
        connection: psycopg.Connection[Any],
        plan: Plan,
        evidence: Evidence,
        *,
        resume: bool,
        clears: bool,
        again: int | None,
        number: int | None = None,
    ) -> Ledger:
        """Takes the lock and begins a run, or goes on with the last one, or that of this number.

        `again` is the run of an attempt of this very process, which may have finished it unheard.
        Raises BlockedError when another run holds the lock or the plan has changed since, and
        UsageError when there is nothing to resume.
        """
        lock(connection, "migrate")
        end_leftovers(connection)
        if resume:
            run = _resume(connection, plan, again, number)
        else:
            run = _begin(connection, plan, evidence, clears)
        # Those of others that were killed, and could not enter it: as `end` does.
        connection.execute(
            "UPDATE converge.run SET paused = false, finished_at = clock_timestamp(), "
            "state = CASE WHEN report IS NULL THEN 'interrupted' ELSE 'finished' END "
            "WHERE state = 'running' AND id <> %s",
            (run,),
        )
        return cls(connection, run)

    def state(self) -> str:
        """As it is entered."""
        return str(
            value(self.connection, "SELECT state FROM converge.run WHERE id = %s", (self.run_id,)) or ""
        )

    def set_state(self, state: str, *, report: object = None) -> None:
        """Notes the run's state; a run that is no longer running gets its end time."""
        self.connection.execute(
            "UPDATE converge.run SET state = %s, paused = false, report = coalesce(%s::json, report), "
            "finished_at = CASE WHEN %s = 'running' THEN NULL ELSE clock_timestamp() END WHERE id = %s",
            (state, None if report is None else encoded(report), state, self.run_id),
        )

    def end(self, state: str, report: object) -> None:
        """Notes how an attempt of a run that did not finish has ended, with its report.

        A finished run that was resumed for its rejects is what it was, as long as nothing of it is undone.
        """
        stands = "SELECT report IS NOT NULL FROM converge.run WHERE id = %s"
        if value(self.connection, stands, (self.run_id,)):
            self.set_state("finished")
        else:
            self.set_state(state, report=report)

    def paused(self) -> bool:
        """Whether somebody has paused the run."""
        return bool(value(self.connection, "SELECT paused FROM converge.run WHERE id = %s", (self.run_id,)))

    def makes_room(self) -> bool:
        """Whether the run has still to remove what is in its way, before all else that it does."""
        query = f"SELECT truncates AND NOT {BEGUN.format(run='run.id')} FROM converge.run WHERE id = %s"
        return bool(value(self.connection, query, (self.run_id,)))

    def position(self) -> str | None:
        """Where the source stood when all finished chunks were equal to it; None when that is not known."""
        found: str | None = value(
            self.connection, "SELECT position FROM converge.run WHERE id = %s", (self.run_id,)
        )
        return found

    def set_snapshot(self, level: str | None, position: str | None) -> None:
        """Notes the snapshot, with the source's position where all finished chunks are equal to it."""
        self.connection.execute(
            "UPDATE converge.run SET snapshot = %s, position = %s WHERE id = %s",
            (level, position, self.run_id),
        )

    def add_chunks(self, chunks: Iterable[tuple[str, int, Range]]) -> None:
        """Enters the chunks of the run before any is copied."""
        with self.connection.cursor().copy(
            "COPY converge.chunk (run_id, source_table, number, low, high) FROM STDIN"
        ) as copy:
            for table, number, part in chunks:
                bounds = (None if bound is None else json.dumps(bound) for bound in (part.low, part.high))
                copy.write_row((self.run_id, table, number, *bounds))

    def chunks(self) -> list[LedgerChunk]:
        """All chunks of the run, done and to do, in the order they were entered."""
        rows = self.connection.execute(
            "SELECT source_table, number, low, high, xid::text, done_at IS NOT NULL, rows, "
            "coalesce(bytes, 0), coalesce(seconds, 0), rejected FROM converge.chunk WHERE run_id = %s "
            "ORDER BY source_table, number",
            (self.run_id,),
        )
        return [
            LedgerChunk(
                table, number, Range(_bound(low), _bound(high)),
                Copied(table, number, *copied) if done else None, xid,
            )
            for table, number, low, high, xid, done, *copied in rows
        ]  # fmt: skip

    def rejects(self) -> list[Reject]:
        """The rows that were left out, by table and chunk."""
        rows = self.connection.execute(
            "SELECT source_table, key, column_name, encode(value, 'hex'), value_bytes, sqlstate, message "
            "FROM converge.reject WHERE run_id = %s ORDER BY source_table, chunk, key",
            (self.run_id,),
        )
        return [Reject(*row) for row in rows]

    def steps(self) -> dict[int, str | None]:
        """The plan's statements that are done, by number, with the reason of those that were refused."""
        rows = self.connection.execute(
            "SELECT number, refused FROM converge.step WHERE run_id = %s ORDER BY number", (self.run_id,)
        )
        return dict(rows.fetchall())


Step = tuple[int, Statement]
"""A statement with its number in the plan."""


def run_steps(connection: psycopg.Connection[Any], run: int, steps: Sequence[Step]) -> dict[int, str]:
    """Runs statements and enters them, all in one transaction; says why optional ones were refused.

    Where none is optional, they are sent together: on a slow link each round trip counts.
    """
    refusals: dict[int, str] = {}
    statements = [statement for _, statement in steps]
    with connection.transaction():
        if any(statement.optional for statement in statements):
            for number, statement in steps:
                if (refused := run_optional(connection, statement)) is not None:
                    refusals[number] = refused
            _enter(connection, run, steps, refusals)
        else:
            # First: a hook may take a role that may not write the ledger, or make the transaction read only.
            _enter(connection, run, steps, refusals)
            # A statement may end in a comment.
            connection.execute("\n;".join(statement.sql for statement in statements).encode())
    return refusals


def _enter(
    connection: psycopg.Connection[Any], run: int, steps: Sequence[Step], refusals: Mapping[int, str]
) -> None:
    connection.execute(
        "INSERT INTO converge.step (run_id, number, phase, object, sql, refused) SELECT %s, * FROM "
        "unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::text[])",
        (
            run,
            [number for number, _ in steps],
            [statement.phase for _, statement in steps],
            [statement.object for _, statement in steps],
            [statement.sql for _, statement in steps],
            [refusals.get(number) for number, _ in steps],
        ),
    )


def writers(connection: psycopg.Connection[Any], run: int) -> dict[str, list[str]]:
    """By source table, the transactions that have written the run's rows: of its chunks, and of repairs.

    Each has written its row of the ledger, too. In a database that was restored from a dump no row has the
    transaction that it had, and others may have the same numbers.
    """
    own = "WHERE run_id = %(run)s AND xid::text = xmin::text"
    query = f"SELECT source_table, xid::text FROM converge.chunk {own}"
    if exists(connection, "converge.repair"):
        query += f" UNION SELECT source_table, xid::text FROM converge.repair {own}"
    found = defaultdict[str, list[str]](list)
    for table, xid in connection.execute(query.encode(), {"run": run}):
        found[table].append(xid)
    return found


def run_optional(connection: psycopg.Connection[Any], statement: Statement) -> str | None:
    """Runs one statement; the reason when the server refuses one that is optional."""
    if not statement.optional:
        connection.execute(statement.sql.encode())
        return None
    try:
        with connection.transaction():
            connection.execute(statement.sql.encode())
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(NOT_THE_STATEMENT):
            raise
        return str(error).strip().splitlines()[0]
    return None


def require_same(plan: Plan, digest: str, changes: Sequence[str] = ()) -> None:
    """Raises BlockedError, with these changes, when the plan is no longer the one that the run began with."""
    if digest != plan.digest:
        raise BlockedError(
            "the source's schema, the maps or the options have changed since the run began",
            code=Code.T011,
            details=changes,
            hint=f"undo the change; or {START_AGAIN}",
        )


def _begin(connection: psycopg.Connection[Any], plan: Plan, evidence: Evidence, clears: bool) -> int:
    statement = (
        "INSERT INTO converge.run (source, target_schema, plan_digest, state, evidence, truncates, targets) "
        "VALUES (%s, %s, %s, 'running', %s::json, %s, %s::jsonb) RETURNING id"
    )
    seen, targets = encoded(plain(evidence)), json.dumps(plan.targets)
    values = (plan.source, plan.schema, plan.digest, seen, clears, targets)
    return int(value(connection, statement, values))


class LastRun(NamedTuple):
    """The last run of a source into a schema."""

    id: int
    plan_digest: str
    state: str


def require_run(connection: psycopg.Connection[Any], source: str, schema: str, number: int | None) -> LastRun:
    """The last run of this source into this schema, or that of this number.

    Raises UsageError where the ledger has none that can be resumed.
    """
    last, hint = None, None
    if exists(connection, "converge.run"):
        last = _last_run(connection, source, schema, number)
        hint = _other_run(connection, source, schema)
    if last is None or last.state == "recovered":
        rolled_back = ": the last one was rolled back" if last else ""
        raise UsageError(
            f"there is no interrupted run to resume in this target{rolled_back}",
            code=Code.T010,
            hint=hint or "converge migrate",
        )
    return last


def _last_run(
    connection: psycopg.Connection[Any], source: str, schema: str, number: int | None
) -> LastRun | None:
    row = connection.execute(
        "SELECT id, plan_digest, state FROM converge.run WHERE source = %s AND target_schema = %s "
        "AND id = coalesce(%s, id) ORDER BY id DESC LIMIT 1",
        (source, schema, number),
    ).fetchone()
    return None if row is None else LastRun(*row)


def _resume(connection: psycopg.Connection[Any], plan: Plan, again: int | None, number: int | None) -> int:
    last = require_run(connection, plan.source, plan.schema, number)
    # One with rejects may be as the attempt has met it: it goes on for them.
    rejects = "SELECT EXISTS (SELECT FROM converge.reject WHERE run_id = %s)"
    if last.state == "finished" and not value(connection, rejects, (last.id,)):
        if last.id == again:
            return last.id
        raise UsageError(
            "there is no interrupted run to resume in this target: the last one is finished", code=Code.T010
        )
    if last.state == "recovering":
        raise BlockedError(
            "the last run has been rolled back in part, and can only be rolled back as a whole",
            code=Code.L052,
            hint="converge recover",
        )
    require_same(plan, last.plan_digest)
    # While it is at work, only a run that had finished has a report (`Ledger.end`).
    connection.execute(
        "UPDATE converge.run SET state = 'running', paused = false, finished_at = NULL, joins = NULL, "
        "report = CASE WHEN state IN ('finished', 'running') THEN report END WHERE id = %s",
        (last.id,),
    )
    return last.id


def _other_run(connection: psycopg.Connection[Any], source: str, schema: str) -> str | None:
    """A hint where the last run did not finish, and is of another source or schema."""
    row = connection.execute(
        "SELECT id, source, target_schema, state FROM converge.run ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None or row[1:3] == (source, schema) or row[3] not in _UNFINISHED:
        return None
    return (
        f"the interrupted run {row[0]} is of {row[1]} into the schema {row[2]}; "
        f"this is {source} into {schema}"
    )


def _bound(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def upgrade(endpoint: Endpoint) -> None:
    """Makes the ledger's tables, or brings older ones to this version's shape by the shipped revisions.

    Raises BlockedError for those of a newer converge.
    """
    with connect(endpoint) as connection:
        if "alembic_version" not in ledger_tables(connection):
            _make(connection)
        if not is_old(connection):
            return
        version, known = ledger_version(connection), ledger_versions()
        if version is not None and version not in known:
            raise BlockedError(
                f"the ledger is of version {version}, and this converge knows versions up to {known[-1]}",
                code=Code.T047,
                hint="use the newer converge",
            )
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from converge.postgres.engine import ALEMBIC, engine

    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    try:
        with ALEMBIC, engine(endpoint).begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        # The server's own word, for those who explain it.
        raise error.orig or error from error


def _make(connection: psycopg.Connection[Any]) -> None:
    """What the revisions make of nothing, without Alembic: loading it takes longer than a small run."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))
        if "alembic_version" in ledger_tables(connection):
            return
        if not value(connection, "SELECT to_regnamespace('converge') IS NOT NULL"):
            # Only then: IF NOT EXISTS asks for the right to create schemas even where there is nothing to do.
            connection.execute("CREATE SCHEMA IF NOT EXISTS converge")
        connection.execute((folder("migrations") / "ledger.sql").read_bytes())
