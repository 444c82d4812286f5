"""Both drivers' errors in the words of the person who has to act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pymysql

from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint
from converge.mysql import connect as mysql
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
