"""Whether a database is what its revisions make: everything that DDL can make is compared, by object."""

from __future__ import annotations

from converge.model.definitions import Differs
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.pipeline.baseline import definitions
from converge.planner.difference import compared
from converge.postgres.shadow import shadow
from converge.revisions.environment import applied, upgrade
from converge.revisions.folder import Folder


def drift(folder: Folder, endpoint: Endpoint, schema: str, emit: Sink) -> tuple[Differs, ...]:
    """What the revisions that are applied would make, beside what is there. Raises ConvergeError.

    They are run on an empty temporary database; this one is only read.
    """
    at = applied(folder, endpoint)
    with shadow(endpoint) as place:
        for head in at.heads:
            upgrade(folder, place, head, emit)
        made = definitions(place, schema, at.table[1])
    return compared(made, definitions(endpoint, schema, at.table[1]))


def standing(
    folder: Folder, endpoint: Endpoint, schema: str, version_table: str, emit: Sink
) -> tuple[str | None, tuple[Differs, ...]]:
    """The first revision that makes exactly this schema; None with what the nearest makes otherwise."""
    now = definitions(endpoint, schema, version_table)
    nearest: tuple[Differs, ...] | None = None
    with shadow(endpoint) as place:
        for revision in folder.revisions:
            upgrade(folder, place, revision.id, emit)
            left = compared(definitions(place, schema, version_table), now)
            if not left:
                return revision.id, ()
            if nearest is None or len(left) < len(nearest):
                nearest = left
    return None, nearest or ()
