"""A revision from the user's models, by Alembic's own comparison of env.py's metadata with the target."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import RevisionContext
from alembic.runtime.migration import MigrationContext

from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.revision import Revision
from converge.revisions.environment import looked
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder, writing
from converge.revisions.stdout import on_stderr

_IMPORT = "import sqlalchemy as sa"


def from_models(folder: Folder, target: Endpoint, name: str) -> Revision | None:
    """Writes the next revision after `env.py`'s `target_metadata`; None where there is no difference.

    Raises UsageError without metadata, and ConvergeError.
    """
    arguments: dict[str, Any] = {
        "message": name,
        "sql": False,
        "head": "head",
        "splice": False,
        "branch_label": None,
        "version_path": None,
        "rev_id": None,
        "depends_on": None,
    }
    revisions = RevisionContext(folder.config(), folder.script, arguments)

    def compare(context: MigrationContext) -> None:
        if context.opts.get("target_metadata") is None:
            raise UsageError(
                f"{folder.location / 'env.py'} has no target_metadata: it names no models",
                code=Code.A012,
                hint="from myapp.models import Base\ntarget_metadata = Base.metadata",
            )
        revisions.run_autogenerate(context.get_current_heads(), context)

    looked(folder, target, compare)
    script = revisions.generated_revisions[-1]
    operations = [script.upgrade_ops, script.downgrade_ops]
    if all(one is None or one.is_empty() for one in operations):
        return None
    if _IMPORT not in (folder.location / "script.py.mako").read_text("utf-8"):
        script.imports.add(_IMPORT)
    with writing(folder.location), users_own(str(folder.location), _failed), on_stderr():
        written = [one for one in revisions.generate_scripts() if one is not None]
    return Folder(folder.ini, folder.toml, folder.bare).revision(written[0].revision)


def _failed(what: str, why: str) -> ConvergeError:
    return ConvergeError(
        f"{what}: {why}", code=Code.A015, hint="repair script.py.mako, or what it runs afterwards"
    )
