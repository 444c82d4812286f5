"""Which revisions lie between a database and where it is to go."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, UsageError
from converge.model.revision import Applied, Revision, Standing
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder
from converge.revisions.validated import validated


def ahead(folder: Folder, at: Applied, revision: str) -> tuple[Revision, ...]:
    """Those that run on the way up to this revision, in their order. Raises ConvergeError."""
    if revision == "head":
        folder.require_head()
    with users_own(revision, _no_way):
        steps = folder.script._upgrade_revs(revision, at.heads)  # type: ignore[arg-type]
    return tuple(folder.revision(step.revision.revision) for step in steps)


def back(folder: Folder, at: Applied, revision: str) -> tuple[Revision, ...]:
    """Those that are reverted until this revision, the last one first. Raises ConvergeError."""
    with users_own(revision, _no_way):
        steps = folder.script._downgrade_revs(revision, at.heads)  # type: ignore[arg-type]
    return tuple(folder.revision(step.revision.revision) for step in steps)


def standings(folder: Folder, at: Applied) -> tuple[Standing, ...]:
    """All revisions of the folder and of the database, the first one first."""
    known = {one.id for one in folder.revisions}
    unknown = [head for head in at.heads if head not in known]
    done = _applied(folder, [head for head in at.heads if head in known])
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


def _applied(folder: Folder, heads: list[str]) -> set[str]:
    """The heads with all that they follow or depend on."""
    if not heads:
        return set()
    return {one.revision for one in folder.script.iterate_revisions(tuple(heads), "base", implicit_base=True)}


def _no_way(what: str, why: str) -> ConvergeError:
    return UsageError(f"{what}: {why}", code=Code.A005, hint="converge migrations show lists them")
