"""Writes revisions: statements as Python that says just them, or what Alembic itself makes of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from alembic.autogenerate import RevisionContext
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id

from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.definitions import Step
from converge.model.endpoint import Endpoint
from converge.model.revision import Revision
from converge.revisions.environment import looked
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder, writing

# As text() of SQLAlchemy 2.0 and of 2.1 reads them: a name of a parameter, and a colon that begins none.
_RULES = tuple(
    (
        re.compile(rf"(?<![:{name}\x5c]):([{name}]+)(?![:{name}])"),
        re.compile(rf"\x5c(:[{name}]*)(?![:{name}])"),
    )
    for name in (r"\w\$", r"\w")
)
_LINE = 88
_DDL = "DDL("
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
    if any(f"op.execute({_DDL}" in body for body in bodies):
        own = f"from sqlalchemy import DDL\n{own}"
    with (
        writing(folder.location),
        users_own(str(folder.location), _failed),
    ):
        folder.script.generate_revision(
            id_,
            name,
            refresh=False,
            head="head",
            upgrades=bodies[0],
            downgrades=bodies[1],
            imports=own,
        )
    again = Folder(folder.ini, folder.toml, folder.bare)
    return again.revision(id_)


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
    with writing(folder.location), users_own(str(folder.location), _failed):
        written = [one for one in revisions.generate_scripts() if one is not None]
    return Folder(folder.ini, folder.toml, folder.bare).revision(written[0].revision)


def _body(steps: Iterable[Step]) -> str:
    """The statements, a comment before those of each object; the first line is already indented."""
    lines: list[str] = []
    for object_, its in groupby(steps, key=lambda step: step.object):
        lines.append(f"    # {_one_line(object_)}")
        lines += [f"    {executed(step.sql)}" for step in its]
    return "\n".join(lines).lstrip()


def executed(sql: str) -> str:
    """Python that executes just this statement, whatever colons it has."""
    for bound, escaped in _RULES:
        written = bound.sub(r"\\:\1", escaped.sub(r"\\\\\1", sql))
        if all(rule.sub(r"\1", written) == sql and not other.search(written) for other, rule in _RULES):
            return f"op.execute({literal(written)})"
    return f"op.execute({_DDL}{literal(sql.replace('%', '%%'))}))"


def literal(text: str) -> str:
    """A Python literal of this text, on one line where it fits."""
    escaped = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\x0c", "\\f")
    if "\n" not in text and len(text) < _LINE:
        return f"'{escaped}'" if '"' in text and "'" not in text else '"' + escaped.replace('"', '\\"') + '"'
    escaped = escaped.replace('"""', '\\"\\"\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""{escaped}"""'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _failed(what: str, why: str) -> ConvergeError:
    return ConvergeError(
        f"{what}: {why}", code=Code.A015, hint="repair script.py.mako, or what it runs afterwards"
    )
