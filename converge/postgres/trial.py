"""Tries translations on the target in its session's temporary schema, and undoes all of it.

Everything is made in transactions that are rolled back, in `pg_temp`: no lock is taken on anything of
the user's, nothing stays, and a role that may connect and make temporary tables can do it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import psycopg

from converge.model.plan import TARGET_SCHEMA, Trial
from converge.model.quote import pg_name
from converge.postgres.errors import NOT_THE_STATEMENT
from converge.postgres.query import value

SCHEMA = "pg_temp"
_TABLES = 200
"""Tables in one transaction: each takes several locks, of which a server has some thousands."""
_UNDO = "ROLLBACK TO trial"
_NOT_THE_SQL = (*NOT_THE_STATEMENT, "XX")  # internal errors, too


def may_try(connection: psycopg.Connection[Any]) -> bool:
    """Whether the session may make temporary tables, on a server that does not only read."""
    query = (
        "SELECT has_database_privilege(current_database(), 'TEMP') AND NOT pg_is_in_recovery() "
        "AND current_setting('transaction_read_only') = 'off'"
    )
    return bool(value(connection, query))


def printed(connection: psycopg.Connection[Any], columns: str) -> str | None:
    """The expression of the one generated column of a table of these columns, as the server prints it; None
    where it refuses the table. The connection must be outside of a transaction."""
    name = pg_name(SCHEMA, "converge trial")
    query = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = %s::regclass"
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"CREATE TABLE {name} ({columns})".encode())
            return str(value(connection, query, (name,)))
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_NOT_THE_SQL):
            raise
        return None


class Trials:
    """Trials one after the other; only tables that a trial names are made.

    The connection must be outside of a transaction, and is so again afterwards.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        # A name is found in literals, too, where its quotes are doubled: nextval('"it''s"."t_id_seq"').
        prefix = re.escape(pg_name(schema)).replace("'", "''?")
        name = rf'{prefix}(\."(?:[^"]|"")*")'
        self._name = re.compile(name)
        # In a query, `"shop"."id"` may be a column of a table with the alias "shop": only what stands as a
        # type, a collation, a text or a call is the schema's there.
        self._in_query = re.compile(rf"(?:(?<=::)|(?<=\bAS )|(?<=\bCOLLATE )|(?<=')){name}|{name}(?=\()")
        self._schema = pg_name(schema)
        self._open = ExitStack()
        self._views: dict[str, Trial] = {}
        self._made: set[str] = set()
        self._done: Counter[str] = Counter()
        """How many of the statements that make a table were run in the transaction."""
        self._failed: dict[str, str] = {}
        """Why a table could not be made with its keys."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def refusal(
        self, trial: Trial, making: Mapping[str, Sequence[str]], in_schema: Container[str]
    ) -> str | None:
        """Why the server refuses this; None where it does not.

        `making` are the statements that make each table, as far as they are known now, and under '' those
        that all share; `in_schema` are the quoted names of what the target's schema is to have.
        """
        if len(self._made) >= _TABLES:
            self._begin()
        for name in trial.tables:
            self._make(name, making, in_schema)
        broken = [self._failed[name] for name in trial.tables if name in self._failed]
        kind, _, name = trial.object.partition(" ")
        # Only views are read by later trials; what else one makes could have the name of another's.
        reason = self._run(trial.sql, in_schema, undo=kind != "view")
        if kind == "table":
            # What is wrong with a parent is said of that one.
            reason = self._failed.get(name, None if broken else reason)
        elif broken and reason is not None:
            reason = broken[0]
        if kind == "view" and reason is None:
            self._views[name] = trial
            self._made.add(name)
        return reason

    def _begin(self) -> None:
        """Undoes what was made, and begins anew."""
        self._open.close()
        self._made.clear()
        self._done.clear()
        self._open.enter_context(self._connection.transaction(force_rollback=True))

    def _make(self, name: str, making: Mapping[str, Sequence[str]], in_schema: Container[str]) -> None:
        """Makes a table, as far as it is known, or an earlier view that a trial reads."""
        if name in self._views:
            if name not in self._made:
                for needed in self._views[name].tables:
                    self._make(needed, making, in_schema)
                self._run(self._views[name].sql, in_schema)
        elif name not in self._failed:
            for object_ in ("", name):
                for sql in making.get(object_, ())[self._done[object_] :]:
                    self._done[object_] += 1
                    reason = self._run(sql, in_schema)
                    if object_ and reason is not None:  # what several tables share may be there already
                        self._failed.setdefault(name, reason)
        self._made.add(name)

    def _run(self, sql: str, in_schema: Container[str], *, undo: bool = False) -> str | None:
        """Runs one statement in a savepoint; the first line of the error when there is one."""

        def placed(found: re.Match[str]) -> str:
            name = found[found.lastindex or 1]
            quoted = self._schema + name
            ours = quoted in in_schema or quoted.replace("''", "'") in in_schema
            return SCHEMA + name if ours else found[0]

        names = self._in_query if TARGET_SCHEMA in sql else self._name
        tried = names.sub(placed, sql).replace(TARGET_SCHEMA, SCHEMA)
        try:
            # In one message: a round trip, and not three.
            end = f"{_UNDO};RELEASE trial" if undo else "RELEASE trial"
            self._connection.execute(f"SAVEPOINT trial;{tried}\n;{end}".encode())
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(_NOT_THE_SQL):
                raise
            self._connection.execute(f"{_UNDO};RELEASE trial".encode())
            return (error.diag.message_primary or str(error)).splitlines()[0]
        return None
