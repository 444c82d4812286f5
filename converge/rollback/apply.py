"""Brings what has changed in the target back to the source, or writes it as a script.

The changes come back in one transaction of the source, and each row that was written is compared with the
target's before it is committed. What the source has then may be written again: a kill in between costs time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import pymysql
from pymysql.cursors import Cursor

from converge.codes import Code
from converge.errors import SourceError, first_of
from converge.model.endpoint import Endpoint, same_server
from converge.model.event import Said, Sink
from converge.model.recovery import Approve, Removal
from converge.model.words import counted
from converge.mysql.connect import WatchedConnection
from converge.mysql.errors import explain
from converge.mysql.privileges import read_privileges
from converge.mysql.query import fetch
from converge.rollback.changes import Changed
from converge.rollback.findings import WRITING
from converge.rollback.parents import BEGIN_FAILING, Joining
from converge.rollback.prepare import MOST, Rollback, noted_changes
from converge.rollback.script import Script
from converge.run.options import Options
from converge.run.relation import Row, as_text, row_text

# Values go back as they are: no number for a 0, and an error rather than another value.
_SESSION = (
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', "
    "time_zone='+00:00', foreign_key_checks=0, unique_checks=1, sql_safe_updates=0, "
    "default_tmp_storage_engine=InnoDB"
)
_CHANGE_IT = "change the row in the target so that the source's types hold it, and roll back again"
_VALUES = frozenset({1292, 1364, 1411, 1416, 1525, 1526, 1690, 3037, 3140, 3616, 3617, 3819})
"""Errors about values that the driver takes for others (MySQL 8.0 Error Reference)."""
_READ_ONLY = 1290
"""ER_OPTION_PREVENTS_STATEMENT: such as super_read_only, which the timetable of a cutover sets."""
_AT_ROW = re.compile(r" at row ([1-9]\d*)$")
"""The row's number in the statement, not in the table."""


def write_rollback(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, write: Callable[[bytes], object]
) -> Rollback:
    """Writes what has changed as a script for the mysql client. Changes neither side."""
    result = Rollback("sql", str(source), str(target))
    with noted_changes(source, target, options, emit, result) as (_, here, scripts, joining):
        # Whoever runs the script may read what its checks name: those of which no column is seen are none.
        _require_readable(here, source, [one for one in joining if not one.columns])
        begin = (BEGIN_FAILING, *_begin(scripts, joining))
        write(f"{_SESSION};\nSET NAMES utf8mb4;\nSTART TRANSACTION;\n".encode())
        write("".join(f"{one};\n" for one in begin).encode())
        for _, script in scripts:
            for statement, *_ in script:
                write(statement)
        write("".join(f"{one.require_parents};\n" for one in joining).encode())
        write(b"COMMIT;\n")
    return result


def apply_rollback(
    source: Endpoint, target: Endpoint, options: Options, emit: Sink, approve: Approve | None
) -> Rollback:
    """Brings what has changed back to the source, in one transaction, and compares each row.

    Raises SourceError where the source refuses a row, or would have another value; nothing has changed then.
    """
    result = Rollback("apply", str(source), str(target))
    with noted_changes(source, target, options, emit, result) as (run, here, scripts, joining):
        _require_readable(here, source, joining)
        changes = tuple((changed.table.source, script.rows) for changed, script in scripts if script.rows)
        if approve is not None and changes:
            approve(Removal("change", str(source), changes))
        with _as_writer(here, source), here.cursor() as cursor:
            cursor.execute("SET SESSION transaction_read_only=0")
            cursor.execute(_SESSION)
            cursor.execute("START TRANSACTION")
            for begin in _begin(scripts, joining):
                cursor.execute(begin)
            for changed, script in scripts:
                if script.rows:
                    emit(Said(f"{changed.table.source}: {script}"))
                for statement, rows, keys in script:
                    with _naming(changed, keys):
                        _carry_out(cursor, changed, rows, statement)
            for changed, _ in scripts:
                _require_equal(changed)
            _require_parents(here, joining)
            cursor.execute("COMMIT")
        # Another server with such a database may be a copy, for a trial: the run's own has none of it yet.
        if run is None or same_server(source, run.source):
            for changed, _ in scripts:
                changed.sides.forget()
    return result


