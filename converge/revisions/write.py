"""Writes revisions: statements as Python that says just them, or what Alembic itself makes of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from alembic.autogenerate import RevisionContext
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id

from converge.codes import Code
from converge.errors import UsageError
from converge.model.definitions import Step
from converge.model.endpoint import Endpoint
from converge.model.revision import Revision
from converge.revisions.environment import looked
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder, literal, writing

_PARAMETER = re.compile(r"(?<!:):(?!:)|\x5c:")
"""What a text of SQLAlchemy may read as a parameter, or as a colon that begins none; `::` is neither."""
_IMPORT = "import sqlalchemy as sa"


def write(
    folder: Folder, name: str, up: Sequence[Step], down: Sequence[Step], says: Mapping[str, str]
) -> Revision:
    """Writes a revision after the folder's head, as its templates say. `says` is what it says of itself.

    Raises ConvergeError.
    """
    id_ = rev_id()
    words = (f'    "{key}": {literal(value)},\n' for key, value in says.items())
    own = "".join(("\nconverge = {\n", *words, "}\n")) if says else ""
    bodies = _body(up), _body(down)
    if any("op.execute(DDL(" in body for body in bodies):
        own = f"from sqlalchemy import DDL\n{own}"
    text: dict[str, Any] = {"upgrades": bodies[0], "downgrades": bodies[1], "imports": own}
    with writing(folder.location), users_own(Code.A015, str(folder.location)):
        folder.script.generate_revision(id_, name, refresh=False, head="head", **text)
    return replace(folder).revision(id_)


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
    with writing(folder.location), users_own(Code.A015, str(folder.location)):
        written = [one for one in revisions.generate_scripts() if one is not None]
    return replace(folder).revision(written[0].revision)


def _body(steps: Iterable[Step]) -> str:
    """The statements, a comment before those of each object; the first line is already indented."""
    lines: list[str] = []
    for object_, its in groupby(steps, key=lambda step: step.object):
        lines.append(f"    # {' '.join(object_.split())}")
        lines += [f"    {executed(step.sql)}" for step in its]
    return "\n".join(lines).lstrip()


def executed(sql: str) -> str:
    """Python that executes just this statement, whatever colons it has."""
    if _PARAMETER.search(sql):
        return f"op.execute(DDL({literal(sql.replace('%', '%%'))}))"
    return f"op.execute({literal(sql)})"
