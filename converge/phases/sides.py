"""Both servers for one comparison: each query is bounded in time, and errors are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import pymysql

from converge.mysql.ask import ask as ask_source
from converge.mysql.ask import describe as describe_source
from converge.mysql.watched import WatchedConnection
from converge.phases.retry import is_gone
from converge.phases.view_rows import Row
from converge.postgres.ask import ask as ask_target
from converge.postgres.ask import describe as describe_target
from converge.types.results import SourceColumn, TargetColumn

T = TypeVar("T")
_TIMED_OUT = (3024, "57014")
_NOT_ALLOWED = "42501"
_BROKEN = ("21", "22", "23", "2F", "38", "39", "0A", "42", "P0", "XX")
"""Classes of SQLSTATE for which the target cannot compute what the source does."""


class NotComparedError(Exception):
    """Why there is nothing to compare."""


class BrokenError(Exception):
    """What the target says instead of giving rows."""


class Sides:
    """A worker's connections. Raises its two errors, and the drivers' errors of lost connections."""

    def __init__(
        self, source: WatchedConnection, target: psycopg.Connection[Any], schema: str, seconds: int
    ) -> None:
        self._source, self._target = source, target
        self._schema, self._seconds = schema, seconds

    @contextmanager
    def settled(self) -> Iterator[None]:
        """The source's session without a limit of GROUP_CONCAT; what `stop_clock` has set ends with it."""
        self._set("group_concat_max_len=@@max_allowed_packet")
        yield
        # A connection that is lost ends the process with its session.
        self._set("timestamp=DEFAULT,group_concat_max_len=DEFAULT")

    def stop_clock(self, seconds: object) -> None:
        """NOW() of the source is this moment from now on."""
        self._set(f"timestamp={seconds}")

    def source(self, query: str, most: int = 1) -> list[tuple[Any, ...]]:
        return self._on_source(lambda: ask_source(self._source, query, seconds=self._seconds, most=most))

    def target(self, query: str, most: int = 1) -> list[tuple[Any, ...]]:
        schema, seconds = self._schema, self._seconds
        return self._on_target(lambda: ask_target(self._target, query, schema, seconds=seconds, most=most))

    def source_rows(self, query: str, most: int) -> list[Row]:
        """The same as texts."""
        return _decoded(self.source(query, most))

    def target_rows(self, query: str, most: int) -> list[Row]:
        return _decoded(self.target(query, most))

    def described(self, source: str, target: str) -> tuple[list[SourceColumn], list[TargetColumn]]:
        """The columns of what stands in FROM."""
        here = self._on_source(lambda: describe_source(self._source, source))
        return here, self._on_target(lambda: describe_target(self._target, target, self._schema))

    def _set(self, settings: str) -> None:
        with self._source.cursor() as cursor:
            cursor.execute(f"SET SESSION {settings}")

    def _on_source(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except pymysql.err.Error as error:
            if is_gone(error):
                raise
            number, *text = error.args
            raise self._not_compared("source", number, str(text[0] if text else number)) from error

    def _on_target(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except psycopg.Error as error:
            if is_gone(error) or error.sqlstate is None:
                raise
            text = (error.diag.message_primary or str(error)).splitlines()[0]
            if error.sqlstate.startswith(_BROKEN) and error.sqlstate != _NOT_ALLOWED:
                raise BrokenError(f"ERROR: {text}") from error
            raise self._not_compared("target", error.sqlstate, text) from error

    def _not_compared(self, side: str, code: int | str, text: str) -> NotComparedError:
        if code in _TIMED_OUT:
            return NotComparedError(f"a query of it takes more than {self._seconds} s on the {side}")
        return NotComparedError(f"the {side} cannot read it: {text}")


def _decoded(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    return [
        tuple(one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in row)
        for row in rows
    ]
