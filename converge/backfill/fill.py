"""Fills a column from another database, and says what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from converge.backfill.declaration import Backfill
from converge.backfill.query import ask
from converge.backfill.resolve import ROWS, resolve
from converge.backfill.table import find_place, lacking_privileges, require_fit
from converge.backfill.write import write
from converge.codes import Code
from converge.errors import Interrupted, after
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.words import counted
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.postgres.ledger import upgrade
from converge.postgres.lock import lock
from converge.postgres.privileges import lacking_ledger
from converge.postgres.target import read_target
from converge.report.words import one_line, visible
from converge.run.blockers import require_privileges
from converge.run.connections import explained

_LOCK_SECONDS = 10
"""A backend whose client was killed notices within two seconds, and then lets go of its lock."""
_AGAIN = "the same command again: rows that are done stay done, the others are tried"
_SAMPLES = 5
REASONS = {
    "nothing to match by": "the row's own column of the match is NULL or empty",
    "no match": "the query has no row for it",
    "ambiguous": "the query has rows with different values for it",
    "no value": "the query's row has a value that is NULL or empty",
    "not of the type": "the column's type refuses the value, or would change it",
    "other value": "the row has another value already, and the map does not overwrite",
    "shared": "two rows would get the same value",
    "taken": "another row has the value already",
    "changed": "the row was changed while the backfill ran, or a trigger kept the value out",
    "refused": "the server refused the update: a constraint or a trigger",
}
"""Why a row fails; nothing is ever guessed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that failed, for people."""

    key: str
    shown: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The rows that failed for one of `REASONS`; `samples` are the first of them."""

    reason: str
    rows: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of a backfill, or would come of it."""

    backfill: str
    target: str
    """schema.table.column"""
    database: str
    """The address that was asked, without its password."""
    attempt: str | None
    """As the audit names it; None when nothing was written."""
    found: int
    """Rows of the query."""
    kept: int
    """Rows that were left alone: they have a value that is right, or that the map does not question."""
    filled: int
    failures: tuple[Failure, ...]

    @property
    def failed(self) -> int:
        return sum(failure.rows for failure in self.failures)

    @property
    def exit_code(self) -> int:
        return 1 if self.failures else 0


def fill(
    target: Endpoint,
    database: Endpoint,
    schema: str,
    backfill: Backfill,
    emit: Sink,
    *,
    dry_run: bool,
    again: bool = False,
) -> Filled:
    """Fills a column; `again` tries only rows whose last attempt has failed, `dry_run` writes nothing at all.

    Raises BlockedError before anything is written, SourceError for the other database, and TargetError;
    what the audit says is then true and complete.
    """
    attempt = None if dry_run else str(uuid.uuid4())
    settings = {"client_connection_check_interval": "2s"}
    with explained(target, target), connect(target, synchronous_commit="on", **settings) as connection:
        # Triggers and types of the application find what they name.
        connection.execute("RESET search_path")
        found = read_target(connection, schema)
        place = find_place(connection, schema, backfill)
        require_privileges([*([] if dry_run else lacking_ledger(found)), *lacking_privileges(found, place)])
        require_fit(connection, place)
        if attempt is not None:
            lock(connection, "backfill", seconds=_LOCK_SECONDS)
        with connection.transaction(force_rollback=True) if dry_run else nullcontext():
            with phase(None, emit, f"match {backfill.name}"), ask(database, backfill) as rows:
                count, kept = resolve(connection, place, rows, again=again)
            if attempt is not None:
                # Only now: a query may also fail at its last row.
                upgrade(target)
                with _told_to_repeat(target):
                    write(connection, place, attempt, emit)
            filled, failures = _outcome(connection)
    name = f"{place.name}.{backfill.column}"
    return Filled(backfill.name, name, str(database), attempt, count, kept, filled, failures)


@contextmanager
def _told_to_repeat(target: Endpoint) -> Iterator[None]:
    """What was entered before a loss or a stop is done, whatever came after."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped; what is in the audit is done", code=Code.R130, hint=_AGAIN) from None
    except psycopg.Error as error:
        told = explain(error, target)
        told.hint = after(told.hint, _AGAIN)
        raise told from error


def _outcome(connection: psycopg.Connection[Any]) -> tuple[int, tuple[Failure, ...]]:
    """The rows that were filled, or can be; and the failures by reason."""
    by_reason = f"SELECT coalesce(reason, ''), count(*) FROM {ROWS} WHERE NOT settled GROUP BY 1"
    first = f"SELECT key::text, shown, error FROM {ROWS} WHERE reason = %s ORDER BY number LIMIT {_SAMPLES}"
    counts = dict(connection.execute(by_reason.encode()).fetchall())
    failures = (
        Failure(
            reason,
            counts[reason],
            tuple(Sample(*row) for row in connection.execute(first.encode(), (reason,))),
        )
        for reason in REASONS
        if reason in counts
    )
    return counts.get("", 0), tuple(failures)


def filled_text(results: Sequence[Filled]) -> str:
    """Each backfill with its counts, and its failures by reason."""
    return visible("\n".join(line for one in results for line in _lines(one)))


def filled_json(results: Sequence[Filled], command: str, target: Endpoint, exit_code: int) -> dict[str, Any]:
    """The --json document of `backfill` and `audit retry`."""
    each = [asdict(one) | {"failed": one.failed, "dry_run": one.attempt is None} for one in results]
    said = {"target": {"url": str(target)}, "backfills": each, "findings": []}
    return head(command, "failed" if exit_code else "resolved", exit_code) | said


def _lines(one: Filled) -> list[str]:
    tried = one.attempt is not None
    lines = [
        f"backfill  {one_line(one.backfill)}: {one_line(one.target)} from {one.database}"
        + ("" if tried else " (dry run: nothing was written)"),
        f"  found   {counted(one.found, 'row')} there",
        f"  kept    {counted(one.kept, 'row')} with a value already",
        f"  {'filled ' if tried else 'to fill'} {counted(one.filled, 'row')}",
        f"  {'failed ' if tried else 'to fail'} {counted(one.failed, 'row')}",
    ]
    for failure in one.failures:
        lines.append(f"    {failure.reason}: {counted(failure.rows, 'row')} ({REASONS[failure.reason]})")
        for sample in failure.samples:
            shown = f" {sample.shown}" if sample.shown is not None else ""
            lines.append(one_line(f"      row {sample.key}{shown}: {sample.error}"))
        if failure.rows > len(failure.samples):
            lines.append(f"      … {failure.rows - len(failure.samples):,} more")
    if one.failures and tried:
        lines.append(f"next: converge audit show --status failed --backfill {one_line(one.backfill)}")
    return lines
