"""`converge migrations run|revert|show`: the user's revisions, behind the gate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from converge.codes import Code
from converge.errors import BlockedError, first_of
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.revision import Action, Applied, Direction, Migrated, Revision
from converge.postgres.connect import connect
from converge.postgres.ledger import lock
from converge.postgres.made import revisions_recorded
from converge.revisions.drift import is_here
from converge.revisions.environment import Spared, applied, downgrade, sql_of, stamp, upgrade
from converge.revisions.folder import Folder
from converge.revisions.gate.judge import judged
from converge.revisions.validated import covers, validated
from converge.revisions.way import ahead, back, require_known, standings
from converge.run.connections import explained

_SHOWN = 30
_TABLES = 5


def run(folder: Folder, target: Endpoint, revision: str, accepted: Collection[str], emit: Sink) -> Migrated:
    """Runs what is pending up to this revision; a baseline that the database is already is only noted.

    Raises BlockedError before anything is run: for what can lose rows and was neither validated nor accepted.
    """
    names = {folder.revision(name).id for name in accepted}
    with _alone(folder, target) as at:
        todo = ahead(folder, at, revision)
        stamped: tuple[str, ...] = ()
        ran: tuple[str, ...] = ()
        if todo and not at.heads and is_here(folder, target, todo[0], at):
            stamped, todo = (todo[0].id,), todo[1:]
        spared = _require_harmless(folder, target, todo, "up", names, at)
        for one in stamped:
            emit(Said(f"stamp {one}: the database is so already"))
            stamp(folder, target, one)
        if todo:
            ran = upgrade(folder, target, revision, emit, spared)
    return _migrated("run", folder, target, ran, stamped)


def revert(
    folder: Folder, target: Endpoint, revision: str, accepted: Collection[str], emit: Sink
) -> Migrated:
    """Takes revisions back until this one, which stays; `-N` are the last N. Raises BlockedError as `run`."""
    names = {folder.revision(name).id for name in accepted}
    with _alone(folder, target) as at:
        todo = back(folder, at, revision) if at.heads else ()
        spared = _require_harmless(folder, target, todo, "down", names, at)
        ran = downgrade(folder, target, revision, emit, spared) if todo else ()
    return _migrated("revert", folder, target, ran)


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
        if direction == "up":
            todo = ahead(folder, at, revision)
            return sql_of(folder, start, todo[-1].id) if todo else ""
        todo = back(folder, at, revision) if at.heads else ()
        return sql_of(folder, start, next(iter(todo[-1].down), "base"), down=True) if todo else ""


@contextmanager
def _alone(folder: Folder, target: Endpoint) -> Iterator[Applied]:
    """Where the database stands, while no other converge writes to it. Raises BlockedError."""
    with explained(target, target), connect(target) as connection:
        lock(connection)
        at = applied(folder, target)
        require_known(folder, at)
        with revisions_recorded(connection):
            yield at


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
    todo: Sequence[Revision],
    direction: Direction,
    accepted: Collection[str],
    at: Applied,
) -> Spared:
    """The gate. All revisions are judged before the first is run.

    Returns the tables that must still be without rows when a revision runs. Raises BlockedError.
    """
    found = judged(folder, target, todo, direction, at, accepted)
    records = {one.id: validated(folder, one, direction) for one in todo}
    at_stake = list(found.rows or map(str, found.tables))
    refused = [
        danger
        for danger in found.dangers
        if not ((record := records[danger.revision]) and covers(record, direction, at_stake))
    ]
    if not (found.rows and refused):
        return {danger.revision: found.tables for danger in refused}
    names = list(dict.fromkeys(one.revision for one in refused))
    action = "run" if direction == "up" else "revert"
    said = [
        f"{one.revision} {one.statement}: {one.reason}"
        + ("; validated where no row was at stake" if records[one.revision] else "")
        for one in refused
    ]
    filled = sorted(found.rows.items(), key=lambda table: -table[1])
    has = [
        f"{table} has {rows:,} row{'s' if rows > 1 else ''}" if rows else f"{table} was used"
        for table, rows in filled
    ]
    raise BlockedError(
        f"{', '.join(names)} may lose rows of {target}; nothing was run",
        code=Code.A009,
        details=(*first_of(said, _SHOWN), ", ".join(first_of(has, _TABLES))),
        hint=f"converge migrations validate {names[0]}\n"
        + (
            "which tries it on a copy"
            if direction == "up"
            else "on a database where it is pending, which tries its downgrade, too"
        )
        + f"; or without that: converge migrations {action} "
        + " ".join(f"--accept-data-loss {name}" for name in names),
    )
