"""Runs code that is not ours: its output is not the result, and what it fails with is said in our words."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import cast

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


Told = Callable[[psycopg.Error, str], ConvergeError]
"""Explains what PostgreSQL said to a statement; it is empty where the user's code executed it itself."""


@contextmanager
def users_own(code: Code, what: str, told: Told | None = None) -> Iterator[None]:
    """Raises `failed(code, what, why)`, or what is `told`, for whatever ends code of the user.

    Our own errors pass. What is printed goes to stderr.
    """
    try:
        with _on_stderr():
            yield
    except ConvergeError:
        raise
    except Exception as error:  # the user's code may raise anything
        statement, said = "", cast(BaseException, error)
        if isinstance(error, DBAPIError):
            # Its own words would have the parameters, which may be somebody's data.
            statement, said = error.statement or "", error.orig or error
        if told is not None and isinstance(said, psycopg.Error):
            wrong = told(said, statement)
        else:
            bare = said is not error or isinstance(error, CommandError)
            wrong = failed(code, what, str(said) if bare else f"{type(error).__name__}: {error}")
        where = (*filter(None, [one_line(statement)]), *_where(error))
        wrong.details = (*where, *wrong.details)
        raise wrong from error


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
