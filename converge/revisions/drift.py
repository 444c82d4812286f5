"""Whether a database is what its revisions make: everything in its schema is compared, by object."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from converge.codes import Code
from converge.errors import BlockedError, TargetError, UsageError, first_of, listed
from converge.model.definitions import Definitions, Differs
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.image import Image
from converge.model.revision import Applied, Checked, Revision
from converge.planner.difference import compared
from converge.postgres.affected import read_images
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect
from converge.postgres.shadow import shadow
from converge.revisions.environment import applied, run_steps
from converge.revisions.folder import Folder

_SHOWN = 20


def definitions(place: Endpoint, schema: str, *without: str) -> Definitions:
    """The schema, but for the version table and others. Raises TargetError."""
    with closing(connect(place)) as connection:
        return read_definitions(connection, schema, without=without)


def drift(folder: Folder, endpoint: Endpoint, schema: str | None, emit: Sink) -> Checked:
    """What the revisions that are applied would make, beside what is there. Raises ConvergeError.

    They are run on an empty temporary database; this one is only read. Without a schema it is that of the
    baseline, or else of the version table.
    """
    at = applied(folder, endpoint)
    schema = schema or folder.schema or at.table[0]
    with shadow(endpoint) as place:
        for head in at.heads:
            run_steps(folder, place, head, "up", emit)
        made = definitions(place, schema, at.table[1])
    here = definitions(endpoint, schema, at.table[1])
    if at.heads and made.is_empty and here.is_empty:
        raise UsageError(
            f"schema {schema} is empty, both in {endpoint} and in what the applied revisions create",
            code=Code.A050,
            hint=another_schema(endpoint, at) or "pass --schema",
        )
    return Checked(str(endpoint), str(folder.location), schema, compared(made, here))


def another_schema(endpoint: Endpoint, at: Applied, images: Sequence[Image] = ()) -> str:
    """A hint that names the schemas which have tables, in the database or among these; empty without one."""
    with closing(connect(endpoint)) as connection:
        images = (*images, *read_images(connection, *at.table))
    names = sorted({image.schema for image in images})
    if len(names) > 1:
        return f"pass --schema: tables exist in {listed(names, _SHOWN)}"
    return f"--schema {names[0]}" if names else ""


def standing(
    folder: Folder, endpoint: Endpoint, schema: str, version_table: str, emit: Sink
) -> tuple[str | None, tuple[Differs, ...]]:
    """The first revision that makes exactly this schema; None with what the nearest makes otherwise."""
    now = definitions(endpoint, schema, version_table)
    nearest: tuple[Differs, ...] | None = None
    with shadow(endpoint) as place:
        for revision in folder.revisions:
            run_steps(folder, place, revision.id, "up", emit)
            left = compared(definitions(place, schema, version_table), now)
            if not left:
                return revision.id, ()
            if nearest is None or len(left) < len(nearest):
                nearest = left
    return None, nearest or ()


def is_here(folder: Folder, target: Endpoint, revision: Revision, at: Applied) -> bool:
    """Whether the schema is what this baseline makes; no schema without tables is.

    Raises BlockedError when it has other tables, which would be in the way.
    """
    if not revision.baseline:
        return False
    schema, table = revision.schema or at.table[0], at.table[1]
    here = definitions(target, schema, table)
    if not here.tables or here.digest == revision.baseline:
        return bool(here.tables)
    # The texts of views and the like differ between servers: the baseline is run beside it, and compared.
    try:
        with shadow(target) as place:
            run_steps(folder, place, revision.id, "up")
            made = definitions(place, schema, table)
        differs = [f"{one.object} {one.words}" for one in compared(made, here)]
    except TargetError as error:
        if error.code != Code.T043:
            raise
        differs = [f"table {schema}.{name}" for name in here.tables]
    if not differs:
        return True
    raise BlockedError(
        f"{target} has tables already, and they are not what the baseline {revision.id} makes",
        code=Code.A010,
        details=first_of(differs, _SHOWN),
        hint=f"run it on an empty database, or write the difference as a revision; when all is well as it "
        f"is: alembic stamp {revision.id}",
    )
