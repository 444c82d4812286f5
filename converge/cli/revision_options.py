"""Options of the commands that are about the user's revisions."""

from __future__ import annotations

from typing import Any

import click

from converge.cli.many import only
from converge.cli.options import group, target_options
from converge.revisions.folder import Folder
from converge.settings.addresses import Where, databases, resolve_target

alembic_option = click.option(
    "--alembic", "place", metavar="DIR|FILE", help="a folder with env.py, an alembic.ini, or a pyproject.toml"
)


def _folder(place: str | None, where: Where) -> dict[str, Any]:
    folder = Folder.open(place)
    target = resolve_target(where) if where.names else only(databases(where, source="unused")).target
    return {"folder": folder, "target": target}


folder_options = group(alembic_option, target_options, gather=_folder)
"""--alembic and --target; the command gets `folder` and the one `target` that is meant."""
