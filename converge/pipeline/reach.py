"""Both connections, and all that is wrong with either side at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import psycopg

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.mysql import connect as mysql
from converge.mysql.watched import WatchedConnection
from converge.postgres import connect as postgres

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
