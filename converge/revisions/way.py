"""Which revisions lie between a database and where it is to go."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.revision import Applied, Direction, Revision, Standing
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder
from converge.revisions.validated import validated


def todo(folder: Folder, at: Applied, revision: str, direction: Direction) -> tuple[Revision, ...]:
    """Those that run on the way up to this revision, or are reverted until it: in their order.

    Raises ConvergeError.
    """
    if direction == "up" and revision == "head":
        folder.require_head()
    if direction == "down" and not at.heads:
        return ()
    script = folder.script
    steps_to = script._upgrade_revs if direction == "up" else script._downgrade_revs
    with users_own(Code.A005, revision):
        steps = steps_to(revision, at.heads)  # type: ignore[arg-type]
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
