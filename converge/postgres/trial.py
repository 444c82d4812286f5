"""Tries translations on the target in its session's temporary schema, and undoes all of it.

Everything is made in transactions that are rolled back, in `pg_temp`: no lock is taken on anything of
the user's, nothing stays, and a role that may connect and make temporary tables can do it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from converge.model.plan import Statement, Trial

SCHEMA = "pg_temp"
_TABLES = 200
"""Tables in one transaction: each takes several locks, of which a server has some thousands."""
# Classes of errors that say nothing about the SQL: connection, resources, intervention, system, internal.
_NOT_THE_SQL = ("08", "53", "57", "58", "XX")


def try_out(
    connection: psycopg.Connection[Any], statements: Iterable[Statement], trials: Sequence[Trial]
) -> dict[str, str] | None:
    """Runs each trial and returns why the server refused those that it did, by their object.

    `statements` are a draft's that was planned for the schema `pg_temp`; only tables that a trial names are
    made. None when nothing can be tried: no right to temporary tables, or a server that only reads.
    The connection must be outside of a transaction.
    """
    if not may_try(connection):
        return None
    return _Trials(connection, statements, trials).run()


def may_try(connection: psycopg.Connection[Any]) -> bool:
    """Whether the session can make temporary tables."""
    row = connection.execute(
        "SELECT has_database_privilege(current_database(), 'TEMP') AND NOT pg_is_in_recovery() "
        "AND current_setting('transaction_read_only') = 'off'"
    ).fetchone()
    return bool(row and row[0])


class _Trials:
    def __init__(
        self, connection: psycopg.Connection[Any], statements: Iterable[Statement], trials: Sequence[Trial]
    ) -> None:
        self._connection = connection
        self._making = _making(statements)
        self._trials = trials
        self._views = {_view(trial): trial for trial in trials if _view(trial)}
        self._made: set[str] = set()
        self._failed: dict[str, str] = {}
        """Why a table could not be made with its keys."""
        self._refused: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        left = list(self._trials)
        while left:
            with self._connection.transaction(force_rollback=True):
                self._made.clear()
                while left and len(self._made) < _TABLES:
                    self._try(left.pop(0))
        return self._refused

    def _try(self, trial: Trial) -> None:
        for name in trial.tables:
            self._make(name)
        broken = [self._failed[name] for name in trial.tables if name in self._failed]
        reason = self._run(trial.sql)
        kind, _, name = trial.object.partition(" ")
        if kind == "table":
            # What is wrong with a parent is said of that one.
            reason = self._failed.get(name, None if broken else reason)
        elif broken and reason is not None:
            reason = broken[0]
        if reason is not None:
            self._refused[trial.object] = reason
        elif _view(trial):
            self._made.add(_view(trial))

    def _make(self, name: str) -> None:
        """Makes a table or an earlier view that a trial reads."""
        if name in self._made or name in self._failed:
            return
        if name in self._making:
            for sql in self._making[""]:
                self._run(sql)  # what several tables share may be there already
            for sql in self._making[name]:
                reason = self._run(sql)
                if reason is not None:
                    self._failed.setdefault(name, reason)
        elif name in self._views and f"view {name}" not in self._refused:
            for needed in self._views[name].tables:
                self._make(needed)
            self._run(self._views[name].sql)
        self._made.add(name)

    def _run(self, sql: str) -> str | None:
        """Runs one statement in a savepoint; the first line of the error when there is one."""
        try:
            with self._connection.transaction():
                self._connection.execute(sql.encode())
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(_NOT_THE_SQL):
                raise
            return (error.diag.message_primary or str(error)).splitlines()[0]
        return None


def _view(trial: Trial) -> str:
    """The name of the view that is tried; empty for other objects."""
    kind, _, name = trial.object.partition(" ")
    return name if kind == "view" else ""


def _making(statements: Iterable[Statement]) -> Mapping[str, list[str]]:
    """What makes each table with its types, keys and CHECKs, and under '' what all share."""
    making: defaultdict[str, list[str]] = defaultdict(list)
    for statement in statements:
        if statement.phase == "shared":
            making[""].append(statement.sql)
        elif statement.phase == "create" or (statement.phase == "index" and not statement.optional):
            making[statement.object].append(statement.sql)
    return making
