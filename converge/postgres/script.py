"""Runs a script such as pg_dump writes, without psql: an application's own schema for a temporary target."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError
from converge.postgres.capabilities import older
from converge.postgres.connect import is_lost
from converge.postgres.script_parts import Statement, split

_SHOWN_BYTES = 100
_UNDEFINED = "42704"
_SETTING = re.compile(rb"SET\s+\w+\s*(=|TO\b)", re.IGNORECASE)
_OF_ROLES = re.compile(rb"(ALTER\b.*\bOWNER\s+TO|GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES)\b", re.I | re.S)


def run_script(
    connection: psycopg.Connection[Any], lines: Iterable[bytes], name: str
) -> tuple[int, tuple[str, ...]]:
    """Executes all statements, each by itself unless the script says BEGIN.

    Returns how many there were, and those that were passed over: pg_dump of a newer version sets what this
    one does not know. Raises TargetError with the line of the first that the server refuses, and UsageError
    for a script that is cut short.
    """
    count, passed_over = 0, []
    for statement in split(lines, name):
        count += 1
        try:
            _run(connection, statement)
        except psycopg.Error as error:
            if error.sqlstate != _UNDEFINED or not _SETTING.match(statement.text):
                version = connection.info.parameter_status("server_version") or ""
                raise _refused(error, statement, name, version) from error
            passed_over.append(_begin_of(statement))
    return count, tuple(passed_over)


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    if statement.rows is None:
        connection.execute(statement.text)
        return
    with connection.cursor() as cursor, cursor.copy(statement.text) as copy:
        for row in statement.rows:
            copy.write(row)


def _refused(error: psycopg.Error, statement: Statement, name: str, version: str) -> TargetError:
    said = error.diag.message_primary or str(error).strip()
    lacking, instead = older(statement.text.decode(errors="replace"), version)
    return TargetError(
        f"{name}, line {statement.line}: {said}",
        code=Code.X024,
        details=[
            _begin_of(statement),
            *filter(None, [error.diag.message_detail]),
            *lacking,
        ],
        hint=instead or error.diag.message_hint or _no_roles(error, statement),
        lost=is_lost(error),
    )


def _no_roles(error: psycopg.Error, statement: Statement) -> str | None:
    missing = error.sqlstate == _UNDEFINED and _OF_ROLES.match(statement.text)
    return "pg_dump --no-owner --no-privileges" if missing else None


def _begin_of(statement: Statement) -> str:
    shown = statement.text[:_SHOWN_BYTES].decode(errors="replace")
    return shown + " …" if len(statement.text) > _SHOWN_BYTES else shown