def _require_readable(here: WatchedConnection, source: Endpoint, joining: Sequence[Joining]) -> None:
    """Raises SourceError where the user may not read a table of one of these foreign keys."""
    if denied := dict.fromkeys(table for one in joining for table in one.denied):
        # A session without checks may have made a key whose parent is in no database that is there.
        drop = "-- or, where the table does not exist: ALTER TABLE … DROP FOREIGN KEY …;"
        own = read_privileges(here, source.database)
        raise SourceError(
            f"the user may not read {', '.join(map('.'.join, denied))}, where rows may have no parent; "
            "nothing has been changed",
            code=Code.S004,
            hint="\n".join([*(own.grant_reading(*table) for table in denied), drop]),
        )


def _begin(scripts: Sequence[tuple[Changed, Script]], joining: Sequence[Joining]) -> Iterator[str]:
    """The statements before those of all tables."""
    yield from (one.begin for one in joining)
    for changed, script in scripts:
        if script.rows:
            yield from changed.gather_orphans()


@contextmanager
def _as_writer(here: WatchedConnection, source: Endpoint) -> Iterator[None]:
    """Raises SourceError with what lets a user write, for one who may not, or a server that is read only."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        refused = explain(error, source)
        if refused.code == Code.S004:
            own = read_privileges(here, source.database)
            grant = own.grant(", ".join(one for one in WRITING if not own.may(one)))
            refused.hint = (
                f"{grant}\nor a user who may write: --source mysql://USER@…; nothing has been changed"
            )
        elif error.args[0] == _READ_ONLY:
            refused.hint = "SET GLOBAL super_read_only = OFF, read_only = OFF; while every writer is stopped"
        else:
            raise
        raise refused from error


@contextmanager
def _naming(changed: Changed, keys: Sequence[Row]) -> Iterator[None]:
    """Raises SourceError with the row, or the rows of which it is one, where MySQL refuses a value."""
    try:
        yield
    except pymysql.err.MySQLError as error:
        number, words = error.args if len(error.args) == 2 else (0, "")
        if not (number in _VALUES or isinstance(error, (pymysql.DataError, pymysql.IntegrityError))):
            raise
        place = _AT_ROW.search(words)
        refused = keys[int(place[1]) - 1 : int(place[1])] if place else keys
        raise SourceError(
            f"{changed.table.source}: MySQL refuses a row: {words[: place and place.start()]}; "
            "nothing has been changed",
            code=Code.V132,
            details=first_of([f"{changed.table.source} {row_text(key)}" for key in refused], MOST),
            hint=_CHANGE_IT,
        ) from error


def _carry_out(cursor: Cursor, changed: Changed, rows: int | None, statement: bytes) -> None:
    """Raises SourceError where the statement changes more rows than are meant, or removes or brings fewer."""
    done = cursor.execute(statement.decode())
    # An UPDATE that changes nothing counts no row.
    if rows is not None and (done > rows or (done < rows and not statement.startswith(b"UPDATE"))):
        raise SourceError(
            f"{changed.table.source}: {counted(done, 'row')} would change, and {rows:,} should; "
            "nothing has been changed",
            code=Code.V132,
            details=[statement[:200].decode("utf-8", "replace")],
        )


def _require_equal(changed: Changed) -> None:
    """Raises SourceError where a row that has come back is not the target's."""
    if differ := [*islice(changed.differing(), MOST)]:
        raise SourceError(
            "a row does not come back as it is; nothing has been changed",
            code=Code.V132,
            details=differ,
            hint=f"{_CHANGE_IT}; a number in JSON may have 65 digits there, 30 of them decimals",
        )


def _require_parents(here: WatchedConnection, joining: Sequence[Joining]) -> None:
    """Raises SourceError where rows of the source would have no parent."""
    lost = [(one, values, rows) for one in joining for *values, rows in fetch(here, one.orphans)]
    if lost:
        count = counted(sum(rows for *_, rows in lost), "row")
        listed = (
            f"{one} {row_text(tuple(map(as_text, values)))}: {counted(rows, 'row')}"
            for one, values, rows in lost
        )
        raise SourceError(
            f"{count} of the source would have no parent; nothing has been changed",
            code=Code.V132,
            details=first_of([*listed], MOST),
            hint="bring back the parents in the target, or change these rows, and roll back again",
        )
