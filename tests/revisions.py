"""Folders of revisions for tests, as users have them."""

from __future__ import annotations

from pathlib import Path

from converge.revisions.folder import Folder

_REVISION = '''"""{name}"""

from alembic import op
import sqlalchemy as sa

revision = {id!r}
down_revision = {down!r}
{more}

def upgrade() -> None:
{up}


def downgrade() -> None:
{back}
'''


def make_folder(place: Path, schema: str = "public") -> Path:
    """An empty folder as `generate` makes it."""
    Folder.make(str(place), schema)
    return place


def write(
    place: Path, id: str, up: str, back: str = "pass", *, down: str | None = None, more: str = ""
) -> Path:
    """A revision of these Python statements."""
    path = place / "versions" / f"{id}.py"
    parts = {"up": _indented(up), "back": _indented(back), "more": more}
    path.write_text(_REVISION.format(id=id, name=f"revision {id}", down=down, **parts))
    return path


def execute(*statements: str) -> str:
    """Python statements that execute these of SQL."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
