"""Writes revisions: statements as Python that says just them, and is pleasant to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from alembic.util import rev_id

from converge.errors import ConvergeError
from converge.model.definitions import Step
from converge.model.revision import Revision
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder, writing
from converge.revisions.stdout import on_stderr

# As SQLAlchemy's text() reads them (sqlalchemy.sql.compiler, BIND_PARAMS and BIND_PARAMS_ESC).
_ESCAPED = re.compile(r"\x5c(:[\w\$]*)(?![:\w\$])")
_BOUND = re.compile(r"(?<![:\w\$\x5c]):([\w\$]+)(?![:\w\$])")
_LINE = 88


def write(
    folder: Folder, name: str, up: Sequence[Step], down: Sequence[Step], says: Mapping[str, str]
) -> Revision:
    """Writes a revision after the folder's head, as its templates say. `says` is what it says of itself.

    Raises ConvergeError.
    """
    id_ = rev_id()
    own = "".join(
        ("\nconverge = {\n", *(f'    "{key}": {literal(value)},\n' for key, value in says.items()), "}\n")
    )
    with (
        writing(folder.location),
        users_own(str(folder.location), _failed),
        on_stderr(),
    ):
        folder.script.generate_revision(
            id_,
            name,
            refresh=False,
            head="head",
            upgrades=_body(up),
            downgrades=_body(down),
            imports=own if says else "",
        )
    again = Folder(folder.ini, folder.toml, folder.bare)
    return again.revision(id_)


def _body(steps: Iterable[Step]) -> str:
    """The statements, a comment before those of each object; the first line is already indented."""
    lines: list[str] = []
    for object_, its in groupby(steps, key=lambda step: step.object):
        lines.append(f"    # {_one_line(object_)}")
        lines += [f"    op.execute({literal(as_text(step.sql))})" for step in its]
    return "\n".join(lines).lstrip()


def as_text(sql: str) -> str:
    """What `text()` reads as just this statement: a colon is none of its parameters."""
    return _BOUND.sub(r"\\:\1", _ESCAPED.sub(r"\\\\\1", sql))


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
        f"{what}: {why}", code="A015", hint="repair script.py.mako, or what it runs afterwards"
    )
