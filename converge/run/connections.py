"""Both connections of a command, and what the drivers say when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import pymysql

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.mysql import connect as mysql
from converge.mysql.connect import WatchedConnection
from converge.postgres import connect as postgres

DRIVER_ERRORS = (psycopg.Error, pymysql.err.Error, OSError)


def explain(error: Exception, source: Endpoint, target: Endpoint | None) -> ConvergeError:
    """A ConvergeError for any of `DRIVER_ERRORS`."""
    if isinstance(error, ConvergeError):
        return error
    if isinstance(error, psycopg.Error):
        return postgres.explain(error, target)
    return mysql.explain(error, source)


@contextmanager
def explained(source: Endpoint, target: Endpoint | None) -> Iterator[None]:
    """Raises ConvergeError in place of the drivers' errors."""
    try:
        yield
    except (psycopg.Error, pymysql.err.Error) as error:
        raise explain(error, source, target) from error


T = TypeVar("T")


def reach(
    source: Endpoint, target: Endpoint | None, stack: ExitStack
) -> tuple[WatchedConnection, psycopg.Connection[Any] | None]:
    """Connects to both; `stack` closes the connections.

    Raises the source's error, else the target's; when both sides fail, the source's tells of the other.
    """
    here, wrong = attempt(lambda: connect_source(source))
    if here is not None:
        stack.callback(here.close)
    there, also_wrong = None, None
    if target is not None:
        there, also_wrong = attempt(lambda: postgres.connect(target, synchronous_commit="on"))
        if there is not None:
            stack.enter_context(there)
    if wrong is not None and also_wrong is not None:
        wrong.details += (f"and {also_wrong.message}", *also_wrong.details)
        wrong.hint = "\n".join(filter(None, (wrong.hint, also_wrong.hint)))
    for error in (wrong, also_wrong):
        if error is not None:
            raise error
    assert here is not None
    return here, there


def connect_source(source: Endpoint) -> WatchedConnection:
    """A connection to the source, without its database for a user who has no right there at all.

    What is missing can then be said with all the rest.
    """
    connection, wrong = attempt(lambda: mysql.connect(source))
    if wrong is not None and wrong.code == Code.S004:
        return mysql.connect(replace(source, database=""))
    if wrong is not None:
        raise wrong
    assert connection is not None
    return connection


def attempt(action: Callable[[], T]) -> tuple[T | None, ConvergeError | None]:
    """What the action gives, or the error that it ends in."""
    try:
        return action(), None
    except ConvergeError as error:
        return None, error
