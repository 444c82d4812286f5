"""Both connections of a command, and what the drivers say when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import pymysql

from converge.codes import Code
from converge.errors import ConvergeError, Interrupted, of_interrupt
from converge.model.endpoint import Endpoint
from converge.mysql import connect as mysql
from converge.mysql.connect import WatchedConnection
from converge.mysql.errors import explain as explain_source
from converge.postgres import connect as postgres
from converge.postgres.errors import explain as explain_target

DRIVER_ERRORS = (psycopg.Error, pymysql.err.Error, OSError)


def explain(error: Exception, source: Endpoint, target: Endpoint | None) -> ConvergeError:
    """A ConvergeError for any of `DRIVER_ERRORS`."""
    if isinstance(error, ConvergeError):
        return error
    if isinstance(error, psycopg.Error):
        return explain_target(error, target)
    return explain_source(error, source)


@contextmanager
def explained(source: Endpoint, target: Endpoint | None) -> Iterator[None]:
    """Raises ConvergeError in place of the drivers' errors, and KeyboardInterrupt in place of all that it has
    led to: no server is lost, or wrong, because the user stops."""
    try:
        yield
    except Interrupted:
        raise
    except (ConvergeError, psycopg.Error, pymysql.err.Error) as error:
        if of_interrupt(error):
            raise KeyboardInterrupt from None
        found = explain(error, source, target)
        found.source, found.target = str(source), str(target or "")
        raise found from error


T = TypeVar("T")


def reach(
    source: Endpoint, target: Endpoint | None, stack: ExitStack
) -> tuple[WatchedConnection, psycopg.Connection[Any] | None]:
    """Connects to both; `stack` closes the connections.

    Raises the source's error, else the target's; when both sides fail, the source's tells of the other.
    """
    here, wrong = result_or_error(lambda: stack.enter_context(closing(connect_source(source))))
    there, also = None, None
    if target is not None:
        there, also = result_or_error(
            lambda: stack.enter_context(postgres.connect(target, synchronous_commit="on"))
        )
    if wrong is not None and also is not None:
        wrong.details += (f"and {also.message}", *also.details)
        wrong.hint = "\n".join(filter(None, (wrong.hint, also.hint)))
    if error := wrong or also:
        raise error
    assert here is not None
    return here, there


def connect_source(source: Endpoint) -> WatchedConnection:
    """A connection to the source, without its database for a user who has no right there at all.

    What is missing can then be said with all the rest.
    """
    try:
        return mysql.connect(source)
    except ConvergeError as error:
        if error.code != Code.S004:
            raise
    return mysql.connect(replace(source, database=""))


def result_or_error(action: Callable[[], T]) -> tuple[T | None, ConvergeError | None]:
    """What the action gives, or the error that it ends in. Raises Interrupted when the user stops it."""
    try:
        return action(), None
    except Interrupted:
        raise
    except ConvergeError as error:
        return None, error
