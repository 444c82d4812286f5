"""`converge migrations run|revert|show`: the user's revisions, behind the gate."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from converge.codes import Code
from converge.errors import BlockedError, first_of, listed
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.revision import Action, Applied, Direction, Migrated, Revision, Standing
from converge.postgres.connect import connect
from converge.postgres.lock import lock
from converge.postgres.made import revisions_recorded
from converge.revisions.drift import is_here
from converge.revisions.environment import Spared, alembic_steps, applied, run_steps, sql_of
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder
from converge.revisions.gate.judge import judged
from converge.revisions.validated import Record, covers, untested_values, validated
from converge.run.connections import explained

_SHOWN = 30
_TABLES = 5


def move(
    folder: Folder,
    target: Endpoint,
    revision: str,
    direction: Direction,
    accepted: Collection[str],
    emit: Sink,
) -> Migrated:
    """Runs what is pending up to this revision; a baseline that the database already matches is only stamped.

    Or reverts revisions down to this one, which stays; `-N` are the last N. Raises BlockedError before
    anything is run, for what can lose rows and was neither validated nor accepted.
    """
    names = {folder.revision(name).id for name in accepted}
    stamped: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    # While no other converge writes to the database.
    with explained(target, target), connect(target) as connection:
        lock(connection, "migrations")
        at = applied(folder, target)
        require_known(folder, at)
        with revisions_recorded(connection):
            steps = todo(folder, at, revision, direction)
            if direction == "up" and steps and not at.heads and is_here(folder, target, steps[0], at):
                stamped, steps = (steps[0].id,), steps[1:]
            spared = _require_harmless(folder, target, steps, direction, names, at)
            for one in stamped:
                emit(Said(f"stamp {one}: the schema is there already"))
                run_steps(folder, target, one, "stamp")
            for step in steps if direction == "down" else ():
                if step.restores == "nothing":
                    why = "its downgrade promises nothing, so the schema may stay as it is"
                    emit(Said(f"warning: revert {step.id}: {why}"))
            if steps:
                ran = run_steps(folder, target, revision, direction, emit, spared, at)
    return _migrated("run" if direction == "up" else "revert", folder, target, ran, stamped)


def show(folder: Folder, target: Endpoint) -> Migrated:
    """Where each revision stands. Writes nothing."""
    with explained(target, target):
        return _migrated("show", folder, target)


def script(folder: Folder, target: Endpoint, revision: str, direction: Direction) -> str:
    """The SQL that `run` or `revert` would execute; empty when there is nothing to do. Writes nothing."""
    with explained(target, target):
        at = applied(folder, target)
        require_known(folder, at)
        if len(at.heads) > 1:
            raise BlockedError(
                f"the database is at several heads: {', '.join(at.heads)}",
                code=Code.A003,
                hint="alembic merge, and run the revision that joins them",
            )
        start = next(iter(at.heads), "base")
        steps = todo(folder, at, revision, direction)
        if not steps:
            return ""
        end = steps[-1].id if direction == "up" else next(iter(steps[-1].down), "base")
        return sql_of(folder, start, end, direction)


def todo(folder: Folder, at: Applied, revision: str, direction: Direction) -> tuple[Revision, ...]:
    """Those that run on the way up to this revision, or are reverted until it: in their order.

    Raises ConvergeError.
    """
    if direction == "up" and revision == "head":
        folder.require_head()
    if direction == "down" and not at.heads:
        return ()
    with users_own(Code.A005, revision):
        steps = alembic_steps(folder, direction)(revision, at.heads)
    return tuple(folder.revision(step.revision.revision) for step in steps)


def standings(folder: Folder, at: Applied) -> tuple[Standing, ...]:
    """All revisions of the folder and of the database, the first one first."""
    known = {one.id for one in folder.revisions}
    unknown = [head for head in at.heads if head not in known]
    heads = tuple(head for head in at.heads if head in known)
    # The heads with all that they follow or depend on; without a head that would be all.
    steps = folder.script.iterate_revisions(heads, "base", implicit_base=True) if heads else ()
    done = {one.revision for one in steps}
    mine = tuple(
        Standing(
            one.id,
            one.name,
            "applied" if one.id in done else "pending",
            one.id in folder.heads,
            tuple(way for way in ("up", "down") if validated(folder, one, way) is not None),
        )
        for one in folder.revisions
    )
    return (*mine, *(Standing(head, "", "unknown") for head in unknown))


def require_known(folder: Folder, at: Applied) -> None:
    """Raises BlockedError when the database is at a revision that the folder lacks."""
    known = {one.id for one in folder.revisions}
    if lacking := [head for head in at.heads if head not in known]:
        raise BlockedError(
            f"the database is at {', '.join(lacking)}, and {folder.location} has no such revision",
            code=Code.A013,
            hint="look for it in another branch of the repository; --alembic DIR names another folder",
        )


def _migrated(
    action: Action,
    folder: Folder,
    target: Endpoint,
    ran: tuple[str, ...] = (),
    stamped: tuple[str, ...] = (),
) -> Migrated:
    at = applied(folder, target)
    table = ".".join(filter(None, at.table))
    return Migrated(action, str(target), str(folder.location), table, standings(folder, at), ran, stamped)


def _require_harmless(
    folder: Folder,
    target: Endpoint,
    steps: Sequence[Revision],
    direction: Direction,
    accepted: Collection[str],
    at: Applied,
) -> Spared:
    """The gate. All revisions are judged before the first is run.

    Returns the tables that must still be without rows when a revision runs. Raises BlockedError.
    """
    found = judged(folder, target, steps, direction, at, accepted)
    at_stake = list(found.rows or map(str, found.tables))
    records = {one.id: validated(folder, one, direction) for one in steps}
    passed = {id_ for id_, record in records.items() if record and covers(record, direction, at_stake)}
    refused = [danger for danger in found.dangers if danger.revision not in passed]
    if not (found.rows and refused):
        return {danger.revision: found.tables for danger in refused}
    names = list(dict.fromkeys(one.revision for one in refused))
    said = [
        f"{one.revision} {one.statement}: {one.reason}{_untried(records[one.revision], direction, at_stake)}"
        for one in refused
    ]
    filled = sorted(found.rows.items(), key=lambda table: -table[1])
    has = [
        f"{table} has {rows:,} row{'s' if rows > 1 else ''}" if rows else f"{table} was used"
        for table, rows in filled
    ]
    action, trial = (
        ("run", "which tries it on a copy")
        if direction == "up"
        else ("revert", "on a database where it is pending, which tries its downgrade, too")
    )
    accept = f"converge migrations {action} {' '.join(f'--accept-data-loss {name}' for name in names)}"
    tried = (record for id_, record in records.items() if id_ in names and record)
    if not any(untested_values(record, direction, at_stake) for record in tried):
        accept = f"converge migrations validate {names[0]}\n{trial}; or without that: {accept}"
    raise BlockedError(
        f"{', '.join(names)} may lose rows of {target}; nothing was run",
        code=Code.A009,
        details=(*first_of(said, _SHOWN), listed(has, _TABLES)),
        hint=accept,
    )


def _untried(record: Record | None, direction: Direction, at_stake: Sequence[str]) -> str:
    """Why the record of a trial does not do."""
    if record is None:
        return ""
    if tables := untested_values(record, direction, at_stake):
        return f"; {listed(tables, _TABLES)} may hold values that validation did not test"
    return "; validated where no row was at stake"
