"""The steps of the user's own revisions: upgrade, drift, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from converge.codes import Code
from converge.errors import TargetError
from converge.model.definitions import Differs
from converge.model.event import silent
from converge.model.matrix import Content
from converge.model.revision import Revision
from converge.pipeline import drift as drifting
from converge.pipeline import migrations
from converge.pipeline.baseline import definitions
from converge.pipeline.matrix.equal import require_equal
from converge.pipeline.matrix.wish import Site
from converge.planner.difference import compared
from converge.postgres.connect import connect
from converge.postgres.images import digests, read_images
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.run.verify import verify

_SHOWN = 20
_BASE = "base"


def upgrade(site: Site) -> str:
    """All that is pending. What may lose rows may do so here: the database is thrown away."""
    folder = _folder(site)
    everything = [one.id for one in folder.revisions]
    site.version_table = applied(folder, site.target).table
    site.before = definitions(site.target, site.wish.options.schema, site.version_table[1])
    done = migrations.run(folder, site.target, "head", everything, silent)
    site.stamped, site.ran = done.stamped, done.ran
    site.revised = _contents(site)
    words = [f"baseline {one} is here" for one in done.stamped]
    return ", ".join([*words, f"{', '.join(done.ran) or 'nothing'} run"])


def drift(site: Site) -> str:
    """Whether the load and the revisions together made what the revisions alone make."""
    differs = drifting.drift(_folder(site), site.target, site.wish.options.schema, silent)
    _require_none(differs, Code.X028, "are not what the revisions make of an empty database")
    return "the schema is what the revisions make"


def downgrade(site: Site) -> str:
    """Back to what the load made: the catalog, and where the revisions promise it the rows."""
    folder = _folder(site)
    ran = [folder.revision(one) for one in site.ran]
    if none := _promising(ran, "nothing"):
        return f"not tried: {none[0].id} promises to restore nothing"
    if not ran:
        return "nothing was run"
    everything = [one.id for one in folder.revisions]
    back_to = next(iter(site.stamped), _BASE)
    migrations.revert(folder, site.target, back_to, everything, silent)
    after = definitions(site.target, site.wish.options.schema, site.version_table[1])
    assert site.before is not None
    _require_none(compared(site.before, after), Code.X029, "are not what they were before the upgrade")
    if _promising(ran, "catalog"):
        return "the catalog is as it was before"
    require_equal(verify(site.wish.source, site.target, site.wish.options, "full", silent))
    return "catalog and rows are as they were before"


def _contents(site: Site) -> dict[str, Content]:
    """Of all tables as they are now, by the texts of their values."""
    with closing(connect(site.target)) as connection:
        found = digests(connection, read_images(connection, *site.version_table))
    return {name: Content(rows, f"{digest:x}") for name, (rows, digest) in found.items()}


def _folder(site: Site) -> Folder:
    """A new view of the files for each step, as a command has it."""
    return Folder.open(site.wish.alembic)


def _promising(revisions: Sequence[Revision], what: str) -> list[Revision]:
    return [one for one in revisions if one.restores == what]


def _require_none(differs: Sequence[Differs], code: Code, words: str) -> None:
    """Raises TargetError that names the objects, with both definitions."""
    if not differs:
        return
    details = []
    for one in differs[:_SHOWN]:
        details += [one.object, f"  wanted  {one.before or 'nothing'}", f"  found   {one.after or 'nothing'}"]
    names = ", ".join(one.object for one in differs[:_SHOWN])
    raise TargetError(f"{len(differs):,} objects {words}: {names}", code=code, details=details)
