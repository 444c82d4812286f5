"""Runs code that is not ours: its output is not the result, and what it fails with is said in our words."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import alembic
import psycopg
import sqlalchemy
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from converge.codes import Code
from converge.errors import ConvergeError, UsageError

_LIBRARIES = (
    *alembic.__path__, *sqlalchemy.__path__, *psycopg.__path__, contextlib.__file__, "<frozen", "<string>",
)  # fmt: skip
_SHOWN = 200
_FAILURES: Mapping[Code, tuple[type[ConvergeError], str]] = {
    Code.A002: (
        UsageError,
        "a relative script_location begins in the working folder: %(here)s/… begins beside the file",
    ),
    Code.A004: (UsageError, "repair the revision's file"),
    Code.A005: (UsageError, "converge migrations show lists them"),
    Code.A007: (ConvergeError, "repair env.py or the revision"),
    Code.A015: (ConvergeError, "repair script.py.mako, or what it runs afterwards"),
}
"""By what has failed: the error, and its hint."""


def one_line(statement: str) -> str:
    """A statement as messages show it."""
    line = " ".join(statement.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def failed(code: Code, what: str, why: str) -> ConvergeError:
    """An error of the user's own code."""
    kind, hint = _FAILURES[code]
    return kind(f"{what}: {why}", code=code, hint=hint)


@contextmanager
def users_own(code: Code, what: str) -> Iterator[None]:
    """Raises `failed(code, what, why)` for whatever ends code of the user; our own errors pass.

    A driver's error passes as the driver's own, for those who explain it; where it came from is in its notes.
    What is printed goes to stderr.
    """
    try:
        with _on_stderr():
            yield
    except ConvergeError:
        raise
    except psycopg.Error as error:
        _note(error, _where(error))
        raise
    except DBAPIError as error:
        # Without its parameters, which may be somebody's data.
        where = (*([one_line(error.statement)] if error.statement else []), *_where(error))
        if isinstance(error.orig, psycopg.Error):
            _note(error.orig, where)
            raise error.orig from error
        raise _with(failed(code, what, str(error.orig)), where) from error
    except Exception as error:  # the user's code may raise anything
        why = str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"
        raise _with(failed(code, what, why), _where(error)) from error


@contextmanager
def _on_stderr() -> Iterator[None]:
    """What is printed here goes to stderr, also by the processes that are started: stdout is the result's."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def places(error: psycopg.Error) -> tuple[str, ...]:
    """The statement and the line of the user's code, of an error that `users_own` has let pass."""
    return tuple(getattr(error, "__notes__", ()))


def _note(error: psycopg.Error, notes: tuple[str, ...]) -> None:
    for note in notes:
        error.add_note(note)


def _with(error: ConvergeError, details: tuple[str, ...]) -> ConvergeError:
    error.details += details
    return error


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
