"""`converge recover`: restores everything that an interrupted run has set aside."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, Interrupted, TargetError, after
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink, phase
from converge.model.existing import Existing, differences
from converge.model.finding import Finding
from converge.model.recovery import Approve, LoadRun, Part, Recovery, Removal
from converge.model.words import said
from converge.postgres.connect import connect
from converge.postgres.existing import read_existing
from converge.postgres.history import last_load, last_run, loaded_rows, unfinished_loads
from converge.postgres.ledger import Ledger, upgrade
from converge.postgres.lock import BUILDER, end_leftovers, lock, require_free
from converge.postgres.privileges import lacking, lacking_ledger
from converge.postgres.target import read_target
from converge.postgres.undo import Undo
from converge.run.blockers import require_privileges
from converge.run.connections import explained

_SHOWN = 50
_AGAIN = "converge recover"
# Restore in the default tablespace: objects with a tablespace of their own are never set aside.
_SETTINGS = {"application_name": BUILDER, "maintenance_work_mem": "256MB", "default_tablespace": ""}


def recover(target: Endpoint, schema: str | None, emit: Sink, approve: Approve | None = None) -> Recovery:
    """Rolls back the last run in load mode into this schema that did not finish.

    Without a schema that of the last run is meant. `approve` is asked before loaded rows are removed.

    May be stopped at any point and called again. Raises BlockedError when another run is at work or others
    have written to the tables, and TargetError when the catalog is not as it was.
    """
    with _kept(), explained(target, target), connect(target, **_SETTINGS) as connection:
        facts = read_target(connection, schema or "public")
        if facts.ledger is not None:
            require_privileges(lacking_ledger(facts))
        schema = schema or (last_run(connection) or {}).get("target_schema", "public")
        run = last_load(connection, schema)
        if run is not None and run.unfinished:
            require_privileges(lacking(read_target(connection, schema)))
            if approve is not None:
                _ask(connection, target, run, approve)
            upgrade(target)
            lock(connection, "recover")
            end_leftovers(connection)
            # Whoever had the lock until now may have ended the run.
            run = last_load(connection, schema)
        if run is None or not run.unfinished:
            return _nothing(connection, target, schema)
        return _roll_back(connection, target, schema, run, emit)


def _ask(connection: psycopg.Connection[Any], target: Endpoint, run: LoadRun, approve: Approve) -> None:
    """Names the tables with the rows that the run has loaded."""
    require_free(connection)
    rows = loaded_rows(connection, run.id)
    tables = ((run.targets[source], count) for source, count in rows.items() if source in run.targets)
    if held := tuple(tables):
        approve(Removal("remove rows from", str(target), held))


def _roll_back(
    connection: psycopg.Connection[Any], target: Endpoint, schema: str, run: LoadRun, emit: Sink
) -> Recovery:
    undo = Undo(connection, schema, run)
    undo.require_alone()
    ledger = Ledger(connection, run.id)
    ledger.set_state("recovering")
    put_back: Counter[Part] = Counter()
    with phase(None, emit, "recover"):
        for done in undo.steps():
            if done.part is not None and done.count:
                put_back[done.part] += done.count
            emit(Advanced("recover", done.object))
    after = read_existing(connection, schema)
    _require_same(run, after, undo.refused)
    ledger.set_state("recovered")
    findings = tuple(_lost_rows(run, after))
    return Recovery(str(target), schema, run.id, "load", dict(put_back), len(after.shape), (), findings)


@contextmanager
def _kept() -> Iterator[None]:
    """Whatever ends it, the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("stopped; what is back is kept", code=Code.R130, hint=_AGAIN) from None
    except TargetError as error:
        if _AGAIN not in (error.hint or ""):
            error.hint = after(error.hint, _AGAIN)
        raise


def require_rolled_back(connection: psycopg.Connection[Any], schema: str) -> None:
    """Raises BlockedError while a run has set parts of the schema aside: a new one would not know of them."""
    run = last_load(connection, schema)
    if run is not None and run.unfinished:
        raise BlockedError(
            f"run {run.id} into the schema {schema} did not finish, and has set parts of it aside",
            code=Code.L052,
            hint="converge migrate --mode load --resume goes on with it, converge recover rolls it back",
        )


def shape_findings(before: Mapping[str, str], after: Mapping[str, str]) -> list[Finding]:
    """What is not as it was at the end of a run in load mode: one finding for each object."""
    hint = "look at what else has changed the target's schema, and restore it"
    return [
        Finding(Code.L050, "lossy", "target", f"the catalog is not as before: {line}", hint)
        for line in differences(before, after)
    ]


def _nothing(connection: psycopg.Connection[Any], target: Endpoint, schema: str) -> Recovery:
    """No run has set anything aside here; one that makes its tables may have left some."""
    elsewhere = tuple(
        Finding(
            Code.L052, "note", other, f"run {run} is not finished", f"{_AGAIN} --schema {shlex.quote(other)}"
        )
        for run, other in unfinished_loads(connection)
    )
    last = last_run(connection, ("", schema))
    if last is None or last["state"] in ("finished", "recovered"):
        return Recovery(str(target), schema, None, None, {}, 0, (), elsewhere)
    made = set(last["targets"].values())
    left = tuple(table for table in read_existing(connection, schema).by_name if table in made)
    return Recovery(str(target), schema, last["id"], "create", {}, 0, left, elsewhere)


def _require_same(run: LoadRun, after: Existing, refused: Iterable[str]) -> None:
    others = differences(run.existing.shape, after.shape)
    if others:
        raise TargetError(
            said(len(others), f"are not as before run {run.id}", "object"),
            code=Code.L051,
            details=[*refused, *others][:_SHOWN],
            hint=f"correct them, then {_AGAIN}; or, when others meant to change them:\n"
            f"UPDATE converge.run SET state = 'recovered' WHERE id = {run.id};",
        )


def _lost_rows(run: LoadRun, after: Existing) -> Iterator[Finding]:
    """Tables with fewer rows than before: what --truncate removed is nowhere."""
    for table in run.tables:
        now = after.by_name[table.name].rows
        if now < table.rows:
            why = (
                "--truncate has removed them for good" if run.truncates else "others have removed them since"
            )
            message = f"had {table.row_words} and has {now:,}: {why}"
            yield Finding(Code.L053, "lossy", table.name, message, "restore them from a backup")
