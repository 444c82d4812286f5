"""Options of the commands that are about the user's revisions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from converge.cli.many import only
from converge.cli.options import target_options
from converge.model.endpoint import Endpoint
from converge.revisions.folder import Folder
from converge.settings.addresses import Where, databases, resolve_target

F = TypeVar("F", bound=Callable[..., Any])

alembic_option = click.option(
    "--alembic", "place", metavar="DIR|FILE", help="a folder with env.py, an alembic.ini, or a pyproject.toml"
)


def folder_options(function: F) -> F:
    """--alembic and --target; the command gets `folder` and `target`."""

    @alembic_option
    @target_options
    @wraps(function)
    def wrapper(*args: Any, place: str | None, where: Where, **kwargs: Any) -> Any:
        return function(*args, folder=Folder.open(place), target=target_of(where), **kwargs)

    return wrapper  # type: ignore[return-value]


def target_of(where: Where) -> Endpoint:
    """The one target that is meant. Raises UsageError for several."""
    return resolve_target(where) if where.names else only(databases(where, source="unused")).target
