"""What code that is not ours fails with, in our words: env.py, revisions, and Alembic about both."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic
import psycopg
import sqlalchemy
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from converge.errors import ConvergeError

_LIBRARIES = (*alembic.__path__, *sqlalchemy.__path__, "<frozen")


@contextmanager
def users_own(what: str, failed: Callable[[str, str], ConvergeError]) -> Iterator[None]:
    """Raises `failed(what, why)` for whatever ends code of the user; our own errors pass.

    A driver's error passes as the driver's own, for those who explain it.
    """
    try:
        yield
    except (ConvergeError, psycopg.Error):
        raise
    except CommandError as error:
        raise failed(what, str(error)) from error
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise failed(what, str(error.orig)) from error
    except Exception as error:  # the user's code may raise anything
        wrong = failed(what, f"{type(error).__name__}: {error}")
        wrong.details += _where(error)
        raise wrong from error


def statement_of(error: psycopg.Error) -> str:
    """The statement that SQLAlchemy gave to the driver; empty for what code of the user's gave it itself."""
    cause = error.__cause__
    return (cause.statement or "") if isinstance(cause, DBAPIError) else ""


def _where(error: Exception) -> tuple[str, ...]:
    """The last place of the user's own code in the error's way."""
    ours = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, *_LIBRARIES))
    ]
    if isinstance(error, SyntaxError):
        return (f"{error.filename}:{error.lineno}",)
    return tuple(f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in frames[-1:])
