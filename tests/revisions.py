"""Folders of revisions for tests."""

from __future__ import annotations

from pathlib import Path

from converge.model.endpoint import parse
from converge.model.event import silent
from converge.model.revision import Migrated
from converge.postgres.catalog import shape_now
from converge.postgres.connect import connect
from converge.revisions import commands
from converge.revisions.folder import Folder

REVISION = '''"""{name}"""

from alembic import op
import sqlalchemy as sa

revision = "{id}"
down_revision = {down}
{more}

def upgrade() -> None:
{up}


def downgrade() -> None:
{back}
'''


def revision(
    place: Path, id_: str, up: str, back: str = "pass", *, down: str | None = None, more: str = ""
) -> Path:
    """Writes a revision; `up` and `back` are Python, or SQL where they begin with a capital."""
    versions = place / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    path = versions / f"{id_}.py"
    parts = {"down": repr(down), "more": more, "up": _body(up), "back": _body(back)}
    path.write_text(REVISION.format(id=id_, name=f"about {id_}", **parts))
    return path


def execute(*statements: str) -> str:
    """Python that executes these statements of SQL."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def folder(place: Path, *statements: str, schema: str = "public") -> Folder:
    """A folder of converge's making with a revision r1, r2, … for each statement."""
    Folder.make(str(place), schema)
    for number, up in enumerate(statements, 1):
        revision(place, f"r{number}", up, down=f"r{number - 1}" if number > 1 else None)
    return Folder.open(str(place))


def run(of: Folder, url: str, to: str = "head", *accepted: str) -> Migrated:
    folder = Folder.open(str(of.ini or of.toml or of.location))
    return commands.move(folder, parse(url), to, "up", accepted, silent)


def revert(of: Folder, url: str, to: str = "-1", *accepted: str) -> Migrated:
    return commands.move(of, parse(url), to, "down", accepted, silent)


def states(of: Folder, url: str) -> dict[str, str]:
    return {one.id: one.state for one in commands.show(of, parse(url)).revisions}


def shape(url: str, schema: str = "public") -> dict[str, str]:
    """The catalog without the version table."""
    with connect(parse(url)) as connection:
        found = shape_now(connection, schema)
    return {name: text for name, text in found.items() if "alembic_version" not in name}


def _body(code: str) -> str:
    if code[:1].isupper():
        code = f'op.execute("""{code}""")'
    return "\n".join(f"    {line}" for line in code.splitlines())
